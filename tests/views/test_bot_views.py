"""The rows that a bot's facts lead to, one by one."""

from decimal import Decimal

import msgspec
import pytest

from events.bot import (
    BotClaimed,
    BotFact,
    BotHalted,
    BotPaused,
    BotStarted,
    BotStopped,
    CapitalDeposited,
    CapitalWithdrawn,
    DecisionMade,
    OrderAccepted,
    OrderCancelled,
    OrderDenied,
    OrderExpired,
    OrderRejected,
)
from events.identifiers import HOUSE, OwnerId
from events.values import PaperModel, RiskLimits, Sizing
from oxbot.core.candles import Frame, window_digest
from oxbot.views.bot_views import BotBooks, project
from oxbot.views.rows import (
    BOT_VIEWS,
    BotRow,
    DecisionRow,
    HoldingRow,
    OrderRow,
    PortfolioRow,
    PositionRow,
    TradeRow,
    numbered,
)
from oxbot.views.setup import FeesInForce, InstrumentInForce, LimitsInForce, PaperInForce, SizingInForce, in_force
from tests.core.scenario import (
    BOT,
    BTC,
    SMALL,
    START,
    STEP,
    Life,
    bought,
    candle,
    created,
    deposited,
    filled,
    flat_candles,
    instrument,
    moment,
    order_id,
    protective,
    running,
)
from tests.views.advising import asked_once
from tests.views.projected import fields, of, recorded, row, rows_after

RISING = flat_candles(["102", "101", "100", "101.5"])
HELD = candle(4, "100 102 99 101.8")
ENTERED = Life(running()).see_candles(RISING).facts
HOLDING = Life(running()).see_candles([*RISING, HELD]).facts
"""5 BTC bought at 100 at the open of candle 4, with a stop at 98 and a target at 104."""


def test_a_new_bot_has_its_setup_its_money_and_nothing_else() -> None:
    rows = rows_after([created(), deposited("250.50")])

    bot = created()
    assert row(rows, BotRow) == BotRow(
        bot_id=BOT,
        fleet="fleet-1",
        name="Bot 1",
        status="created",
        strategy="ema_cross",
        strategy_version=1,
        parameters=bot.strategy.parameters,
        venue="test",
        timeframe="5m",
        symbols=(BTC,),
        begins_at=START,
        quote="USDT",
        created_at=START - 12 * STEP,
        limits=in_force(bot.limits, LimitsInForce),
        sizing=in_force(Sizing(), SizingInForce),
        paper=in_force(PaperModel(), PaperInForce),
        fees=in_force(bot.fees, FeesInForce),
        instruments={BTC: in_force(bot.market.instruments[0], InstrumentInForce)},
    )
    assert row(rows, PortfolioRow) == PortfolioRow(
        bot_id=BOT,
        quote="USDT",
        cash="250.5",
        reserved="0",
        free="250.5",
        deposits="250.5",
        withdrawals="0",
        realised="0",
        fees="0",
        as_of=None,
    )
    assert of(rows, "holdings") == [HoldingRow(bot_id=BOT, since=START, cash="250.5", quantities=(), capital="250.5")]
    assert {view for view, _ in rows} == {"bots", "portfolios", "holdings", "arena", "owned"}


def test_a_bot_is_found_under_its_owner_and_says_whose_it_is() -> None:
    for owner in (HOUSE, OwnerId("anna")):
        rows = rows_after([msgspec.structs.replace(created(), owner=owner), deposited()])
        [owned] = of(rows, "owned")
        assert (owned.owner, owned.key) == (owner, BOT)
        shown = msgspec.json.decode(msgspec.json.encode(row(rows, BotRow)))
        assert (shown["owner"], shown["bot_id"]) == (owner, BOT)


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ([BotStarted()], "running"),
        ([BotStarted(), BotPaused(reason="x")], "paused"),
        ([BotStarted(), BotPaused(), BotStarted()], "running"),
        ([BotStarted(), BotStopped()], "stopped"),
        ([BotStarted(), BotHalted(rule="x", reason="y")], "halted"),
    ],
)
def test_a_bots_status_is_that_of_its_last_lifecycle_fact(facts: list[BotFact], status: str) -> None:
    rows = rows_after([created(), deposited(), *facts])
    assert fields(rows, BotRow, "", "status", "created_at") == (status, START - 12 * STEP)


def test_a_claim_changes_no_row() -> None:
    books = BotBooks()
    for event in recorded(running()):
        books, _ = project(books, event)
    after, changes = project(books, recorded([BotClaimed(epoch=1, holder="x")])[0])
    assert changes == []
    assert after.state.epoch == 1


