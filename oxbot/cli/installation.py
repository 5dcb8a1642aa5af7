"""What the commands to a running or resting installation share: its stores, its market, its fleet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from events.identifiers import FleetName, Symbol
from events.values import FeeSchedule
from oxbot.adapters.database import Role
from oxbot.adapters.postgres_snapshots import PostgresSnapshots
from oxbot.adapters.synthetic_market import SyntheticMarket
from oxbot.app.bots import BotCommands
from oxbot.app.clock import SystemClock
from oxbot.app.snapshots import Snapshots
from oxbot.config import Settings
from oxbot.core.bot import BotDecider
from oxbot.core.state import BotState
from oxbot.wiring.database import open_database, open_unmigrated
from oxbot.wiring.market import LiveTerms
from oxbot.wiring.stores import Database, Stores, open_stores
from oxbot.wiring.strategies import usable_strategies

MAIN_FLEET = FleetName("main")
MARKET_BEGINS_AT = datetime(2024, 1, 1, tzinfo=UTC)
FEES = FeeSchedule(maker=Decimal("0.001"), taker=Decimal("0.001"))


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """One database with its fleet and its market."""

    settings: Settings
    database: Database
    stores: Stores
    terms: LiveTerms

    def commands(self, actor: str) -> BotCommands:
        """Commands to the main fleet's bots in the name of ``actor``."""
        return main_commands(self.stores, self.settings, actor=actor)


def main_commands(stores: Stores, settings: Settings, *, actor: str) -> BotCommands:
    """Commands to the main fleet's bots, over these stores, in the name of ``actor``."""
    strategies = usable_strategies()
    return BotCommands(
        stores.log,
        BotDecider(strategies),
        fleet=MAIN_FLEET,
        market=LiveTerms(synthetic_market(settings), stores.candles, MARKET_BEGINS_AT),
        fees=FEES,
        now=SystemClock().now,
        actor=actor,
        cache=Snapshots(PostgresSnapshots(stores.pool), BotState),
        strategies=strategies,
    )


@asynccontextmanager
async def open_installation(
    settings: Settings, *, name: str, connections: int = 3, role: Role = "oxbot_operator", serves: bool = False
) -> AsyncIterator[Installation]:
    """The installation that the settings describe, its database at hand, used as this role.

    For who serves it, the database is migrated; for a command it is refused unless it is at this program's schema.
    Raises what opening the database or the stores raises.
    """
    async with (
        open_database(settings) if serves else open_unmigrated(settings) as database,
        open_stores(database, role, name=name, connections=connections) as stores,
    ):
        terms = LiveTerms(synthetic_market(settings), stores.candles, MARKET_BEGINS_AT)
        yield Installation(settings=settings, database=database, stores=stores, terms=terms)


def synthetic_market(settings: Settings) -> SyntheticMarket:
    """The market of ``oxbot up``."""
    symbols = [Symbol(symbol) for symbol in settings.market_symbols]
    return SyntheticMarket(settings.market_seed, symbols, settings.market_timeframe, MARKET_BEGINS_AT)
