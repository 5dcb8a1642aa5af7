"""Exact decimal arithmetic: sums and products never round, and every rounding has a name."""

from contextlib import AbstractContextManager
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)

_EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow, Inexact])
_RATIO = Context(prec=28, rounding=ROUND_HALF_EVEN)

ZERO = Decimal(0)


def exact() -> AbstractContextManager[Context]:
    """A context in which money is computed: a result that would have to be rounded raises ``Inexact`` instead."""
    return localcontext(_EXACT)


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


def ratio(numerator: Decimal, denominator: Decimal) -> Decimal:
    """A quotient for people to read, to 12 decimal places, half to even; never booked. 0 if the denominator is 0."""
    if denominator == 0:
        return ZERO
    return _RATIO.divide(numerator, denominator).quantize(Decimal("1e-12"), context=_RATIO)


def plain(amount: Decimal) -> Decimal:
    """The same number in its one canonical form: no exponent above zero, no trailing zeros, no negative zero."""
    with exact():
        reduced = amount.normalize()
        if reduced == 0:
            return ZERO
        return reduced.quantize(Decimal(1)) if reduced.as_tuple().exponent > 0 else reduced  # type: ignore[operator]


def text(amount: Decimal) -> str:
    """The canonical form as text, never with an exponent."""
    return format(plain(amount), "f")
