"""The execution at the local exchange, over real ccxt: entries, native stops and targets, a crash, exits."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from events.account import AccountArmed, AccountOpened, AccountUnreconciled
from events.bot import BotArmed, BotStarted, CapitalDeposited, OrderRequested
from events.codec import Codec
from events.envelope import Fact, NewEvent
from events.identifiers import (
    AccountName,
    BotId,
    DecisionId,
    OrderId,
    StreamId,
    VenueName,
    account_stream,
    bot_stream,
    new_event_id,
)
from events.log import ANY_VERSION
from events.memory import MemoryEventLog
from events.values import Bracket, Instrument
from oxbot.app.clock import SystemClock
from oxbot.app.execution import ExecutionRunner, Pace
from oxbot.app.handle import fold_stream, handle
from oxbot.app.venue import Venue
from oxbot.core.bot_state import BotState
from oxbot.core.reports import ForceExit
from tests.app.fakes import at_work
from tests.contracts.venue_stages import PERPETUAL, PRICE, SPOT, Stage, ccxt_stage
from tests.core.scenario import DECIDER, START, created
from tests.simulation.execution_world import decision

pytestmark = pytest.mark.anyio

ACCOUNT = AccountName("demo")
BTC = Instrument(symbol=SPOT, tick=Decimal("0.1"), lot=Decimal("0.00001"))
SWAP = Instrument(
    symbol=PERPETUAL,
    tick=Decimal("0.1"),
    lot=Decimal("0.01"),
    kind="perpetual",
    contract_size=Decimal("0.01"),
    leverage_max=Decimal(50),
)
BOTS = {BotId("spot"): BTC, BotId("swap"): SWAP}
BRACKET = Bracket(stop_fraction=Decimal("0.05"), target_fraction=Decimal("0.02"))
WAIT_SECONDS = 30.0


async def append(log: MemoryEventLog, stream: StreamId, *facts: Fact) -> None:
    now = datetime.now(UTC)
    events = [NewEvent(event_id=new_event_id(), occurred_at=now, fact=fact) for fact in facts]
    await log.append(stream, events, expected=ANY_VERSION)


async def opened() -> MemoryEventLog:
    """A log with an armed account and its two armed bots."""
    log, until = MemoryEventLog(Codec()), datetime.now(UTC) + timedelta(days=1)
    account = AccountOpened(account=ACCOUNT, venue=VenueName("okx"), demo=True)
    await append(log, account_stream(ACCOUNT), account, AccountArmed(until=until))
    for bot_id, instrument in BOTS.items():
        creation = replace(created(instrument), bot_id=bot_id, account=ACCOUNT, leverage=Decimal(3))
        deposit = CapitalDeposited(amount=Decimal(10_000))
        await append(log, bot_stream(bot_id), creation, deposit, BotStarted(), BotArmed(until=until))
    return log


async def enter(log: MemoryEventLog, name: str) -> None:
    bot_id, at = BotId(name), datetime.now(UTC) - timedelta(minutes=5)
    instrument, decided = BOTS[bot_id], DecisionId(f"{name}-d1")
    swap = instrument.kind == "perpetual"
    entry = OrderRequested(
        order_id=OrderId(f"{name}-1"),
        at=at,
        symbol=instrument.symbol,
        side="sell" if swap else "buy",
        kind="market",
        reason="entry",
        notional=Decimal(2500),
        bracket=BRACKET,
        decision_id=decided,
        leverage=Decimal(3) if swap else None,
        at_close=True,
    )
    await append(log, bot_stream(bot_id), decision(decided, instrument.symbol, PRICE, at), entry)


async def state(log: MemoryEventLog, name: str) -> BotState:
    return (await fold_stream(log, DECIDER, bot_stream(BotId(name)))).state


def runner(log: MemoryEventLog, venue: Venue, holder: str) -> ExecutionRunner:
    return ExecutionRunner(
        ACCOUNT, venue=venue, log=log, decider=DECIDER, clock=SystemClock(), holder=holder, pace=Pace(sweep=2.0)
    )


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not await condition():
            await asyncio.sleep(0.1)


async def resting(stage: Stage) -> list[str]:
    return [order.symbol for order in await stage.venue.open_orders()]


async def test_entries_targets_and_exits_at_the_exchange_are_what_the_log_says() -> None:
    log = await opened()
    async with ccxt_stage() as stage:

        async def protected() -> bool:
            return sorted(await resting(stage)) == [SPOT, PERPETUAL]

        async def flat() -> bool:
            known = [await state(log, name) for name in ("spot", "swap")]
            return not any(each.ledger.positions or each.orders for each in known)

        async with at_work(runner(log, stage.venue, "first").run()):
            await enter(log, "spot")
            await enter(log, "swap")
            await eventually(protected)
        # Nobody is here while the spot bot's target is reached.
        await stage.move(SPOT, PRICE * 103 / 100)
        async with at_work(runner(log, stage.venue, "second").run()):
            now = datetime.now(UTC)
            await handle(log, DECIDER, bot_stream(BotId("swap")), ForceExit(now), at=now)
            await eventually(flat)
        assert await resting(stage) == []
        assert await stage.venue.positions() == []
        await agree(log, stage)


async def agree(log: MemoryEventLog, stage: Stage) -> None:
    """The trades of the log are those of the exchange, each once, and nobody was in doubt of the books."""
    states = [await state(log, name) for name in ("spot", "swap")]
    booked = Counter(
        (order.symbol, name) for each in states for order in each.ended.values() for name in order.fill_ids
    )
    there = Counter((fill.symbol, fill.fill_id) for fill in await stage.venue.fills(since=START))
    assert booked == there
    assert len(there) >= 4
    facts = [event.fact for event in await log.read_stream(account_stream(ACCOUNT))]
    assert not [fact for fact in facts if isinstance(fact, AccountUnreconciled)]
