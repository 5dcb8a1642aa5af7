"""The result of a run, per bot: what it traded, what it still holds and what it is worth."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec
import pytest

from events.bot import OrderFilled
from events.identifiers import BotId
from oxbot.adapters.memory_views import MemoryViews
from oxbot.app.bots import UnknownBot
from oxbot.app.equity import EquityReader, EverythingStoredIsClosed
from oxbot.app.fleet_report import BotResult, FleetReporter, FleetResult, MarketRange, OpenResult
from oxbot.app.projection import ProjectionRunner
from oxbot.core.bot import BotCommand, DepositCapital, WithdrawCapital
from oxbot.core.candles import Frame
from tests.app.fakes import facts_in, lived_with, market, state_in, stored, written
from tests.core.reference_loop import Rules, run
from tests.core.scenario import BOT, BTC, candle, moment, running
from tests.views.trading import traded, trader

pytestmark = pytest.mark.anyio

FRAMES = market(400, seed=7)
RULES = Rules(fast=2, slow=3, lookback=3)


async def report(frames: Sequence[Frame], *moves: BotCommand) -> BotResult:
    """The result of a bot that lived through the frames."""
    log, views = await lived_with(frames, {10: moves}, running()), MemoryViews()
    await ProjectionRunner(log, views).catch_up()
    equity = EquityReader(views, await stored(frames), EverythingStoredIsClosed())
    return await FleetReporter(views, equity).bot(BOT)


def open_at_the_end() -> Sequence[Frame]:
    """The frames up to one after which the bot still holds its position."""
    for length in range(200, 400):
        reference = run([frame.candles[0][1] for frame in FRAMES[:length]], Decimal(10000), RULES)
        if reference.holding is not None and len(reference.trades) > 5:
            return FRAMES[:length]
    raise AssertionError("no such market")


async def test_a_bot_with_an_open_position_is_worth_what_the_reference_says() -> None:
    frames = open_at_the_end()
    reference = run([frame.candles[0][1] for frame in frames], Decimal(10000), RULES)

    result = await report(frames)

    assert (result.name, result.strategy, result.symbols, result.capital) == ("Bot 1", "ema_cross", (BTC,), "10000")
    assert (Decimal(result.cash), Decimal(result.equity)) == (reference.cash, reference.equity)
    assert [
        (Decimal(trade.quantity), trade.entry_time, trade.exit_time, Decimal(trade.net), trade.reason)
        for trade in result.trades
    ] == [(trade.quantity, trade.entry_time, trade.exit_time, trade.net, trade.reason) for trade in reference.trades]
    [held] = result.open
    assert reference.holding is not None
    assert (Decimal(held.quantity), held.entry_time, Decimal(held.entry_price)) == reference.holding
    cost = reference.holding.quantity * reference.holding.entry_price
    worth = reference.holding.quantity * frames[-1].candles[0][1].close
    assert Decimal(held.mark_price) == frames[-1].candles[0][1].close
    assert Decimal(held.fees) == cost * Decimal("0.001")
    assert Decimal(held.unrealised) == worth - cost - Decimal(held.fees)
    assert isinstance(held, OpenResult)
    assert held.side == "long"


async def test_realised_and_open_results_explain_the_equity_to_the_last_unit() -> None:
    result = await report(open_at_the_end())
    nets = sum(Decimal(trade.net) for trade in result.trades)
    unrealised = sum(Decimal(held.unrealised) for held in result.open)
    assert Decimal(result.equity) == Decimal(result.capital) + nets + unrealised
    paid = sum(Decimal(trade.fees) for trade in result.trades) + sum(Decimal(held.fees) for held in result.open)
    assert Decimal(result.fees) == paid > 0


async def test_fees_and_drawdown_are_those_of_the_life() -> None:
    frames = open_at_the_end()
    log = await lived_with(frames, {}, running())
    fills = [fact for fact in await facts_in(log) if isinstance(fact, OrderFilled)]

    result = await report(frames)

    assert Decimal(result.fees) == sum(fill.fee for fill in fills) == (await state_in(log)).ledger.fees
    candles = [frame.candles[0][1] for frame in frames]
    lives = [run(candles[:length], Decimal(10000), RULES) for length in range(1, len(frames) + 1)]
    worths = [Decimal(10000), *(life.equity for life in lives)]
    deepest = max(
        (max(worths[: number + 1]) - worth) / max(worths[: number + 1]) for number, worth in enumerate(worths)
    )
    assert abs(Decimal(result.max_drawdown) - deepest) < Decimal("1e-11")
    assert deepest > 0


async def test_capital_is_what_came_in_less_what_went_out() -> None:
    moves = DepositCapital(Decimal(500)), WithdrawCapital(Decimal("20.5"))
    assert (await report(FRAMES[:100], *moves)).capital == "10479.5"


@pytest.mark.parametrize(
    "moves", [(), (DepositCapital(Decimal(10000)),), (WithdrawCapital(Decimal(5000)),)], ids=["none", "in", "out"]
)
async def test_capital_that_comes_or_goes_is_no_gain_and_no_drawdown(moves: Sequence[BotCommand]) -> None:
    log, views = await lived_with(FRAMES[:20], {10: moves}, running()[:2]), MemoryViews()
    await ProjectionRunner(log, views).catch_up()
    equity = EquityReader(views, await stored(FRAMES[:20]), EverythingStoredIsClosed())
    result = await FleetReporter(views, equity).bot(BOT)
    assert (result.trades, result.open, result.max_drawdown) == ((), (), "0")


async def test_a_bot_that_did_nothing_is_worth_its_capital() -> None:
    result = await report(FRAMES[:2])
    assert (result.cash, result.equity, result.fees, result.max_drawdown) == ("10000", "10000", "0", "0")
    assert (result.trades, result.open) == ((), ())


async def test_a_short_on_margin_is_worth_what_its_fall_has_earned() -> None:
    """Sold at 1,000, marked at 900: 2 * 100, less the fee, on cash that its margin never left."""
    facts = [*trader(), *traded(1, "sell", "2", "1000", at=1, fee="2")]
    log, views = await written(facts), MemoryViews()
    await ProjectionRunner(log, views).catch_up()
    frames = [Frame(moment(number), ((BTC, candle(number, price)),)) for number, price in ((1, "1000"), (2, "900"))]
    equity = EquityReader(views, await stored(frames), EverythingStoredIsClosed())

    result = await FleetReporter(views, equity).bot(BOT)

    assert (result.cash, result.equity) == ("9998", "10198")
    assert [(held.side, held.quantity, held.mark_price, held.unrealised) for held in result.open] == [
        ("short", "2", "900", "198")
    ]
    assert [point.equity for point in await equity.curve(BOT)] == [Decimal(9998), Decimal(10198)]


async def test_an_unknown_bot_has_no_result() -> None:
    views = MemoryViews()
    reporter = FleetReporter(views, EquityReader(views, await stored([]), EverythingStoredIsClosed()))
    with pytest.raises(UnknownBot, match="nobody"):
        await reporter.bot(BotId("nobody"))


async def test_the_json_of_a_run_has_the_agreed_shape() -> None:
    bot = await report(open_at_the_end())
    result = FleetResult(
        market=MarketRange(begins_at=moment(0), ends_before=moment(400), candles=400),
        bots=(bot,),
        events=7,
        candles_per_second=5000.5,
    )

    found = msgspec.json.decode(msgspec.json.encode(result), type=dict[str, object])

    assert list(found) == ["market", "bots", "events", "candles_per_second"]
    assert found["market"] == {"from": "2024-01-01T00:00:00Z", "to": "2024-01-02T09:20:00Z", "candles": 400}
    [shown] = msgspec.convert(found["bots"], list[dict[str, object]])
    assert list(shown) == [
        "name",
        "strategy",
        "symbols",
        "capital",
        "cash",
        "equity",
        "fees",
        "max_drawdown",
        "trades",
        "open",
    ]
    trade = msgspec.convert(shown["trades"], list[dict[str, str]])[0]
    assert list(trade) == [
        "symbol",
        "side",
        "quantity",
        "entry_time",
        "entry_price",
        "exit_time",
        "exit_price",
        "fees",
        "net",
        "reason",
    ]
