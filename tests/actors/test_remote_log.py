"""What a process without a connection may count on, whatever becomes of its messages to the gateway."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random

import msgspec
import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from actors.append_queue import AppendQueue, Bounds
from actors.log_service import LogService
from actors.remote_log import GatewayUnavailable, RemoteCandles, RemoteLog
from events.bot import BotPaused
from events.codec import Codec
from events.commit import GroupCommitLog
from events.encoded import EncodedCommand, encode_command
from events.envelope import NewEvent
from events.errors import (
    Backpressure,
    BelowFloor,
    EventIdReused,
    LogError,
    LogUnavailable,
    PayloadTooLarge,
    StoreUnavailable,
    StreamClosed,
    UndecodableFact,
    WrongExpectedVersion,
)
from events.identifiers import StreamId, Symbol, VenueName, new_event_id
from events.log import NO_STREAM, Appended, EventLog, Outcome
from events.memory import MemoryEventLog
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.core.candles import Series

pytestmark = pytest.mark.anyio

CODEC = Codec()
STREAM = StreamId("bot-1")
SERIES = Series(VenueName("test"), Symbol("BTC/USDT"), "5m")


class Wire:
    """A way to a service on which the n-th message, and its answer, fares as it is told: ok, unheard, unanswered."""

    def __init__(self, service: LogService, fates: Sequence[str] = ()) -> None:
        self._service = service
        self._fates = list(fates)
        self.asked = 0

    async def ask(self, request: bytes, *, seconds: float) -> bytes:
        """See ``Gateway.ask``."""
        assert seconds >= 0
        self.asked += 1
        fate = self._fates.pop(0) if self._fates else "ok"
        if fate == "unheard":
            raise GatewayUnavailable("the message was lost")
        try:
            answer = await self._service.answer(request)
        except Exception as error:
            raise RuntimeError("the gateway's process has a bug") from error
        if fate == "unanswered":
            raise GatewayUnavailable("the answer was lost")
        return answer


class RefusingLog(MemoryEventLog):
    """A log that refuses everything with one error."""

    def __init__(self, error: LogError) -> None:
        super().__init__(CODEC)
        self._error = error

    async def append_encoded(self, commands: Sequence[EncodedCommand]) -> list[Outcome]:
        """The error, for each."""
        return [self._error for _ in commands]

    async def head(self) -> int:
        """The error."""
        raise self._error


@asynccontextmanager
async def served(log: MemoryEventLog) -> AsyncIterator[LogService]:
    queue = AppendQueue(log.append_encoded, log.hint)
    service = LogService(queue, reads=log, candles=MemoryCandleStore())
    running = asyncio.create_task(service.run())
    yield service
    running.cancel()
    await asyncio.wait([running])


@asynccontextmanager
async def stuck(log: MemoryEventLog) -> AsyncIterator[tuple[LogService, Callable[[], None]]]:
    """A service with one append under way and another waiting, which is all that may wait; and how to free it."""
    free = asyncio.Event()

    async def send(commands: Sequence[EncodedCommand]) -> list[Outcome]:
        await free.wait()
        return await log.append_encoded(commands)

    queue = AppendQueue(send, log.hint, Bounds(waiting_bytes=1))
    service = LogService(queue, reads=log, candles=MemoryCandleStore())
    tasks: list[asyncio.Task[object]] = [asyncio.create_task(service.run())]
    for number in (1, 2):
        others = [command("other", stream=StreamId(f"other-{number}"))]
        tasks.append(asyncio.create_task(queue.append(others, size=1)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    yield service, free.set
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def command(*reasons: str, stream: StreamId = STREAM, expected: int = NO_STREAM) -> EncodedCommand:
    return encode_command(CODEC, stream, [event(reason) for reason in reasons], expected=expected)


def event(reason: str = "") -> NewEvent:
    return NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=BotPaused(reason=reason))


async def live(log: EventLog, stream: StreamId) -> None:
    """Ten cycles, each on top of the one before."""
    for cycle in range(10):
        await log.append(stream, [event(str(cycle))], expected=cycle)


@pytest.mark.parametrize("fates", [["unheard"], ["unanswered"], ["unanswered", "unheard", "unanswered"]])
async def test_an_append_whose_answer_was_lost_is_stored_once_and_answered(fates: list[str]) -> None:
    log = MemoryEventLog(CODEC)
    async with served(log) as service:
        [outcome] = await RemoteLog(Wire(service, fates)).append_encoded([command("a", "b")])
    assert outcome == Appended(version=2, position=2, duplicate="unanswered" in fates)
    assert await log.head() == 2


async def test_after_the_deadline_the_outcome_is_unknown() -> None:
    log = MemoryEventLog(CODEC)
    async with served(log) as service:
        remote = RemoteLog(Wire(service, ["unanswered"] * 100), deadline_seconds=0.2)
        with pytest.raises(LogUnavailable):
            await remote.append_encoded([command("a")])
    assert await log.head() == 1, "unknown to the caller, but stored"


@pytest.mark.parametrize(
    "error",
    [
        WrongExpectedVersion(STREAM, expected=3, actual=4),
        EventIdReused(STREAM, new_event_id()),
        StreamClosed(STREAM),
        PayloadTooLarge("too large"),
        LogUnavailable("the database is down"),
    ],
)
async def test_a_refusal_arrives_as_it_was_made(error: LogError) -> None:
    async with served(RefusingLog(error)) as service:
        wire = Wire(service)
        [outcome] = await RemoteLog(wire).append_encoded([command("a")])
    assert isinstance(outcome, LogError)
    assert (type(outcome), str(outcome), vars(outcome)) == (type(error), str(error), vars(error))
    assert wire.asked == 1


@pytest.mark.parametrize("error", [BelowFloor(1, 50), UndecodableFact(7, STREAM, "bot.sang", "no such fact")])
async def test_a_read_fails_as_it_does_at_the_log(error: LogError) -> None:
    async with served(RefusingLog(error)) as service:
        with pytest.raises(type(error)) as raised:
            await RemoteLog(Wire(service)).head()
    assert vars(raised.value) == vars(error)


async def test_a_full_gateway_is_asked_again_until_there_is_room() -> None:
    log = MemoryEventLog(CODEC)
    async with stuck(log) as (service, free):
        appending = asyncio.create_task(RemoteLog(Wire(service)).append_encoded([command("a")]))
        await asyncio.sleep(0)
        free()
        assert await appending == [Appended(version=1, position=3)]


async def test_a_gateway_that_stays_full_has_stored_nothing() -> None:
    async with stuck(MemoryEventLog(CODEC)) as (service, _):
        with pytest.raises(Backpressure):
            await RemoteLog(Wire(service), deadline_seconds=0.2).append_encoded([command("a")])


async def test_a_full_gateway_does_not_deny_what_an_earlier_copy_may_have_stored() -> None:
    async with stuck(MemoryEventLog(CODEC)) as (service, _):
        remote = RemoteLog(Wire(service, ["unheard"]), deadline_seconds=0.2)
        with pytest.raises(LogUnavailable):
            await remote.append_encoded([command("a")])


async def test_reads_are_asked_again_too() -> None:
    log = MemoryEventLog(CODEC)
    await log.append(STREAM, [event("a"), event("b")], expected=NO_STREAM)
    async with served(log) as service:
        remote = RemoteLog(Wire(service, ["unheard", "unanswered"]))
        assert await remote.read_stream(STREAM, after_version=1) == await log.read_stream(STREAM, after_version=1)


async def test_candles_that_cannot_be_had_are_unavailable() -> None:
    async with served(MemoryEventLog(CODEC)) as service:
        wire = Wire(service, ["unheard"] * 100)
        with pytest.raises(StoreUnavailable):
            await RemoteCandles(wire, deadline_seconds=0.1).extent(SERIES)


async def test_a_message_that_is_none_is_a_bug_and_gets_no_answer() -> None:
    async with served(MemoryEventLog(CODEC)) as service:
        with pytest.raises(RuntimeError) as raised:
            await Wire(service).ask(b"\xc1 no message", seconds=1)
    assert isinstance(raised.value.__cause__, msgspec.DecodeError)


@given(seed=st.integers(0, 2**32), bots=st.integers(1, 8), loss=st.sampled_from([0.1, 0.4]))
def test_whatever_is_lost_on_the_way_each_cycle_is_stored_once_and_in_order(seed: int, bots: int, loss: float) -> None:
    async def lives() -> None:
        random = Random(seed)  # noqa: S311 - a test's choice of losses
        fates = [random.choice(["unheard", "unanswered"]) if random.random() < loss else "ok" for _ in range(200)]
        log = MemoryEventLog(CODEC)
        async with served(log) as service, GroupCommitLog(RemoteLog(Wire(service, fates)), CODEC) as grouped:
            await asyncio.gather(*(live(grouped, StreamId(f"bot-{number}")) for number in range(bots)))
        for number in range(bots):
            stored = await log.read_stream(StreamId(f"bot-{number}"))
            assert [found.fact for found in stored] == [BotPaused(reason=str(cycle)) for cycle in range(10)]

    with stamina.set_testing(True, attempts=1000):
        asyncio.run(lives())
