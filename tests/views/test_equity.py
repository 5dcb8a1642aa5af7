"""Equity curves and drawdowns, against the plainest loops there are."""

from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from events.identifiers import BotId, Symbol
from oxbot.core.candles import Frame
from oxbot.core.money import exact, text
from oxbot.views.equity import EquityPoint, equity_curve, max_drawdown
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


@given(equity=st.lists(AMOUNTS, max_size=40))
def test_the_drawdown_is_the_deepest_fall_from_any_earlier_high(equity: list[Decimal]) -> None:
    falls = [
        (earlier - later) / earlier
        for number, earlier in enumerate(equity)
        for later in equity[number:]
        if earlier > later
    ]
    assert abs(max_drawdown(equity) - max(falls, default=Decimal(0))) <= Decimal("1e-12")


def test_drawdowns_by_hand() -> None:
    assert max_drawdown([]) == 0
    assert max_drawdown([Decimal(0), Decimal(0)]) == 0
    assert max_drawdown(map(Decimal, (100, 120, 90, 130, 117))) == Decimal("0.25")
    assert max_drawdown(iter([Decimal(4), Decimal(1)])) == Decimal("0.75")
