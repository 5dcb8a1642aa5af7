"""The embedded Postgres while programs use it: the last one stops it, who serves starts it again, neither for ever."""

import asyncio
import fcntl
import gc
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import psutil
import pytest

from oxbot.adapters import embedded_postgres
from oxbot.adapters.embedded_postgres import EmbeddedPostgresFailed, used
from oxbot.adapters.embedded_server import LOOK_SECONDS, PAUSES_SECONDS, embedded_server, keep_running

pytestmark = pytest.mark.anyio

USER = """
import asyncio, sys
from pathlib import Path
from oxbot.adapters.embedded_server import embedded_server

async def use() -> None:
    async with embedded_server(Path(sys.argv[1])):
        print("used", flush=True)
        await asyncio.Event().wait()

asyncio.run(use())
"""


class ToldClock:
    """A clock whose sleeps take no time, and during which something may happen; it keeps what was slept."""

    def __init__(self, then: Callable[[int], None]) -> None:
        self._then = then
        self._now = datetime(2024, 1, 1, tzinfo=UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        """As late as was slept."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Let it happen."""
        self.slept.append(seconds)
        self._now += timedelta(seconds=seconds)
        self._then(len(self.slept))
        await asyncio.sleep(0)


async def test_the_last_user_stops_the_server_and_the_others_do_not(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    async with embedded_server(data) as dsn:
        async with embedded_server(data) as again:
            assert again == dsn
        assert embedded_postgres.is_running(data)
    assert not embedded_postgres.is_running(data)


async def test_a_connection_of_somebody_else_keeps_the_server(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    async with embedded_server(data) as dsn:
        connection = await asyncpg.connect(dsn)
    try:
        assert await connection.fetchval("SELECT 1") == 1
    finally:
        await connection.close()
        embedded_postgres.stop(data)


async def test_what_a_killed_user_left_running_is_stopped_by_the_next(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    user = await asyncio.create_subprocess_exec(sys.executable, "-c", USER, str(data), stdout=asyncio.subprocess.PIPE)
    assert user.stdout is not None
    assert await user.stdout.readline() == b"used\n"
    async with embedded_server(data):
        pass
    assert embedded_postgres.is_running(data)

    user.kill()
    await user.wait()
    assert embedded_postgres.is_running(data)
    async with embedded_server(data):
        pass
    assert not embedded_postgres.is_running(data)


async def test_nobody_becomes_a_user_while_the_last_one_leaves(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    with used(data) as users, used(data) as others:
        assert not users.leave()
        assert others.leave()
        with (tmp_path / "postgres.users").open("rb") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


async def test_a_server_that_is_killed_comes_back_on_the_same_socket_with_its_data(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    async with embedded_server(data) as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE kept ()")
        await connection.close()
        killed = _kill(data)
        clock = ToldClock(_stop_after(2))
        with pytest.raises(Stopped):
            await keep_running(data, clock)
        assert clock.slept == [LOOK_SECONDS, PAUSES_SECONDS[0], LOOK_SECONDS]
        assert _postmaster(data) != killed
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT to_regclass('kept') IS NOT NULL")
        await connection.close()


async def test_a_server_that_does_not_live_is_given_up_with_its_reason_and_without_haste(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    async with embedded_server(data):
        (data / "postgresql.conf").write_text("nonsense = 1\n")
        _kill(data)
        clock = ToldClock(lambda _: None)
        with pytest.raises(
            EmbeddedPostgresFailed, match=r"5 times did not help: cannot start .* contains errors"
        ) as lost:
            await keep_running(data, clock)
    assert "\n" not in str(lost.value)
    assert clock.slept == [seconds for pause in PAUSES_SECONDS for seconds in (LOOK_SECONDS, pause)] + [LOOK_SECONDS]


async def test_a_start_that_fails_after_it_was_cancelled_is_complained_of_nowhere(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    async with embedded_server(data):
        pass
    (data / "postgresql.conf").write_text("nonsense = 1\n")
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
    user = asyncio.ensure_future(embedded_server(data).__aenter__())
    await asyncio.sleep(0.05)
    user.cancel()
    await asyncio.wait([user])
    assert user.cancelled()
    del user
    gc.collect()
    assert complaints == []


async def test_a_server_that_lived_for_long_has_all_its_attempts_again(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    killed = 0

    def kill_now_and_then(sleeps: int) -> None:
        nonlocal killed
        if killed == len(PAUSES_SECONDS) + 1:
            raise Stopped
        if sleeps % 100 == 0:
            _kill(data)
            killed += 1

    async with embedded_server(data):
        clock = ToldClock(kill_now_and_then)
        with pytest.raises(Stopped):
            await keep_running(data, clock)
    assert clock.slept.count(PAUSES_SECONDS[0]) == len(PAUSES_SECONDS) + 1
    assert max(clock.slept) == LOOK_SECONDS


class Stopped(Exception):
    """The test has seen enough."""


def _stop_after(sleeps: int) -> Callable[[int], None]:
    def stop(slept: int) -> None:
        if slept > sleeps:
            raise Stopped

    return stop


def _kill(data: Path) -> int:
    process_id = _postmaster(data)
    process = psutil.Process(process_id)
    os.kill(process_id, signal.SIGKILL)
    psutil.wait_procs([process], timeout=10)
    return process_id


def _postmaster(data: Path) -> int:
    return int((data / "postmaster.pid").read_text().split()[0])
