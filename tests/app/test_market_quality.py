"""How old a market's candles are, by the clock that they come by."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from events.codec import Codec
from events.identifiers import Symbol, VenueName
from events.memory import MemoryEventLog
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.app.equity import EverythingStoredIsClosed
from oxbot.app.market_quality import MarketQuality, VenueQuality
from oxbot.core.candles import Candle, Series
from tests.app.fakes import SteppingClock

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
STEP = timedelta(minutes=5)


async def quality(venue: str, opened_at: datetime) -> VenueQuality:
    """What is said of a market of one candle, which says nothing of its own time."""
    candles, price = MemoryCandleStore(), Decimal(100)
    series = Series(VenueName(venue), Symbol("BTC/USDT"), "5m")
    await candles.add([(series, [Candle(opened_at, price, price, price, price, price)])])
    reader = MarketQuality(MemoryEventLog(Codec()), candles, EverythingStoredIsClosed(), SteppingClock(NOW))
    [found] = await reader.venues()
    return found


@pytest.mark.parametrize("venue", ["okx", "okx-demo"])
async def test_candles_of_a_real_venue_are_as_old_as_our_clock_says(venue: str) -> None:
    found = await quality(venue, NOW - 3 * STEP)
    assert (found.clock, found.series[0].age_seconds) == ("ours", 600)


@pytest.mark.parametrize("venue", ["synthetic-2e211b65f2a6", "okx-local"])
@pytest.mark.parametrize("opened_at", [NOW - 300_000 * STEP, NOW + 300_000 * STEP])
async def test_of_a_market_that_is_played_our_clock_says_nothing(venue: str, opened_at: datetime) -> None:
    found = await quality(venue, opened_at)
    assert (found.clock, found.series[0].newest, found.series[0].age_seconds) == ("own", opened_at, None)
