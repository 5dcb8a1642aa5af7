"""The rows of perpetuals, shorts, liquidations, dust, trading states and orders that go an unusual way."""

from decimal import Decimal

import msgspec
import pytest

from events.bot import (
    BotFact,
    CapitalDeposited,
    DayOpened,
    DecisionMade,
    FundingSettled,
    HighWaterRaised,
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderCancelRejected,
    OrderCancelRequested,
    OrderDenied,
    OrderExpired,
    OrderInDoubt,
    OrderTriggered,
    PositionLiquidated,
    TradingStateSet,
    TradingStateTripped,
)
from oxbot.views.rows import (
    BotRow,
    DecisionRow,
    HoldingRow,
    OrderRow,
    PortfolioRow,
    PositionRow,
    TradeRow,
    numbered,
)
from tests.core.scenario import BOT, BTC, ETH, moment, order_id
from tests.views.projected import fields, of, row, rows_after
from tests.views.test_bot_views import ENTERED
from tests.views.trading import asked, fill, traded, trader

SHORT = [*trader(), *traded(1, "sell", "2", "1000", at=1, fee="2")]
"""2 BTC owed, sold at 1,000 on a margin of 400."""


def newest_holding(facts: list[BotFact]) -> HoldingRow:
    """What is held after the facts."""
    found = of(rows_after(facts), "holdings")[-1]
    assert isinstance(found, HoldingRow)
    return found


def test_a_short_perpetual_is_a_position_with_its_margin_and_its_liquidation_price() -> None:
    rows = rows_after(SHORT)

    assert row(rows, PositionRow, BTC) == PositionRow(
        bot_id=BOT,
        symbol=BTC,
        side="short",
        quantity="2",
        entry_time=moment(1),
        entry_price="1000",
        entry_cost="2000",
        fees="2",
        stop_price=None,
        target_price=None,
        kind="perpetual",
        leverage="5",
        margin="400",
        liquidation_price="1188.11",
    )
    names = ("cash", "locked", "free", "realised", "fees")
    assert fields(rows, PortfolioRow, "", *names) == ("9998", "400", "9598", "0", "2")


def test_a_short_is_held_as_less_than_nothing_and_what_it_brought_is_not_owed_twice() -> None:
    """9998 + 2000 - 2 * close."""
    assert newest_holding(SHORT) == HoldingRow(
        bot_id=BOT, since=moment(1), cash="9998", quantities=((BTC, "-2"),), owed="-2000", capital="10000"
    )


def test_funding_changes_cash_margin_and_position_from_its_candle_on() -> None:
    paid = FundingSettled(
        symbol=BTC, at=moment(2), rate=Decimal("0.001"), mark=Decimal(900), quantity=Decimal(-2), amount=Decimal("1.8")
    )
    rows = rows_after([*SHORT, paid])

    assert fields(rows, PositionRow, BTC, "funding", "margin") == ("1.8", "401.8")
    assert fields(rows, PortfolioRow, "", "cash", "funding", "as_of") == ("9999.8", "1.8", moment(2))
    assert fields(rows, HoldingRow, "2024-01-01T00:10:00Z", "cash") == ("9999.8",)


def test_a_short_that_was_bought_back_in_parts_is_a_trade_in_the_ledgers_numbers() -> None:
    paid = FundingSettled(
        symbol=BTC, at=moment(2), rate=Decimal("0.001"), mark=Decimal(900), quantity=Decimal(-2), amount=Decimal("1.8")
    )
    facts = [
        *SHORT,
        paid,
        *traded(2, "buy", "0.5", "900", at=3, fee="0.45", reduces=True),
        *traded(3, "buy", "1.5", "980", at=4, fee="1.47", reduces=True),
    ]
    halfway = rows_after(facts[:-2])
    rows = rows_after(facts)

    names = ("quantity", "entry_cost", "exit_proceeds", "margin", "fees")
    assert fields(halfway, PositionRow, BTC, *names) == ("1.5", "2000", "450", "301.35", "2.45")
    assert newest_holding(facts[:-2]).owed == "-1500"
    assert of(rows, "trades") == [
        TradeRow(
            bot_id=BOT,
            number=1,
            symbol=BTC,
            side="short",
            quantity="2",
            entry_time=moment(1),
            entry_price="1000",
            exit_time=moment(4),
            exit_price="960",
            fees="3.92",
            net="77.88",
            reason="exit_signal",
            funding="1.8",
            entry_cost="2000",
        )
    ]
    assert fields(rows, PortfolioRow, "", "cash", "locked", "realised") == ("10077.88", "0", "77.88")
    assert of(rows, "positions") == []
    assert newest_holding(facts) == HoldingRow(
        bot_id=BOT, since=moment(4), cash="10077.88", quantities=(), capital="10000"
    )


