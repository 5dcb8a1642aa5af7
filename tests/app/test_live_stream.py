"""One follower for many listeners: nothing twice, nothing missed, whenever they come and however slow they are."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.bot import BotPaused, BotStarted
from events.codec import Codec
from events.envelope import NewEvent, RecordedEvent
from events.errors import BelowFloor, LogDamaged, LogUnavailable
from events.identifiers import BotId, OwnerId, StreamId, bot_stream, new_event_id
from events.log import ANY_VERSION, EventLog
from events.memory import MemoryEventLog
from events.subscription import CaughtUp
from oxbot.app.listener import Ended, Heartbeat, LiveEvent, Message, Unreadable, Wanted
from oxbot.app.live_stream import LiveStream, StreamLimits
from tests.api.stage import now
from tests.app.fakes import HookedLog
from tests.contracts.event_logs import append_bytes

pytestmark = pytest.mark.anyio

A, B = BotId("a"), BotId("b")
SECONDS = 10.0
QUICK = StreamLimits(check_seconds=0.005, heartbeat_seconds=0.02, wait_seconds=0.05, pause_seconds=0.0)


def wanted(*, types: Sequence[str] = (), bots: Sequence[BotId] = ()) -> Wanted:
    """What somebody asks for who may see everything."""
    return Wanted(lambda event: event is not None, lambda: True, frozenset(bots), frozenset(types))


async def nobodys(bot_id: BotId) -> OwnerId | None:
    """Every bot is somebody's of that name."""
    return OwnerId(f"owner-{bot_id}")


async def say(log: EventLog, stream: StreamId, *facts: BotPaused | BotStarted) -> None:
    events = [NewEvent(event_id=new_event_id(), occurred_at=now(), fact=fact) for fact in facts]
    await log.append(stream, events, expected=ANY_VERSION)


async def told(messages: AsyncIterator[Sequence[Message]], kind: type[Message]) -> list[Message]:
    """All messages up to the first of that kind."""
    found: list[Message] = []
    async with asyncio.timeout(SECONDS):
        async for some in messages:
            found += some
            if any(isinstance(one, kind) for one in some):
                return found
    raise AssertionError(f"no {kind.__name__} in {found}")


class PausingLog(HookedLog):
    """Lets others run a random number of times before it reads and before it answers."""

    def __init__(self, inner: EventLog, seed: int) -> None:
        super().__init__(inner)
        self._chances = random.Random(seed)  # noqa: S311 - a test's chance, not a secret

    async def read_all(
        self,
        *,
        after_position: int = 0,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        up_to: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """See ``EventLog.read_all``."""
        await self._pause()
        found = await super().read_all(after_position=after_position, limit=limit, types=types, up_to=up_to)
        await self._pause()
        return found

    async def head(self) -> int:
        """See ``EventLog.head``."""
        await self._pause()
        head = await super().head()
        await self._pause()
        return head

    async def _pause(self) -> None:
        for _ in range(self._chances.randrange(4)):
            await asyncio.sleep(0)


class Reader:
    """A client that comes again from where it was whenever it is cut off, or has had enough for the moment."""

    def __init__(self, stream: LiveStream, ask: Wanted, after: int | None, *, slow: int, leaves_after: int) -> None:
        self._stream = stream
        self.wanted = ask
        self._slow = slow
        self._leaves_after = leaves_after
        self.begun_at = after
        self.seen = after
        self.positions: list[int] = []
        self.overruns = 0

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            async with self._stream.listen(self.wanted, user_id="u", after=self.seen) as listener:
                if self.begun_at is None:
                    self.begun_at = self.seen = listener.position
                async with aclosing(listener.messages()) as messages:
                    await self._take(messages)

    async def _take(self, messages: AsyncIterator[Sequence[Message]]) -> None:
        taken = 0
        async for some in messages:
            for message in some:
                assert not isinstance(message, Heartbeat) or message.position >= (self.seen or 0)
                if isinstance(message, LiveEvent):
                    self.positions.append(message.position)
                    taken += 1
                if isinstance(message, Ended):
                    assert message.why == "overrun"
                    self.overruns += 1
                self.seen = message.position
            for _ in range(self._slow):
                await asyncio.sleep(0)
            if taken >= self._leaves_after:
                return


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 9), st.booleans()),
        st.tuples(st.just("join"), st.integers(0, 60), st.booleans()),
        st.tuples(st.just("wait"), st.integers(1, 12), st.booleans()),
    ),
    min_size=4,
    max_size=25,
)


@settings(max_examples=60)
@given(steps=STEPS, seed=st.integers(0, 1 << 16), kept=st.integers(1, 12), page=st.integers(1, 5))
def test_every_reader_gets_every_event_once_and_in_order_whenever_it_comes(
    steps: list[tuple[str, int, bool]], seed: int, kept: int, page: int
) -> None:
    asyncio.run(asyncio.wait_for(_every_reader(steps, seed, kept, page), SECONDS))


