"""A market for any number of followers: nothing dropped, nothing repeated, nobody run away from."""

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.identifiers import Symbol
from oxbot.app.feed import FeedReply, FeedRequest, FrameSource
from oxbot.app.market_runner import PAGE, WINDOW, MarketPace, MarketRunner, MaximumPace, Pace
from oxbot.core.candles import Frame
from tests.app.fakes import ListedFrames, SteppingClock, at_work, eventually, market
from tests.core.scenario import BTC, ETH, START, STEP, flat_candles, moment

pytestmark = pytest.mark.anyio

LENGTH = 2 * (WINDOW + PAGE) + 77
LONG = [Frame(candle.open_time, ((BTC, candle),)) for candle in flat_candles(["100"] * LENGTH)]
BEFORE = START - STEP


class Follower:
    """A bot's side of the feed: it asks, remembers what it was shown, and can lose its memory of the last frames."""

    def __init__(self, name: str, runner: MarketRunner, *, cursor: datetime = BEFORE) -> None:
        self.name = name
        self.cursor = cursor
        self.seen: list[Frame] = []
        self._runner = runner

    async def ask(self, symbols: tuple[Symbol, ...] = (BTC,)) -> FeedReply:
        """One question; the frames of the answer follow the cursor without a gap or a repetition."""
        request = FeedRequest(follower=self.name, cursor=self.cursor, symbols=symbols)
        reply = await self._runner.after(request)
        assert [frame.open_time for frame in reply.frames] == [
            self.cursor + (number + 1) * STEP for number in range(len(reply.frames))
        ]
        assert len(reply.frames) <= PAGE
        self.seen.extend(reply.frames)
        if reply.frames:
            self.cursor = reply.frames[-1].open_time
        return reply

    def move_to(self, runner: MarketRunner) -> None:
        """Ask another process from now on."""
        self._runner = runner

    def forget(self, frames: int) -> None:
        """Die and come back with the cursor that many frames ago, at the most where it began."""
        kept = self.seen[: max(0, len(self.seen) - frames)]
        self.cursor = kept[-1].open_time if kept else self.cursor - len(self.seen) * STEP
        self.seen = kept

    async def follow(self, chances: random.Random, *, deaths: int = 0) -> None:
        """Ask until the market ends, now slowly and now fast, dying so many times on the way."""
        while not (await self.ask()).ended:
            for _ in range(chances.choice((0, 0, 1, 7))):
                await asyncio.sleep(0)
            if deaths and chances.random() < 0.2:
                deaths -= 1
                self.forget(chances.randrange(LENGTH))


def market_of(
    frames: Sequence[Frame] = LONG, *, followers: int = 0, pace: Pace | None = None, clock: SteppingClock | None = None
) -> MarketRunner:
    """A market over a list."""
    return MarketRunner(ListedFrames(frames), pace or MaximumPace(), clock or SteppingClock(), followers=followers)


@given(seed=st.integers(0, 2**32), count=st.integers(1, 4))
@settings(max_examples=12)
def test_no_frame_is_dropped_or_repeated_however_followers_ask_die_and_return(seed: int, count: int) -> None:
    """Each asks at its own speed and comes back, now and then, with a cursor that has long left the window."""

    async def exercise() -> None:
        chances = random.Random(seed)  # noqa: S311
        runner = market_of(followers=count)
        followers = [Follower(f"f{number}", runner) for number in range(count)]
        async with at_work(runner.run()):
            await asyncio.gather(*(follower.follow(chances, deaths=2) for follower in followers))
            assert runner.progress().finished
        assert all(follower.seen == LONG for follower in followers)

    asyncio.run(exercise())


async def test_a_follower_that_joins_late_sees_everything_after_its_cursor() -> None:
    runner = market_of(followers=1)
    first, late = Follower("first", runner), Follower("late", runner)
    async with at_work(runner.run()):
        while len(first.seen) < WINDOW + 2 * PAGE:
            await first.ask()
        chances = random.Random(1)  # noqa: S311
        await asyncio.gather(first.follow(chances), late.follow(chances))

    assert first.seen == LONG
    assert late.seen == LONG


