"""The envelope around a fact: which stream, which version, which position, when, and because of what."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from events.account import AccountFact
from events.alerts import AlertFact
from events.bot import BotFact
from events.fleet import FleetFact
from events.identifiers import EventId, StreamId
from events.models import ModelFact
from events.news import NewsFact
from events.security import SecurityFact
from events.system import SystemFact
from events.user import UserFact
from events.venue import VenueFact

Fact = (
    BotFact
    | FleetFact
    | AccountFact
    | VenueFact
    | UserFact
    | SystemFact
    | ModelFact
    | NewsFact
    | SecurityFact
    | AlertFact
)


class Metadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who appended an event and what led to it; never anything that a fold needs."""

    actor: str = ""
    correlation_id: UUID | None = None
    causation_id: UUID | None = None


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A fact on its way into the log; its id is made once and kept through every retry."""

    event_id: EventId
    occurred_at: datetime
    fact: Fact
    metadata: Metadata = Metadata()


class RecordedEvent(NamedTuple):
    """A fact as the log holds it. Versions count from 1 in a stream, positions from 1 in the log, both without gaps."""

    position: int
    stream: StreamId
    version: int
    event_id: EventId
    event_type: str
    occurred_at: datetime
    recorded_at: datetime
    fact: Fact
    metadata: Metadata
