"""What ``trinity`` sees at a close: whether it may trade at all, and six groups of conditions that say how surely."""

from decimal import Decimal
from typing import Annotated, NamedTuple

import numpy as np

from events.values import Measurement, PositionSide
from oxbot.core.indicators import (
    Flags,
    Floats,
    adx,
    atr,
    bollinger,
    ema,
    ema_last,
    ichimoku,
    macd,
    obv,
    order_flow,
    rsi,
    sma,
    supertrend,
)
from oxbot.core.indicators.momentum import NEUTRAL
from oxbot.core.market_view import CandleWindow
from oxbot.core.parameters import Count, Multiple, Oscillator, Period, Share, ShareOrNone, meaning
from oxbot.core.strategies.chart import Chart, candles_for_higher, chart, higher_chart
from oxbot.core.strategies.entries import AllowShort, BracketParameters, measured, seen_in

GROUPS = ("regime", "trend", "entry", "momentum", "volume", "volatility")

_ADX_LOOKBACK = 3
_OBV_PERIOD, _FLOW_PERIOD, _BANDWIDTH_PERIOD = 14, 20, 50
_MOMENTUM_SIGNS_MIN = 3
_CLOUD_CANDLES = 78


class TrinityParameters(BracketParameters, frozen=True, kw_only=True):
    """Periods in candles of the bot's own timeframe; RSI levels and sides are a buyer's, a seller's mirror them."""

    trend_period: Annotated[Period, meaning("candles of the long average")] = 200
    adx_period: Annotated[Period, meaning("candles of ADX")] = 14
    adx_min: Annotated[Oscillator, meaning("least ADX")] = 25.0
    higher_factor: Annotated[Period, meaning("how many times as long the higher timeframe is")] = 4
    higher_candles: Annotated[Period, meaning("how many of its candles are looked at")] = 60
    higher_adx_min: Annotated[Oscillator, meaning("least ADX there")] = 20.0
    zone_period: Annotated[Period, meaning("candles of the average that a pullback comes back to")] = 20
    zone_width_atr: Annotated[Multiple, meaning("how near is near it, in average true ranges")] = 0.5
    zone_candles: Annotated[Count, meaning("how many candles back the pullback may lie")] = 5
    volume_ratio_min: Annotated[Multiple, meaning("least volume, in means of the 20 candles before")] = 1.2
    regime_weight: Annotated[ShareOrNone, meaning("weight of: above a rising Ichimoku cloud")] = Decimal("0.25")
    trend_weight: Annotated[ShareOrNone, meaning("weight of: tenkan above kijun, ADX rising")] = Decimal("0.20")
    entry_weight: Annotated[ShareOrNone, meaning("weight of: a pullback that turned")] = Decimal("0.20")
    momentum_weight: Annotated[ShareOrNone, meaning("weight of: three of MACD, RSI, OBV and order flow")] = Decimal(
        "0.20"
    )
    volume_weight: Annotated[ShareOrNone, meaning("weight of: more volume than usual, on the side's account")] = (
        Decimal("0.10")
    )
    volatility_weight: Annotated[ShareOrNone, meaning("weight of: Bollinger bands wider than usual")] = Decimal("0.05")
    confidence_min: Annotated[Share, meaning("least sum of the weights that hold")] = Decimal("0.50")
    reduce_rsi: Annotated[Oscillator, meaning("RSI above which a part is taken off")] = 75.0
    reduce_fraction: Annotated[Share, meaning("the part that is taken off")] = Decimal("0.5")
    allow_short: AllowShort = False

    def __post_init__(self) -> None:
        super().__post_init__()
        total = sum(self.weights, Decimal(0))
        if total != 1:
            raise ValueError(f"the six weights must add up to 1, not {total}")
        if self.higher_candles < max(2 * self.adx_period, self.zone_period):
            raise ValueError("higher_candles must be at least twice adx_period, and at least zone_period")

    @property
    def weights(self) -> tuple[Decimal, ...]:
        """The weights in the order of ``GROUPS``."""
        return tuple(getattr(self, f"{group}_weight") for group in GROUPS)

    @property
    def window(self) -> int:
        """Enough for the trend, for the cloud, for averages that forget their beginning, and for the higher candles."""
        higher = candles_for_higher(self.higher_candles, self.higher_factor)
        return max(self.trend_period + 1, _CLOUD_CANDLES, 14 * self.adx_period + 1, 4 * self.zone_period, higher)


class Look(NamedTuple):
    """The hard conditions, and what exits look at: prices as the side's chart has them."""

    chart: Chart
    trend: float
    adx: Floats
    directed: bool
    supertrend: Floats
    rsi: Floats
    higher_adx: float
    qualified: bool
    """Whether trend, strength and the higher timeframe all allow an entry."""

    @property
    def broken(self) -> bool:
        """Whether the close is on the wrong side of the long average."""
        return bool(self.chart.closes[-1] < self.trend)

    @property
    def flipped(self) -> bool:
        """Whether Supertrend has been against the side for two closes."""
        return bool((self.supertrend[-2:] < 0.0).all())

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """The numbers, in the market's own terms."""
        return measured(
            close=seen_in(self.chart),
            sma_trend=self.chart.price(self.trend),
            adx=float(self.adx[-1]),
            higher_adx=self.higher_adx,
            rsi=self.chart.oscillator(float(self.rsi[-1])),
        )


