"""A log of small partitions with an archive beside it, whose parts can be told to die."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg

from events.archived import ArchivedLog
from events.codec import Codec
from events.encoded import StoredEvent
from events.envelope import NewEvent
from events.identifiers import StreamId
from events.log import ANY_VERSION, Appended
from events.postgres import PostgresEventLog
from oxbot.adapters.archive_files import ArchiveFiles, FileDraft
from oxbot.adapters.archive_reader import ArchiveReader
from oxbot.adapters.postgres_partitions import PostgresPartitions
from oxbot.app.archive import Archived, Archiver, Range
from oxbot.app.clock import SystemClock
from tests.core.scenario import created
from tests.partitions import catch_up, fill, pauses, shrink_partitions

CHUNK = 16
BOTS = (StreamId("bot-1"), StreamId("bot-2"), StreamId("bot-3"))


class Killed(Exception):
    """The process ended here."""


class Fuse:
    """Says at which step the process ends, once."""

    def __init__(self, step: str = "") -> None:
        self._step = step

    def reach(self, step: str) -> None:
        """End here if this is the step."""
        if step == self._step:
            self._step = ""
            raise Killed(step)


class MortalLog:
    """Appends to a log, and dies before or after it."""

    def __init__(self, log: PostgresEventLog, fuse: Fuse) -> None:
        self._log = log
        self._fuse = fuse
        self.read_stream = log.read_stream
        self.read_all = log.read_all
        self.head = log.head
        self.wait_beyond = log.wait_beyond
        self.position_at = log.position_at

    async def append(self, stream: StreamId, events: Sequence[NewEvent], *, expected: int) -> Appended:
        """See ``EventLog.append``."""
        self._fuse.reach("before the fact")
        appended = await self._log.append(stream, events, expected=expected)
        self._fuse.reach("after the fact")
        return appended


class MortalPartitions(PostgresPartitions):
    """Dies before or after a partition is dropped."""

    def __init__(self, pool: asyncpg.Pool, fuse: Fuse) -> None:
        super().__init__(pool, Codec())
        self._fuse = fuse

    async def drop(self, positions: Range, manifest_sha256: str) -> None:
        """See ``Partitions.drop``."""
        self._fuse.reach("before the drop")
        await super().drop(positions, manifest_sha256)
        self._fuse.reach("after the drop")


class MortalDraft:
    """Dies before or after what it does, or is on a disk that does not keep what was written."""

    def __init__(self, draft: FileDraft, fuse: Fuse, *, spoiled: Path | None) -> None:
        self._draft = draft
        self._fuse = fuse
        self._spoiled = spoiled
        self.pages = draft.pages

    async def add(self, events: Sequence[StoredEvent]) -> None:
        """See ``Draft.add``."""
        await self._draft.add(events)
        self._fuse.reach("while writing")

    async def finish(self, *, root: bytes, checkpoint: str | None) -> None:
        """See ``Draft.finish``."""
        await self._draft.finish(root=root, checkpoint=checkpoint)
        if self._spoiled is not None:
            for chunk in self._spoiled.glob(".draft-*/events-*"):
                chunk.chmod(0o600)
                chunk.write_bytes(b"")
        self._fuse.reach("when all is written")

    async def publish(self) -> Archived:
        """See ``Draft.publish``."""
        self._fuse.reach("before the name")
        archived = await self._draft.publish()
        self._fuse.reach("after the name")
        return archived


class MortalFiles(ArchiveFiles):
    """Dies while an archive is made."""

    def __init__(self, directory: Path, fuse: Fuse, *, spoils: bool) -> None:
        super().__init__(directory, chunk_events=CHUNK)
        self._fuse = fuse
        self._spoiled = directory if spoils else None

    @asynccontextmanager
    async def draft(self, positions: Range, log_id: UUID) -> AsyncIterator[MortalDraft]:  # type: ignore[override]  # the port asks for less
        """See ``ArchiveStore.draft``."""
        async with super().draft(positions, log_id) as draft:
            yield MortalDraft(draft, self._fuse, spoiled=self._spoiled)


STEPS = (
    "while writing",
    "when all is written",
    "before the name",
    "after the name",
    "before the fact",
    "after the fact",
    "before the drop",
    "after the drop",
)


def archiver(pool: asyncpg.Pool, directory: Path, *, dies: str = "", spoils: bool = False) -> Archiver:
    """The use cases over real files and a real database; killed at a step if one is named, or on a bad disk."""
    fuse = Fuse(dies)
    return Archiver(
        log=MortalLog(PostgresEventLog(pool, Codec()), fuse),
        partitions=MortalPartitions(pool, fuse),
        store=MortalFiles(directory, fuse, spoils=spoils),
        codec=Codec(),
        clock=SystemClock(),
        actor="tests",
    )


def whole_log(pool: asyncpg.Pool, directory: Path) -> ArchivedLog:
    """The log over database and archive."""
    reader = ArchiveReader(directory, PostgresPartitions(pool, Codec()))
    return ArchivedLog(PostgresEventLog(pool, Codec()), reader, Codec())


async def begun(pool: asyncpg.Pool, count: int) -> PostgresEventLog:
    """A log of small partitions with three bots and so many events, then one more, a checkpoint; all have read it."""
    await shrink_partitions(pool)
    log = PostgresEventLog(pool, Codec())
    await more(log, pool, count)
    return log


async def more(log: PostgresEventLog, pool: asyncpg.Pool, count: int) -> None:
    """So many events of the bots, then a checkpoint; all have read it."""
    head = await log.head()
    if head == 0:
        for bot in BOTS:
            [event] = pauses(1)
            first = NewEvent(event_id=event.event_id, occurred_at=event.occurred_at, fact=created())
            await log.append(bot, [first], expected=ANY_VERSION)
        count -= len(BOTS)
    await fill(log, count)
    leaves = [leaf for (leaf,) in await pool.fetch("SELECT leaf_hash FROM log.events ORDER BY position")]
    await catch_up(log, pool, leaves)


async def archive_and_drop(pool: asyncpg.Pool, directory: Path) -> list[Range]:
    """Archive all full partitions and drop them; their ranges."""
    work = archiver(pool, directory)
    ranges = [archived.range async for archived in work.create()]
    assert [archived.range async for archived in work.drop()] == ranges
    return ranges
