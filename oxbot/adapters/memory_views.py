"""The views in memory: what tests and short runs use, under the same contract as Postgres."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from events.errors import UnknownFact
from events.identifiers import BotId, EventId, OwnerId, bot_stream, new_event_id
from events.log import EventLog
from oxbot.app.views import (
    SERVING,
    Checkpoint,
    CheckpointMoved,
    Found,
    Standing,
    StoredRow,
    Swap,
    Target,
    UnknownProjection,
)
from oxbot.views.fold import Poison, RowChange
from oxbot.views.projections import PROJECTION_OF, PROJECTIONS, VIEWS_OF
from oxbot.views.rows import ViewName

Rows = dict[ViewName, dict[tuple[str, str], bytes]]


class _Build:
    """One build of one projection."""

    def __init__(self, projection: str, version: int, build: EventId) -> None:
        self.rows: Rows = {view: {} for view in VIEWS_OF[projection]}
        self.books: dict[str, bytes] = {}
        self.checkpoint = Checkpoint(build, version, 0)
        self.stopped: Poison | None = None
        self.served: Swap | None = None
        self.announced = True
        self.seen_at = datetime.now(UTC)


class MemoryViews:
    """Implements ``RebuildStore`` and ``ViewReader``; forgets everything when its process ends.

    Lag is shown against ``log``, and versions are those of its streams; without one there are none.
    """

    def __init__(self, log: EventLog | None = None) -> None:
        self._log = log
        self._builds = {Target(known.name): _Build(known.name, known.version, new_event_id()) for known in PROJECTIONS}

    async def checkpoint(self, target: Target) -> Checkpoint | None:
        """How far the build is."""
        build = self._builds.get(target)
        return build.checkpoint if build else None

    async def books(self, target: Target, owners: Sequence[str]) -> dict[str, bytes]:
        """What the projector last remembered of these owners."""
        build = self._builds.get(target)
        return {owner: build.books[owner] for owner in owners if owner in build.books} if build else {}

    async def commit(
        self,
        target: Target,
        changes: Sequence[RowChange],
        books: Mapping[str, bytes],
        *,
        after: Checkpoint,
        reached: Checkpoint,
    ) -> None:
        """Keep rows, books and checkpoint together; ``CheckpointMoved`` if somebody else was first."""
        build = self._at(target, after)
        for change in changes:
            rows, place = build.rows[change.view], (change.owner, change.key)
            if change.body is None:
                rows.pop(place, None)
            else:
                rows[place] = change.body
        build.books.update(books)
        build.checkpoint = reached
        build.stopped = None
        build.seen_at = datetime.now(UTC)

    async def stop(self, target: Target, poison: Poison, *, at: Checkpoint) -> None:
        """Show why the build goes no further."""
        build = self._at(target, at)
        build.stopped, build.seen_at = poison, datetime.now(UTC)

    async def beat(self, target: Target, *, at: Checkpoint) -> None:
        """Show that somebody keeps the build and that nothing stops it."""
        build = self._at(target, at)
        build.stopped, build.seen_at = None, datetime.now(UTC)

    async def open_rebuild(self, projection: str, *, version: int, build: EventId) -> None:
        """Make an empty build beside the serving one, unless there is one."""
        self._builds.setdefault(Target(projection, rebuild=True), _Build(projection, version, build))

    async def discard_rebuild(self, projection: str) -> bool:
        """Drop the build under way."""
        return self._builds.pop(Target(projection, rebuild=True), None) is not None

    async def serve_rebuild(self, projection: str, *, rebuilt: Checkpoint, head: int) -> bool:
        """Let the build serve from now on."""
        build = self._at(Target(projection, rebuild=True), rebuilt)
        if rebuilt.position < self._builds[Target(projection)].checkpoint.position <= head:
            return False
        build.served, build.announced, build.stopped = Swap(*rebuilt), False, None
        self._builds[Target(projection)] = self._builds.pop(Target(projection, rebuild=True))
        return True

    async def unannounced(self, projection: str) -> Swap | None:
        """The last swap, if its fact may still be missing from the log."""
        build = self._builds[Target(projection)]
        return None if build.announced else build.served

    async def announced(self, projection: str, build: EventId) -> None:
        """The fact of that swap is in the log."""
        serving = self._builds[Target(projection)]
        serving.announced = serving.announced or serving.checkpoint.build == build

    async def row(self, view: ViewName, owner: str, key: str = "") -> bytes | None:
        """One row's JSON."""
        return await self._now(view).row(view, owner, key)

    async def rows(
        self, view: ViewName, owner: str, *, after_key: str = "", limit: int, descending: bool = False
    ) -> list[StoredRow]:
        """An owner's rows after a key."""
        return await self._now(view).rows(view, owner, after_key=after_key, limit=limit, descending=descending)

    async def across(
        self, view: ViewName, *, of_owners: Collection[OwnerId] | None = None, after_bot: str = "", limit: int
    ) -> list[StoredRow]:
        """The single-row views across bots."""
        return await self._now(view).across(view, of_owners=of_owners, after_bot=after_bot, limit=limit)

    async def position(self, projection: str = SERVING) -> int:
        """The position up to which the serving views are built."""
        return self._serving(projection).checkpoint.position

    async def found(self, view: ViewName, owner: str, key: str = "") -> Found:
        """One row with its position, and the log's."""
        position = await self.position(PROJECTION_OF[view])
        body = await self.row(view, owner, key)
        return Found(body, position, position if self._log is None else await self._log.head())

    @asynccontextmanager
    async def snapshot(self, projection: str = SERVING) -> AsyncIterator["MemorySnapshot"]:
        """The serving rows at one position."""
        serving = self._serving(projection)
        rows = {view: dict(rows) for view, rows in serving.rows.items()}
        yield MemorySnapshot(rows, serving.checkpoint, self._log)

    async def standings(self) -> list[Standing]:
        """Every build of every projection."""
        return [await self._standing(target, build) for target, build in sorted(self._builds.items())]

    async def _standing(self, target: Target, build: _Build) -> Standing:
        version, position = build.checkpoint.version, build.checkpoint.position
        head = position if self._log is None else await self._log.head()
        lag_seconds = await self._lag_seconds(position) if position < head else 0.0
        seen = (datetime.now(UTC) - build.seen_at).total_seconds()
        place = (*target, version, position, head)
        return Standing(*place, lag_seconds, build.stopped, build.seen_at, seen)

    async def _lag_seconds(self, position: int) -> float:
        if self._log is None:
            return 0.0
        try:
            following = await self._log.read_all(after_position=position, limit=1)
        except UnknownFact:
            return 0.0
        return max(0.0, (datetime.now(UTC) - following[0].recorded_at).total_seconds()) if following else 0.0

    def _now(self, view: ViewName) -> "MemorySnapshot":
        serving = self._builds[Target(PROJECTION_OF[view])]
        return MemorySnapshot(serving.rows, serving.checkpoint)

    def _serving(self, projection: str) -> _Build:
        build = self._builds.get(Target(projection))
        if build is None:
            raise UnknownProjection(f"there is no projection {projection}")
        return build

    def _at(self, target: Target, checkpoint: Checkpoint) -> _Build:
        build = self._builds.get(target)
        if build is None or not _same(build.checkpoint, checkpoint):
            raise CheckpointMoved(f"projection {target.projection} is no longer at position {checkpoint.position}")
        return build