async def test_the_head_waits_for_the_slowest_follower() -> None:
    """It never is more than a window and a page ahead, however often the fast one asks, and goes on when it may."""
    runner = market_of(followers=2)
    fast, slow = Follower("fast", runner), Follower("slow", runner)
    ahead_most = 0
    async with at_work(runner.run()):
        while slow.cursor < LONG[-1].open_time:
            await asyncio.gather(slow.ask(), _ask_often(fast))
            head = runner.progress().head
            assert head is not None
            ahead_most = max(ahead_most, (head - slow.cursor) // STEP)

    assert WINDOW - PAGE <= ahead_most <= WINDOW + PAGE
    assert fast.seen == LONG


async def _ask_often(fast: Follower) -> None:
    for _ in range(20):
        reply = asyncio.ensure_future(fast.ask())
        done, _ = await asyncio.wait([reply], timeout=0.005)
        if not done:
            reply.cancel()
            return


async def test_the_head_stands_still_while_a_follower_says_nothing() -> None:
    runner = market_of(followers=2)
    fast, dead = Follower("fast", runner), Follower("dead", runner)
    async with at_work(runner.run()):
        await asyncio.gather(fast.ask(), dead.ask())
        while (fast.cursor - BEFORE) // STEP < WINDOW:
            await fast.ask()
        await _ask_often(fast)
        stood = runner.progress()
        assert stood.head is not None
        assert WINDOW <= (stood.head - BEFORE) // STEP <= WINDOW + PAGE
        assert (stood.slowest, stood.followers, stood.finished) == (BEFORE, 2, False)

        await runner.leave("dead")
        await fast.follow(random.Random(1))  # noqa: S311
        left = runner.progress()

    assert fast.seen == LONG
    assert (left.followers, left.finished) == (1, True)


async def test_time_does_not_begin_before_all_followers_have_asked() -> None:
    clock = SteppingClock()
    runner = market_of(LONG[:10], followers=2, clock=clock)
    first, second = Follower("first", runner), Follower("second", runner)
    async with at_work(runner.run()):
        waiting = asyncio.ensure_future(first.ask())
        await eventually(lambda: runner.progress().followers == 1)
        for _ in range(20):
            await asyncio.sleep(0)
        assert runner.progress().head is None
        assert runner.progress().begun_at is None
        clock.advance(90)

        assert len((await second.ask()).frames) == 10
        assert len((await waiting).frames) == 10

    assert runner.progress().begun_at == START + timedelta(seconds=90)


async def test_a_follower_that_asked_and_left_is_not_waited_for() -> None:
    runner = market_of(LONG[:10], followers=2)
    first, second = Follower("first", runner), Follower("second", runner)
    asked = asyncio.ensure_future(first.ask())
    await eventually(lambda: runner.progress().followers == 1)
    await runner.leave("first")
    asked.cancel()

    async with at_work(runner.run()):
        await second.follow(random.Random(1))  # noqa: S311

    assert len(second.seen) == 10
    assert runner.progress().finished


async def test_it_begins_after_the_slowest_follower_unless_told_where() -> None:
    source = ListedFrames(LONG[:100])
    runner = MarketRunner(source, MaximumPace(), SteppingClock(), followers=2)
    ahead, behind = Follower("ahead", runner, cursor=moment(50)), Follower("behind", runner, cursor=moment(20))
    async with at_work(runner.run()):
        await asyncio.gather(ahead.ask(), behind.ask())
    assert source.read_after[0] == moment(20)
    assert (ahead.seen, behind.seen) == (LONG[51:100], LONG[21:100])

    told = ListedFrames(LONG[:100])
    runner = MarketRunner(told, MaximumPace(), SteppingClock(), begins_after=moment(70))
    async with at_work(runner.run()):
        await (old := Follower("old", runner, cursor=moment(10))).ask()
        await old.ask()
    assert told.read_after[0] == moment(70)
    assert old.seen == LONG[11:100]


async def test_the_end_is_told_once_everything_was_shown() -> None:
    runner = market_of(LONG[:3], followers=1)
    follower = Follower("only", runner)
    async with at_work(runner.run()):
        assert not (await follower.ask()).ended
        assert not runner.progress().finished
        assert await follower.ask() == FeedReply(frames=(), ended=True)

    progress = runner.progress()
    assert (progress.head, progress.slowest, progress.finished) == (moment(2), moment(2), True)


@given(killed_at=st.integers(0, LENGTH), seed=st.integers(0, 2**32))
@settings(max_examples=10)
def test_a_market_that_restarts_loses_nothing(killed_at: int, seed: int) -> None:
    """The runner is dropped once the fast follower has come so far; another one over the same source takes over."""

    async def exercise() -> None:
        chances = random.Random(seed)  # noqa: S311
        source = ListedFrames(LONG)
        first, second = (MarketRunner(source, MaximumPace(), SteppingClock(), followers=2) for _ in range(2))
        followers = [Follower(f"f{number}", first) for number in range(2)]
        async with at_work(first.run()):
            following = [asyncio.ensure_future(follower.follow(chances)) for follower in followers]
            await eventually(lambda: len(followers[0].seen) >= killed_at)
            for task in following:
                task.cancel()
        for follower in followers:
            follower.move_to(second)
        async with at_work(second.run()):
            await asyncio.gather(*(follower.follow(chances) for follower in followers))
        assert [follower.seen for follower in followers] == [LONG, LONG]

    asyncio.run(exercise())


async def test_only_the_symbols_asked_for_are_sent_but_every_frame() -> None:
    frames = market(5, symbols=(BTC, ETH))
    runner = market_of(frames, followers=1)
    follower = Follower("only", runner)
    async with at_work(runner.run()):
        reply = await follower.ask((ETH,))

    assert [frame.open_time for frame in reply.frames] == [frame.open_time for frame in frames]
    assert [frame.candles for frame in reply.frames] == [frame.candles[1:] for frame in frames]


async def test_if_nothing_closes_in_time_the_reply_is_empty() -> None:
    clock = SteppingClock()
    runner = market_of(LONG, followers=1, pace=_pace(clock, speed=1), clock=clock)
    async with at_work(runner.run()):
        assert await Follower("only", runner).ask() == FeedReply(frames=(), ended=False)


def _pace(clock: SteppingClock, *, speed: float) -> MarketPace:
    return MarketPace(clock, speed=speed, started_at=START, market_at=START, candle=STEP)


def test_a_frame_may_be_seen_once_its_candles_have_closed_in_market_time() -> None:
    clock = SteppingClock()
    pace = _pace(clock, speed=60)
    assert pace.seconds_until(LONG[0]) == 5
    assert pace.seconds_until(LONG[11]) == 60
    clock.advance(7)
    assert pace.seconds_until(LONG[0]) == -2
    assert pace.seconds_until(LONG[1]) == 3
    assert MaximumPace().seconds_until(LONG[-1]) == 0


async def test_at_a_pace_followers_see_a_candle_when_it_closes_and_not_before() -> None:
    """At 60 times the clock's speed, a five-minute candle takes five seconds; the market starts an hour in."""
    clock = SteppingClock()
    pace = MarketPace(clock, speed=60, started_at=START, market_at=moment(12), candle=STEP)
    runner = market_of(LONG[:20], followers=1, pace=pace, clock=clock)
    follower = Follower("only", runner)
    async with at_work(runner.run()):
        await follower.ask()
        assert follower.cursor == moment(11)
        for number in range(12, 20):
            asking = asyncio.ensure_future(follower.ask())
            await _advance(clock, 4.9)
            assert (runner.progress().head, asking.done()) == (moment(number - 1), False)
            await _advance(clock, 0.1)
            await asking
            assert follower.cursor == moment(number)

    assert max(clock.slept_seconds) <= 2
    assert follower.seen == LONG[:20]


async def _advance(clock: SteppingClock, seconds: float) -> None:
    """Let time pass a tenth of a second at a time, and everybody act on it."""
    for _ in range(round(seconds * 10)):
        clock.advance(0.1)
        for _ in range(10):
            await asyncio.sleep(0)


class Sink:
    """A ``FrameSink`` that says what was stored, and what anyone could see when it was."""

    def __init__(self) -> None:
        self.stored: list[Frame] = []
        self.head_then: list[datetime | None] = []
        self.runner: MarketRunner | None = None

    async def store(self, frames: Sequence[Frame]) -> None:
        """Take the frames, letting others run meanwhile."""
        assert self.runner is not None
        for _ in range(5):
            await asyncio.sleep(0)
        self.head_then.append(self.runner.progress().head)
        self.stored.extend(frames)


async def test_frames_are_stored_before_anyone_sees_them() -> None:
    sink, frames = Sink(), LONG[: 3 * PAGE]
    source: FrameSource = ListedFrames(frames)
    runner = sink.runner = MarketRunner(source, MaximumPace(), SteppingClock(), sink=sink, begins_after=BEFORE)
    follower = Follower("only", runner)
    async with at_work(runner.run()):
        while not (await follower.ask()).ended:
            assert sink.stored[: len(follower.seen)] == follower.seen

    assert sink.stored == frames
    assert sink.head_then == [BEFORE, moment(PAGE - 1), moment(2 * PAGE - 1)]


async def test_old_frames_are_read_up_to_the_head_and_not_beyond() -> None:
    """The history holds the market's future; a follower with an old cursor sees none of it."""
    clock = SteppingClock()
    pace = MarketPace(clock, speed=1, started_at=START, market_at=moment(7), candle=STEP)
    runner = MarketRunner(ListedFrames(LONG), pace, clock, begins_after=moment(4))
    late = Follower("late", runner)
    async with at_work(runner.run()):
        await eventually(lambda: runner.progress().head == moment(6))
        await late.ask()

    assert late.seen == LONG[:7]


async def test_what_has_left_the_window_is_read_from_the_history() -> None:
    """A market that makes its candles as time passes reads old ones where it stored them."""
    stored = ListedFrames(LONG)
    runner = MarketRunner(ListedFrames(LONG), MaximumPace(), SteppingClock(), history=stored, begins_after=BEFORE)
    fast = Follower("fast", runner)
    async with at_work(runner.run()):
        await fast.follow(random.Random(1))  # noqa: S311
        assert stored.read_after == []
        late = Follower("late", runner)
        await late.ask()

    assert stored.read_after == [BEFORE]
    assert late.seen == LONG[:PAGE]
