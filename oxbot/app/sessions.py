"""Sessions: begun by a password, kept alive by refresh tokens of which each has one follower, ended by whoever may."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, Protocol

import msgspec
from uuid_utils import uuid7

from events.errors import OxbotError
from events.user import Role
from oxbot.app.accounts import REFUSED, Accounts, Credential, SignInRefused
from oxbot.core.account import AccountState, EndAllSessions, EndSession, UserId

PREFIX = "oxr_"
LIFETIME = timedelta(days=30)
"""A session ends then at the latest, and somebody signs in again."""

IDLE = timedelta(days=7)
"""A session that was not refreshed for so long is over."""

GRACE = timedelta(seconds=30)
"""So long after it was exchanged, a refresh token gets the same follower again: pages at once, or a lost answer."""

DEVICE_LENGTH_MAX = 120

SIGN_IN_AGAIN = "the session is over; sign in again"

_TOKEN_BYTES = 32
_FOLLOWERS = b"oxbot refresh token followers 1"

Outcome = Literal["exchanged", "reused", "over"]


class RefreshRefused(OxbotError):
    """The refresh token is nobody's, expired, or of a session that is over; the text does not say which."""


class RefreshReused(RefreshRefused):
    """A refresh token came back that had been exchanged: one of its two users is a thief, so the session ends."""


ServerSecrets = Callable[[], Sequence[bytes]]
"""What only the server knows: the secret in force, then those whose place it took; asked each time."""


