"""A process that hosts bots: one connection, one group-commit writer, no heavy import."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from events.commit import GroupCommitLog
from oxbot.app.clock import SystemClock
from oxbot.app.feed import CandleFeed
from oxbot.app.host_runner import HostRunner
from oxbot.core.bot import BotDecider
from oxbot.core.strategies import built_in
from oxbot.wiring.stores import Database, open_stores


@asynccontextmanager
async def open_host(name: str, database: Database, feed: CandleFeed) -> AsyncIterator[HostRunner]:
    """The host's runner, ready to take bots."""
    async with (
        open_stores(database, name=name, connections=1) as stores,
        GroupCommitLog(stores.log) as log,
    ):
        yield HostRunner(
            name,
            log=log,
            decider=BotDecider(built_in()),
            feed=feed,
            candles=stores.candles,
            clock=SystemClock(),
        )
