"""Buys the first return into a gap that an impulse left, with the stop beyond the gap."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, NamedTuple

import msgspec

from events.values import Measurement, Parameter, PositionSide
from oxbot.core.indicators import FairValueGap, atr, fair_value_gaps
from oxbot.core.market_view import CandleWindow
from oxbot.core.parameters import Multiple, Period, ShareOrNone, as_parameters, convert, meaning, restore
from oxbot.core.strategies.entries import Entry, SizeParameters, measured, sides
from oxbot.core.strategies.exits import leave
from oxbot.core.strategy import BoundStrategy, Holding, Signal, StrategyState

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
    allow_short: Annotated[bool, meaning("whether it may sell short")] = False


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


class Fvg:
    """Buys the first return into a gap that an impulse left, with the stop beyond the gap."""

    name = "fvg"
    version = 1
    parameter_type = FvgParameters

    def parameters(self, given: Mapping[str, str]) -> tuple[Parameter, ...]:
        """Every parameter, checked."""
        return as_parameters(convert(FvgParameters, given, self.name))

    def bind(self, parameters: tuple[Parameter, ...]) -> BoundStrategy:
        """The strategy under these parameters."""
        return BoundFvg(restore(FvgParameters, parameters, self.name))


class BoundFvg:
    """``fvg`` with its parameters."""

    def __init__(self, parameters: FvgParameters) -> None:
        self._parameters = parameters
        self._sides = sides(allow_short=parameters.allow_short)
        self._memory_of_zones = parameters.age_max + parameters.candles_max + 2

    @property
    def window(self) -> int:
        """Enough to know a gap for as long as a position in it can last, and for a range that forgot its beginning."""
        p = self._parameters
        return max(p.range_period + self._memory_of_zones + 3, 8 * p.range_period)

    @property
    def size_fraction_max(self) -> Decimal:
        """The share of equity that memory can raise an entry to."""
        return self._parameters.size_fraction_max

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:
        """Enter when a fresh gap is touched and holds; leave when it breaks or an opposite impulse leaves its own."""
        if len(window) < self.window:
            return None
        look = window.memo(("fvg", self._parameters), lambda: self._look(window))
        if state.holding is not None:
            return self._exit(look, state.holding)
        for side in self._sides:
            zone = next((zone for zone in look.of(side) if self._wanted(zone, look.close)), None)
            if zone is not None and look.impulse_against(side) is None:
                p = self._parameters
                return self._entry(look, side, zone).signal(
                    state, size_fraction_max=p.size_fraction_max, candles_max=p.candles_max
                )
        return None

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
            age_max=self._memory_of_zones,
        )
        return Look(float(closes[-1]), float(atr(highs, lows, closes, p.range_period)[-1]), zones)

    def _wanted(self, zone: FairValueGap, close: float) -> bool:
        """Touched by this candle for the first time, young enough, and closed on the right side of its middle."""
        held = close > zone.middle if zone.side == "bullish" else close < zone.middle
        return zone.touched == 0 and zone.age <= self._parameters.age_max and held

    def _entry(self, look: Look, side: PositionSide, zone: FairValueGap) -> Entry:
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
