"""Sessions, API tokens and allowances in memory: what tests use, under the same contracts as Postgres."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from oxbot.adapters.memory_accounts import MemoryCredentials
from oxbot.app.allowances import KNOWN_MAX, Want, address_digest
from oxbot.app.api_tokens import StoredApiToken
from oxbot.app.sessions import IDLE, Exchange, Family, StoredSession, shown
from oxbot.core.account import UserId


class MemorySessions:
    """A ``SessionStore`` that forgets everything when its process ends."""

    def __init__(self) -> None:
        self._sessions: dict[str, StoredSession] = {}
        self._families: dict[str, Family] = {}
        self._tokens: dict[bytes, tuple[str, int]] = {}

    async def begin(self, session: StoredSession, token_sha256: bytes) -> bool:
        """Store a new one with its first token."""
        self._sessions[session.session_id] = session
        self._families[session.session_id] = Family(0, session.rotated_at, session.expires_at)
        self._tokens[token_sha256] = (session.session_id, 0)
        return True

    async def find(self, token_sha256: bytes) -> StoredSession | None:
        """The session that the token is of."""
        session_id, _ = self._tokens.get(token_sha256, ("", 0))
        return self._sessions.get(session_id)

    async def exchange(self, token_sha256: bytes, follower_sha256: bytes, *, at: datetime) -> Exchange:
        """Do what ``shown`` says."""
        session_id, generation = self._tokens.get(token_sha256, ("", 0))
        family = self._families.get(session_id)
        if family is None:
            return Exchange("over")
        outcome, after = shown(family, generation, at)
        self._families[session_id] = after
        self._sessions[session_id] = msgspec.structs.replace(self._sessions[session_id], rotated_at=after.rotated_at)
        if outcome != "exchanged":
            return Exchange(outcome)
        newest = (session_id, after.generation)
        if after.generation > family.generation:
            self._tokens[follower_sha256] = newest
        return Exchange(outcome, next(sha256 for sha256, known in self._tokens.items() if known == newest))

    async def end(self, session_id: str) -> None:
        """Forget the session and all its tokens."""
        self._sessions.pop(session_id, None)
        self._families.pop(session_id, None)
        self._tokens = {digest: known for digest, known in self._tokens.items() if known[0] != session_id}

    async def of(self, user_id: UserId) -> Sequence[StoredSession]:
        """The account's, the newest first."""
        found = (session for session in self._sessions.values() if session.user_id == user_id)
        return sorted(found, key=lambda session: (session.begun_at, session.session_id), reverse=True)

    async def purge(self, *, at: datetime) -> None:
        """Forget what expired."""
        for session in list(self._sessions.values()):
            if at >= min(session.expires_at, session.rotated_at + IDLE):
                await self.end(session.session_id)


class MemoryApiTokens:
    """An ``ApiTokenStore`` that forgets everything when its process ends."""

    def __init__(self) -> None:
        self._tokens: dict[bytes, StoredApiToken] = {}

    async def add(self, token: StoredApiToken, token_sha256: bytes) -> bool:
        """Store a new one, or another digest of one."""
        known = next((one for one in self._tokens.values() if one.token_id == token.token_id), token)
        await self.remove(token.token_id)
        self._tokens[token_sha256] = known
        return True

    async def find(self, token_sha256: bytes) -> StoredApiToken | None:
        """The token of that digest."""
        return self._tokens.get(token_sha256)

    async def of(self, user_id: UserId) -> Sequence[StoredApiToken]:
        """The account's, the newest first."""
        found = (token for token in self._tokens.values() if token.user_id == user_id)
        return sorted(found, key=lambda token: (token.issued_at, token.token_id), reverse=True)

    async def used(self, token_id: str, *, at: datetime) -> None:
        """It was used."""
        for digest, token in self._tokens.items():
            if token.token_id == token_id:
                self._tokens[digest] = msgspec.structs.replace(token, last_used_at=at)

    async def remove(self, token_id: str) -> None:
        """Forget it."""
        self._tokens = {digest: token for digest, token in self._tokens.items() if token.token_id != token_id}


class MemoryAllowances:
    """``Allowances`` of one process alone."""

    def __init__(self) -> None:
        self._due: dict[bytes, datetime] = {}

    async def claim(self, wants: Sequence[Want], *, at: datetime) -> timedelta:
        """Count an attempt against all of them, or against none."""
        for want in sorted(wants, key=lambda want: want.key):
            ahead = self._due.get(want.key, at) - want.allowance.slack - at
            if ahead > timedelta(0):
                return max(ahead, timedelta(milliseconds=1))
        for want in wants:
            self._due[want.key] = max(self._due.get(want.key, at), at) + want.allowance.every
        return timedelta(0)

    async def give_back(self, wants: Sequence[Want]) -> None:
        """The attempt does not count."""
        for want in wants:
            if want.key in self._due:
                self._due[want.key] -= want.allowance.every

    async def purge(self, *, at: datetime) -> None:
        """Forget what is whole again."""
        self._due = {key: due for key, due in self._due.items() if due > at}


class MemoryKnownAddresses:
    """``KnownAddresses`` of the accounts of a ``MemoryCredentials``."""

    def __init__(self, credentials: MemoryCredentials) -> None:
        self._credentials = credentials
        self._known: dict[UserId, dict[bytes, datetime]] = {}

    async def knows(self, username: str, address: str) -> bool:
        """Whether somebody has signed in to the account from there."""
        held = await self._credentials.named(username)
        return held is not None and address_digest(held.user_id, address) in self._known.get(held.user_id, {})

    async def remember(self, user_id: UserId, address: str, *, at: datetime) -> None:
        """Somebody has signed in to the account from there; the oldest addresses make room."""
        known = self._known.setdefault(user_id, {})
        known[address_digest(user_id, address)] = at
        if len(known) > KNOWN_MAX:
            del known[min(known, key=lambda address_sha256: known[address_sha256])]
