"""What entries of the built-in strategies have in common: their levels, their size, and how they become signals."""

import math
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple

from events.bot import Intent
from events.values import Bracket, Measurement, PositionSide
from oxbot.core.parameters import CandlesMax, Gain, Multiple, Parameters, Period, Share, ShareOrNone, meaning
from oxbot.core.strategies.chart import Chart
from oxbot.core.strategy import Signal, StrategyState

AllowShort = Annotated[bool, meaning("whether it may sell short")]
"""The parameter by which a strategy may enter on either side."""

_DIGITS, _DECIMALS_MAX = 12, 18
_FALL_MAX = 0.9
"""No level lies further below than this fraction of the price: a price cannot fall by all of it."""


class SizeParameters(Parameters, frozen=True, kw_only=True):
    """The share of equity of an ordinary entry, and the most that memory and conviction may make of it."""

    size_fraction: Annotated[Share, meaning("share of equity of an ordinary entry")] = Decimal("0.10")
    size_fraction_max: Annotated[Share, meaning("the most that memory and conviction may make of it")] = Decimal("0.15")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size_fraction > self.size_fraction_max:
            raise ValueError("size_fraction must be at most size_fraction_max")


class BracketParameters(SizeParameters, frozen=True, kw_only=True):
    """Where exits rest: so many average true ranges from the close ("atr"), or fixed fractions of it ("fixed").

    With "atr" the stop is at least ``stop_fraction_min`` away, so that costs do not eat it, and the target moves out in
    proportion.
    """

    stops: Annotated[Literal["atr", "fixed"], meaning("exits by average true ranges, or by fractions of the close")] = (
        "atr"
    )
    atr_period: Annotated[Period, meaning("candles of the average true range")] = 14
    stop_atr: Annotated[Multiple, meaning("atr: how many ranges the stop is from the close")] = 1.5
    target_atr: Annotated[Multiple, meaning("atr: how many ranges the target is from the close")] = 3.0
    stop_fraction_min: Annotated[ShareOrNone, meaning("atr: nearest stop, as a fraction of the close")] = Decimal(
        "0.01"
    )
    stop_fraction: Annotated[Share, meaning("fixed: stop, as a fraction of the close")] = Decimal("0.035")
    target_fraction: Annotated[Gain, meaning("fixed: target, as a fraction of the close")] = Decimal("0.08")
    candles_max: Annotated[CandlesMax, meaning("after how many candles a position is closed; 0 for never")] = 0

    def distances(self, close: float, average_range: float) -> tuple[float, float]:
        """How far from the close the stop and the target are, in units of price."""
        if self.stops == "fixed":
            return close * float(self.stop_fraction), close * float(self.target_fraction)
        stop = max(average_range * self.stop_atr, close * float(self.stop_fraction_min))
        return stop, stop * self.target_atr / self.stop_atr


class Entry(NamedTuple):
    """An entry as a strategy sees it: floats, of which its signal makes decimals that replay the same."""

    side: PositionSide
    setup: str
    close: float
    stop_distance: float
    target_distance: float
    size_fraction: Decimal
    confidence: float
    reason: str
    measurements: tuple[Measurement, ...]

    def signal(self, state: StrategyState, *, size_fraction_max: Decimal, candles_max: int = 0) -> Signal | None:
        """What to ask for; None if there is no price at which the stop could rest."""
        stop, target = self.stop_distance / self.close, self.target_distance / self.close
        if not (0.0 < stop < math.inf and 0.0 < target < math.inf):
            return None
        upwards = 1.0 if self.side == "long" else -1.0
        if self.side == "long":
            stop = min(stop, _FALL_MAX)
        else:
            target = min(target, _FALL_MAX)
        return Signal(
            intent=entering(self.side),
            measurements=self.measurements,
            size_fraction=influenced(self.size_fraction, state, self.setup, most=size_fraction_max),
            bracket=Bracket(stop_fraction=level(stop), target_fraction=level(target), candles_max=candles_max or None),
            stop_loss=level(self.close * (1.0 - upwards * stop)),
            take_profit=level(self.close * (1.0 + upwards * target)),
            confidence=degree(self.confidence),
            setup=self.setup,
            reason=self.reason,
        )


def entering(side: PositionSide) -> Intent:
    """The intent of an entry on the side."""
    return "enter_long" if side == "long" else "enter_short"


def influenced(size_fraction: Decimal, state: StrategyState, setup: str, *, most: Decimal) -> Decimal:
    """The size as the bot's own trades of the setup in the symbol make it: within bounds, at most ``most``."""
    return min(size_fraction * state.memory.influence(setup, state.symbol), most)


def level(price: float) -> Decimal:
    """A float above zero as a decimal of 12 significant digits, and at most 18 decimals."""
    decimals = min(_DECIMALS_MAX, max(0, _DIGITS - 1 - math.floor(math.log10(price))))
    text = f"{price:.{decimals}f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


def degree(confidence: float) -> Decimal:
    """How sure, from 0 to 1, to four places."""
    return Decimal(f"{min(1.0, max(0.0, confidence)):.4f}")


def measured(**values: float) -> tuple[Measurement, ...]:
    """Those of the numbers that are finite, by name."""
    return tuple(Measurement(name=name, value=float(value)) for name, value in values.items() if math.isfinite(value))


def sides(*, allow_short: bool) -> tuple[PositionSide, ...]:
    """The sides on which a strategy may enter, in the order in which it looks."""
    return ("long", "short") if allow_short else ("long",)


def seen_in(chart: Chart) -> float:
    """The newest close in the market's own prices."""
    return chart.price(float(chart.closes[-1]))
