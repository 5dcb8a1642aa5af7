"""What the metrics say, by hand-made cases and by their laws."""

import math
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from oxbot.core.metrics import Metrics, curve_metrics, exposure, measure, sortino, trade_metrics
from oxbot.core.returns import (
    Flow,
    InvalidCurve,
    Loss,
    Point,
    daily_returns,
    drawdown,
    falls,
    growth_index,
    losses,
    total_return,
)
from tests.core.metrics_cases import DAY, HOUR, START, Closed, closed, curve_of, in_turn

AMOUNTS = st.decimals(min_value="0.01", max_value=1_000_000, places=2)
NETS = st.decimals(min_value=-10_000, max_value=10_000, places=2)
EQUITIES = st.lists(AMOUNTS, min_size=2, max_size=60)
# Closing times differ, so that series of wins are the same in every order.
TRADES = st.lists(
    st.builds(
        lambda net, cost, hours: Closed(START + hours * HOUR, START + (hours + 5) * HOUR, cost, net),
        NETS,
        AMOUNTS,
        st.integers(0, 500),
    ),
    max_size=30,
    unique_by=lambda trade: trade.opened_at,
)
RATIOS = ("total_return", "max_drawdown", "current_drawdown", "cagr", "volatility", "sharpe", "sortino", "calmar")
TRADE_RATIOS = (
    "winrate",
    "profit_mean",
    "profit_median",
    "best_trade",
    "worst_trade",
    "profit_factor",
    "expectancy_ratio",
    "sqn",
    "p_value",
)


def _assert_same(one: object, other: object, names: tuple[str, ...]) -> None:
    """The figures are equal but for what floats round, or None in both."""
    for name in names:
        here, there = getattr(one, name), getattr(other, name)
        assert (here is None) == (there is None), name
        assert here is None or here == pytest.approx(there, rel=1e-6, abs=1e-9), name


# Trades


def test_trades_are_counted_by_their_net_result() -> None:
    found = trade_metrics(in_turn(5, -2, 0, 3, -1, -1))
    assert (found.trade_count, found.winning_trades, found.losing_trades, found.draw_trades) == (6, 2, 3, 1)
    assert found.winrate == pytest.approx(1 / 3)
    assert (found.max_consecutive_wins, found.max_consecutive_losses) == (1, 2)


def test_money_is_summed_to_the_last_unit() -> None:
    found = trade_metrics([closed("0.000000000000000001"), closed("123456789.1"), closed("-0.1")])
    assert found.profit_total_abs == Decimal("123456789.000000000000000001")


def test_the_ratios_of_a_small_series_are_those_worked_out_by_hand() -> None:
    found = trade_metrics(in_turn(30, -10, 10, -10))
    assert found.profit_factor == pytest.approx(2)
    assert found.expectancy == pytest.approx(5)
    assert found.expectancy_ratio == pytest.approx(0.5)
    assert found.profit_mean == pytest.approx(0.05)
    assert found.profit_median == pytest.approx(0)
    assert found.best_trade == pytest.approx(0.3)
    assert found.worst_trade == pytest.approx(-0.1)
    assert found.sqn == pytest.approx(2 * 5 / math.sqrt(1100 / 3))
    assert found.holding_avg == HOUR


def test_no_trades_have_no_ratios() -> None:
    found = trade_metrics([])
    assert all(getattr(found, name) is None for name in (*TRADE_RATIOS, "expectancy", "holding_avg"))
    assert (found.trade_count, found.max_consecutive_wins) == (0, 0)
    assert found.profit_total_abs == 0


def test_without_a_loss_there_is_no_profit_factor() -> None:
    found = trade_metrics(in_turn(5, 3))
    assert found.profit_factor is None
    assert found.expectancy_ratio is None


def test_without_a_win_the_profit_factor_is_zero() -> None:
    found = trade_metrics(in_turn(-5, -3))
    assert (found.profit_factor, found.expectancy_ratio, found.winrate) == (0, -1, 0)


@pytest.mark.parametrize("nets", [(5,), (0.1, 0.1, 0.1)])
def test_trades_without_deviation_have_no_quality_number(nets: tuple[float, ...]) -> None:
    found = trade_metrics(in_turn(*nets))
    assert found.sqn is None
    assert found.p_value is None


def test_series_are_counted_in_the_order_of_closing() -> None:
    """A long loss is opened between two wins and closes after both."""
    trades = [
        closed(1, opened=START),
        closed(-1, opened=START + HOUR, lasted=9 * HOUR),
        closed(1, opened=START + 2 * HOUR),
    ]
    assert trade_metrics(trades).max_consecutive_wins == 2


