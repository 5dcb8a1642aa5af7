"""A comparison runs each strategy as a live bot would, and says what came of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from events.errors import OxbotError
from events.identifiers import Symbol
from events.values import FeeSchedule, MarketReference, PaperModel
from oxbot.adapters.synthetic_market import SyntheticMarket
from oxbot.app.compare import (
    BATCH_SIZE,
    Batch,
    Conditions,
    Contender,
    Run,
    asks_models,
    batches,
    contenders,
    rows,
    run_batch,
    strategy_names,
)
from oxbot.core.bot import BotDecider
from oxbot.core.candles import Candle
from oxbot.core.creation import InvalidCommand
from oxbot.core.state import TRADES_KEPT
from oxbot.core.strategies import built_in
from oxbot.core.strategy import InvalidParameter, UnknownStrategy

BTC, ETH = Symbol("BTC/USDT"), Symbol("ETH/USDT")
BEGINS_AT = datetime(2024, 1, 1, tzinfo=UTC)
FEES = FeeSchedule(maker=Decimal("0.001"), taker=Decimal("0.001"))
CONDITIONS = Conditions(capital=Decimal(10000), fees=FEES)
FREE = Conditions(capital=Decimal(10000), fees=FeeSchedule(maker=Decimal(0), taker=Decimal(0)), paper=PaperModel())
HODL = Contender("hodl")
DECIDER = BotDecider(built_in())


def _random(seed: int, **parameters: str) -> Contender:
    return Contender("random", {"seed": str(seed), "entry_probability": "0.05", **parameters})


def _batches(chosen: list[Contender], *, count: int = 600, conditions: Conditions = CONDITIONS) -> list[Batch]:
    """Hours of a made-up market."""
    made = SyntheticMarket(5, (BTC, ETH), "1h", BEGINS_AT)
    candles: dict[Symbol, list[Candle]] = {BTC: [], ETH: []}
    for frame in made.frames(count):
        for symbol, candle in frame.candles:
            candles[symbol].append(candle)
    market = MarketReference(venue=made.venue, timeframe="1h", begins_at=BEGINS_AT, instruments=tuple(made.instruments))
    return batches(market, list(candles.items()), chosen, conditions, decider=DECIDER)


def _runs(chosen: list[Contender], *, count: int = 600, conditions: Conditions = CONDITIONS) -> list[Run]:
    """What came of them on the first symbol, in their order."""
    cut = _batches(chosen, count=count, conditions=conditions)
    runs = [run for batch in cut if batch.symbol == BTC for run in run_batch(batch, DECIDER)]
    return sorted(runs, key=lambda run: chosen.index(Contender(run.strategy, run.parameters)))


def test_contenders_are_the_baselines_once_and_each_named_strategy_once() -> None:
    chosen = contenders(["trinity", "hodl", "fvg", "trinity", "random"], seeds=3)
    assert [contender.strategy for contender in chosen] == ["hodl", *["random"] * 3, "trinity", "fvg"]
    assert [contender.parameters["seed"] for contender in chosen[1:4]] == ["1", "2", "3"]


def test_the_strategies_to_compare_are_all_that_are_no_baselines() -> None:
    assert {"trinity", "indicator", "fvg", "regime", "ema_cross"} <= set(strategy_names(built_in()))
    assert {"hodl", "random"}.isdisjoint(strategy_names(built_in()))


def test_a_strategy_that_asks_a_model_is_not_compared_on_candles_that_nobody_was_asked_about() -> None:
    assert asks_models(built_in(), "model")
    assert not asks_models(built_in(), "trinity")
    assert "model" not in strategy_names(built_in())


def test_the_work_covers_every_symbol_and_contender_once_with_one_strategy_in_each_part() -> None:
    chosen = contenders(["fvg"], seeds=2 * BATCH_SIZE + 1)
    cut = _batches(chosen)
    for symbol in (BTC, ETH):
        covered = [contender for batch in cut if batch.symbol == symbol for contender in batch.contenders]
        assert sorted(map(repr, covered)) == sorted(map(repr, chosen))
    assert all(len({contender.strategy for contender in batch.contenders}) == 1 for batch in cut)
    assert max(len(batch.contenders) for batch in cut) == BATCH_SIZE
    assert [batch.steps for batch in cut] == sorted((batch.steps for batch in cut), reverse=True)


@pytest.mark.parametrize(
    ("contender", "conditions", "error", "words"),
    [
        (Contender("astrology"), CONDITIONS, UnknownStrategy, "astrology"),
        (Contender("hodl", {"speed": "3"}), CONDITIONS, InvalidParameter, "speed"),
        (Contender("hodl", {"size_fraction": "0.9"}), CONDITIONS, InvalidCommand, "size_fraction 0.9"),
        (HODL, msgspec.structs.replace(CONDITIONS, capital=Decimal(-5)), InvalidCommand, "capital"),
    ],
)
def test_a_contender_that_cannot_be_is_refused_before_anything_runs(
    contender: Contender, conditions: Conditions, error: type[OxbotError], words: str
) -> None:
    with pytest.raises(error, match=words):
        _batches([contender], conditions=conditions)


def test_holding_earns_what_its_part_of_the_capital_does() -> None:
    [run] = _runs([HODL], conditions=FREE)
    [batch] = [batch for batch in _batches([HODL]) if batch.symbol == BTC]
    candles = msgspec.msgpack.decode(batch.candles, type=list[Candle])
    change = float(candles[-1].close / candles[1].open) - 1
    assert run.open_positions == 1
    assert run.metrics.trades.trade_count == 0
    assert run.metrics.equity.total_return == pytest.approx(change / 4, abs=1e-3)
    assert run.metrics.exposure == pytest.approx(599 / 600)


def test_what_closed_trades_earned_is_what_the_equity_gained() -> None:
    """Where nothing is open at the end, after fees and slippage."""
    flat = [run for run in _runs([_random(seed) for seed in range(8)]) if not run.open_positions]
    assert flat
    for run in flat:
        assert run.metrics.trades.trade_count > 5
        assert run.metrics.profit_total == pytest.approx(run.metrics.equity.total_return, abs=1e-12)


def test_fees_and_slippage_cost_something() -> None:
    dear, free = ([run.metrics for run in _runs([_random(3)], conditions=terms)] for terms in (CONDITIONS, FREE))
    assert dear[0].trades.trade_count == free[0].trades.trade_count
    assert dear[0].fees > 0
    assert free[0].fees == 0
    assert dear[0].equity.total_return < free[0].equity.total_return


def test_slippage_alone_costs_something() -> None:
    slipping = msgspec.structs.replace(FREE, paper=CONDITIONS.paper)
    dear, free = ([run.metrics for run in _runs([_random(3)], conditions=terms)] for terms in (slipping, FREE))
    assert dear[0].equity.total_return < free[0].equity.total_return


def test_exposure_is_the_share_of_time_between_fills() -> None:
    """Every position lasts from one open to the next, but for the few that are stopped within their first candle."""
    [run] = _runs([_random(1, entry_probability="1", holding_candles="1")])
    hours = run.metrics.trades.trade_count / 600
    assert run.metrics.exposure is not None
    assert 0.8 * hours < run.metrics.exposure <= hours


def test_bots_that_trade_side_by_side_do_as_each_alone_does() -> None:
    chosen = [_random(seed) for seed in (1, 2, 3)]
    assert _runs(chosen) == [run for contender in chosen for run in _runs([contender])]


def test_more_trades_than_a_bot_keeps_are_all_counted() -> None:
    [run] = _runs([_random(1, entry_probability="1", holding_candles="1")], count=2000)
    assert run.metrics.trades.trade_count > TRADES_KEPT
    assert run.metrics.equity.total_return < 0


def test_a_row_is_the_median_and_the_range_of_its_runs() -> None:
    runs = _runs([HODL, *[_random(seed) for seed in range(5)], Contender("ema_cross")])
    hodl, random, crossing = rows(runs)
    returns = sorted(run.metrics.equity.total_return for run in runs if run.strategy == "random")
    assert (hodl.strategy, random.strategy, crossing.strategy) == ("hodl", "random", "ema_cross")
    assert (random.runs, random.total_return.median) == (5, returns[2])
    assert random.total_return.low == pytest.approx(returns[0] + 0.2 * (returns[1] - returns[0]))
    assert random.total_return.high == pytest.approx(returns[4] - 0.2 * (returns[4] - returns[3]))
    assert hodl.total_return.low == hodl.total_return.high


def test_only_a_strategy_is_measured_against_chance_and_only_on_its_symbol() -> None:
    runs = _runs([HODL, *[_random(seed) for seed in range(4)], Contender("ema_cross")])
    elsewhere = [msgspec.structs.replace(run, symbol=ETH) for run in runs if run.strategy == "ema_cross"]
    hodl, random, crossing, alone = rows([*runs, *elsewhere])
    own = next(run for run in runs if run.strategy == "ema_cross").metrics.equity.total_return
    beaten = sum(run.metrics.equity.total_return < own for run in runs if run.strategy == "random")
    assert crossing.beats_random == beaten / 4
    assert (hodl.beats_random, random.beats_random, alone.beats_random) == (None, None, None)


def test_a_figure_that_no_run_has_is_none() -> None:
    """One candle is less than two days."""
    [row] = rows(_runs([HODL], count=1))
    assert row.sharpe is None
    assert row.trades.median == 0


def test_the_curve_begins_with_the_capital_and_ends_at_the_last_close() -> None:
    [run] = _runs([HODL], count=48)
    assert run.metrics.equity.drawdown_end is not None
    assert run.metrics.equity.drawdown_end <= BEGINS_AT + timedelta(hours=48)
    assert run.metrics.equity.cagr is not None
