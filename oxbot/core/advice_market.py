"""What a prompt says of one symbol's closed candles: prices, indicators and their series, the same for every bot."""

from datetime import timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from oxbot.core.advice_figures import basis_points, change, price, prices, reading, readings
from oxbot.core.candles import Candle
from oxbot.core.indicators import (
    Bollinger,
    DirectionalMovement,
    Floats,
    Macd,
    OrderFlow,
    adx,
    atr,
    bollinger,
    divergence,
    ema,
    ichimoku,
    macd,
    obv,
    order_flow,
    regime,
    regime_name,
    rsi,
    sma,
    stochastic,
    supertrend,
    vwap,
)
from oxbot.core.market_view import CandleWindow, Resampled

WINDOW = 300
"""So many closed candles a symbol must have; 24 hours of five minutes are 289 of them."""

HIGHER_FACTOR = 4
HIGHER_CANDLES = (WINDOW - 2 * (HIGHER_FACTOR - 1)) // HIGHER_FACTOR
"""So many whole ones are in the window wherever they begin, so that a longer window shows no other."""

SERIES_CANDLES = 10
USUAL_CANDLES = 20
SPAN_MINUTES = (60, 240, 1440)
DIVERGENCE_CANDLES = 10

Trend = Literal["up", "down"]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """What prices did over so many minutes; None where the candles do not reach back that far, or do not divide them.

    ``place_bps`` is where the newest close lies between the low (0) and the high (10,000).
    """

    minutes: int
    change_bps: int | None = None
    high: str | None = None
    low: str | None = None
    place_bps: int | None = None


class Readings(msgspec.Struct, frozen=True, kw_only=True):
    """What the indicators read at the newest close; None where one is not defined."""

    ema_20: str | None
    ema_50: str | None
    rsi_14: str | None
    atr_14: str | None
    atr_bps: int | None
    adx_14: str | None
    plus_di_14: str | None
    minus_di_14: str | None
    macd: str | None
    macd_signal: str | None
    macd_histogram: str | None
    band_upper: str | None
    band_lower: str | None
    band_place_bps: int | None
    stochastic_k: str | None
    stochastic_d: str | None
    supertrend: Trend | None
    cloud: Literal["above", "inside", "below"] | None
    regime: str | None
    divergence: Literal["bullish", "bearish", "none"]
    volume_ratio: str | None
    obv: Literal["above_its_mean", "below_its_mean", "at_its_mean"] | None
    flow: Literal["buyers", "sellers", "balanced"] | None
    flow_surge: Literal["buyers", "sellers", "none"]
    day_vwap: str | None


class Higher(msgspec.Struct, frozen=True, kw_only=True):
    """The same symbol in whole candles of ``factor`` times the timeframe."""

    factor: int
    ema_20: str | None
    rsi_14: str | None
    adx_14: str | None
    atr_14: str | None
    macd_histogram: str | None
    trend: Literal["up", "down", "none"]


class SeriesShown(msgspec.Struct, frozen=True, kw_only=True):
    """The newest values candle by candle, every series oldest first."""

    closes: tuple[str, ...]
    ema_20: tuple[str, ...]
    rsi_14: tuple[str, ...]
    macd_histogram: tuple[str, ...]


class Chart(NamedTuple):
    """The newest ``WINDOW`` candles of a symbol, and what is computed of them more than once; arrays oldest first."""

    candles: list[Candle]
    opens: Floats
    highs: Floats
    lows: Floats
    closes: Floats
    volumes: Floats
    ema_20: Floats
    ema_50: Floats
    rsi: Floats
    atr: Floats
    macd: Macd
    movement: DirectionalMovement
    flow: OrderFlow

    @property
    def last(self) -> Candle:
        """The newest closed candle; its close is the one price that everything is measured from."""
        return self.candles[-1]

    @property
    def volume_ratio(self) -> float:
        """The newest volume as a multiple of the mean of the 20 before it; not a number if nothing was traded then."""
        usual = float(self.volumes[-USUAL_CANDLES - 1 : -1].mean())
        return float(self.volumes[-1]) / usual if usual > 0.0 else float("nan")


