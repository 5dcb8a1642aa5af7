"""From the log to people: at least once, each under its key, whatever dies or does not answer on the way."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from events.bot import BotCreated, BotFact, BotHalted, OrderFilled
from events.codec import Codec
from events.envelope import NewEvent
from events.errors import StoreUnavailable
from events.identifiers import AccountName, BotId, bot_stream, new_event_id
from events.log import ANY_VERSION
from events.memory import MemoryEventLog
from oxbot.adapters.memory_outbox import MemoryOutbox
from oxbot.app.notifications import KEPT, NotificationRunner, NotSent, Waiting
from oxbot.views.notices import Notice
from tests.app.fakes import SteppingClock, eventually, named, write
from tests.core.scenario import BTC, START, bought, running

pytestmark = pytest.mark.anyio

LIVE, PAPER = BotId("live"), BotId("paper")


class Heard:
    """A notifier that writes down what it was given; the first messages fail, before or after they are heard."""

    def __init__(self, faults: Sequence[str] = ()) -> None:
        self.messages: list[list[Notice]] = []
        self._faults = list(faults)

    @property
    def keys(self) -> list[str]:
        return [notice.key for message in self.messages for notice in message]

    @property
    def lines(self) -> list[str]:
        return [notice.line for message in self.messages for notice in message]

    async def send(self, notices: Sequence[Notice]) -> None:
        """See ``Notifier.send``."""
        fault = self._faults.pop(0) if self._faults else ""
        if fault != "before":
            self.messages.append(list(notices))
        if fault:
            raise NotSent("the service is away")


def life(bot_id: BotId, account: AccountName | None) -> list[BotFact]:
    """A bot that bought and was halted."""
    facts = [*running(), *bought(BTC, 1, quantity="2", price="100"), BotHalted(rule="venue", reason="wrong keys")]
    return named([replace(fact, account=account) if isinstance(fact, BotCreated) else fact for fact in facts], bot_id)


async def log_of_both() -> MemoryEventLog:
    """A log with a bot at a venue and one on paper."""
    log = MemoryEventLog(Codec())
    await write(log, life(LIVE, AccountName("main")), bot_stream(LIVE))
    await write(log, life(PAPER, None), bot_stream(PAPER))
    return log


def clock_of_people() -> SteppingClock:
    """A clock right after what the test has recorded, though all that happened years before by its market's clock."""
    return SteppingClock(datetime.now(UTC) + timedelta(minutes=1))


async def told(runner: NotificationRunner, outbox: MemoryOutbox, log: MemoryEventLog) -> None:
    """Let the runner work until it has looked through the whole log and nothing is due."""
    task = asyncio.create_task(runner.run())
    head = await log.head()

    async def done() -> bool:
        return await outbox.position() == head and not await outbox.due(
            clock_of_people().now() + timedelta(days=3), limit=1
        )

    async with asyncio.timeout(30):
        while not await done():
            if task.done():
                await task
            await asyncio.sleep(0.001)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_of_a_live_bot_everything_is_told_of_one_on_paper_only_what_stops_it() -> None:
    log, outbox, heard = await log_of_both(), MemoryOutbox(), Heard()
    await told(NotificationRunner(log, outbox, heard, clock_of_people()), outbox, log)
    assert heard.lines == [
        "bot Bot 1: bought 2 BTC/USDT at 100, entry",
        "bot Bot 1: halted by venue: wrong keys",
        "bot Bot 1: halted by venue: wrong keys",
    ]


async def test_what_a_market_ahead_of_our_clock_brought_is_told_at_once() -> None:
    log, outbox, heard = await log_of_both(), MemoryOutbox(), Heard()
    halt = NewEvent(
        event_id=new_event_id(),
        occurred_at=datetime.now(UTC) + timedelta(days=30),
        fact=BotHalted(rule="drawdown_max", reason="too much is lost"),
    )
    await log.append(bot_stream(LIVE), [halt], expected=ANY_VERSION)
    await told(NotificationRunner(log, outbox, heard, clock_of_people()), outbox, log)
    assert heard.lines[-1] == "bot Bot 1: halted by drawdown_max: too much is lost"


