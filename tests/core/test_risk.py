"""Each rule of the gate refuses alone, allows exactly its limit, and the first that refuses is named."""

from decimal import Decimal
from typing import get_args

import pytest
from msgspec.structs import replace

from events.bot import OrderReason, TradingState
from events.values import ProfitGuard, RiskLimits, StopGuard
from oxbot.core.risk import LETS_THROUGH, RULES, Denial, assess, passed_loss_limits
from tests.core.risk_cases import (
    BTC,
    CASES,
    ENTRY,
    ETH,
    LOOSE,
    NOW,
    SOL,
    STEP,
    Case,
    Trade,
    closed,
    entry,
    only_refusal,
    refusing,
)

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@each_case
def test_a_value_exactly_at_the_limit_passes(case: Case) -> None:
    assert assess(case.at_limit) is None
    assert refusing(case.at_limit) == set()


@each_case
def test_the_rule_alone_refuses_beyond_its_limit(case: Case) -> None:
    assert only_refusal(case.beyond) == Denial(case.rule, Decimal(case.limit), Decimal(case.value))


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES.values()} == set(RULES)


def test_the_first_rules_stand_in_the_order_in_which_recorded_denials_were_found() -> None:
    recorded = [
        "one_position_per_symbol", "positions_max", "position_fraction_max", "exposure_fraction_max", "free_cash",
        "minimum_notional", "tick_fits_bracket",
    ]  # fmt: skip
    assert [name for name in RULES if name in recorded] == recorded


def test_of_several_rules_the_first_is_named() -> None:
    context = entry({"positions_max": 1, "drawdown_max": "0.1"}, exposures={ETH: "1"}, equity="1", free_cash="1")
    assert refusing(context) == {
        "positions_max", "position_fraction_max", "exposure_fraction_max", "free_cash", "drawdown_max",
    }  # fmt: skip
    assert assess(context) == Denial("positions_max", Decimal(1), Decimal(2))


def test_only_the_rules_that_are_given_are_asked() -> None:
    assert assess(entry(data_ok=False), {"free_cash": RULES["free_cash"]}) is None


def test_no_limit_that_is_off_by_default_refuses_anything() -> None:
    context = replace(entry(), limits=RiskLimits(), trades=closed(0, 0, 0), high_water=Decimal(10**9))
    assert assess(context) is None


@pytest.mark.parametrize("side", ["long", "short"])
@pytest.mark.parametrize("correlation", [0.9, -0.9])
def test_what_moves_against_the_entry_neither_counts_nor_makes_room(side: str, correlation: float) -> None:
    with_entry = Decimal(1 if (side == "long") == (correlation > 0) else -1)
    limits = {"correlated_exposure_fraction_max": "0.05"}
    against = {ETH: -1000 * with_entry}
    known = {ETH: correlation, SOL: correlation}
    assert refusing(entry(limits, side=side, exposures=against, correlations=known)) == set()  # type: ignore[arg-type]  # one of the two
    denial = only_refusal(entry(limits, side=side, exposures={**against, SOL: with_entry}, correlations=known))  # type: ignore[arg-type]  # likewise
    assert denial == Denial("correlated_exposure_fraction_max", Decimal(500), Decimal(501))


@pytest.mark.parametrize("correlations", [{}, {ETH: float("nan")}, {SOL: 0.0}])
def test_a_correlation_that_is_not_known_counts_as_full(correlations: dict[str, float]) -> None:
    context = entry({"correlated_exposure_fraction_max": "0.05"}, exposures={ETH: "-1"}, correlations=correlations)
    assert only_refusal(context).value == 501


def test_margin_is_rounded_up_as_the_ledger_will_lock_it() -> None:
    context = entry(
        instrument=replace(ENTRY.instrument, kind="perpetual"), notional="100", leverage="3", free_cash="33"
    )
    assert only_refusal(context).value == Decimal("33.433333333333333334")
    assert assess(replace(context, free_cash=Decimal("33.433333333333333334"))) is None


def test_distances_are_measured_from_the_limit_price_of_the_entry() -> None:
    limits = {"stop_distance_max": "0.1"}
    assert only_refusal(entry(limits, stop="89")).value == 11
    assert assess(entry(limits, stop="89", entry_price="98")) is None


def test_a_day_and_a_cycle_count_the_entry_itself() -> None:
    assert only_refusal(entry({"trades_per_day_max": 1}, entries_today=1)).value == 2
    assert only_refusal(entry({"entries_per_cycle_max": 1}, entries_this_cycle=1)).value == 2


def test_a_trade_that_closed_within_a_candle_is_as_old_as_its_candle() -> None:
    limits = {"cooldown_candles": 2}
    newer = Trade(closed_at=NOW - STEP)
    assert only_refusal(entry(limits, trades=[newer])) == Denial("cooldown_candles", Decimal(2), Decimal(1))
    assert assess(entry(limits, trades=[newer._replace(closed_at=NOW - STEP - STEP / 1000)])) is None


