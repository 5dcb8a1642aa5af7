"""A bot that cannot live: ``oxbot up`` says so on standard error, and whoever lists the bots sees it."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from oxbot.adapters import embedded_postgres
from tests.e2e.conftest import COMMAND, Oxbot

DEADLINE_SECONDS = 120
BREAK = """
    ALTER TABLE log.events DISABLE TRIGGER ALL;
    UPDATE log.events SET payload = '\\xc1' WHERE event_type = 'capital.deposited'
"""


async def _break(dsn: str) -> None:
    """Make one event of the bot's stream unreadable, as a superuser could."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(BREAK)
    await connection.close()


@pytest.fixture
def said(home: Path, oxbot: Oxbot, tmp_path: Path) -> Iterator[Path]:
    """What ``oxbot up`` says over a bot whose stream cannot be read."""
    assert oxbot("db", "migrate").returncode == 0
    created = oxbot("bots", "create", "broken", "--symbols", "BTC/USDT", "--json")
    assert created.returncode == 0, created.stderr
    assert oxbot("bots", "start", "broken").returncode == 0
    asyncio.run(_break(embedded_postgres.start(home / "postgres")))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OXBOT_", "RAY_"))}
    environment |= {"OXBOT_HOME": str(home), "OXBOT_API_PORT": "0"}
    path = tmp_path / "stderr"
    with path.open("w") as file:
        process = subprocess.Popen([str(COMMAND), "up"], stderr=file, stdout=file, text=True, env=environment)
    yield path
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)


def test_a_bot_whose_stream_cannot_be_read_does_not_look_as_if_it_ran(said: Path, oxbot: Oxbot) -> None:
    ends_at = time.monotonic() + DEADLINE_SECONDS
    while '"event": "failing"' not in said.read_text() and time.monotonic() < ends_at:
        time.sleep(0.5)
    [line] = [json.loads(line) for line in said.read_text().splitlines() if '"event": "failing"' in line]
    [bot] = json.loads(oxbot("bots", "list", "--json").stdout)

    assert (line["who"], line["level"]) == (bot["bot_id"], "warning")
    assert "position 2" in line["error"]
    assert bot["status"] == "running"
    assert bot["failing_since"] is not None
    assert bot["error"] == line["error"]
    assert f"{bot['bot_id']} is failing since" in oxbot("bots", "list").stdout