def chart(window: CandleWindow) -> Chart:
    """The chart of a window of at least ``WINDOW`` candles. However many more there are changes nothing."""
    opens, highs, lows = window.opens(WINDOW), window.highs(WINDOW), window.lows(WINDOW)
    closes, volumes = window.closes(WINDOW), window.volumes(WINDOW)
    return Chart(
        candles=window.candles(WINDOW),
        opens=opens,
        highs=highs,
        lows=lows,
        closes=closes,
        volumes=volumes,
        ema_20=ema(closes, 20),
        ema_50=ema(closes, 50),
        rsi=rsi(closes, 14),
        atr=atr(highs, lows, closes, 14),
        macd=macd(closes),
        movement=adx(highs, lows, closes, 14),
        flow=order_flow(opens, highs, lows, closes, volumes),
    )


def span(shown: Chart, minutes: int, timeframe: timedelta) -> Span:
    """What prices did over so many minutes up to the newest close, counted in time and not in candles."""
    length = timedelta(minutes=minutes)
    begins = shown.last.open_time - length
    if length % timeframe or shown.candles[0].open_time > begins:
        return Span(minutes=minutes)
    within = [candle for candle in shown.candles if candle.open_time > begins]
    before = next((candle for candle in shown.candles if candle.open_time == begins), None)
    high, low = max(candle.high for candle in within), min(candle.low for candle in within)
    return Span(
        minutes=minutes,
        change_bps=None if before is None else change(before.close, shown.last.close),
        high=price(high),
        low=price(low),
        place_bps=basis_points(shown.last.close - low, high - low),
    )


def indicators(shown: Chart, window: CandleWindow) -> Readings:
    """What the indicators read at the newest close."""
    bands = bollinger(shown.closes, 20)
    slow = stochastic(shown.highs, shown.lows, shown.closes)
    code = regime(shown.movement, shown.rsi)[-1]
    close = float(shown.closes[-1])
    return Readings(
        ema_20=price(float(shown.ema_20[-1])),
        ema_50=price(float(shown.ema_50[-1])),
        rsi_14=reading(float(shown.rsi[-1])),
        atr_14=reading(float(shown.atr[-1])),
        atr_bps=_part(float(shown.atr[-1]), close),
        adx_14=reading(float(shown.movement.adx[-1])),
        plus_di_14=reading(float(shown.movement.plus_di[-1])),
        minus_di_14=reading(float(shown.movement.minus_di[-1])),
        macd=reading(float(shown.macd.line[-1])),
        macd_signal=reading(float(shown.macd.signal[-1])),
        macd_histogram=reading(float(shown.macd.histogram[-1])),
        band_upper=price(float(bands.upper[-1])),
        band_lower=price(float(bands.lower[-1])),
        band_place_bps=_band_place(bands, close),
        stochastic_k=reading(float(slow.k[-1])),
        stochastic_d=reading(float(slow.d[-1])),
        supertrend=_supertrend(shown),
        cloud=_cloud(shown),
        regime=regime_name(float(code)),
        divergence=_divergence(shown),
        volume_ratio=reading(shown.volume_ratio),
        obv=_obv(shown),
        flow=_flow(shown),
        flow_surge=_surge(shown),
        day_vwap=_vwap(shown, window),
    )


def higher(window: CandleWindow) -> Higher:
    """The newest whole candles of the higher timeframe; what too few of them do not define is None."""
    longer = window.resample(HIGHER_CANDLES, HIGHER_FACTOR)
    if not len(longer.closes):
        return _higher(longer, None, "none")
    slow = ema(longer.closes, 20)
    fast = ema(longer.closes, 9)
    trend: Literal["up", "down", "none"] = "none"
    if longer.closes[-1] > fast[-1] > slow[-1]:
        trend = "up"
    elif longer.closes[-1] < fast[-1] < slow[-1]:
        trend = "down"
    return _higher(longer, price(float(slow[-1])), trend)


