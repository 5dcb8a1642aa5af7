"""Live bots for tests: their creation, what a venue says of them, and a venue that trades as the paper one does."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from events.bot import (
    BotFact,
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderCancelRequested,
    OrderFilled,
    OrderRequested,
    OrderSubmitted,
)
from events.identifiers import AccountName, FillId, OrderId, Symbol
from events.values import Bracket, FeeCurrency
from oxbot.core.bot import ArmBot, RecordProgress
from oxbot.core.candles import Candle, Frame
from oxbot.core.creation import CreateBot
from oxbot.core.money import quantity_for_notional
from oxbot.core.orders import Order
from oxbot.core.paper_margin import Held
from oxbot.core.paper_prices import Terms
from oxbot.core.paper_venue import CandleMatch, PaperFact
from oxbot.core.reports import VenueReport
from oxbot.core.strategy import Strategies
from tests.core.lives import BOT, BRACKET, BTC, START, Life, Plan, Scripted, Wish, at, candle, creation

FOUR_HOURS = timedelta(hours=4)
LATE = timedelta(milliseconds=300)
"""How long after a candle's open the venue trades what was asked for at the close before it."""


def live(command: CreateBot | None = None) -> CreateBot:
    """The same bot with an account at a venue instead of a paper model."""
    return replace(command or creation(), paper=None, account=AccountName("okx-main"))


def armed(command: CreateBot | None = None, plan: Plan | None = None) -> Life:
    """A live bot that was started and armed for as long as any test lasts."""
    life = Life(live(command), Strategies(Scripted(plan or {})))
    life.tell(ArmBot(START + timedelta(days=300)))
    return life


def report(life: Life, *reports: VenueReport) -> list[BotFact]:
    """Let the bot record what its venue says; answers the facts."""
    return life.tell(RecordProgress(reports))


def said(*values: object) -> tuple[object, ...]:
    """The values together, to be compared with plain numbers and words."""
    return values


def clock(number: int, seconds: float = 0.3) -> datetime:
    """The venue's clock so long after candle ``number`` opened."""
    return START + number * FOUR_HOURS + timedelta(seconds=seconds)


def order_id(number: int) -> OrderId:
    """The bot's order ``number``."""
    return OrderId(f"{BOT}-{number}")


def submitted(number: int, quantity: str, *, when: datetime, attempt: int = 1, client_id: str = "") -> OrderSubmitted:
    """The order is about to be sent."""
    return OrderSubmitted(
        order_id=order_id(number),
        at=when,
        client_id=client_id or f"client{number}",
        expires_at=when + timedelta(seconds=5),
        quantity=Decimal(quantity),
        attempt=attempt,
    )


def fill(
    number: int,
    name: str,
    quantity: str,
    price: str,
    *,
    when: datetime,
    complete: bool = False,
    fee: str = "0",
    fee_in: FeeCurrency = "quote",
) -> OrderFilled:
    """A trade of the order under the venue's name for it."""
    return OrderFilled(
        order_id=order_id(number),
        fill_id=FillId(name),
        at=when,
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal(fee),
        fee_in=fee_in,
        liquidity="taker",
        complete=complete,
    )


def bought(
    quantity: str = "10", *, bracket: Bracket = BRACKET, plan: Plan | None = None, command: CreateBot | None = None
) -> Life:
    """A live bot that bought at 100 early in candle 1 (order 1), its stop (2) and target (3) asked for."""
    life = armed(command, {**at(0, Wish(bracket=bracket)), **(plan or {})})
    life.see_candles([candle(0, "100")])
    report(life, submitted(1, quantity, when=clock(1, 0.1)), fill(1, "t1", quantity, "100", when=clock(1)))
    return life


def see(life: Life, number: int, prices: str, symbol: Symbol = BTC) -> list[BotFact]:
    """Show the bot a candle; answers the facts of its cycle."""
    return life.see_candles([candle(number, prices)], symbol)[0].facts


