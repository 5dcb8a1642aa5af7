"""The wrapped keys of people in Postgres, in a table of their own beside the log."""

from datetime import datetime

import asyncpg

from events.values import SubjectId
from oxbot.adapters.aes_gcm_subject_keys import WrappedKey
from oxbot.adapters.database import connected

_ADD = """
INSERT INTO privacy.subject_keys (subject, key_id, wrapped_key, wrapped_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (subject) DO NOTHING
"""

_FIND = """
SELECT key_id, wrapped_key, wrapped_by FROM privacy.subject_keys WHERE subject = $1 AND wrapped_key IS NOT NULL
"""

# A person without a key gets a row too, so that none is made afterwards.
_DESTROY = """
INSERT INTO privacy.subject_keys AS k (subject, destroyed_at) VALUES ($1, $2)
ON CONFLICT (subject) DO UPDATE SET wrapped_key = NULL, destroyed_at = $2 WHERE k.destroyed_at IS NULL
"""

_ERASED_THROUGH = 'SELECT "position" FROM privacy.erased_through'
_NOTE = 'UPDATE privacy.erased_through SET "position" = $1'


class PostgresKeyTable:
    """A ``KeyTable`` over a pool of connections to a migrated database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, subject: SubjectId, key: WrappedKey) -> WrappedKey | None:
        """See ``KeyTable.add``."""
        async with connected(self._pool) as connection:
            await connection.execute(_ADD, subject, key.key_id, key.wrapped, key.wrapped_by)
            return _key(await connection.fetchrow(_FIND, subject))

    async def find(self, subject: SubjectId) -> WrappedKey | None:
        """See ``KeyTable.find``."""
        async with connected(self._pool) as connection:
            return _key(await connection.fetchrow(_FIND, subject))

    async def destroy(self, subject: SubjectId, *, at: datetime) -> None:
        """See ``KeyTable.destroy``."""
        async with connected(self._pool) as connection:
            await connection.execute(_DESTROY, subject, at)

    async def erased_through(self) -> int:
        """See ``KeyTable.erased_through``."""
        async with connected(self._pool) as connection:
            position: int = await connection.fetchval(_ERASED_THROUGH)
            return position

    async def note_erased_through(self, position: int) -> None:
        """See ``KeyTable.note_erased_through``."""
        async with connected(self._pool) as connection:
            await connection.execute(_NOTE, position)


def _key(row: asyncpg.Record | None) -> WrappedKey | None:
    if row is None:
        return None
    return WrappedKey(key_id=row["key_id"], wrapped=row["wrapped_key"], wrapped_by=row["wrapped_by"])
