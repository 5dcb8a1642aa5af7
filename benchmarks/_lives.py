"""Bots' lives as the benchmarks record them: created, then one round trip after the other."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from events.bot import (
    BotCreated,
    BotFact,
    BotStarted,
    CapitalDeposited,
    DecisionMade,
    OrderCancelled,
    OrderFilled,
    OrderRequested,
)
from events.envelope import Metadata, NewEvent
from events.identifiers import BotId, DecisionId, FillId, FleetName, OrderId, Symbol, VenueName, new_event_id
from events.values import (
    FeeSchedule,
    Instrument,
    MarketReference,
    Measurement,
    Parameter,
    RiskLimits,
    StrategyReference,
)

EVENTS_PER_TRIP = 7
CAPITAL = Decimal(10_000)
MARKET_BEGINS = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOL = Symbol("BTC/USDT")


def event_of(fact: BotFact) -> NewEvent:
    """The event by which a bot records the fact."""
    moment = getattr(fact, "at", None) or MARKET_BEGINS
    return NewEvent(event_id=new_event_id(), occurred_at=moment, fact=fact, metadata=Metadata(actor="bot"))


def life(bot_id: BotId, capital: Decimal = CAPITAL) -> Iterator[BotFact]:
    """Creation, then one round trip after the other: decided, bought, bracketed, stopped out, at a loss each time."""
    yield _created(bot_id)
    yield CapitalDeposited(amount=capital)
    yield BotStarted()
    number, at = 0, MARKET_BEGINS
    while True:
        at += timedelta(minutes=25)
        yield from _round_trip(bot_id, number, at)
        number += 1


def _round_trip(bot_id: BotId, number: int, at: datetime) -> Iterator[BotFact]:
    entry, stop, target = (OrderId(f"{bot_id}-{3 * number + place}") for place in (1, 2, 3))
    decision, price = DecisionId(f"{bot_id}-d{number + 1}"), Decimal("42000.10") + number % 10
    yield _decision(decision, at, price)
    yield OrderRequested(
        order_id=entry,
        at=at,
        symbol=SYMBOL,
        side="buy",
        kind="market",
        reason="entry",
        notional=Decimal(500),
        decision_id=decision,
    )
    later = at + timedelta(minutes=5)
    quantity = Decimal("0.01190")
    yield _fill_of(entry, later, quantity, price)
    for order, kind, reason, trigger in (
        (stop, "stop", "stop_loss", price * Decimal("0.98")),
        (target, "take_profit", "take_profit", price * Decimal("1.04")),
    ):
        yield OrderRequested(
            order_id=order,
            at=later,
            symbol=SYMBOL,
            side="sell",
            kind=kind,  # type: ignore[arg-type]  # mypy widens what a loop takes out of a tuple
            reason=reason,  # type: ignore[arg-type]  # as above
            quantity=quantity,
            trigger_price=trigger,
            reduce_only=True,
            parent_id=entry,
        )
    end = at + timedelta(minutes=15)
    yield _fill_of(stop, end, quantity, price * Decimal("0.98"))
    yield OrderCancelled(order_id=target, at=end, reason="the position is closed")


def _fill_of(order: OrderId, at: datetime, quantity: Decimal, price: Decimal) -> OrderFilled:
    return OrderFilled(
        order_id=order,
        fill_id=FillId(f"{order}-1"),
        at=at,
        quantity=quantity,
        price=price,
        fee=quantity * price * Decimal("0.001"),
        liquidity="taker",
        complete=True,
    )


def _decision(decision: DecisionId, at: datetime, price: Decimal) -> DecisionMade:
    return DecisionMade(
        decision_id=decision,
        at=at,
        venue=VenueName("synthetic"),
        symbol=SYMBOL,
        timeframe="5m",
        window=251,
        window_digest="c0ffee" * 10,
        strategy="ema_cross",
        strategy_version=1,
        parameters=(Parameter(name="fast", value="20"), Parameter(name="slow", value="50")),
        measurements=(Measurement(name="fast", value=41990.5), Measurement(name="slow", value=41980.25)),
        intent="enter_long",
        mark=price,
        equity=Decimal("10000.25"),
    )


def _created(bot_id: BotId) -> BotCreated:
    instrument = Instrument(symbol=SYMBOL, tick=Decimal("0.01"), lot=Decimal("0.00001"))
    return BotCreated(
        bot_id=bot_id,
        fleet=FleetName("main"),
        name=str(bot_id),
        strategy=StrategyReference(name="ema_cross", version=1, parameters=()),
        market=MarketReference(
            venue=VenueName("synthetic"), timeframe="5m", begins_at=MARKET_BEGINS, instruments=(instrument,)
        ),
        limits=RiskLimits(),
        fees=FeeSchedule(maker=Decimal("0.001"), taker=Decimal("0.001")),
        quote="USDT",
    )
