"""What of the log a person is told at once, and in which words. Pure: the same event is always the same notice."""

from datetime import datetime
from typing import Literal

import msgspec

from events.account import (
    AccountDisarmed,
    AccountKillDone,
    AccountReconciled,
    AccountUnreconciled,
    StrangerSeen,
)
from events.bot import (
    BotHalted,
    OrderFilled,
    OrderInDoubt,
    OrderRejected,
    OrderRequested,
    PositionLiquidated,
    TradingStateTripped,
)
from events.envelope import RecordedEvent
from events.venue import MarketGapFound, MarketRecovered, MarketStale
from oxbot.core.money import text

Level = Literal["info", "warning", "failure"]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One line for a person. ``key`` is the event's own id, so whoever gets it twice can tell.

    ``at`` is when it was recorded, by the clock of people: a market's own may be another.
    """

    key: str
    position: int
    at: datetime
    level: Level
    line: str


OF_ORDERS = ("order.filled", "order.in_doubt", "order.rejected")
"""Facts that can only be told of with the request that they belong to."""

OF_BOTS = ("bot.halted", "trading_state.tripped", "position.liquidated")

OF_VENUES = (
    "account.disarmed", "account.kill_done", "account.reconciled", "account.unreconciled", "account.stranger_seen",
    "market.stale", "market.gap_found", "market.recovered",
)  # fmt: skip

NOTABLE = (*OF_ORDERS, *OF_BOTS, *OF_VENUES)
"""The tags of all facts that make a notice."""


def notice_of(event: RecordedEvent, *, who: str, request: OrderRequested | None = None) -> Notice | None:
    """The notice, or None for an event that makes none.

    ``who`` is the name under which people know the event's stream; an order's fact needs its ``request``.
    """
    told = _told(event, request)
    if told is None:
        return None
    level, line = told
    return Notice(
        key=event.event_id.hex, position=event.position, at=event.recorded_at, level=level, line=f"{who}: {line}"
    )


def _told(event: RecordedEvent, request: OrderRequested | None) -> tuple[Level, str] | None:
    fact = event.fact
    if isinstance(fact, OrderFilled | OrderInDoubt | OrderRejected):
        return None if request is None else _of_order(fact, request)
    match fact:
        case BotHalted():
            return "failure", f"halted by {fact.rule}: {fact.reason}"
        case TradingStateTripped():
            numbers = f"{fact.rule} {text(fact.value)}, limit {text(fact.limit)}"
            return "warning", f"{fact.state} since {numbers}"
        case PositionLiquidated():
            return "failure", f"{fact.side} {text(fact.quantity)} {fact.symbol} was liquidated at {text(fact.price)}"
        case _:
            return _of_venue(event)


def _of_order(fact: OrderFilled | OrderInDoubt | OrderRejected, request: OrderRequested) -> tuple[Level, str]:
    order = f"{request.kind.replace('_', ' ')} {request.side} {request.symbol} ({request.reason.replace('_', ' ')})"
    match fact:
        case OrderFilled():
            did = "bought" if request.side == "buy" else "sold"
            rest = "" if fact.complete else ", more to come"
            price = f"at {text(fact.price)}, {request.reason.replace('_', ' ')}"
            return "info", f"{did} {text(fact.quantity)} {request.symbol} {price}{rest}"
        case OrderInDoubt():
            return "warning", f"{order} is in doubt: {fact.reason}"
        case OrderRejected():
            return "warning", f"{order} was rejected: {fact.reason}"


def _of_venue(event: RecordedEvent) -> tuple[Level, str] | None:
    match event.fact:
        case AccountUnreconciled(reason=reason):
            return "failure", f"no entries until venue and log agree: {reason}"
        case AccountReconciled(fills_adopted=adopted):
            return "info", f"venue and log agree; {adopted} missing fills were adopted"
        case AccountDisarmed(reason=reason):
            return "warning", f"disarmed{f': {reason}' if reason else ''}"
        case AccountKillDone() as done:
            left = f"; still there: {', '.join(done.left)}" if done.left else "; nothing is left"
            counts = f"{done.cancelled} orders cancelled, {done.closed} positions closed"
            return "failure", f"kill switch ({done.policy}): {counts}{left}"
        case StrangerSeen() as seen if seen.quantity == 0:
            return "info", seen.words
        case StrangerSeen() as seen:
            return (
                "warning",
                f"a stranger's {seen.kind} at the venue, left alone: {seen.reference} {seen.words}".rstrip(),
            )
        case MarketStale() as stale:
            return "warning", f"{stale.symbol} {stale.timeframe}: no candle since {stale.expected:%Y-%m-%d %H:%M} UTC"
        case MarketGapFound() as gap:
            since, until = f"{gap.first:%Y-%m-%d %H:%M}", f"{gap.last:%Y-%m-%d %H:%M}"
            return "warning", f"{gap.symbol} {gap.timeframe}: the venue has no candles from {since} to {until} UTC"
        case MarketRecovered() as back:
            return "info", f"{back.symbol} {back.timeframe}: candles are complete again, {back.backfilled} came late"
        case _:
            return None
