"""Postgres is killed and started again under load: the API says 503 and when to come back, and comes back by itself."""

import asyncio
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import asyncpg
import httpx
import pytest

from events.bot import BotCreated
from events.codec import Codec
from events.postgres import PostgresEventLog
from oxbot.adapters import embedded_postgres
from oxbot.adapters.database import open_pool
from oxbot.adapters.migrations import migrate
from tests.wiring.served_api import served_api, signed_in

pytestmark = pytest.mark.anyio

AT_ONCE = 4
RECOVERY_SECONDS = 30
PATHS = ("/api/v1/bots", "/api/v1/portfolios", "/api/v1/projections", "/api/v1/me", "/api/v1/log/events/1", "/readyz")
BOT = {"symbols": ["BTC/USDT"]}


@pytest.fixture
def data() -> Iterator[Path]:
    """Where a Postgres of the test's own keeps its data; what runs there is stopped."""
    with tempfile.TemporaryDirectory(prefix="oxbot-", ignore_cleanup_errors=True) as directory:
        path = Path(directory) / "postgres"
        try:
            yield path
        finally:
            embedded_postgres.stop(path)


async def migrated(data: Path) -> str:
    dsn = await asyncio.to_thread(embedded_postgres.start, data)
    connection = await asyncpg.connect(dsn)
    await migrate(connection)
    await connection.close()
    return dsn


async def created_names(dsn: str) -> Counter[str]:
    """The names of all bots that the log knows."""
    pool = await open_pool(dsn, size=1, application_name="tests")
    events = await PostgresEventLog(pool, Codec()).read_all(types=("bot.created",), limit=100_000)
    await pool.close()
    return Counter(event.fact.name for event in events if isinstance(event.fact, BotCreated))


class Load:
    """Readers and writers that go on whatever they are answered, and what they were answered."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._keys = count()
        self.answers: Counter[tuple[str, int]] = Counter()
        self.faults: list[str] = []
        self.made: dict[str, str] = {}
        self.ended = False

    async def read(self) -> None:
        """One path after the other."""
        while not self.ended:
            for path in PATHS:
                await self._take(await self._client.get(path))

    async def write(self) -> None:
        """Create bots, each under a key of its own, and ask again under it until it is done."""
        while not self.ended:
            key = f"key-{next(self._keys)}"
            for _ in range(1000):
                made = await self._client.post(
                    "/api/v1/bots", json={**BOT, "name": key}, headers={"Idempotency-Key": key}
                )
                await self._take(made, under_way=True)
                if made.status_code == 201:
                    self.made[key] = str(made.json()["bot_id"])
                    break

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait for what should be reached before long; an answer that should not be ends it."""
        ends_at = time.monotonic() + RECOVERY_SECONDS
        while not reached():
            assert self.faults == []
            assert time.monotonic() < ends_at, self.answers
            await asyncio.sleep(0.02)

    async def _take(self, answer: httpx.Response, *, under_way: bool = False) -> None:
        self.answers[answer.request.method, answer.status_code] += 1
        if answer.status_code == 503 or (under_way and answer.status_code == 409):
            if "retry-after" not in answer.headers:
                self.faults.append(f"no Retry-After: {answer.text}")
            await asyncio.sleep(0.05)
        elif answer.status_code not in (200, 201):
            self.faults.append(f"{answer.request.url.path}: {answer.status_code} {answer.text}")


async def test_a_restart_of_postgres_under_load_is_503_until_it_is_over_and_never_500(
    data: Path, tmp_path: Path
) -> None:
    dsn = await migrated(data)
    async with served_api(dsn, tmp_path) as (port, password):
        limits = httpx.Limits(max_connections=AT_ONCE * 3)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, limits=limits) as client:
            await signed_in(client, password)
            load = Load(client)
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(load.read())
                    group.create_task(load.write())
                await load.until(lambda: load.answers["GET", 200] > 50 and load.answers["POST", 201] > 10)
                os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
                await load.until(lambda: load.answers["GET", 503] > 20 and load.answers["POST", 503] > 0)
                await asyncio.to_thread(embedded_postgres.start, data)
                before = load.answers.copy()
                await load.until(
                    lambda: (
                        load.answers["GET", 200] > before["GET", 200] + 100
                        and load.answers["POST", 201] > before["POST", 201] + 10
                    )
                )
                load.ended = True
            assert (await client.get("/readyz")).status_code in (200, 503)

    names = await created_names(dsn)
    assert load.faults == []
    # Each that was asked for, under however many outages, is there once.
    assert set(load.made) <= set(names)
    assert set(names.values()) == {1}