def test_an_entry_is_a_decision_that_was_allowed_and_an_order_that_reserves_cash() -> None:
    rows = rows_after(ENTERED)

    decision = next(fact for fact in ENTERED if isinstance(fact, DecisionMade))
    assert of(rows, "decisions") == [
        DecisionRow(
            bot_id=BOT,
            decision_id=decision.decision_id,
            number=1,
            at=moment(3),
            symbol=BTC,
            intent="enter_long",
            strategy="ema_cross",
            strategy_version=1,
            parameters=created().strategy.parameters,
            measurements=decision.measurements,
            mark="101.5",
            equity="10000",
            window=4,
            window_digest=window_digest(RISING),
            verdict="allowed",
            order_id=order_id(1),
        )
    ]
    assert of(rows, "orders") == [
        OrderRow(
            bot_id=BOT,
            order_id=order_id(1),
            number=1,
            symbol=BTC,
            side="buy",
            kind="market",
            reason="entry",
            status="requested",
            quantity=None,
            notional="500",
            trigger_price=None,
            reduce_only=False,
            filled_quantity="0",
            average_price=None,
            fees="0",
            requested_at=moment(3),
            updated_at=moment(3),
            decision_id=decision.decision_id,
            parent_id=None,
        )
    ]
    assert fields(rows, PortfolioRow, "", "cash", "reserved", "free", "as_of") == (
        "10000",
        "500.5",
        "9499.5",
        moment(3),
    )
    assert of(rows, "positions") == of(rows, "trades") == []


def test_a_filled_entry_is_a_position_between_its_stop_and_its_target() -> None:
    rows = rows_after(HOLDING)

    assert of(rows, "positions") == [
        PositionRow(
            bot_id=BOT,
            symbol=BTC,
            side="long",
            quantity="5",
            entry_time=moment(4),
            entry_price="100",
            entry_cost="500",
            fees="0.5",
            stop_price="98",
            target_price="104",
        )
    ]
    entry = ("filled", "5", "100", "0.5", moment(3), moment(4))
    names = ("status", "filled_quantity", "average_price", "fees", "requested_at", "updated_at")
    assert fields(rows, OrderRow, numbered(1), *names) == entry
    assert [
        fields(rows, OrderRow, numbered(number), "kind", "status", "quantity", "trigger_price", "parent_id")
        for number in (2, 3)
    ] == [
        ("stop", "requested", "5", "98", order_id(1)),
        ("take_profit", "requested", "5", "104", order_id(1)),
    ]
    assert of(rows, "holdings")[-1] == HoldingRow(
        bot_id=BOT, since=moment(4), cash="9499.5", quantities=((BTC, "5"),), capital="10000"
    )
    assert fields(rows, PortfolioRow, "", "cash", "reserved", "fees", "realised") == ("9499.5", "0", "0.5", "0")


@pytest.mark.parametrize(
    ("closing", "reason", "price", "fees", "net", "order", "exit_at"),
    [
        (["101.8 101.8 97 97.5"], "stop_loss", "98", "0.99", "-10.99", 2, 5),
        (["102 105 101.8 104.5"], "take_profit", "104", "1.02", "18.98", 3, 5),
        (["101.8 101.8 98.5 98.5", "99 99.5 98.9 99.1"], "exit_signal", "99", "0.995", "-5.995", 4, 6),
    ],
)
def test_a_closed_position_is_a_trade(  # noqa: PLR0917 - all by name
    closing: list[str], reason: str, price: str, fees: str, net: str, order: int, exit_at: int
) -> None:
    life = Life(running()).see_candles([*RISING, HELD])
    life.see_candles(candle(5 + number, prices) for number, prices in enumerate(closing))
    rows = rows_after(life.facts)

    assert of(rows, "trades") == [
        TradeRow(
            bot_id=BOT,
            number=1,
            symbol=BTC,
            side="long",
            quantity="5",
            entry_time=moment(4),
            entry_price="100",
            exit_time=moment(exit_at),
            exit_price=price,
            fees=fees,
            net=net,
            reason=reason,  # type: ignore[arg-type]  # one of the reasons
            entry_cost="500",
        )
    ]
    assert of(rows, "positions") == []
    statuses = {number: fields(rows, OrderRow, numbered(number), "status", "note") for number in (2, 3)}
    cancelled = ("cancelled", "the position is closed")
    assert statuses == {number: ("filled", "") if number == order else cancelled for number in (2, 3)}
    cash = Decimal(10000) + Decimal(net)
    assert of(rows, "holdings")[-1] == HoldingRow(
        bot_id=BOT, since=moment(exit_at), cash=str(cash), quantities=(), capital="10000"
    )
    assert fields(rows, PortfolioRow, "", "cash", "realised", "fees") == (str(cash), net, fees)


def test_a_stopped_bots_position_is_closed_for_that_reason() -> None:
    life = Life([*HOLDING, BotStopped()])
    for each in (*RISING, HELD):
        life.look_back(Frame(each.open_time, ((BTC, each),)))
    life.see_candles(flat_candles(["101.8", "101"], first=5))
    rows = rows_after(life.facts)

    assert fields(rows, TradeRow, numbered(1), "reason", "exit_price", "exit_time") == ("bot_stopped", "101", moment(6))
    assert fields(rows, BotRow, "", "status") == ("stopped",)


