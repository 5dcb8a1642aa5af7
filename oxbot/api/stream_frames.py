"""The live stream's messages as bytes: server-sent events, and the JSON of a WebSocket's messages."""

from datetime import datetime

import msgspec

from events.envelope import Fact, RecordedEvent
from events.subscription import CaughtUp
from oxbot.app.listener import Ended, Heartbeat, LiveEvent, Message, Unreadable

UNREADABLE = "unreadable"


class StreamedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the log, as it is streamed; ``fact`` is what it says, with its own ``type``."""

    position: int
    stream: str
    version: int
    type: str
    occurred_at: datetime
    recorded_at: datetime
    fact: Fact


class UnreadableEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that this server is too old to read."""

    position: int
    stream: str
    type: str


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """A position of the log."""

    position: int


class SocketMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a WebSocket's client gets: ``event`` names it, ``id`` is where to go on from."""

    event: str
    id: int
    data: msgspec.Raw


_encode = msgspec.json.Encoder().encode


def server_sent(message: Message) -> bytes:
    """The message as a server-sent event, whose id is where to go on from."""
    if isinstance(message, LiveEvent):
        return message.form(_event)
    name, position = _named(message)
    if isinstance(message, Heartbeat):
        # A block without data is no event, but moves the last event id on.
        return b": heartbeat\nid: %d\n\n" % position
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (position, name.encode(), _encode(Where(position=position)))


def socket_text(message: Message) -> str:
    """The message as a WebSocket's text."""
    if isinstance(message, LiveEvent):
        return message.form(_socket_event).decode()
    name, position = _named(message)
    data = msgspec.Raw(_encode(Where(position=position)))
    return _encode(SocketMessage(event=name, id=position, data=data)).decode()


def _event(event: LiveEvent) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.position, _name(event).encode(), event.form(_data))


def _socket_event(event: LiveEvent) -> bytes:
    return _encode(SocketMessage(event=_name(event), id=event.position, data=msgspec.Raw(event.form(_data))))


def _data(event: LiveEvent) -> bytes:
    found = event.event
    if isinstance(found, RecordedEvent):
        return _encode(
            StreamedEvent(
                position=found.position,
                stream=found.stream,
                version=found.version,
                type=found.event_type,
                occurred_at=found.occurred_at,
                recorded_at=found.recorded_at,
                fact=found.fact,
            )
        )
    return _encode(UnreadableEvent(position=found.position, stream=found.stream, type=found.event_type))


def _name(event: LiveEvent) -> str:
    return UNREADABLE if isinstance(event.event, Unreadable) else event.event.event_type


def _named(message: CaughtUp | Heartbeat | Ended) -> tuple[str, int]:
    match message:
        case CaughtUp(position):
            return "caught_up", position
        case Heartbeat(position):
            return "heartbeat", position
        case Ended(why, position):
            return why, position