@given(orders=TRADES.flatmap(lambda trades: st.tuples(st.just(trades), st.permutations(trades))))
def test_the_order_in_which_trades_are_given_changes_nothing(orders: tuple[list[Closed], list[Closed]]) -> None:
    one, other = map(trade_metrics, orders)
    assert one.profit_total_abs == other.profit_total_abs
    assert one.max_consecutive_losses == other.max_consecutive_losses
    _assert_same(one, other, (*TRADE_RATIOS, "expectancy"))


@given(trades=TRADES, factor=st.sampled_from(["0.001", "3", "1000"]))
def test_scaling_all_money_changes_no_ratio_of_trades(trades: list[Closed], factor: str) -> None:
    scale = Decimal(factor)
    scaled = [trade._replace(entry_cost=scale * trade.entry_cost, net=scale * trade.net) for trade in trades]
    one, other = trade_metrics(trades), trade_metrics(scaled)
    _assert_same(one, other, TRADE_RATIOS)


def test_of_a_trade_whose_cost_nobody_knows_nothing_is_said_as_a_share() -> None:
    known, unknown = closed(30), closed(-10, cost=0)
    both, alone = trade_metrics([known, unknown]), trade_metrics([unknown])
    assert (both.profit_mean, both.profit_median, both.best_trade, both.worst_trade) == (0.3, 0.3, 0.3, 0.3)
    assert (both.trade_count, both.winrate, both.profit_total_abs, both.expectancy) == (2, 0.5, Decimal(20), 10)
    assert (alone.profit_mean, alone.profit_median, alone.best_trade, alone.worst_trade) == (None,) * 4


# Equity curves


def test_a_fall_is_a_fraction_of_the_highest_value_before_it() -> None:
    assert falls(np.array([100.0, 120, 90, 130, 117, 0, -13])).tolist() == pytest.approx([0, 0, 0.25, 0, 0.1, 1, 1.1])


def test_nothing_falls_from_a_high_that_is_not_above_nothing() -> None:
    assert falls(np.array([-1.0, 0, -2, 4, 3])).tolist() == [0, 0, 0, 0, 0.25]
    assert falls(np.array([])).tolist() == []


def test_a_drawdown_is_measured_from_the_high_before_it() -> None:
    fall = drawdown(curve_of([100, 200, 150, 180, 210, 180, 200]))
    assert fall.deepest == pytest.approx(0.25)
    assert fall.absolute == 50
    assert (fall.began_at, fall.bottom_at) == (START + DAY, START + 2 * DAY)
    assert fall.longest == 3 * DAY
    assert fall.current == pytest.approx(1 - 200 / 210)


def test_the_largest_fall_in_money_need_not_be_the_deepest_share() -> None:
    fall = drawdown(curve_of([100, 50, 1000, 900]))
    assert fall.deepest == pytest.approx(0.5)
    assert fall.absolute == 100


def test_the_largest_fall_in_money_says_from_where_to_where_and_how_far_down_the_curve_ends() -> None:
    largest, current = losses(curve_of([100, 200, 200, 150, 900, 500, 700]))
    assert largest == Loss(Decimal(900), Decimal(500), START + 4 * DAY, START + 5 * DAY)
    assert current == Loss(Decimal(900), Decimal(700), START + 4 * DAY, START + 6 * DAY)
    assert losses(curve_of([100, 200, 200, 150]))[0].began_at == START + 2 * DAY
    assert losses(curve_of([100, 100]))[0] == Loss(Decimal(100), Decimal(100), None, None)
    assert losses(curve_of([100, 90, 100]))[1].high == losses(curve_of([100, 90, 100]))[1].low


def test_a_fall_that_is_never_made_good_lasts_to_the_end() -> None:
    assert drawdown(curve_of([100, 90, 95, 94, 93])).longest == 4 * DAY


def test_a_curve_that_never_falls_has_no_drawdown_and_no_calmar() -> None:
    found = curve_metrics(curve_of([100, 100, 110, 120]))
    assert found.max_drawdown == found.max_drawdown_abs == 0
    assert found.max_drawdown_duration == timedelta(0)
    assert found.drawdown_start is None
    assert found.drawdown_end is None
    assert found.calmar is None
    assert found.sortino is None
    assert found.sharpe is not None


def test_a_curve_without_deviation_has_no_sharpe() -> None:
    """The returns are equal but for the last bit of a float."""
    found = curve_metrics(curve_of([100 * 1.01**day for day in range(30)]))
    assert found.sharpe is None
    assert found.cagr == pytest.approx(1.01**365 - 1, rel=1e-6)


def test_a_flat_curve_has_no_ratios_and_no_volatility() -> None:
    found = curve_metrics(curve_of([100] * 5))
    assert (found.sharpe, found.sortino, found.calmar) == (None, None, None)
    assert (found.volatility, found.cagr, found.total_return) == (0, 0, 0)


