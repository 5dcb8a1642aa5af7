"""Which venue's market the main fleet trades, as ``oxbot up`` was last told, for every command of this installation."""

import os
import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from events.errors import OxbotError
from events.identifiers import Symbol, VenueName
from events.values import Instrument, Timestamp
from oxbot.adapters.ccxt_instruments import instruments
from oxbot.adapters.ccxt_urls import VenueAddresses
from oxbot.app.account_directory import is_local, market_of
from oxbot.app.live_market_time import LiveTiming
from oxbot.app.venue_checks import MovingMarket
from oxbot.wiring.market import VenueMarket

FILE_NAME = "market.json"


class ChoiceUnreadable(OxbotError):
    """The file that says which market the main fleet trades is none; ``oxbot up`` writes it anew."""


class VenueChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A venue, where it is reached if not where it always is, and which of its candles.

    A local exchange has a market clock of its own, which runs ``speed`` times as fast as ours.
    """

    venue: str
    symbols: tuple[Symbol, ...]
    timeframe: str
    demo: bool = False
    rest: str = ""
    ws: str = ""
    speed: float = 1.0

    @property
    def market(self) -> VenueName:
        """By which name its candles are stored, and accounts that trade there are known."""
        return market_of(self.venue, demo=self.demo, rest=self.rest)

    @property
    def local(self) -> bool:
        """Whether it is an exchange on this machine."""
        return is_local(self.rest)

    def plan(self, begins_at: datetime) -> VenueMarket:
        """The market, from ``begins_at`` on where nothing is stored yet."""
        return VenueMarket(
            venue=self.venue,
            stored_as=self.market,
            timeframe=self.timeframe,
            symbols=self.symbols,
            begins_at=begins_at,
            addresses=VenueAddresses(self.rest, self.ws) if self.rest else None,
            demo=self.demo,
            clock_of="ticker" if self.local else "server",
            timing=LiveTiming(speed=self.speed),
        )


class VenueTold(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue says of the symbols, and the time there."""

    instruments: tuple[Instrument, ...]
    now: Timestamp


async def ask(plan: VenueMarket) -> VenueTold:
    """What the venue says now. Raises ``SourceRefused``, ``SourceUnavailable`` or ``VenueUnfit``."""
    async with plan.open_source() as source:
        await source.load()
        return VenueTold(instruments=instruments(source.markets(), plan.symbols), now=await source.now())


class KeptChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A choice with what its venue said of it."""

    choice: VenueChoice
    begins_at: datetime
    instruments: tuple[Instrument, ...]


def kept_choice(home: Path) -> KeptChoice | None:
    """The choice that was kept last, None for the synthetic market. Raises ``ChoiceUnreadable``."""
    try:
        return msgspec.json.decode((home / FILE_NAME).read_bytes(), type=KeptChoice)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise ChoiceUnreadable(f"{home / FILE_NAME} cannot be read ({error}); oxbot up writes it anew") from error


def moving_markets(home: Path) -> list[MovingMarket]:
    """The market whose candles should come by the clock of this machine: a venue's own. Raises ``ChoiceUnreadable``."""
    kept = kept_choice(home)
    if kept is None or kept.choice.local:
        return []
    return [MovingMarket(kept.choice.market, kept.choice.symbols, kept.choice.timeframe)]


def keep_choice(home: Path, kept: KeptChoice | None) -> None:
    """Keep it, whole or not at all; None is the synthetic market."""
    path = home / FILE_NAME
    if kept is None:
        with suppress(FileNotFoundError):
            path.unlink()
        return
    handle, draft = tempfile.mkstemp(prefix=FILE_NAME, dir=home)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(kept))
    Path(draft).replace(path)
