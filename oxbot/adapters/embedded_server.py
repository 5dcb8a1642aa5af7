"""The embedded Postgres while programs use it: started by the first, stopped by the last, kept up by who serves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import asyncpg
import structlog

from oxbot.adapters import embedded_postgres
from oxbot.adapters.database import UNAVAILABLE
from oxbot.adapters.embedded_postgres import EmbeddedPostgresFailed
from oxbot.app.clock import Clock

T = TypeVar("T")

LOOK_SECONDS = 1.0
STEADY_SECONDS = 60.0
PAUSES_SECONDS = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Before each attempt to start a server that died; one that has lived ``STEADY_SECONDS`` has as many again."""

_OTHERS = """
    select count(*) from pg_stat_activity
    where backend_type = 'client backend' and pid <> pg_backend_pid()
"""

logger = structlog.get_logger(__name__)


@asynccontextmanager
async def embedded_server(data_directory: Path) -> AsyncIterator[str]:
    """The connection string of the directory's server, started if need be.

    It stops at the end unless another program uses it, or anybody is connected to it. A user that was killed is none,
    so what it has left running is stopped by the next. Raises ``EmbeddedPostgresFailed``.
    """
    with embedded_postgres.used(data_directory) as users:
        try:
            yield await _to_its_end(lambda: embedded_postgres.start(data_directory))
        finally:
            if users.leave() and await _is_unused(data_directory):
                await _to_its_end(lambda: embedded_postgres.stop(data_directory))


async def keep_running(data_directory: Path, clock: Clock) -> None:
    """Start the directory's server again whenever it has died, until cancelled.

    Raises ``EmbeddedPostgresFailed`` once it could not be started, or did not live, for as often as there are pauses.
    """
    attempts, started_at, last = 0, clock.now(), "it died again soon after"
    while True:
        await clock.sleep(LOOK_SECONDS)
        if await asyncio.to_thread(embedded_postgres.is_running, data_directory):
            continue
        if (clock.now() - started_at).total_seconds() > STEADY_SECONDS:
            attempts = 0
        if attempts == len(PAUSES_SECONDS):
            raise EmbeddedPostgresFailed(
                f"the embedded Postgres died, and to start it again {attempts} times did not help: {last}"
            )
        await clock.sleep(PAUSES_SECONDS[attempts])
        attempts += 1
        last = await _start_again(data_directory, attempts)
        started_at = clock.now()


async def _start_again(data_directory: Path, attempt: int) -> str:
    """Try to; what to say of this attempt if it was the last."""
    try:
        await _to_its_end(lambda: embedded_postgres.start(data_directory))
    except EmbeddedPostgresFailed as failure:
        logger.warning("embedded_postgres_not_restarted", attempt=attempt, error=str(failure))
        return str(failure)
    logger.warning("embedded_postgres_restarted", attempt=attempt, directory=str(data_directory))
    return "it died again soon after"


async def _to_its_end(call: Callable[[], T]) -> T:
    """The call's answer from a thread; one that is under way ends before a cancellation does, as two must not meet."""
    under_way = asyncio.get_running_loop().run_in_executor(None, call)
    try:
        return await asyncio.shield(under_way)
    except asyncio.CancelledError:
        await asyncio.wait([under_way])
        under_way.exception()  # what became of it nobody will ask; asyncio would complain of that
        raise


async def _is_unused(data_directory: Path) -> bool:
    """Whether a server runs that nobody is connected to."""
    if not await asyncio.to_thread(embedded_postgres.is_running, data_directory):
        return False
    try:
        connection = await asyncpg.connect(await _to_its_end(lambda: embedded_postgres.start(data_directory)))
    except (EmbeddedPostgresFailed, *UNAVAILABLE):
        return False
    try:
        return bool(await connection.fetchval(_OTHERS) == 0)
    finally:
        await connection.close()