class TestStopGuard:
    guard = StopGuard(stops_max=2, lookback_candles=3, pause_candles=10)

    def asked(self, *trades: Trade, guard: StopGuard = guard) -> set[str]:
        return refusing(entry({"stop_guard": guard}, trades=trades))

    def test_stops_further_apart_than_the_lookback_do_not_count_together(self) -> None:
        assert self.asked(*closed(4, 2)) == {"stop_guard"}
        assert self.asked(*closed(5, 2)) == set()

    def test_one_stop_fewer_is_allowed(self) -> None:
        assert self.asked(*closed(0)) == set()

    def test_an_earlier_series_pauses_though_a_later_stop_stood_alone(self) -> None:
        assert self.asked(*closed(9, 8, 2)) == {"stop_guard"}
        assert self.asked(*closed(11, 10, 2)) == set()

    @pytest.mark.parametrize(
        ("trades", "expected"),
        [
            (closed(0, 0, reason="liquidation"), {"stop_guard"}),
            (closed(0, 0, reason="trailing_stop"), {"stop_guard"}),
            (closed(0, 0, reason="exit_signal"), set()),
            (closed(0, 0, net="0"), set()),
        ],
    )
    def test_only_losing_stops_count(self, trades: tuple[Trade, ...], expected: set[str]) -> None:
        assert self.asked(*trades) == expected

    def test_per_symbol_another_symbols_stops_do_not_count(self) -> None:
        alone = replace(self.guard, per_symbol=True)
        assert self.asked(*closed(0), *closed(0, symbol=ETH)) == {"stop_guard"}
        assert self.asked(*closed(0), *closed(0, symbol=ETH), guard=alone) == set()
        assert self.asked(*closed(0, 0), guard=alone) == {"stop_guard"}


class TestProfitGuard:
    guard = ProfitGuard(trades_min=2, lookback_candles=3, return_min=Decimal("0.01"), pause_candles=10)

    def asked(self, *trades: Trade) -> set[str]:
        return refusing(entry({"profit_guard": self.guard}, trades=trades))

    def test_exactly_the_demanded_return_is_enough(self) -> None:
        assert self.asked(*closed(1, 0, net="5")) == set()
        assert self.asked(*closed(1, 0, net="4.99")) == {"profit_guard"}

    def test_too_few_trades_are_not_judged(self) -> None:
        assert self.asked(*closed(0)) == set()

    def test_trades_before_the_lookback_of_the_last_one_are_not_judged(self) -> None:
        assert self.asked(*closed(4, 2)) == {"profit_guard"}
        assert self.asked(*closed(5, 2)) == set()

    def test_another_symbols_trades_are_not_judged(self) -> None:
        assert self.asked(*closed(1, 0, symbol=ETH)) == set()

    def test_the_rest_ends_after_the_pause_whatever_the_lookback(self) -> None:
        assert self.asked(*closed(11, 9)) == {"profit_guard"}
        assert self.asked(*closed(12, 10)) == set()


@pytest.mark.parametrize("state", get_args(TradingState))
def test_no_trading_state_stops_a_protective_exit_or_a_persons_order(state: TradingState) -> None:
    assert {"stop_loss", "trailing_stop", "take_profit", "time_limit", "scale_out", "bot_stopped", "force_exit"} <= (
        LETS_THROUGH[state]
    )


def test_each_trading_state_lets_through_less_than_the_one_before() -> None:
    assert LETS_THROUGH["active"] == set(get_args(OrderReason))
    assert LETS_THROUGH["active"] - LETS_THROUGH["reducing"] == {"entry"}
    assert LETS_THROUGH["reducing"] - LETS_THROUGH["halted"] == {"exit_signal"}


def test_loss_limits_that_equity_has_passed_are_found_without_an_entry() -> None:
    limits = replace(LOOSE, drawdown_max=Decimal("0.2"), daily_loss_max=Decimal("0.1"))
    equity, high, start = Decimal(8000), Decimal(10000), Decimal(8000) / Decimal("0.9")
    assert passed_loss_limits(limits, equity=equity, high_water=high, day_start_equity=equity) == []
    found = passed_loss_limits(limits, equity=equity, high_water=high + 1, day_start_equity=Decimal(9000))
    assert found == [
        Denial("drawdown_max", Decimal("2000.2"), Decimal(2001)),
        Denial("daily_loss_max", Decimal(900), Decimal(1000)),
    ]
    assert passed_loss_limits(LOOSE, equity=equity, high_water=high + 1, day_start_equity=start) == []


def test_without_a_high_water_there_is_no_drawdown() -> None:
    limits = replace(LOOSE, drawdown_max=Decimal("0.2"))
    assert passed_loss_limits(limits, equity=Decimal(1), high_water=None, day_start_equity=Decimal(1)) == []
    assert assess(entry({"drawdown_max": "0.2"}, high_water=None)) is None


def test_a_symbol_is_committed_by_an_entry_at_work_even_of_no_worth() -> None:
    assert only_refusal(entry(exposures={BTC: Decimal(0)})).rule == "one_position_per_symbol"
