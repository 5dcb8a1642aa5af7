"""The fold of alerts: which begin and end with what the log says of bots, accounts, markets, models and the watch."""

from datetime import datetime
from decimal import Context, Decimal, localcontext
from functools import partial

import msgspec

from events.alerts import ALERTS_STREAM, AlertRaised
from events.bot import (
    BotCreated,
    CapitalDeposited,
    CapitalWithdrawn,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderRequested,
)
from events.codec import FACT_TYPES
from events.envelope import RecordedEvent
from events.identifiers import (
    ACCOUNT_STREAM_PREFIX,
    BOT_STREAM_PREFIX,
    MODELS_STREAM,
    VENUE_STREAM_PREFIX,
    BotId,
    OrderId,
    StreamId,
    Symbol,
)
from events.security import SECURITY_STREAM
from oxbot.core.money import ZERO, exact, text
from oxbot.views.alert_rows import ADMINISTRATORS, ALL, EVERYBODY, AlertRow, alert_key
from oxbot.views.fold import Draft, Projection
from oxbot.views.meanings import Level, Meaning, Rule, meaning_of
from oxbot.views.rows import ALERT_VIEWS

LARGE_LOSS = Decimal("0.05")
"""A closed trade that lost more than this share of the bot's capital is told of."""

FLAT = Decimal("0.01")
"""Less than this share of what a position once was is no position: what a fee in coins left over."""

WORDS_LENGTH_MAX = 500
_replace = msgspec.structs.replace

TYPES = frozenset(
    {
        "bot.created", "bot.started", "bot.stopped", "bot.halted", "capital.deposited", "capital.withdrawn",
        "trading_state.set", "trading_state.tripped", "position.liquidated", "order.requested", "order.accepted",
        "order.rejected", "order.in_doubt", "order.triggered", "order.filled", "order.cancelled", "order.expired",
        "advice.received", "advice.abstained",
        "account.unreconciled", "account.reconciled", "account.disarmed", "account.kill_done",
        "account.stranger_seen", "market.stale", "market.gap_found", "market.recovered", "model_route.closed",
        "model_route.opened", "security.attempts_refused", "alert.raised", "alert.cleared",
    }
)  # fmt: skip
"""The facts that matter to alerts; all others are passed over without a look."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that goes on."""

    position: int
    rule: Rule
    level: Level
    words: str
    mark: str
    since: datetime
    audience: str
    value: Decimal | None = None
    threshold: Decimal | None = None


class OpenPosition(msgspec.Struct, frozen=True, kw_only=True):
    """What a bot holds of a symbol, below 0 for a short, at which mean price, and what it has realised on it."""

    quantity: Decimal = ZERO
    largest: Decimal = ZERO
    price: Decimal = ZERO
    realised: Decimal = ZERO


class AlertBooks(msgspec.Struct, frozen=True, kw_only=True):
    """All that the fold must remember of a stream between two events."""

    name: str = ""
    audience: str = EVERYBODY
    capital: Decimal = ZERO
    requests: dict[OrderId, OrderRequested] = {}
    positions: dict[Symbol, OpenPosition] = {}
    open: dict[str, Alert] = {}


Step = tuple[AlertBooks, list[Draft]]


def project(books: AlertBooks, event: RecordedEvent) -> Step:
    """The books after the event, and the alerts that it begins and ends."""
    with exact():
        match event.fact:
            case BotCreated(name=name, owner=owner):
                return _replace(books, name=name, audience=owner), []
            case CapitalDeposited(amount=amount):
                return _replace(books, capital=books.capital + amount), []
            case CapitalWithdrawn(amount=amount):
                return _replace(books, capital=books.capital - amount), []
            case OrderRequested() as request:
                return _replace(books, requests={**books.requests, request.order_id: request}), []
            case OrderFilled() as fill:
                # An estimate for a warning, which rounds; no fill may stop the projection for a digit too many.
                with localcontext(Context(prec=28, traps=[])):
                    books, loss = _traded(books, fill)
                after, drafts = _meant(books, event, meaning_of(fill))
                if loss is None:
                    return after, drafts
                after, more = _meant(after, event, loss)
                return after, drafts + more
            case fact:
                known = books.requests.get(getattr(fact, "order_id", OrderId("")))
                after, drafts = _meant(books, event, meaning_of(fact, known))
                return _without_request(after, event), drafts


def _meant(books: AlertBooks, event: RecordedEvent, meaning: Meaning | None) -> Step:
    if meaning is None or meaning.rule is None or meaning.effect == "none":
        return books, []
    place = f"{meaning.rule} {meaning.mark}"
    known = books.open.get(place)
    if meaning.effect == "ends":
        if known is None:
            return books, []
        rest = {name: alert for name, alert in books.open.items() if name != place}
        return _replace(books, open=rest), _ended(books, event, known)
    if known is not None and meaning.effect == "begins":
        return books, []
    alert = Alert(
        position=event.position,
        rule=meaning.rule,
        level=meaning.level,
        words=meaning.words[:WORDS_LENGTH_MAX],
        mark=meaning.mark,
        since=event.recorded_at,
        audience=_audience(books, event),
        value=meaning.value,
        threshold=meaning.threshold,
    )
    if meaning.effect == "passes":
        return books, _shown(books, event, alert, until=event.recorded_at)
    return _replace(books, open={**books.open, place: alert}), _shown(books, event, alert, until=None)


