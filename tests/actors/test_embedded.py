"""What an embedded Ray looks like from outside: private to the machine, and light where the bots live."""

import json
import os
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from oxbot.adapters import embedded_postgres

# Starlette and pydantic are not among them: Ray itself imports these two wherever they are installed.
HEAVY = {"ccxt", "litellm", "aiohttp", "pandas", "httpx", "openai", "uvicorn", "typer", "argon2", "jwt"}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = tmp_path_factory.mktemp("probe") / "home"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OXBOT_", "RAY_"))}
    command = [sys.executable, "-m", "tests.actors.probe_embedded", str(home)]
    root = Path(__file__).parents[2]
    finished = subprocess.run(
        command, capture_output=True, text=True, timeout=200, check=False, cwd=root, env=environment
    )
    embedded_postgres.stop(home / "postgres")
    assert finished.returncode == 0, finished.stderr[-3000:]
    return json.loads(finished.stdout.splitlines()[-1])


def test_every_socket_listens_on_loopback(found: Any) -> None:
    addresses = [ip_address(address.removeprefix("::ffff:")) for address in found["listening"]]
    assert addresses
    assert all(address.is_loopback for address in addresses), found["listening"]


def test_nobody_connects_without_the_token(found: Any) -> None:
    assert found["stranger_status"] != 0
    assert found["token_holder_status"] == 0


def test_the_token_is_its_owners_alone(found: Any) -> None:
    assert found["token_mode"] == "0o600"  # noqa: S105 - the mode of its file


def test_workers_run_at_normal_priority(found: Any) -> None:
    assert found["niceness"] == [0]


def test_every_actor_is_detached_and_named(found: Any) -> None:
    actors = {actor["name"]: actor["detached"] for actor in found["actors"]}
    assert {"probe-market", "probe-projector", "probe-supervisor", "probe-host-1"} <= actors.keys()
    assert all(actors.values())


def test_a_host_outlives_the_supervisor_that_started_it(found: Any) -> None:
    assert found["host_outlives_supervisor"] is True


def test_a_host_imports_nothing_heavy(found: Any) -> None:
    top_level = {name.partition(".")[0] for name in found["host_modules"]}
    assert top_level & HEAVY == set()
    assert not any(name.startswith(("oxbot.api", "oxbot.cli")) for name in found["host_modules"])
    assert "oxbot.core.bot" in found["host_modules"]


def test_a_host_holds_one_connection(found: Any) -> None:
    assert found["connections"] == 2, "one for each of the two hosts"
