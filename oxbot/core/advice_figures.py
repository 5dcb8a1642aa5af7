"""Numbers as a prompt shows them: decimal text of so many significant figures, half to even; None where unknown."""

import math
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal

from oxbot.core.money import text

READING_FIGURES = 5
"""Of what an indicator reads: a ratio, an oscillator, a strength."""

PRICE_FIGURES = 8
"""Of a price or an amount that was computed; the newest close itself is shown to its last digit."""

BASIS_POINTS = 10_000

_READING = Context(prec=READING_FIGURES, rounding=ROUND_HALF_EVEN, traps=[])
_PRICE = Context(prec=PRICE_FIGURES, rounding=ROUND_HALF_EVEN, traps=[])
_RATIO = Context(prec=60, rounding=ROUND_HALF_EVEN, traps=[])


def reading(value: float) -> str | None:
    """What an indicator reads, to ``READING_FIGURES``; None for what is not defined."""
    return text(_READING.create_decimal(Decimal(value))) if math.isfinite(value) else None


def price(value: float | Decimal) -> str | None:
    """A price or an amount, to ``PRICE_FIGURES``; None for what is not defined."""
    number = Decimal(value)
    return text(_PRICE.create_decimal(number)) if number.is_finite() else None


def readings(values: Iterable[float]) -> tuple[str, ...]:
    """A series of readings, in its own order; one that is not defined is "-"."""
    return tuple(reading(float(value)) or "-" for value in values)


def prices(values: Iterable[float]) -> tuple[str, ...]:
    """A series of prices, in its own order; one that is not defined is "-"."""
    return tuple(price(float(value)) or "-" for value in values)


def basis_points(part: Decimal, whole: Decimal) -> int | None:
    """``part`` as ten-thousandths of ``whole``, half to even; None of nothing."""
    if whole == 0:
        return None
    share = _RATIO.divide(_RATIO.multiply(part, Decimal(BASIS_POINTS)), whole)
    return int(share.to_integral_value(ROUND_HALF_EVEN, context=_RATIO))


def change(before: Decimal, now: Decimal) -> int | None:
    """How far a price has come, in basis points of where it was."""
    return basis_points(_RATIO.subtract(now, before), before)
