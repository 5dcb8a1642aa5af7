"""What of the log a person is told at once, and in which words. Pure: the same event is always the same notice."""

from datetime import datetime

import msgspec

from events.bot import OrderRequested
from events.codec import FACT_TYPES
from events.envelope import RecordedEvent
from oxbot.views.meanings import Level, meaning_of

__all__ = ["NOTABLE", "OF_ORDERS", "Level", "Notice", "notice_of"]


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

OF_THE_WATCH = ("alert.raised", "alert.cleared")

NOTABLE = (*OF_ORDERS, *OF_BOTS, *OF_VENUES, *OF_THE_WATCH)
"""The tags of all facts that make a notice."""

_NOTABLE = frozenset(FACT_TYPES[tag] for tag in NOTABLE)
_OF_ORDERS = frozenset(FACT_TYPES[tag] for tag in OF_ORDERS)


def notice_of(event: RecordedEvent, *, who: str, request: OrderRequested | None = None) -> Notice | None:
    """The notice, or None for an event that makes none.

    ``who`` is the name under which people know the event's stream; an order's fact needs its ``request``.
    """
    if type(event.fact) not in _NOTABLE or (type(event.fact) in _OF_ORDERS and request is None):
        return None
    meaning = meaning_of(event.fact, request)
    if meaning is None:
        return None
    line = f"{who}: {meaning.words}"
    return Notice(key=event.event_id.hex, position=event.position, at=event.recorded_at, level=meaning.level, line=line)
