"""Whether the database answers, with the right schema and views that keep up, and whether venues do their part."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from events.errors import OxbotError
from oxbot.adapters.database import connected
from oxbot.adapters.migrations import check_schema
from oxbot.app.projections import Projections, ProjectionStatus
from oxbot.app.readiness import Check
from oxbot.app.venue_checks import VenueChecks
from oxbot.app.views import SERVING

CHECK_SECONDS = 3.0
LAG_EVENTS_MAX = 20_000

_ANSWER = "SELECT 1"


class PostgresReadiness:
    """``Readiness`` of a process that reads and writes one database."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        projections: Projections,
        venues: VenueChecks | None = None,
        *,
        lag_events_max: int = LAG_EVENTS_MAX,
    ) -> None:
        """Without ``venues`` nothing is said of markets and accounts."""
        self._pool = pool
        self._projections = projections
        self._venues = venues
        self._lag_events_max = lag_events_max

    async def check(self) -> Sequence[Check]:
        """``database``, ``schema``, ``projection``, ``feed``, ``accounts``: all at once, each in ``CHECK_SECONDS``."""
        checks = [("database", self._database), ("schema", self._schema), ("projection", self._projection)]
        if self._venues is not None:
            checks += [("feed", self._venues.feeds), ("accounts", self._venues.accounts)]
        return await asyncio.gather(*(_outcome(name, check) for name, check in checks))

    async def _database(self) -> Check:
        async with connected(self._pool) as connection:
            await connection.fetchval(_ANSWER)
        return Check("database", ok=True, detail="answers")

    async def _schema(self) -> Check:
        async with connected(self._pool) as connection:
            await check_schema(connection)
        return Check("schema", ok=True, detail="at the head of this program")

    async def _projection(self) -> Check:
        """None may stand still, what this process serves must keep up; the state of all of them is said."""
        statuses = await self._projections.statuses()
        keeps_up = any(status.name == SERVING and status.lag_events <= self._lag_events_max for status in statuses)
        ok = keeps_up and all(status.state not in ("stopped", "ahead") for status in statuses)
        return Check("projection", ok=ok, detail="; ".join(_said(status) for status in statuses))


def _said(status: ProjectionStatus) -> str:
    lag = status.lag_events
    where = f"{lag} events behind the log" if lag >= 0 else f"{-lag} positions beyond the log's end"
    return f"{status.name} {status.state}, {where}"


async def _outcome(name: str, check: Callable[[], Awaitable[Check]]) -> Check:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return Check(name, ok=False, detail=f"no answer within {CHECK_SECONDS:.0f} s")
    except OxbotError as error:
        return Check(name, ok=False, detail=str(error))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return Check(name, ok=False, detail="the database does not answer")
