"""The limits that a bot's risk gate can be told to hold to, with every bound that they have."""

import msgspec

from oxbot.core.money import AMOUNT_MAX
from oxbot.core.risk import LimitRow, limits_table

_UPPER = "at most"


def limits_shown() -> list[LimitRow]:
    """The gate's table; a number that has no upper bound of its own has that of every number."""
    return [_bounded(row) for row in limits_table()]


def _bounded(row: LimitRow) -> LimitRow:
    if not row.bounds or _UPPER in row.bounds or row.unit == "yes or no":
        return row
    return msgspec.structs.replace(row, bounds=f"{row.bounds} and below {AMOUNT_MAX:f}")
