"""A real server on loopback in the test's own process, and connections that misbehave."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from oxbot.wiring.http_server import PatientProtocol, TlsFiles, http_server, listen

ASGIApp = Callable[..., Awaitable[None]]


@asynccontextmanager
async def served(
    app: ASGIApp, *, tls: TlsFiles | None = None, protocol: type[PatientProtocol] = PatientProtocol
) -> AsyncIterator[int]:
    """The port on which the application is served."""
    server = http_server(app, tls=tls, protocol=protocol)
    with listen("127.0.0.1", 0, plain=True) as listener:
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(sockets=[listener]))
            try:
                yield listener.getsockname()[1]
            finally:
                server.should_exit = True
                await serving


@asynccontextmanager
async def connected(
    port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection, closed at the end."""
    name = None if tls is None else "localhost"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def raw(port: int, sent: bytes) -> bytes:
    """All that is answered to these bytes until the server closes the connection."""
    async with connected(port) as (reader, writer):
        writer.write(sent)
        return await all_of(reader)


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """What is read until the connection ends."""
    answered = bytearray()
    # A server that closes before it has read everything resets the connection, after its answer.
    with suppress(ConnectionError):
        while part := await reader.read(65536):
            answered += part
    return bytes(answered)
