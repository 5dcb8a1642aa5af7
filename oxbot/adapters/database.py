"""Connections to Postgres: one bounded pool per process, with timeouts, and one clear line when none answers."""

import asyncio
import re
import socket
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Literal
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from events.errors import OxbotError, StoreUnavailable
from oxbot.adapters.migrations import SchemaTooOld

VERSION_MIN = 15
CONNECT_SECONDS = 10.0
NO_ROLE = re.compile(r'role "(oxbot_\w+)" does not exist')

SERVER_SETTINGS = {
    "jit": "off",
    "synchronous_commit": "on",
    "lock_timeout": "5s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "30s",
}


Role = Literal[
    "oxbot_host", "oxbot_market", "oxbot_execution", "oxbot_projector", "oxbot_api", "oxbot_sealer", "oxbot_archiver",
    "oxbot_notifier", "oxbot_models", "oxbot_operator",
]  # fmt: skip
"""What a process may do: append or read or keep views ..., see ``events/sql/0002_integrity.sql``."""


class DatabaseUnreachable(OxbotError):
    """No usable Postgres answers at the configured address."""


class DatabaseRefused(OxbotError):
    """The login lacks a right that was needed, or something that the migrations made is no longer there."""


UNAVAILABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
"""What asyncpg raises when the database cannot be used just now, whatever it was asked."""


def connected(pool: asyncpg.Pool) -> AbstractAsyncContextManager[PoolConnectionProxy]:
    """A connection of the pool for a few statements. Raises ``StoreUnavailable`` if the database goes away."""
    return _Connected(pool)


class _Connected(AbstractAsyncContextManager[PoolConnectionProxy]):
    """Every request needs one: a generator, and asyncpg's timer with its task, would be a tenth of what it costs."""

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def __aenter__(self) -> PoolConnectionProxy:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                self._connection = await self._pool.acquire()
        except UNAVAILABLE as error:
            raise StoreUnavailable("the database does not answer") from error
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, asyncpg.InternalClientError):
            # Cut at a bad moment, it has lost its place in the protocol; whoever comes next needs another.
            self._connection.terminate()
        try:
            await self._pool.release(self._connection)
        except UNAVAILABLE as lost:
            raise StoreUnavailable("the database does not answer") from lost
        if isinstance(error, UNAVAILABLE):
            raise StoreUnavailable("the database does not answer") from error


async def open_pool(dsn: str, *, size: int, application_name: str, role: Role | None = None) -> asyncpg.Pool:
    """A pool of up to ``size`` connections whose commits are durable and whose waits are bounded.

    With a role, each connection acts as it from its first moment on; the login must be a member of it.
    Raises ``DatabaseUnreachable``, naming the address but never the password, if nothing answers, the credentials are
    refused, or the server is older than Postgres 15; ``SchemaTooOld`` if it lacks a role that migrations make.
    """
    settings = SERVER_SETTINGS | {"application_name": application_name} | ({} if role is None else {"role": role})
    pool = asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=size,
        timeout=CONNECT_SECONDS,
        reset=_keep_session,
        server_settings=settings,
    )
    try:
        await pool
        async with pool.acquire(timeout=CONNECT_SECONDS) as connection:
            version = connection.get_server_version().major
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        await pool.close()
        missing = NO_ROLE.search(str(error))
        if missing is not None:
            raise SchemaTooOld(
                f"the server at {describe_address(dsn)} lacks the role {missing[1]}; run oxbot db migrate"
            ) from None
        # The cause would print the address, which holds the password, so it is left behind.
        raise DatabaseUnreachable(f"cannot use Postgres at {describe_address(dsn)}: {_reason(error, dsn)}") from None
    if version < VERSION_MIN:
        await pool.close()
        raise DatabaseUnreachable(
            f"Postgres at {describe_address(dsn)} is version {version}; oxbot needs {VERSION_MIN} or newer"
        )
    return pool


def login_as(dsn: str, role: Role, password: str | None = None) -> str:
    """The connection string by which the role itself logs in, to the same database on the same server."""
    parts = urlsplit(dsn)
    credentials = role if password is None else f"{role}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{credentials}@{parts.netloc.rpartition('@')[2]}"))


def describe_address(dsn: str) -> str:
    """Host and port, or the socket's directory, of a connection string; no user and no password."""
    try:
        parts = urlsplit(dsn)
        host = parts.hostname or parse_qs(parts.query).get("host", ["localhost"])[0]
        return f"socket {host}" if host.startswith("/") else f"{host}:{parts.port or 5432}"
    except ValueError:
        return "an address that cannot be read"


def explained(error: BaseException) -> OxbotError | None:
    """What the database, and not a fault of this program, is the cause of, in a line for the operator; else None."""
    match error:
        case asyncpg.InsufficientPrivilegeError():
            return DatabaseRefused(f"the database does not let this login do that: {_first_line(error)}")
        case asyncpg.UndefinedTableError() | asyncpg.InvalidSchemaNameError() | asyncpg.UndefinedFunctionError():
            return DatabaseRefused(f"the database is not as its migrations made it: {_first_line(error)}")
        case asyncpg.PostgresConnectionError() | asyncpg.OperatorInterventionError() | ConnectionError():
            return StoreUnavailable(f"the database does not answer: {_first_line(error)}")
        case asyncpg.InsufficientResourcesError() | asyncpg.LockNotAvailableError():
            return StoreUnavailable(f"the database cannot do that just now: {_first_line(error)}")
    return None


async def _keep_session(_: object) -> None:
    """Instead of asyncpg's reset query after each use: nothing here changes a session's settings."""


def _reason(error: Exception, dsn: str) -> str:
    match error:
        case ConnectionRefusedError():
            return "connection refused"
        case FileNotFoundError():
            return "there is no such socket"
        case TimeoutError():
            return f"no answer within {CONNECT_SECONDS:.0f} s"
        case socket.gaierror():
            return "the host name is not known"
        case asyncpg.PostgresError() | OSError():
            return _without_password(_first_line(error), dsn)
        case _:
            return "the connection string is not valid"


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _without_password(text: str, dsn: str) -> str:
    password = urlsplit(dsn).password
    return text.replace(password, "***") if password else text
