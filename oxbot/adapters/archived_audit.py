"""The log under audit from its first event on: what has left the database is read from the archive's files."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

import msgspec

from events.archived import Archive, RangeDamaged
from events.codec import Codec
from events.encoded import StoredEvent
from events.entry import raw_event
from events.errors import BelowFloor, UnknownFact
from events.merkle import Span, Subtree
from events.system import SYSTEM_STREAM, CheckpointSigned
from oxbot.app.archive import CHECKPOINT_TYPE
from oxbot.app.audit_log import AuditedLog, LogStanding, Page, StoredEvents
from oxbot.app.tree import TreeStore, TreeUnusable

PAGE = 20_000


class DatabaseAudit(AuditedLog, StoredEvents, Protocol):
    """What the database holds of the log, as it is stored."""


class _Cold(NamedTuple):
    """The archived events up to a position, or why they cannot be read; empty where that was said already."""

    events: Sequence[StoredEvent]
    last: int
    lost: str | None = None


class ArchivedAudit:
    """An ``AuditedLog``, and ``StoredEvents``, over the database's and an archive.

    Files that are not what the database was emptied for are pages that are lost; without any, ``ArchiveMissing``.
    """

    def __init__(self, log: DatabaseAudit, archive: Archive, codec: Codec) -> None:
        self._log = log
        self._archive = archive
        self._codec = codec
        self._floor = 1

    async def standing(self) -> LogStanding:
        """See ``AuditedLog.standing``; whatever is archived counts as held."""
        standing = await self._log.standing()
        self._floor = standing.floor
        return standing._replace(floor=1, ids_from=standing.floor)

    async def pages(self, *, after_position: int, up_to: int) -> AsyncIterator[Page]:
        """See ``AuditedLog.pages``; for the standing that was asked for last."""
        archived = min(up_to, self._floor - 1)
        async for cold in self._cold(after_position, archived):
            yield Page([raw_event(event) for event in cold.events], cold.last, cold.lost)
        async for page in self._log.pages(after_position=max(after_position, archived), up_to=up_to):
            yield page

    async def checkpoint_sizes(self, up_to: int) -> Sequence[int]:
        """See ``AuditedLog.checkpoint_sizes``."""
        sizes = []
        pages = self._cold(0, min(up_to, self._floor - 1), types=[CHECKPOINT_TYPE])
        for event in [event async for cold in pages for event in cold.events]:
            with suppress(UnknownFact, msgspec.MsgspecError):
                fact = self._codec.decode(CHECKPOINT_TYPE, event.schema_version, event.payload)
                if isinstance(fact, CheckpointSigned) and event.stream == SYSTEM_STREAM:
                    sizes.append(fact.tree_size)
        return [*sizes, *await self._log.checkpoint_sizes(up_to)]

    async def misfiled(self, standing: LogStanding) -> int | None:
        """See ``AuditedLog.misfiled``; the ids of archived events are not compared."""
        return await self._log.misfiled(standing._replace(floor=self._floor))

    async def at(self, position: int) -> StoredEvent | None:
        """See ``StoredEvents.at``."""
        try:
            return await self._log.at(position)
        except BelowFloor:
            found = await self._archive.read_all(after_position=position - 1, up_to=position, limit=1)
            return found[0] if found else None

    async def _cold(self, after: int, up_to: int, *, types: Sequence[str] | None = None) -> AsyncIterator[_Cold]:
        """The archived events after a position, a page at a time, around whatever is damaged."""
        position, end, said = after, up_to, 0
        while position < up_to:
            last = min(position + PAGE, end)
            try:
                events = await self._archive.read_all(after_position=position, up_to=last, limit=PAGE, types=types)
            except RangeDamaged as damaged:
                if damaged.first > position + 1:
                    end = damaged.first - 1
                    continue
                last = min(damaged.last, position + PAGE, up_to)
                yield _Cold((), last, "" if said == damaged.first else str(damaged))
                said = damaged.first
            else:
                yield _Cold(events, last)
            position, end = last, up_to


class ArchivedTree:
    """A ``TreeStore`` over the database's, whose lowest leaves are in an archive."""

    def __init__(self, tree: TreeStore, archive: Archive) -> None:
        self._tree = tree
        self._archive = archive

    async def leaves(self, start: int, end: int) -> Sequence[bytes]:
        """See ``TreeStore.leaves``."""
        try:
            return await self._tree.leaves(start, end)
        except TreeUnusable:
            cold = await self._archive.read_all(after_position=start, up_to=end, limit=end - start)
        archived = start + len(cold)
        hot = await self._tree.leaves(archived, end) if archived < end else []
        return [*(event.leaf_hash for event in cold), *hot]

    async def subtrees(self, span: Span) -> Sequence[bytes]:
        """See ``TreeStore.subtrees``."""
        return await self._tree.subtrees(span)

    async def keep(self, subtrees: Sequence[Subtree]) -> None:
        """See ``TreeStore.keep``."""
        await self._tree.keep(subtrees)

    async def kept(self) -> int:
        """See ``TreeStore.kept``."""
        return await self._tree.kept()
