"""What a venue's market offers to new bots: its instruments, and a candle to begin with that is not long past."""

from datetime import timedelta

import pytest

from events.identifiers import VenueName
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.core.candles import Series
from oxbot.wiring.market import VenueMarket, VenueTerms
from tests.app.fakes import SteppingClock
from tests.core.scenario import BTC, ETH, START, flat_candles, instrument, moment

pytestmark = pytest.mark.anyio

NAME = VenueName("okx")
PLAN = VenueMarket(venue="okx", stored_as=NAME, timeframe="5m", symbols=(BTC, ETH), begins_at=START)
OFFERED = (instrument(BTC), instrument(ETH))


async def stored(candles: int) -> MemoryCandleStore:
    store = MemoryCandleStore()
    await store.add([(Series(NAME, BTC, "5m"), flat_candles(["100"] * candles))])
    return store


async def test_a_bot_begins_with_the_candle_after_the_newest_stored_one() -> None:
    clock = SteppingClock(moment(10) + timedelta(seconds=100))
    terms = VenueTerms(PLAN, OFFERED, await stored(10), clock)
    assert await terms.next_open() == moment(10)
    clock.advance(200)
    assert await terms.next_open() == moment(10), "its candle has closed and will come any moment"


async def test_a_bot_does_not_begin_by_living_through_an_outage() -> None:
    terms = VenueTerms(PLAN, OFFERED, await stored(10), SteppingClock(moment(300) + timedelta(seconds=100)))
    assert await terms.next_open() == moment(299)


async def test_before_anything_is_stored_it_begins_with_the_market() -> None:
    terms = VenueTerms(PLAN, OFFERED, MemoryCandleStore(), SteppingClock(START))
    assert await terms.next_open() == START
    assert (terms.venue, terms.timeframe, terms.instruments) == (NAME, "5m", OFFERED)
