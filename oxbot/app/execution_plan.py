"""What to do next for a live order, by what the log says of it: its client id, its terms, the next step."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

from events.identifiers import BotId, OrderId, Symbol
from events.values import Instrument
from oxbot.app.venue import VenueOrderRef, VenueRequest
from oxbot.core.bot_state import BotState
from oxbot.core.live import entry_lot
from oxbot.core.money import ZERO, ceil_to_step, exact, floor_to_step, quantity_for_notional, text
from oxbot.core.orders import CLOSED, TRIGGERED_KINDS, Order
from oxbot.core.venue_account import AccountState

Step = Literal["none", "withdraw", "submit", "resolve", "cancel", "amend", "watch"]

ENTRY_LATE_MAX = timedelta(seconds=60)
"""So long after the close of its candle an entry may still be sent."""


class Key(NamedTuple):
    """What is worked on by one task at a time: an order, or the stop and the target of one parent."""

    bot_id: BotId
    group: str


class Terms(NamedTuple):
    """How an order goes out: its base quantity in all, what of it is to be sent, and its prices, all on the steps."""

    quantity: Decimal
    rest: Decimal
    limit_price: Decimal | None
    trigger_price: Decimal | None


class Line(NamedTuple):
    """What is, or will be, one order at the venue; a ``target`` beside the stop makes it an "oco"."""

    lead: Order
    target: Order | None = None

    @property
    def orders(self) -> tuple[Order, ...]:
        """The log's orders that it stands for."""
        return (self.lead,) if self.target is None else (self.lead, self.target)

    @property
    def open(self) -> list[Order]:
        """Those that have not ended."""
        return [order for order in self.orders if order.status not in CLOSED]

    @property
    def at_trigger(self) -> bool:
        """Whether the venue keeps it in the book of those that wait for a trigger."""
        return self.lead.kind in TRIGGERED_KINDS

    @property
    def triggered(self) -> bool:
        """Whether it has become another order at the venue, which cannot be changed."""
        return any(order.triggered_at is not None for order in self.orders)

    @property
    def ref(self) -> VenueOrderRef:
        """How the venue is asked about it."""
        return VenueOrderRef(client_id=self.lead.client_id, symbol=self.lead.symbol, at_trigger=self.at_trigger)


def client_id(order_id: OrderId, revision: int = 1) -> str:
    """The 32 characters [0-9a-f] under which the venue knows the order; a replacement of it has another revision."""
    suffix = "" if revision == 1 else f":{revision}"
    return hashlib.sha256(f"oxbot:{order_id}{suffix}".encode()).hexdigest()[:32]


def client_ids(order: Order) -> set[str]:
    """Every client id that the order has, had or could have had."""
    return {client_id(order.order_id, revision) for revision in range(1, order.attempts + 1)} | {order.client_id} - {""}


def key_of(bot_id: BotId, order: Order) -> Key:
    """By which task the order is worked on."""
    if order.oco_group and order.reduce_only:
        return Key(bot_id, f"exits {order.oco_group}")
    paired = order.parent_id is not None and order.reduce_only and _leg(order) is not None
    return Key(bot_id, f"exits of {order.parent_id}" if paired else order.order_id)


def lines(orders: Iterable[Order]) -> list[Line]:
    """The orders of one group as they are, or are to be sent, to the venue."""
    waiting: list[Order] = []
    sent: dict[str, list[Order]] = {}
    for order in orders:
        if order.attempts:
            sent.setdefault(order.client_id, []).append(order)
        elif order.status not in CLOSED:
            waiting.append(order)
    found = [_line(pair) for pair in sent.values()]
    stops = [order for order in waiting if _leg(order) == "stop"]
    targets = [order for order in waiting if _leg(order) == "target"]
    pair = next(((stop, target) for stop in stops for target in targets if _fits(stop, target)), None)
    if pair is not None:
        waiting = [order for order in waiting if order not in pair]
        found.append(Line(*pair))
    return found + [Line(order) for order in waiting]


def step(line: Line) -> Step:
    """What the log still wants done for the line."""
    unsent = line.lead.attempts == 0
    if not line.open:
        return "none"
    if unsent:
        return "withdraw" if any(order.cancel_requested_at is not None for order in line.open) else "submit"
    if any(order.accepted_at is None or order.status in {"submitted", "in_doubt"} for order in line.open):
        return "resolve"
    if any(order.cancel_requested_at is not None for order in line.open):
        return "cancel"
    if line.triggered or len(line.open) < len(line.orders):
        return "watch"
    if any(order.amending is not None for order in line.open):
        return "amend"
    return "watch" if line.lead.kind == "market" or line.lead.time_in_force != "gtc" else "none"


def terms(order: Order, instrument: Instrument, *, held: Decimal = ZERO) -> Terms | str:
    """The order on the venue's steps, each price to the safe side; or why it cannot be sent.

    An exit at the market takes no more than is ``held`` by now.
    """
    with exact():
        wanted = order.amending
        limit = (wanted.limit_price if wanted else None) or order.limit_price
        trigger = (wanted.trigger_price if wanted else None) or order.trigger_price
        limit = None if limit is None else _stepped(limit, instrument.tick, down=order.side == "buy")
        if trigger is not None:
            # A stop is put nearer to the market, and so is a target: whichever it is, it is reached sooner.
            down = (order.side == "buy") == (order.kind != "take_profit")
            trigger = _stepped(trigger, instrument.tick, down=down)
        quantity = _quantity(order, instrument, limit, held=held)
        if isinstance(quantity, str):
            return quantity
        rest = quantity - order.filled_quantity
        price = limit or trigger or order.funds.mark
        if price is not None and not order.reduce_only and rest * price < instrument.minimum_notional:
            least = text(instrument.minimum_notional)
            return f"{text(rest)} {order.symbol} is worth {text(rest * price)}, below the smallest order of {least}"
    return Terms(quantity, rest, limit, trigger)