async def _every_reader(steps: list[tuple[str, int, bool]], seed: int, kept: int, page: int) -> None:
    log, chances = MemoryEventLog(Codec()), random.Random(seed)  # noqa: S311 - a test's chance, not a secret
    readers: list[Reader] = []
    limits = QUICK._replace(kept_events=kept, page_events=page, listeners_per_user_max=100)
    async with LiveStream(PausingLog(log, seed), nobodys, limits) as stream, asyncio.TaskGroup() as tasks:
        running: list[asyncio.Task[None]] = []
        for what, number, odd in steps:
            if what == "append":
                await say(log, bot_stream(A if odd else B), *[BotPaused()] * number)
            elif what == "join":
                after = None if number > await log.head() else number
                ask = wanted(bots=[A]) if odd else wanted(types=["bot.paused"])
                reader = Reader(stream, ask, after, slow=chances.randrange(6), leaves_after=chances.randrange(1, 30))
                readers.append(reader)
                running.append(tasks.create_task(reader.run()))
            for _ in range(number):
                await asyncio.sleep(0)
        while any(reader.begun_at is None for reader in readers):
            await asyncio.sleep(0)
        await say(log, bot_stream(A), BotPaused())
        head = await log.head()
        while any(reader.positions[-1:] != [head] for reader in readers):
            await asyncio.sleep(0.001)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    streams = {event.position: event.stream for event in await log.read_all()}
    for reader in readers:
        assert reader.begun_at is not None
        only = {bot_stream(bot_id) for bot_id in reader.wanted.bots} or set(streams.values())
        assert reader.positions == [
            position for position, name in streams.items() if position > reader.begun_at and name in only
        ]


async def test_an_event_is_encoded_once_for_all_who_listen() -> None:
    log, encoded = MemoryEventLog(Codec()), list[int]()

    def encode(event: LiveEvent) -> bytes:
        encoded.append(event.position)
        return b"x"

    async def listen(stream: LiveStream, ready: asyncio.Semaphore) -> None:
        async with stream.listen(wanted(), user_id="u") as listener:
            async for messages in listener.messages():
                ready.release()
                events = [message for message in messages if isinstance(message, LiveEvent)]
                for event in events:
                    assert event.form(encode) == b"x"
                if events and events[-1].position == 3:
                    return

    ready = asyncio.Semaphore(0)
    async with LiveStream(log, nobodys, QUICK) as stream, asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(listen(stream, ready))
        for _ in range(10):
            await ready.acquire()
        await say(log, bot_stream(A), BotPaused(), BotStarted(), BotPaused())

    assert encoded == [1, 2, 3]


