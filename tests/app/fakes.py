"""Small real implementations of the ports, markets and lives of bots over them, for the tests of the use cases."""

import asyncio
import random
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from events.bot import BotClaimed, BotCreated, BotFact
from events.codec import Codec
from events.envelope import NewEvent, RecordedEvent
from events.errors import LogUnavailable
from events.identifiers import BotId, StreamId, Symbol, VenueName, bot_stream, new_event_id
from events.log import ANY_VERSION, Appended, EventLog
from events.memory import MemoryEventLog
from events.user import SignInSucceeded
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.app.bot_runner import BotRunner
from oxbot.app.candle_store import CandleStore
from oxbot.app.feed import FeedReply, FeedRequest, FeedUnavailable
from oxbot.app.handle import handle
from oxbot.core.bot import BotCommand, CommandRefused, DepositCapital, PauseBot, StartBot, StopBot
from oxbot.core.candles import Candle, Frame, Series
from oxbot.core.state import INITIAL, BotState, fold
from tests.core.scenario import BOT, BTC, DECIDER, START, created, moment, running
from tests.views.advising import asked_once

VENUE = VenueName("test")
STREAM = bot_stream(BOT)
Hook = Callable[[int, Sequence[NewEvent]], Awaitable[None]]


async def nothing(number: int, events: Sequence[NewEvent]) -> None:
    """A hook that does nothing."""
    del number, events