def series(shown: Chart) -> SeriesShown:
    """The newest ``SERIES_CANDLES`` values of four series, oldest first."""
    return SeriesShown(
        closes=prices(shown.closes[-SERIES_CANDLES:]),
        ema_20=prices(shown.ema_20[-SERIES_CANDLES:]),
        rsi_14=readings(shown.rsi[-SERIES_CANDLES:]),
        macd_histogram=readings(shown.macd.histogram[-SERIES_CANDLES:]),
    )


def _higher(longer: Resampled, average: str | None, trend: Literal["up", "down", "none"]) -> Higher:
    highs, lows, closes = longer.highs, longer.lows, longer.closes
    return Higher(
        factor=HIGHER_FACTOR,
        ema_20=average,
        rsi_14=_newest(rsi(closes, 14)),
        adx_14=_newest(adx(highs, lows, closes, 14).adx),
        atr_14=_newest(atr(highs, lows, closes, 14)),
        macd_histogram=_newest(macd(closes).histogram),
        trend=trend,
    )


def _newest(values: Floats) -> str | None:
    return reading(float(values[-1])) if len(values) else None


def _part(value: float, whole: float) -> int | None:
    return basis_points(Decimal(value), Decimal(whole)) if np.isfinite(value) and np.isfinite(whole) else None


def _band_place(bands: Bollinger, close: float) -> int | None:
    """0 at the lower band, 10,000 at the upper one, and beyond them below and above that."""
    return _part(close - float(bands.lower[-1]), float(bands.upper[-1]) - float(bands.lower[-1]))


def _supertrend(shown: Chart) -> Trend | None:
    direction = float(supertrend(shown.highs, shown.lows, shown.closes).direction[-1])
    return None if np.isnan(direction) else "up" if direction > 0 else "down"


def _cloud(shown: Chart) -> Literal["above", "inside", "below"] | None:
    lines = ichimoku(shown.highs, shown.lows, shown.closes)
    edges = (float(lines.span_a[-1]), float(lines.span_b[-1]))
    if not np.isfinite(edges).all():
        return None
    close = float(shown.closes[-1])
    return "above" if close > max(edges) else "below" if close < min(edges) else "inside"


def _divergence(shown: Chart) -> Literal["bullish", "bearish", "none"]:
    """The newest divergence of prices and RSI that was confirmed within the last candles."""
    found = divergence(shown.closes, shown.rsi)
    rises = np.flatnonzero(found.bullish[-DIVERGENCE_CANDLES:])
    falls = np.flatnonzero(found.bearish[-DIVERGENCE_CANDLES:])
    if not len(rises) and not len(falls):
        return "none"
    return "bullish" if not len(falls) or (len(rises) and rises[-1] > falls[-1]) else "bearish"


def _obv(shown: Chart) -> Literal["above_its_mean", "below_its_mean", "at_its_mean"] | None:
    """Against its own mean: its level says nothing, for that depends on where the candles begin."""
    volume = obv(shown.closes, shown.volumes)
    distance = float(volume[-1] - sma(volume, USUAL_CANDLES)[-1])
    if np.isnan(distance):
        return None
    return "above_its_mean" if distance > 0 else "below_its_mean" if distance < 0 else "at_its_mean"


def _flow(shown: Chart) -> Literal["buyers", "sellers", "balanced"] | None:
    total = float(shown.flow.cumulative[-1])
    if np.isnan(total):
        return None
    return "buyers" if total > 0 else "sellers" if total < 0 else "balanced"


def _surge(shown: Chart) -> Literal["buyers", "sellers", "none"]:
    delta, deviation = float(shown.flow.delta[-1]), float(shown.flow.deviation[-1])
    if not np.isfinite(deviation) or abs(delta) <= 2 * deviation:
        return "none"
    return "buyers" if delta > 0 else "sellers"


def _vwap(shown: Chart, window: CandleWindow) -> str | None:
    """Of the day so far; unknown where the candles do not reach back to its beginning."""
    times = window.open_times(WINDOW)
    return price(float(vwap(shown.highs, shown.lows, shown.closes, shown.volumes, times)[-1]))
