"""Of whom a fleet's stakes are unknown because one stream cannot be read: its own fleet's, and no other's."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from events.bot import BotFact, OrderFilled
from events.identifiers import BotId, FleetName, bot_stream
from oxbot.app.fleet_book import FleetBook
from oxbot.core.entry import Fleet
from tests.app.fakes import named, write, written
from tests.core.scenario import BTC, bought, created, deposited, running

pytestmark = pytest.mark.anyio

ONE, STRANGER, NEIGHBOUR = BotId("bot-1"), BotId("bot-3"), BotId("bot-4")
FOREIGN: list[BotFact] = [replace(created(), fleet=FleetName("others")), deposited()]
IMPOSSIBLE: list[BotFact] = [fact for fact in bought(BTC, 9, quantity="1", price="1") if isinstance(fact, OrderFilled)]


async def test_an_unreadable_bot_of_another_fleet_does_not_matter() -> None:
    log = await written(running())
    await write(log, named(FOREIGN, STRANGER), bot_stream(STRANGER))
    await write(log, IMPOSSIBLE, bot_stream(STRANGER))
    await write(log, named(FOREIGN, NEIGHBOUR), bot_stream(NEIGHBOUR))
    book = FleetBook(log)
    assert await book.without(ONE) == Fleet(Decimal(0), Decimal(0), Decimal(0), await log.head())
    assert await book.without(NEIGHBOUR) is None


async def test_an_unreadable_bot_whose_fleet_is_not_known_may_be_of_any() -> None:
    log = await written(running())
    await write(log, IMPOSSIBLE, bot_stream(STRANGER))
    assert await FleetBook(log).without(ONE) is None


async def test_a_bot_that_cannot_be_read_itself_is_still_told_of_the_others() -> None:
    """Its own books count nowhere in what it is told."""
    log = await written([*running(), *IMPOSSIBLE])
    await write(log, named(running(), NEIGHBOUR), bot_stream(NEIGHBOUR))
    assert await FleetBook(log).without(ONE) == Fleet(Decimal(0), Decimal(0), Decimal(10_000), await log.head())
