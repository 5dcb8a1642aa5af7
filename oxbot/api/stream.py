"""The log as it grows, over HTTP: server-sent events, resumed by position."""

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from events.codec import FACT_TYPES
from events.identifiers import BotId
from oxbot.api.bodies import Nothing
from oxbot.api.meters import Meters, Transport
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.problems import Problem
from oxbot.api.reading import POSITION_MAX
from oxbot.api.services import Services
from oxbot.api.stream_frames import server_sent
from oxbot.api.tokens import SignedIn
from oxbot.app.listener import Ended, Listener, LiveEvent, Message, Wanted
from oxbot.app.live_stream import TooManyListeners
from oxbot.app.stream_access import may_see

PATH = f"{PREFIX}/stream"
MEDIA_TYPE = "text/event-stream"
RETRY_SECONDS = 5
BODY_BYTES = 32 * 1024
"""What is written at once ends with the event that makes it so much."""

NAMED_MAX = 100
"""Bots, or types, that one stream may name."""

_HEADERS = {
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
}
"""No cache may keep it; no proxy may compress it, or keep it back until it has more of it."""

_GREETING = b"retry: 2000\n\n"
_POSITION = re.compile(r"[0-9]{1,19}")

_log = structlog.get_logger(__name__)


_After = Annotated[
    int,
    msgspec.Meta(
        ge=0,
        le=2**63 - 1,
        description="Begin after this position; the log's end unless given. `Last-Event-ID` goes before.",
    ),
]


class StreamQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From where on, and of what."""

    after: _After | msgspec.UnsetType = msgspec.UNSET
    bots: Annotated[
        str, msgspec.Meta(max_length=8192, description="Ids of bots, with commas between; only what happens to them.")
    ] = ""
    types: Annotated[
        str, msgspec.Meta(max_length=8192, description="Types of facts, with commas between; only these.")
    ] = ""


async def follow_log(call: Call[StreamQuery, Nothing]) -> Response:
    """The stream; only what there is by now for whoever does not say that he accepts event streams."""
    query, request = call.query, call.request
    wanted = what(call.services, call.signed_in, bots=_names(query.bots, "bots"), types=_names(query.types, "types"))
    after = _after(request, None if query.after is msgspec.UNSET else query.after)
    follow = MEDIA_TYPE in request.headers.get("accept", "")
    listening = listen(call.services, wanted, call.signed_in, after=after, follow=follow)
    return EventStreamResponse(listening)


def what(services: Services, user: SignedIn, *, bots: Collection[str], types: Collection[str]) -> Wanted:
    """What a user is to get who asks for these bots and types. ``Problem`` 400 for a type that is none."""
    for kind in types:
        if kind not in FACT_TYPES:
            raise Problem(400, f"there are no facts of type {kind}")

    def seen(event: LiveEvent) -> bool:
        return may_see(user, event)

    def signed_in() -> bool:
        return still_signed_in(services, user)

    return Wanted(seen, signed_in, frozenset(map(BotId, bots)), frozenset(types))


def still_signed_in(services: Services, user: SignedIn) -> bool:
    """Whether what the user signed in with is still good."""
    if user.expires_at is not None and user.expires_at <= datetime.now(UTC):
        return False
    return services.revocations.allows(user.user_id, user.version, user.means)


@asynccontextmanager
async def listen(
    services: Services, wanted: Wanted, user: SignedIn, *, after: int | None, follow: bool = True
) -> AsyncIterator[Listener]:
    """A listener for the user. ``Problem`` 400, 429 or 503 for one that there cannot be, or not now."""
    if after is not None and after > POSITION_MAX:
        raise Problem(400, f"after: there is no position {after}")
    try:
        async with services.stream.listen(wanted, user_id=user.user_id, after=after, follow=follow) as listener:
            yield listener
    except TooManyListeners as error:
        retry = {"Retry-After": str(RETRY_SECONDS)}
        kind = None if error.of_user else "busy"
        raise Problem(429 if error.of_user else 503, str(error), headers=retry, kind=kind) from error


def report_end(listener: Listener, ended: Ended | None, transport: Transport) -> None:
    """Say in the program's own log that a stream has ended, and why."""
    _log.info(
        "stream_ended", transport=transport, why="gone" if ended is None else ended.why, position=listener.position
    )


class EventStreamResponse(StreamingResponse):
    """Sends what a listener gets, until either end has had enough."""

    media_type = MEDIA_TYPE

    def __init__(self, listening: AbstractAsyncContextManager[Listener]) -> None:
        super().__init__((), headers=_HEADERS)
        self._listening = listening

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises what ``listen`` does, before anything was sent."""
        meters: Meters = scope["app"].state.meters
        async with self._listening as listener, asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(_watch(receive, listener))
            with meters.streaming("sse"):
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                report_end(listener, await _send_all(listener, send), "sse")
            watching.cancel()


async def _send_all(listener: Listener, send: Send) -> Ended | None:
    await send({"type": "http.response.body", "body": _GREETING, "more_body": True})
    ended: Ended | None = None
    async for messages in listener.messages():
        last = messages[-1]
        ended = last if isinstance(last, Ended) else None
        if ended is not None and ended.why in ("gone", "finished"):
            break
        for body in _bodies(messages):
            await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    return ended


def _bodies(messages: Sequence[Message]) -> Iterator[bytes]:
    """The messages together, but no more of them than fit into one that waits for a slow client."""
    frames: list[bytes] = []
    size = 0
    for message in messages:
        frames.append(server_sent(message))
        size += len(frames[-1])
        if size >= BODY_BYTES:
            yield b"".join(frames)
            frames, size = [], 0
    if frames:
        yield b"".join(frames)


async def _watch(receive: Receive, listener: Listener) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.end("gone")


def _after(request: Request, after: int | None) -> int | None:
    """From where on: what the client saw last goes before what its query says."""
    seen = request.headers.get("last-event-id")
    if seen is not None:
        if _POSITION.fullmatch(seen) is None:
            raise Problem(400, "Last-Event-ID: not a position of the log")
        return int(seen)
    return after


def _names(text: str, field: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    if len(names) > NAMED_MAX:
        raise Problem(400, f"query: {field} names more than {NAMED_MAX}")
    return names


OPERATIONS: tuple[Operation, ...] = (
    operation(
        follow_log,
        name="follow_log",
        method="GET",
        path=PATH,
        least="viewer",
        of="bots",
        summary="What is recorded as it happens, as server-sent events: send `Accept: text/event-stream` to stay.",
        query=StreamQuery,
        body=Nothing,
        answer=str,
        media_type=MEDIA_TYPE,
        problems=(409, 410, 429, 503),
    ),
)
