"""Moves the log's oldest partitions into files: written, read back and compared, announced in the log, then dropped."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol
from uuid import UUID, uuid5

from events.archived import ArchiveDamaged, ArchiveMissing
from events.checkpoint import Checkpoint, CheckpointInvalid, read_unverified
from events.codec import Codec
from events.encoded import StoredEvent
from events.envelope import Metadata, NewEvent
from events.errors import OxbotError
from events.identifiers import EventId
from events.log import ANY_VERSION, EventLog
from events.system import SYSTEM_STREAM, CheckpointSigned, RangeArchived
from oxbot.app.archive_check import HistoryCheck, RangeCheck
from oxbot.app.clock import Clock

CHECKPOINT_TYPE = str(CheckpointSigned.__struct_config__.tag)


class DropRefused(OxbotError):
    """A range must stay in the database for now; the text says why. Nothing was dropped."""


class Range(NamedTuple):
    """The positions of one partition, both ends included."""

    first: int
    last: int


class Archived(NamedTuple):
    """A range in files, as its manifest describes it; ``manifest_sha256`` stands for all of it.

    root: the Merkle root over the range's own leaves.
    checkpoint: the newest signed checkpoint that is of a size within the range and recorded in it, if there is one.
    """

    range: Range
    log_id: UUID
    root: bytes
    checkpoint: str | None
    manifest_sha256: str


class Dropped(NamedTuple):
    """A range that the database has let go, and the manifest it was let go for."""

    range: Range
    manifest_sha256: str


class Listed(NamedTuple):
    """A range, and where it is."""

    range: Range
    archived: Archived | None
    in_database: bool


class Follower(NamedTuple):
    """Who still has to read the log from ``position`` on."""

    name: str
    position: int


class Draft(Protocol):
    """An archive that is being written, under a name that nobody takes for an archive."""

    async def add(self, events: Sequence[StoredEvent]) -> None:
        """The range's next events, in order of position."""
        ...

    async def finish(self, *, root: bytes, checkpoint: str | None) -> None:
        """Write what describes them; all of it is on the disk afterwards."""
        ...

    def pages(self) -> AsyncIterator[Sequence[StoredEvent]]:
        """What was written, read back from the files, in order of position."""
        ...

    async def publish(self) -> Archived:
        """Give it its name, for ever."""
        ...


class ArchiveStore(Protocol):
    """Where archives are kept. What is read raises ``ArchiveDamaged`` where it is not what was written."""

    @property
    def place(self) -> str:
        """Where that is, for people."""
        ...

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """Within it nobody else writes here. Raises ``ArchiveBusy``."""
        ...

    async def archived(self) -> list[Archived]:
        """Every archive, in order of position."""
        ...

    def draft(self, positions: Range, log_id: UUID) -> AbstractAsyncContextManager[Draft]:
        """A new archive; what is not published by the end is gone. For use within ``exclusive``."""
        ...

    def pages(self, archived: Archived) -> AsyncIterator[Sequence[StoredEvent]]:
        """An archive's events, in order of position."""
        ...


class Partitions(Protocol):
    """The log's partitions in the database. Raises ``StoreUnavailable``."""

    async def log_id(self) -> UUID:
        """Which log this is."""
        ...

    async def full(self) -> list[Range]:
        """Those that take no more events, oldest first."""
        ...

    async def dropped(self) -> list[Dropped]:
        """Those that were let go, oldest first."""
        ...

    def pages(self, positions: Range) -> AsyncIterator[Sequence[StoredEvent]]:
        """The range's events, in order of position."""
        ...

    async def leaves(self, positions: Range) -> list[bytes]:
        """The leaf hashes that the database holds for these positions, in order."""
        ...

    async def followers(self) -> list[Follower]:
        """Everybody who has to read the log to its end: the builds of all projections, the sealer."""
        ...

    async def drop(self, positions: Range, manifest_sha256: str) -> None:
        """Let the oldest partition go. Raises ``DropRefused``."""
        ...