def test_a_denied_entry_is_a_decision_with_the_rule_the_limit_and_the_value() -> None:
    limits = RiskLimits(position_fraction_max=Decimal("0.01"))
    life = Life([created(limits=limits), deposited(), BotStarted()]).see_candles(RISING)
    rows = rows_after(life.facts)

    names = ("verdict", "rule", "limit", "value", "order_id")
    assert fields(rows, DecisionRow, numbered(1), *names) == ("denied", "position_fraction_max", "100", "500", None)
    assert of(rows, "orders") == []


def test_a_verdict_on_another_decision_than_the_last_changes_no_decision() -> None:
    denial = OrderDenied(
        decision_id="bot-1-d9",  # type: ignore[arg-type]  # an id
        at=moment(3),
        symbol=BTC,
        rule="x",
        limit=Decimal(1),
        value=Decimal(2),
    )
    assert of(rows_after([*ENTERED, denial]), "decisions") == of(rows_after(ENTERED), "decisions")


def test_capital_that_comes_and_goes_counts_from_the_newest_candle_with_a_fact() -> None:
    moved: list[BotFact] = [CapitalDeposited(amount=Decimal("100.10")), CapitalWithdrawn(amount=Decimal(50))]
    rows = rows_after([*HOLDING, *moved])

    names = ("cash", "deposits", "withdrawals", "free")
    assert fields(rows, PortfolioRow, "", *names) == ("9549.6", "10100.1", "50", "9549.6")
    assert of(rows, "holdings")[-1] == HoldingRow(
        bot_id=BOT, since=moment(4), cash="9549.6", quantities=((BTC, "5"),), capital="10050.1"
    )
    early = rows_after([created(), deposited(), *moved])
    assert of(early, "holdings") == [
        HoldingRow(bot_id=BOT, since=START, cash="10050.1", quantities=(), capital="10050.1")
    ]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([OrderAccepted(order_id=order_id(1), at=moment(4))], ("accepted", "0", None, "")),
        ([OrderRejected(order_id=order_id(1), at=moment(4), reason="no")], ("rejected", "0", None, "no")),
        ([OrderExpired(order_id=order_id(1), at=moment(4), reason="late")], ("expired", "0", None, "late")),
        ([OrderCancelled(order_id=order_id(1), at=moment(4), reason="gone")], ("cancelled", "0", None, "gone")),
        ([filled(1, at=4, quantity="2", price="99", fee="0.2", complete=False)], ("partially_filled", "2", "99", "")),
        (
            [
                filled(1, at=4, quantity="2", price="99", fee="0.2", complete=False),
                filled(1, at=4, quantity="1", price="102", fee="0.1"),
            ],
            ("filled", "3", "100", ""),
        ),
    ],
)
def test_an_order_shows_how_far_it_is(facts: list[BotFact], expected: tuple[object, ...]) -> None:
    rows = rows_after([*ENTERED, *facts])
    names = ("status", "filled_quantity", "average_price", "note")
    assert fields(rows, OrderRow, numbered(1), *names) == expected
    assert fields(rows, OrderRow, numbered(1), "updated_at") == (moment(4),)
    closed = expected[0] not in ("accepted", "partially_filled")
    assert (fields(rows, PortfolioRow, "", "reserved") == ("0",)) == closed


def test_a_position_sold_in_parts_is_one_trade_at_its_average_prices() -> None:
    facts = [
        *running(),
        *bought(BTC, 1, quantity="4", price="100", fee="1"),
        protective(2, "take_profit", "take_profit", at=1, quantity="4", trigger="110", parent=1),
        filled(2, at=2, quantity="1", price="110", fee="2", complete=False),
        filled(2, at=3, quantity="3", price="114", fee="3"),
    ]

    halfway = rows_after(facts[:-1])
    held = ("quantity", "entry_cost", "fees", "target_price")
    assert fields(halfway, PositionRow, BTC, *held) == ("3", "400", "3", "110")
    assert of(halfway, "trades") == []
    names = ("quantity", "entry_price", "exit_price", "exit_time", "fees", "net")
    assert fields(rows_after(facts), TradeRow, numbered(1), *names) == ("4", "100", "113", moment(3), "6", "46")


def test_keys_sort_as_rows_should_be_read() -> None:
    keys = [numbered(number) for number in (1, 2, 10, 99, 100, 12345)]
    assert keys == sorted(keys)
    times = [HoldingRow(bot_id=BOT, since=moment(number), cash="0", quantities=()).key for number in range(0, 900, 37)]
    assert times == sorted(times)
    assert len(set(times)) == len(times)


def test_a_life_with_everything_has_rows_in_every_view() -> None:
    """The rows' JSON can be read back as the rows."""
    life = Life(running(instrument(BTC), parameters=SMALL)).see_candles([*RISING, HELD])
    life.see_candles([candle(5, "101.8 101.8 97 97.5"), *flat_candles(["97", "96", "95", "99", "99.5"], first=6)])
    rows = rows_after([*life.facts, *asked_once(BOT)])
    assert {view for view, _ in rows} == set(BOT_VIEWS)
    for found in rows.values():
        assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found
