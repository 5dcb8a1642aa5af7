"""Buys pullbacks within a trend and breakouts out of a range, by moving averages, RSI and volume."""

from decimal import Decimal
from typing import Annotated, NamedTuple

from events.values import Measurement, PositionSide
from oxbot.core.indicators import Flags, Floats, ema_last, rsi
from oxbot.core.market_view import CandleWindow
from oxbot.core.parameters import (
    Count,
    Gain,
    Multiple,
    Oscillator,
    Parametrised,
    Period,
    Share,
    ShareOrNone,
    meaning,
)
from oxbot.core.strategies.chart import Chart, chart
from oxbot.core.strategies.entries import AllowShort, Entry, SizeParameters, measured, seen_in
from oxbot.core.strategies.exits import first_since_entry, gain, leave, reduce
from oxbot.core.strategies.sided import Sided
from oxbot.core.strategy import BoundStrategy, Holding, Signal

_CONFIDENCE_BY_DIP = ((20.0, 0.9), (30.0, 0.8))
_CONFIDENCE_OF_SHALLOW_DIP = 0.7
_CONFIDENCE_OF_BREAKOUT = (0.6, 0.8)


class IndicatorParameters(SizeParameters, frozen=True, kw_only=True):
    """Periods in candles, distances as fractions of the close; a seller's RSI levels are 100 less these."""

    trend_period: Annotated[Period, meaning("candles of the average that says the trend")] = 50
    fast_period: Annotated[Period, meaning("candles of the fast average")] = 9
    slow_period: Annotated[Period, meaning("candles of the slow average")] = 21
    rsi_period: Annotated[Period, meaning("candles of RSI")] = 14
    pullback_rsi: Annotated[Oscillator, meaning("RSI below which a pullback is one, and above which it has turned")] = (
        40.0
    )
    pullback_candles: Annotated[Count, meaning("how many candles back the dip may lie")] = 10
    breakout_candles: Annotated[Period, meaning("candles of the range that is broken out of")] = 20
    breakout_rsi: Annotated[Oscillator, meaning("least RSI of a breakout")] = 60.0
    volume_candles: Annotated[Period, meaning("candles of the usual volume")] = 24
    volume_ratio_min: Annotated[Multiple, meaning("least volume, in usual volumes")] = 0.8
    pullback_stop_fraction: Annotated[Share, meaning("stop of a pullback, as a fraction of the close")] = Decimal(
        "0.025"
    )
    breakout_stop_fraction: Annotated[
        Share, meaning("stop of a breakout, beyond the range's edge, as a fraction of the edge")
    ] = Decimal("0.015")
    target_fraction: Annotated[Gain, meaning("target, as a fraction of the close")] = Decimal("0.05")
    reduce_rsi: Annotated[Oscillator, meaning("RSI above which a part is taken off")] = 80.0
    reduce_gain_min: Annotated[
        ShareOrNone, meaning("if at least so much is gained, as a fraction of the entry price")
    ] = Decimal("0.02")
    reduce_fraction: Annotated[Share, meaning("the part that is taken off")] = Decimal("0.5")
    allow_short: AllowShort = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.fast_period < self.slow_period:
            raise ValueError("fast_period must be below slow_period")

    @property
    def window(self) -> int:
        """Enough that no average remembers where the window began, and for each search."""
        faded = max(4 * max(self.trend_period, self.slow_period), 8 * self.rsi_period + self.pullback_candles)
        return max(faded, self.breakout_candles + 1, self.volume_candles + 1)

    @property
    def candles_max(self) -> int:
        """No position is closed for its age."""
        return 0


class Look(NamedTuple):
    """What one side sees at a close: prices and RSI as its chart has them."""

    chart: Chart
    trend: float
    fast: float
    slow: float
    rsi: Floats
    dip: float
    """The lowest RSI of the candles before the newest one among which a pullback may lie."""
    top: float
    """The highest high of the candles before the newest one."""
    volume_ratio: float
    """The newest volume as a multiple of the mean of the candles before it."""

    @property
    def close(self) -> float:
        """The newest close on the side's chart."""
        return float(self.chart.closes[-1])

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """The numbers, in the market's own terms."""
        seen = self.chart
        return measured(
            close=seen_in(seen),
            ema_trend=seen.price(self.trend),
            ema_fast=seen.price(self.fast),
            ema_slow=seen.price(self.slow),
            rsi=seen.oscillator(float(self.rsi[-1])),
            rsi_dip=seen.oscillator(self.dip),
            range_edge=seen.price(self.top),
            volume_ratio=self.volume_ratio,
        )


class Indicator(Parametrised[IndicatorParameters]):
    """Buys pullbacks within a trend and breakouts out of a range, by averages, RSI and volume."""

    name = "indicator"
    version = 1
    parameter_type = IndicatorParameters

    def bound(self, parameters: IndicatorParameters) -> BoundStrategy:
        """The strategy under these parameters."""
        return BoundIndicator(parameters)


