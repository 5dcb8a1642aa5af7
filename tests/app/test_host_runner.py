"""A process full of bots: one pull for all, each with its own failure, and nobody who holds up the market."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import msgspec
import pytest

from events.bot import BotCreated, BotFact
from events.codec import Codec
from events.envelope import NewEvent, RecordedEvent
from events.errors import LogUnavailable
from events.identifiers import BotId, StreamId, bot_stream
from events.log import EventLog
from events.memory import MemoryEventLog
from oxbot.app import market_runner
from oxbot.app.feed import CandleFeed, FeedReply, FeedRequest
from oxbot.app.host_runner import IDLE_SECONDS, BotEnd, HostRunner
from oxbot.app.market_runner import MarketRunner, MaximumPace
from oxbot.core.bot import ClaimBot, StopBot
from oxbot.core.candles import Frame
from oxbot.core.state import fold
from tests.app.fakes import (
    HookedLog,
    ListedFeed,
    ListedFrames,
    SteppingClock,
    at_work,
    eventually,
    facts_in,
    funded,
    history,
    lived,
    market,
    stored,
    tell,
    write,
)
from tests.core.scenario import BTC, DECIDER, ETH, STEP, created, flat_candles, instrument, moment, running

pytestmark = pytest.mark.anyio

A, B, C = BotId("a"), BotId("b"), BotId("c")
FRAMES = market(60, seed=7)
END = moment(59)


async def log_of(*bot_ids: BotId) -> MemoryEventLog:
    """A log with these bots, created and started."""
    log = MemoryEventLog(Codec())
    for bot_id in bot_ids:
        await write(log, funded(bot_id), bot_stream(bot_id))
    return log


async def host_over(
    log: EventLog, feed: CandleFeed, frames: Sequence[Frame] = FRAMES, name: str = "host"
) -> HostRunner:
    """A host that nobody lives in yet."""
    return HostRunner(name, log=log, decider=DECIDER, feed=feed, candles=await stored(frames), clock=SteppingClock())


def cursors(host: HostRunner) -> dict[BotId, datetime]:
    """How far each bot of the host is."""
    return {presence.bot_id: presence.cursor for presence in host.status(1).bots}


def ends(host: HostRunner) -> dict[BotId, tuple[str, int]]:
    """Who has left the host, how, and for which time."""
    return {end.bot_id: (end.outcome, end.number) for end in host.status(1).ended}


@asynccontextmanager
async def hosting(host: HostRunner, *bot_ids: BotId) -> AsyncIterator[None]:
    """The host at work with these bots."""
    await host.place(bot_ids)
    async with at_work(host.run()):
        yield


async def expected(bot_id: BotId) -> list[tuple[datetime, bytes]]:
    """What the bot does in the market if nothing disturbs it; the same for every bot but for the ids it gives."""
    log = MemoryEventLog(Codec())
    await write(log, funded(bot_id), bot_stream(bot_id))
    alone = await host_over(log, ListedFeed(FRAMES))
    async with hosting(alone, bot_id):
        await eventually(lambda: cursors(alone)[bot_id] == END)
    return await history(log, bot_stream(bot_id))


async def test_a_hosted_bot_lives_as_one_alone() -> None:
    name = BotId("bot-1")
    assert await expected(name) == await history(await lived(FRAMES))


async def test_acceptance_19_one_pull_from_the_least_cursor_serves_all_bots() -> None:
    """The second bot joins later and far behind; the first is shown what it has seen already and ignores it."""
    log, feed = await log_of(A, B), ListedFeed(FRAMES[:30])
    host = await host_over(log, feed)

    async with hosting(host, A):
        await eventually(lambda: cursors(host) == {A: moment(29)})
        asked = len(feed.requests)
        await host.place([B])
        await eventually(lambda: cursors(host) == {A: moment(29), B: moment(29)})
        feed.frames.extend(FRAMES[30:])
        await eventually(lambda: cursors(host) == {A: END, B: END})

    later = [request.cursor for request in feed.requests[asked:]]
    assert moment(0) - STEP in later
    shared = [request.cursor for request in feed.requests if request.cursor >= moment(29)]
    assert len({cursor for cursor in shared if cursor < END}) == 6
    assert {request.follower for request in feed.requests} == {"host"}
    for bot_id in (A, B):
        assert await history(log, bot_stream(bot_id)) == await expected(bot_id)


async def test_the_pull_names_every_symbol_that_a_bot_follows() -> None:
    log, feed = await log_of(A), ListedFeed(FRAMES)
    both = msgspec.structs.replace(created(instrument(ETH), instrument(BTC)), bot_id=B)
    await write(log, [both, *running()[1:]], bot_stream(B))
    host = await host_over(log, feed)

    async with hosting(host, A, B):
        await eventually(lambda: bool(feed.requests))

    assert feed.requests[0].symbols == (BTC, ETH)


def failing_for(inner: EventLog, bot_id: BotId, error: Callable[[], Exception]) -> HookedLog:
    """A log that fails the appends of one bot once it has claimed its stream and decided something."""

    async def before(number: int, events: Sequence[NewEvent]) -> None:
        del number
        if any(getattr(event.fact, "order_id", "").startswith(f"{bot_id}-") for event in events):
            raise error()

    return HookedLog(inner, before=before)


@pytest.mark.parametrize(
    ("error", "outcome", "text"),
    [
        (lambda: LogUnavailable("no answer"), "failed", "no answer"),
        (lambda: ZeroDivisionError("oops"), "crashed", "ZeroDivisionError: oops"),
    ],
)
async def test_a_bot_that_fails_leaves_and_the_others_go_on(
    error: Callable[[], Exception], outcome: str, text: str
) -> None:
    inner = await log_of(A, B)
    host = await host_over(failing_for(inner, A, error), ListedFeed(FRAMES))

    async with hosting(host, A, B):
        await eventually(lambda: cursors(host) == {B: END})

    assert host.status(1).ended == (BotEnd(bot_id=A, number=1, outcome=outcome, error=text),)
    assert await history(inner, bot_stream(A)) == (await expected(A))[:3]
    assert await history(inner, bot_stream(B)) == await expected(B)


async def test_a_bot_that_cannot_be_claimed_leaves_at_once_and_is_counted() -> None:
    log = await log_of(A)
    facts: list[BotFact] = list(funded(B))
    creation = facts[0]
    assert isinstance(creation, BotCreated)
    strategy = msgspec.structs.replace(creation.strategy, version=99)
    await write(log, [msgspec.structs.replace(creation, strategy=strategy), *facts[1:]], bot_stream(B))
    host = await host_over(log, ListedFeed(FRAMES))

    await host.place([B, A])
    await host.place([B])

    assert list(cursors(host)) == [A]
    assert ends(host) == {B: ("failed", 2)}
    assert "99" in host.status(1).ended[0].error


async def test_a_bot_placed_again_after_a_failure_lives_on_to_the_same_end() -> None:
    inner = await log_of(A)
    broken = [True]

    async def before(number: int, events: Sequence[NewEvent]) -> None:
        del events
        if number == 4 and broken:
            broken.clear()
            raise LogUnavailable("once")

    host = await host_over(HookedLog(inner, before=before), ListedFeed(FRAMES))
    async with hosting(host, A):
        await eventually(lambda: ends(host) == {A: ("failed", 1)})
        await host.place([A])
        await eventually(lambda: cursors(host) == {A: END})

    assert host.status(1).bots[0].epoch == 2
    assert await history(inner, bot_stream(A)) == await expected(A)


async def test_a_superseded_bot_leaves() -> None:
    log = await log_of(A, B)
    host = await host_over(log, ListedFeed(FRAMES[:10]))
    async with hosting(host, A, B):
        await eventually(lambda: cursors(host) == {A: moment(9), B: moment(9)})
        await tell(log, ClaimBot("elsewhere"), bot_stream(A))
        await host.refresh([A, B, C])

        assert ends(host) == {A: ("superseded", 1)}
        assert list(cursors(host)) == [B]


async def test_a_stopped_bot_ends_as_finished_once_it_is_flat() -> None:
    log, feed = await log_of(A), ListedFeed(FRAMES[:30])
    host = await host_over(log, feed)
    async with hosting(host, A):
        await eventually(lambda: cursors(host) == {A: moment(29)})
        await tell(log, StopBot(), bot_stream(A))
        await host.refresh([A])
        assert host.status(1).bots[0].version == await log.head()
        feed.frames.extend(FRAMES[30:])
        await eventually(lambda: ends(host) == {A: ("finished", 1)})

    assert cursors(host) == {}


async def test_a_bot_that_was_stopped_while_nobody_lived_catches_up_before_it_ends() -> None:
    """The stop counts from candle 40 on; until then it does what it would have done, and it leaves nothing open."""
    log = await log_of(A)
    await tell(log, StopBot(effective_at=moment(40)), bot_stream(A))
    host = await host_over(log, ListedFeed(FRAMES))
    async with hosting(host, A):
        await eventually(lambda: ends(host) == {A: ("finished", 1)})

    facts = await facts_in(log, bot_stream(A))
    undisturbed = [body for at, body in await expected(A) if moment(0) < at <= moment(40)]
    assert len(undisturbed) > 10
    assert [body for at, body in await history(log, bot_stream(A)) if moment(0) < at <= moment(40)] == undisturbed
    assert fold(facts).idle_at(END)


async def test_a_feed_that_does_not_answer_is_asked_again() -> None:
    log, feed = await log_of(A), ListedFeed(FRAMES, failures=2)
    host = await host_over(log, feed)
    async with hosting(host, A):
        await eventually(lambda: len(feed.requests) == 1)
        await host.place([])
        await eventually(lambda: len(feed.requests) == 2)
        await host.place([])
        await eventually(lambda: cursors(host) == {A: END})

    assert len({request.cursor for request in feed.requests[:3]}) == 1


async def test_after_the_end_of_the_market_it_rests() -> None:
    log, feed = await log_of(A), ListedFeed(FRAMES)
    feed.ended = True
    host = await host_over(log, feed)
    async with hosting(host, A):
        await eventually(lambda: cursors(host) == {A: END})
        await asyncio.sleep(0.05)
        asked = len(feed.requests)
        await asyncio.sleep(0.05)
        assert len(feed.requests) == asked


async def test_placing_a_bot_that_lives_here_changes_nothing_even_at_the_same_time() -> None:
    log = await log_of(A)
    host = await host_over(HookedLog(log, before=_yield), ListedFeed(FRAMES))

    await asyncio.gather(host.place([A]), host.place([A]), host.place([A, A]))
    await host.place([A])

    assert await log.head() == 4
    assert [presence.epoch for presence in host.status(1).bots] == [1]


async def _yield(number: int, events: Sequence[NewEvent]) -> None:
    del number, events
    await asyncio.sleep(0)


class HeldFeed:
    """A ``CandleFeed`` that answers the first question only when a test lets it, and then goes on as another."""

    def __init__(self, inner: CandleFeed) -> None:
        self._inner = inner
        self.asked = asyncio.Event()
        self.let = asyncio.Event()

    async def after(self, request: FeedRequest) -> FeedReply:
        """The inner feed's answer, in the end."""
        reply = await self._inner.after(request)
        self.asked.set()
        await self.let.wait()
        return reply


async def test_a_bot_that_failed_and_came_back_during_one_pull_is_left_alone() -> None:
    """The pull began with the earlier incarnation: it must neither live on nor throw out the one that followed it."""
    log, feed = UnreadableLog(await log_of(A)), HeldFeed(ListedFeed(FRAMES, page=60))
    host = await host_over(log, feed)
    async with hosting(host, A):
        await feed.asked.wait()
        log.errors.append(LogUnavailable("for a moment"))
        await host.refresh([A])
        assert ends(host) == {A: ("failed", 1)}
        await host.place([A])
        feed.let.set()
        await eventually(lambda: cursors(host) == {A: END})
        await host.refresh([A])

    assert ends(host) == {A: ("failed", 1)}
    assert host.status(1).bots[0].epoch == 2
    assert await history(log, bot_stream(A)) == await expected(A)
    assert sum(map(len, log.attempts)) == await log.head() - 3, "an append that was tried and lost a race"


async def test_an_incarnation_that_fails_in_two_ways_at_once_ends_once() -> None:
    """Its append and its refresh both find that the log does not answer."""
    log, failing = UnreadableLog(await log_of(A)), LogUnavailable("gone")
    host = await host_over(log, ListedFeed(FRAMES[:1]))
    await host.place([A])
    log.errors = [failing] * 2

    await asyncio.gather(host.refresh([A]), host.refresh([A]))

    assert ends(host) == {A: ("failed", 1)}
    assert log.errors == []


async def test_a_host_whose_bot_has_failed_asks_for_nothing_until_it_is_back() -> None:
    """The market must wait for that bot, so nobody may say that its candles are dealt with."""
    inner, feed = await log_of(A), ListedFeed(FRAMES)
    host = await host_over(failing_for(inner, A, lambda: LogUnavailable("no answer")), feed)
    async with hosting(host, A):
        await eventually(lambda: ends(host) == {A: ("failed", 1)})
        asked = len(feed.requests)
        await host.place([])
        await asyncio.sleep(0.02)

    assert len(feed.requests) == asked


async def test_a_bot_placed_in_a_resting_host_is_shown_candles_at_once() -> None:
    log = await log_of(A)
    host = await host_over(log, ListedFeed(FRAMES))
    async with hosting(host):
        await asyncio.sleep(0.01)
        await host.place([A])
        await eventually(lambda: cursors(host) == {A: END}, seconds=IDLE_SECONDS / 2)


class UnreadableLog(HookedLog):
    """A log whose reads of streams fail with the errors that are left."""

    def __init__(self, inner: EventLog) -> None:
        super().__init__(inner)
        self.errors: list[LogUnavailable] = []

    async def read_stream(
        self, stream: StreamId, *, after_version: int = 0, limit: int | None = None, up_to_position: int | None = None
    ) -> Sequence[RecordedEvent]:
        """The next error, or the inner log's answer, after letting others run."""
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop()
        return await super().read_stream(
            stream, after_version=after_version, limit=limit, up_to_position=up_to_position
        )


async def test_a_host_whose_bots_have_finished_does_not_hold_up_the_market() -> None:
    """One bot of two is stopped for good; the market is longer than its window, and the other sees all of it."""
    length = market_runner.WINDOW + 2 * market_runner.PAGE + 10
    frames = [Frame(candle.open_time, ((BTC, candle),)) for candle in flat_candles(["100"] * length)]
    log = await log_of(A, B)
    runner = MarketRunner(ListedFrames(frames), MaximumPace(), SteppingClock(), followers=2)
    hosts = {bot_id: await host_over(log, runner, frames, f"host-{bot_id}") for bot_id in (A, B)}

    async with at_work(runner.run()), hosting(hosts[A], A):
        await tell(log, StopBot(), bot_stream(A))
        await hosts[A].refresh([A])
        async with hosting(hosts[B], B):
            await eventually(lambda: ends(hosts[A]) == {A: ("finished", 1)})
            await eventually(lambda: cursors(hosts[B]) == {B: frames[-1].open_time})
            await eventually(lambda: runner.progress().finished)
