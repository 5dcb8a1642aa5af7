"""What kind of market it is: five regimes of trend strength and direction."""

from typing import Literal

import numpy as np

from oxbot.core.indicators.series import Floats, defined_part
from oxbot.core.indicators.trend import DirectionalMovement

Regime = Literal["strong_up", "mild_up", "chop", "mild_down", "strong_down"]

_NAMES: dict[float, Regime] = {2.0: "strong_up", 1.0: "mild_up", 0.0: "chop", -1.0: "mild_down", -2.0: "strong_down"}


def regime(movement: DirectionalMovement, rsi: Floats, /, *, strong: float = 30.0, chop: float = 15.0) -> Floats:
    """The regime at each candle: 2 strong up, 1 mild up, 0 chop, -1 mild down, -2 strong down.

    Chop where ADX < ``chop`` or neither DI is the greater; else up or down by the greater DI, strongly so where also
    ADX > ``strong`` and the RSI is on the same side of 50. The table of the audit of 0xBot's indicators (2026-01).
    First where ADX and RSI both are; depends on where the window begins as they do (fading).
    """
    return _regime(movement.adx, movement.plus_di, movement.minus_di, rsi, strong=strong, chop=chop)


def regime_name(code: float) -> Regime | None:
    """The name of one value of ``regime``; None for NaN."""
    return _NAMES.get(code)


@defined_part(4)
def _regime(adx: Floats, plus_di: Floats, minus_di: Floats, rsi: Floats, /, *, strong: float, chop: float) -> Floats:
    side = np.sign(plus_di - minus_di)
    agreed = (rsi - 50.0) * side > 0.0
    codes: Floats = side + side * (agreed & (adx > strong))
    codes[adx < chop] = 0.0
    return codes