class BoundIndicator(Sided[IndicatorParameters, tuple[Look, ...]]):
    """``indicator`` with its parameters."""

    def _look(self, window: CandleWindow) -> tuple[Look, ...]:
        return tuple(self._seen(chart(window, self.window, side)) for side in self._sides)

    def _seen(self, seen: Chart) -> Look:
        p = self._parameters
        strength = rsi(seen.closes, p.rsi_period)
        return Look(
            chart=seen,
            trend=ema_last(seen.closes, p.trend_period),
            fast=ema_last(seen.closes, p.fast_period),
            slow=ema_last(seen.closes, p.slow_period),
            rsi=strength,
            dip=float(strength[-p.pullback_candles - 1 : -1].min()),
            top=float(seen.highs[-p.breakout_candles - 1 : -1].max()),
            volume_ratio=seen.volume_ratio(p.volume_candles),
        )

    def _entry(self, looks: tuple[Look, ...], side: PositionSide) -> Entry | None:
        """A pullback turned, or a range was broken out of, with the trend and enough volume."""
        look = _of_side(looks, side)
        if look is None or not (look.close > look.trend and look.volume_ratio >= self._parameters.volume_ratio_min):
            return None
        return self._pullback(look) or self._breakout(look)

    def _pullback(self, look: Look) -> Entry | None:
        """RSI dipped within the last candles and now turns up through its level, while the averages still rise."""
        p, now, before = self._parameters, float(look.rsi[-1]), float(look.rsi[-2])
        turned = now > before and look.close > float(look.chart.highs[-2])
        if not (turned and look.dip < p.pullback_rsi <= now and look.fast > look.slow):
            return None
        confidence = next((sure for least, sure in _CONFIDENCE_BY_DIP if look.dip <= least), _CONFIDENCE_OF_SHALLOW_DIP)
        dip, rebound = look.chart.oscillator(look.dip), look.chart.oscillator(now)
        return self._entered(
            look,
            "pullback",
            stop_distance=seen_in(look.chart) * float(p.pullback_stop_fraction),
            confidence=confidence,
            reason=f"RSI came back from {dip:.1f} to {rebound:.1f} within the trend, volume {look.volume_ratio:.2f}x",
        )

    def _breakout(self, look: Look) -> Entry | None:
        """A close beyond every high of the range before it, with strength."""
        p, now = self._parameters, float(look.rsi[-1])
        if not (look.close > look.top and now > p.breakout_rsi):
            return None
        close, edge = seen_in(look.chart), look.chart.price(look.top)
        beyond = abs(close - edge) / close
        least, most = _CONFIDENCE_OF_BREAKOUT
        return self._entered(
            look,
            "breakout",
            stop_distance=abs(close - edge) + edge * float(p.breakout_stop_fraction),
            confidence=min(most, least + 10.0 * beyond),
            reason=f"closed {beyond:.2%} beyond the last {p.breakout_candles} candles at {edge:.8g}, RSI "
            f"{look.chart.oscillator(now):.1f}, volume {look.volume_ratio:.2f}x",
        )

    def _entered(self, look: Look, setup: str, *, stop_distance: float, confidence: float, reason: str) -> Entry:
        close = seen_in(look.chart)
        return Entry(
            side=look.chart.side,
            setup=f"{setup}_{look.chart.side}",
            close=close,
            stop_distance=stop_distance,
            target_distance=close * float(self._parameters.target_fraction),
            size_fraction=self._parameters.size_fraction,
            confidence=confidence,
            reason=reason,
            measurements=look.measurements,
        )

    def _exit(self, looks: tuple[Look, ...], holding: Holding) -> Signal | None:
        """The trend broke, or the side is overheated."""
        look = _of_side(looks, holding.side)
        if look is None:
            return None
        if look.close < look.trend:
            close, trend = seen_in(look.chart), look.chart.price(look.trend)
            return leave(f"the close {close:.8g} broke the trend at {trend:.8g}", look.measurements)
        if first_since_entry(self._overheated(look, holding), holding):
            strength, gained = look.chart.oscillator(float(look.rsi[-1])), gain(holding, seen_in(look.chart))
            reason = f"RSI {strength:.1f} with {gained:.2%} gained"
            return reduce(self._parameters.reduce_fraction, reason, look.measurements)
        return None

    def _overheated(self, look: Look, holding: Holding) -> Flags:
        """At which closes RSI was above its level with enough gained."""
        p, seen = self._parameters, look.chart
        entry = seen.price(float(holding.entry_price))
        least = float(holding.entry_price) * float(p.reduce_gain_min)
        return (look.rsi > p.reduce_rsi) & (seen.closes - entry >= least)


def _of_side(looks: tuple[Look, ...], side: PositionSide) -> Look | None:
    return next((look for look in looks if look.chart.side == side), None)
