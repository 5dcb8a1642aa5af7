"""The log in pages: all of it by position, and each stream by version."""

from datetime import datetime
from hashlib import sha256
from typing import Annotated

import msgspec
from starlette.responses import Response

from events.codec import FACT_TYPES
from events.encoded import StoredEvent
from events.envelope import Metadata
from events.identifiers import EventId, StreamId
from events.log import STREAM_NAME_BYTES_MAX
from oxbot.api.as_of import AsOf
from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.paging import LogPageQuery, Page, part, read_cursor, write_cursor
from oxbot.api.problems import Problem
from oxbot.api.reading import POSITION_HEADER, POSITION_MAX
from oxbot.app.log_pages import Logged, LogPage, UnknownStream

_After = Annotated[int, msgspec.Meta(ge=0, le=POSITION_MAX, description="Begin after this position.")]
_AfterVersion = Annotated[int, msgspec.Meta(ge=0, le=POSITION_MAX, description="Begin after this version.")]
_Stream = Annotated[
    str, msgspec.Meta(max_length=STREAM_NAME_BYTES_MAX, description="Only events of this stream, such as `bot-ID`.")
]
_Type = Annotated[str, msgspec.Meta(max_length=100, description="Only facts of this type, such as `order.filled`.")]


class LogQuery(LogPageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of the log: after a position, and until another or a moment; up to its end unless given."""

    after: _After = 0
    until: AsOf = msgspec.UNSET
    stream: _Stream = ""
    kind: _Type = msgspec.field(default="", name="type")


class StreamPageQuery(LogPageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of a stream."""

    after: _AfterVersion = 0
    kind: _Type = msgspec.field(default="", name="type")


class LoggedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the log; ``fact`` and ``metadata`` are null where this program cannot decode them.

    `/log/events/{position}` has it byte by byte, with its hashes.
    """

    position: int
    stream: str
    version: int
    event_id: EventId
    type: str
    occurred_at: datetime
    recorded_at: datetime
    metadata: Metadata | None
    fact: msgspec.Raw


class StreamStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A stream: its version, which counts its events from 1 on, and the position and time of the newest of them."""

    stream: str
    version: int
    events: int
    position: int
    recorded_at: datetime


async def list_events(call: Call[LogQuery, Nothing]) -> Response:
    """A page by position, in order of position."""
    query, log = call.query, call.services.reads.log_pages
    _check_kind(query.kind)
    listing = _listing("events", query.after, query.stream, query.kind, str(query.until))
    key = _number(read_cursor(listing, query.cursor))
    last = await _last(call)
    if not query.stream:
        found = await log.by_position(after=key or query.after, last=last, limit=query.limit, kind=query.kind)
        return _page(found, listing, position=found.through)
    stream = StreamId(query.stream)
    if key is None:
        await log.newest(stream)
    version = await log.version_at(stream, query.after) if key is None else key
    found = await log.by_version(stream, after=version, last=last, limit=query.limit, kind=query.kind)
    return _page(found, listing, position=max(last, query.after) if found.ended else _last_of(found))


async def show_stream(call: Call[Nothing, Nothing]) -> Response:
    """How far a stream is."""
    newest = await call.services.reads.log_pages.newest(_stream(call.request.path_params["stream"]))
    standing = StreamStanding(
        stream=newest.stream,
        version=newest.version,
        events=newest.version,
        position=newest.position,
        recorded_at=newest.recorded_at,
    )
    return answer(standing, headers={POSITION_HEADER: str(newest.position)})


async def list_stream_events(call: Call[StreamPageQuery, Nothing]) -> Response:
    """A page of a stream, in order of version."""
    query, log = call.query, call.services.reads.log_pages
    _check_kind(query.kind)
    stream = _stream(call.request.path_params["stream"])
    listing = _listing("stream", query.after, stream, query.kind)
    key = _number(read_cursor(listing, query.cursor))
    last = (await log.newest(stream)).position
    after = query.after if key is None else key
    found = await log.by_version(stream, after=after, last=last, limit=query.limit, kind=query.kind)
    return _page(found, listing, position=last if found.ended else _last_of(found))


OPERATIONS: tuple[Operation, ...] = (
    operation(
        list_events,
        name="list_events",
        method="GET",
        path=f"{PREFIX}/log/events",
        least="admin",
        of="installation",
        summary="The log's events in order of position: all of them, or those of a stream, of a type, up to a moment.",
        query=LogQuery,
        body=Nothing,
        answer=Page[LoggedEvent],
        problems=(404, 410, 422),
    ),
    operation(
        show_stream,
        name="show_stream",
        method="GET",
        path=f"{PREFIX}/log/streams/{{stream}}",
        least="admin",
        of="installation",
        summary="How many events a stream of the log has, and where the newest is.",
        query=Nothing,
        body=Nothing,
        answer=StreamStanding,
        problems=(410,),
    ),
    operation(
        list_stream_events,
        name="list_stream_events",
        method="GET",
        path=f"{PREFIX}/log/streams/{{stream}}/events",
        least="admin",
        of="installation",
        summary="The events of a stream of the log in order of version.",
        query=StreamPageQuery,
        body=Nothing,
        answer=Page[LoggedEvent],
        problems=(410, 422),
    ),
)
"""For whom single events are, and nobody else; so nothing has to be left out of a page."""


async def _last(call: Call[LogQuery, Nothing]) -> int:
    """The last position that is asked for, of those that there are."""
    head, until = await call.services.projections.head(), call.query.until
    if until is msgspec.UNSET:
        return head
    return min(head, await call.services.projections.position_at(until) if isinstance(until, datetime) else until)


def _stream(name: str) -> StreamId:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        size = 0
    if not 0 < size <= STREAM_NAME_BYTES_MAX or "\x00" in name:
        raise UnknownStream("the log has no such stream")
    return StreamId(name)


def _check_kind(kind: str) -> None:
    if kind and kind not in FACT_TYPES:
        raise Problem(422, f"query: there are no facts of type {kind}")


def _listing(*asked: object) -> str:
    """What a cursor belongs to; as a digest, since a stream's name may be long."""
    return f"{asked[0]} {sha256(msgspec.json.encode(asked[1:])).hexdigest()[:32]}"


def _number(key: str) -> int | None:
    """The position or version after which to go on; ``Problem`` 400 for a cursor that was made by somebody else."""
    if not key:
        return None
    if not (key.isascii() and key.isdecimal()) or int(key) > POSITION_MAX:
        raise Problem(400, "query: the cursor is malformed")
    return int(key)


def _page(found: LogPage, listing: str, *, position: int | None) -> Response:
    """The page; all that was asked for up to ``position`` is on it or on those before."""
    cursor = None if found.ended else write_cursor(listing, str(found.through))
    response = part([msgspec.json.encode(_logged(event)) for event in found.events], cursor)
    if position is not None:
        response.headers[POSITION_HEADER] = str(position)
    return response


def _last_of(found: LogPage) -> int | None:
    return found.events[-1].position if found.events else None


def _logged(event: Logged) -> LoggedEvent:
    fact, metadata = None, None
    if isinstance(event, StoredEvent):
        try:
            metadata = msgspec.json.decode(event.metadata, type=Metadata)
        except msgspec.MsgspecError:
            metadata = None
    else:
        fact, metadata = event.fact, event.metadata
    return LoggedEvent(
        position=event.position,
        stream=event.stream,
        version=event.version,
        event_id=event.event_id,
        type=event.event_type,
        occurred_at=event.occurred_at,
        recorded_at=event.recorded_at,
        metadata=metadata,
        fact=msgspec.Raw(msgspec.json.encode(fact)),
    )
