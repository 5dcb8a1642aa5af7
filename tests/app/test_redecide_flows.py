"""Money that came between two candles makes no difference to those that were lived before it came."""

from decimal import Decimal

import pytest

from events.bot import CapitalDeposited, CapitalWithdrawn, OrderDenied, OrderRequested
from events.codec import Codec
from events.identifiers import VenueName, bot_stream
from events.memory import MemoryEventLog
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.app.bot_runner import BotRunner
from oxbot.app.clock import SystemClock
from oxbot.app.handle import handle
from oxbot.app.redecide import Redecided, redecide
from oxbot.core.bot import BotDecider, DepositCapital, StartBot, WithdrawCapital
from oxbot.core.candles import Frame, Series
from oxbot.core.strategy import Strategies
from tests.app.fakes import facts_in, write
from tests.core.lives import BOT, BTC, START, Scripted, Wish, at, candle, creation, spot

pytestmark = pytest.mark.anyio

WISHES = {key: wishes for number in range(10) for key, wishes in at(number, Wish(size_fraction=Decimal("0.1"))).items()}
DECIDER = BotDecider(Strategies(Scripted(WISHES)))
CANDLES = [candle(number, "100") for number in range(10)]
FRAMES = [Frame(each.open_time, ((BTC, each),)) for each in CANDLES]


async def lived(*flows: DepositCapital | WithdrawCapital) -> tuple[MemoryEventLog, MemoryCandleStore]:
    """A bot that is too poor for an entry, is refused once and then in silence; after five candles money flows."""
    log, candles = MemoryEventLog(Codec()), MemoryCandleStore()
    await candles.add([(Series(VenueName("test"), BTC, "4h"), CANDLES)])
    for command in (creation(spot(minimum="500"), capital="1000"), StartBot()):
        await handle(log, DECIDER, bot_stream(BOT), command, at=START)
    runner = BotRunner(BOT, log=log, decider=DECIDER, candles=candles, clock=SystemClock(), holder="h")
    await runner.claim()
    await runner.observe(FRAMES[:5])
    for flow in flows:
        await handle(log, DECIDER, bot_stream(BOT), flow, at=START)
    await runner.refresh()
    await runner.observe(FRAMES[5:])
    return log, candles


async def again(log: MemoryEventLog, candles: MemoryCandleStore) -> Redecided:
    """The life decided again."""
    return await redecide(BOT, log=log, candles=candles, decider=DECIDER)


@pytest.mark.parametrize(
    "flows",
    [
        [DepositCapital(Decimal(100_000), "r")],
        [DepositCapital(Decimal(5_000), "r"), DepositCapital(Decimal(5_000), "s")],
        [WithdrawCapital(Decimal(500), "r"), DepositCapital(Decimal(100_000), "s")],
    ],
)
async def test_what_was_refused_in_silence_before_money_came_stays_so(
    flows: list[DepositCapital | WithdrawCapital],
) -> None:
    log, candles = await lived(*flows)
    facts = await facts_in(log, bot_stream(BOT))
    assert [type(fact) for fact in facts if isinstance(fact, OrderDenied | OrderRequested)] == [
        OrderDenied,
        OrderRequested,
    ]
    assert (await again(log, candles)).difference is None


async def test_an_entry_that_both_the_poor_and_the_rich_bot_would_make_must_be_on_record() -> None:
    """Left out, it is found, whatever else came between."""
    log, candles = await lived(DepositCapital(Decimal(100_000), "r"), WithdrawCapital(Decimal(1), "s"))
    facts = [fact for fact in await facts_in(log, bot_stream(BOT)) if not isinstance(fact, OrderDenied)]
    planted = MemoryEventLog(Codec())
    await write(planted, facts, bot_stream(BOT))
    assert any(isinstance(fact, CapitalDeposited | CapitalWithdrawn) for fact in facts)
    assert (await again(planted, candles)).difference is not None
