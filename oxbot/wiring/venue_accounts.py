"""What a process needs in order to show venue accounts and to carry out what people want done to them."""

from pathlib import Path

from oxbot.adapters.postgres_snapshots import PostgresSnapshots
from oxbot.adapters.postgres_venue_credentials import PostgresCredentialsTable
from oxbot.adapters.venue_profiles import profile_of
from oxbot.app.account_directory import AccountDirectory
from oxbot.app.account_report import AccountReader
from oxbot.app.clock import SystemClock
from oxbot.app.snapshots import Snapshots
from oxbot.app.venue import VenueUnfit
from oxbot.app.venue_accounts import VenueAccounts
from oxbot.config import Secret
from oxbot.core.bot import BotDecider
from oxbot.core.bot_state import BotState
from oxbot.wiring.stores import Stores
from oxbot.wiring.strategies import usable_strategies
from oxbot.wiring.venue_keys import SealedKeys


def venue_accounts(stores: Stores, home: Path, key: Secret | None, *, actor: str) -> VenueAccounts:
    """Commands to accounts over these stores, in the name of ``actor``."""
    keys = SealedKeys(PostgresCredentialsTable(stores.pool), home, key)
    return VenueAccounts(stores.log, keys, check_venue=check_venue, now=SystemClock().now, actor=actor)


def account_reader(stores: Stores, directory: AccountDirectory) -> AccountReader:
    """Accounts as they are shown."""
    cache = Snapshots(PostgresSnapshots(stores.pool), BotState)
    decider = BotDecider(usable_strategies())
    return AccountReader(stores.log, directory, decider, now=SystemClock().now, cache=cache)


def check_venue(venue: str, demo: bool) -> None:  # noqa: FBT001 - a port's signature
    """Raise ``VenueUnfit`` for a venue that no live orders can be trusted to, or without the demo that is meant."""
    profile = profile_of(venue)
    if profile.unfit:
        raise VenueUnfit(f"no live orders at {venue}: {profile.unfit}")
    if demo and profile.demo_switch is None:
        raise VenueUnfit(f"{venue} has no demo mode")
