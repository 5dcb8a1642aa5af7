"""What the contract tests of the event log share: new events, and what is stored of them."""

from datetime import UTC, datetime
from typing import cast

from events.bot import BotPaused, BotStarted
from events.commit import BatchLog, GroupCommitLog
from events.encoded import EncodedCommand, EncodedEvent
from events.envelope import Fact, NewEvent
from events.identifiers import StreamId, new_event_id
from events.log import ANY_VERSION, Appended, EventLog

STREAM = StreamId("bot-1")
OTHER = StreamId("bot-2")


def event(fact: Fact | None = None) -> NewEvent:
    """A new event with an id of its own."""
    return NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=fact or BotStarted())


def events(count: int) -> list[NewEvent]:
    """So many different new events."""
    return [event(BotPaused(reason=f"pause {number}")) for number in range(count)]


async def stored(log: EventLog) -> list[tuple[int, StreamId, int]]:
    """Position, stream and version of everything in the log."""
    return [(found.position, found.stream, found.version) for found in await log.read_all(limit=10_000)]


async def append_bytes(log: EventLog, stream: StreamId, *contents: tuple[str, int, bytes]) -> None:
    """Append events of these types, schema versions and payloads, whatever they are: as another program might have."""
    beneath = log._log if isinstance(log, GroupCommitLog) else cast("BatchLog", log)
    now = datetime.now(UTC)
    written = [EncodedEvent(new_event_id(), *content[:2], now, content[2], b"\x80") for content in contents]
    [outcome] = await beneath.append_encoded([EncodedCommand(stream, ANY_VERSION, written)])
    assert isinstance(outcome, Appended), outcome