class Confluence(NamedTuple):
    """Which of the groups hold, in the order of ``GROUPS``, and the numbers behind them."""

    held: tuple[bool, ...]
    average_range: float
    zone: float
    volume_ratio: float

    @property
    def entry(self) -> bool:
        """Whether a pullback has just turned: without it there is nothing to enter on."""
        return self.held[GROUPS.index("entry")]

    def confidence(self, weights: tuple[Decimal, ...]) -> Decimal:
        """The weights of the groups that hold, added up."""
        return sum((weight for weight, held in zip(weights, self.held, strict=True) if held), Decimal(0))


def look(window: CandleWindow, parameters: TrinityParameters, side: PositionSide) -> Look:
    """The hard conditions at the newest close. The higher timeframe is only computed where the others hold."""
    p, seen = parameters, chart(window, parameters.window, side)
    movement = adx(seen.highs, seen.lows, seen.closes, p.adx_period)
    trend = float(sma(seen.closes[-p.trend_period :], p.trend_period)[-1])
    found = Look(
        chart=seen,
        trend=trend,
        adx=movement.adx,
        directed=bool(movement.plus_di[-1] > movement.minus_di[-1]),
        supertrend=supertrend(seen.highs, seen.lows, seen.closes).direction,
        rsi=rsi(seen.closes),
        higher_adx=float("nan"),
        qualified=False,
    )
    strong = bool(movement.adx[-1] >= p.adx_min)
    if found.broken or found.flipped or not (strong and found.directed):
        return found
    higher_adx, agrees = _higher(window, p, side)
    return found._replace(higher_adx=higher_adx, qualified=agrees and bool(seen.closes[-1] > trend))


def _higher(window: CandleWindow, p: TrinityParameters, side: PositionSide) -> tuple[float, bool]:
    """ADX of the higher timeframe, and whether its close, its strength and its direction agree."""
    seen = higher_chart(window, p.higher_candles, p.higher_factor, side)
    if seen is None:
        return float("nan"), False
    movement = adx(seen.highs, seen.lows, seen.closes, p.adx_period)
    above = seen.closes[-1] > ema_last(seen.closes, p.zone_period)
    directed = movement.plus_di[-1] > movement.minus_di[-1]
    return float(movement.adx[-1]), bool(above and directed and movement.adx[-1] >= p.higher_adx_min)


def confluence(found: Look, parameters: TrinityParameters) -> Confluence:
    """The six groups at the newest close. Each can fail while the hard conditions hold."""
    p, seen = parameters, found.chart
    ranges = atr(seen.highs, seen.lows, seen.closes, p.atr_period)
    zone = ema(seen.closes, p.zone_period)
    recent = slice(-_FLOW_PERIOD - 1, None)
    flow = order_flow(
        seen.opens[recent], seen.highs[recent], seen.lows[recent], seen.closes[recent], seen.volumes[recent]
    )
    ratio = seen.volume_ratio(_FLOW_PERIOD)
    cloud = ichimoku(*(column[-_CLOUD_CANDLES:] for column in (seen.highs, seen.lows, seen.closes)))
    above_cloud = seen.closes[-1] > max(cloud.span_a[-1], cloud.span_b[-1])
    held = (
        bool(above_cloud and cloud.span_a[-1] > cloud.span_b[-1]),
        bool(cloud.tenkan[-1] > cloud.kijun[-1] and found.adx[-1] > found.adx[-1 - _ADX_LOOKBACK]),
        _bounced(seen, zone, ranges, p),
        _momentum(found, float(flow.cumulative[-1])),
        bool(ratio >= p.volume_ratio_min and flow.delta[-1] > 0.0),
        _widening(seen),
    )
    return Confluence(held, float(ranges[-1]), float(zone[-1]), ratio)


def _bounced(seen: Chart, zone: Floats, ranges: Floats, p: TrinityParameters) -> bool:
    """A low of the candles before fell into the band round the average; now a close above it and the last high."""
    before = slice(-1 - p.zone_candles, -1)
    touched: Flags = np.abs(seen.lows[before] - zone[before]) <= p.zone_width_atr * ranges[before]
    return bool(touched.any() and seen.closes[-1] > zone[-1] and seen.closes[-1] > seen.highs[-2])


def _momentum(found: Look, cumulative_delta: float) -> bool:
    """Most of four signs: MACD gains on its signal, RSI above the middle, volume accumulates, buyers led lately."""
    seen = found.chart
    histogram = macd(seen.closes).histogram
    volume = obv(seen.closes, seen.volumes)
    signs = (
        histogram[-1] > histogram[-2],
        found.rsi[-1] > NEUTRAL,
        volume[-1] > volume[-_OBV_PERIOD:].mean(),
        cumulative_delta > 0.0,
    )
    return sum(map(bool, signs)) >= _MOMENTUM_SIGNS_MIN


def _widening(seen: Chart) -> bool:
    """The Bollinger bands are wider than they have been on average, and the close has not left them."""
    bands = bollinger(seen.closes[-_BANDWIDTH_PERIOD - 20 :])
    width = (bands.upper - bands.lower)[-_BANDWIDTH_PERIOD:]
    return bool(width[-1] > width.mean() and seen.closes[-1] < bands.upper[-1])
