"""The live stream over a real server: it outlives Postgres, and ends when the server does."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from events.bot import BotPaused
from events.codec import Codec
from events.envelope import NewEvent
from events.errors import LogUnavailable
from events.identifiers import BotId, bot_stream, new_event_id
from events.log import ANY_VERSION
from events.postgres import PostgresEventLog
from oxbot.adapters import embedded_postgres
from oxbot.adapters.database import open_pool
from oxbot.adapters.migrations import migrate
from tests.api.stage import now
from tests.wiring.served_api import served_api, signed_in

pytestmark = pytest.mark.anyio

SECONDS = 40
BOT = bot_stream(BotId("one"))


@pytest.fixture
def data() -> Iterator[Path]:
    """Where a Postgres of the test's own keeps its data; what runs there is stopped."""
    with tempfile.TemporaryDirectory(prefix="oxbot-", ignore_cleanup_errors=True) as directory:
        path = Path(directory) / "postgres"
        try:
            yield path
        finally:
            embedded_postgres.stop(path)


async def append(log: PostgresEventLog, reason: str) -> None:
    """Record it, as soon as the log takes anything."""
    event = NewEvent(event_id=new_event_id(), occurred_at=now(), fact=BotPaused(reason=reason))
    while True:
        try:
            await log.append(BOT, [event], expected=ANY_VERSION)
        except LogUnavailable:
            continue
        return


async def until(lines: AsyncIterator[str], wanted: str) -> None:
    """Read to the line in which that is."""
    async for line in lines:
        if wanted in line:
            return
    raise AssertionError(f"the stream ended before {wanted}")


async def until_told(socket: ClientConnection, wanted: str) -> None:
    """Read to the message in which that is."""
    while wanted not in str(await socket.recv()):
        pass


async def test_streams_outlive_postgres_and_end_with_the_server(data: Path, tmp_path: Path) -> None:
    dsn = await asyncio.to_thread(embedded_postgres.start, data)
    connection = await asyncpg.connect(dsn)
    await migrate(connection)
    await connection.close()
    async with asyncio.timeout(SECONDS), AsyncExitStack() as clients, AsyncExitStack() as server:
        port, password = await server.enter_async_context(served_api(dsn, tmp_path))
        pool = await open_pool(dsn, size=2, application_name="tests")
        clients.push_async_callback(pool.close)
        log = PostgresEventLog(pool, Codec())
        client = await clients.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS)
        )
        token = await signed_in(client, password)
        accept = {"Accept": "text/event-stream"}
        answer = await clients.enter_async_context(client.stream("GET", "/api/v1/stream", headers=accept))
        assert answer.status_code == 200
        lines = answer.aiter_lines()
        socket = await clients.enter_async_context(connect(f"ws://127.0.0.1:{port}/api/v1/stream/ws"))
        assert socket.protocol.extensions == []
        await socket.send(msgspec.json.encode({"access_token": token}).decode())
        await until(lines, "caught_up")
        await until_told(socket, "caught_up")

        await append(log, "before")
        await until(lines, '"before"')
        await until_told(socket, '"before"')
        os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        await asyncio.to_thread(embedded_postgres.start, data)
        await append(log, "after")
        await until(lines, '"after"')
        await until_told(socket, '"after"')

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.aclose())
            await until(lines, "event: closing")
            assert "".join([line async for line in lines]).startswith("data:")
            with pytest.raises(ConnectionClosed) as closed:
                await until_told(socket, "nothing that comes")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012


async def clients(client: httpx.AsyncClient) -> dict[str, float]:
    """How many the process says that follow it, by kind."""
    scraped = await client.get("/metrics")
    assert scraped.status_code == 200, scraped.text
    return {
        sample.labels["kind"]: sample.value
        for family in text_string_to_metric_families(scraped.text)
        for sample in family.samples
        if sample.name == "oxbot_stream_clients"
    }


async def until_clients(client: httpx.AsyncClient, **expected: float) -> None:
    """Ask until that is what it says: that somebody has left is noticed when his connection is."""
    while await clients(client) != expected:
        await asyncio.sleep(0.05)


async def test_clients_of_the_stream_are_counted_by_kind_until_they_have_left(database: str, tmp_path: Path) -> None:
    accept = {"Accept": "text/event-stream"}
    async with (
        asyncio.timeout(SECONDS),
        served_api(database, tmp_path) as (port, password),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS) as client,
    ):
        token = await signed_in(client, password)
        url = f"ws://127.0.0.1:{port}/api/v1/stream/ws"
        assert await clients(client) == {"sse": 0, "websocket": 0}
        async with AsyncExitStack() as one, AsyncExitStack() as others:
            await one.enter_async_context(client.stream("GET", "/api/v1/stream", headers=accept))
            await others.enter_async_context(client.stream("GET", "/api/v1/stream", headers=accept))
            socket = await others.enter_async_context(connect(url))
            # Who has not said yet who he is follows nothing.
            await until_clients(client, sse=2, websocket=0)
            await socket.send(msgspec.json.encode({"access_token": token}).decode())
            await until_told(socket, "caught_up")
            assert await clients(client) == {"sse": 2, "websocket": 1}
            await one.aclose()
            await until_clients(client, sse=1, websocket=1)
            # Cut off in the middle, without a word.
            socket.transport.abort()
            await until_clients(client, sse=1, websocket=0)
        await until_clients(client, sse=0, websocket=0)
        refused = await client.get("/api/v1/stream", params={"after": 10**9}, headers=accept)
        assert refused.status_code == 409
        assert await clients(client) == {"sse": 0, "websocket": 0}
