"""Clients of the live stream inside the test's own process: of its server-sent events, and of its WebSocket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from starlette.types import Message

from events.user import Role
from oxbot.api.tokens import LIFETIME, SignedIn
from oxbot.core.account import UserId
from tests.api.stage import Json, Stage, now

SECONDS = 10.0
"""After so long a test that waits fails."""


class Told(NamedTuple):
    """One block of an event stream; ``event`` is empty for one without data."""

    event: str
    id: int
    data: Json


class EventStream:
    """A response that comes bit by bit."""

    def __init__(self, incoming: "asyncio.Queue[Message]", outgoing: "asyncio.Queue[Message]") -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._rest = b""
        self._ended = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.seen: list[Told] = []

    async def begin(self) -> None:
        """Return once status and headers are there."""
        message = await self._next()
        assert message["type"] == "http.response.start"
        self.status = message["status"]
        self.headers = {name.decode(): value.decode() for name, value in message["headers"]}

    async def read(self) -> Told | None:
        """The next block; None once the response has ended."""
        while b"\n\n" not in self._rest:
            if self._ended:
                return None
            message = await self._next()
            self._rest += message["body"]
            self._ended = not message.get("more_body", False)
        block, _, self._rest = self._rest.partition(b"\n\n")
        if block.startswith(b"retry:"):
            return await self.read()
        told = _told(block)
        self.seen.append(told)
        return told

    async def until(self, event: str) -> list[Told]:
        """All blocks up to the first of that name, which is the last."""
        told: list[Told] = []
        while not told or told[-1].event != event:
            block = await self.read()
            assert block is not None, f"the stream ended before {event}: {told}"
            told.append(block)
        return told

    async def positions(self, count: int) -> list[int]:
        """The positions of the next so many events of the log."""
        found: list[int] = []
        while len(found) < count:
            block = await self.read()
            assert block is not None, f"the stream ended after {found}"
            if "fact" in block.data:
                found.append(block.id)
        return found

    async def body(self) -> bytes:
        """All that is left, of a response that ends."""
        while not self._ended:
            message = await self._next()
            self._rest += message["body"]
            self._ended = not message.get("more_body", False)
        return self._rest

    def leave(self) -> None:
        """Go away."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def _next(self) -> Message:
        async with asyncio.timeout(SECONDS):
            return await self._outgoing.get()


@asynccontextmanager
async def event_stream(
    stage: Stage,
    role: Role = "admin",
    *,
    lasts: timedelta = LIFETIME,
    room: int = 0,
    last_event_id: int | None = None,
    **query: object,
) -> AsyncIterator[EventStream]:
    """A stream that somebody follows whose token is good for so long.

    He takes in no more than ``room`` messages unread, if that is not 0.
    """
    headers = [(b"accept", b"text/event-stream")]
    if last_event_id is not None:
        headers.append((b"last-event-id", b"%d" % last_event_id))
    who = SignedIn(UserId(f"a-{role}"), role, session=f"s-{role}")
    token = stage.tokens.issue(who, at=now() - LIFETIME + lasts)
    headers.append((b"authorization", b"Bearer " + token.encode()))
    asked = scope("http", "/api/v1/stream", headers) | {"method": "GET", "query_string": urlencode(query).encode()}
    incoming: asyncio.Queue[Message] = asyncio.Queue()
    outgoing: asyncio.Queue[Message] = asyncio.Queue(room)
    incoming.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    stream = EventStream(incoming, outgoing)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(stage.app(asked, incoming.get, outgoing.put))
        try:
            await stream.begin()
            yield stream
        finally:
            stream.leave()
            async with asyncio.timeout(SECONDS):
                while not serving.done():
                    await asyncio.wait([serving], timeout=0.01)
                    while not outgoing.empty():
                        outgoing.get_nowait()


class Socket:
    """A WebSocket as its client has it."""

    def __init__(self, incoming: "asyncio.Queue[Message]", outgoing: "asyncio.Queue[Message]") -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    async def next(self) -> Message:
        """What the server does next."""
        async with asyncio.timeout(SECONDS):
            return await self._outgoing.get()

    async def told(self) -> Told:
        """The next message."""
        message = await self.next()
        assert message["type"] == "websocket.send", message
        found = msgspec.json.decode(message["text"], type=Json)
        return Told(str(found["event"]), msgspec.convert(found.get("id", 0), int), msgspec.convert(found["data"], Json))

    async def code(self) -> int:
        """The code with which it is closed, whatever comes before."""
        while (message := await self.next())["type"] != "websocket.close":
            pass
        return int(message["code"])

    def say(self, message: object) -> None:
        """Send a message as JSON."""
        self.say_text(msgspec.json.encode(message).decode())

    def say_text(self, text: str) -> None:
        """Send a message."""
        self._incoming.put_nowait({"type": "websocket.receive", "text": text})

    def leave(self) -> None:
        """Go away."""
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1001})


@asynccontextmanager
async def socket(stage: Stage, *, origin: str | None = None, path: str = "/api/v1/stream/ws") -> AsyncIterator[Socket]:
    """A WebSocket that is being opened, from a page of that origin if there is one."""
    headers = [(b"host", b"oxbot.test")]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    asked = scope("websocket", path, headers) | {"subprotocols": []}
    incoming: asyncio.Queue[Message] = asyncio.Queue()
    outgoing: asyncio.Queue[Message] = asyncio.Queue()
    incoming.put_nowait({"type": "websocket.connect"})
    opened = Socket(incoming, outgoing)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(stage.app(asked, incoming.get, outgoing.put))
        try:
            yield opened
        finally:
            opened.leave()
            async with asyncio.timeout(SECONDS):
                await serving


def scope(kind: str, path: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("192.0.2.1", 4000),
        "server": ("oxbot.test", 80),
    }


def _told(block: bytes) -> Told:
    fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if not line.startswith(":"))
    data = msgspec.json.decode(fields["data"], type=Json) if "data" in fields else {}
    return Told(fields.get("event", ""), int(fields["id"]), data)
