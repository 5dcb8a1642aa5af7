"""Opening a pool: durable, bounded sessions, and one clear line without a password when there is no database."""

import re
import socket
from pathlib import Path

import asyncpg
import pytest

from events.errors import StoreUnavailable
from oxbot.adapters.database import DatabaseUnreachable, connected, describe_address, open_pool

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("jit", "off"),
        ("synchronous_commit", "on"),
        ("lock_timeout", "5s"),
        ("statement_timeout", "30s"),
        ("idle_in_transaction_session_timeout", "30s"),
        ("application_name", "tests"),
    ],
)
async def test_sessions_have_the_settings_of_the_log(pool: asyncpg.Pool, setting: str, value: str) -> None:
    assert await pool.fetchval("SELECT current_setting($1)", setting) == value


async def test_a_pool_never_holds_more_connections_than_its_size(database: str) -> None:
    async with await open_pool(database, size=2, application_name="bounded") as pool:
        assert (pool.get_min_size(), pool.get_max_size()) == (0, 2)


async def test_a_server_that_is_down_is_named_without_the_password() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DatabaseUnreachable) as caught:
        await open_pool(f"postgresql://bot:s3cret@127.0.0.1:{port}/oxbot", size=1, application_name="tests")
    assert str(caught.value) == f"cannot use Postgres at 127.0.0.1:{port}: connection refused"
    assert caught.value.__cause__ is None


async def test_a_missing_socket_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnreachable) as caught:
        await open_pool(f"postgresql://bot:s3cret@/oxbot?host={tmp_path}", size=1, application_name="tests")
    assert str(caught.value) == f"cannot use Postgres at socket {tmp_path}: there is no such socket"


async def test_a_missing_database_is_named(database: str) -> None:
    with pytest.raises(DatabaseUnreachable, match='database "nowhere" does not exist'):
        await open_pool(re.sub(r"/test_\d+", "/nowhere", database), size=1, application_name="tests")


@pytest.mark.parametrize(
    "dsn", ["nonsense", "mysql://bot:s3cret@host/oxbot", "postgresql://bot:s3#cret@host/oxbot", "postgresql://[bad/x"]
)
async def test_a_connection_string_that_cannot_be_read_gives_one_line_without_the_password(dsn: str) -> None:
    with pytest.raises(DatabaseUnreachable) as caught:
        await open_pool(dsn, size=1, application_name="tests")
    text = str(caught.value)
    assert "\n" not in text
    assert "s3" not in text
    assert "cret" not in text


@pytest.mark.parametrize(
    ("dsn", "address"),
    [
        ("postgresql://bot:pw@db.example:6432/oxbot", "db.example:6432"),
        ("postgresql://bot:pw@db.example/oxbot", "db.example:5432"),
        ("postgresql://bot@/oxbot?host=/run/postgres", "socket /run/postgres"),
        ("postgresql://bot:pw@host:port/oxbot", "an address that cannot be read"),
    ],
)
async def test_an_address_is_described_by_host_and_port_or_socket(dsn: str, address: str) -> None:
    assert describe_address(dsn) == address


async def test_a_connection_that_has_lost_its_place_is_not_handed_out_again(database: str) -> None:
    """As asyncpg's can, when it is cut just as it is given back."""
    backend = "SELECT pg_backend_pid()"
    async with await open_pool(database, size=1, application_name="tests") as pool:
        before = await pool.fetchval(backend)
        with pytest.raises(StoreUnavailable):
            async with connected(pool):
                raise asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")
        assert await pool.fetchval(backend) != before
