"""The statuses of an order and the one table that says which fact may follow which, and where it leads."""

from collections.abc import Mapping
from typing import Literal, assert_never

from events.bot import (
    OrderAccepted,
    OrderAmended,
    OrderAmendRequested,
    OrderCancelled,
    OrderCancelRejected,
    OrderCancelRequested,
    OrderExpired,
    OrderFilled,
    OrderInDoubt,
    OrderProgress,
    OrderRejected,
    OrderSubmitted,
    OrderTriggered,
)

OrderStatus = Literal[
    "requested", "submitted", "accepted", "triggered", "partially_filled", "pending_cancel", "in_doubt",
    "filled", "cancelled", "rejected", "expired",
]  # fmt: skip
OrderEvent = Literal[
    "submitted", "accepted", "rejected", "in_doubt", "triggered", "amend_requested", "amended",
    "cancel_requested", "cancel_rejected", "filled_in_part", "filled_in_full", "cancelled", "expired",
]  # fmt: skip
Step = OrderStatus | Literal["as_before"]
"""The status that a fact leads to; "as_before" is what the order was before a cancel, a doubt or a replacement."""

CLOSED: frozenset[OrderStatus] = frozenset({"filled", "cancelled", "rejected", "expired"})

_ENDS: Mapping[OrderEvent, Step] = {
    "rejected": "rejected",
    "filled_in_full": "filled",
    "cancelled": "cancelled",
    "expired": "expired",
}
_WORKS: Mapping[OrderEvent, Step] = {
    **_ENDS,
    "in_doubt": "in_doubt",
    "cancel_requested": "pending_cancel",
    "filled_in_part": "partially_filled",
}
LEGAL: Mapping[OrderStatus, Mapping[OrderEvent, Step]] = {
    "requested": {
        **_WORKS,
        "submitted": "submitted",
        "accepted": "accepted",
        "triggered": "triggered",
        "amended": "requested",
        "amend_requested": "requested",
    },
    "submitted": {
        **_WORKS,
        "submitted": "submitted",
        "accepted": "as_before",
        "triggered": "triggered",
        "amended": "submitted",
        "amend_requested": "submitted",
    },
    "accepted": {
        **_WORKS,
        "submitted": "submitted",
        "accepted": "accepted",
        "triggered": "triggered",
        "amended": "accepted",
        "amend_requested": "accepted",
    },
    # What the venue says of an earlier step may come late; it then says nothing new.
    "triggered": {**_WORKS, "accepted": "triggered", "amended": "triggered", "amend_requested": "triggered"},
    "partially_filled": {
        **_WORKS,
        "submitted": "submitted",
        "accepted": "partially_filled",
        "triggered": "partially_filled",
        "amended": "partially_filled",
        "amend_requested": "partially_filled",
    },
    "pending_cancel": {
        **_ENDS,
        "accepted": "pending_cancel",
        "in_doubt": "in_doubt",
        "triggered": "pending_cancel",
        "amended": "pending_cancel",
        "cancel_rejected": "as_before",
        "filled_in_part": "pending_cancel",
    },
    "in_doubt": {
        **_ENDS,
        "submitted": "submitted",
        "accepted": "as_before",
        "in_doubt": "in_doubt",
        "amend_requested": "in_doubt",
        "cancel_requested": "in_doubt",
        "filled_in_part": "as_before",
    },
    "filled": {"filled_in_part": "filled", "filled_in_full": "filled", "cancel_rejected": "filled"},
    "cancelled": {"filled_in_part": "cancelled", "filled_in_full": "cancelled"},
    "rejected": {"filled_in_part": "rejected", "filled_in_full": "rejected", "cancel_rejected": "rejected"},
    "expired": {"filled_in_part": "expired", "filled_in_full": "expired", "cancel_rejected": "expired"},
}
"""Every legal step; what is not here is refused, with the reason that ``refused_step`` gives."""

_REFUSALS: Mapping[OrderStatus, str] = {
    "requested": "no cancel was asked for",
    "submitted": "no cancel was asked for",
    "accepted": "no cancel was asked for",
    "triggered": "no cancel was asked for",
    "partially_filled": "no cancel was asked for",
    "pending_cancel": "a cancel was asked for already",
    "in_doubt": "a doubt ends only when the venue says accepted, rejected, filled, cancelled or expired",
    "filled": "it has traded in full",
    "cancelled": "after a cancel only a late fill may follow",
    "rejected": "the venue refused it",
    "expired": "after its end only a late fill may follow",
}


def refused_step(status: OrderStatus, event: OrderEvent, *, live: bool = False) -> str | None:
    """Why the event may not follow the status; None if it may.

    A real venue's fills come in any order and count whatever it said before; a paper venue has no such excuse.
    """
    late = status in {"filled", "rejected"} and event in {"filled_in_part", "filled_in_full"}
    if event in LEGAL[status] and (live or not late):
        return None
    if status == "triggered" and event in {"triggered", "submitted"}:
        return "its trigger was reached before"
    return _REFUSALS[status]


def event_of(fact: OrderProgress) -> OrderEvent:
    """The fact's column in the table."""
    match fact:
        case OrderSubmitted():
            return "submitted"
        case OrderAccepted():
            return "accepted"
        case OrderRejected():
            return "rejected"
        case OrderInDoubt():
            return "in_doubt"
        case OrderTriggered():
            return "triggered"
        case OrderAmendRequested():
            return "amend_requested"
        case OrderAmended():
            return "amended"
        case OrderCancelRequested():
            return "cancel_requested"
        case OrderCancelRejected():
            return "cancel_rejected"
        case OrderFilled():
            return "filled_in_full" if fact.complete else "filled_in_part"
        case OrderCancelled():
            return "cancelled"
        case OrderExpired():
            return "expired"
        case _:
            assert_never(fact)
