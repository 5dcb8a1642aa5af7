"""Compares a venue's books with the log's: what is missing here, what differs, and what is none of ours."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from events.account import StrangerKind
from events.identifiers import BotId, Symbol
from events.values import Side
from oxbot.app.execution_changes import changes, words
from oxbot.app.execution_plan import Key, client_ids, key_of
from oxbot.app.venue import VenueBalance, VenueFill, VenueFunding, VenueOrder, VenuePosition
from oxbot.core.bot_state import BotState
from oxbot.core.money import ZERO, exact, text
from oxbot.core.orders import CLOSED, TRIGGERED_KINDS, Order

Bots = Mapping[BotId, BotState]

ROUNDED_FRACTION = Decimal("0.0001")
"""So much of their cash bots may have that the venue does not: it rounds what closing a perpetual's position earned."""


class Books(NamedTuple):
    """What the venue said of the account within a moment."""

    orders: Sequence[VenueOrder]
    fills: Sequence[VenueFill]
    funding: Sequence[VenueFunding]
    positions: Sequence[VenuePosition]
    balances: Sequence[VenueBalance]


class Stranger(NamedTuple):
    """Something that no bot of the account asked for; ``reference`` is its name for ever.

    With a ``client_id`` it may still be an order, or a trade (``fill_id``) of one, that ended too long ago to be known.
    """

    kind: StrangerKind
    reference: str
    symbol: Symbol | None
    quantity: Decimal
    words: str
    client_id: str = ""
    fill_id: str = ""


class Owned(NamedTuple):
    """An order of ours by a client id."""

    bot_id: BotId
    order: Order

    @property
    def key(self) -> Key:
        """By which task it is worked on."""
        return key_of(self.bot_id, self.order)


def owners(bots: Bots) -> dict[str, Owned]:
    """One order of ours for every client id that any has or had; ended ones as long as they are remembered."""
    return {client_id: owned for owned in _sent(bots) for client_id in client_ids(owned.order)}


def missing_fills(books: Books, bots: Bots) -> list[tuple[VenueFill, Owned]]:
    """The trades of our orders that the log does not hold; of an "oco", those that neither leg holds."""
    ours = owners(bots)
    # A venue's names of its trades are unique within a symbol.
    recorded = {(owned.order.symbol, str(name)) for owned in _sent(bots) for name in owned.order.fill_ids}
    found = [(fill, ours[fill.client_id]) for fill in books.fills if fill.client_id in ours]
    return [(fill, owned) for fill, owned in found if (fill.symbol, fill.fill_id) not in recorded]


def liquidations(books: Books, bots: Bots) -> list[tuple[VenueFill, BotId]]:
    """The trades by which the venue closed a bot's position, or a part of it, and that the log does not hold."""
    recorded = {(each.symbol, each.fill_id) for state in bots.values() for each in state.settlements}
    new = [fill for fill in books.fills if fill.liquidation and (fill.symbol, fill.fill_id) not in recorded]
    found = [(fill, _holders(bots, fill.symbol, fill.at)) for fill in new]
    return [(fill, holders[0]) for fill, holders in found if len(holders) == 1]


def unsettled(books: Books, bots: Bots) -> dict[Key, str]:
    """The orders that the venue has otherwise than the log, in words: ended, open though ended here, or changed."""
    shown = {order.client_id: order for order in books.orders if order.client_id}
    lines: dict[str, list[Owned]] = {}
    for owned in _sent(bots):
        lines.setdefault(owned.order.client_id, []).append(owned)
    found: dict[Key, str] = {}
    for client_id, line in lines.items():
        there, working = shown.get(client_id), [each.order for each in line if each.order.status not in CLOSED]
        if not working:
            fault = "" if there is None else f"{line[0].order.order_id} has ended here and is open at the venue"
        else:
            gone = f"{working[0].order_id} is not open at the venue"
            fault = gone if there is None else _otherwise(working, there)
            # What has not been accepted is a doubt, and is looked up anyway.
            fault = fault if all(order.accepted_at is not None for order in working) else ""
        if fault:
            found[line[0].key] = f"bot {line[0].bot_id}: {fault}"
    return found


def strangers(books: Books, bots: Bots) -> Iterator[Stranger]:
    """What is at the venue and none of ours: orders, trades, positions, balances."""
    ours = owners(bots)
    hidden = _waiting_unseen(books, ours)
    for order in books.orders:
        became = not order.client_id and (order.symbol, order.side) in hidden
        if order.client_id not in ours and not became:
            words = f"an open {order.side} order of {text(order.quantity)} {order.symbol}"
            yield Stranger("order", order.venue_order_id, order.symbol, order.quantity, words, order.client_id)
    settled = {(each.symbol, each.fill_id) for state in bots.values() for each in state.settlements}
    for fill in books.fills:
        if fill.client_id not in ours and (fill.symbol, fill.fill_id) not in settled:
            words = f"a trade: {fill.side} {text(fill.quantity)} {fill.symbol} at {text(fill.price)}"
            name = f"{fill.symbol} {fill.fill_id}"
            yield Stranger("fill", name, fill.symbol, fill.quantity, words, fill.client_id, fill.fill_id)
    held = _perpetuals(bots)
    for position in books.positions:
        if position.symbol not in held:
            words = f"a {position.side} position of {text(position.quantity)} {position.symbol}"
            yield Stranger("position", position.symbol, position.symbol, position.quantity, words)
    needed = _needed(bots)
    for balance in books.balances:
        beyond = balance.total - needed.get(balance.currency, ZERO)
        if beyond > 0:
            words = f"{text(beyond)} {balance.currency} that no bot calls its own"
            yield Stranger("balance", balance.currency, None, beyond, words)