@pytest.mark.parametrize("equity", [[100], [100, 110]])
def test_less_than_two_days_have_no_yearly_figures(equity: list[float]) -> None:
    found = curve_metrics(curve_of(equity))
    yearly = (found.cagr, found.volatility, found.sharpe, found.sortino, found.calmar)
    assert yearly == (None,) * 5


def test_a_yearly_return_too_large_for_a_float_is_none() -> None:
    assert curve_metrics(curve_of([1, 1, 1000])).cagr is None


def test_what_lost_everything_has_returned_minus_one_and_stays_there() -> None:
    found = curve_metrics(curve_of([100, 50, 0, 0]), [Flow(START + 3 * DAY, Decimal(70))])
    assert (found.total_return, found.max_drawdown, found.cagr) == (-1, 1, -1)


def test_days_after_everything_was_lost_return_nothing() -> None:
    assert daily_returns(curve_of([100, 0, 0, 5])) == pytest.approx([-1, 0, 0])


def test_days_end_at_midnight_utc_and_parts_of_days_are_left_out() -> None:
    curve = curve_of([100, 110, 121, 200], step=16 * HOUR, start=START - 12 * HOUR)
    assert daily_returns(curve) == pytest.approx([0.21])


def test_a_day_is_valued_at_the_newest_point_up_to_its_end() -> None:
    points = [Point(START, Decimal(100)), Point(START + 30 * HOUR, Decimal(120)), Point(START + 3 * DAY, Decimal(60))]
    assert daily_returns(points) == pytest.approx([0.0, 0.2, -0.5])


def test_a_sortino_counts_every_day_in_its_downside() -> None:
    assert sortino([0.02, -0.01]) == pytest.approx(0.005 / math.sqrt(0.0001 / 2) * math.sqrt(365))


# Deposits and withdrawals


def test_a_deposit_is_no_gain_and_a_withdrawal_no_loss() -> None:
    flows = [Flow(START + DAY, Decimal(100)), Flow(START + 2 * DAY, Decimal(-150))]
    curve = curve_of([100, 220, 70, 77])
    assert daily_returns(curve, flows) == pytest.approx([0.1, 0, 0.1])
    assert total_return(curve, flows) == pytest.approx(0.21)
    assert drawdown(curve, flows).deepest == drawdown(curve, flows).absolute == 0


def test_a_loss_after_a_deposit_is_a_drawdown_in_money_and_as_a_share() -> None:
    fall = drawdown(curve_of([100, 1100, 990]), [Flow(START + DAY, Decimal(1000))])
    assert fall.deepest == pytest.approx(0.1)
    assert fall.absolute == 110


def test_capital_that_was_there_from_the_first_point_on_is_no_flow_of_the_curve() -> None:
    curve = curve_of([100, 110])
    early = [Flow(START - DAY, Decimal(40)), Flow(START, Decimal(100)), Flow(START + 2 * DAY, Decimal(9))]
    assert total_return(curve, early) == pytest.approx(0.1)


def test_nothing_is_earned_before_there_is_capital() -> None:
    curve = curve_of([0, 0, 100, 120])
    assert growth_index(curve, [Flow(START + 2 * DAY, Decimal(100))]).tolist() == pytest.approx([1, 1, 1, 1.2])
    assert growth_index(curve).tolist() == pytest.approx([1, 1, 1, 1.2])


@given(
    equity=st.lists(st.integers(100, 10_000), min_size=2, max_size=30),
    flows=st.lists(st.integers(1, 20_000), min_size=29, max_size=29),
)
def test_the_same_growth_with_and_without_deposits_has_the_same_returns(equity: list[int], flows: list[int]) -> None:
    """A bot that is given more after each close, and then grows by the same factors."""
    value, values, moments = float(equity[0]), [float(equity[0])], []
    for place, (earlier, later) in enumerate(pairwise(equity), start=1):
        value = (value + flows[place - 1]) * later / earlier
        values.append(value)
        moments.append(Flow(START + place * DAY, Decimal(flows[place - 1])))
    assert daily_returns(curve_of(values), moments) == pytest.approx(daily_returns(curve_of(equity)), abs=1e-9)


# Laws


@given(equity=EQUITIES, factor=st.sampled_from(["0.01", "7", "100000"]))
def test_scaling_equity_changes_no_ratio(equity: list[Decimal], factor: str) -> None:
    curve = [Point(START + number * DAY, value) for number, value in enumerate(equity)]
    scaled = [Point(point.at, Decimal(factor) * point.equity) for point in curve]
    one, other = curve_metrics(curve), curve_metrics(scaled)
    _assert_same(one, other, RATIOS)
    assert other.max_drawdown_abs == Decimal(factor) * one.max_drawdown_abs


