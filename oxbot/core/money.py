"""Exact decimal arithmetic: sums and products never round, and every rounding has a name."""

from contextlib import AbstractContextManager
from decimal import (
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)

_EXACT = Context(prec=120, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow, Inexact])
# So many digits that no quotient of amounts in bounds is taken for a tie, or for none, before it is rounded.
_RATIO = Context(prec=120, rounding=ROUND_HALF_EVEN)

_SMALLEST = Decimal("1e-18")

AMOUNT_MAX = Decimal("1e15")
DECIMALS_MAX = 18

ZERO = Decimal(0)


def exact() -> AbstractContextManager[Context]:
    """A context in which money is computed: a result that would have to be rounded raises ``Inexact`` instead."""
    return localcontext(_EXACT)


def fault(amount: Decimal) -> str | None:
    """What makes an amount from outside unfit to be booked, or None.

    Within these bounds (below 10^15 in size, at most 18 decimals) no sum or product of the core needs to be rounded.
    """
    if not amount.is_finite():
        return f"is {amount}, not a number"
    if amount.copy_abs() >= AMOUNT_MAX:
        return f"is {amount}, but must be below {AMOUNT_MAX:f}"
    if _last_exponent(amount) < -DECIMALS_MAX:
        return f"is {amount}, but may have at most {DECIMALS_MAX} decimals"
    return None


def floor_to_step(amount: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of ``step`` that is not above ``amount`` (amount >= 0, step > 0)."""
    return amount // step * step


def ceil_to_step(amount: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of ``step`` that is not below ``amount`` (amount >= 0, step > 0)."""
    floor = floor_to_step(amount, step)
    return floor if floor == amount else floor + step


def quantity_for_notional(notional: Decimal, price: Decimal, lot: Decimal) -> Decimal:
    """The largest multiple of ``lot`` whose cost at ``price`` is not above ``notional``; no quotient is rounded."""
    return notional // (price * lot) * lot


def prorate(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """``amount * part / whole`` to 18 decimals, half to even; the one quotient that is booked. ``whole`` is not 0.

    What is left of the amount is the amount less this, so that the parts of an amount add up to it. So that no less
    than nothing is left, it is rounded towards 0 where a part of the whole would come to more than the amount.
    """
    quotient = _RATIO.divide(_EXACT.multiply(amount, part), whole)
    nearest = quotient.quantize(_SMALLEST, context=_RATIO)
    if part.copy_abs() <= whole.copy_abs() and nearest.copy_abs() > amount.copy_abs():
        return quotient.quantize(_SMALLEST, rounding=ROUND_DOWN, context=_RATIO)
    return nearest


def ratio(numerator: Decimal, denominator: Decimal) -> Decimal:
    """A quotient for people to read, to 12 decimal places, half to even; never booked. 0 if the denominator is 0."""
    if denominator == 0:
        return ZERO
    return _RATIO.divide(numerator, denominator).quantize(Decimal("1e-12"), context=_RATIO)


def text(amount: Decimal) -> str:
    """The canonical form as text, never with an exponent. Raises ``ValueError`` for what is no finite number."""
    written = format(amount, "f")
    if "." in written:
        written = written.rstrip("0").rstrip(".")
    elif not amount.is_finite():
        raise ValueError(f"{amount} is no amount")
    return "0" if written == "-0" else written


def _last_exponent(amount: Decimal) -> int:
    """The exponent of a finite number's last digit that is not zero: -1 for 1.50.

    One with more digits than money ever has counts to its very last.
    """
    try:
        exponent = amount.normalize(_EXACT).as_tuple().exponent
    except Inexact:
        exponent = amount.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0
