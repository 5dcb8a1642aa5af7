"""What is said of markets whose candles should come, and of accounts that should agree with their venues."""

from datetime import timedelta

import pytest

from events.account import AccountClaimed, AccountReconciled, AccountUnreconciled
from events.codec import Codec
from events.identifiers import AccountName, VenueName
from events.memory import MemoryEventLog
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.app.account_directory import AccountDirectory
from oxbot.app.venue_checks import NAMED_MAX, MovingMarket, VenueChecks
from oxbot.core.candles import Series
from tests.app.accounts import happened, open_account
from tests.core.scenario import BTC, ETH, START, candle

pytestmark = pytest.mark.anyio

VENUE = VenueName("okx")
MAIN = AccountName("main")
MOVING = MovingMarket(VENUE, (BTC,), "5m")
BROKEN = AccountUnreconciled(at=START, epoch=1, reason="a balance is missing")


class World:
    """A log, candles, and the checks over them, so many minutes after the beginning."""

    def __init__(self, *moving: MovingMarket) -> None:
        self.log = MemoryEventLog(Codec())
        self.candles = MemoryCandleStore()
        self.moving = moving

    def checks(self, minutes: int) -> VenueChecks:
        """What would be said then."""
        directory = AccountDirectory(self.log)
        return VenueChecks(
            self.candles, directory, moving=lambda: self.moving, now=lambda: START + timedelta(minutes=minutes)
        )


async def test_a_feed_is_fine_until_three_candles_and_a_minute_are_missing() -> None:
    world = World(MOVING)
    await world.candles.add([(Series(VENUE, BTC, "5m"), [candle(0, "100")])])

    assert (await world.checks(5 + 16).feeds()).ok
    late = await world.checks(5 + 17).feeds()
    assert (late.ok, late.detail) == (False, f"{VENUE} {BTC}: its newest candle closed 1020 s ago")


async def test_a_symbol_without_a_candle_is_late_and_a_market_that_does_not_move_is_not() -> None:
    moving = await World(MovingMarket(VENUE, (BTC, ETH), "5m")).checks(0).feeds()
    played = await World().checks(10**6).feeds()

    assert (moving.ok, moving.detail) == (False, f"{VENUE} {BTC}: no candle; {VENUE} {ETH}: no candle")
    assert played.ok


async def test_an_account_that_has_not_agreed_for_a_minute_is_told_with_why() -> None:
    world = World()
    await open_account(world.log, MAIN, "okx", more=[AccountClaimed(epoch=1, holder="one"), BROKEN])

    assert (await world.checks(0).accounts()).ok
    ill = await world.checks(2).accounts()
    assert (ill.ok, ill.detail) == (False, "main: a balance is missing")

    await happened(world.log, MAIN, [AccountReconciled(at=START, epoch=1, position=3, orders=0)])
    assert (await world.checks(2).accounts()).ok


async def test_an_account_that_nothing_works_for_is_not_waited_for() -> None:
    world = World()
    await open_account(world.log, MAIN, "okx")

    assert (await world.checks(10**6).accounts()).ok


async def test_a_long_list_is_cut_short() -> None:
    world = World()
    for number in range(NAMED_MAX + 2):
        await open_account(world.log, AccountName(f"a{number}"), "okx", more=[BROKEN])

    assert (await world.checks(2).accounts()).detail.endswith(", and 2 more")
