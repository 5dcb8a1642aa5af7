"""The rows of live bots: their account, what was sent to the venue, and money that counts by candles."""

from decimal import Decimal
from typing import TypeVar

from msgspec.structs import replace

from events.bot import BotDisarmed, OrderAccepted, OrderCancelled
from oxbot.core.bot import ArmBot
from oxbot.views.rows import BotRow, HoldingRow, OrderRow, PortfolioRow, PositionRow, Row, TradeRow, numbered
from tests.core.live import FOUR_HOURS, armed, bought, clock, fill, order_id, report, submitted
from tests.core.lives import BTC, START
from tests.views.projected import Rows, of, rows_after
from tests.views.projected import row as any_row
from tests.views.trading import trader

RowT = TypeVar("RowT", bound=Row)


def row(rows: Rows, kind: type[RowT], key: str = "") -> RowT:
    """The row, as what it is."""
    found = any_row(rows, kind, key)
    assert isinstance(found, kind)
    return found


def test_a_live_bots_row_names_its_account_and_until_when_it_is_armed() -> None:
    life = armed()
    until = START + 2 * FOUR_HOURS
    life.tell(ArmBot(until))
    shown = row(rows_after(life.facts), BotRow)
    assert (shown.account, shown.armed_until) == ("okx-main", until)
    assert row(rows_after([*life.facts, BotDisarmed()]), BotRow).armed_until is None
    on_paper = row(rows_after(trader()), BotRow)
    assert (on_paper.account, on_paper.armed_until) == (None, None)


def test_an_orders_row_says_what_was_sent_and_what_else_was_taken() -> None:
    life = bought()
    report(
        life,
        replace(submitted(2, "10", when=clock(1, 2)), trigger_price=Decimal("98.1")),
        OrderAccepted(order_id=order_id(2), at=clock(1, 3), venue_order_id="v2"),
        replace(fill(2, "t2", "4", "98", when=clock(1, 4)), other_fee=Decimal("0.01"), other_fee_currency="OKB"),
    )
    stop = row(rows_after(life.facts), OrderRow, numbered(2))
    assert (stop.status, stop.client_id, stop.venue_order_id, stop.attempts) == ("partially_filled", "client2", "v2", 1)
    assert (stop.submitted_at, stop.updated_at, stop.requested_at) == (clock(1, 2), clock(1, 4), clock(1))
    assert (stop.trigger_price, stop.other_fees) == ("98.1", (("OKB", "0.01"),))
    entry = row(rows_after(life.facts), OrderRow, numbered(1))
    assert (entry.quantity, entry.notional, entry.status) == ("10", None, "filled")
    target = row(rows_after(life.facts), OrderRow, numbered(3))
    assert (target.client_id, target.submitted_at, target.attempts, target.other_fees) == ("", None, 0, ())


def test_what_is_held_counts_from_the_candle_in_which_the_venue_traded() -> None:
    life = bought()
    report(life, fill(2, "t2", "10", "98", when=clock(3, 60)))
    rows = rows_after(life.facts)
    held = [holding for holding in of(rows, "holdings") if isinstance(holding, HoldingRow)]
    assert [(holding.since, holding.cash) for holding in held] == [
        (START, "10000"),
        (START + FOUR_HOURS, "9000"),
        (START + 3 * FOUR_HOURS, "9980"),
    ]
    assert row(rows, PortfolioRow).as_of == START


def test_a_fill_that_comes_late_changes_no_older_candles_holdings() -> None:
    """It counts from the newest that is known: what was held before is what it was thought to be."""
    life = bought()
    report(life, fill(2, "t2", "4", "98", when=clock(5)), fill(2, "t3", "2", "98", when=clock(3)))
    held = [holding for holding in of(rows_after(life.facts), "holdings") if isinstance(holding, HoldingRow)]
    assert [(holding.since, dict(holding.quantities).get(BTC)) for holding in held] == [
        (START, None),
        (START + FOUR_HOURS, "10"),
        (START + 5 * FOUR_HOURS, "4"),
    ]


def test_positions_and_trades_say_the_venues_own_times() -> None:
    life = bought()
    assert row(rows_after(life.facts), PositionRow, BTC).entry_time == clock(1)
    sold, gone = (
        fill(2, "t2", "10", "98", when=clock(3, 60)),
        OrderCancelled(order_id=order_id(3), at=clock(4), reason=""),
    )
    report(life, sold, gone)
    trade = row(rows_after(life.facts), TradeRow, numbered(1))
    assert (trade.entry_time, trade.exit_time, trade.reason) == (clock(1), clock(3, 60), "stop_loss")
