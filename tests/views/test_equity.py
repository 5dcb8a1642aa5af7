"""Equity curves and drawdowns, against the plainest loops there are."""

from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from events.identifiers import BotId, Symbol
from oxbot.core.candles import Frame
from oxbot.core.money import exact, text
from oxbot.views.equity import EquityPoint, capital_flows, equity_curve
from oxbot.views.rows import HoldingRow
from tests.core import market_strategies as markets
from tests.core.scenario import BTC, ETH, candle, moment

AMOUNTS = st.decimals(min_value=0, max_value=10**6, places=8)


def holding(number: int, cash: Decimal, btc: Decimal, eth: Decimal) -> HoldingRow:
    """What a bot holds from a candle on."""
    quantities: list[tuple[Symbol, str]] = [(BTC, text(btc)), (ETH, text(eth))]
    return HoldingRow(
        bot_id=BotId("b"),
        since=moment(number),
        cash=text(cash),
        quantities=tuple(pair for pair in quantities if pair[1] != "0"),
    )


@st.composite
def holdings(draw: st.DrawFn) -> list[HoldingRow]:
    """From the first candle on, then from others."""
    numbers = sorted({0, *draw(st.lists(st.integers(0, 60), max_size=10))})
    return [holding(number, draw(AMOUNTS), draw(AMOUNTS), draw(AMOUNTS)) for number in numbers]


def naive(rows: Sequence[HoldingRow], frames: Sequence[Frame]) -> list[EquityPoint]:
    """For each candle, look through everything for what was held and what it was worth."""
    points = []
    for frame in frames:
        held = [row for row in rows if row.since <= frame.open_time][-1]
        marks = {
            symbol: seen.close for past in frames if past.open_time <= frame.open_time for symbol, seen in past.candles
        }
        cash = Decimal(held.cash)
        worth = sum((Decimal(quantity) * marks.get(symbol, 0) for symbol, quantity in held.quantities), Decimal(0))
        points.append(EquityPoint(frame.open_time, cash, cash + worth))
    return points


@given(rows=holdings(), frames=markets.frames(), missing=st.sets(st.integers(0, 59)))
def test_a_curve_is_what_was_held_at_the_newest_closes(
    rows: list[HoldingRow], frames: list[Frame], missing: set[int]
) -> None:
    """In some candles one of the two symbols did not trade; its older close still counts."""
    thinner = [
        Frame(frame.open_time, frame.candles[:1]) if number in missing else frame for number, frame in enumerate(frames)
    ]
    with exact():
        by_hand = naive(rows, thinner)
    assert equity_curve(rows, thinner) == by_hand


def test_a_curve_from_the_middle_begins_with_what_was_held_before() -> None:
    rows = [holding(0, Decimal(100), Decimal(0), Decimal(0)), holding(3, Decimal(50), Decimal(2), Decimal(0))]
    frames = [Frame(moment(number), ((BTC, candle(number, price)),)) for number, price in ((2, "9"), (5, "30"))]
    assert equity_curve(rows, frames) == [
        EquityPoint(moment(2), Decimal(100), Decimal(100)),
        EquityPoint(moment(5), Decimal(50), Decimal(110)),
    ]
    assert equity_curve(rows, []) == []


@given(amounts=st.lists(AMOUNTS, min_size=1, max_size=20))
def test_capital_that_comes_and_goes_is_told_from_one_holding_to_the_next(amounts: list[Decimal]) -> None:
    rows = [
        HoldingRow(bot_id=BotId("b"), since=moment(number), cash="7", quantities=(), capital=text(amount))
        for number, amount in enumerate(amounts)
    ]
    flows = capital_flows(rows)
    assert [flow.at for flow in flows] == [
        moment(number) for number in range(1, len(amounts)) if amounts[number] != amounts[number - 1]
    ]
    assert sum((flow.amount for flow in flows), amounts[0]) == amounts[-1]


def test_without_holdings_there_are_no_flows() -> None:
    assert capital_flows([]) == []
