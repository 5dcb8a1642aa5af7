"""What sets a live bot apart: whose clock its facts tell, the exits it still owes, and what its venue has settled."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

import msgspec

from events.advice import AdviceLapsed, AdviceRequested, AdviceTaken
from events.bot import (
    BotFact,
    BotHalted,
    BotNoticed,
    DayOpened,
    DecisionMade,
    FundingSettled,
    HighWaterRaised,
    OrderCancelRequested,
    OrderDenied,
    OrderRequested,
    PositionLiquidated,
    TradingStateTripped,
)
from events.identifiers import OrderId, Symbol
from events.values import Instrument
from oxbot.core.market_view import CandleWindow
from oxbot.core.money import ZERO, ceil_to_step
from oxbot.core.orders import CLOSED, Order

LIVE_ORDERS_KEPT = 256
"""So many ended orders of a live bot are at hand for fills that come late, or twice."""

SETTLEMENTS_KEPT = 256

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Settlement(NamedTuple):
    """What a venue settles by itself, once for each symbol and moment, or trade."""

    kind: str
    symbol: Symbol
    at: datetime
    fill_id: str = ""


def of_cycle(fact: BotFact) -> bool:
    """Whether a live bot's own cycle said this, so that its ``at`` is a candle's open time and moves the cursor.

    All else comes from its venue, or from people, at times of their own.
    """
    match fact:
        case OrderRequested() | OrderCancelRequested():
            return fact.at_close
        case DecisionMade() | OrderDenied() | DayOpened() | HighWaterRaised() | TradingStateTripped() | BotNoticed():
            return True
        case AdviceRequested() | AdviceTaken() | AdviceLapsed():
            return True
        case BotHalted():
            return fact.at is not None
        case _:
            return False


def entry_lot(instrument: Instrument) -> Decimal:
    """The step of an entry's quantity at a venue: a perpetual is entered in whole contracts."""
    return ceil_to_step(instrument.lot, instrument.contract_size) if instrument.kind == "perpetual" else instrument.lot


def candle_of(moment: datetime, duration: timedelta) -> datetime:
    """The open time of the candle in which the moment lies."""
    return _EPOCH + (moment - _EPOCH) // duration * duration


def traded_in(order: Order, at: datetime, duration: timedelta) -> datetime:
    """The candle in which a live order traded at that moment of the venue's clock, however far that is behind ours.

    What was asked for at a candle's close cannot have traded before it.
    """
    candle = candle_of(at, duration)
    return max(candle, order.requested_at + duration) if order.at_close else candle


def owed_after(owed: Mapping[OrderId, Order], order: Order) -> dict[OrderId, Order]:
    """The exits that must be asked for again, after a fact about one: nobody wanted it to end, and it has not traded.

    What it still wanted is wanted on, and so is what it was to become when it traded in full before that.
    """
    others = {name: known for name, known in owed.items() if name != order.order_id}
    if not order.reduce_only or order.status not in CLOSED or order.cancel_requested_at is not None:
        return others
    if order.status == "filled" and (order.quantity_wanted or ZERO) <= (order.quantity or ZERO):
        return others
    wanted = msgspec.structs.replace(order, quantity=order.quantity_wanted, amending=None)
    return {**others, order.order_id: wanted} if wanted.quantity_open > 0 else others


def owed_without(owed: Mapping[OrderId, Order], request: OrderRequested) -> dict[OrderId, Order]:
    """The exits owed once one of them, or one that takes everything, was asked for again."""
    matching = [
        name
        for name, order in owed.items()
        if order.symbol == request.symbol and (order.reason, order.parent_id) == (request.reason, request.parent_id)
    ]
    return {name: order for name, order in owed.items() if name not in matching[:1]}


def settlement(fact: FundingSettled | PositionLiquidated) -> Settlement:
    """By what a settlement is known when it is reported again."""
    fill_id = fact.fill_id if isinstance(fact, PositionLiquidated) else ""
    return Settlement(str(fact.__struct_config__.tag), fact.symbol, fact.at, fill_id)


def missing_candles(window: CandleWindow, count: int, duration: timedelta) -> str:
    """Which candles the newest ``count`` of the window should have between them and have not, in words; or nothing."""
    times = [candle.open_time for candle in window.candles(min(count, len(window)))]
    for before, after in pairwise(times):
        if after - before != duration:
            first, last = before + duration, after - duration
            missing = f"{first:%Y-%m-%dT%H:%M:%SZ}"
            if last > first:
                missing += f" to {last:%Y-%m-%dT%H:%M:%SZ}"
            return f"the candles of its window have a gap: {missing}"
    return ""
