"""The facts that writers append under fire: single ones, and what a bot's cycle records together."""

from datetime import UTC, datetime
from decimal import Decimal
from random import Random

from events.bot import BotPaused, CapitalDeposited, DecisionMade, OrderAccepted, OrderRequested
from events.envelope import Fact, NewEvent
from events.identifiers import DecisionId, OrderId, Symbol, VenueName, new_event_id
from events.values import Bracket, Measurement, Parameter

SYMBOLS = (Symbol("BTC/USDT"), Symbol("ETH/USDT"), Symbol("SOL/USDT"))
PARAMETERS = (Parameter(name="fast", value="20"), Parameter(name="slow", value="50"))
BRACKET = Bracket(stop_fraction=Decimal("0.02"), target_fraction=Decimal("0.04"))


def single(random: Random) -> list[NewEvent]:
    """One new event."""
    if random.random() < 0.5:
        return [new_event(BotPaused(reason=f"pause {random.randrange(10**6)}"))]
    return [new_event(CapitalDeposited(amount=Decimal(random.randrange(10**6)) / 100))]


def cycle(random: Random) -> list[NewEvent]:
    """A decision, the order it asks for and the venue's answer: three new events that belong together."""
    number = random.randrange(10**9)
    at = datetime.now(UTC)
    symbol = random.choice(SYMBOLS)
    mark = Decimal(random.randrange(10**7)) / 100
    decision_id, order_id = DecisionId(f"d-{number}"), OrderId(f"o-{number}")
    decision = DecisionMade(
        decision_id=decision_id,
        at=at,
        venue=VenueName("paper"),
        symbol=symbol,
        timeframe="5m",
        window=250,
        window_digest=f"{number:064x}",
        strategy="ema_cross",
        strategy_version=1,
        parameters=PARAMETERS,
        measurements=(Measurement(name="ema_fast", value=random.random()),),
        intent="enter_long",
        mark=mark,
        equity=Decimal(10_000),
    )
    request = OrderRequested(
        order_id=order_id,
        at=at,
        symbol=symbol,
        side="buy",
        kind="market",
        reason="entry",
        notional=mark,
        bracket=BRACKET,
        decision_id=decision_id,
    )
    return [new_event(fact) for fact in (decision, request, OrderAccepted(order_id=order_id, at=at))]


def new_event(fact: Fact) -> NewEvent:
    """A new event with an id of its own."""
    return NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=fact)
