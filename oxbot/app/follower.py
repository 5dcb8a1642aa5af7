"""Takes one build of one projection along the log: in batches, each written together with its checkpoint."""

import asyncio
from collections.abc import Collection, Sequence
from typing import NamedTuple, TypeVar

import structlog

from events.envelope import RecordedEvent
from events.errors import OxbotError, UndecodableFact
from events.log import LogReader
from oxbot.app.skips import Skips
from oxbot.app.views import Checkpoint, CheckpointMoved, RowsRefused, Target, UnknownProjection, ViewStore
from oxbot.views.fold import Folded, Poison, explain
from oxbot.views.projections import AnyProjection

BATCH = 2000
WAIT_SECONDS = 1.0
BEAT_SECONDS = 5.0

logger = structlog.get_logger(__name__)

AnswerT = TypeVar("AnswerT")


class ProjectionStopped(OxbotError):
    """A projection met an event that it cannot apply; everything before it is applied."""

    def __init__(self, projection: str, poison: Poison) -> None:
        kind = f" ({poison.event_type})" if poison.event_type else ""
        super().__init__(f"projection {projection} is stopped at position {poison.position}{kind}: {poison.error}")
        self.projection = projection
        self.poison = poison


class OtherVersion(OxbotError):
    """The stored views were built by another version of the projection; they are not to be mixed with this one's."""

    def __init__(self, projection: str, *, stored: int, ours: int) -> None:
        super().__init__(f"projection {projection}: the views are of version {stored}, this program's is {ours}")
        self.stored = stored
        self.ours = ours


class CheckpointAhead(OxbotError):
    """The views claim events that the log does not have: log or views were restored without the other."""

    def __init__(self, projection: str, *, checkpoint: int, head: int) -> None:
        super().__init__(
            f"projection {projection} is built up to position {checkpoint}, but the log ends at {head}; "
            "restore both together, or rebuild the projection"
        )
        self.checkpoint = checkpoint
        self.head = head


class Page(NamedTuple):
    """The next events, and the one after them if it cannot be decoded."""

    events: Sequence[RecordedEvent]
    undecodable: UndecodableFact | None

    @property
    def empty(self) -> bool:
        """Whether there is nothing new."""
        return not self.events and self.undecodable is None

    @property
    def end(self) -> int:
        """The last position of a page that is not empty."""
        return self.undecodable.position if self.undecodable else self.events[-1].position

    def reached(self, projection: AnyProjection, folded: Folded, skipped: Collection[int]) -> tuple[int, Poison | None]:
        """Up to where the projection could apply the page, and what stands there if that is not its end.

        An event that cannot be decoded, such as a newer program's, stops those projections whose stream it is in.
        """
        if folded.poison is not None:
            return folded.poison.position - 1, folded.poison
        fact = self.undecodable
        if fact is None:
            return self.end, None
        if projection.owner(fact.stream) is None or fact.position in skipped:
            return fact.position, None
        return fact.position - 1, Poison(fact.position, fact.event_type, fact.reason)


async def read_page(log: LogReader, *, after: int, limit: int) -> Page:
    """At most ``limit`` events after a position, up to the first that cannot be decoded."""
    try:
        return Page(await log.read_all(after_position=after, limit=limit), None)
    except UndecodableFact as fact:
        before = fact.position - 1
        if before == after:
            return Page((), fact)
        events = await log.read_all(after_position=after, limit=limit, up_to=before)
        return Page(events, fact if len(events) == before - after else None)


