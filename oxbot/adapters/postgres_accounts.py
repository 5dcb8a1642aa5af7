"""The credentials of accounts in Postgres."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from events.errors import StoreUnavailable
from events.user import Role
from oxbot.adapters.database import connected
from oxbot.app.accounts import Credential, CredentialsUnavailable, LastAdmin, UsernameTaken
from oxbot.core.account import UserId

_ADD = """
INSERT INTO accounts.credentials (user_id, username, role, password_hash, changed_at) VALUES ($1, $2, $3, $4, $5)
"""

# A lock that conflicts with itself and with every insert and update, but with no reader.
_ALONE = "LOCK TABLE accounts.credentials IN SHARE ROW EXCLUSIVE MODE"

_ADD_FIRST = """
INSERT INTO accounts.credentials (user_id, username, role, password_hash, changed_at)
SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT FROM accounts.credentials)
"""

_NAMED = "SELECT * FROM accounts.credentials WHERE username = $1"
_OF = "SELECT * FROM accounts.credentials WHERE user_id = $1"
_ALL = "SELECT * FROM accounts.credentials ORDER BY username"
_CHANGE_HASH = """
UPDATE accounts.credentials
SET password_hash = $2, changed_at = $3, generation = generation + 1, password_generation = generation + 1
WHERE user_id = $1 RETURNING *
"""
_CHANGE_STANDING = """
UPDATE accounts.credentials
SET role = coalesce($2, role), disabled = coalesce($3, disabled), changed_at = $4, generation = generation + 1
WHERE user_id = $1 RETURNING *
"""
_ADMINISTERED = "SELECT EXISTS (SELECT FROM accounts.credentials WHERE role = 'admin' AND NOT disabled)"
_REMOVE = "DELETE FROM accounts.credentials WHERE user_id = $1"

LAST_ADMIN = "this is the last administrator who is enabled; there must be another first"


class PostgresCredentials:
    """A ``CredentialStore`` over a pool of connections to a migrated database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, credential: Credential, *, at: datetime) -> None:
        """Store a new account's. Raises ``UsernameTaken``."""
        try:
            async with self._connection() as connection:
                await connection.execute(_ADD, *_columns(credential), at)
        except asyncpg.UniqueViolationError as error:
            raise UsernameTaken(f"there is an account {credential.username} already") from error

    async def add_first(self, credential: Credential, *, at: datetime) -> bool:
        """Store it only if the table is empty; callers at the same time wait for each other."""
        async with self._connection() as connection, connection.transaction():
            await connection.execute(_ALONE)
            return await connection.execute(_ADD_FIRST, *_columns(credential), at) == "INSERT 0 1"

    async def named(self, username: str) -> Credential | None:
        """The credential of the account of this canonical name."""
        async with self._connection() as connection:
            return _credential(await connection.fetchrow(_NAMED, username))

    async def of(self, user_id: UserId) -> Credential | None:
        """The credential of the account of this id."""
        async with self._connection() as connection:
            return _credential(await connection.fetchrow(_OF, user_id))

    async def all(self) -> Sequence[Credential]:
        """Every account's, in order of name."""
        async with self._connection() as connection:
            return [found for row in await connection.fetch(_ALL) if (found := _credential(row)) is not None]

    async def change_hash(self, user_id: UserId, password_hash: str, *, at: datetime) -> Credential | None:
        """Put another hash in place of the account's."""
        async with self._connection() as connection:
            return _credential(await connection.fetchrow(_CHANGE_HASH, user_id, password_hash, at))

    async def change_standing(
        self, user_id: UserId, *, role: Role | None = None, disabled: bool | None = None, at: datetime
    ) -> Credential | None:
        """Give the account this role, or disable or enable it; callers at the same time wait for each other."""
        async with self._connection() as connection, connection.transaction():
            await connection.execute(_ALONE)
            before = await connection.fetchval(_ADMINISTERED)
            changed = _credential(await connection.fetchrow(_CHANGE_STANDING, user_id, role, disabled, at))
            if before and not await connection.fetchval(_ADMINISTERED):
                raise LastAdmin(LAST_ADMIN)
            return changed

    async def remove(self, user_id: UserId) -> None:
        """Destroy the account's; again changes nothing."""
        async with self._connection() as connection:
            await connection.execute(_REMOVE, user_id)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[PoolConnectionProxy]:
        try:
            async with connected(self._pool) as connection:
                yield connection
        except StoreUnavailable as error:
            raise CredentialsUnavailable("the database of accounts does not answer") from error


def _columns(credential: Credential) -> tuple[str, str, str, str]:
    return credential.user_id, credential.username, credential.role, credential.password_hash


def _credential(row: asyncpg.Record | None) -> Credential | None:
    if row is None:
        return None
    return Credential(
        user_id=UserId(row["user_id"]),
        username=row["username"],
        role=row["role"],
        password_hash=row["password_hash"],
        disabled=row["disabled"],
        generation=row["generation"],
        password_generation=row["password_generation"],
    )
