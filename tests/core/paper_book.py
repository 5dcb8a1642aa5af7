"""A bot's book in the smallest form that the paper venue can trade against: orders, a position, and what happened."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from events.bot import (
    FundingSettled,
    OrderFilled,
    OrderProgress,
    OrderRequested,
    PositionLiquidated,
)
from events.identifiers import OrderId
from events.values import Bracket, FeeSchedule, Instrument, InstrumentKind, PaperModel, Side
from oxbot.core.brackets import bracket_facts
from oxbot.core.candles import Candle
from oxbot.core.money import ZERO, exact, floor_to_step
from oxbot.core.orders import CLOSED, Order, progressed, requested
from oxbot.core.paper_margin import Held
from oxbot.core.paper_prices import Terms
from oxbot.core.paper_venue import CandleMatch, PaperFact
from tests.core.scenario import BTC, FEES, STEP, moment, order_id

BookFact = PaperFact | OrderRequested | OrderProgress


def terms(
    *,
    kind: InstrumentKind = "spot",
    tick: str = "0.01",
    lot: str = "0.001",
    minimum: str = "0",
    fees: FeeSchedule = FEES,
    duration: timedelta = STEP,
    liquidation_fee: str = "0",
    **model: object,
) -> Terms:
    """A market; what is not named here is a field of the paper model, as text or as itself."""
    values = {name: Decimal(value) if isinstance(value, str) else value for name, value in model.items()}
    instrument = Instrument(
        symbol=BTC,
        tick=Decimal(tick),
        lot=Decimal(lot),
        minimum_notional=Decimal(minimum),
        kind=kind,
        leverage_max=Decimal(100),
        liquidation_fee=Decimal(liquidation_fee),
    )
    return Terms(instrument, fees, PaperModel(**values), duration)  # type: ignore[arg-type]  # fields by name


def ask(number: int, kind: str = "market", side: Side = "buy", *, at: int = 0, **fields: object) -> OrderRequested:
    """Order ``number``, requested at the close of candle ``at``; prices, sizes and fractions as text."""
    texts = {
        "quantity",
        "notional",
        "limit_price",
        "trigger_price",
        "trailing_fraction",
        "activation_price",
        "leverage",
    }
    values = {
        name: Decimal(str(value)) if name in texts and value is not None else value for name, value in fields.items()
    }
    values.setdefault("reason", "exit_signal" if values.get("reduce_only") else "entry")
    return OrderRequested(order_id=order_id(number), at=moment(at), symbol=BTC, side=side, kind=kind, **values)  # type: ignore[arg-type]  # fields by name


class Book:
    """Folds what the paper venue answers; the position is the plain sum of the fills."""

    def __init__(self, market: Terms, *requests: OrderRequested, held: Held | None = None) -> None:
        self.market = market
        self.orders: dict[OrderId, Order] = {}
        self.held = held
        self.facts: list[BookFact] = []
        self.requests = 0
        for fact in requests:
            self.apply(fact)

    def see(self, *candles: Candle) -> list[BookFact]:
        """Every fact that the candles cause, the exits of filled entries among them."""
        begun = len(self.facts)
        for candle in candles:
            match = CandleMatch(candle, self.market)
            with exact():
                while (fact := match.next_fact(self.working, self.held)) is not None:
                    entry = self.orders.get(fact.order_id) if isinstance(fact, OrderFilled) else None
                    self.apply(fact)
                    if entry is not None and entry.bracket is not None and isinstance(fact, OrderFilled):
                        self._protect(entry, fact)
        return self.facts[begun:]

    @property
    def working(self) -> list[Order]:
        """The orders that are open, oldest first."""
        return [order for order in self.orders.values() if order.status not in CLOSED]

    def apply(self, fact: BookFact) -> None:
        """Fold one fact."""
        self.facts.append(fact)
        match fact:
            case OrderRequested():
                self.requests += 1
                self.orders[fact.order_id] = requested(fact, taker_fee=self.market.fees.taker)
            case FundingSettled():
                pass
            case PositionLiquidated():
                self.held = None
            case _:
                order = self.orders[fact.order_id] = progressed(self.orders[fact.order_id], fact)
                if isinstance(fact, OrderFilled):
                    self._move(order, fact)

    def _protect(self, entry: Order, fill: OrderFilled) -> None:
        begun, held = self.requests, self.held
        for child in bracket_facts(
            entry,
            fill,
            working=self.working,
            held=held.quantity if held else ZERO,
            instrument=self.market.instrument,
            numbers=lambda number: order_id(begun + number),
        ):
            self.apply(child)

    def _move(self, order: Order, fill: OrderFilled) -> None:
        received = fill.quantity - (fill.fee if fill.fee_in == "base" else ZERO)
        if self.held is None:
            self.held = Held("long" if order.side == "buy" else "short", received)
            return
        change = received if order.side != self.held.exit_side else -fill.quantity
        left = self.held.quantity + change
        closed = change < 0 and floor_to_step(left, self.market.instrument.lot) == 0
        self.held = None if closed else self.held._replace(quantity=left)


def told(facts: Sequence[BookFact]) -> list[str]:
    """The facts in words: fills as "1 +2 @ 100 taker", the others as their type and what they are about."""
    lines = []
    for fact in facts:
        number = getattr(fact, "order_id", "").rpartition("-")[2]
        match fact:
            case OrderFilled():
                rest = "" if fact.complete else " of more"
                lines.append(
                    f"{number} {fact.quantity.normalize():f} @ {fact.price.normalize():f} {fact.liquidity}{rest}"
                )
            case OrderRequested():
                trigger = "" if fact.trigger_price is None else f" @ {fact.trigger_price.normalize():f}"
                size = "" if fact.quantity is None else f" {fact.quantity.normalize():f}"
                lines.append(f"{number} {fact.reason}{size}{trigger}")
            case PositionLiquidated():
                lines.append(f"liquidated {fact.quantity.normalize():f} @ {fact.price.normalize():f}")
            case FundingSettled():
                lines.append(f"funding {fact.amount.normalize():f}")
            case _:
                what = type(fact).__name__.removeprefix("Order").lower()
                changes = [getattr(fact, name, None) for name in ("quantity", "trigger_price")]
                lines.append(
                    " ".join([number, what, *(f"{value.normalize():f}" for value in changes if value is not None)])
                )
    return lines


BRACKETED = Bracket(stop_fraction=Decimal("0.02"), target_fraction=Decimal("0.04"))
