"""A process that hosts bots: one group-commit writer, over one connection or a gateway, and no heavy import."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from events.codec import Codec
from events.commit import BatchLog, GroupCommitLog
from oxbot.app.candle_store import CandleStore
from oxbot.app.clock import SystemClock
from oxbot.app.feed import CandleFeed
from oxbot.app.handle import FoldCache
from oxbot.app.host_runner import HostRunner
from oxbot.app.snapshots import Snapshots
from oxbot.core.bot import BotDecider
from oxbot.core.state import BotState
from oxbot.wiring.strategies import usable_strategies

if TYPE_CHECKING:
    # A host that goes through a gateway has no use for asyncpg, so nothing here loads it.
    from oxbot.wiring.stores import Database


@asynccontextmanager
async def open_host(name: str, database: "Database", feed: CandleFeed) -> AsyncIterator[HostRunner]:
    """The runner of a host with a connection of its own, ready to take bots."""
    from oxbot.adapters.postgres_snapshots import PostgresSnapshots  # noqa: PLC0415 - see above
    from oxbot.wiring.stores import open_stores  # noqa: PLC0415 - see above

    async with (
        open_stores(database, "oxbot_host", name=name, connections=1) as stores,
        Snapshots(PostgresSnapshots(stores.pool), BotState) as snapshots,
        open_remote_host(name, stores.log, stores.candles, feed, cache=snapshots) as runner,
    ):
        yield runner


@asynccontextmanager
async def open_remote_host(
    name: str, log: BatchLog, candles: CandleStore, feed: CandleFeed, *, cache: FoldCache[BotState] | None = None
) -> AsyncIterator[HostRunner]:
    """The runner of a host that others give its log and its candles, ready to take bots."""
    async with GroupCommitLog(log, Codec()) as grouped:
        yield HostRunner(
            name,
            log=grouped,
            decider=BotDecider(usable_strategies()),
            feed=feed,
            candles=candles,
            clock=SystemClock(),
            cache=cache,
        )