class Archiver:
    """The use cases of ``oxbot archive``. Killed between any two steps, the same call goes on where it stopped.

    A draft without a name is thrown away and written again; a published archive is used as it is; the fact's event id
    follows from what it says, so that it is recorded once; a range that was dropped is no longer there to be dropped.
    """

    def __init__(
        self, *, log: EventLog, partitions: Partitions, store: ArchiveStore, codec: Codec, clock: Clock, actor: str
    ) -> None:
        self._log = log
        self._partitions = partitions
        self._store = store
        self._codec = codec
        self._clock = clock
        self._actor = actor
        self._compared: set[str] = set()

    async def create(self) -> AsyncIterator[Archived]:
        """Archive every full partition that is not archived yet, oldest first; each once it is compared and named."""
        async with self._store.exclusive():
            log_id = await self._partitions.log_id()
            known = {archived.range for archived in await self._archived(log_id)}
            for positions in await self._partitions.full():
                if positions not in known:
                    yield await self._create(positions, log_id)

    async def drop(self) -> AsyncIterator[Archived]:
        """Let go of every archived partition that nobody has to read any more, oldest first.

        Raises ``DropRefused`` where not even the oldest can go, and ``ArchiveDamaged``, before a partition is touched,
        where its files are not what the database holds.
        """
        async with self._store.exclusive():
            archives = {one.range: one for one in await self._archived(await self._partitions.log_id())}
            any_dropped = False
            for positions in await self._partitions.full():
                archived = archives.get(positions)
                if archived is None:
                    return
                reason = await self._in_use(positions)
                if reason is not None:
                    if any_dropped:
                        return
                    raise DropRefused(reason)
                await self._drop(archived)
                any_dropped = True
                yield archived

    async def verify(self) -> AsyncIterator[Archived]:
        """Every archive, each once it is verified: leaf hashes, chains and roots, from position 1 on.

        Raises ``ArchiveMissing`` if one that the database needs is not there, and ``ArchiveDamaged``.
        """
        archives = await self._archived(await self._partitions.log_id())
        await self._check_presence(archives)
        history = HistoryCheck()
        for archived in archives:
            check = history.begin(_opened(archived))
            async for events in self._store.pages(archived):
                history.add(events, check.add(events))
            check.end(last=archived.range.last, root=archived.root)
            history.end()
            yield archived

    async def listed(self) -> list[Listed]:
        """Every range that is archived, or could be, oldest first."""
        archives = {archived.range: archived for archived in await self._store.archived()}
        dropped = {found.range for found in await self._partitions.dropped()}
        hot = set(await self._partitions.full())
        return [
            Listed(positions, archived=archives.get(positions), in_database=positions in hot)
            for positions in sorted(archives.keys() | dropped | hot)
        ]

    async def _archived(self, log_id: UUID) -> list[Archived]:
        """The archives at hand, all of this log."""
        archives = await self._store.archived()
        for archived in archives:
            if archived.log_id != log_id:
                raise ArchiveDamaged(
                    f"the archive of positions {archived.range.first} to {archived.range.last} is of the log "
                    f"{archived.log_id}, not of {log_id}"
                )
        return archives

    async def _create(self, positions: Range, log_id: UUID) -> Archived:
        async with self._store.draft(positions, log_id) as draft:
            check, checkpoint = RangeCheck(first=positions.first), None
            async for events in self._partitions.pages(positions):
                check.add(events)
                checkpoint = self._newest_checkpoint(events, within=positions) or checkpoint
                await draft.add(events)
            root = check.end(last=positions.last)
            await draft.finish(root=root, checkpoint=checkpoint)
            await self._compare(positions, draft.pages(), root)
            archived = await draft.publish()
        self._compared.add(archived.manifest_sha256)
        return archived

    async def _compare(self, positions: Range, pages: AsyncIterator[Sequence[StoredEvent]], root: bytes) -> None:
        """The leaf hash covers every field, so leaves that agree with the database's say that all else does."""
        check = RangeCheck(first=positions.first)
        async for events in pages:
            leaves = check.add(events)
            held = await self._partitions.leaves(Range(events[0].position, events[-1].position))
            if len(held) != len(leaves):
                raise ArchiveDamaged(f"position {events[0].position}: the database holds {len(held)} of {len(leaves)}")
            for event, ours, theirs in zip(events, leaves, held, strict=True):
                if ours != theirs:
                    raise ArchiveDamaged(f"position {event.position}: the archive differs from the database")
        check.end(last=positions.last, root=root)

    async def _drop(self, archived: Archived) -> None:
        if archived.manifest_sha256 not in self._compared:
            await self._compare(archived.range, self._store.pages(archived), archived.root)
        fact = RangeArchived(
            first_position=archived.range.first,
            last_position=archived.range.last,
            manifest_sha256=archived.manifest_sha256,
        )
        event = NewEvent(
            event_id=EventId(
                uuid5(archived.log_id, f"{fact.first_position}-{fact.last_position} {fact.manifest_sha256}")
            ),
            occurred_at=self._clock.now(),
            fact=fact,
            metadata=Metadata(actor=self._actor),
        )
        await self._log.append(SYSTEM_STREAM, [event], expected=ANY_VERSION)
        await self._partitions.drop(archived.range, archived.manifest_sha256)

    async def _in_use(self, positions: Range) -> str | None:
        """Why the range must stay in the database, if it must."""
        for follower in await self._partitions.followers():
            if follower.position < positions.last:
                return (
                    f"positions {positions.first} to {positions.last} stay in the database: "
                    f"{follower.name} is only at position {follower.position}"
                )
        return None

    async def _check_presence(self, archives: Sequence[Archived]) -> None:
        """What was dropped must be here, as it was then, and nothing may be left out before the last archive."""
        due = 1
        for archived in archives:
            if archived.range.first != due:
                raise ArchiveMissing(due, archived.range.first - 1, self._store.place)
            due = archived.range.last + 1
        ours = {archived.range: archived.manifest_sha256 for archived in archives}
        for dropped in await self._partitions.dropped():
            if dropped.range not in ours:
                raise ArchiveMissing(dropped.range.first, dropped.range.last, self._store.place)
            check_manifest(dropped, found=ours[dropped.range], place=self._store.place)

    def _newest_checkpoint(self, events: Sequence[StoredEvent], *, within: Range) -> str | None:
        signed = [event for event in events if event.event_type == CHECKPOINT_TYPE and event.stream == SYSTEM_STREAM]
        if not signed:
            return None
        fact = self._codec.decode(CHECKPOINT_TYPE, signed[-1].schema_version, signed[-1].payload)
        return fact.note if isinstance(fact, CheckpointSigned) and fact.tree_size >= within.first else None


def check_manifest(dropped: Dropped, *, found: str, place: str) -> None:
    """Raise ``ArchiveDamaged`` unless the archive found is the one that the database was emptied for."""
    if found != dropped.manifest_sha256:
        raise ArchiveDamaged(
            f"the archive of positions {dropped.range.first} to {dropped.range.last} in {place} has the manifest "
            f"{found}, but the database let go of them for {dropped.manifest_sha256}"
        )


def _opened(archived: Archived) -> Checkpoint | None:
    """What its checkpoint says; who signed it is for the audit to ask."""
    if archived.checkpoint is None:
        return None
    try:
        return read_unverified(archived.checkpoint)
    except CheckpointInvalid as error:
        raise ArchiveDamaged(
            f"the archive of positions {archived.range.first} to {archived.range.last}: {error}"
        ) from error
