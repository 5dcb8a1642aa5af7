"""Buys the first return into a gap that an impulse left, with the stop beyond the gap."""

from decimal import Decimal
from typing import Annotated, NamedTuple

import msgspec

from events.values import Measurement, PositionSide
from oxbot.core.indicators import FairValueGap, atr, fair_value_gaps
from oxbot.core.market_view import CandleWindow
from oxbot.core.parameters import Multiple, Parametrised, Period, ShareOrNone, meaning
from oxbot.core.strategies.entries import AllowShort, Entry, SizeParameters, measured
from oxbot.core.strategies.exits import leave
from oxbot.core.strategies.sided import Sided
from oxbot.core.strategy import BoundStrategy, Holding, Signal

_KINDS: dict[PositionSide, str] = {"long": "bullish", "short": "bearish"}
_CONFIDENCE_LEAST, _CONFIDENCE_OF_IMPULSE_MAX, _CONFIDENCE_PER_RANGE = 0.6, 0.3, 0.2
_AGE_SHOWN_MAX = 500


class FvgParameters(SizeParameters, frozen=True, kw_only=True):
    """Which gaps count, how long they stay fresh, and how a return into one is traded."""

    gap_fraction_min: Annotated[ShareOrNone, meaning("smallest gap, as a fraction of the price")] = Decimal("0.001")
    impulse_min: Annotated[Multiple, meaning("smallest impulse, in average ranges")] = 1.5
    range_period: Annotated[Period, meaning("candles of the average range")] = 14
    age_max: Annotated[int, msgspec.Meta(ge=1, le=_AGE_SHOWN_MAX), meaning("for how many candles a gap is fresh")] = 50
    stop_buffer_atr: Annotated[
        float, msgspec.Meta(ge=0, le=10), meaning("how far beyond the gap the stop is, in average ranges")
    ] = 0.25
    stop_fraction_min: Annotated[ShareOrNone, meaning("nearest stop, as a fraction of the close")] = Decimal("0.004")
    reward_risk: Annotated[Multiple, meaning("the way to the target, in ways to the stop")] = 2.0
    candles_max: Annotated[
        int, msgspec.Meta(ge=1, le=_AGE_SHOWN_MAX), meaning("after how many candles a position is closed")
    ] = 48
    allow_short: AllowShort = False

    @property
    def memory_of_zones(self) -> int:
        """For how many candles a gap is known: as long as a position in it can last."""
        return self.age_max + self.candles_max + 2

    @property
    def window(self) -> int:
        """Enough to know each gap for that long, and for a range that forgot its beginning."""
        return max(self.range_period + self.memory_of_zones + 3, 8 * self.range_period)


class Look(NamedTuple):
    """The gaps at a close, and how far candles range."""

    close: float
    average_range: float
    zones: tuple[FairValueGap, ...]

    def of(self, side: PositionSide) -> tuple[FairValueGap, ...]:
        """The zones that support a position of the side, the newest first."""
        return tuple(zone for zone in reversed(self.zones) if zone.side == _KINDS[side])

    def impulse_against(self, side: PositionSide) -> FairValueGap | None:
        """The gap that an impulse against the side has just left, if there is one."""
        return next((zone for zone in self.zones if zone.side != _KINDS[side] and zone.age == 0), None)


class Fvg(Parametrised[FvgParameters]):
    """Buys the first return into a gap that an impulse left, with the stop beyond the gap."""

    name = "fvg"
    version = 1
    parameter_type = FvgParameters

    def bound(self, parameters: FvgParameters) -> BoundStrategy:
        """The strategy under these parameters."""
        return BoundFvg(parameters)


class BoundFvg(Sided[FvgParameters, Look]):
    """``fvg`` with its parameters."""

    def _look(self, window: CandleWindow) -> Look:
        p, count = self._parameters, self.window
        highs, lows, closes = window.highs(count), window.lows(count), window.closes(count)
        zones = fair_value_gaps(
            window.opens(count),
            highs,
            lows,
            closes,
            gap_fraction_min=float(p.gap_fraction_min),
            impulse_min=p.impulse_min,
            range_period=p.range_period,
            age_max=p.memory_of_zones,
        )
        return Look(float(closes[-1]), float(atr(highs, lows, closes, p.range_period)[-1]), zones)

    def _entry(self, look: Look, side: PositionSide) -> Entry | None:
        """A fresh gap is touched and holds, and no opposite impulse has just left its own."""
        zone = next((zone for zone in look.of(side) if self._wanted(zone, look.close)), None)
        if zone is None or look.impulse_against(side) is not None:
            return None
        return self._entered(look, side, zone)

    def _wanted(self, zone: FairValueGap, close: float) -> bool:
        """Touched by this candle for the first time, young enough, and closed on the right side of its middle."""
        held = close > zone.middle if zone.side == "bullish" else close < zone.middle
        return zone.touched == 0 and zone.age <= self._parameters.age_max and held

    def _entered(self, look: Look, side: PositionSide, zone: FairValueGap) -> Entry:
        p = self._parameters
        beyond = look.close - zone.low if side == "long" else zone.high - look.close
        stop = max(beyond + p.stop_buffer_atr * look.average_range, look.close * float(p.stop_fraction_min))
        conviction = min(_CONFIDENCE_OF_IMPULSE_MAX, (zone.impulse - p.impulse_min) * _CONFIDENCE_PER_RANGE)
        return Entry(
            side=side,
            setup=f"gap_{side}",
            close=look.close,
            stop_distance=stop,
            target_distance=stop * p.reward_risk,
            size_fraction=p.size_fraction,
            confidence=_CONFIDENCE_LEAST + conviction,
            reason=f"first return into the {zone.side} gap {zone.low:.8g} to {zone.high:.8g} of {zone.age} candles "
            f"ago, impulse {zone.impulse:.1f} ranges",
            measurements=_measured(look, zone),
        )

    def _exit(self, look: Look, holding: Holding) -> Signal | None:
        """The gap broke, or an opposite impulse left its own."""
        broken = next((zone for zone in look.of(holding.side) if _supported(zone, holding)), None)
        if broken is not None:
            edge = broken.low if broken.side == "bullish" else broken.high
            return leave(f"the close {look.close:.8g} broke the gap at {edge:.8g}", _measured(look, broken))
        opposite = look.impulse_against(holding.side)
        if opposite is not None:
            reason = f"an opposite impulse of {opposite.impulse:.1f} ranges left a gap"
            return leave(reason, _measured(look, opposite))
        return None


def _supported(zone: FairValueGap, holding: Holding) -> bool:
    """Whether the zone was touched before the position was opened, held then, and has been broken since."""
    touched_before = zone.touched is not None and zone.touched > holding.candles
    return touched_before and zone.broken is not None and zone.broken <= holding.candles


def _measured(look: Look, zone: FairValueGap) -> tuple[Measurement, ...]:
    return measured(
        close=look.close,
        atr=look.average_range,
        zone_low=zone.low,
        zone_high=zone.high,
        zone_age=float(zone.age),
        impulse=zone.impulse,
    )
