"""Rounding has a name, and sums and products never round."""

from decimal import Decimal, DivisionByZero, Inexact
from fractions import Fraction

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from oxbot.core.creation import InvalidCommand, check_amount
from oxbot.core.money import ceil_to_step, exact, fault, floor_to_step, prorate, quantity_for_notional, ratio, text

AMOUNTS = st.decimals(min_value=0, max_value=10**12, places=10)
STEPS = st.sampled_from([Decimal(step) for step in ("1e-8", "0.01", "0.05", "0.25", "1", "7", "1e3")])
PRICES = st.decimals(min_value=Decimal("1e-8"), max_value=10**6, places=8)
LONG = "12345678901234567890.1234567890123456789"
UNIT = Decimal("1e-18")
HALF = Fraction(1, 2)
# As amounts from outside may be, and as their products are; a part of something that there is.
WHOLES = st.decimals(min_value=UNIT, max_value=Decimal("999999999999999"), places=18)
PRODUCTS = st.integers(0, 10**60).map(lambda units: Decimal(f"{units}e-36"))
SHARES = st.tuples(WHOLES, st.integers(0, 10**18)).map(lambda drawn: (_part(*drawn), drawn[0]))
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20)


def _part(whole: Decimal, parts: int) -> Decimal:
    """So many of 10^18 equal parts of the whole, down to its unit."""
    with exact():
        return floor_to_step(whole * parts * UNIT, UNIT)


def _nearest(amount: Fraction) -> Fraction:
    """The nearest number of 18 decimals, the even one of two; in whole numbers."""
    return Fraction(round(amount * 10**18), 10**18)


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


@pytest.mark.parametrize(
    ("amount", "part", "whole", "share"),
    [
        ("100", "1", "3", "33.333333333333333333"),
        ("100", "2", "3", "66.666666666666666667"),
        ("-100", "2", "3", "-66.666666666666666667"),
        ("1e-18", "1", "2", "0"),
        ("3e-18", "1", "2", "2e-18"),
        ("5e-18", "1", "2", "2e-18"),
        ("10", "3", "2", "15"),
        ("1", "-5", "3", "-1.666666666666666667"),
        ("0", "2", "3", "0"),
        ("7", "0", "3", "0"),
        ("0.1234567890123456789", "1", "1", "0.123456789012345678"),
        ("1", "999999999999999999999", "1000000000000000000000", "1"),
    ],
)
def test_a_share_has_eighteen_places_half_to_even(amount: str, part: str, whole: str, share: str) -> None:
    found = prorate(Decimal(amount), Decimal(part), Decimal(whole))
    assert found == Decimal(share)
    assert found.as_tuple().exponent == -18


def test_there_is_no_share_of_nothing() -> None:
    with pytest.raises(DivisionByZero):
        prorate(Decimal(1), Decimal(1), Decimal(0))


@forall(amount=PRODUCTS, share=SHARES)
def test_a_share_is_the_nearest_that_is_no_more_than_the_amount(
    amount: Decimal, share: tuple[Decimal, Decimal]
) -> None:
    part, whole = share
    found = Fraction(prorate(amount, part, whole))
    nearest = _nearest(Fraction(amount) * Fraction(part) / Fraction(whole))
    assert found == (nearest if nearest <= Fraction(amount) else nearest - Fraction(UNIT))
    assert 0 <= found <= Fraction(amount)


@forall(amount=PRODUCTS, lots=st.lists(st.integers(1, 10**20), min_size=1, max_size=12))
def test_shares_taken_one_after_the_other_are_never_negative_and_add_up_to_the_amount(
    amount: Decimal, lots: list[int]
) -> None:
    """As partial exits release cost and margin: a share of what is left for each, and the last takes what is left."""
    left, whole, shares = amount, Decimal(sum(lots)) * UNIT, list[Decimal]()
    with exact():
        for lot in lots[:-1]:
            shares.append(prorate(left, lot * UNIT, whole))
            left, whole = left - shares[-1], whole - lot * UNIT
        assert min([left, *shares]) >= 0
        assert sum(shares, left) == amount


@pytest.mark.parametrize("sign", [1, -1])
def test_a_share_that_misses_a_tie_by_next_to_nothing_is_no_tie(sign: int) -> None:
    """The quotient is a half of the last place and a 10^51st of it more, or less: as near as amounts in bounds come."""
    part, whole = 128920702906362761923225786250041, 10**33 - 1
    amount = (whole * 10**18 // 2 + sign) * pow(part, -1, whole * 10**18) % (whole * 10**18)
    share = prorate(Decimal(f"{amount}e-36"), Decimal(f"{part}e-18"), Decimal(f"{whole}e-18"))
    precise = Fraction(amount * part, whole * 10**18)
    assert precise % 1 - HALF == Fraction(sign, whole * 10**18)
    assert Fraction(share) * 10**18 == precise // 1 + (sign > 0)


@forall(amount=WHOLES, whole=WHOLES)
def test_a_share_is_the_same_in_any_context(amount: Decimal, whole: Decimal) -> None:
    outside = prorate(amount, amount, whole)
    with exact():
        assert prorate(amount, amount, whole) == outside


@pytest.mark.parametrize(
    ("amount", "found"),
    [
        ("0", None),
        ("-12.5", None),
        ("999999999999999.999999999999999999", None),
        ("1.5" + "0" * 200, None),
        ("0e-40", None),
        ("1e15", "is 1E+15, but must be below 1000000000000000"),
        ("-1e15", "is -1E+15, but must be below 1000000000000000"),
        ("1e-19", "is 1E-19, but may have at most 18 decimals"),
        ("0." + "1" * 130, f"is 0.{'1' * 130}, but may have at most 18 decimals"),
        ("0." + "9" * 130, f"is 0.{'9' * 130}, but may have at most 18 decimals"),
        ("1e-9999999", "is 1E-9999999, but may have at most 18 decimals"),
        ("NaN", "is NaN, not a number"),
        ("-Infinity", "is -Infinity, not a number"),
    ],
)
def test_an_amount_is_booked_if_it_is_a_number_within_bounds(amount: str, found: str | None) -> None:
    assert fault(Decimal(amount)) == found


def test_capital_of_any_number_of_digits_is_refused_by_name() -> None:
    with pytest.raises(InvalidCommand, match="at most 18 decimals"):
        check_amount(Decimal("0." + "1" * 130))