class Follower:
    """Keeps one build; killed at any moment, the next one goes on from its checkpoint, nothing twice."""

    def __init__(
        self,
        projection: AnyProjection,
        *,
        log: LogReader,
        store: ViewStore,
        skips: Skips,
        rebuild: bool = False,
        batch: int = BATCH,
    ) -> None:
        self.target = Target(projection.name, rebuild)
        self._projection = projection
        self._log = log
        self._store = store
        self._skips = skips
        self._batch = batch
        self._limit = batch
        self.skipped: frozenset[int] = frozenset()
        """The positions that this follower passed over or will."""
        self._fold = projection.fold()
        self._checkpoint: Checkpoint | None = None
        self._goal = 0
        self._beat_due = 0.0

    @property
    def checkpoint(self) -> Checkpoint:
        """Up to where this follower has built. Raises ``UnknownProjection`` before it has begun."""
        if self._checkpoint is None:
            raise UnknownProjection(f"projection {self.target.projection} has not begun")
        return self._checkpoint

    @property
    def position(self) -> int:
        """The position up to which this follower has built, 0 before it has begun."""
        return 0 if self._checkpoint is None else self._checkpoint.position

    async def begin(self) -> Checkpoint:
        """Forget everything and go on from the stored checkpoint.

        Raises ``UnknownProjection``, ``OtherVersion``, or ``CheckpointAhead``.
        """
        stored = await self._store.checkpoint(self.target)
        if stored is None:
            raise UnknownProjection(f"there is no build of projection {self.target.projection}")
        if stored.position and stored.version != self._projection.version:
            raise OtherVersion(self.target.projection, stored=stored.version, ours=self._projection.version)
        head = await self._log.head()
        if stored.position > head:
            raise CheckpointAhead(self.target.projection, checkpoint=stored.position, head=head)
        same_build = self._checkpoint is not None and self._checkpoint.build == stored.build
        await self._heed(vouched_for=self.position if same_build else 0, built_to=stored.position)
        self._fold = self._projection.fold()
        self._limit = self._batch
        self._checkpoint = stored
        self._goal = head
        return stored

    async def step(self) -> bool:
        """Build one batch further; False if there was nothing new.

        Raises ``ProjectionStopped`` once everything before the event that stops it is stored, or ``CheckpointMoved``.
        """
        page = await read_page(self._log, after=self.position, limit=self._limit)
        if page.empty:
            return False
        await self._recall(page.events)
        folded = self._fold.apply(page.events, skipped=self.skipped)
        reached, poison = page.reached(self._projection, folded, self.skipped)
        if await self._commit(folded, reached) and poison is not None:
            raise ProjectionStopped(self.target.projection, poison)
        return True

    async def advance(self) -> bool:
        """Take one step, or sprint where the log is far ahead; False if there was nothing new. Raises as ``step``."""
        before = self.position
        if self._goal - before > self._batch:
            await self.sprint(self._goal)
            return True
        moved = await self.step()
        if self.position - before >= self._batch:
            self._goal = await self._log.head()
        return moved

    async def sprint(self, up_to: int) -> None:
        """Build up to about a position, reading the next batch and writing the last one while this one is folded.

        Raises what ``step`` raises. The fold is pure and runs in a thread, so that the database need not wait for it.
        """
        page = await read_page(self._log, after=self.position, limit=self._limit)
        folded, reached, poison = Folded([], {}, None), self.position, None
        while not page.empty and reached < up_to and poison is None:
            await self._recall(page.events)
            folding = asyncio.to_thread(self._fold.apply, page.events, skipped=self.skipped)
            reading = read_page(self._log, after=page.end, limit=self._limit)
            writing = self._commit(folded, reached)
            after, following, written = await asyncio.gather(folding, reading, writing, return_exceptions=True)
            if not _good(written):
                return
            folded = _good(after)
            reached, poison = page.reached(self._projection, folded, self.skipped)
            page = _good(following) if poison is None else page
        if await self._commit(folded, reached) and poison is not None:
            raise ProjectionStopped(self.target.projection, poison)

    async def follow(self) -> None:
        """Advance for ever; where stopped, show it and wait until somebody records a skip, or begins anew elsewhere."""
        while True:
            try:
                moved = await self.advance()
            except ProjectionStopped as stopped:
                logger.warning("projection_stopped", projection=self.target.projection, reason=str(stopped))
                await self.wait_for_skip(stopped.poison)
                continue
            if not moved:
                await self.wait()

    async def wait(self) -> None:
        """Return when there may be something new. Raises ``CheckpointAhead`` if the log has become shorter."""
        position = self.checkpoint.position
        head = await self._log.wait_beyond(position, timeout_seconds=WAIT_SECONDS)
        if head < position:
            raise CheckpointAhead(self.target.projection, checkpoint=position, head=head)
        now = asyncio.get_running_loop().time()
        if head == position and now >= self._beat_due:
            self._beat_due = now + BEAT_SECONDS
            await self._store.beat(self.target, at=self.checkpoint)

    async def wait_for_skip(self, poison: Poison) -> None:
        """Return once the event is to be skipped. Raises ``CheckpointMoved`` if another build serves meanwhile."""
        while poison.position not in self.skipped:
            await self._store.stop(self.target, poison, at=self.checkpoint)
            head = await self._log.head()
            await self._log.wait_beyond(head, timeout_seconds=WAIT_SECONDS)
            await self._heed(vouched_for=self.position, built_to=self.position)
        logger.warning("event_skipped", projection=self.target.projection, position=poison.position)
        await self.begin()

    async def _heed(self, *, vouched_for: int, built_to: int) -> None:
        """Learn of skips: of all ahead, and of those behind only what this follower itself passed over.

        Whether another process knew of a skip when it built past that event, nobody can tell any more.
        """
        told = await self._skips.of(self.target.projection)
        passed = {position for position in self.skipped if position <= vouched_for}
        self.skipped = frozenset(passed | {position for position in told if position > built_to})

    async def _commit(self, folded: Folded, position: int) -> bool:
        """Store what was folded; False if the store refuses a row of it, which smaller batches will name."""
        after = self.checkpoint
        if position == after.position:
            return True
        reached = Checkpoint(after.build, self._projection.version, position)
        try:
            await self._store.commit(self.target, folded.changes, folded.books, after=after, reached=reached)
        except RowsRefused as refused:
            if position == after.position + 1:
                raise ProjectionStopped(self.target.projection, Poison(position, "", explain(refused))) from refused
            await self.begin()
            self._limit = max(1, (position - after.position) // 2)
            return False
        self._checkpoint = reached
        self._limit = min(self._batch, self._limit * 2)
        return True

    async def _recall(self, events: Sequence[RecordedEvent]) -> None:
        strangers = self._fold.strangers(events)
        if not strangers:
            return
        remembered = await self._store.books(self.target, strangers)
        if await self._store.checkpoint(self.target) != self.checkpoint:
            raise CheckpointMoved(
                f"the books of projection {self.target.projection} are beyond position {self.checkpoint.position}"
            )
        self._fold.recall(remembered)


def _good(outcome: AnswerT | BaseException) -> AnswerT:
    """The answer, or the error raised."""
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome
