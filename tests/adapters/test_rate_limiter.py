"""The account's rate limiter: never over a limit in any window, exits first, nothing lost by a cancellation."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxbot.adapters.rate_limiter import MARGIN, Limit, Priority, QueueFull, RateLimiter

pytestmark = pytest.mark.anyio

START = datetime(2024, 1, 1, tzinfo=UTC)
LIMITS = {"orders": Limit(20, 2), "place": Limit(10, 2, per_symbol=True), "query": Limit(5, 1)}
EXIT, DOUBT, ENTRY, SWEEP = Priority


class VirtualClock:
    """Time that a test moves on to the next sleeper, as soon as everybody waits."""

    def __init__(self) -> None:
        self._now = START
        self._sleepers: list[tuple[datetime, asyncio.Event]] = []

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        entry = (self._now + timedelta(seconds=seconds), woken)
        self._sleepers.append(entry)
        try:
            await woken.wait()
        finally:
            self._sleepers.remove(entry)

    async def advance(self, seconds: float) -> None:
        """Let that much time pass, waking each sleeper at its moment."""
        end = self._now + timedelta(seconds=seconds)
        await _settled()
        while due := sorted((at for at, _ in self._sleepers if at <= end)):
            self._now = max(self._now, due[0])
            for at, woken in self._sleepers:
                if at <= self._now:
                    woken.set()
            await _settled()
        self._now = end


async def _settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Sent:
    """What went out: when, under which limits, for which symbol, how important."""

    def __init__(self, limiter: RateLimiter, clock: VirtualClock) -> None:
        self._limiter, self._clock = limiter, clock
        self.log: list[tuple[datetime, tuple[str, ...], str, Priority]] = []

    async def send(
        self,
        names: tuple[str, ...],
        symbol: str,
        priority: Priority,
        *,
        way: float = 0.0,
        back: float = 0.0,
    ) -> None:
        """Send one request that takes so many seconds to the venue and so many back."""
        async with self._limiter.turn(names, symbol=symbol, priority=priority):
            if way:
                await self._clock.sleep(way)
            self.log.append((self._clock.now(), names, symbol, priority))
            if back:
                await self._clock.sleep(back)

    def worst_window(self) -> dict[tuple[str, str], int]:
        """The most requests within one window of each limit."""
        times: dict[tuple[str, str], list[datetime]] = defaultdict(list)
        for at, names, symbol, _ in self.log:
            for name in names:
                times[name, symbol if LIMITS[name].per_symbol else ""].append(at)
        return {
            key: max(
                sum(1 for at in found if first <= at < first + timedelta(seconds=LIMITS[key[0]].seconds))
                for first in found
            )
            for key, found in times.items()
        }


CALLS = st.tuples(
    st.sampled_from([("orders", "place"), ("orders",), ("query",), ("place",)]),
    st.sampled_from(["A", "B"]),
    st.sampled_from(list(Priority)),
    st.floats(0, 0.5),
    st.booleans(),
    st.sampled_from([0.0, 0.1, 0.7, 1.9, 5.0]),
    st.sampled_from([0.0, 0.1, 3.0]),
)


@given(calls=st.lists(CALLS, max_size=120))
async def test_in_no_window_is_any_limit_exceeded_and_everything_goes_in_the_end(
    calls: list[tuple[tuple[str, ...], str, Priority, float, bool, float, float]],
) -> None:
    clock = VirtualClock()
    async with RateLimiter(LIMITS, clock=clock) as limiter:
        sent = Sent(limiter, clock)
        tasks = []
        for names, symbol, priority, pause, cancelled, way, back in calls:
            task = asyncio.create_task(sent.send(names, symbol, priority, way=way, back=back))
            tasks.append(task)
            await clock.advance(pause)
            if cancelled:
                task.cancel()
        await clock.advance(1000)
        await asyncio.gather(*tasks, return_exceptions=True)

        assert all(task.done() for task in tasks)
        assert len(sent.log) >= sum(1 for call in calls if not call[4])
        for (name, _), worst in sent.worst_window().items():
            assert worst <= LIMITS[name].requests * MARGIN


@given(priorities=st.lists(st.sampled_from(list(Priority)), min_size=20, max_size=60))
async def test_what_waits_goes_by_priority_and_then_by_arrival(priorities: list[Priority]) -> None:
    clock = VirtualClock()
    async with RateLimiter(LIMITS, clock=clock) as limiter:
        sent = Sent(limiter, clock)
        first = [asyncio.create_task(sent.send(("query",), "", EXIT)) for _ in range(4)]
        await clock.advance(0.5)
        order: list[int] = []

        async def numbered(number: int, priority: Priority) -> None:
            await sent.send(("query",), "", priority)
            order.append(number)

        waiting = [asyncio.create_task(numbered(number, each)) for number, each in enumerate(priorities)]
        await clock.advance(100)
        await asyncio.gather(*first, *waiting)

    assert order == sorted(range(len(priorities)), key=lambda number: (priorities[number], number))


async def test_an_exit_goes_at_once_although_entries_have_taken_all_that_they_may() -> None:
    clock = VirtualClock()
    async with RateLimiter(LIMITS, clock=clock) as limiter:
        sent = Sent(limiter, clock)
        entries = [asyncio.create_task(sent.send(("orders",), "A", ENTRY)) for _ in range(100)]
        await clock.advance(0)
        taken = len(sent.log)
        exits = asyncio.create_task(sent.send(("orders",), "A", EXIT))
        await clock.advance(0)

        assert 0 < taken < 20 * MARGIN
        assert exits.done()
        assert sent.log[-1] == (START, ("orders",), "A", EXIT)
        for entry in entries:
            entry.cancel()
        await asyncio.gather(*entries, return_exceptions=True)


async def test_streams_of_lesser_requests_do_not_starve_one_that_needs_two_limits_at_once() -> None:
    clock = VirtualClock()
    async with RateLimiter(LIMITS, clock=clock) as limiter:
        sent = Sent(limiter, clock)

        def stream(name: str, count: int) -> list[asyncio.Task[None]]:
            return [asyncio.create_task(sent.send((name,), "A", SWEEP)) for _ in range(count)]

        lesser = stream("place", 7)
        await clock.advance(1)
        lesser += stream("orders", 13)
        await clock.advance(0.1)
        lesser += stream("place", 50) + stream("orders", 50)
        both = asyncio.create_task(sent.send(("orders", "place"), "A", ENTRY))
        await clock.advance(1.9)
        assert both.done()
        await clock.advance(60)
        await asyncio.gather(both, *lesser)


async def test_symbols_have_windows_of_their_own_where_the_venue_counts_so() -> None:
    clock = VirtualClock()
    async with RateLimiter(LIMITS, clock=clock) as limiter:
        sent = Sent(limiter, clock)
        tasks = [asyncio.create_task(sent.send(("place",), symbol, EXIT)) for symbol in "AABBAABBAABBAABB"]
        await clock.advance(0)
        assert len(sent.log) == 16
        await asyncio.gather(*tasks)


async def test_of_a_full_queue_the_last_of_the_least_important_gives_way() -> None:
    clock = VirtualClock()
    async with RateLimiter(LIMITS, clock=clock, queue_max=2) as limiter:
        sent = Sent(limiter, clock)
        for _ in range(4):
            await sent.send(("query",), "", EXIT)
        entry, sweep = (asyncio.create_task(sent.send(("query",), "", each)) for each in (ENTRY, SWEEP))
        await clock.advance(0)
        with pytest.raises(QueueFull):
            await sent.send(("query",), "", SWEEP)
        urgent = asyncio.create_task(sent.send(("query",), "", EXIT))
        await clock.advance(0)
        with pytest.raises(QueueFull):
            await sweep
        await clock.advance(5)
        await asyncio.gather(entry, urgent)


async def test_a_cancelled_wait_takes_nothing_and_lets_the_next_go() -> None:
    clock = VirtualClock()
    async with RateLimiter(LIMITS, clock=clock) as limiter:
        sent = Sent(limiter, clock)
        for _ in range(4):
            await sent.send(("query",), "", EXIT)
        cancelled, following = (asyncio.create_task(sent.send(("query",), "", EXIT)) for _ in range(2))
        await clock.advance(0.5)
        cancelled.cancel()
        await clock.advance(0.5)
        assert following.done()
        assert len(sent.log) == 5


async def test_a_request_whose_answer_does_not_come_keeps_its_place_until_it_is_given_up() -> None:
    clock = VirtualClock()
    async with RateLimiter(LIMITS, clock=clock) as limiter:
        sent = Sent(limiter, clock)
        hanging = [asyncio.create_task(sent.send(("query",), "", EXIT, back=10)) for _ in range(4)]
        following = asyncio.create_task(sent.send(("query",), "", EXIT))
        await clock.advance(10.5)
        assert not following.done()
        await clock.advance(1)
        assert following.done()
        await asyncio.gather(*hanging)


async def test_a_wait_that_is_cancelled_as_it_is_granted_gives_its_place_back() -> None:
    clock = VirtualClock()
    async with RateLimiter({"one": Limit(1, 0)}, clock=clock) as limiter:
        sent = Sent(limiter, clock)
        async with limiter.turn(("one",), priority=EXIT):
            waiting = asyncio.create_task(sent.send(("one",), "", EXIT))
            await clock.advance(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        assert sent.log == []
        async with asyncio.timeout(5):
            await sent.send(("one",), "", EXIT)


async def test_a_cancelled_wait_leaves_its_place_in_the_queue() -> None:
    clock = VirtualClock()
    async with RateLimiter(LIMITS, clock=clock, queue_max=2) as limiter:
        sent = Sent(limiter, clock)
        for _ in range(4):
            await sent.send(("query",), "", EXIT)
        for _ in range(3):
            waiting = [asyncio.create_task(sent.send(("query",), "", SWEEP)) for _ in range(2)]
            await clock.advance(0.1)
            for task in waiting:
                task.cancel()
            ended = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(end) for end in ended] == [asyncio.CancelledError] * 2


async def test_a_limit_that_the_table_does_not_have_is_an_error_of_ours() -> None:
    async with RateLimiter(LIMITS, clock=VirtualClock()) as limiter:
        with pytest.raises(KeyError):
            async with limiter.turn(("unheard of",), priority=EXIT):
                pass