def request(line: Line, agreed: Sequence[Terms], *, expires_at: datetime) -> VenueRequest:
    """The line as it is sent, in the terms of its lead and, of an "oco", with the target's price."""
    order, (lead, *others) = line.lead, agreed
    return VenueRequest(
        client_id=order.client_id,
        symbol=order.symbol,
        side=order.side,
        kind="oco" if others else order.kind,
        quantity=lead.rest,
        expires_at=expires_at,
        limit_price=lead.limit_price,
        trigger_price=lead.trigger_price,
        target_price=others[0].trigger_price if others else None,
        trailing_fraction=order.trailing_fraction,
        activation_price=order.activation_price,
        reduce_only=order.reduce_only,
        post_only=order.post_only,
        time_in_force=order.time_in_force,
    )


def too_late(order: Order, *, now: datetime, candle: timedelta, late_max: timedelta = ENTRY_LATE_MAX) -> str | None:
    """Why an entry has no meaning any more, by the market's clock; exits always have."""
    if order.reduce_only:
        return None
    if order.expires_at is not None and now >= order.expires_at:
        return "it was not sent before the time it was given"
    closed_at = order.requested_at + candle if order.at_close else order.requested_at
    return "its candle closed too long ago" if now > closed_at + late_max else None


def unarmed(bot: BotState, account: AccountState, *, now: datetime) -> str | None:
    """Whose arming the bot's entries lack, by the clock that people's words are held against."""
    if not account.armed_at(now):
        return "the account is not armed"
    return "the bot is not armed" if bot.armed_until is None or bot.armed_until <= now else None


def unwelcome(order: Order, bot: BotState, account: AccountState, *, now: datetime) -> str | None:
    """Why an entry may not go out, by the clock that people's words are held against; exits always may."""
    if order.reduce_only:
        return None
    fault = unarmed(bot, account, now=now)
    if fault is None and not account.reconciled:
        return f"the account is not reconciled: {account.unreconciled or 'it was not compared with the venue yet'}"
    return fault


def in_flight(orders: Iterable[Order]) -> bool:
    """Whether something that was sent may be at the venue otherwise than the log can know by now."""
    return any(
        order.attempts
        and (order.kind == "market" or order.triggered_at is not None or order.status in {"submitted", "in_doubt"})
        for order in orders
    )


def rival(bot_id: BotId, order: Order, bots: Mapping[BotId, BotState]) -> str | None:
    """Why an entry in a perpetual must not go out: another bot of the account holds it, or is about to.

    The venue keeps one net position for an account and a symbol, so theirs could not be told apart.
    """
    if order.reduce_only or order.funds.kind == "spot":
        return None
    for other, state in bots.items():
        if other == bot_id or not state.exists:
            continue
        at_venue = any(known.attempts and not known.reduce_only for known in state.working(order.symbol))
        if order.symbol in state.ledger.positions or at_venue:
            return f"bot {other} of the same account trades {order.symbol}, and the venue nets their positions"
    return None


def shared_perpetuals(one: BotState, other: BotState) -> list[Symbol]:
    """The perpetuals that two bots both follow; of one account both may not be armed then."""
    followed = {each.symbol for each in other.configuration.market.instruments if each.kind == "perpetual"}
    return [each.symbol for each in one.configuration.market.instruments if each.symbol in followed]


def _leg(order: Order) -> Literal["stop", "target"] | None:
    if order.kind == "stop" and order.reason == "stop_loss":
        return "stop"
    bare = order.kind == "take_profit" and order.limit_price is None
    ends = order.reason == "take_profit" or (order.reason == "scale_out" and order.oco_group != "")
    return "target" if bare and ends else None


def _fits(stop: Order, target: Order) -> bool:
    same = (stop.side, stop.symbol, stop.quantity_wanted) == (target.side, target.symbol, target.quantity_wanted)
    return same and stop.cancel_requested_at is None and target.cancel_requested_at is None


def _line(pair: Sequence[Order]) -> Line:
    if len(pair) == 1:
        return Line(pair[0])
    stop = next(order for order in pair if _leg(order) == "stop")
    return Line(stop, next(order for order in pair if order is not stop))


def _quantity(order: Order, instrument: Instrument, limit: Decimal | None, *, held: Decimal) -> Decimal | str:
    """The base quantity in all, on the step; of an entry in a perpetual whole contracts."""
    lot = instrument.lot if order.reduce_only else entry_lot(instrument)
    if order.notional is not None:
        price = limit or order.trigger_price or order.funds.mark
        if not price:
            return "nobody knows its price, so its quantity cannot be told"
        quantity = quantity_for_notional(order.notional, price, lot)
        if quantity <= 0:
            return f"{text(order.notional)} buys less than the smallest quantity, {text(lot)}, at {text(price)}"
        return quantity
    left = (order.quantity_wanted or ZERO) - order.filled_quantity
    left = min(left, held) if order.reduce_only and order.kind == "market" else left
    rest = floor_to_step(left, lot) if left > 0 else ZERO
    if rest <= 0:
        return f"{text(left)} is left to trade, less than the smallest quantity, {text(lot)}"
    return order.filled_quantity + rest


def _stepped(price: Decimal, tick: Decimal, *, down: bool) -> Decimal:
    return floor_to_step(price, tick) if down else ceil_to_step(price, tick)