async def test_a_fill_is_told_with_a_request_from_before_the_place_that_was_begun_from() -> None:
    log, heard = await log_of_both(), Heard()
    events = await log.read_all()
    before = next(event.position for event in events if isinstance(event.fact, OrderFilled)) - 1
    outbox = MemoryOutbox(position=before)
    await told(NotificationRunner(log, outbox, heard, clock_of_people()), outbox, log)
    assert heard.lines[0] == "bot Bot 1: bought 2 BTC/USDT at 100, entry"


@given(faults=st.lists(st.sampled_from(["before", "after"]), max_size=6))
@settings(max_examples=30)
async def test_everything_is_told_at_least_once_whatever_fails(faults: list[str]) -> None:
    log, outbox, heard = await log_of_both(), MemoryOutbox(), Heard(faults)
    clock = clock_of_people()
    runner = NotificationRunner(log, outbox, heard, clock)
    expected = Heard()
    clean = MemoryOutbox()
    await told(NotificationRunner(log, clean, expected, clock_of_people()), clean, log)

    task = asyncio.create_task(runner.run())
    head = await log.head()
    for _ in range(2000):
        await asyncio.sleep(0)
        clock.advance(1)
        while await runner.deliver_due():
            pass
        if await outbox.position() == head and not await outbox.due(
            clock_of_people().now() + timedelta(days=3), limit=1
        ):
            break
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    assert set(heard.keys) == set(expected.keys)
    assert len(heard.keys) - len(expected.keys) <= 3 * faults.count("after")


async def test_what_cannot_be_sent_waits_longer_each_time() -> None:
    outbox, heard, clock = MemoryOutbox(), Heard(["before"] * 3), SteppingClock()
    runner = NotificationRunner(MemoryEventLog(Codec()), outbox, heard, clock)
    await outbox.put([_notice(1)], position=1)
    waits: list[float] = []
    for _ in range(3):
        assert await runner.deliver_due()
        assert not await runner.deliver_due()
        [waiting] = await outbox.due(clock.now() + timedelta(hours=1), limit=1)
        begun = clock.now()
        while waiting not in await outbox.due(clock.now(), limit=1):
            clock.advance(1)
        waits.append((clock.now() - begun).total_seconds())
    assert waits == [2, 4, 8]
    assert await runner.deliver_due()
    assert heard.keys == ["key-1"]


async def test_after_a_day_nobody_needs_it_any_more() -> None:
    outbox, heard, clock = MemoryOutbox(), Heard(), SteppingClock()
    runner = NotificationRunner(MemoryEventLog(Codec()), outbox, heard, clock)
    await outbox.put([_notice(1)], position=1)
    clock.advance(KEPT.total_seconds())
    await outbox.put([_notice(2, at=clock.now())], position=2)
    clock.advance(1)

    assert await runner.deliver_due()
    assert not await runner.deliver_due()
    assert heard.keys == ["key-2"]


class FlakyOutbox(MemoryOutbox):
    """An outbox that is away the first times it is written to."""

    def __init__(self, faults: int) -> None:
        super().__init__()
        self._faults = faults

    async def put(self, notices: Sequence[Notice], *, position: int) -> None:
        """See ``Outbox.put``."""
        self._fail()
        await super().put(notices, position=position)

    async def due(self, now: datetime, *, limit: int) -> Sequence[Waiting]:
        """See ``Outbox.due``."""
        self._fail()
        return await super().due(now, limit=limit)

    def _fail(self) -> None:
        if self._faults:
            self._faults -= 1
            raise StoreUnavailable("the database does not answer")


async def test_an_outbox_that_does_not_answer_is_waited_for() -> None:
    log, outbox, heard, clock = await log_of_both(), FlakyOutbox(4), Heard(), clock_of_people()
    runner = NotificationRunner(log, outbox, heard, clock)
    task = asyncio.create_task(runner.run())
    advancing = asyncio.create_task(_advance(clock))
    await eventually(lambda: len(heard.keys) == 3)
    for each in (task, advancing):
        each.cancel()
        with suppress(asyncio.CancelledError):
            await each


async def _advance(clock: SteppingClock) -> None:
    while True:
        clock.advance(0.1)
        await asyncio.sleep(0.001)


def _notice(number: int, at: datetime = START) -> Notice:
    return Notice(key=f"key-{number}", position=number, at=at, level="info", line=f"line {Decimal(number)}")
