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
AccountName = NewType("AccountName", str)
Symbol = NewType("Symbol", str)
AdviceId = NewType("AdviceId", str)
CallId = NewType("CallId", str)

OwnerId = NewType("OwnerId", str)
"""Whose a bot is: a user's id, or ``HOUSE``."""

HOUSE = OwnerId("")
"""What no single user owns is the house's."""

ModelName = NewType("ModelName", str)
"""The name under which an installation knows a model; which provider's model that is, its table of models says."""

BodyHash = NewType("BodyHash", str)
"""The SHA-256, in lower-case hexadecimal, under which a prompt, an answer or a news item is stored once."""

BOT_STREAM_PREFIX = "bot-"
FLEET_STREAM_PREFIX = "fleet-"
ACCOUNT_STREAM_PREFIX = "account-"
VENUE_STREAM_PREFIX = "venue-"
NEWS_STREAM_PREFIX = "news-"
MODELS_STREAM = StreamId("models")


def new_event_id() -> EventId:
    """A fresh UUIDv7: time-ordered, so that the unique index grows at its right edge."""
    return EventId(uuid7())


def bot_stream(bot_id: BotId) -> StreamId:
    """The one stream that holds everything about a bot."""
    return StreamId(f"{BOT_STREAM_PREFIX}{bot_id}")


def fleet_stream(fleet: FleetName) -> StreamId:
    """The one stream of what concerns a fleet as a whole."""
    return StreamId(f"{FLEET_STREAM_PREFIX}{fleet}")


def account_stream(account: AccountName) -> StreamId:
    """The one stream of what concerns an account at a venue as a whole."""
    return StreamId(f"{ACCOUNT_STREAM_PREFIX}{account}")


def venue_stream(venue: VenueName) -> StreamId:
    """The one stream of what is known of a venue's market: its outages and gaps."""
    return StreamId(f"{VENUE_STREAM_PREFIX}{venue}")


def news_stream(source: str) -> StreamId:
    """The one stream of what a source of news published."""
    return StreamId(f"{NEWS_STREAM_PREFIX}{source}")
