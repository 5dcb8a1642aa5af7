"""API tokens: what scripts sign in with, for what their scopes say and never more than their account's role allows."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol
from uuid import UUID

import msgspec
from uuid_utils import uuid7

from events.errors import OxbotError
from events.user import Role, Scope
from oxbot.app.accounts import Accounts
from oxbot.app.revocations import Revocations
from oxbot.app.sessions import digest, new_secret
from oxbot.core.account import IssueApiToken, RevokeApiToken, UserId

PREFIX = "oxb_"
LIFETIME_MAX = timedelta(days=366)
NAME_LENGTH_MAX = 64
REMEMBERED_SECONDS = 60.0
REMEMBERED_MAX = 1000

RANKS: Mapping[Role, int] = {"viewer": 1, "trader": 2, "admin": 3}
ROLES: Mapping[Scope, Role] = {"read": "viewer", "trade": "trader", "admin": "admin"}
"""The role that each scope is worth; metrics is worth none, and only an administrator's token has it."""


class InvalidApiToken(OxbotError):
    """A token that may not be issued as it was asked for; the text says why."""


class UnknownApiToken(OxbotError):
    """The account has no such API token."""


class StoredApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of an API token beside the log."""

    token_id: str
    user_id: UserId
    name: str
    issued_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None


class ApiTokenStore(Protocol):
    """API tokens by their digests. Every call may raise ``CredentialsUnavailable``."""

    async def add(self, token: StoredApiToken, token_sha256: bytes) -> bool:
        """Store a new one, or another digest of one; False if there is no such account any more."""
        ...

    async def find(self, token_sha256: bytes) -> StoredApiToken | None:
        """The token of that digest, whether it is good or not."""
        ...

    async def of(self, user_id: UserId) -> Sequence[StoredApiToken]:
        """The account's, the newest first."""
        ...

    async def used(self, token_id: str, *, at: datetime) -> None:
        """It was used."""
        ...

    async def remove(self, token_id: str) -> None:
        """Forget it; again changes nothing."""
        ...


class Bearer(NamedTuple):
    """Who an API token is of and what it allows just now, as the account's stream stood at ``version``."""

    user_id: UserId
    role: Role
    version: int
    scopes: frozenset[Scope]
    token_id: str
    expires_at: datetime


class ApiToken(NamedTuple):
    """A token that is not revoked."""

    stored: StoredApiToken
    scopes: tuple[Scope, ...]


class ApiTokens:
    """Use cases on API tokens. Safe from any number of processes at once.

    The log says which tokens are good and for what; a row that is not in it opens nothing. What was found out about a
    token is remembered for a minute, and not longer than until ``revocations`` has heard of a change.
    """

    def __init__(
        self, store: ApiTokenStore, accounts: Accounts, revocations: Revocations, *, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._revocations = revocations
        self._now = now
        self._known: OrderedDict[bytes, tuple[Bearer, float]] = OrderedDict()

    async def issue(
        self,
        user_id: UserId,
        name: str,
        scopes: Sequence[Scope],
        *,
        expires_at: datetime,
        by: str,
        deed: UUID | None = None,
    ) -> tuple[StoredApiToken, str]:
        """A new token, and its text, which is nowhere else.

        A token is named after the ``deed`` that it is issued by. Where that is done again, because nobody knows what
        became of it, there is one token all the same, and its text the newer one.

        Raises ``InvalidApiToken``, ``UnknownUser``, or ``AccountRefused`` if the account has as many as it may.
        """
        role, at = (await self._accounts.get(user_id)).role, self._now()
        wanted = tuple(sorted(set(scopes)))
        _check(name, wanted, role, lasting=expires_at - at)
        token_id, text = (deed or uuid7()).hex, new_secret(PREFIX)
        stored = StoredApiToken(token_id=token_id, user_id=user_id, name=name, issued_at=at, expires_at=expires_at)
        await self._store.add(stored, digest(text))
        command = IssueApiToken(token_id=token_id, scopes=wanted, expires_at=expires_at, at=at)
        await self._accounts.book.record(user_id, command, by=by)
        return stored, text

    async def revoke(self, user_id: UserId, token_id: str, *, by: str) -> None:
        """Make a token good for nothing. Raises ``UnknownApiToken``."""
        if (await self._accounts.book.read(user_id)).state.grant(token_id) is None:
            raise UnknownApiToken("the account has no such API token")
        await self._accounts.book.record(user_id, RevokeApiToken(token_id), by=by)
        await self._store.remove(token_id)

    async def of(self, user_id: UserId) -> list[ApiToken]:
        """The account's tokens that are not revoked, the newest first. Raises ``UnknownUser``."""
        await self._accounts.get(user_id)
        state = (await self._accounts.book.read(user_id)).state
        return [
            ApiToken(stored, grant.scopes)
            for stored in await self._store.of(user_id)
            if (grant := state.grant(stored.token_id)) is not None
        ]

    async def verify(self, text: str) -> Bearer | None:
        """Who the token is of and what it allows now; None if it is good for nothing."""
        sha256, now = digest(text), time.monotonic()
        bearer, until = self._known.get(sha256, (None, 0.0))
        if bearer is None or now >= until or not self._still(bearer):
            bearer = await self._look(sha256)
            self._remember(sha256, bearer, now + REMEMBERED_SECONDS)
        return bearer if bearer is not None and self._now() < bearer.expires_at and self._still(bearer) else None

    def _still(self, bearer: Bearer) -> bool:
        return self._revocations.allows(bearer.user_id, bearer.version, bearer.token_id)

    async def _look(self, sha256: bytes) -> Bearer | None:
        stored = await self._store.find(sha256)
        credential = None if stored is None else await self._accounts.find(stored.user_id)
        if stored is None or credential is None or not await self._accounts.settle(credential):
            return None
        known = await self._accounts.book.read(stored.user_id)
        state, version = known.state, known.version
        grant = state.grant(stored.token_id)
        if grant is None or state.role is None or state.disabled:
            return None
        await self._store.used(stored.token_id, at=self._now())
        role, scopes = allowed(state.role, grant.scopes)
        return Bearer(stored.user_id, role, version, scopes, stored.token_id, grant.expires_at)

    def _remember(self, sha256: bytes, bearer: Bearer | None, until: float) -> None:
        self._known.pop(sha256, None)
        if bearer is not None:
            self._known[sha256] = (bearer, until)
        if len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)


def allowed(role: Role, scopes: Sequence[Scope]) -> tuple[Role, frozenset[Scope]]:
    """What a token of these scopes may do for an account of this role: as what, and which scopes count."""
    worth = max((RANKS[ROLES[scope]] for scope in scopes if scope in ROLES), default=RANKS["viewer"])
    acting: Role = next(known for known, rank in RANKS.items() if rank == min(worth, RANKS[role]))
    return acting, frozenset(scope for scope in scopes if scope != "metrics" or role == "admin")


def _check(name: str, scopes: Sequence[Scope], role: Role, *, lasting: timedelta) -> None:
    if not 1 <= len(name) <= NAME_LENGTH_MAX or not name.isprintable():
        raise InvalidApiToken(f"a token's name has 1 to {NAME_LENGTH_MAX} printable characters")
    if not scopes:
        raise InvalidApiToken("a token needs at least one scope")
    beyond = [scope for scope in scopes if RANKS[ROLES.get(scope, "admin")] > RANKS[role]]
    if beyond:
        raise InvalidApiToken(f"a {role} cannot give the scope {beyond[0]}")
    if not timedelta(0) < lasting <= LIFETIME_MAX:
        raise InvalidApiToken(f"a token expires within {LIFETIME_MAX.days} days from now")