def test_a_liquidation_ends_the_position_as_a_trade_that_cost_its_margin() -> None:
    gone = PositionLiquidated(
        symbol=BTC,
        at=moment(2),
        side="short",
        quantity=Decimal(2),
        price=Decimal(1300),
        fee=Decimal(13),
        covered=Decimal(213),
    )
    rows = rows_after([*SHORT, gone])

    names = ("side", "reason", "exit_price", "fees", "covered", "net")
    assert fields(rows, TradeRow, numbered(1), *names) == ("short", "liquidation", "1300", "15", "213", "-402")
    assert of(rows, "positions") == []
    assert fields(rows, PortfolioRow, "", "cash", "locked", "as_of") == ("9598", "0", moment(2))
    assert newest_holding([*SHORT, gone]).owed == "0"


BOUGHT = [*trader(), *traded(1, "buy", "1", "500", at=1, fee="0.001", fee_in="base", symbol=ETH)]
"""0.999 ETH held: the venue kept a thousandth."""


def test_a_fee_in_base_lowers_what_is_held_and_is_shown_at_its_value() -> None:
    rows = rows_after(BOUGHT)

    names = ("kind", "side", "quantity", "entry_cost", "fees", "base_fees", "liquidation_price")
    assert fields(rows, PositionRow, ETH, *names) == ("spot", "long", "0.999", "500", "0.5", "0.5", None)
    assert newest_holding(BOUGHT) == HoldingRow(
        bot_id=BOT, since=moment(1), cash="9500", quantities=((ETH, "0.999"),), owed="0", capital="10000"
    )


def test_what_is_too_little_to_sell_is_held_on_after_its_trade() -> None:
    facts = [*BOUGHT, *traded(2, "sell", "0.99", "600", at=2, symbol=ETH, reduces=True)]
    rows = rows_after(facts)

    assert fields(rows, TradeRow, numbered(1), "quantity", "entry_cost", "net") == ("1", "500", "94")
    assert of(rows, "positions") == []
    assert newest_holding(facts).quantities == ((ETH, "0.009"),)
    again = [*facts, *traded(3, "buy", "1", "500", at=3, symbol=ETH)]
    assert newest_holding(again).quantities == ((ETH, "1.009"),)


def test_a_trailing_stop_shows_where_it_stands_and_how_it_follows() -> None:
    stop = asked(2, "buy", "2", at=1, reduces=True, kind="trailing_stop", trigger="1050", trailing="0.05")
    moved = OrderAmended(order_id=order_id(2), at=moment(2), reason="it follows", trigger_price=Decimal(1000))
    rows = rows_after([*SHORT, stop, moved])

    assert fields(rows, PositionRow, BTC, "stop_price", "trailing_fraction") == ("1000", "0.05")
    names = ("trigger_price", "trailing_fraction", "leverage", "note", "updated_at")
    assert fields(rows, OrderRow, numbered(2), *names) == ("1000", "0.05", "5", "it follows", moment(2))
    assert len(of(rows, "holdings")) == len(of(rows_after(SHORT), "holdings"))


def test_of_several_targets_the_position_shows_the_last() -> None:
    first = asked(2, "buy", "1", at=1, reduces=True, kind="take_profit", trigger="900")
    last = asked(3, "buy", "1", at=1, reduces=True, kind="take_profit", trigger="800")
    assert fields(rows_after([*SHORT, first, last]), PositionRow, BTC, "target_price") == ("800",)


@pytest.mark.parametrize(
    ("facts", "status", "note"),
    [
        ([OrderInDoubt(order_id=order_id(1), at=moment(4), reason="no answer")], "in_doubt", "no answer"),
        ([OrderCancelRequested(order_id=order_id(1), at=moment(4), reason="late")], "pending_cancel", "late"),
        (
            [
                OrderAccepted(order_id=order_id(1), at=moment(3)),
                OrderCancelRequested(order_id=order_id(1), at=moment(4), reason="late"),
                OrderCancelRejected(order_id=order_id(1), at=moment(4), reason="too late"),
            ],
            "accepted",
            "too late",
        ),
    ],
)
def test_an_order_in_doubt_or_to_be_cancelled_says_so(facts: list[BotFact], status: str, note: str) -> None:
    rows = rows_after([*ENTERED, *facts])
    assert fields(rows, OrderRow, numbered(1), "status", "note", "updated_at") == (status, note, moment(4))
    assert fields(rows, PortfolioRow, "", "reserved") == ("500.5",)


def test_a_triggered_order_shows_it_with_its_limit_and_terms() -> None:
    resting = msgspec.structs.replace(
        asked(2, "buy", "2", at=1, reduces=True, kind="stop_limit", trigger="1050"),
        limit_price=Decimal(1055),
        time_in_force="gtc",
        expires_at=moment(9),
    )
    rows = rows_after([*SHORT, resting, OrderTriggered(order_id=order_id(2), at=moment(2))])

    names = ("status", "limit_price", "time_in_force", "post_only", "expires_at")
    assert fields(rows, OrderRow, numbered(2), *names) == ("triggered", "1055", "gtc", False, moment(9))


