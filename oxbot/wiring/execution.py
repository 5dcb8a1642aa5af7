"""A process that carries out the orders of one account; the only one that ever opens its credentials."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from events.codec import Codec
from events.commit import GroupCommitLog
from events.identifiers import AccountName, VenueName
from oxbot.adapters.aes_gcm_venue_credentials import (
    CredentialsTable,
    CredentialsUnreadable,
    NoCredentials,
    VenueKeyUnusable,
)
from oxbot.adapters.ccxt_urls import VenueAddresses
from oxbot.adapters.ccxt_venue import open_ccxt_venue
from oxbot.adapters.key_file import KeyFileUnusable
from oxbot.adapters.postgres_snapshots import PostgresSnapshots
from oxbot.adapters.postgres_venue_credentials import PostgresCredentialsTable
from oxbot.app.account_directory import is_local
from oxbot.app.clock import SystemClock
from oxbot.app.execution import ExecutionRunner
from oxbot.app.execution_books import AccountBook
from oxbot.app.execution_keeper import ExecutionKeeper
from oxbot.app.execution_sending import Timing
from oxbot.app.keyed_execution import KeyedExecution
from oxbot.app.snapshots import Snapshots
from oxbot.app.venue import Venue, VenueRefused
from oxbot.config import Secret
from oxbot.core.bot import BotDecider
from oxbot.core.bot_state import BotState
from oxbot.wiring.connections import EXECUTION
from oxbot.wiring.stores import Database, open_stores
from oxbot.wiring.strategies import usable_strategies
from oxbot.wiring.venue_keys import opening_keys


class ExecutionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Which account, where, and in what mode; ``rest`` and ``ws`` take the place of the venue's own addresses.

    The key to the credentials is ``key``, or else in a file in ``home``. A local exchange's market has a clock of its
    own, which goes ``speed`` times as fast as ours.
    """

    account: AccountName
    venue: VenueName
    home: Path
    demo: bool = False
    rest: str = ""
    ws: str = ""
    key: Secret | None = None
    speed: float = 1.0

    @property
    def timing(self) -> Timing:
        """By which clock its orders are timed."""
        return Timing(speed=self.speed if is_local(self.rest) else None)


@asynccontextmanager
async def open_execution(name: str, plan: ExecutionPlan, database: Database) -> AsyncIterator[KeyedExecution]:
    """The execution of the account; what keeps it from its venue is told on the account's stream, and tried again."""
    clock = SystemClock()
    async with (
        open_stores(database, "oxbot_execution", name=name, connections=EXECUTION) as stores,
        GroupCommitLog(stores.log, Codec()) as log,
        Snapshots(PostgresSnapshots(stores.pool), BotState) as snapshots,
    ):
        table = PostgresCredentialsTable(stores.pool)
        decider = BotDecider(usable_strategies())

        def runner(venue: Venue) -> ExecutionRunner:
            return ExecutionRunner(
                plan.account,
                venue=venue,
                log=log,
                decider=decider,
                clock=clock,
                holder=name,
                cache=snapshots,
                timing=plan.timing,
            )

        def keeper() -> ExecutionKeeper:
            return ExecutionKeeper(
                lambda: _opened(plan, table, clock),
                runner=runner,
                account=lambda: AccountBook(plan.account, log=log, clock=clock, holder=name),
                clock=clock,
            )

        yield KeyedExecution(plan.account, log=log, begin=keeper, clock=clock)


@asynccontextmanager
async def _opened(plan: ExecutionPlan, table: CredentialsTable, clock: SystemClock) -> AsyncIterator[Venue]:
    """The account at its venue; credentials that are not there or do not open are a refusal like any other."""
    try:
        stored = opening_keys(plan.home, plan.key).over(table)
        credentials = await stored.get(plan.account, plan.venue)
    except (NoCredentials, CredentialsUnreadable, VenueKeyUnusable, KeyFileUnusable) as error:
        raise VenueRefused(str(error)) from error
    addresses = VenueAddresses(plan.rest, plan.ws) if plan.rest else None
    async with open_ccxt_venue(plan.venue, credentials, clock=clock, demo=plan.demo, addresses=addresses) as venue:
        yield venue
