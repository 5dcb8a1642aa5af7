"""The execution at a local exchange whose market has a clock of its own: behind ours, ahead of it, and faster."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import pytest

from events.account import AccountKillDone
from events.bot import OrderAccepted, OrderCancelRequested, OrderExpired, OrderRequested, OrderSubmitted
from events.envelope import Fact
from events.identifiers import BotId, OrderId, StreamId, account_stream, bot_stream
from events.memory import MemoryEventLog
from oxbot.app.clock import SystemClock
from oxbot.app.execution import HEARTBEAT_LEAST, ExecutionRunner, Pace
from oxbot.app.execution_sending import Timing
from oxbot.app.handle import handle
from oxbot.app.venue import Venue
from oxbot.core.bot_state import BotState
from oxbot.core.venue_account import RequestKill, VenueAccountDecider
from tests.app.fakes import at_work
from tests.app.test_execution_at_exchange import ACCOUNT, append, eventually, opened, state
from tests.contracts.venue_stages import SPOT, opened_at
from tests.core.scenario import DECIDER
from tests.exchange.running import exchange_inside

pytestmark = pytest.mark.anyio

SPEED = 30.0
BOT = BotId("spot")
BOT_STREAM = bot_stream(BOT)
FactT = TypeVar("FactT", bound=Fact)


@asynccontextmanager
async def started(home: Path, *, days: int) -> AsyncIterator[tuple[MemoryEventLog, Venue]]:
    """An execution at an exchange whose market began so many days from now and goes 30 times as fast as the clock."""
    log, begins = await opened(), datetime.now(UTC) + timedelta(days=days)
    start_ms = int(begins.timestamp() * 1000)
    async with (
        exchange_inside(home, start_ms=start_ms, speed=SPEED) as exchange,
        opened_at(exchange) as venue,
        at_work(
            ExecutionRunner(
                ACCOUNT,
                venue=venue,
                log=log,
                decider=DECIDER,
                clock=SystemClock(),
                holder="one",
                timing=Timing(speed=SPEED),
                pace=Pace(sweep=2.0),
            ).run()
        ),
    ):
        yield log, venue


async def ask(log: MemoryEventLog, number: int, closed_at: datetime) -> OrderId:
    """An entry far from the market, which the bot wanted at the close of a candle then."""
    bot = await state(log, BOT)
    entry = OrderRequested(
        order_id=OrderId(f"{BOT}-{number}"),
        at=closed_at - bot.candle,
        symbol=SPOT,
        side="buy",
        kind="limit",
        reason="entry",
        notional=Decimal(500),
        limit_price=Decimal(30_000),
        at_close=True,
    )
    await append(log, BOT_STREAM, entry)
    return entry.order_id


async def said(log: MemoryEventLog, kind: type[FactT], stream: StreamId = BOT_STREAM) -> Sequence[FactT]:
    return [event.fact for event in await log.read_stream(stream) if isinstance(event.fact, kind)]


async def accepted(log: MemoryEventLog, number: int) -> BotState:
    async def has_it() -> bool:
        return len(await said(log, OrderAccepted)) >= number

    await eventually(has_it)
    return await state(log, BOT)


async def test_an_entry_goes_by_the_markets_clock_and_its_deadline_by_the_venues(tmp_path: Path) -> None:
    async with started(tmp_path, days=-400) as (log, venue):
        now = await venue.market_now()
        late = await ask(log, 1, now - timedelta(hours=1))
        early = await ask(log, 2, now)
        await accepted(log, 1)
        assert [(fact.order_id, fact.reason) for fact in await said(log, OrderExpired)] == [
            (late, "its candle closed too long ago")
        ]
        [submitted] = await said(log, OrderSubmitted)
        assert submitted.order_id == early
        assert abs(submitted.at - now) < timedelta(minutes=10)
        assert abs(submitted.expires_at - await venue.now()) < timedelta(minutes=1)
        # By the market's clock the dead man's switch has been due several times over.
        async with asyncio.timeout(30):
            while await venue.market_now() < now + timedelta(seconds=200):
                await asyncio.sleep(0.2)
        assert [order.status for order in await venue.open_orders()] == ["open"]


async def test_a_kill_switch_counts_only_what_ended_after_it_was_thrown(tmp_path: Path) -> None:
    account = account_stream(ACCOUNT)
    async with started(tmp_path, days=30) as (log, venue):
        first = await ask(log, 1, await venue.market_now())
        await accepted(log, 1)
        withdrawn = OrderCancelRequested(order_id=first, at=await venue.market_now(), reason="second thoughts")
        await append(log, BOT_STREAM, withdrawn)
        await ask(log, 2, await venue.market_now())
        await accepted(log, 2)

        async def one_left() -> bool:
            return list((await state(log, BOT)).orders) == [OrderId(f"{BOT}-2")]

        await eventually(one_left)
        kill = RequestKill(at=datetime.now(UTC), policy="freeze")
        await handle(log, VenueAccountDecider(), account, kill, at=datetime.now(UTC))

        async def done() -> bool:
            return bool(await said(log, AccountKillDone, account))

        await eventually(done)
        [report] = await said(log, AccountKillDone, account)
        assert (report.cancelled, report.left) == (1, ())
        assert abs(report.at - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(("speed", "switch", "heartbeat"), [(1, 60, 15), (2, 120, 15), (20, 120, 1.5), (0.5, 30, 15)])
def test_a_dead_mans_switch_waits_by_the_markets_clock(speed: float, switch: int, heartbeat: float) -> None:
    pace = Pace().at_speed(speed)
    assert (pace.switch, pace.heartbeat) == (switch, heartbeat)


def test_a_market_too_fast_for_a_dead_mans_switch_goes_without() -> None:
    assert Pace().at_speed(120 / 4 / HEARTBEAT_LEAST).switch == 120
    assert Pace().at_speed(100).switch == 0
