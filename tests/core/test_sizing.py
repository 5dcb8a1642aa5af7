"""Sizes are what their formulas say, never more than was said, and nothing where there is nothing to size by."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from events.bot import OrderDenied, OrderRequested
from events.values import FeeSchedule, Sizing
from oxbot.core.money import ZERO
from oxbot.core.sizing import KELLY_TRADES_MAX, InvalidSizing, by_range, by_stop, check_sizing, kelly, kelly_risk, size
from tests.core.lives import BRACKET, Life, Wish, at, creation, decisions, denials, frame, requests

ONE = Decimal(1)
FREE = FeeSchedule(maker=ZERO, taker=ZERO)
RISK = Sizing(method="risk", risk_fraction=Decimal("0.01"))
VOLATILITY = Sizing(method="volatility", risk_fraction=Decimal("0.01"))
KELLY = Sizing(method="kelly", risk_fraction=Decimal("0.01"), kelly_max=Decimal("0.2"), kelly_trades_min=10)
PRICES = st.decimals("0.000021", 10**6, places=6).filter(bool)
FRACTIONS = st.decimals("0.0001", 1, places=4)


class Trade(NamedTuple):
    """A closed trade as Kelly looks at it."""

    net: Decimal
    risked: Decimal | None = Decimal(100)


def trades(*nets: int) -> list[Trade]:
    """Trades that risked 100 each."""
    return [Trade(Decimal(net)) for net in nets]


WINNING = (*[200] * 6, *[-100] * 4)


def sized(
    sizing: Sizing,
    *,
    stop: str | None = "98",
    atr: float | None = 0.02,
    most: str = "10",
    nets: Sequence[int] = WINNING,
) -> Decimal:
    """The size of an entry at 100 for which the strategy asks for 7 % of equity."""
    level = None if stop is None else Decimal(stop)
    return size(
        sizing,
        Decimal("0.07"),
        price=Decimal(100),
        stop=level,
        atr_fraction=atr,
        trades=trades(*nets),
        fraction_max=Decimal(most),
    )


def test_by_default_the_strategy_gets_what_it_asks_for_whatever_the_limit() -> None:
    assert sized(Sizing(), stop=None, atr=None, most="0.01") == Decimal("0.07")


def test_by_risk_the_stop_costs_that_fraction_of_equity() -> None:
    assert sized(RISK) == Decimal("0.5")
    assert sized(RISK, stop="102") == Decimal("0.5")


def test_by_volatility_one_average_range_is_that_fraction_of_equity() -> None:
    assert sized(VOLATILITY, stop=None) == Decimal("0.5")
    assert sized(VOLATILITY, atr=0.04) == Decimal("0.25")


def test_by_kelly_the_stop_costs_a_quarter_of_the_kelly_fraction() -> None:
    # p = 0.6, b = 2: f = 0.6 - 0.4 / 2 = 0.4; a quarter of it is 0.1, over a stop 2 % away.
    assert sized(KELLY) == 5


@pytest.mark.parametrize("sizing", [RISK, VOLATILITY, KELLY])
def test_no_computed_size_exceeds_the_limit(sizing: Sizing) -> None:
    assert sized(sizing, most="0.25") == Decimal("0.25")


@pytest.mark.parametrize("sizing", [RISK, KELLY])
@pytest.mark.parametrize("stop", [None, "100"])
def test_without_a_stop_there_is_nothing_to_size_by(sizing: Sizing, stop: str | None) -> None:
    assert sized(sizing, stop=stop) == 0


@pytest.mark.parametrize("atr", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_without_a_range_there_is_nothing_to_size_by(atr: float | None) -> None:
    assert sized(VOLATILITY, atr=atr) == 0


@given(risk=FRACTIONS, price=PRICES, stop=PRICES)
def test_the_stop_never_costs_more_than_the_risk_and_at_most_a_hair_less(
    risk: Decimal, price: Decimal, stop: Decimal
) -> None:
    fraction = by_stop(risk, price=price, stop=stop)
    moved = abs(Fraction(price) - Fraction(stop)) / Fraction(price)
    assert Fraction(fraction) * moved <= Fraction(risk)
    assert (Fraction(fraction) + Fraction(1, 10**8)) * moved > Fraction(risk) or not moved


@given(risk=FRACTIONS, average=st.floats(1e-6, 1))
def test_the_range_never_costs_more_than_the_risk_and_at_most_a_hair_less(risk: Decimal, average: float) -> None:
    fraction = Fraction(by_range(risk, average))
    written = Fraction(str(average))
    assert fraction * written <= Fraction(risk) < (fraction + Fraction(1, 10**8)) * written


def test_a_size_has_at_most_eight_decimals() -> None:
    assert by_stop(Decimal("0.01"), price=Decimal(3), stop=Decimal(2)) == Decimal("0.03")
    assert by_stop(Decimal("0.01"), price=Decimal(100), stop=Decimal(97)) == Decimal("0.33333333")
    assert by_range(Decimal("0.02"), 0.03) == Decimal("0.66666666")


class TestKelly:
    def test_the_fraction_is_that_of_the_formula(self) -> None:
        returns = [Decimal(2)] * 6 + [Decimal(-1)] * 4
        assert kelly(returns) == Fraction(6, 10) - Fraction(4, 10) / 2

    @given(wins=st.integers(1, 50), losses=st.integers(1, 50), payoff=st.integers(1, 40))
    def test_it_is_p_less_q_over_b_for_any_record_whose_losses_are_one_stop(
        self, wins: int, losses: int, payoff: int
    ) -> None:
        b = Fraction(payoff, 10)
        p = Fraction(wins, wins + losses)
        returns = [Decimal(payoff) / 10] * wins + [Decimal(-1)] * losses
        assert kelly(returns) == p - (1 - p) / b

    def test_it_grows_fastest_of_all_fractions(self) -> None:
        returns = [2.0] * 6 + [-1.0] * 4
        best = float(kelly([Decimal(str(value)) for value in returns]))

        def growth(fraction: float) -> float:
            product = 1.0
            for value in returns:
                product *= 1 + fraction * value
            return product

        assert all(growth(best) >= growth(other / 100) for other in range(100))

    def test_losses_of_more_than_one_stop_make_it_smaller(self) -> None:
        slipping = [Decimal(4)] * 6 + [Decimal(-2)] * 4
        assert kelly(slipping) == Fraction(2, 10)

    def test_the_unit_is_risk_and_not_entry_cost(self) -> None:
        few = [Trade(Decimal(20), Decimal(10))] * 6 + [Trade(Decimal(-1000), Decimal(1000))] * 4
        assert kelly_risk(KELLY, few) == Decimal("0.1")

    def test_no_loss_and_no_win_have_an_end(self) -> None:
        assert kelly([ONE, ONE, Decimal(0), ONE]) == Fraction(3, 4)
        assert kelly([-ONE]) == -1
        assert kelly([Decimal(0)]) == -1

    def test_a_losing_record_risks_the_least(self) -> None:
        assert kelly_risk(KELLY, trades(*[100] * 4, *[-100] * 6)) == KELLY.kelly_min

    @pytest.mark.parametrize("nets", [[100] * 4 + [-100] * 6, [100] * 5 + [-100] * 5], ids=["below 0", "of 0"])
    def test_an_edge_that_is_not_above_0_risks_nothing_where_the_least_is_0(self, nets: list[int]) -> None:
        bold = replace(KELLY, kelly_min=ZERO)
        assert kelly_risk(bold, trades(*nets)) == 0
        assert kelly_risk(bold, trades(*nets[:9])) == KELLY.risk_fraction
        assert sized(bold, nets=nets) == 0
        assert kelly_risk(KELLY, trades(*nets)) == KELLY.kelly_min

    def test_an_edge_above_0_is_risked_on_where_the_least_is_0(self) -> None:
        barely = trades(*[101] * 5, *[-100] * 5)
        assert 0 < kelly_risk(replace(KELLY, kelly_min=ZERO), barely) < KELLY.kelly_min

    def test_a_splendid_record_risks_no_more_than_the_most(self) -> None:
        assert kelly_risk(KELLY, trades(*[900] * 12)) == KELLY.kelly_max

    def test_before_the_sample_is_large_enough_it_is_not_estimated(self) -> None:
        assert kelly_risk(KELLY, trades(*[900] * 9)) == KELLY.risk_fraction
        assert kelly_risk(KELLY, trades(*[900] * 10)) == KELLY.kelly_max

    @pytest.mark.parametrize("risked", [None, Decimal(0)])
    def test_trades_without_a_stop_are_no_sample(self, risked: Decimal | None) -> None:
        without = [Trade(Decimal(900), risked)] * 20
        assert kelly_risk(KELLY, [*trades(*[900] * 9), *without]) == KELLY.risk_fraction

    def test_only_the_newest_trades_are_estimated_from(self) -> None:
        old, new = trades(*[900] * 300), trades(*[-100] * KELLY_TRADES_MAX)
        assert kelly_risk(KELLY, [*old, *new]) == KELLY.kelly_min

    @given(st.lists(st.decimals(-300, 300, places=2), min_size=10, max_size=30))
    def test_the_risk_is_always_within_its_bounds(self, nets: list[Decimal]) -> None:
        risk = kelly_risk(KELLY, [Trade(net) for net in nets])
        assert KELLY.kelly_min <= risk <= KELLY.kelly_max


def test_a_sizing_within_its_bounds_is_allowed() -> None:
    check_sizing(Sizing())
    check_sizing(replace(KELLY, kelly_min=KELLY.kelly_max))
    check_sizing(replace(KELLY, kelly_min=ZERO))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"risk_fraction": Decimal(0)}, "sizing risk_fraction must be above 0 and at most 1, not 0"),
        ({"risk_fraction": Decimal("1.1")}, "sizing risk_fraction must be above 0 and at most 1, not 1.1"),
        ({"kelly_min": Decimal("-0.1")}, "sizing kelly_min must be at least 0 and at most 1, not -0.1"),
        ({"kelly_max": Decimal(2)}, "sizing kelly_max must be above 0 and at most 1, not 2"),
        ({"kelly_trades_min": 9}, "sizing kelly_trades_min must be at least 10 and at most 200, not 9"),
        ({"kelly_trades_min": 201}, "sizing kelly_trades_min must be at least 10 and at most 200, not 201"),
        ({"kelly_min": Decimal("0.3")}, "sizing kelly_max must be at least kelly_min, 0.3, not 0.2"),
    ],
)
def test_a_sizing_that_makes_no_sense_is_refused_by_field(changes: dict[str, Decimal], words: str) -> None:
    with pytest.raises(InvalidSizing) as refusal:
        check_sizing(replace(KELLY, **changes))
    assert str(refusal.value) == words


def test_every_bad_field_is_named() -> None:
    with pytest.raises(InvalidSizing, match=r"^sizing risk_fraction .*; sizing kelly_trades_min "):
        check_sizing(replace(KELLY, risk_fraction=Decimal(2), kelly_trades_min=1))


# Through the bot: ten trades, and one more entry that is sized by them.


def eleventh(sizing: Sizing, *, won: int) -> tuple[Life, list[OrderDenied], list[OrderRequested]]:
    """A bot that buys at 100 ten times, with a stop at 98 and a target at 104, and gets so many of its targets."""
    plan = {key: wish for number in range(0, 21, 2) for key, wish in at(number, Wish(bracket=BRACKET)).items()}
    life = Life.of(creation(fees=FREE, sizing=sizing), plan)
    for number in range(10):
        life.see(frame(2 * number, BTC="100"))
        life.see(frame(2 * number + 1, BTC="100 104 99 104" if number < won else "100 101 98 98"))
    assert [trade.net > 0 for trade in life.state.trades] == [number < won for number in range(10)]
    facts = life.see(frame(20, BTC="100")).facts
    return life, denials(facts), requests(facts, "entry")


def test_a_bot_without_an_edge_enters_no_more_where_the_least_is_0() -> None:
    life, [denial], entries = eleventh(replace(KELLY, kelly_min=ZERO), won=3)
    assert (denial.rule, denial.limit, denial.value) == ("sizing", ZERO, ZERO)
    assert entries == []
    [*_, decision] = decisions(life.facts)
    assert denial.decision_id == decision.decision_id
    assert decision.size_fraction == 0
    assert life.see(frame(21, BTC="100")).facts == []


@pytest.mark.parametrize(("least", "won", "risk"), [("0.0025", 3, "0.0025"), ("0", 5, "0.015")])
def test_a_bot_with_a_least_or_with_an_edge_risks_that_much_of_its_equity(least: str, won: int, risk: str) -> None:
    """Half of the trades won at twice what the others lost are a quarter of 0.25, of which 0.015 is allowed."""
    bounds = {"kelly_min": Decimal(least), "kelly_max": Decimal("0.015")}
    life, denied, [entry] = eleventh(replace(KELLY, **bounds), won=won)
    assert denied == []
    assert entry.notional == life.state.ledger.cash * Decimal(risk) / Decimal("0.02")
