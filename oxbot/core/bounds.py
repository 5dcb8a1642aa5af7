"""What a number from outside may be: its least and its most, and the words that say so."""

from decimal import Decimal
from typing import NamedTuple

from oxbot.core import money


class Bounds(NamedTuple):
    """From ``least``, itself allowed unless ``above`` is set, to ``most``, itself allowed; None is no upper bound."""

    least: Decimal
    most: Decimal | None = None
    above: bool = False

    def fault(self, value: Decimal | int) -> str | None:
        """What is wrong with the value ("must be above 0 and at most 1, not 2"), or None."""
        number = Decimal(value)
        if not number.is_finite():
            return f"is {number}, not a number"
        too_low = number <= self.least if self.above else number < self.least
        if too_low or (self.most is not None and number > self.most):
            return f"must be {self}, not {value}"
        return money.fault(number)

    def __str__(self) -> str:
        least = f"{'above' if self.above else 'at least'} {money.text(self.least)}"
        return least if self.most is None else f"{least} and at most {money.text(self.most)}"


def fraction(most: str = "1") -> Bounds:
    """Above 0, and at most ``most``."""
    return Bounds(Decimal(0), Decimal(most), above=True)


def count(least: int = 1, most: int | None = None) -> Bounds:
    """A whole number that is at least ``least``."""
    return Bounds(Decimal(least), None if most is None else Decimal(most))
