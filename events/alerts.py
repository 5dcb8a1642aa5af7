"""The facts of what a watch measured that no other fact says: projections that lag, bots that fail, late feeds."""

from decimal import Decimal
from typing import Literal

from events.identifiers import OwnerId, StreamId
from events.values import Timestamp, Value

ALERTS_STREAM = StreamId("alerts")

WatchedRule = Literal["projection_stopped", "projection_lag", "bot_failing", "slow_cycle", "feed_late", "doubt_lasts"]


class AlertRaised(Value, frozen=True, kw_only=True, tag="alert.raised"):
    """A measured ``value`` is beyond the rule's ``threshold``, of that ``subject``; told once until it is cleared.

    A subject that begins with ``bot-`` is a bot's stream. ``owner``: whose it is, empty for everybody's; without one it
    is for administrators.
    """

    at: Timestamp
    rule: WatchedRule
    subject: str
    value: Decimal | None = None
    threshold: Decimal | None = None
    words: str = ""
    owner: OwnerId | None = None


class AlertCleared(Value, frozen=True, kw_only=True, tag="alert.cleared"):
    """It has been well again for a while; ``owner`` as in what raised it."""

    at: Timestamp
    rule: WatchedRule
    subject: str
    owner: OwnerId | None = None


AlertFact = AlertRaised | AlertCleared
