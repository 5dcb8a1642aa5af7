"""Allowances of attempts, and the addresses that accounts were signed in to from, in Postgres."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from oxbot.adapters.postgres_sessions import reached
from oxbot.app.allowances import KNOWN_MAX, Want, address_digest
from oxbot.core.account import UserId

_CLAIM = """
INSERT INTO accounts.allowances AS a (key, due) VALUES ($1, $2::timestamptz + $3::interval)
ON CONFLICT (key) DO UPDATE SET due = greatest(a.due, $2) + $3 WHERE a.due <= $2 + $4::interval
RETURNING due
"""
_DUE = "SELECT due FROM accounts.allowances WHERE key = $1"
_GIVE_BACK = "UPDATE accounts.allowances SET due = due - $2::interval WHERE key = $1"
_PURGE = "DELETE FROM accounts.allowances WHERE due <= $1"

_USER = "SELECT user_id FROM accounts.credentials WHERE username = $1"
_KNOWS = "SELECT EXISTS (SELECT FROM accounts.known_addresses WHERE user_id = $1 AND address_sha256 = $2)"
_REMEMBER = """
INSERT INTO accounts.known_addresses (user_id, address_sha256, seen_at)
SELECT user_id, $2, $3 FROM accounts.credentials WHERE user_id = $1
ON CONFLICT (user_id, address_sha256) DO UPDATE SET seen_at = excluded.seen_at
"""
_FORGET = """
DELETE FROM accounts.known_addresses WHERE user_id = $1 AND address_sha256 NOT IN (
    SELECT address_sha256 FROM accounts.known_addresses WHERE user_id = $1 ORDER BY seen_at DESC LIMIT $2
)
"""


class PostgresAllowances:
    """``Allowances`` over a pool of connections to a migrated database: one row for each that is not whole."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def claim(self, wants: Sequence[Want], *, at: datetime) -> timedelta:
        """Count an attempt against all of them, or against none. Rows are taken in one order, so nobody deadlocks."""
        async with reached(self._pool) as connection:
            transaction = connection.transaction()
            await transaction.start()
            wait = timedelta(0)
            try:
                for want in sorted(wants, key=lambda want: want.key):
                    every, slack = want.allowance.every, want.allowance.slack
                    if await connection.fetchval(_CLAIM, want.key, at, every, slack) is None:
                        due: datetime = await connection.fetchval(_DUE, want.key)
                        wait = max(due - slack - at, timedelta(milliseconds=1))
                        break
            except BaseException:
                await transaction.rollback()
                raise
            await (transaction.rollback() if wait else transaction.commit())
            return wait

    async def give_back(self, wants: Sequence[Want]) -> None:
        """The attempt does not count."""
        async with reached(self._pool) as connection, connection.transaction():
            for want in sorted(wants, key=lambda want: want.key):
                await connection.execute(_GIVE_BACK, want.key, want.allowance.every)

    async def purge(self, *, at: datetime) -> None:
        """Forget what is whole again."""
        async with reached(self._pool) as connection:
            await connection.execute(_PURGE, at)


class PostgresKnownAddresses:
    """``KnownAddresses`` over a pool of connections to a migrated database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def knows(self, username: str, address: str) -> bool:
        """Whether somebody has signed in to the account from there."""
        async with reached(self._pool) as connection:
            # As much work for a name that is nobody's, so that the time it takes does not tell.
            user_id = UserId(await connection.fetchval(_USER, username) or "")
            found: bool = await connection.fetchval(_KNOWS, user_id, address_digest(user_id, address))
        return found

    async def remember(self, user_id: UserId, address: str, *, at: datetime) -> None:
        """Somebody has signed in to the account from there; the oldest addresses make room."""
        async with reached(self._pool) as connection, connection.transaction():
            await connection.execute(_REMEMBER, user_id, address_digest(user_id, address), at)
            await connection.execute(_FORGET, user_id, KNOWN_MAX)
