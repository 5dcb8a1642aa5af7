"""The equity curve of a bot: what it held, marked at each candle's close."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from events.identifiers import Symbol
from oxbot.core.candles import Frame, timeframe_duration
from oxbot.core.money import ZERO, exact, ratio
from oxbot.core.returns import Flow, Point, drawdown
from oxbot.views.rows import BotLine, HoldingRow, PositionRow


class EquityPoint(NamedTuple):
    """Cash, and what all of it was worth at the close of the candle that opened at ``at``; quote currency."""

    at: datetime
    cash: Decimal
    equity: Decimal


def equity_curve(holdings: Sequence[HoldingRow], frames: Iterable[Frame]) -> list[EquityPoint]:
    """One point per frame. ``holdings`` and ``frames`` are in order of time, the first holding not after any frame.

    A position is marked at its symbol's newest close; no bot can hold a symbol that has not closed a candle yet.
    """
    marks: dict[Symbol, Decimal] = {}
    points: list[EquityPoint] = []
    index, cash, owed, quantities = -1, ZERO, ZERO, tuple[tuple[Symbol, Decimal], ...]()
    with exact():
        for frame in frames:
            marks.update((symbol, candle.close) for symbol, candle in frame.candles)
            before = index
            while index + 1 < len(holdings) and holdings[index + 1].since <= frame.open_time:
                index += 1
            if index > before:
                cash, owed = Decimal(holdings[index].cash), Decimal(holdings[index].owed)
                quantities = tuple((symbol, Decimal(amount)) for symbol, amount in holdings[index].quantities)
            held = sum((quantity * marks.get(symbol, ZERO) for symbol, quantity in quantities), ZERO)
            points.append(EquityPoint(frame.open_time, cash, cash - owed + held))
    return points


def worth(holding: HoldingRow, marks: Mapping[Symbol, Decimal]) -> Decimal:
    """What the bot's cash and holdings come to at these marks; every symbol held needs one."""
    with exact():
        held = sum((Decimal(quantity) * marks[symbol] for symbol, quantity in holding.quantities), ZERO)
        return Decimal(holding.cash) - Decimal(holding.owed) + held


def result_at(position: PositionRow, mark: Decimal) -> Decimal:
    """What the round trip would come to if what is still held were closed at the mark, net of all it has paid so far.

    That is what it has added to cash by now, its fees and funding included, and what is held at the mark; the fee of
    closing it is not in it.
    """
    with exact():
        earned = Decimal(position.exit_proceeds) + Decimal(position.quantity) * mark - Decimal(position.entry_cost)
        paid = Decimal(position.fees) - Decimal(position.base_fees) - Decimal(position.funding)
        return (earned if position.side == "long" else -earned) - paid


def capital_flows(holdings: Sequence[HoldingRow]) -> list[Flow]:
    """What was deposited (above 0) and withdrawn after the first of the holdings, which are in order of time."""
    with exact():
        changes = [
            Flow(later.since, Decimal(later.capital) - Decimal(earlier.capital))
            for earlier, later in pairwise(holdings)
        ]
    return [flow for flow in changes if flow.amount != 0]


def deepest_fall(bot: BotLine, holdings: Sequence[HoldingRow], points: Iterable[EquityPoint]) -> Decimal:
    """How far the bot's curve fell below its highest, as a fraction of that, capital flows left out of it.

    The curve begins with the bot's first capital, a candle before its market; ``holdings`` are in order of time.
    """
    if not holdings:
        return ZERO
    first = Point(bot.begins_at - timeframe_duration(bot.timeframe), Decimal(holdings[0].capital))
    curve = [first, *(Point(point.at, point.equity) for point in points)]
    return ratio(Decimal(drawdown(curve, capital_flows(holdings)).deepest), Decimal(1))
