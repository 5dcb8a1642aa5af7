"""Which events people are told of, and in which words."""

from decimal import Decimal
from uuid import UUID

import pytest

from events.account import AccountDisarmed, AccountKillDone, AccountReconciled, AccountUnreconciled, StrangerSeen
from events.alerts import AlertCleared, AlertRaised
from events.bot import (
    BotHalted,
    BotStarted,
    OrderFilled,
    OrderInDoubt,
    OrderRejected,
    OrderRequested,
    PositionLiquidated,
    TradingStateTripped,
)
from events.codec import FACT_TYPES
from events.envelope import Fact, Metadata, RecordedEvent
from events.identifiers import EventId, FillId, OrderId, StreamId, Symbol
from events.venue import MarketGapFound, MarketRecovered, MarketStale
from oxbot.views.notices import NOTABLE, notice_of
from tests.core.scenario import START, moment

BTC = Symbol("BTC/USDT")
ORDER = OrderId("b-1")
BUY = OrderRequested(
    order_id=ORDER, at=START, symbol=BTC, side="buy", kind="market", reason="entry", notional=Decimal(1)
)
STOP = OrderRequested(
    order_id=ORDER, at=START, symbol=BTC, side="sell", kind="stop_limit", reason="stop_loss", quantity=Decimal(1)
)


def event(fact: Fact) -> RecordedEvent:
    """The fact as the log holds it at position 7."""
    return RecordedEvent(7, StreamId("s"), 1, EventId(UUID(int=255)), "", START, START, fact, Metadata())


def fill(*, complete: bool) -> OrderFilled:
    """A fill of half a coin."""
    return OrderFilled(
        order_id=ORDER,
        fill_id=FillId("f"),
        at=START,
        quantity=Decimal("0.50"),
        price=Decimal(42000),
        fee=Decimal(1),
        liquidity="taker",
        complete=complete,
    )


TOLD: list[tuple[Fact, OrderRequested | None, str, str]] = [
    (fill(complete=True), BUY, "info", "who: bought 0.5 BTC/USDT at 42000, entry"),
    (fill(complete=False), STOP, "info", "who: sold 0.5 BTC/USDT at 42000, stop loss, more to come"),
    (
        OrderInDoubt(order_id=ORDER, at=START, reason="no answer"),
        STOP,
        "warning",
        "who: stop limit sell BTC/USDT (stop loss) is in doubt: no answer",
    ),
    (
        OrderRejected(order_id=ORDER, at=START, reason="too small"),
        BUY,
        "warning",
        "who: market buy BTC/USDT (entry) was rejected: too small",
    ),
    (BotHalted(rule="venue", reason="wrong keys"), None, "failure", "who: halted by venue: wrong keys"),
    (
        TradingStateTripped(
            at=START, state="halted", rule="drawdown_max", limit=Decimal("0.10"), value=Decimal("0.11")
        ),
        None,
        "warning",
        "who: halted since drawdown_max 0.11, limit 0.1",
    ),
    (
        PositionLiquidated(
            symbol=BTC,
            at=START,
            side="long",
            quantity=Decimal(2),
            price=Decimal(90),
            fee=Decimal(0),
            covered=Decimal(0),
        ),
        None,
        "failure",
        "who: long 2 BTC/USDT was liquidated at 90",
    ),
    (
        AccountUnreconciled(at=START, epoch=1, reason="a fill is missing"),
        None,
        "failure",
        "who: no entries until venue and log agree: a fill is missing",
    ),
    (
        AccountReconciled(at=START, epoch=1, position=9, orders=2, fills_adopted=3),
        None,
        "info",
        "who: venue and log agree; 3 missing fills were adopted",
    ),
    (AccountDisarmed(), None, "warning", "who: disarmed"),
    (AccountDisarmed(reason="its time is over"), None, "warning", "who: disarmed: its time is over"),
    (
        AccountKillDone(at=START, policy="close", cancelled=3, closed=2),
        None,
        "failure",
        "who: kill switch (close): 3 orders cancelled, 2 positions closed; nothing is left",
    ),
    (
        AccountKillDone(at=START, policy="freeze", cancelled=0, closed=0, left=("1 BTC/USDT", "order x")),
        None,
        "failure",
        "who: kill switch (freeze): 0 orders cancelled, 0 positions closed; still there: 1 BTC/USDT, order x",
    ),
    (
        StrangerSeen(
            at=START, kind="balance", reference="BTC", quantity=Decimal(0), words="a stranger's balance is gone"
        ),
        None,
        "info",
        "who: a stranger's balance is gone",
    ),
    (
        StrangerSeen(at=START, kind="order", reference="123", words="sell 1 BTC/USDT"),
        None,
        "warning",
        "who: a stranger's order at the venue, left alone: 123 sell 1 BTC/USDT",
    ),
    (
        MarketStale(at=START, symbol=BTC, timeframe="5m", expected=moment(1)),
        None,
        "warning",
        "who: BTC/USDT 5m: no candle since 2024-01-01 00:05 UTC",
    ),
    (
        MarketGapFound(at=START, symbol=BTC, timeframe="5m", first=moment(1), last=moment(2)),
        None,
        "warning",
        "who: BTC/USDT 5m: the venue has no candles from 2024-01-01 00:05 to 2024-01-01 00:10 UTC",
    ),
    (
        MarketRecovered(at=START, symbol=BTC, timeframe="5m", backfilled=4),
        None,
        "info",
        "who: BTC/USDT 5m: candles are complete again, 4 came late",
    ),
    (
        AlertRaised(at=START, rule="projection_lag", subject="bots", words="bots is 30000 events behind"),
        None,
        "warning",
        "who: projection lag: bots is 30000 events behind",
    ),
    (
        AlertRaised(at=START, rule="doubt_lasts", subject="bot-1", words="an order"),
        None,
        "failure",
        "who: doubt lasts: an order",
    ),
    (AlertCleared(at=START, rule="projection_lag", subject="bots"), None, "info", "who: projection lag is over: bots"),
]


@pytest.mark.parametrize(("fact", "request_", "level", "line"), TOLD, ids=[type(row[0]).__name__ for row in TOLD])
def test_what_people_are_told(fact: Fact, request_: OrderRequested | None, level: str, line: str) -> None:
    notice = notice_of(event(fact), who="who", request=request_)
    assert notice is not None
    assert (notice.level, notice.line) == (level, line)
    assert (notice.key, notice.position, notice.at) == (f"{255:032x}", 7, START)


def test_every_notable_fact_is_told_and_no_other() -> None:
    assert {FACT_TYPES[tag] for tag in NOTABLE} == {type(row[0]) for row in TOLD}
    assert notice_of(event(BotStarted()), who="who") is None


def test_an_orders_fact_without_its_request_is_not_told() -> None:
    assert notice_of(event(fill(complete=True)), who="who") is None
