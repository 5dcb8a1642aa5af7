"""The smallest clients of HTTP/1.1 that a benchmark needs, so that it measures the server and not them."""

import asyncio
import re
import time
from typing import Self

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_EVENT_ID = re.compile(rb"(?:^|\n)id: (\d+)\nevent: ([a-z_.]+)")
_OK = 200


class Connection:
    """One connection that is kept; requests go over it one after the other."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 24)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()

    async def get(self, path: str, *, expected: int | None = _OK) -> bytes:
        """The body of the answer. Raises ``RuntimeError`` for another status than the expected one, if one is."""
        self._writer.write(request(path, self._token))
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await self._reader.readexactly(int(length[1]) if length else 0)
        if expected is not None and int(head.split(b" ", 2)[1]) != expected:
            raise RuntimeError(f"{path}: {(head + body)[:1000].decode()}")
        return body


class Listener:
    """A client of the event stream that notes when the last byte of each event came."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token
        self._news = asyncio.Event()
        self.arrived: dict[int, float] = {}

    async def __aenter__(self) -> Self:
        """Return once it has caught up."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(request("/api/v1/stream", self._token, "Accept: text/event-stream\r\n"))
        status = await self._reader.readline()
        if int(status.split(b" ", 2)[1]) != _OK:
            raise RuntimeError(status.decode())
        caught_up = asyncio.Event()
        self._reading = asyncio.create_task(self._read(caught_up))
        async with asyncio.timeout(60):
            await caught_up.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def until(self, position: int) -> None:
        """Return once the event at that position is there."""
        async with asyncio.timeout(60):
            while position not in self.arrived:
                self._news.clear()
                await self._news.wait()

    async def _read(self, caught_up: asyncio.Event) -> None:
        rest = b""
        while part := await self._reader.read(1 << 16):
            now = time.perf_counter()
            # A chunk's own lines are between the blocks; none of them looks like an event.
            *blocks, rest = (rest + part).split(b"\n\n")
            for block in blocks:
                found = _EVENT_ID.search(block)
                if found is None:
                    continue
                if found[2] == b"caught_up":
                    caught_up.set()
                self.arrived.setdefault(int(found[1]), now)
            self._news.set()


async def open_loop(port: int, token: str, path: str, *, per_second: float, seconds: float) -> list[float]:
    """The seconds from when each request was due until its answer was there, at a constant rate.

    A request is sent when it is due, however many others wait for their answers: it takes a connection that is free,
    or a new one. What the server keeps waiting is therefore counted, as wrk2 counts it and wrk does not.
    """
    free: list[Connection] = []
    everyone: list[Connection] = []
    latencies: list[float] = []

    async def ask(due: float) -> None:
        connection = free.pop() if free else None
        if connection is None:
            connection = await Connection(port, token).__aenter__()
            everyone.append(connection)
        await connection.get(path)
        latencies.append(time.perf_counter() - due)
        free.append(connection)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(per_second * seconds)):
            due = began + number / per_second
            await asyncio.sleep(max(due - time.perf_counter(), 0.0))
            tasks.create_task(ask(due))
    for connection in everyone:
        await connection.__aexit__()
    return latencies


def request(path: str, token: str, headers: str = "") -> bytes:
    """A GET of the path."""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n{headers}\r\n"
    return head.encode()
