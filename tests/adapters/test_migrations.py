"""Migrations: from nothing to head, once, by several at a time, and never over what this program does not know."""

import asyncio

import asyncpg
import pytest

from events.errors import SchemaTooNew
from oxbot.adapters.migrations import MigrationChanged, SchemaTooOld, all_migrations, check_schema, migrate

pytestmark = pytest.mark.anyio

NAMES = [migration.name for migration in all_migrations()]


async def test_acceptance_18_an_empty_database_is_brought_to_head(empty_database: str) -> None:
    connection = await asyncpg.connect(empty_database)
    assert await migrate(connection) == NAMES
    await check_schema(connection)
    assert await connection.fetchval("SELECT to_regclass('log.events') IS NOT NULL")
    await connection.close()


async def test_migrating_again_changes_nothing(database: str) -> None:
    connection = await asyncpg.connect(database)
    before = await connection.fetch("SELECT * FROM oxbot_migrations")
    assert await migrate(connection) == []
    assert await connection.fetch("SELECT * FROM oxbot_migrations") == before
    await connection.close()


async def test_two_at_once_apply_each_migration_once(empty_database: str) -> None:
    connections = [await asyncpg.connect(empty_database) for _ in range(2)]
    applied = await asyncio.gather(*(migrate(connection) for connection in connections))
    assert sorted(applied, key=len) == [[], NAMES]
    for connection in connections:
        await connection.close()


async def test_migrations_apply_in_order_of_number() -> None:
    assert sorted(NAMES) == NAMES
    assert NAMES[0] == "0001_log.sql"


async def test_a_newer_schema_is_refused(database: str) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute("INSERT INTO oxbot_migrations (number, name, sha256) VALUES (9999, '9999_later.sql', '')")
    for refusing in (migrate, check_schema):
        with pytest.raises(SchemaTooNew, match=r"9999_later\.sql"):
            await refusing(connection)
    await connection.close()


async def test_an_edited_migration_is_refused(database: str) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute("UPDATE oxbot_migrations SET sha256 = 'other' WHERE number = 1")
    for refusing in (migrate, check_schema):
        with pytest.raises(MigrationChanged, match=r"0001_log\.sql"):
            await refusing(connection)
    await connection.close()


async def test_missing_migrations_are_named_by_the_check(empty_database: str) -> None:
    connection = await asyncpg.connect(empty_database)
    with pytest.raises(SchemaTooOld, match=r"0001_log\.sql"):
        await check_schema(connection)
    await connection.close()


async def test_a_migration_that_fails_leaves_the_database_as_it_was(empty_database: str) -> None:
    connection = await asyncpg.connect(empty_database)
    await connection.execute("CREATE SCHEMA log")
    with pytest.raises(asyncpg.DuplicateSchemaError):
        await migrate(connection)
    assert await connection.fetchval("SELECT count(*) FROM oxbot_migrations") == 0
    await connection.execute("DROP SCHEMA log")
    assert await migrate(connection) == NAMES
    await connection.close()