class HookedLog:
    """An event log that lets a test act just before and just after each append, counted from 1 over its life."""

    def __init__(self, inner: EventLog, *, before: Hook = nothing, after: Hook = nothing) -> None:
        self._inner = inner
        self._before = before
        self._after = after
        self.attempts: list[list[NewEvent]] = []

    async def append(self, stream: StreamId, events: Sequence[NewEvent], *, expected: int) -> Appended:
        """The inner log's append between the two hooks."""
        self.attempts.append(list(events))
        number = len(self.attempts)
        await self._before(number, events)
        appended = await self._inner.append(stream, events, expected=expected)
        await self._after(number, events)
        return appended

    async def read_stream(
        self, stream: StreamId, *, after_version: int = 0, limit: int | None = None, up_to_position: int | None = None
    ) -> Sequence[RecordedEvent]:
        """See ``EventLog.read_stream``."""
        return await self._inner.read_stream(
            stream, after_version=after_version, limit=limit, up_to_position=up_to_position
        )

    async def read_all(
        self,
        *,
        after_position: int = 0,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        up_to: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """See ``EventLog.read_all``."""
        return await self._inner.read_all(after_position=after_position, limit=limit, types=types, up_to=up_to)

    async def head(self) -> int:
        """See ``EventLog.head``."""
        return await self._inner.head()

    async def wait_beyond(self, position: int, *, timeout_seconds: float) -> int:
        """See ``EventLog.wait_beyond``."""
        return await self._inner.wait_beyond(position, timeout_seconds=timeout_seconds)

    async def position_at(self, time: datetime) -> int:
        """See ``EventLog.position_at``."""
        return await self._inner.position_at(time)


class PagedLog(HookedLog):
    """An event log whose ``read_all`` answers at most the next of the given sizes."""

    def __init__(self, inner: EventLog, sizes: Iterator[int]) -> None:
        super().__init__(inner)
        self._sizes = sizes

    async def read_all(
        self,
        *,
        after_position: int = 0,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        up_to: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """A short page, after letting others run."""
        await asyncio.sleep(0)
        size = min(limit, next(self._sizes))
        return await super().read_all(after_position=after_position, limit=size, types=types, up_to=up_to)


def failing_log(inner: EventLog, *, lost: Collection[int] = (), refused: Collection[int] = ()) -> HookedLog:
    """A log that stores the ``lost`` appends and then says it does not know, and does not store the ``refused``."""

    async def before(number: int, events: Sequence[NewEvent]) -> None:
        del events
        if number in refused:
            raise LogUnavailable(f"append {number} did not arrive")

    async def after(number: int, events: Sequence[NewEvent]) -> None:
        del events
        if number in lost:
            raise LogUnavailable(f"the answer to append {number} was lost")

    return HookedLog(inner, before=before, after=after)


class UnsteadyLog(HookedLog):
    """A log that lets others run a random number of times before and after each append and read of a stream."""

    def __init__(self, inner: EventLog, seed: int) -> None:
        super().__init__(inner, before=self._pause, after=self._pause)
        self._chances = random.Random(seed)  # noqa: S311 - a test's chance, not a secret

    async def read_stream(
        self, stream: StreamId, *, after_version: int = 0, limit: int | None = None, up_to_position: int | None = None
    ) -> Sequence[RecordedEvent]:
        """The inner log's answer, asked for late and told late."""
        await self._pause()
        events = await super().read_stream(
            stream, after_version=after_version, limit=limit, up_to_position=up_to_position
        )
        await self._pause()
        return events

    async def _pause(self, number: int = 0, events: Sequence[NewEvent] = ()) -> None:
        del number, events
        for _ in range(self._chances.randrange(4)):
            await asyncio.sleep(0)


class SteppingClock:
    """A clock that stands still until a test advances it."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._sleepers: list[tuple[datetime, asyncio.Event]] = []
        self.slept_seconds: list[float] = []

    def now(self) -> datetime:
        """The moment it was advanced to."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return once a test has advanced the clock that far."""
        self.slept_seconds.append(seconds)
        woken = asyncio.Event()
        self._sleepers.append((self._now + timedelta(seconds=seconds), woken))
        await woken.wait()

    def advance(self, seconds: float) -> None:
        """Let time pass and wake whoever has slept enough."""
        self._now += timedelta(seconds=seconds)
        for until, woken in self._sleepers:
            if until <= self._now:
                woken.set()
        self._sleepers = [(until, woken) for until, woken in self._sleepers if not woken.is_set()]


class ListedFrames:
    """A ``FrameSource`` over a list."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._frames = frames
        self.read_after: list[datetime | None] = []

    async def read(self, *, after: datetime | None, limit: int) -> Sequence[Frame]:
        """The next frames."""
        self.read_after.append(after)
        return frames_after(self._frames, after)[:limit]


class ListedFeed:
    """A ``CandleFeed`` over a list, in pages; the first ``failures`` questions of all are not answered."""

    def __init__(self, frames: Sequence[Frame], *, page: int = 5, failures: int = 0) -> None:
        self.frames = list(frames)
        self.requests: list[FeedRequest] = []
        self.ended = False
        self._page = page
        self._failures = failures

    async def after(self, request: FeedRequest) -> FeedReply:
        """The next page, or after a millisecond an empty reply."""
        self.requests.append(request)
        if len(self.requests) <= self._failures:
            raise FeedUnavailable("the market did not answer")
        frames = frames_after(self.frames, request.cursor)[: self._page]
        await asyncio.sleep(0 if frames else 0.001)
        return FeedReply(frames=tuple(frames), ended=self.ended and not frames)


def frames_after(frames: Sequence[Frame], cursor: datetime | None) -> Sequence[Frame]:
    """Those that opened after the cursor; all without one."""
    first = 0 if cursor is None else bisect_right(frames, cursor, key=lambda frame: frame.open_time)
    return frames[first:]


def market(count: int, *, seed: int = 1, symbols: Sequence[Symbol] = (BTC,)) -> list[Frame]:
    """Random walks around 1,000 that cross, gap and reach brackets of 2 and 4 percent often."""
    walks = {symbol: _walk(count, random.Random(f"{seed} {symbol}")) for symbol in sorted(symbols)}  # noqa: S311
    return [
        Frame(moment(number), tuple((symbol, walk[number]) for symbol, walk in walks.items()))
        for number in range(count)
    ]


def _walk(count: int, chances: random.Random) -> list[Candle]:
    candles, price = [], 1000
    for number in range(count):
        opened = max(price + chances.choice((0, 0, 0, -25, 30)), 300)
        closed = max(opened + chances.randint(-15, 15), 300)
        high, low = max(opened, closed) + chances.randint(0, 15), min(opened, closed) - chances.randint(0, 10)
        candles.append(
            Candle(moment(number), Decimal(opened), Decimal(high), Decimal(low), Decimal(closed), Decimal(1))
        )
        price = closed
    return candles


async def stored(frames: Sequence[Frame]) -> MemoryCandleStore:
    """A candle store that holds the frames."""
    store = MemoryCandleStore()
    await store_frames(store, frames)
    return store


async def store_frames(store: CandleStore, frames: Sequence[Frame]) -> None:
    """Put the frames' candles into a store."""
    by_symbol: dict[Symbol, list[Candle]] = {}
    for frame in frames:
        for symbol, candle in frame.candles:
            by_symbol.setdefault(symbol, []).append(candle)
    await store.add([(Series(VENUE, symbol, "5m"), candles) for symbol, candles in by_symbol.items()])


async def written(facts: Sequence[BotFact]) -> MemoryEventLog:
    """A log whose one bot has lived through these facts."""
    log = MemoryEventLog(Codec())
    await write(log, facts)
    return log


async def write(log: EventLog, facts: Sequence[BotFact], stream: StreamId = STREAM) -> None:
    """Append the facts to a bot's stream, each at the close of its candle where it has one."""
    moments = [getattr(fact, "at", None) or START for fact in facts]
    events = [
        NewEvent(event_id=new_event_id(), occurred_at=at, fact=fact) for at, fact in zip(moments, facts, strict=True)
    ]
    await log.append(stream, events, expected=ANY_VERSION)


def named(facts: Sequence[BotFact], bot_id: BotId) -> list[BotFact]:
    """A bot's first facts as those of another bot."""
    return [msgspec.structs.replace(fact, bot_id=bot_id) if isinstance(fact, BotCreated) else fact for fact in facts]


async def facts_in(log: EventLog, stream: StreamId = STREAM) -> list[BotFact]:
    """The facts of a bot's stream."""
    return [event.fact for event in await log.read_stream(stream)]  # type: ignore[misc]  # a bot's stream


async def history(log: EventLog, stream: StreamId = STREAM) -> list[tuple[datetime, bytes]]:
    """What a bot did, claims left out: times and payloads."""
    events = await log.read_stream(stream)
    encode = Codec().encode
    return [(event.occurred_at, encode(event.fact)[2]) for event in events if not isinstance(event.fact, BotClaimed)]


async def tell(log: EventLog, command: BotCommand, stream: StreamId = STREAM) -> None:
    """Give a bot a command as another process would."""
    await handle(log, DECIDER, stream, command, at=START)


def runner(log: EventLog, candles: CandleStore, *, bot_id: BotId = BOT, holder: str = "host") -> BotRunner:
    """An incarnation of a bot that has not claimed yet."""
    return BotRunner(bot_id, log=log, decider=DECIDER, candles=candles, clock=SteppingClock(), holder=holder)


async def claimed(log: EventLog, candles: CandleStore, *, holder: str = "host") -> BotRunner:
    """The bot's newest incarnation."""
    incarnation = runner(log, candles, holder=holder)
    await incarnation.claim()
    return incarnation


async def lived(frames: Sequence[Frame], facts: Sequence[BotFact] | None = None) -> MemoryEventLog:
    """The log of a bot that lived through the frames undisturbed."""
    log = await written(running() if facts is None else facts)
    incarnation = await claimed(log, await stored(frames))
    await incarnation.observe(frames)
    return log


async def state_in(log: EventLog, stream: StreamId = STREAM) -> BotState:
    """The bot as its stream says."""
    return fold(await facts_in(log, stream), INITIAL)


def funded(bot_id: BotId) -> list[BotFact]:
    """A running bot of that id on BTC/USDT."""
    return named([created(), *running()[1:]], bot_id)


@asynccontextmanager
async def at_work(work: Awaitable[None]) -> AsyncIterator[asyncio.Task[None]]:
    """Let a runner run beside the block; it is cancelled at the end, and its failure is the test's."""
    task = asyncio.ensure_future(work)
    try:
        yield task
        if task.done():
            task.result()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def eventually(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    """Return as soon as the condition holds; fail after so many seconds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


async def fleet_log(log: EventLog, *, frames: int = 80) -> None:
    """Three bots' lives side by side, with pauses, resumes, deposits and a stop, and a user's stream among them.

    In the end each has asked a model something.
    """
    streams: dict[StreamId, list[BotFact]] = {}
    for number in (1, 2, 3):
        bot_id = BotId(f"bot-{number}")
        own = await lived_with(market(frames, seed=number), _words(number), named(running(), bot_id))
        streams[bot_stream(bot_id)] = [*await facts_in(own, bot_stream(bot_id)), *asked_once(bot_id)]
    await log.append(StreamId("user-1"), [_sign_in()], expected=ANY_VERSION)
    chances = random.Random(5)  # noqa: S311
    while streams:
        stream = chances.choice(sorted(streams))
        size = chances.randint(1, 4)
        await write(log, streams[stream][:size], stream)
        del streams[stream][:size]
        if not streams[stream]:
            del streams[stream]
    await log.append(StreamId("user-1"), [_sign_in()], expected=ANY_VERSION)


def _words(number: int) -> dict[int, list[BotCommand]]:
    words: dict[int, list[BotCommand]] = {
        5 * number: [DepositCapital(Decimal(number))],
        20: [PauseBot("lunch")],
        30 + number: [StartBot()],
    }
    return words | ({60: [StopBot("enough")]} if number == 3 else {})


def _sign_in() -> NewEvent:
    return NewEvent(event_id=new_event_id(), occurred_at=START, fact=SignInSucceeded())


async def lived_with(
    frames: Sequence[Frame], words: Mapping[int, Sequence[BotCommand]], facts: Sequence[BotFact]
) -> MemoryEventLog:
    """The log of a bot that was told the words before the frame of that number; refused words are forgotten."""
    creation = facts[0]
    assert isinstance(creation, BotCreated)
    stream = bot_stream(creation.bot_id)
    log = MemoryEventLog(Codec())
    await write(log, facts, stream)
    incarnation = runner(log, await stored(frames), bot_id=creation.bot_id)
    await incarnation.claim()
    for number, frame in enumerate(frames):
        for command in words.get(number, ()):
            with suppress(CommandRefused):
                await tell(log, command, stream)
            await incarnation.refresh()
        await incarnation.observe([frame])
    return log
