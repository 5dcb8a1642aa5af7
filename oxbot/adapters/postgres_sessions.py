"""Sessions and API tokens in Postgres."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from events.errors import StoreUnavailable
from oxbot.adapters.database import connected
from oxbot.app.accounts import CredentialsUnavailable
from oxbot.app.api_tokens import StoredApiToken
from oxbot.app.sessions import IDLE, Exchange, Family, StoredSession, shown
from oxbot.core.account import UserId

_BEGIN = """
INSERT INTO accounts.sessions (session_id, user_id, device, begun_at, expires_at, rotated_at)
VALUES ($1, $2, $3, $4, $5, $6)
"""
_ADD_TOKEN = "INSERT INTO accounts.refresh_tokens (token_sha256, session_id, generation) VALUES ($1, $2, $3)"  # noqa: S105
_FIND = """
SELECT session_id, user_id, device, begun_at, expires_at, rotated_at
FROM accounts.refresh_tokens JOIN accounts.sessions USING (session_id) WHERE token_sha256 = $1
"""

# Callers with tokens of one session wait for each other here.
_LOCK = """
SELECT s.session_id, s.generation, s.rotated_at, s.expires_at, s.reused_at, t.generation AS shown
FROM accounts.refresh_tokens t JOIN accounts.sessions s USING (session_id) WHERE t.token_sha256 = $1
FOR UPDATE OF s
"""
_MOVE = """
UPDATE accounts.sessions SET generation = $2, rotated_at = $3, reused_at = $4 WHERE session_id = $1
"""
_FOLLOWER = "SELECT token_sha256 FROM accounts.refresh_tokens WHERE session_id = $1 AND generation = $2"
_END = "DELETE FROM accounts.sessions WHERE session_id = $1"
_OF = """
SELECT session_id, user_id, device, begun_at, expires_at, rotated_at
FROM accounts.sessions WHERE user_id = $1 ORDER BY begun_at DESC, session_id DESC
"""
_PURGE = "DELETE FROM accounts.sessions WHERE expires_at <= $1 OR rotated_at <= $2"

_ADD_API_TOKEN = """
INSERT INTO accounts.api_tokens (token_id, token_sha256, user_id, name, issued_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (token_id) DO UPDATE SET token_sha256 = excluded.token_sha256
"""  # noqa: S105
_FIND_API_TOKEN = """
SELECT token_id, user_id, name, issued_at, expires_at, last_used_at FROM accounts.api_tokens WHERE token_sha256 = $1
"""  # noqa: S105
_API_TOKENS_OF = """
SELECT token_id, user_id, name, issued_at, expires_at, last_used_at
FROM accounts.api_tokens WHERE user_id = $1 ORDER BY issued_at DESC, token_id DESC
"""
_USED = "UPDATE accounts.api_tokens SET last_used_at = $2 WHERE token_id = $1"
_REMOVE_API_TOKEN = "DELETE FROM accounts.api_tokens WHERE token_id = $1"  # noqa: S105


class PostgresSessions:
    """A ``SessionStore`` over a pool of connections to a migrated database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def begin(self, session: StoredSession, token_sha256: bytes) -> bool:
        """Store a new one with its first token."""
        try:
            async with reached(self._pool) as connection, connection.transaction():
                await connection.execute(
                    _BEGIN,
                    session.session_id,
                    session.user_id,
                    session.device,
                    session.begun_at,
                    session.expires_at,
                    session.rotated_at,
                )
                await connection.execute(_ADD_TOKEN, token_sha256, session.session_id, 0)
        except asyncpg.ForeignKeyViolationError:
            return False
        return True

    async def find(self, token_sha256: bytes) -> StoredSession | None:
        """The session that the token is of."""
        async with reached(self._pool) as connection:
            row = await connection.fetchrow(_FIND, token_sha256)
        return None if row is None else msgspec.convert(dict(row), StoredSession)

    async def exchange(self, token_sha256: bytes, follower_sha256: bytes, *, at: datetime) -> Exchange:
        """Do what ``shown`` says, under a lock on the session: the move and the follower are stored, or neither is."""
        async with reached(self._pool) as connection, connection.transaction():
            row = await connection.fetchrow(_LOCK, token_sha256)
            if row is None:
                return Exchange("over")
            family = Family(row["generation"], row["rotated_at"], row["expires_at"], row["reused_at"] is not None)
            outcome, after = shown(family, row["shown"], at)
            session_id = row["session_id"]
            if after != family:
                reused_at = at if after.reused else None
                await connection.execute(_MOVE, session_id, after.generation, after.rotated_at, reused_at)
            if outcome != "exchanged":
                return Exchange(outcome)
            if after.generation > family.generation:
                await connection.execute(_ADD_TOKEN, follower_sha256, session_id, after.generation)
            return Exchange(outcome, await connection.fetchval(_FOLLOWER, session_id, after.generation))

    async def end(self, session_id: str) -> None:
        """Forget the session and all its tokens."""
        async with reached(self._pool) as connection:
            await connection.execute(_END, session_id)

    async def of(self, user_id: UserId) -> Sequence[StoredSession]:
        """The account's, the newest first."""
        async with reached(self._pool) as connection:
            rows = await connection.fetch(_OF, user_id)
        return [msgspec.convert(dict(row), StoredSession) for row in rows]

    async def purge(self, *, at: datetime) -> None:
        """Forget what expired."""
        async with reached(self._pool) as connection:
            await connection.execute(_PURGE, at, at - IDLE)


class PostgresApiTokens:
    """An ``ApiTokenStore`` over a pool of connections to a migrated database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, token: StoredApiToken, token_sha256: bytes) -> bool:
        """Store a new one, or another digest of one."""
        try:
            async with reached(self._pool) as connection:
                await connection.execute(
                    _ADD_API_TOKEN,
                    token.token_id,
                    token_sha256,
                    token.user_id,
                    token.name,
                    token.issued_at,
                    token.expires_at,
                )
        except asyncpg.ForeignKeyViolationError:
            return False
        return True

    async def find(self, token_sha256: bytes) -> StoredApiToken | None:
        """The token of that digest."""
        async with reached(self._pool) as connection:
            row = await connection.fetchrow(_FIND_API_TOKEN, token_sha256)
        return None if row is None else msgspec.convert(dict(row), StoredApiToken)

    async def of(self, user_id: UserId) -> Sequence[StoredApiToken]:
        """The account's, the newest first."""
        async with reached(self._pool) as connection:
            rows = await connection.fetch(_API_TOKENS_OF, user_id)
        return [msgspec.convert(dict(row), StoredApiToken) for row in rows]

    async def used(self, token_id: str, *, at: datetime) -> None:
        """It was used."""
        async with reached(self._pool) as connection:
            await connection.execute(_USED, token_id, at)

    async def remove(self, token_id: str) -> None:
        """Forget it."""
        async with reached(self._pool) as connection:
            await connection.execute(_REMOVE_API_TOKEN, token_id)


@asynccontextmanager
async def reached(pool: asyncpg.Pool) -> AsyncIterator[PoolConnectionProxy]:
    """A connection to the database of accounts. Raises ``CredentialsUnavailable`` if it goes away."""
    try:
        async with connected(pool) as connection:
            yield connection
    except StoreUnavailable as error:
        raise CredentialsUnavailable("the database of accounts does not answer") from error
