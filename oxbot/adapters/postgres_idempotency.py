"""Requests by user and key in Postgres, for every process that serves the API."""

from uuid import UUID

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from events.errors import StoreUnavailable
from events.identifiers import new_event_id
from oxbot.adapters.database import connected
from oxbot.app.idempotency import KEPT_FOR, LEASE, Answered, Claim, OtherContent, UnderWay

# Without the rows that another process is deleting, so that nobody waits here.
_CLEAN = """
DELETE FROM accounts.idempotency_keys WHERE ctid IN (
    SELECT ctid FROM accounts.idempotency_keys WHERE begun_at < clock_timestamp() - $1::interval
    ORDER BY begun_at LIMIT 20 FOR UPDATE SKIP LOCKED
)
"""

_BEGIN = """
INSERT INTO accounts.idempotency_keys (user_id, key, digest, deed, leased_until)
VALUES ($1, $2, $3, $4, clock_timestamp() + $5::interval) ON CONFLICT DO NOTHING
"""

_LOOK = """
SELECT digest, deed, status, headers, body, begun_at < clock_timestamp() - $3::interval AS expired,
       extract(epoch FROM leased_until - clock_timestamp())::float8 AS lease_seconds
FROM accounts.idempotency_keys WHERE user_id = $1 AND key = $2 FOR UPDATE
"""

_FORGET = "DELETE FROM accounts.idempotency_keys WHERE user_id = $1 AND key = $2"

_RESUME = """
UPDATE accounts.idempotency_keys SET leased_until = clock_timestamp() + $3::interval WHERE user_id = $1 AND key = $2
"""

_KEEP = """
UPDATE accounts.idempotency_keys SET status = $4, headers = $5::text::jsonb, body = $6
WHERE user_id = $1 AND key = $2 AND deed = $3 AND status IS NULL
"""

_RELEASE = """
UPDATE accounts.idempotency_keys SET leased_until = clock_timestamp()
WHERE user_id = $1 AND key = $2 AND deed = $3 AND status IS NULL
"""

_ATTEMPTS_MAX = 5
_OWED_MAX = 1000


class PostgresIdempotency:
    """Implements ``IdempotencyStore`` over a pool.

    What could not be released, because the database was away, is released as soon as somebody claims again.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._owed: dict[tuple[str, str, UUID], None] = {}

    async def claim(self, user_id: str, key: str, digest: bytes) -> Claim | Answered | UnderWay | OtherContent:
        """See ``IdempotencyStore.claim``."""
        async with connected(self._pool) as connection:
            await connection.execute(_CLEAN, KEPT_FOR)
            for owed in list(self._owed):
                await connection.execute(_RELEASE, *owed)
                self._owed.pop(owed, None)
            for _ in range(_ATTEMPTS_MAX):
                deed = new_event_id()
                if await connection.execute(_BEGIN, user_id, key, digest, deed, LEASE) == "INSERT 0 1":
                    return Claim(deed, resumed=False)
                async with connection.transaction():
                    known = await _known(connection, user_id, key, digest)
                if known is not None:
                    return known
        return UnderWay(LEASE.total_seconds())

    async def keep(self, user_id: str, key: str, deed: UUID, answered: Answered) -> None:
        """See ``IdempotencyStore.keep``."""
        headers = msgspec.json.encode(answered.headers).decode()
        async with connected(self._pool) as connection:
            await connection.execute(_KEEP, user_id, key, deed, answered.status, headers, answered.body)

    async def release(self, user_id: str, key: str, deed: UUID) -> None:
        """See ``IdempotencyStore.release``."""
        try:
            async with connected(self._pool) as connection:
                await connection.execute(_RELEASE, user_id, key, deed)
        except StoreUnavailable:
            if len(self._owed) < _OWED_MAX:
                self._owed[user_id, key, deed] = None
            raise


async def _known(
    connection: PoolConnectionProxy, user_id: str, key: str, digest: bytes
) -> Claim | Answered | UnderWay | OtherContent | None:
    """What the row that there is says; None if it has gone, or was too old and goes now."""
    row = await connection.fetchrow(_LOOK, user_id, key, KEPT_FOR)
    if row is None:
        return None
    if row["expired"]:
        await connection.execute(_FORGET, user_id, key)
        return None
    if row["digest"] != digest:
        return OtherContent()
    if row["status"] is not None:
        headers = msgspec.json.decode(row["headers"], type=tuple[tuple[str, str], ...])
        return Answered(row["status"], headers, row["body"])
    if row["lease_seconds"] > 0:
        return UnderWay(row["lease_seconds"])
    await connection.execute(_RESUME, user_id, key, LEASE)
    return Claim(UUID(int=row["deed"].int), resumed=True)
