"""The identifiers that facts and envelopes carry, each a type of its own."""

from typing import NewType
from uuid import UUID

from uuid_utils.compat import uuid7

EventId = NewType("EventId", UUID)
StreamId = NewType("StreamId", str)
BotId = NewType("BotId", str)
DecisionId = NewType("DecisionId", str)
OrderId = NewType("OrderId", str)
FillId = NewType("FillId", str)
FleetName = NewType("FleetName", str)
VenueName = NewType("VenueName", str)
Symbol = NewType("Symbol", str)

BOT_STREAM_PREFIX = "bot-"
FLEET_STREAM_PREFIX = "fleet-"


def new_event_id() -> EventId:
    """A fresh UUIDv7: time-ordered, so that the unique index grows at its right edge."""
    return EventId(uuid7())


def bot_stream(bot_id: BotId) -> StreamId:
    """The one stream that holds everything about a bot."""
    return StreamId(f"{BOT_STREAM_PREFIX}{bot_id}")


def fleet_stream(fleet: FleetName) -> StreamId:
    """The one stream of what concerns a fleet as a whole."""
    return StreamId(f"{FLEET_STREAM_PREFIX}{fleet}")
