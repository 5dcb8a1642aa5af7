"""What one bot appends in one cycle that enters a position."""

from datetime import UTC, datetime
from decimal import Decimal

from events.bot import DecisionMade, OrderFilled, OrderRequested
from events.envelope import Fact
from events.identifiers import DecisionId, FillId, OrderId, StreamId, Symbol, VenueName
from events.values import Measurement, Parameter

FACTS = 3


def facts_of_cycle(stream: StreamId) -> tuple[Fact, ...]:
    """The decision, the order it asks for, and its fill."""
    at = datetime.now(UTC)
    symbol, decision_id, order_id = Symbol("BTC/USDT"), DecisionId(f"{stream}-0001234"), OrderId(f"{stream}-0001234-e")
    decided = DecisionMade(
        decision_id=decision_id,
        at=at,
        venue=VenueName("synthetic-1"),
        symbol=symbol,
        timeframe="5m",
        window=60,
        window_digest="9f" * 32,
        strategy="ema_cross",
        strategy_version=1,
        parameters=(Parameter(name="fast", value="20"), Parameter(name="slow", value="50")),
        measurements=(Measurement(name="fast", value=42010.17), Measurement(name="slow", value=41985.04)),
        intent="enter_long",
        mark=Decimal("42000.10"),
        equity=Decimal("10031.22"),
    )
    requested = OrderRequested(
        order_id=order_id,
        at=at,
        symbol=symbol,
        side="buy",
        kind="market",
        reason="entry",
        quantity=Decimal("0.01190000"),
        decision_id=decision_id,
    )
    filled = OrderFilled(
        order_id=order_id,
        fill_id=FillId(f"{order_id}-1"),
        at=at,
        quantity=Decimal("0.01190000"),
        price=Decimal("42000.10"),
        fee=Decimal("0.49980119"),
        liquidity="taker",
        complete=True,
    )
    return decided, requested, filled
