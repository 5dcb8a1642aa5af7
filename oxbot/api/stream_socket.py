"""The log as it grows, over a WebSocket: for clients that cannot read a response while it comes."""

import asyncio
from collections.abc import Collection
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from uuid_utils import uuid7

from events.errors import OxbotError
from oxbot.api.gate import bearer
from oxbot.api.meters import Meters
from oxbot.api.operations import authorise
from oxbot.api.problems import Problem, problem_of
from oxbot.api.services import Services
from oxbot.api.stream import NAMED_MAX, PATH, listen, report_end, what
from oxbot.api.stream_frames import socket_text
from oxbot.app.listener import Ended, Ending, Listener
from oxbot.app.live_stream import StreamLimits

SOCKET_PATH = f"{PATH}/ws"
HELLO_CHARACTERS_MAX = 16_384

REFUSED = 4000
"""With this and the status that the refusal had over HTTP, a socket is closed that is refused."""

_CODES: dict[Ending, int] = {"overrun": 1013, "signed_out": REFUSED + 401, "closing": 1012}

_Names = Annotated[list[str], msgspec.Meta(max_length=NAMED_MAX)]

_log = structlog.get_logger(__name__)


class Hello(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first and only message of a client; see the query of the stream."""

    access_token: str
    after: Annotated[int, msgspec.Meta(ge=0)] | None = None
    bots: _Names = []
    types: _Names = []


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a socket is closed again."""

    status: int
    detail: str


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The last message to a client that is refused."""

    event: str = "refused"
    data: Refusal


class StreamSockets:
    """Serves the stream over WebSockets to clients that present a token in time."""

    def __init__(self) -> None:
        self._strangers = 0

    async def serve(self, socket: WebSocket) -> None:
        """Serve one client."""
        limits: StreamLimits = socket.app.state.services.stream.limits
        if not _may_call(socket) or self._strangers >= limits.strangers_max:
            await socket.close(1008)
            return
        await socket.accept()
        with structlog.contextvars.bound_contextvars(request_id=uuid7().hex):
            try:
                await self._serve(socket)
            except WebSocketDisconnect:
                return
            except OxbotError as error:
                problem = problem_of(error)
                if problem is None:
                    raise
                await _refuse(socket, problem)

    async def _serve(self, socket: WebSocket) -> None:
        services: Services = socket.app.state.services
        meters: Meters = socket.app.state.meters
        self._strangers += 1
        try:
            hello = await _hello(socket, services.stream.limits.stranger_seconds)
        finally:
            self._strangers -= 1
        user = await bearer(services, hello.access_token)
        if user is None:
            raise Problem(401, "sign in and send the access token in the first message")
        authorise(user, "viewer")
        wanted = what(services, user, bots=hello.bots, types=hello.types)
        async with listen(services, wanted, user, after=hello.after) as listener, asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(_watch(socket, listener))
            try:
                with meters.streaming("websocket"):
                    ended = await _send_all(listener, socket)
            except WebSocketDisconnect:
                ended = None  # In the middle of a message; the watcher would have told the listener.
            report_end(listener, ended, "websocket")
            watching.cancel()


def _may_call(socket: WebSocket) -> bool:
    """Whether the page that opens the socket is this server's own, or an allowed one; scripts have no origin."""
    origin = socket.headers.get("origin")
    allowed: Collection[str] = socket.app.state.allowed_origins
    if origin is None or origin in allowed:
        return True
    try:
        page = urlsplit(origin)
    except ValueError:
        return False
    # Behind a proxy with TLS that does not say so, this looks like plain HTTP.
    schemes = ("https",) if socket.url.scheme == "wss" else ("https", "http")
    return page.scheme in schemes and page.netloc == socket.headers.get("host")


async def _hello(socket: WebSocket, seconds: float) -> Hello:
    try:
        async with asyncio.timeout(seconds):
            message = await socket.receive()
    except TimeoutError as error:
        raise Problem(408, f"the first message did not arrive within {seconds:g} s") from error
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    if text is None or len(text) > HELLO_CHARACTERS_MAX:
        raise Problem(400, f"the first message must be text, of at most {HELLO_CHARACTERS_MAX} characters")
    try:
        return msgspec.json.decode(text, type=Hello)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Problem(
            400, "the first message must be JSON: an access_token, and after, bots, types if need be"
        ) from error


async def _send_all(listener: Listener, socket: WebSocket) -> Ended | None:
    ended: Ended | None = None
    async for messages in listener.messages():
        last = messages[-1]
        ended = last if isinstance(last, Ended) else None
        if ended is not None and ended.why in ("gone", "finished"):
            break
        for message in messages:
            await socket.send_text(socket_text(message))
    if socket.client_state is not WebSocketState.DISCONNECTED:
        await socket.close(1008 if ended is None else _CODES.get(ended.why, 1008))
    return ended


async def _watch(socket: WebSocket, listener: Listener) -> None:
    """Until the client goes away, or says anything more, which is no way to use this."""
    await socket.receive()
    listener.end("gone")


async def _refuse(socket: WebSocket, problem: Problem) -> None:
    refused = Refused(data=Refusal(status=problem.status, detail=str(problem)))
    await socket.send_text(msgspec.json.encode(refused).decode())
    await socket.close(REFUSED + problem.status)
