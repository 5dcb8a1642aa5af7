"""A wire to Postgres that a test can cut, at the moment before or after the server has done what it was asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal
from urllib.parse import parse_qs, urlsplit

READY = b"Z\x00\x00\x00\x05I"
"""The end of each answer outside a transaction: what was asked for is committed."""

Cut = Literal["question", "answer"]


class Wire:
    """Passes everything on until it is told to swallow the next question or the next answer and hang up.

    With ``down_next`` nobody gets through after that, until ``down`` is unset.
    """

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self.cut: Cut | None = None
        self.cuts = 0
        self.down = self.down_next = False

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client; none while the wire is down."""
        if self.down:
            writer.close()
            return
        server_reader, server_writer = await asyncio.open_unix_connection(self._socket)
        passing = [
            asyncio.ensure_future(self._pass(reader, server_writer, "question")),
            asyncio.ensure_future(self._pass(server_reader, writer, "answer")),
        ]
        await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        for task in passing:
            task.cancel()
        for end in (server_writer, writer):
            end.close()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, kind: Cut) -> None:
        swallowed = b""
        while chunk := await source.read(65536):
            if self.cut != kind:
                target.write(chunk)
                continue
            swallowed += chunk
            if kind == "question" or swallowed.endswith(READY):
                self.cut = None
                self.cuts += 1
                self.down = self.down_next
                return


@asynccontextmanager
async def wired(dsn: str) -> AsyncIterator[tuple[Wire, str]]:
    """A wire to the server of this connection string, and the connection string through it."""
    directory = parse_qs(urlsplit(dsn).query)["host"][0]
    with TemporaryDirectory(prefix="oxbot-wire-") as through:
        name = ".s.PGSQL.5432"
        wire = Wire(str(Path(directory) / name))
        server = await asyncio.start_unix_server(wire.connected, str(Path(through) / name))
        async with server:
            yield wire, dsn.replace(directory, through)