def _ended(books: AlertBooks, event: RecordedEvent, alert: Alert) -> list[Draft]:
    key = alert_key(alert.position, going_on=True)
    gone = [Draft("alerts", audience, key, None) for audience in (alert.audience, ALL)]
    return gone + _shown(books, event, alert, until=event.recorded_at)


def _shown(books: AlertBooks, event: RecordedEvent, alert: Alert, *, until: datetime | None) -> list[Draft]:
    render = partial(_row, books, event.stream, alert, until)
    key = alert_key(alert.position, going_on=until is None)
    return [Draft("alerts", audience, key, render) for audience in (alert.audience, ALL)]


def _audience(books: AlertBooks, event: RecordedEvent) -> str:
    if isinstance(event.fact, AlertRaised):
        return ADMINISTRATORS if event.fact.owner is None else event.fact.owner
    if event.stream.startswith(ACCOUNT_STREAM_PREFIX) or event.stream == SECURITY_STREAM:
        return ADMINISTRATORS
    return books.audience


def _row(books: AlertBooks, stream: StreamId, alert: Alert, until: datetime | None) -> AlertRow:
    of_bot = stream if stream.startswith(BOT_STREAM_PREFIX) else alert.mark if stream == ALERTS_STREAM else ""
    bot_id = BotId(of_bot.removeprefix(BOT_STREAM_PREFIX)) if of_bot.startswith(BOT_STREAM_PREFIX) else None
    subject = f"bot {books.name}" if books.name else alert.mark if stream == ALERTS_STREAM else stream
    return AlertRow(
        position=alert.position,
        rule=alert.rule,
        level=alert.level,
        subject=subject,
        bot_id=bot_id,
        words=alert.words,
        since=alert.since,
        until=until,
        value=None if alert.value is None else text(alert.value),
        threshold=None if alert.threshold is None else text(alert.threshold),
        audience=alert.audience,
    )


def _without_request(books: AlertBooks, event: RecordedEvent) -> AlertBooks:
    fact = event.fact
    if not isinstance(fact, OrderCancelled | OrderExpired | OrderRejected):
        return books
    return _replace(books, requests={known: one for known, one in books.requests.items() if known != fact.order_id})


def _traded(books: AlertBooks, fill: OrderFilled) -> tuple[AlertBooks, Meaning | None]:
    """The position after a fill, and whether the trade that it closes lost much."""
    request = books.requests.get(fill.order_id)
    if request is None:
        return books, None
    symbol = request.symbol
    held = _after(books.positions.get(symbol, OpenPosition()), request, fill)
    positions = {**books.positions, symbol: held}
    loss = None
    if abs(held.quantity) <= FLAT * held.largest:
        del positions[symbol]
        loss = _loss(books, symbol, -held.realised)
    requests = books.requests
    if fill.complete:
        requests = {known: one for known, one in requests.items() if known != fill.order_id}
    return _replace(books, positions=positions, requests=requests), loss


def _after(held: OpenPosition, request: OrderRequested, fill: OrderFilled) -> OpenPosition:
    signed = fill.quantity if request.side == "buy" else -fill.quantity
    fee = fill.fee if fill.fee_in == "quote" else fill.fee * fill.price
    before = held.quantity
    after = before + signed
    if before == 0 or (before > 0) == (signed > 0):
        price = (before * held.price + signed * fill.price) / after if after else fill.price
        largest = max(held.largest, abs(after))
        return OpenPosition(quantity=after, largest=largest, price=price, realised=held.realised - fee)
    closed = min(abs(signed), abs(before)) * (1 if before > 0 else -1)
    realised = held.realised - fee + closed * (fill.price - held.price)
    return _replace(held, quantity=after, realised=realised)


def _loss(books: AlertBooks, symbol: Symbol, loss: Decimal) -> Meaning | None:
    if books.capital <= 0 or loss <= LARGE_LOSS * books.capital:
        return None
    share = 100 * loss / books.capital
    said = f"a trade of {symbol} lost {loss:.2f}, {share:.1f} % of the capital"
    return Meaning("warning", said, "large_loss", "passes", symbol, loss, LARGE_LOSS * books.capital)


def _owner(stream: StreamId) -> str | None:
    known = (BOT_STREAM_PREFIX, ACCOUNT_STREAM_PREFIX, VENUE_STREAM_PREFIX)
    return stream if stream.startswith(known) or stream in (MODELS_STREAM, SECURITY_STREAM, ALERTS_STREAM) else None


ALERTS = Projection("alerts", 1, ALERT_VIEWS, _owner, AlertBooks, project, frozenset(FACT_TYPES[tag] for tag in TYPES))
"""What somebody should look at."""
