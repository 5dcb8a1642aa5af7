"""Trades and equity curves for the tests of the metrics."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from oxbot.core.returns import Point

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Closed(NamedTuple):
    """A round trip that is over."""

    opened_at: datetime
    closed_at: datetime
    entry_cost: Decimal
    net: Decimal


def closed(net: float | str, *, cost: float | str = 100, opened: datetime = START, lasted: timedelta = HOUR) -> Closed:
    """A round trip of this result."""
    return Closed(opened, opened + lasted, Decimal(str(cost)), Decimal(str(net)))


def in_turn(*nets: float) -> list[Closed]:
    """Round trips one after the other, an hour each."""
    return [closed(net, opened=START + number * HOUR) for number, net in enumerate(nets)]


def curve_of(equity: Sequence[float], *, step: timedelta = DAY, start: datetime = START) -> list[Point]:
    """A curve with a point at every step."""
    return [Point(start + number * step, Decimal(str(value))) for number, value in enumerate(equity)]
