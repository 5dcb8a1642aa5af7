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
from oxbot.wiring.market import LiveTerms, VenueTerms
from oxbot.wiring.stores import Database, Stores, open_stores
from oxbot.wiring.strategies import usable_strategies
from oxbot.wiring.venue_choice import kept_choice

MAIN_FLEET = FleetName("main")
MARKET_BEGINS_AT = datetime(2024, 1, 1, tzinfo=UTC)
FEES = FeeSchedule(maker=Decimal("0.001"), taker=Decimal("0.001"))


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """One database with its fleet and its market."""

    settings: Settings
    database: Database
    stores: Stores

    def terms(self) -> LiveTerms | VenueTerms:
        """What the main fleet's market offers. Raises ``ChoiceUnreadable``."""
        return market_terms(self.stores, self.settings)

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
        market=market_terms(stores, settings),
        fees=FEES,
        now=SystemClock().now,
        actor=actor,
        cache=Snapshots(PostgresSnapshots(stores.pool), BotState),
        strategies=strategies,
    )


def market_terms(stores: Stores, settings: Settings) -> LiveTerms | VenueTerms:
    """What the market offers that ``oxbot up`` was last told of, or the synthetic one. Raises ``ChoiceUnreadable``."""
    kept = kept_choice(settings.home)
    if kept is None:
        return LiveTerms(synthetic_market(settings), stores.candles, MARKET_BEGINS_AT)
    return VenueTerms(kept.choice.plan(kept.begins_at), kept.instruments, stores.candles)


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
        yield Installation(settings=settings, database=database, stores=stores)


def synthetic_market(settings: Settings) -> SyntheticMarket:
    """The market of ``oxbot up``."""
    symbols = [Symbol(symbol) for symbol in settings.market_symbols]
    return SyntheticMarket(settings.market_seed, symbols, settings.market_timeframe, MARKET_BEGINS_AT)
