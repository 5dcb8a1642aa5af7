"""The embedded Postgres: starts on an empty directory, outlives its starter, is found again, stops when told."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from oxbot.adapters import embedded_postgres
from oxbot.adapters.embedded_postgres import EmbeddedPostgresFailed
from tests.app.fakes import eventually

pytestmark = pytest.mark.anyio

STARTER = """
import os, signal, sys
from pathlib import Path
from oxbot.adapters import embedded_postgres
print(embedded_postgres.start(Path(sys.argv[1])), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_a_server_outlives_the_kill_of_its_starter_and_is_found_again(tmp_path: Path) -> None:
    data = tmp_path / "new" / "postgres"
    starter = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTER, str(data), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    output, errors = await starter.communicate()
    try:
        dsn = output.decode().strip()
        assert (starter.returncode, errors) == (-9, b"")
        process_id = int((data / "postmaster.pid").read_text().split()[0])
        assert embedded_postgres.start(data) == dsn
        assert int((data / "postmaster.pid").read_text().split()[0]) == process_id
        connection = await asyncpg.connect(dsn)
        shown = [
            await connection.fetchval("SELECT current_setting($1)", name) for name in ("fsync", "listen_addresses")
        ]
        assert shown == ["on", ""]
        await connection.close()
    finally:
        embedded_postgres.stop(data)
    assert not (data / "postmaster.pid").exists()


async def test_a_stopped_server_starts_again_in_the_same_process_with_its_data(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    for table in ("first", "second"):
        connection = await asyncpg.connect(embedded_postgres.start(data))
        await connection.execute(f"CREATE TABLE {table} ()")
        await connection.close()
        embedded_postgres.stop(data)
    connection = await asyncpg.connect(embedded_postgres.start(data))
    assert await connection.fetchval("SELECT to_regclass('first') IS NOT NULL AND to_regclass('second') IS NOT NULL")
    await connection.close()
    embedded_postgres.stop(data)


async def test_a_lock_file_of_another_program_does_not_keep_the_server_from_starting(tmp_path: Path) -> None:
    """After a machine's crash the process id in the lock file may belong to anyone."""
    data = tmp_path / "postgres"
    embedded_postgres.start(data)
    lock = (data / "postmaster.pid").read_text()
    embedded_postgres.stop(data)
    (data / "postmaster.pid").write_text("\n".join(["1", *lock.splitlines()[1:]]) + "\n")
    connection = await asyncpg.connect(embedded_postgres.start(data))
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()
    embedded_postgres.stop(data)


async def test_what_a_killed_server_has_left_at_work_is_waited_for(tmp_path: Path) -> None:
    """A session that still computes keeps the next server from starting for as long as it does."""
    data = tmp_path / "postgres"
    dsn = embedded_postgres.start(data)
    connection = await asyncpg.connect(dsn)
    session = await connection.fetchval("SELECT pg_backend_pid()")
    os.kill(session, signal.SIGSTOP)
    os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    try:
        await eventually(lambda: not embedded_postgres.is_running(data))
        starting = asyncio.create_task(asyncio.to_thread(embedded_postgres.start, data))
        await eventually(lambda: starting.done() or "is still in use" in (data / "log").read_text())
        assert not starting.done()
    finally:
        os.kill(session, signal.SIGCONT)
    assert await starting == dsn
    connection.terminate()
    embedded_postgres.stop(data)


async def test_another_server_with_the_process_id_of_a_killed_one_is_not_taken_for_it(tmp_path: Path) -> None:
    data, other = tmp_path / "postgres", tmp_path / "other"
    embedded_postgres.start(data)
    lock = (data / "postmaster.pid").read_text()
    embedded_postgres.stop(data)
    embedded_postgres.start(other)
    process_id = (other / "postmaster.pid").read_text().split()[0]
    (data / "postmaster.pid").write_text("\n".join([process_id, *lock.splitlines()[1:]]) + "\n")
    assert not embedded_postgres.is_running(data)
    connection = await asyncpg.connect(embedded_postgres.start(data))
    assert await connection.fetchval("SELECT current_setting('data_directory')") == str(data)
    await connection.close()
    embedded_postgres.stop(data)
    embedded_postgres.stop(other)


async def test_a_directory_that_cannot_be_used_gives_one_line(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    data.write_text("a file")
    with pytest.raises(EmbeddedPostgresFailed) as caught:
        embedded_postgres.start(data)
    assert str(data) in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_stopping_where_nothing_runs_does_nothing(tmp_path: Path) -> None:
    embedded_postgres.stop(tmp_path / "postgres")
    assert not (tmp_path / "postgres").exists()
