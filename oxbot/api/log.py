"""The log itself: its signed checkpoints, its events as they are stored, and the proof that an event is in it."""

import re
from datetime import datetime

import msgspec
from starlette.responses import Response

from events.codec import UNREADABLE, Codec
from events.encoded import StoredEvent
from events.identifiers import EventId
from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.paging import LogPageQuery, Page, page, read_cursor
from oxbot.app.audit_proof import Inclusion, NotSealed, UnknownPosition
from oxbot.app.checkpoints import RecordedCheckpoint

CHECKPOINTS = "checkpoints"

_POSITION = re.compile(r"[1-9][0-9]{0,18}")
_POSITION_MAX = (1 << 63) - 1

_codec = Codec()


class CheckpointAt(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint: the Merkle root, in base64, over the first ``tree_size`` events, as a signed C2SP note."""

    position: int
    recorded_at: datetime
    tree_size: int
    root: str
    note: str


class EventAt(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is stored, bytes in base64; ``fact`` is its payload decoded, or null where that cannot be."""

    position: int
    stream: str
    version: int
    event_id: EventId
    event_type: str
    schema_version: int
    occurred_at: datetime
    recorded_at: datetime
    payload: bytes
    metadata: bytes
    prev_hash: bytes
    leaf_hash: bytes
    fact: msgspec.Raw


async def list_checkpoints(call: Call[LogPageQuery, Nothing]) -> Response:
    """A page of the recorded checkpoints that are not archived, the newest first."""
    cursor = read_cursor(CHECKPOINTS, call.query.cursor)
    before = _number(cursor) if cursor else None
    found = await call.services.checkpoints.before(before, call.query.limit + 1)
    rows = [(str(one.position), msgspec.json.encode(_checkpoint(one))) for one in found]
    return page(rows, limit=call.query.limit, listing=CHECKPOINTS)


async def latest_checkpoint(call: Call[Nothing, Nothing]) -> Response:
    """The newest checkpoint's note, to the letter."""
    newest = (await call.services.checkpoints.tail()).newest
    if newest is None:
        raise NotSealed("the log holds no checkpoint yet")
    return Response(newest.fact.note, media_type="text/plain")


async def show_event(call: Call[Nothing, Nothing]) -> Response:
    """One event."""
    return answer(_event(await call.services.prover.event(_position(call))))


async def prove_event(call: Call[Nothing, Nothing]) -> Response:
    """The proof of one event under the newest checkpoint."""
    return answer(await call.services.prover.prove(_position(call)))


OPERATIONS: tuple[Operation, ...] = (
    operation(
        list_checkpoints,
        name="list_checkpoints",
        method="GET",
        path=f"{PREFIX}/log/checkpoints",
        least="viewer",
        of="installation",
        summary="The log's signed checkpoints, the newest first, as far as they are not archived.",
        query=LogPageQuery,
        body=Nothing,
        answer=Page[CheckpointAt],
    ),
    operation(
        latest_checkpoint,
        name="latest_checkpoint",
        method="GET",
        path=f"{PREFIX}/log/checkpoints/latest",
        least="viewer",
        of="installation",
        summary="The newest checkpoint as its signed C2SP note, to be kept where nobody can change it.",
        query=Nothing,
        body=Nothing,
        answer=str,
        media_type="text/plain",
        problems=(409,),
    ),
    operation(
        show_event,
        name="show_event",
        method="GET",
        path=f"{PREFIX}/log/events/{{position}}",
        least="admin",
        of="installation",
        summary="The event at a position of the log, as it is stored.",
        query=Nothing,
        body=Nothing,
        answer=EventAt,
        problems=(410,),
    ),
    operation(
        prove_event,
        name="prove_event",
        method="GET",
        path=f"{PREFIX}/log/events/{{position}}/proof",
        least="admin",
        of="installation",
        summary="The proof that the event is in the log, for `oxbot audit check-proof` or any RFC 6962 verifier.",
        query=Nothing,
        body=Nothing,
        answer=Inclusion,
        problems=(409, 410),
    ),
)


def _position(call: Call[Nothing, Nothing]) -> int:
    return _number(call.request.path_params["position"])


def _number(text: str) -> int:
    """The position that a path or a cursor names. Raises ``UnknownPosition`` for what can be none."""
    number = int(text) if _POSITION.fullmatch(text) else 0
    if not 0 < number <= _POSITION_MAX:
        raise UnknownPosition("the log has no event at such a position")
    return number


def _checkpoint(recorded: RecordedCheckpoint) -> CheckpointAt:
    fact = recorded.fact
    return CheckpointAt(
        position=recorded.position,
        recorded_at=recorded.recorded_at,
        tree_size=fact.tree_size,
        root=fact.root,
        note=fact.note,
    )


def _event(event: StoredEvent) -> EventAt:
    try:
        fact = msgspec.json.encode(_codec.decode(event.event_type, event.schema_version, event.payload))
    except UNREADABLE:
        fact = b"null"
    return EventAt(**event._asdict(), fact=msgspec.Raw(fact))
