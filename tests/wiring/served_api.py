"""The API as ``oxbot up`` serves it: its own Postgres, real connections, in the test's own loop."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from oxbot.api.options import ApiOptions
from oxbot.app.equity import EverythingStoredIsClosed
from oxbot.cli.installation import main_commands
from oxbot.config import Secret, load_settings
from oxbot.wiring.api import ApiPlan, serve_api
from oxbot.wiring.stores import Database

ADDRESS = re.compile(r"listens on http://127\.0\.0\.1:(\d+)")
PASSWORD = re.compile(r"the password (\S+)")
START_SECONDS = 60


@asynccontextmanager
async def served_api(dsn: str, home: Path, options: ApiOptions | None = None) -> AsyncIterator[tuple[int, str]]:
    """Its port, and the password of its administrator."""
    settings = load_settings({"OXBOT_HOME": str(home), "OXBOT_API_PORT": "0"})
    said: asyncio.Queue[str] = asyncio.Queue()
    plan = ApiPlan(
        host="127.0.0.1",
        port=0,
        home=home,
        database=Database(dsn=Secret(dsn), embedded=True),
        commands=lambda stores: main_commands(stores, settings, actor="api"),
        market_time=EverythingStoredIsClosed(),
        announce=said.put_nowait,
        options=options or ApiOptions(user_requests_per_second=0, address_requests_per_second=0),
    )
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve_api(plan))
        try:
            async with asyncio.timeout(START_SECONDS):
                port, password = ADDRESS.search(await said.get()), PASSWORD.search(await said.get())
            assert port is not None
            assert password is not None
            yield int(port[1]), password[1]
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving


async def signed_in(client: httpx.AsyncClient, password: str) -> str:
    """An access token of the administrator, once the API answers; the client sends it from now on."""
    credentials = {"username": "admin", "password": password}
    for _ in range(200):
        with suppress(httpx.ConnectError):
            answer = await client.post("/api/v1/sessions", json=credentials)
            break
        await asyncio.sleep(0.05)
    assert answer.status_code == 201, answer.text
    token = str(answer.json()["access_token"])
    client.headers["authorization"] = f"Bearer {token}"
    return token
