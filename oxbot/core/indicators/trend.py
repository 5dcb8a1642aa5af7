"""Which way prices go, and how surely: directional movement, Supertrend and Ichimoku."""

from typing import NamedTuple

import numpy as np
import talib

from oxbot.core.indicators.series import Floats, defined_part, require_periods, undefined


class DirectionalMovement(NamedTuple):
    """Wilder's directional movement, each 0 to 100."""

    adx: Floats
    plus_di: Floats
    minus_di: Floats


class Supertrend(NamedTuple):
    """The band that prices have not closed beyond, and the trend: 1 up (line below), -1 down (line above)."""

    line: Floats
    direction: Floats


class Ichimoku(NamedTuple):
    """The lines that stand at each candle, in units of price, and the lagging line's verdict."""

    tenkan: Floats
    kijun: Floats
    span_a: Floats
    """The cloud's first edge at this candle, drawn ``displacement`` candles ago."""
    span_b: Floats
    """The cloud's second edge at this candle, drawn ``displacement`` candles ago."""
    chikou: Floats
    """1 where the close is above the close ``displacement`` candles ago, -1 below, 0 the same."""


@defined_part(3)
def adx(high: Floats, low: Floats, close: Floats, /, period: int = 14) -> DirectionalMovement:
    """The strength of a trend without its sign (ADX), and the shares of upward and downward movement in it (DI).

    Wilder (1978): +DM = the high's rise if it is above both the low's fall and 0, -DM mirrored; DI = 100 * Wilder's sum
    of DM / that of the true range; DX = 100 * |+DI - -DI| / (+DI + -DI); ADX = Wilder's average of DX. TA-Lib's ADX,
    PLUS_DI and MINUS_DI; ``period`` >= 2. DI first at index period, ADX at 2 * period - 1. Candles without any range
    read 0. Fading dependence on the window's beginning (Wilder, twice over for ADX).
    """
    require_periods(2, period)
    return DirectionalMovement(
        adx=talib.ADX(high, low, close, timeperiod=period),
        plus_di=talib.PLUS_DI(high, low, close, timeperiod=period),
        minus_di=talib.MINUS_DI(high, low, close, timeperiod=period),
    )


@defined_part(3)
def supertrend(high: Floats, low: Floats, close: Floats, /, period: int = 10, multiplier: float = 3.0) -> Supertrend:
    """Trailing bands of ``multiplier`` average true ranges round the middle of the candle, and the side prices are on.

    Seban's Supertrend as TA-Lib has it: upper = (H + L) / 2 + multiplier * ATR(period), and it only ever falls until a
    close above it; lower mirrored. An up trend ends with a close below the lower band of the same candle (not of the
    one before), a down trend with a close above the upper band. ``period`` >= 2. First at index period.

    The trend is taken to be up at the first value, so the direction depends on where the window begins until the first
    close beyond a band, and fades from there on as the ATR and the bands do.
    """
    require_periods(2, period)
    line, trend = talib.SUPERTREND(high, low, close, timeperiod=period, multiplier=multiplier)
    direction = trend.astype(np.float64)
    direction[:period] = np.nan
    return Supertrend(line=line, direction=direction)


@defined_part(3)
def ichimoku(
    high: Floats,
    low: Floats,
    close: Floats,
    /,
    *,
    conversion: int = 9,
    base: int = 26,
    leading: int = 52,
    displacement: int = 26,
) -> Ichimoku:
    """Ichimoku Kinko Hyo: middles of the high-low ranges of three windows, and the cloud that they drew earlier.

    Hosoda (1969). tenkan and kijun = (highest high + lowest low) / 2 of ``conversion`` and ``base`` candles; span_a =
    (tenkan + kijun) / 2 and span_b = that middle of ``leading`` candles, both as computed ``displacement`` candles
    before: the cloud that stands at this candle. Periods >= 2, displacement >= 1. First at index conversion - 1, base
    - 1, max(conversion, base) - 1 + displacement, leading - 1 + displacement and displacement (chikou). Does not
    depend on where the window begins.
    """
    require_periods(2, conversion, base, leading)
    require_periods(1, displacement)
    tenkan = talib.MIDPRICE(high, low, timeperiod=conversion)
    kijun = talib.MIDPRICE(high, low, timeperiod=base)
    chikou = undefined(len(close))
    if len(close) > displacement:
        chikou[displacement:] = np.sign(close[displacement:] - close[:-displacement])
    return Ichimoku(
        tenkan=tenkan,
        kijun=kijun,
        span_a=_later((tenkan + kijun) / 2, displacement),
        span_b=_later(talib.MIDPRICE(high, low, timeperiod=leading), displacement),
        chikou=chikou,
    )


def _later(values: Floats, candles: int) -> Floats:
    moved = undefined(len(values))
    moved[candles:] = values[:-candles]
    return moved
