"""Buys pullbacks that turn within a strong trend on two timeframes, the larger the more of six groups agree."""

from decimal import Decimal

from events.values import PositionSide
from oxbot.core.market_view import CandleWindow
from oxbot.core.parameters import Parametrised
from oxbot.core.strategies.entries import Entry, measured, seen_in
from oxbot.core.strategies.exits import first_since_entry, leave, reduce
from oxbot.core.strategies.sided import Sided
from oxbot.core.strategies.trinity_look import GROUPS, Confluence, Look, TrinityParameters, confluence, look
from oxbot.core.strategy import BoundStrategy, Holding, Signal

Looks = tuple[tuple[Look, Confluence | None], ...]
"""What each side sees, and which of the groups agree where it qualifies."""

_STRENGTHS = (
    (Decimal("0.95"), "very_strong", Decimal("1.0")),
    (Decimal("0.80"), "strong", Decimal("0.8")),
    (Decimal("0.65"), "moderate", Decimal("0.6")),
    (Decimal(0), "weak", Decimal("0.4")),
)
"""From which confidence on a setup is called what, and its share of ``size_fraction``: 10, 8, 6 and 4 % by default."""


class Trinity(Parametrised[TrinityParameters]):
    """Buys turned pullbacks in a trend on two timeframes, by how many of six groups of signs agree."""

    name = "trinity"
    version = 1
    parameter_type = TrinityParameters

    def bound(self, parameters: TrinityParameters) -> BoundStrategy:
        """The strategy under these parameters."""
        return BoundTrinity(parameters)


class BoundTrinity(Sided[TrinityParameters, Looks]):
    """``trinity`` with its parameters."""

    def _look(self, window: CandleWindow) -> Looks:
        found = [look(window, self._parameters, side) for side in self._sides]
        return tuple((each, confluence(each, self._parameters) if each.qualified else None) for each in found)

    def _entry(self, looks: Looks, side: PositionSide) -> Entry | None:
        """A turned pullback that qualifies."""
        found, groups = next(seen for seen in looks if seen[0].chart.side == side)
        return None if groups is None else self._entered(found, groups)

    def _entered(self, found: Look, groups: Confluence) -> Entry | None:
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

    def _exit(self, looks: Looks, holding: Holding) -> Signal | None:
        """The trend broke or flipped, or the side is overheated."""
        found = next((found for found, _ in looks if found.chart.side == holding.side), None)
        if found is None:
            return None
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