@given(equity=EQUITIES)
def test_a_flat_day_more_adds_a_return_of_zero_and_no_drawdown(equity: list[Decimal]) -> None:
    curve = [Point(START + number * DAY, value) for number, value in enumerate(equity)]
    longer = [*curve, Point(curve[-1].at + DAY, curve[-1].equity)]
    assert daily_returns(longer) == [*daily_returns(curve), 0.0]
    one, other = curve_metrics(curve), curve_metrics(longer)
    for name in ("total_return", "max_drawdown", "max_drawdown_abs", "current_drawdown", "drawdown_end"):
        assert getattr(one, name) == getattr(other, name)


@given(equity=st.lists(st.decimals(min_value=0, max_value=10**6, places=2), min_size=1, max_size=60))
def test_a_drawdown_is_from_0_to_1_and_begins_before_its_bottom(equity: list[Decimal]) -> None:
    fall = drawdown([Point(START + number * HOUR, value) for number, value in enumerate(equity)])
    assert 0 <= fall.current <= fall.deepest <= 1
    assert (fall.began_at is None) == (fall.bottom_at is None) == (fall.deepest == 0)
    if fall.began_at is not None and fall.bottom_at is not None:
        assert fall.began_at < fall.bottom_at


@given(equity=EQUITIES, trades=TRADES)
def test_no_figure_is_infinite_or_no_number(equity: list[Decimal], trades: list[Closed]) -> None:
    curve = [Point(START + number * HOUR * 7, value) for number, value in enumerate(equity)]
    found = measure(trades, curve)
    values = [*msgspec.structs.astuple(found.trades), *msgspec.structs.astuple(found.equity), found.exposure]
    assert all(math.isfinite(value) for value in values if isinstance(value, float | Decimal))


# Exposure, and everything at once


def test_exposure_counts_time_with_any_position_once() -> None:
    trades = [closed(1, opened=START, lasted=6 * HOUR), closed(1, opened=START + 3 * HOUR, lasted=6 * HOUR)]
    assert exposure(trades, [], begins_at=START, ends_at=START + DAY) == pytest.approx(9 / 24)


def test_exposure_counts_the_candle_in_which_a_position_was_closed() -> None:
    trades = [closed(1, opened=START, lasted=timedelta(0))]
    assert exposure(trades, [], begins_at=START, ends_at=START + DAY, candle=HOUR) == pytest.approx(1 / 24)


def test_exposure_counts_open_positions_to_the_end_and_nothing_outside_the_curve() -> None:
    trades = [closed(1, opened=START - DAY, lasted=DAY + 6 * HOUR)]
    open_since = [START + 18 * HOUR]
    assert exposure(trades, open_since, begins_at=START, ends_at=START + DAY) == pytest.approx(0.5)
    later = [closed(1, opened=START + 18 * HOUR, lasted=DAY)]
    assert exposure(later, [], begins_at=START, ends_at=START + DAY) == pytest.approx(0.25)


def test_exposure_of_no_time_is_none() -> None:
    assert exposure([], [], begins_at=START, ends_at=START) is None


def test_everything_at_once_has_each_part_and_goes_through_json() -> None:
    trades = in_turn(5, -2)
    curve = curve_of([200, 205, 203, 210])
    found = measure(trades, curve, fees=Decimal("0.4"), funding=Decimal("-0.1"), open_since=[START + 2 * DAY])
    assert found.profit_total == pytest.approx(3 / 200)
    assert found.equity.total_return == pytest.approx(0.05)
    assert found.trades.trade_count == 2
    assert found.exposure == pytest.approx((2 / 24 + 1) / 3)
    assert (found.fees, found.funding) == (Decimal("0.4"), Decimal("-0.1"))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Metrics) == found


# What no curve can be


@pytest.mark.parametrize(
    ("curve", "words"),
    [
        ([], "at least one point"),
        ([Point(START.replace(tzinfo=None), Decimal(1))], "without a zone"),
        ([Point(START, Decimal("NaN"))], "not a number"),
        ([Point(START, Decimal(1)), Point(START, Decimal(1))], "runs backwards"),
        ([Point(START + DAY, Decimal(1)), Point(START, Decimal(1))], "runs backwards at 2024-01-01"),
    ],
)
def test_a_curve_that_cannot_be_is_refused(curve: list[Point], words: str) -> None:
    with pytest.raises(InvalidCurve, match=words):
        measure([], curve)


def test_the_first_equity_must_be_capital_for_a_share_of_it() -> None:
    assert measure(in_turn(1), curve_of([0, 1])).profit_total is None


@given(equity=EQUITIES)
def test_the_sign_of_the_mean_return_is_that_of_sharpe(equity: list[Decimal]) -> None:
    curve = [Point(START + number * DAY, value) for number, value in enumerate(equity)]
    days, found = daily_returns(curve), curve_metrics(curve).sharpe
    assume(found is not None and abs(math.fsum(days)) > 1e-9)
    assert found is not None
    assert (found > 0) == (math.fsum(days) > 0)