class PaperLike:
    """A venue that takes everything at once and trades each candle as the paper venue does, a little after its open."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._fills = 0

    def trade(self, symbol: Symbol, seen: Candle) -> None:
        """Carry out what was asked for, and trade the candle."""
        life, moment = self._life, seen.open_time + LATE
        self._obey(symbol, seen, moment)
        bot = life.state.configuration
        terms = Terms(life.state.instrument(symbol), bot.fees, life.state.paper, FOUR_HOURS)
        match = CandleMatch(seen, terms)
        while (fact := match.next_fact(self._seen(symbol), self._held(symbol))) is not None:
            report(life, self._told(fact, moment))
            self._obey(symbol, seen, moment)

    def _obey(self, symbol: Symbol, seen: Candle, moment: datetime) -> None:
        for order in self._life.state.working(symbol):
            said = [*self._sent(order, seen, moment), *self._changed(order, moment)]
            if said:
                report(self._life, *said)

    def _sent(self, order: Order, seen: Candle, moment: datetime) -> Sequence[VenueReport]:
        if order.status != "requested" or order.cancel_requested_at is not None:
            return []
        lot = self._life.state.instrument(order.symbol).lot
        quantity = order.quantity or quantity_for_notional(order.notional or Decimal(0), seen.open, lot)
        if quantity == 0:
            return [OrderCancelled(order_id=order.order_id, at=moment, reason="too little")]
        sent = OrderSubmitted(
            order_id=order.order_id,
            at=moment,
            client_id=f"c{order.order_id}",
            expires_at=moment + LATE,
            quantity=quantity,
        )
        return [sent, OrderAccepted(order_id=order.order_id, at=moment, venue_order_id=f"v{order.order_id}")]

    def _changed(self, order: Order, moment: datetime) -> Sequence[VenueReport]:
        if order.cancel_requested_at is not None:
            return [OrderCancelled(order_id=order.order_id, at=moment, reason="as asked")]
        if order.amending is None:
            return []
        return [
            OrderAmended(order_id=order.order_id, at=moment, reason="as asked", quantity=order.amending.quantity),
        ]

    def _seen(self, symbol: Symbol) -> list[Order]:
        """The orders with times of candles, as the paper venue knows them."""
        return [
            replace(order, triggered_at=None if order.triggered_at is None else order.triggered_at - LATE)
            for order in self._life.state.working(symbol)
        ]

    def _held(self, symbol: Symbol) -> Held | None:
        position = self._life.state.ledger.positions.get(symbol)
        if position is None:
            return None
        level = position.liquidation_price(self._life.state.instrument(symbol))
        return Held(position.side, position.quantity, position.cost, position.margin, level)

    def _told(self, fact: PaperFact, moment: datetime) -> VenueReport:
        said = replace(fact, at=moment)
        if not isinstance(said, OrderFilled):
            return said
        self._fills += 1
        return replace(said, fill_id=FillId(f"venue-{self._fills}"))


def show(life: Life, venue: PaperLike, seen: Frame) -> list[BotFact]:
    """The venue trades the frame, then the bot sees that it has closed."""
    followed = {instrument.symbol for instrument in life.state.configuration.market.instruments}
    for symbol, each in seen.candles:
        if symbol in followed:
            venue.trade(symbol, each)
    return life.see(seen).facts


def asked(facts: Sequence[BotFact]) -> list[OrderRequested]:
    """What was asked of the venue, in the words in which a paper bot would ask: times of candles."""
    found = [fact for fact in facts if isinstance(fact, OrderRequested)]
    return [replace(fact, at=fact.at - (fact.at - START) % FOUR_HOURS, at_close=False) for fact in found]


def cancels(facts: Sequence[BotFact]) -> list[OrderCancelRequested]:
    """What is to end."""
    return [fact for fact in facts if isinstance(fact, OrderCancelRequested)]