@pytest.mark.parametrize(
    "end",
    [
        OrderCancelled(order_id=order_id(2), at=moment(2), reason="gone"),
        OrderExpired(order_id=order_id(2), at=moment(2), reason="its time ran out"),
    ],
)
def test_a_fill_that_comes_after_its_orders_end_counts_and_the_order_stays_ended(end: BotFact) -> None:
    asked_for = asked(2, "buy", "2", at=1, reduces=True)
    late = fill(2, "0.5", "900", at=3, fee="1", complete=False)
    rows = rows_after([*SHORT, asked_for, end, late])

    names = ("filled_quantity", "fees", "note")
    assert fields(rows, OrderRow, numbered(2), *names) == ("0.5", "1", "it traded after its end")
    assert fields(rows, OrderRow, numbered(2), "status") in (("cancelled",), ("expired",))
    assert fields(rows, PositionRow, BTC, "quantity") == ("1.5",)
    assert fields(rows, PortfolioRow, "", "cash", "as_of") == ("10047", moment(3))


def test_a_late_fill_may_close_the_position() -> None:
    end = OrderCancelled(order_id=order_id(2), at=moment(2), reason="gone")
    rows = rows_after([*SHORT, asked(2, "buy", "2", at=1, reduces=True), end, fill(2, "2", "900", at=3)])
    assert fields(rows, TradeRow, numbered(1), "net", "exit_time") == ("198", moment(3))
    assert of(rows, "positions") == []


def test_what_a_person_or_a_limit_lets_through_is_seen_of_bot_and_portfolio() -> None:
    halted = TradingStateSet(state="halted", reason="news", scope="fleet", effective_at=moment(5))
    tripped = TradingStateTripped(
        at=moment(2), state="reducing", rule="drawdown_max", limit=Decimal(1), value=Decimal(2)
    )
    for fact, state in ((halted, "halted"), (tripped, "reducing")):
        rows = rows_after([*SHORT, fact])
        assert fields(rows, BotRow, "", "trading", "status") == (state, "running")
        assert fields(rows, PortfolioRow, "", "trading") == (state,)


def test_the_highest_equity_follows_capital_and_goes_when_its_loss_is_accepted() -> None:
    raised = HighWaterRaised(at=moment(2), equity=Decimal("10100.5"))
    more = CapitalDeposited(amount=Decimal(100))
    accepted = TradingStateSet(state="active")
    tripped = TradingStateTripped(
        at=moment(3), state="reducing", rule="drawdown_max", limit=Decimal(1), value=Decimal(2)
    )

    assert fields(rows_after([*SHORT, raised]), PortfolioRow, "", "high_water", "as_of") == ("10100.5", moment(2))
    # In proportion to the books: 10,000 less the fee of the short's entry, and 100 more.
    assert fields(rows_after([*SHORT, raised, more]), PortfolioRow, "", "high_water") == ("10201.52520504100820164",)
    assert fields(rows_after([*SHORT, raised, tripped, accepted]), PortfolioRow, "", "high_water") == (None,)


def test_the_opening_of_a_day_moves_nothing_but_how_far_the_bot_has_come() -> None:
    before, after = rows_after(SHORT), rows_after([*SHORT, DayOpened(at=moment(9), equity=Decimal(10000))])
    changed = {key for key in after if after[key] != before.get(key)}
    assert changed == {("portfolios", "")}
    assert fields(after, PortfolioRow, "", "as_of") == (moment(9),)


def test_a_decision_in_full_shows_what_it_was_judged_by_and_a_denial_its_words() -> None:
    place = next(number for number, fact in enumerate(ENTERED) if isinstance(fact, DecisionMade))
    plain = ENTERED[place]
    assert isinstance(plain, DecisionMade)
    full = msgspec.structs.replace(
        plain,
        size_fraction=Decimal("0.050"),
        entry_price=Decimal("101.5"),
        stop_loss=Decimal(99),
        take_profit=Decimal(110),
        confidence=Decimal("0.7"),
        setup="pullback",
        reason="above the cloud",
    )
    denied = OrderDenied(
        decision_id=full.decision_id,
        at=moment(3),
        symbol=BTC,
        rule="bracket_geometry",
        limit=Decimal(1),
        value=Decimal(2),
        reason="the stop is above the price",
    )
    rows = rows_after([*ENTERED[:place], full, denied])

    names = ("setup", "reason", "confidence", "size_fraction", "entry_price", "stop_loss", "take_profit", "denial")
    assert fields(rows, DecisionRow, numbered(1), *names) == (
        "pullback",
        "above the cloud",
        "0.7",
        "0.05",
        "101.5",
        "99",
        "110",
        "the stop is above the price",
    )
