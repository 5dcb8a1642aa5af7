"""The exits of a spot entry at a real venue: those that may be reached together never stand for more than is held."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from events.bot import OrderAmended, OrderFilled, OrderRejected, OrderRequested
from events.identifiers import OrderId
from events.values import Bracket, Instrument
from oxbot.core.brackets import OrderNumbers, bracket_facts
from oxbot.core.money import ZERO, floor_to_step
from oxbot.core.orders import PROTECTIVE_KINDS, Order

BESIDE_A_TRAIL = "a spot venue would sell it twice beside a trailing stop; it is watched at each candle's close instead"

_MAIN = 0
"""The pair of what the scale-outs leave; that of the n-th scale-out has the number n."""


def spot_bracket_facts(
    entry: Order,
    fill: OrderFilled,
    *,
    working: Sequence[Order],
    held: Decimal,
    instrument: Instrument,
    numbers: OrderNumbers,
) -> Sequence[OrderRequested | OrderAmended | OrderRejected]:
    """What ``bracket_facts`` says, for a venue that knows holdings and no positions to reduce.

    There each scale-out is paired with a stop for its own part, and the target with one for the rest: every pair is one
    order at the venue, and together they stand for what is held, with or without us. A trailing stop cannot be paired,
    so it covers all, and what it would share that with is not sent.
    """
    placed = [order for order in working if order.parent_id == entry.order_id and order.reduce_only]
    if any(order.oco_group for order in placed):
        held -= _of_others(entry, working)
        return list(_extended(entry, placed, fill.at, held=floor_to_step(held, instrument.lot), instrument=instrument))
    facts = bracket_facts(entry, fill, working=working, held=held, instrument=instrument, numbers=numbers)
    legs = [fact for fact in facts if isinstance(fact, OrderRequested)]
    stop = next((leg for leg in legs if leg.kind in PROTECTIVE_KINDS), None)
    if stop is None:
        return facts
    targets = [leg for leg in legs if leg is not stop]
    if stop.kind == "trailing_stop":
        held_back = [OrderRejected(order_id=leg.order_id, at=leg.at, reason=BESIDE_A_TRAIL) for leg in targets]
        return [stop, *(fact for pair in zip(targets, held_back, strict=True) for fact in pair)]
    if not any(leg.reason == "scale_out" for leg in targets):
        return facts
    paired = list(_paired(entry, stop, targets, instrument=instrument))
    return [replace(leg, order_id=numbers(number)) for number, leg in enumerate(paired, start=1)]


def held_back(order: Order) -> bool:
    """Whether the exit was never sent to its venue, so that it goes at the market once a candle closes beyond it."""
    return (
        order.kind == "take_profit" and order.funds.kind == "spot" and order.status == "rejected" and not order.attempts
    )


def _paired(
    entry: Order, stop: OrderRequested, targets: Sequence[OrderRequested], *, instrument: Instrument
) -> Iterator[OrderRequested]:
    """The stop in parts, each before the exit with which it is one order; those of the nearest target first."""
    left = stop.quantity or ZERO
    steps = [leg for leg in targets if leg.reason == "scale_out"]
    for number, step in zip(_numbers(entry.bracket, left, instrument.lot), steps, strict=False):
        group, quantity = _group(entry.order_id, number), step.quantity or ZERO
        left -= quantity
        yield replace(stop, quantity=quantity, oco_group=group)
        yield replace(step, oco_group=group)
    if left > 0:
        group = _group(entry.order_id, _MAIN)
        yield replace(stop, quantity=left, oco_group=group)
        for leg in targets:
            if leg.reason != "scale_out":
                yield replace(leg, oco_group=group)


def _numbers(bracket: Bracket | None, quantity: Decimal, lot: Decimal) -> list[int]:
    """Which of the bracket's scale-outs are large enough to be orders."""
    steps = bracket.scale_out if bracket is not None else ()
    return [number for number, step in enumerate(steps, start=1) if floor_to_step(step.share * quantity, lot) > 0]


def _extended(
    entry: Order, placed: Sequence[Order], at: datetime, *, held: Decimal, instrument: Instrument
) -> Iterator[OrderAmended]:
    """What is held beyond what the pairs stand for, shared out among those that work; the last takes what is left."""
    pairs: dict[int, list[Order]] = {}
    for order in placed:
        pairs.setdefault(_number(order), []).append(order)
    new = held - sum((max(order.quantity_open for order in pair) for pair in pairs.values()), ZERO)
    if new <= 0:
        return
    last = _MAIN if _MAIN in pairs else max(pairs)
    more = dict.fromkeys(pairs, ZERO)
    for number, step in enumerate(entry.bracket.scale_out if entry.bracket else (), start=1):
        if number in pairs and number != last:
            more[number] = floor_to_step(step.share * new, instrument.lot)
    more[last] = new - sum(more.values(), ZERO)
    for number, pair in pairs.items():
        for order in pair:
            if more[number] > 0:
                quantity = (order.quantity or ZERO) + more[number]
                yield OrderAmended(order_id=order.order_id, at=at, reason="the entry traded more", quantity=quantity)


def _of_others(entry: Order, working: Sequence[Order]) -> Decimal:
    """What the exits of other entries stand for."""
    others = [order for order in working if order.reduce_only and order.parent_id not in {None, entry.order_id}]
    return sum((order.quantity_open for order in others if order.kind in PROTECTIVE_KINDS), ZERO)


def _group(entry_id: OrderId, number: int) -> str:
    return f"{entry_id}/{number}"


def _number(order: Order) -> int:
    return int(order.oco_group.rpartition("/")[2] or _MAIN)
