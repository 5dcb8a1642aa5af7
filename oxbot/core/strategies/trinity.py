"""Buys pullbacks that turn within a strong trend on two timeframes, the larger the more of six groups agree."""

from collections.abc import Mapping
from decimal import Decimal

from events.values import Parameter
from oxbot.core.market_view import CandleWindow
from oxbot.core.parameters import as_parameters, convert, restore
from oxbot.core.strategies.entries import Entry, measured, seen_in, sides
from oxbot.core.strategies.exits import first_since_entry, leave, reduce
from oxbot.core.strategies.trinity_look import GROUPS, Confluence, Look, TrinityParameters, confluence, look
from oxbot.core.strategy import BoundStrategy, Holding, Signal, StrategyState

_STRENGTHS = (
    (Decimal("0.95"), "very_strong", Decimal("1.0")),
    (Decimal("0.80"), "strong", Decimal("0.8")),
    (Decimal("0.65"), "moderate", Decimal("0.6")),
    (Decimal(0), "weak", Decimal("0.4")),
)
"""From which confidence on a setup is called what, and its share of ``size_fraction``: 10, 8, 6 and 4 % by default."""


class Trinity:
    """Buys turned pullbacks in a trend on two timeframes, by how many of six groups of signs agree."""

    name = "trinity"
    version = 1
    parameter_type = TrinityParameters

    def parameters(self, given: Mapping[str, str]) -> tuple[Parameter, ...]:
        """Every parameter, checked."""
        return as_parameters(convert(TrinityParameters, given, self.name))

    def bind(self, parameters: tuple[Parameter, ...]) -> BoundStrategy:
        """The strategy under these parameters."""
        return BoundTrinity(restore(TrinityParameters, parameters, self.name))


class BoundTrinity:
    """``trinity`` with its parameters."""

    def __init__(self, parameters: TrinityParameters) -> None:
        self._parameters = parameters
        self._sides = sides(allow_short=parameters.allow_short)
        self._window = parameters.window

    @property
    def window(self) -> int:
        """What its slowest indicator needs."""
        return self._window

    @property
    def size_fraction_max(self) -> Decimal:
        """The share of equity that memory can raise an entry to."""
        return self._parameters.size_fraction_max

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:
        """Enter on a turned pullback that qualifies; leave when the trend breaks or flips, reduce when it overheats."""
        if len(window) < self._window:
            return None
        looks = window.memo(("trinity", self._parameters), lambda: self._looks(window))
        if state.holding is not None:
            found = next((found for found, _ in looks if found.chart.side == state.holding.side), None)
            return None if found is None else self._exit(found, state.holding)
        for found, groups in looks:
            entry = None if groups is None else self._entry(found, groups)
            if entry is not None:
                p = self._parameters
                return entry.signal(state, size_fraction_max=p.size_fraction_max, candles_max=p.candles_max)
        return None

    def _looks(self, window: CandleWindow) -> tuple[tuple[Look, Confluence | None], ...]:
        found = [look(window, self._parameters, side) for side in self._sides]
        return tuple((each, confluence(each, self._parameters) if each.qualified else None) for each in found)

    def _entry(self, found: Look, groups: Confluence) -> Entry | None:
        p, confidence = self._parameters, groups.confidence(self._parameters.weights)
        if not groups.entry or confidence < p.confidence_min:
            return None
        strength, share = next((name, share) for least, name, share in _STRENGTHS if confidence >= least)
        close = seen_in(found.chart)
        stop, target = p.distances(close, groups.average_range)
        held = [name for name, held in zip(GROUPS, groups.held, strict=True) if held]
        flags = {name: float(held) for name, held in zip(GROUPS, groups.held, strict=True)}
        return Entry(
            side=found.chart.side,
            setup=f"{strength}_{found.chart.side}",
            close=close,
            stop_distance=stop,
            target_distance=target,
            size_fraction=p.size_fraction * share,
            confidence=float(confidence),
            reason=f"{', '.join(held)} agree ({confidence}); ADX {found.adx[-1]:.1f}, x{p.higher_factor} timeframe "
            f"{found.higher_adx:.1f}",
            measurements=found.measurements
            + measured(zone=found.chart.price(groups.zone), atr=groups.average_range, volume_ratio=groups.volume_ratio)
            + measured(**flags),
        )

    def _exit(self, found: Look, holding: Holding) -> Signal | None:
        close = seen_in(found.chart)
        if found.broken:
            trend = found.chart.price(found.trend)
            return leave(f"the close {close:.8g} broke the long average {trend:.8g}", found.measurements)
        if found.flipped:
            return leave("Supertrend has been against the position for two closes", found.measurements)
        p = self._parameters
        if first_since_entry(found.rsi > p.reduce_rsi, holding):
            strength = found.chart.oscillator(float(found.rsi[-1]))
            return reduce(p.reduce_fraction, f"RSI {strength:.1f} is overheated", found.measurements)
        return None
