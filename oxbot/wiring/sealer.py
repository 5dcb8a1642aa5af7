"""A process that seals the log: signs the root of its Merkle tree and records it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from events.codec import Codec
from oxbot.adapters.archived_audit import ArchivedTree
from oxbot.adapters.checkpoint_key import last_checkpoint, signer_key
from oxbot.adapters.postgres_tree import PostgresCheckpoints, PostgresTree
from oxbot.app.clock import SystemClock
from oxbot.app.sealer import Sealer
from oxbot.wiring.archive import archive
from oxbot.wiring.connections import FIXED
from oxbot.wiring.stores import Database, open_stores


@asynccontextmanager
async def open_sealer(home: Path, database: Database, *, interval_seconds: float) -> AsyncIterator[Sealer]:
    """The sealer of the database's log, with the key and the memory in ``home``. Raises ``KeyFileUnusable``."""
    connections = FIXED["sealer"]
    async with open_stores(database, "oxbot_sealer", name="sealer", connections=connections) as stores:
        checkpoints = PostgresCheckpoints(stores.pool, Codec())
        log_id = await checkpoints.log_id()
        tree = PostgresTree(stores.pool)
        yield Sealer(
            stores.log,
            tree if database.archive is None else ArchivedTree(tree, archive(stores, database.archive)),
            checkpoints=checkpoints,
            memory=last_checkpoint(home, log_id),
            key=signer_key(home, log_id),
            clock=SystemClock(),
            interval_seconds=interval_seconds,
        )
