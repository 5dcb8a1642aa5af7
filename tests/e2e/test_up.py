"""``oxbot up``: a bot made over REST trades a market that goes on, is paused and stopped, and the program ends well."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from oxbot.adapters import embedded_postgres
from tests.e2e.conftest import COMMAND, run_oxbot

DEADLINE_SECONDS = 90
ADDRESS = re.compile(r"the API listens on (http://\S+)")
PASSWORD = re.compile(r"sign in as admin with the password (\S+)")


class Running(NamedTuple):
    """A program at work, and what it said so far."""

    process: "subprocess.Popen[str]"
    home: Path
    said: Path
    environment: Mapping[str, str]


@pytest.fixture
def running(home: Path, tmp_path: Path) -> Iterator[Running]:
    said = tmp_path / "stderr"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OXBOT_", "RAY_"))}
    environment |= {"OXBOT_HOME": str(home), "OXBOT_API_PORT": "0", "COLUMNS": "200"}
    with said.open("w") as file:
        process = subprocess.Popen(
            [str(COMMAND), "up", "--speed", "30000x"], stderr=file, stdout=file, text=True, env=environment
        )
    yield Running(process, home, said, environment)
    if process.poll() is None:
        process.kill()
        process.wait()


def test_acceptance_18_a_bot_is_created_trades_is_paused_and_stopped_over_rest(running: Running) -> None:
    address = _until(lambda: ADDRESS.search(running.said.read_text()))[1]
    password = _until(lambda: PASSWORD.search(running.said.read_text()))[1]
    with httpx.Client(base_url=address, timeout=20) as client:
        assert client.get("/api/v1/bots").status_code == 401
        assert client.get("/healthz").json() == {"status": "alive"}
        credentials = {"username": "admin", "password": password}
        token = client.post("/api/v1/sessions", json=credentials).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        _trade(client)
        with _another_api(running) as other:
            there = httpx.get(f"{other}/api/v1/bots", headers=client.headers, timeout=20).json()
            assert there["items"] == client.get("/api/v1/bots").json()["items"]
            assert [row["status"] for row in there["items"]] == ["stopped"]
    listed = run_oxbot(running.home, ["bots", "list", "--json"])
    assert '"status":"stopped"' in listed.stdout, listed.stderr
    replayed = run_oxbot(running.home, ["replay"])
    assert replayed.returncode == 0, replayed.stderr
    assert password not in replayed.stdout + listed.stdout

    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(timeout=60) == 130
    assert not embedded_postgres.is_running(running.home / "postgres")


@contextmanager
def _another_api(running: Running) -> Iterator[str]:
    """The address of a process of ``oxbot api``, which ends well."""
    said = running.said.with_name("api")
    with said.open("w") as file:
        process = subprocess.Popen(
            [str(COMMAND), "api", "--port", "0"], stderr=file, stdout=file, text=True, env=running.environment
        )
    try:
        yield str(_until(lambda: ADDRESS.search(said.read_text()))[1])
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 130
    assert embedded_postgres.is_running(running.home / "postgres")


def _trade(client: httpx.Client) -> None:
    created = client.post("/api/v1/bots", json={"name": "both", "symbols": ["BTC/USDT", "ETH/USDT"]})
    assert created.status_code == 201, created.text
    bot = f"/api/v1/bots/{created.json()['bot_id']}"
    assert client.post(f"{bot}/start").json()["status"] == "running"
    _until(lambda: len(_items(client, f"{bot}/trades")) > 2)
    decision = _items(client, f"{bot}/decisions?order=asc")[0]
    assert decision["verdict"] == "allowed"
    assert len(decision["window_digest"]) == 64
    assert client.get("/readyz").json()["ready"] is True
    assert len(client.get(f"{bot}/equity?points=5").json()["items"]) <= 5

    assert client.post(f"{bot}/pause", json={"reason": "lunch"}).json()["status"] == "paused"
    assert client.post(f"{bot}/stop").json()["status"] == "stopped"
    _until(lambda: client.get(bot).json()["status"] == "stopped" and not _items(client, f"{bot}/positions"))
    assert client.post(f"{bot}/start").status_code == 409
    portfolio = client.get(f"{bot}/portfolio").json()
    assert portfolio["reserved"] == "0"


def _items(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    response = client.get(path)
    items: list[dict[str, Any]] = response.json()["items"] if response.status_code == 200 else []
    return items


def _until(answer: Callable[[], Any]) -> Any:
    """The answer as soon as it is not empty."""
    ends_at = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < ends_at:
        found = answer()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError("waited too long")