class AwayLog(HookedLog):
    """A log that does not answer while it is away, and counts who asks."""

    def __init__(self, inner: EventLog) -> None:
        super().__init__(inner)
        self.away = False
        self.damaged = False
        self.floor = 1
        self.heads = 0

    async def read_all(
        self,
        *,
        after_position: int = 0,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        up_to: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """See ``EventLog.read_all``."""
        self._check()
        if after_position < self.floor - 1:
            raise BelowFloor(after_position, self.floor)
        return await super().read_all(after_position=after_position, limit=limit, types=types, up_to=up_to)

    async def head(self) -> int:
        """See ``EventLog.head``."""
        self._check()
        self.heads += 1
        return await super().head()

    async def wait_beyond(self, position: int, *, timeout_seconds: float) -> int:
        """See ``EventLog.wait_beyond``."""
        self._check()
        return await super().wait_beyond(position, timeout_seconds=timeout_seconds)

    def _check(self) -> None:
        if self.away:
            raise LogUnavailable("away")
        if self.damaged:
            raise LogDamaged("a hole")


@pytest.mark.parametrize("after", [0, 2])
async def test_while_the_log_is_away_there_are_heartbeats_and_then_all_that_happened(after: int) -> None:
    inner = MemoryEventLog(Codec())
    await say(inner, bot_stream(A), BotPaused(), BotPaused())
    log = AwayLog(inner)
    async with (
        LiveStream(log, nobodys, QUICK._replace(page_events=1)) as stream,
        stream.listen(wanted(), user_id="u", after=after) as listener,
        aclosing(listener.messages()) as messages,
    ):
        first = await told(messages, LiveEvent if after == 0 else CaughtUp)
        log.away = True
        await say(inner, bot_stream(A), BotStarted())
        await told(messages, Heartbeat)
        await told(messages, Heartbeat)
        log.away = False
        found = [*first, *(await told(messages, LiveEvent))]
        while len([one for one in found if isinstance(one, LiveEvent)]) < 3 - after:
            found += await told(messages, LiveEvent)

    assert [one.position for one in found if isinstance(one, LiveEvent)] == list(range(after + 1, 4))


async def test_there_are_heartbeats_before_there_is_anything_else() -> None:
    log = AwayLog(MemoryEventLog(Codec()))
    async with LiveStream(log, nobodys, QUICK) as stream, stream.listen(wanted(), user_id="u") as listener:
        log.away = True
        async with aclosing(listener.messages()) as messages:
            assert await told(messages, Heartbeat) == [Heartbeat(0)]


async def test_history_that_cannot_be_read_ends_the_stream() -> None:
    inner = MemoryEventLog(Codec())
    await say(inner, bot_stream(A), *[BotPaused()] * 6)
    log = AwayLog(inner)
    async with (
        LiveStream(log, nobodys, QUICK._replace(page_events=2, restart_seconds=9.0)) as stream,
        stream.listen(wanted(), user_id="u", after=0) as listener,
        aclosing(listener.messages()) as messages,
    ):
        await told(messages, LiveEvent)
        log.damaged = True
        assert (await told(messages, Ended))[-1] == Ended("closing", 2)


async def test_whoever_comes_while_the_log_is_away_is_told_so() -> None:
    log = AwayLog(MemoryEventLog(Codec()))
    log.away = True
    async with LiveStream(log, nobodys, QUICK) as stream:
        for after in (None, 0):
            with pytest.raises(LogUnavailable):
                async with stream.listen(wanted(), user_id="u", after=after):
                    raise AssertionError("it must not begin")
        assert stream.listeners == 0


async def test_a_log_that_cannot_be_followed_ends_the_streams_and_is_followed_again() -> None:
    inner = MemoryEventLog(Codec())
    log = AwayLog(inner)
    limits = QUICK._replace(restart_seconds=0.01)
    async with LiveStream(log, nobodys, limits) as stream:
        async with stream.listen(wanted(), user_id="u") as listener, aclosing(listener.messages()) as messages:
            await told(messages, CaughtUp)
            log.damaged = True
            [*_, ended] = await told(messages, Ended)
            assert ended == Ended("closing", 0)
        log.damaged = False
        async with stream.listen(wanted(), user_id="u") as listener, aclosing(listener.messages()) as messages:
            await told(messages, CaughtUp)
            await say(inner, bot_stream(A), BotPaused())
            assert (await told(messages, LiveEvent))[-1].position == 1


async def test_what_is_archived_while_it_is_being_read_cuts_its_reader_off() -> None:
    inner = MemoryEventLog(Codec())
    await say(inner, bot_stream(A), *[BotPaused()] * 6)
    log = AwayLog(inner)
    async with (
        LiveStream(log, nobodys, QUICK._replace(page_events=2)) as stream,
        stream.listen(wanted(), user_id="u", after=0) as listener,
        aclosing(listener.messages()) as messages,
    ):
        await told(messages, LiveEvent)
        log.floor = 6
        assert (await told(messages, Ended))[-1] == Ended("overrun", 2)


async def test_nobody_reads_the_log_while_nobody_listens() -> None:
    log = AwayLog(MemoryEventLog(Codec()))
    async with LiveStream(log, nobodys, QUICK) as stream:
        async with stream.listen(wanted(), user_id="u") as listener, aclosing(listener.messages()) as messages:
            await told(messages, CaughtUp)
        async with asyncio.timeout(SECONDS):
            while stream.follows:
                await asyncio.sleep(0.001)
        asked = log.heads
        await say(log, bot_stream(A), BotPaused())
        for _ in range(20):
            await asyncio.sleep(0)
        assert log.heads == asked


@pytest.mark.parametrize("after", [0, None])
async def test_an_event_of_a_newer_program_is_passed_on_unread(after: int | None) -> None:
    log = MemoryEventLog(Codec())
    if after == 0:
        await _strange(log)
    async with (
        LiveStream(log, nobodys, QUICK) as stream,
        stream.listen(wanted(), user_id="u", after=after) as listener,
        aclosing(listener.messages()) as messages,
    ):
        if after is None:
            await told(messages, CaughtUp)
            await _strange(log)
        found: list[Message] = []
        while len(found) < 4:
            found += [one for one in await told(messages, LiveEvent) if isinstance(one, LiveEvent)]

    events = [one.event for one in found if isinstance(one, LiveEvent)]
    assert [event.position for event in events] == [1, 2, 3, 4]
    assert [isinstance(event, Unreadable) for event in events] == [False, True, True, False]
    assert [event.event_type for event in events] == ["bot.paused", "bot.dreamt", "bot.dreamt", "bot.started"]


async def _strange(log: MemoryEventLog) -> None:
    await say(log, bot_stream(A), BotPaused())
    await append_bytes(log, bot_stream(A), ("bot.dreamt", 1, b"\x80"), ("bot.dreamt", 1, b"\x80"))
    await say(log, bot_stream(A), BotStarted())