class StoredSession(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a session beside the log."""

    session_id: str
    user_id: UserId
    device: str
    begun_at: datetime
    expires_at: datetime
    rotated_at: datetime


class Family(NamedTuple):
    """Where a session's refresh tokens stand: the newest generation, of which there is one, and since when."""

    generation: int
    rotated_at: datetime
    expires_at: datetime
    reused: bool = False


class Move(NamedTuple):
    """What a refresh token that is shown leads to, and where its family stands then."""

    outcome: Outcome
    family: Family


def shown(family: Family, generation: int, at: datetime) -> Move:
    """A refresh token of this generation is shown.

    The newest gets its follower. The one before it gets the same again, until the follower is shown or for ``GRACE``.
    Whatever else comes back was stolen, or was stolen from: the family ends.
    """
    if family.reused:
        return Move("reused", family)
    if at >= family.expires_at or at >= family.rotated_at + IDLE:
        return Move("over", family)
    if generation == family.generation:
        return Move("exchanged", family._replace(generation=generation + 1, rotated_at=at))
    if generation == family.generation - 1 and at < family.rotated_at + GRACE:
        return Move("exchanged", family)
    return Move("reused", family._replace(reused=True))


class Exchange(NamedTuple):
    """What became of a refresh token that was shown, and the digest of its follower if it has one to be given."""

    outcome: Outcome
    follower_sha256: bytes = b""


class SessionStore(Protocol):
    """Sessions and the digests of their refresh tokens. Every call may raise ``CredentialsUnavailable``."""

    async def begin(self, session: StoredSession, token_sha256: bytes) -> bool:
        """Store a new one with its first token; False if there is no such account any more."""
        ...

    async def find(self, token_sha256: bytes) -> StoredSession | None:
        """The session that the token is of, whether it is good or not."""
        ...

    async def exchange(self, token_sha256: bytes, follower_sha256: bytes, *, at: datetime) -> Exchange:
        """Do what ``shown`` says, one caller after the other for each session; a token of no session is "over".

        The first caller's follower is stored at once with the move, and told to every later one whatever it offers.
        """
        ...

    async def end(self, session_id: str) -> None:
        """Forget the session and all its tokens; again changes nothing."""
        ...

    async def of(self, user_id: UserId) -> Sequence[StoredSession]:
        """The account's, the newest first."""
        ...

    async def purge(self, *, at: datetime) -> None:
        """Forget what expired."""
        ...


class Opened(NamedTuple):
    """A session as it was just begun or refreshed: whose, as what, and what it is refreshed with next."""

    user_id: UserId
    role: Role
    session_id: str
    version: int
    refresh_token: str
    expires_at: datetime

    def __repr__(self) -> str:
        """Without the token."""
        return f"Opened(user_id={self.user_id!r}, session_id={self.session_id!r})"


class Sessions:
    """Use cases on sessions. Safe from any number of processes at once.

    The log says which sessions there are, the store how they are refreshed. A session is a fact before it is stored and
    is ended in the log before it is forgotten, so whatever died between the two leaves no session that is not in the
    log. An exchange is stored before it is answered; one whose answer was lost can be repeated for ``GRACE``.

    The follower of a refresh token is not drawn but made of it under a secret of the server's, and only its digest is
    stored. So whoever shows one token, at once or again, in whichever process, gets one and the same follower: a thief
    and an owner never part ways, and the second of the two to show it is found out.
    """

    def __init__(
        self,
        store: SessionStore,
        accounts: Accounts,
        *,
        secrets: ServerSecrets,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._secrets = secrets
        self._now = now

    async def begin(self, credential: Credential, *, device: str = "") -> Opened:
        """A session of the account that somebody proved to be of. Raises as ``Accounts.begin``."""
        session_id = uuid7().hex
        await self._accounts.begin(credential, session_id=session_id)
        token, at = new_secret(PREFIX), self._now()
        session = StoredSession(
            session_id=session_id,
            user_id=credential.user_id,
            device="".join(filter(str.isprintable, device))[:DEVICE_LENGTH_MAX],
            begun_at=at,
            expires_at=at + LIFETIME,
            rotated_at=at,
        )
        if not await self._store.begin(session, digest(token)):
            raise SignInRefused(REFUSED)
        opened = await self._opened(session, token)
        if opened is None:
            raise SignInRefused(REFUSED)
        return opened

    async def of_token(self, token: str) -> StoredSession:
        """The session that a refresh token is of, good or not. Raises ``RefreshRefused`` if it is nobody's."""
        session = await self._store.find(digest(token))
        if session is None:
            raise RefreshRefused(SIGN_IN_AGAIN)
        return session

    async def refresh(self, session: StoredSession, token: str) -> Opened:
        """Exchange a refresh token of the session. Raises ``RefreshRefused``, or ``RefreshReused``, which ends it."""
        opened = await self._opened(session, "")
        if opened is None:
            await self._store.end(session.session_id)
            raise RefreshRefused(SIGN_IN_AGAIN)
        offered = digest(followers(token, self._secrets())[0])
        outcome, chosen = await self._store.exchange(digest(token), offered, at=self._now())
        if outcome == "exchanged":
            return opened._replace(refresh_token=self._follower(token, chosen))
        if outcome == "reused":
            await self._accounts.book.record(session.user_id, EndSession(session.session_id, "refresh_reused"))
        await self._store.end(session.session_id)
        raise (RefreshReused if outcome == "reused" else RefreshRefused)(SIGN_IN_AGAIN)

    def _follower(self, token: str, chosen: bytes) -> str:
        """The follower that was stored, by whoever came first, under the secret that was in force for him."""
        # The secrets are asked for again: he may have been the first to know of a new one.
        for follower in followers(token, self._secrets()):
            if digest(follower) == chosen:
                return follower
        # The secret was thrown away at once, as one that others may know: what was made by it is given to nobody.
        raise RefreshRefused(SIGN_IN_AGAIN)

    async def sign_out(self, user_id: UserId, session_id: str, *, by: str) -> None:
        """End the session by which somebody is signed in; again changes nothing."""
        await self._accounts.book.record(user_id, EndSession(session_id, "signed_out"), by=by)
        await self._store.end(session_id)

    async def end(self, user_id: UserId, session_id: str, *, by: str) -> bool:
        """End one of an account's sessions; False if it has no such session."""
        if session_id not in (await self._state(user_id)).sessions:
            return False
        await self._accounts.book.record(user_id, EndSession(session_id, "ended"), by=by)
        await self._store.end(session_id)
        return True

    async def end_all(self, user_id: UserId, *, by: str) -> None:
        """End every session of an account. Raises ``UnknownUser``."""
        await self._accounts.get(user_id)
        await self._accounts.book.record(user_id, EndAllSessions(), by=by)
        for session in await self._store.of(user_id):
            await self._store.end(session.session_id)

    async def of(self, user_id: UserId) -> list[StoredSession]:
        """The account's sessions that are not over, the newest first. Raises ``UnknownUser``."""
        await self._accounts.get(user_id)
        known, at = (await self._state(user_id)).sessions, self._now()
        return [
            session
            for session in await self._store.of(user_id)
            if session.session_id in known and at < min(session.expires_at, session.rotated_at + IDLE)
        ]

    async def purge(self) -> None:
        """Forget the sessions that expired."""
        await self._store.purge(at=self._now())

    async def _state(self, user_id: UserId) -> AccountState:
        return (await self._accounts.book.read(user_id)).state

    async def _opened(self, session: StoredSession, token: str) -> Opened | None:
        """What the log allows the session now; None if it is over there, or the account is."""
        user_id = session.user_id
        credential = await self._accounts.find(user_id)
        if credential is None or not await self._accounts.settle(credential):
            return None
        known = await self._accounts.book.read(user_id)
        state, version = known.state, known.version
        if state.role is None or state.disabled or session.session_id not in state.sessions:
            return None
        return Opened(user_id, state.role, session.session_id, version, token, session.expires_at)


def followers(token: str, server_secrets: Sequence[bytes]) -> list[str]:
    """The token's follower under each secret. Without one of them nobody can tell what follows a token."""
    shown = token.encode("utf-8", "surrogatepass")
    keys = [hmac.digest(secret, _FOLLOWERS, "sha256") for secret in server_secrets]
    made = [base64.urlsafe_b64encode(hmac.digest(key, shown, "sha256")) for key in keys]
    return [PREFIX + text.rstrip(b"=").decode() for text in made]


def new_secret(prefix: str) -> str:
    """A token that nobody can guess."""
    return prefix + secrets.token_urlsafe(_TOKEN_BYTES)


def digest(token: str) -> bytes:
    """All that is kept of a token; its 256 bits are random, so a fast hash hides it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
