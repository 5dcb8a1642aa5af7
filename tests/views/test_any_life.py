"""What must be true of a bot's rows after any life."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from events.bot import BotFact, OrderFilled, OrderRequested
from events.identifiers import OrderId, Symbol
from oxbot.core.bot import BotCommand
from oxbot.core.candles import Frame
from oxbot.core.money import exact
from oxbot.views.bot_views import BotBooks, project
from oxbot.views.equity import equity_curve
from oxbot.views.rows import BotRow, HoldingRow, PortfolioRow, PositionRow, Row, TradeRow, ViewName
from tests.core import market_strategies as markets
from tests.core.scenario import Life
from tests.views.projected import Rows, apply, fields, of, recorded, rows_after


class Lived:
    """A random life: its facts, its frames, and what its own state was worth after each of them."""

    def __init__(self, facts: Sequence[BotFact], script: Sequence[Frame | BotCommand]) -> None:
        life = Life(facts)
        self.frames: list[Frame] = []
        self.equity: list[Decimal] = []
        marks: dict[Symbol, Decimal] = {}
        for item in script:
            if not isinstance(item, Frame):
                life.order(item)
                continue
            life.see(item)
            self.frames.append(item)
            marks.update((symbol, seen.close) for symbol, seen in item.candles)
            with exact():
                self.equity.append(life.state.ledger.cash + _worth(life, marks))
        self.facts = life.facts
        self.states = life.states


def _worth(life: Life, marks: Mapping[Symbol, Decimal]) -> Decimal:
    held = life.state.ledger.positions.items()
    return sum((position.quantity * marks[symbol] for symbol, position in held), Decimal(0))


LIVES = st.builds(Lived, markets.bots(), markets.scripts())
TRADING_LIVES = st.builds(Lived, markets.bots(), markets.frames())


@given(life=LIVES)
@settings(max_examples=60)
def test_projecting_event_by_event_and_forgetting_in_between_is_the_same_as_in_one_go(life: Lived) -> None:
    """Between any two events the books go through their bytes, as they do when a projector restarts."""
    books, rows = BotBooks(), Rows()
    for event in recorded(life.facts):
        books, changes = project(msgspec.msgpack.decode(msgspec.msgpack.encode(books), type=BotBooks), event)
        apply(rows, changes)
        assert len({(change.view, change.key) for change in changes}) == len(changes)

    assert rows == rows_after(life.facts)
    assert books.state == life.states[-1]


@given(life=LIVES)
@settings(max_examples=60)
def test_the_rows_say_what_the_state_says_after_every_fact(life: Lived) -> None:
    books, rows = BotBooks(), Rows()
    for event, state in zip(recorded(life.facts), life.states[1:], strict=True):
        books, changes = project(books, event)
        apply(rows, changes)
        ledger = state.ledger
        names = ("cash", "deposits", "withdrawals", "realised", "fees", "reserved", "free")
        booked = (ledger.cash, ledger.deposits, ledger.withdrawals, ledger.realised, ledger.fees)
        with exact():
            amounts = (*booked, state.reserved, ledger.cash - state.reserved)
        assert tuple(map(Decimal, map(str, fields(rows, PortfolioRow, "", *names)))) == amounts
        assert {key: Decimal(str(*fields(rows, PositionRow, key, "quantity"))) for key in _keys(rows, "positions")} == {
            symbol: held.quantity for symbol, held in ledger.positions.items()
        }
        working = [row for row in of(rows, "orders") if _text(row, "status") in ("requested", "partially_filled")]
        assert {OrderId(_text(row, "order_id")) for row in working} == set(state.orders)
        assert fields(rows, BotRow, "", "status") == (state.status,)
        assert (len(of(rows, "orders")), len(of(rows, "decisions"))) == (state.orders_requested, state.decisions_made)
        newest = of(rows, "holdings")[-1]
        assert isinstance(newest, HoldingRow)
        assert Decimal(newest.cash) == ledger.cash


def _keys(rows: Rows, view: ViewName) -> list[str]:
    return [key for name, key in rows if name == view]


def _text(found: Row, name: str) -> str:
    return str(getattr(found, name))


def naive_trades(facts: Sequence[BotFact]) -> list[tuple[Symbol, Decimal, datetime, datetime, Decimal]]:
    """The round trips by hand, exactly: add up a symbol's fills until what was bought is sold."""
    orders = {fact.order_id: fact for fact in facts if isinstance(fact, OrderRequested)}
    open_fills: dict[Symbol, list[OrderFilled]] = {}
    trades = []
    for fill in facts:
        if not isinstance(fill, OrderFilled):
            continue
        symbol = orders[fill.order_id].symbol
        fills = open_fills.setdefault(symbol, [])
        fills.append(fill)
        signs = [1 if orders[each.order_id].side == "buy" else -1 for each in fills]
        if sum(sign * each.quantity for sign, each in zip(signs, fills, strict=True)) == 0:
            bought_in_all = sum(each.quantity for sign, each in zip(signs, fills, strict=True) if sign > 0)
            net = sum(-sign * each.quantity * each.price - each.fee for sign, each in zip(signs, fills, strict=True))
            trades.append((symbol, Decimal(bought_in_all), fills[0].at, fill.at, Decimal(net)))
            del open_fills[symbol]
    return trades


@given(life=LIVES | TRADING_LIVES)
@settings(max_examples=80)
def test_trades_are_the_fills_added_up_and_explain_the_cash_when_flat(life: Lived) -> None:
    rows = rows_after(life.facts)
    trades = [row for row in of(rows, "trades") if isinstance(row, TradeRow)]

    with exact():
        by_hand = naive_trades(life.facts)
    assert [
        (row.symbol, Decimal(row.quantity), row.entry_time, row.exit_time, Decimal(row.net)) for row in trades
    ] == by_hand
    assert [row.number for row in trades] == list(range(1, len(trades) + 1))
    ledger = life.states[-1].ledger
    if ledger.positions:
        return
    with exact():
        assert sum(Decimal(row.net) for row in trades) == ledger.cash - ledger.deposits + ledger.withdrawals
        assert sum(Decimal(row.fees) for row in trades) == ledger.fees


@given(life=TRADING_LIVES)
@settings(max_examples=80)
def test_holdings_marked_at_closes_are_the_equity_of_the_state_at_every_frame(life: Lived) -> None:
    rows = rows_after(life.facts)
    holdings = [row for row in of(rows, "holdings") if isinstance(row, HoldingRow)]
    assert [point.equity for point in equity_curve(holdings, life.frames)] == life.equity