def differences(books: Books, bots: Bots) -> list[str]:
    """What of our positions the venue does not have, or has otherwise, in words."""
    found = []
    there = {position.symbol: position for position in books.positions}
    for symbol, quantity in sorted(_perpetuals(bots).items()):
        position = there.get(symbol)
        signed = ZERO if position is None else position.quantity if position.side == "long" else -position.quantity
        if signed != quantity:
            found.append(f"{symbol}: the bots hold {text(quantity)}, the venue says {text(signed)}")
    return found


def lacking(books: Books, bots: Bots) -> list[str]:
    """What of the bots' holdings and cash the venue does not have, in words."""
    found = []
    totals = {balance.currency: balance.total for balance in books.balances}
    rounded = _rounded(bots)
    for currency, amount in sorted(_needed(bots).items()):
        total = totals.get(currency, ZERO)
        with exact():
            least = amount - amount * ROUNDED_FRACTION if currency in rounded else amount
        if total < least:
            found.append(f"{currency}: the bots have {text(amount)}, the venue says {text(total)}")
    return found


def payee(payment: VenueFunding, bots: Bots) -> BotId | None:
    """The bot whose position the funding was for; None if nobody held it, or more than one."""
    holders = _holders(bots, payment.symbol, payment.at)
    return holders[0] if len(holders) == 1 else None


def _sent(bots: Bots) -> Iterator[Owned]:
    """Every order that was ever submitted, as far as it is remembered."""
    for bot_id, state in bots.items():
        for order in [*state.ended.values(), *state.orders.values()]:
            if order.attempts:
                yield Owned(bot_id, order)


def _waiting_unseen(books: Books, ours: Mapping[str, Owned]) -> set[tuple[Symbol, Side]]:
    """Where an order of ours has left the book of triggers: what it became is shown under no name of ours."""
    shown = {order.client_id for order in books.orders}
    triggers = [owned.order for name, owned in ours.items() if name not in shown]
    return {
        (order.symbol, order.side) for order in triggers if order.kind in TRIGGERED_KINDS and order.status not in CLOSED
    }


def _otherwise(orders: Sequence[Order], there: VenueOrder) -> str:
    """In what the venue's order is otherwise: it has traded more, was reached, or somebody has changed it."""
    if any(there.filled > order.filled_quantity for order in orders):
        return f"{orders[0].order_id} has traded more at the venue"
    unheard = any(order.triggered_at is None and order.kind in TRIGGERED_KINDS for order in orders)
    if unheard and not there.at_trigger:
        return f"{orders[0].order_id} was reached at the venue"
    # Of a replacement the venue's order is what was left to trade then.
    found = [(order, changes(order, there, quantity=_in_all(order, there))) for order in orders]
    return "; ".join(words(order, each) for order, each in found if each)


def _in_all(order: Order, there: VenueOrder) -> Decimal:
    return there.quantity if order.attempts == 1 else order.filled_quantity + there.quantity - there.filled


def _perpetuals(bots: Bots) -> dict[Symbol, Decimal]:
    """The net position of all bots by perpetual."""
    found: dict[Symbol, Decimal] = {}
    with exact():
        for state in bots.values():
            for symbol, held in state.ledger.positions.items():
                if held.kind == "perpetual":
                    found[symbol] = found.get(symbol, ZERO) + held.signed_quantity
    return found


def _needed(bots: Bots) -> dict[str, Decimal]:
    """What the bots own of each currency: what they bought of it; of quote currency their cash, with what is margin.

    The cash of a bot that was stopped and has nothing at the venue any more is only a number.
    """
    found: dict[str, Decimal] = {}
    with exact():
        for state in bots.values():
            held = {name: each.quantity for name, each in state.ledger.positions.items() if each.kind == "spot"}
            for owned in (held, state.ledger.dust):
                for symbol, quantity in owned.items():
                    base = symbol.partition("/")[0]
                    found[base] = found.get(base, ZERO) + quantity
            if state.status != "stopped" or state.ledger.positions or state.orders:
                quote = state.configuration.quote
                found[quote] = found.get(quote, ZERO) + state.ledger.cash
    return found


def _rounded(bots: Bots) -> set[str]:
    """The quote currencies of bots that follow a perpetual."""
    configured = [state.configuration for state in bots.values()]
    return {
        each.quote for each in configured if any(followed.kind == "perpetual" for followed in each.market.instruments)
    }


def _holders(bots: Bots, symbol: Symbol, at: datetime) -> list[BotId]:
    return [bot_id for bot_id, state in bots.items() if _held_at(state, symbol, at)]


def _held_at(state: BotState, symbol: Symbol, at: datetime) -> bool:
    held = state.ledger.positions.get(symbol)
    if held is not None and held.opened_at <= at:
        return True
    closed = [trade for trade in state.trades if trade.symbol == symbol]
    return any(trade.opened_at <= at <= trade.closed_at + state.candle for trade in closed)
