"""How the built-in strategies leave what they hold: all of it, or once a part of it."""

from decimal import Decimal

from events.values import Measurement
from oxbot.core.indicators import Flags
from oxbot.core.strategy import Holding, Signal


def leave(reason: str, measurements: tuple[Measurement, ...]) -> Signal:
    """Take the whole position off at the next open."""
    return Signal(intent="exit", measurements=measurements, reason=reason)


def reduce(share: Decimal, reason: str, measurements: tuple[Measurement, ...]) -> Signal:
    """Take a share of the position off at the next open."""
    return Signal(intent="reduce", measurements=measurements, reason=reason, reduce_fraction=share)


def first_since_entry(flags: Flags, holding: Holding) -> bool:
    """Whether the newest flag is up and was not before since entry, as far as the flags reach back.

    Nothing of the position has been taken off yet.
    """
    entered = max(0, len(flags) - 1 - holding.candles)
    return not holding.reduced and bool(flags[-1]) and not flags[entered:-1].any()


def gain(holding: Holding, close: float) -> float:
    """The move since entry in the position's favour, as a fraction of the entry price; before costs."""
    change = close / float(holding.entry_price) - 1.0
    return change if holding.side == "long" else -change