class MemorySnapshot:
    """Rows at one position."""

    def __init__(self, rows: Rows, checkpoint: Checkpoint, log: EventLog | None = None) -> None:
        self._rows = rows
        self._log = log
        self.position = checkpoint.position
        self.version = checkpoint.version

    async def row(self, view: ViewName, owner: str, key: str = "") -> bytes | None:
        """One row's JSON."""
        return self._rows[view].get((owner, key))

    async def rows(
        self, view: ViewName, owner: str, *, after_key: str = "", limit: int, descending: bool = False
    ) -> list[StoredRow]:
        """An owner's rows after a key."""
        rows = [row for row in self._sorted(view) if row.owner == owner]
        if descending:
            return [row for row in reversed(rows) if not after_key or row.key < after_key][:limit]
        return [row for row in rows if row.key > after_key][:limit]

    async def across(
        self, view: ViewName, *, of_owners: Collection[OwnerId] | None = None, after_bot: str = "", limit: int
    ) -> list[StoredRow]:
        """The single-row views across bots."""
        rows = [row for row in self._sorted(view) if row.owner > after_bot]
        if of_owners is not None:
            theirs = {bot_id for owner, bot_id in self._rows["owned"] if owner in of_owners}
            rows = [row for row in rows if row.owner in theirs]
        return rows[:limit]

    async def everything(self) -> dict[ViewName, list[StoredRow]]:
        """Every row of every view."""
        return {view: self._sorted(view) for view in self._rows}

    async def version_of(self, bot_id: BotId) -> int:
        """The version of the bot's stream at this position."""
        if self._log is None:
            return 0
        events = await self._log.read_stream(bot_stream(bot_id), up_to_position=self.position)
        return events[-1].version if events else 0

    def _sorted(self, view: ViewName) -> list[StoredRow]:
        return [StoredRow(owner, key, body) for (owner, key), body in sorted(self._rows[view].items())]


def _same(one: Checkpoint, other: Checkpoint) -> bool:
    return (one.build, one.position) == (other.build, other.position)
