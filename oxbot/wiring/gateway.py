"""A process through which others reach the log and the candles: one connection to append, one to read."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from events.archived import DatabaseLog
from oxbot.adapters.postgres_candles import PostgresCandleStore
from oxbot.wiring.stores import Database, open_stores

TRY_SECONDS = 10.0
"""How long the database is asked again; less than the callers wait for the answer."""


class GatewayStores(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway serves."""

    appends: DatabaseLog
    reads: DatabaseLog
    candles: PostgresCandleStore


@asynccontextmanager
async def open_gateway(name: str, database: Database) -> AsyncIterator[GatewayStores]:
    """The stores of the gateway."""
    appending = open_stores(database, "oxbot_host", name=name, connections=1, deadline_seconds=TRY_SECONDS)
    reading = open_stores(database, "oxbot_host", name=name, connections=1, deadline_seconds=TRY_SECONDS)
    async with appending as writer, reading as reader:
        yield GatewayStores(appends=writer.log, reads=reader.log, candles=reader.candles)
