"""Stores of views that die, hesitate or fail, and ways to look at what is stored."""

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat

import msgspec

from events.encoded import EncodedCommand, EncodedEvent
from events.errors import StoreUnavailable
from events.identifiers import BotId, EventId, StreamId, new_event_id
from events.log import ANY_VERSION, Appended, EventLog
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from oxbot.adapters.memory_views import MemoryViews
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.app.follower import Follower
from oxbot.app.projection import ProjectionRunner
from oxbot.app.skips import Skips
from oxbot.app.views import Checkpoint, RebuildStore, StoredRow, Swap, Target
from oxbot.views.bot_views import BOTS as BOTS_PROJECTION
from oxbot.views.fold import Poison, RowChange
from oxbot.views.projections import AnyProjection
from oxbot.views.rows import ViewName
from tests.core.scenario import START

BOTS = [BotId(f"bot-{number}") for number in (1, 2, 3)]
SERVING = Target("bots")
AnyLog = MemoryEventLog | PostgresEventLog
Everything = tuple[int, dict[ViewName, list[StoredRow]], dict[str, bytes]]


async def everything(views: MemoryViews | PostgresViews, projection: str = "bots") -> Everything:
    """Every row, the checkpoint and what the projector remembers of the bots."""
    async with views.snapshot(projection) as snapshot:
        return snapshot.position, await snapshot.everything(), await views.books(Target(projection), BOTS)


def follower(
    log: EventLog,
    views: RebuildStore,
    projection: AnyProjection = BOTS_PROJECTION,
    *,
    rebuild: bool = False,
    batch: int = 2000,
) -> Follower:
    """One projection alone, not begun."""
    return Follower(projection, log=log, store=views, skips=Skips(log), rebuild=rebuild, batch=batch)


async def plant(views: RebuildStore, *changes: RowChange, target: Target = SERVING) -> None:
    """Change rows behind the projector's back."""
    checkpoint = await views.checkpoint(target)
    assert checkpoint is not None
    await views.commit(target, changes, {}, after=checkpoint, reached=checkpoint)


async def put(log: AnyLog, stream: StreamId, event_type: str, payload: bytes) -> int:
    """Append bytes that no codec of ours would write; the position."""
    event = EncodedEvent(new_event_id(), event_type, 1, START, payload, msgspec.msgpack.encode({}))
    [outcome] = await log.append_encoded([EncodedCommand(stream, ANY_VERSION, [event])])
    assert isinstance(outcome, Appended)
    return outcome.position


def random_sizes(chances: random.Random) -> Iterator[int]:
    """Small pages."""
    while True:
        yield chances.randint(1, 25)


class Killed(BaseException):
    """The projector's process died."""


class MortalViews:
    """A ``RebuildStore`` whose caller dies at some writes: "before" one is made, or "after"; or it is "away"."""

    def __init__(self, inner: RebuildStore, deaths: Sequence[str] = ()) -> None:
        self._inner = inner
        self._deaths = chain(deaths, repeat(""))
        self.commits = 0

    async def checkpoint(self, target: Target) -> Checkpoint | None:
        """The inner store's."""
        return await self._inner.checkpoint(target)

    async def books(self, target: Target, owners: Sequence[str]) -> dict[str, bytes]:
        """The inner store's."""
        return await self._inner.books(target, owners)

    async def commit(
        self,
        target: Target,
        changes: Sequence[RowChange],
        books: Mapping[str, bytes],
        *,
        after: Checkpoint,
        reached: Checkpoint,
    ) -> None:
        """The inner store's, unless death comes before."""
        self.commits += 1
        death = self._before()
        await self._inner.commit(target, changes, books, after=after, reached=reached)
        self._after(death)

    async def stop(self, target: Target, poison: Poison, *, at: Checkpoint) -> None:
        """The inner store's."""
        await self._inner.stop(target, poison, at=at)

    async def beat(self, target: Target, *, at: Checkpoint) -> None:
        """The inner store's."""
        await self._inner.beat(target, at=at)

    async def open_rebuild(self, projection: str, *, version: int, build: EventId) -> None:
        """The inner store's, unless death comes before."""
        death = self._before()
        await self._inner.open_rebuild(projection, version=version, build=build)
        self._after(death)

    async def discard_rebuild(self, projection: str) -> bool:
        """The inner store's."""
        return await self._inner.discard_rebuild(projection)

    async def serve_rebuild(self, projection: str, *, rebuilt: Checkpoint, head: int) -> bool:
        """The inner store's, unless death comes before."""
        death = self._before()
        served = await self._inner.serve_rebuild(projection, rebuilt=rebuilt, head=head)
        self._after(death)
        return served

    async def unannounced(self, projection: str) -> Swap | None:
        """The inner store's."""
        return await self._inner.unannounced(projection)

    async def announced(self, projection: str, build: EventId) -> None:
        """The inner store's, unless death comes before."""
        death = self._before()
        await self._inner.announced(projection, build)
        self._after(death)

    def _before(self) -> str:
        death = next(self._deaths)
        if death == "before":
            raise Killed
        if death == "away":
            raise StoreUnavailable("the database does not answer")
        return death

    def _after(self, death: str) -> None:
        if death == "after":
            raise Killed


class HesitantViews(MortalViews):
    """A store that lets others run before it answers."""

    def __init__(self, inner: RebuildStore, chances: random.Random) -> None:
        super().__init__(inner)
        self._chances = chances

    async def books(self, target: Target, owners: Sequence[str]) -> dict[str, bytes]:
        """The inner store's, late."""
        for _ in range(self._chances.randrange(12)):
            await asyncio.sleep(0)
        return await super().books(target, owners)


async def project_to_the_end(log: EventLog, views: RebuildStore) -> None:
    """One projector after another, each a fresh one, until one has reached the head."""
    while True:
        try:
            await ProjectionRunner(log, views).catch_up()
        except Killed:
            continue
        return
