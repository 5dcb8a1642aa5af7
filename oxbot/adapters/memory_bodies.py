"""The store of bodies that lives in memory, for tests, under the same contract as Postgres."""

import zlib

from events.identifiers import BodyHash
from oxbot.app.bodies import BodyMissing, body_hash, check_size


class MemoryBodies:
    """A ``BodyStore`` that forgets everything when its process ends."""

    def __init__(self) -> None:
        self._kept: dict[BodyHash, bytes] = {}

    async def put(self, data: bytes) -> BodyHash:
        """See ``BodyStore.put``."""
        check_size(data)
        body = body_hash(data)
        self._kept.setdefault(body, zlib.compress(data))
        return body

    async def get(self, body: BodyHash) -> bytes:
        """See ``BodyStore.get``."""
        kept = self._kept.get(body)
        if kept is None:
            raise BodyMissing(body)
        return zlib.decompress(kept)
