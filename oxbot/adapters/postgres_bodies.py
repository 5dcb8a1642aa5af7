"""The store of bodies in Postgres: a row per content, whose hash the database itself has checked."""

from binascii import unhexlify

import asyncpg

from events.identifiers import BodyHash
from oxbot.adapters.database import connected
from oxbot.app.bodies import BodyMissing, body_hash, check_size

_PUT = "INSERT INTO log.bodies (sha256, body) VALUES ($1, $2) ON CONFLICT (sha256) DO NOTHING"
_GET = "SELECT body FROM log.bodies WHERE sha256 = $1"


class PostgresBodies:
    """A ``BodyStore`` over a pool; Postgres compresses what is long, and refuses a row under a hash not its own."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def put(self, data: bytes) -> BodyHash:
        """See ``BodyStore.put``. Raises ``StoreUnavailable``; putting the body again is always right."""
        check_size(data)
        body = body_hash(data)
        async with connected(self._pool) as connection:
            await connection.execute(_PUT, unhexlify(body), data)
        return body

    async def get(self, body: BodyHash) -> bytes:
        """See ``BodyStore.get``. Raises ``StoreUnavailable``."""
        try:
            key = unhexlify(body)
        except ValueError:
            raise BodyMissing(body) from None
        async with connected(self._pool) as connection:
            kept: bytes | None = await connection.fetchval(_GET, key)
        if kept is None:
            raise BodyMissing(body)
        return kept
