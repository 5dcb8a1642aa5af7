"""What moves the log's oldest partitions into files, and what reads them there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from events.codec import Codec
from oxbot.adapters.archive_files import ArchiveFiles
from oxbot.adapters.archive_reader import ArchiveReader
from oxbot.adapters.postgres_partitions import PostgresPartitions
from oxbot.app.archive import Archiver
from oxbot.app.clock import SystemClock
from oxbot.wiring.stores import Database, Stores, open_stores


def archive(stores: Stores, directory: Path) -> ArchiveReader:
    """What has left the database, read from the directory; nothing is looked up before it is needed."""
    return ArchiveReader(directory, PostgresPartitions(stores.pool, Codec()))


@asynccontextmanager
async def open_archiver(database: Database, directory: Path, *, actor: str) -> AsyncIterator[Archiver]:
    """The use cases of ``oxbot archive``, in the name of ``actor``."""
    async with open_stores(database, "oxbot_archiver", name="archive", connections=2) as stores:
        yield Archiver(
            log=stores.log,
            partitions=PostgresPartitions(stores.pool, Codec()),
            store=ArchiveFiles(directory),
            codec=Codec(),
            clock=SystemClock(),
            actor=actor,
        )
