"""``oxbot up`` whose embedded Postgres is killed: it comes back and bots go on; lost for good, a line ends it all."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from oxbot.adapters import embedded_postgres
from tests.e2e.conftest import COMMAND, Oxbot

DEADLINE_SECONDS = 120
ADDRESS = re.compile(r"the API listens on (http://\S+)")
PASSWORD = re.compile(r"sign in as admin with the password (\S+)")


class Running(NamedTuple):
    """``oxbot up`` with one bot at work, and what it said so far."""

    process: "subprocess.Popen[str]"
    data: Path
    said: Path
    client: httpx.Client
    bot: str

    def kill_postgres(self) -> int:
        """Kill the postmaster as a crash would; its process id."""
        process_id = _postmaster(self.data)
        os.kill(process_id, signal.SIGKILL)
        return process_id

    def trades(self) -> int:
        """How many trades the bot has ended, as far as one page shows."""
        answer = self.client.get(f"{self.bot}/trades?limit=500")
        return len(answer.json()["items"]) if answer.status_code == 200 else 0

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log lines of this event on standard error."""
        lines = [line for line in self.said.read_text().splitlines() if line.startswith("{")]
        return [event for event in map(json.loads, lines) if event["event"] == name]


@pytest.fixture
def running(home: Path, tmp_path: Path) -> Iterator[Running]:
    said = tmp_path / "stderr"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OXBOT_", "RAY_"))}
    environment |= {"OXBOT_HOME": str(home), "OXBOT_API_PORT": "0", "COLUMNS": "200"}
    with said.open("w") as file:
        process = subprocess.Popen(
            [str(COMMAND), "up", "--speed", "30000x"], stderr=file, stdout=file, text=True, env=environment
        )
    try:
        address = _until(lambda: ADDRESS.search(said.read_text()))[1]
        password = _until(lambda: PASSWORD.search(said.read_text()))[1]
        with httpx.Client(base_url=address, timeout=30) as client:
            credentials = {"username": "admin", "password": password}
            token = client.post("/api/v1/sessions", json=credentials).json()["access_token"]
            client.headers["authorization"] = f"Bearer {token}"
            created = client.post("/api/v1/bots", json={"name": "one", "symbols": ["BTC/USDT"]}).json()
            bot = f"/api/v1/bots/{created['bot_id']}"
            client.post(f"{bot}/start")
            yield Running(process, home / "postgres", said, client, bot)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_a_killed_postgres_is_started_again_and_bots_go_on(running: Running) -> None:
    before = _until(running.trades)
    killed = running.kill_postgres()

    _until(lambda: running.events("embedded_postgres_restarted"))
    assert len(running.events("embedded_postgres_restarted")) == 1
    assert _postmaster(running.data) != killed
    _until(lambda: running.client.get("/readyz").json()["ready"])
    _until(lambda: running.trades() > before + 1)

    _spoil(running.data)
    running.kill_postgres()
    _until(lambda: running.events("embedded_postgres_not_restarted"))
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(timeout=DEADLINE_SECONDS) == 130
    assert "Traceback" not in running.said.read_text()


def test_a_postgres_that_is_lost_for_good_ends_the_program_in_a_line(running: Running) -> None:
    _spoil(running.data)
    running.kill_postgres()

    assert running.process.wait(timeout=DEADLINE_SECONDS) == 2
    said = running.said.read_text()
    assert "Traceback" not in said
    assert len(running.events("embedded_postgres_not_restarted")) == 5
    last = said.splitlines()[-1]
    assert last.startswith(
        "oxbot: the embedded Postgres died, and to start it again 5 times did not help: cannot start"
    )


def test_what_a_killed_program_left_running_is_stopped_by_the_next(running: Running, oxbot: Oxbot) -> None:
    running.process.kill()
    running.process.wait()
    assert embedded_postgres.is_running(running.data)
    _until(lambda: oxbot("db", "migrate").returncode == 0 and not embedded_postgres.is_running(running.data))


def _spoil(data: Path) -> None:
    """Nothing can be started from this directory any more; what runs there does not notice."""
    (data / "postgresql.conf").write_text("nonsense = 1\n")


def _postmaster(data: Path) -> int:
    return int((data / "postmaster.pid").read_text().split()[0])


def _until(answer: Callable[[], Any]) -> Any:
    """The answer as soon as it is not empty."""
    ends_at = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < ends_at:
        found = answer()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError("waited too long")
