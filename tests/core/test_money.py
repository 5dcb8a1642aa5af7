"""Rounding has a name, and sums and products never round."""

from decimal import Decimal, Inexact
from fractions import Fraction

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from oxbot.core.money import ceil_to_step, exact, floor_to_step, quantity_for_notional, ratio, text

AMOUNTS = st.decimals(min_value=0, max_value=10**12, places=10)
STEPS = st.sampled_from([Decimal(step) for step in ("1e-8", "0.01", "0.05", "0.25", "1", "7", "1e3")])
PRICES = st.decimals(min_value=Decimal("1e-8"), max_value=10**6, places=8)
LONG = "12345678901234567890.1234567890123456789"
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20)


def test_a_sum_that_would_round_raises() -> None:
    with exact(), pytest.raises(Inexact):
        Decimal("1e60") + Decimal("1e-60")


def test_a_quotient_that_would_round_raises() -> None:
    with exact(), pytest.raises(Inexact):
        Decimal(1) / Decimal(3)


def test_the_exact_context_ends_with_its_block() -> None:
    with exact():
        product = Decimal("1.00000000000000000001") ** 2
    assert str(product) == "1.0000000000000000000200000000000000000001"
    assert str(Decimal(1) / Decimal(3)) == "0.3333333333333333333333333333"


@forall(amount=AMOUNTS, step=STEPS)
def test_flooring_takes_the_multiple_just_below(amount: Decimal, step: Decimal) -> None:
    with exact():
        floored = floor_to_step(amount, step)
        assert floored <= amount < floored + step
        assert floored % step == 0


@forall(amount=AMOUNTS, step=STEPS)
def test_ceiling_takes_the_multiple_just_above(amount: Decimal, step: Decimal) -> None:
    with exact():
        raised = ceil_to_step(amount, step)
        assert raised - step < amount <= raised
        assert raised % step == 0


@forall(notional=AMOUNTS, price=PRICES, lot=STEPS)
def test_a_notional_buys_the_most_lots_that_it_pays_for(notional: Decimal, price: Decimal, lot: Decimal) -> None:
    with exact():
        quantity = quantity_for_notional(notional, price, lot)
    lots = Fraction(quantity) / Fraction(lot)
    assert lots == Fraction(notional) // (Fraction(price) * Fraction(lot))


def test_a_quotient_just_below_a_whole_lot_is_not_rounded_up() -> None:
    with exact():
        notional = 3 * Decimal("0.000021") - Decimal("1e-40")
        assert quantity_for_notional(notional, Decimal("0.000021"), Decimal(1)) == 2


@pytest.mark.parametrize(
    ("numerator", "denominator", "quotient"),
    [("1", "3", "0.333333333333"), ("-2", "3", "-0.666666666667"), ("5", "0", "0"), ("0.0000000000005", "1", "0")],
)
def test_a_ratio_has_twelve_places_half_to_even(numerator: str, denominator: str, quotient: str) -> None:
    assert ratio(Decimal(numerator), Decimal(denominator)) == Decimal(quotient)


def test_a_ratio_of_much_to_dust_is_a_number() -> None:
    """Such as a profit factor: 1,000 won, one lot of 1e-16 lost."""
    assert ratio(Decimal(1000), Decimal("1e-16")) == Decimal("1e19")


@forall(number=NUMBERS)
def test_plain_text_is_the_same_number_without_exponent_or_trailing_zeros(number: Decimal) -> None:
    shown = text(number)
    assert Decimal(shown) == number
    assert "E" not in shown.upper()
    assert shown != "-0"
    assert not ("." in shown and shown.endswith("0"))


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("1E+3", "1000"), ("10.500", "10.5"), ("-0.00", "0"), ("2.1E-5", "0.000021"), ("100", "100"), (LONG, LONG)],
)
def test_text_of_an_amount(amount: str, shown: str) -> None:
    assert text(Decimal(amount)) == shown
