"""Candles as a buyer looks at them, or upside down as a seller does: each rule is written once for both."""

from typing import NamedTuple

from events.values import PositionSide
from oxbot.core.indicators import Floats
from oxbot.core.market_view import CandleWindow


class Chart(NamedTuple):
    """Columns of shape (n,), oldest first, in which a rise is good for the side.

    A seller's prices are reflected within their own range: ``mirror`` less the price, above zero again. What indicators
    make of prices is reflected with them, distances stay as they are; ``price`` turns a level back.
    """

    side: PositionSide
    opens: Floats
    highs: Floats
    lows: Floats
    closes: Floats
    volumes: Floats
    mirror: float

    def price(self, level: float) -> float:
        """The level in the market's own prices."""
        return level if self.side == "long" else self.mirror - level

    def oscillator(self, value: float) -> float:
        """A reading from 0 to 100 as it is in the market's own prices."""
        return value if self.side == "long" else 100.0 - value

    def volume_ratio(self, candles: int) -> float:
        """The newest volume as a multiple of the mean of so many before it; 0 if nothing was traded in them."""
        usual = float(self.volumes[-candles - 1 : -1].mean())
        return float(self.volumes[-1]) / usual if usual > 0.0 else 0.0


def chart(window: CandleWindow, count: int, side: PositionSide) -> Chart:
    """The newest ``count`` candles as the side sees them."""
    columns = (window.opens(count), window.highs(count), window.lows(count), window.closes(count))
    return seen_by(side, columns, window.volumes(count))


def higher_chart(window: CandleWindow, count: int, factor: int, side: PositionSide) -> Chart | None:
    """The newest ``count`` whole candles of a timeframe ``factor`` times as long; None if there are fewer."""
    higher = window.resample(count, factor)
    if len(higher.closes) < count:
        return None
    return seen_by(side, (higher.opens, higher.highs, higher.lows, higher.closes), higher.volumes)


def candles_for_higher(count: int, factor: int) -> int:
    """How many candles hold ``count`` whole ones of the higher timeframe, wherever its candles begin."""
    return count * factor + 2 * (factor - 1)


def seen_by(side: PositionSide, prices: tuple[Floats, Floats, Floats, Floats], volumes: Floats) -> Chart:
    """Opens, highs, lows and closes as they are for a buyer, reflected for a seller."""
    opens, highs, lows, closes = prices
    if side == "long":
        return Chart(side, opens, highs, lows, closes, volumes, 0.0)
    mirror = float(highs.max() + lows.min())
    return Chart(side, mirror - opens, mirror - lows, mirror - highs, mirror - closes, volumes, mirror)
