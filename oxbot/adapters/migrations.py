"""Brings a database from any earlier state to the schema of this program, from numbered SQL files."""

import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import NamedTuple

import asyncpg

from events.errors import OxbotError, SchemaTooNew

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

PACKAGES = ("events", "oxbot.adapters")
FILE_NAME = re.compile(r"(\d{4})_\w+\.sql")

LOCK = "SELECT pg_advisory_lock(6039475301853)"
UNLOCK = "SELECT pg_advisory_unlock(6039475301853)"
CREATE = """
CREATE TABLE IF NOT EXISTS oxbot_migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""
EXISTS = "SELECT to_regclass('oxbot_migrations') IS NOT NULL"
APPLIED = "SELECT number, name, sha256 FROM oxbot_migrations ORDER BY number"
NO_TIMEOUT = "SET LOCAL statement_timeout = 0"
"""A migration may rewrite the whole log."""

RECORD = "INSERT INTO oxbot_migrations (number, name, sha256) VALUES ($1, $2, $3)"


class SchemaTooOld(OxbotError):
    """The database lacks migrations that this program needs; run ``oxbot db migrate``."""


class MigrationChanged(OxbotError):
    """A migration's file is not the one that was applied; a migration is never edited, only followed by another."""


class Migration(NamedTuple):
    """One numbered SQL file."""

    number: int
    name: str
    sha256: str
    sql: str


async def migrate(connection: Connection) -> list[str]:
    """Apply what is missing, in order of number, each file in its own transaction; answer the names applied.

    Safe to run in several processes at once. Raises ``SchemaTooNew`` or ``MigrationChanged`` before any change.
    """
    async with _exclusive(connection):
        await connection.execute(CREATE)
        pending = await _pending(connection)
        for migration in pending:
            async with connection.transaction():
                await connection.execute(NO_TIMEOUT)
                await connection.execute(migration.sql)
                await connection.execute(RECORD, migration.number, migration.name, migration.sha256)
    return [migration.name for migration in pending]


async def check_schema(connection: Connection) -> None:
    """Raise ``SchemaTooNew``, ``SchemaTooOld`` or ``MigrationChanged`` unless the database is at our head."""
    known = await connection.fetchval(EXISTS)
    pending = await _pending(connection) if known else all_migrations()
    if pending:
        names = ", ".join(migration.name for migration in pending)
        raise SchemaTooOld(f"the database lacks {names}; run oxbot db migrate")


def all_migrations() -> list[Migration]:
    """Every migration that this program ships, in order of number."""
    migrations = sorted(migration for package in PACKAGES for migration in _read(package))
    numbers = [migration.number for migration in migrations]
    if len(set(numbers)) != len(numbers):
        raise MigrationChanged(f"two migrations have the same number among {numbers}")
    return migrations


def _read(package: str) -> Iterator[Migration]:
    for file in (files(package) / "sql").iterdir():
        match = FILE_NAME.fullmatch(file.name)
        if match:
            sql = file.read_text(encoding="utf-8")
            yield Migration(int(match[1]), file.name, hashlib.sha256(sql.encode()).hexdigest(), sql)


async def _pending(connection: Connection) -> list[Migration]:
    """What is not applied yet, once all that is applied is known to be what this program ships."""
    shipped = {migration.number: migration for migration in all_migrations()}
    for number, name, sha256 in await connection.fetch(APPLIED):
        migration = shipped.pop(number, None)
        if migration is None:
            raise SchemaTooNew(
                f"the database has migration {name}, which this program does not know; use a newer oxbot"
            )
        if migration.sha256 != sha256:
            raise MigrationChanged(f"migration {migration.name} is not the file that was applied to the database")
    return list(shipped.values())


@asynccontextmanager
async def _exclusive(connection: Connection) -> AsyncIterator[None]:
    await connection.execute(LOCK)
    try:
        yield
    finally:
        await connection.execute(UNLOCK)
