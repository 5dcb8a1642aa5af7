"""Student's t distribution, as much of it as the test of a mean needs."""

import math

_STEPS_MAX = 1000
_PRECISION = 1e-15
_SMALLEST = 1e-300


def two_sided_p(t: float, degrees: int) -> float:
    """The chance of a t at least this far from 0 if the true mean is 0; ``degrees`` of freedom at least 1.

    I_x(degrees / 2, 1 / 2) with x = degrees / (degrees + t^2): Abramowitz and Stegun, "Handbook of Mathematical
    Functions" (1964), 26.7.1 and 26.5.8, the fraction evaluated by Lentz's method. Equal to ``scipy.stats.t``.
    """
    return _incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), 0 <= x <= 1, a and b above 0."""
    if x in {0.0, 1.0}:
        return x
    if x > (a + 1) / (a + b + 2):
        # The fraction converges fast on this side only.
        return 1 - _incomplete_beta(1 - x, b, a)
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(logarithm) / (a * _fraction(x, a, b))


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction 1 + d1 / (1 + d2 / (1 + ...)) that divides the leading term."""
    value, numerator, denominator = 1.0, 1.0, 0.0
    for step in range(1, _STEPS_MAX):
        half, odd = divmod(step, 2)
        if odd:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        denominator = 1 / ((1 + term * denominator) or _SMALLEST)
        numerator = (1 + term / numerator) or _SMALLEST
        value *= numerator * denominator
        if abs(numerator * denominator - 1) < _PRECISION:
            break
    return value
