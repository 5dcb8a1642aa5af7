"""Past candles from a venue: all that it has, once, whatever happens on the way, and only what is missing."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import pytest

from events.codec import Codec
from events.envelope import NewEvent
from events.identifiers import Symbol, VenueName, new_event_id, venue_stream
from events.log import ANY_VERSION
from events.memory import MemoryEventLog
from events.venue import MarketGapFound, MarketStale, VenueFact
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.app.candle_download import Downloaded, download_candles
from oxbot.app.live_market_incidents import left_out_of
from oxbot.app.live_market_source import SourceUnavailable
from oxbot.core.candles import Candle, Series, window_digest
from oxbot.core.venue_market import Gap
from tests.app.live_venue import Outage, ScriptedVenue, VirtualClock
from tests.core.scenario import BTC, ETH, START, STEP, candle, moment

pytestmark = pytest.mark.anyio

SERIES = Series(VenueName("exchange"), BTC, "5m")
LENGTH = 22
END = moment(LENGTH)
LISTED = [candle(number, str(100 + number)) for number in range(LENGTH)]


class Download:
    """A venue whose candles have all closed, and a store to bring them into."""

    def __init__(self, candles: Sequence[Candle] = LISTED, *, outages: Sequence[Outage] = ()) -> None:
        self.clock = VirtualClock(moment(LENGTH))
        self.venue = ScriptedVenue(self.clock, {BTC: candles}, outages=outages)
        self.store = MemoryCandleStore()
        self.moved: list[datetime] = []

    async def run(
        self, begins_at: datetime = START, ends_before: datetime = END, left_out: Sequence[Gap] = ()
    ) -> Downloaded:
        working = asyncio.ensure_future(
            download_candles(
                self.venue,
                self.store,
                SERIES,
                begins_at=begins_at,
                ends_before=ends_before,
                clock=self.clock,
                left_out=left_out,
                moved=self.moved.append,
            )
        )
        await self.clock.pass_until(self.clock.now() + timedelta(minutes=4))
        return await asyncio.wait_for(working, timeout=5)

    async def stored(self) -> list[Candle]:
        return await self.store.read(SERIES, begins_at=START, ends_before=moment(2 * LENGTH))


async def test_all_pages_come_once_with_their_digest() -> None:
    download = Download()
    done = await download.run()

    assert await download.stored() == LISTED
    assert done == Downloaded(BTC, LENGTH, LENGTH, (), window_digest(LISTED))
    assert [begins_at for _, begins_at in download.venue.asked] == [moment(number) for number in range(0, LENGTH, 4)]
    assert download.moved == sorted(download.moved)
    assert download.moved[-1] == moment(LENGTH)


async def test_only_what_is_missing_is_asked_for() -> None:
    download = Download()
    await download.store.add([(SERIES, LISTED[3:20])])
    done = await download.run()

    assert await download.stored() == LISTED
    assert done.added == 5
    assert [begins_at for _, begins_at in download.venue.asked] == [moment(0), moment(20)]


async def test_a_range_within_candles_takes_those_that_open_in_it() -> None:
    download = Download()
    done = await download.run(START + timedelta(seconds=1), moment(3) + timedelta(seconds=1))
    assert await download.stored() == LISTED[1:4]
    assert done.gaps == ()


async def test_what_has_not_closed_is_neither_stored_nor_a_gap() -> None:
    download = Download([*LISTED, candle(LENGTH, "7")])
    done = await download.run(moment(20), moment(LENGTH + 5))
    assert await download.stored() == LISTED[20:]
    assert done.gaps == ()


async def test_gaps_of_any_length_are_passed_over_and_told() -> None:
    download = Download([*LISTED[:2], *LISTED[14:16], *LISTED[17:]])
    done = await download.run()
    assert done.gaps == (Gap(moment(2), moment(13)), Gap(moment(16), moment(16)))
    assert await download.stored() == [*LISTED[:2], *LISTED[14:16], *LISTED[17:]]


async def test_a_short_outage_is_waited_for() -> None:
    download = Download(outages=[Outage(moment(LENGTH), moment(LENGTH) + timedelta(seconds=20))])
    await download.run()
    assert await download.stored() == LISTED


async def test_a_long_outage_ends_it_and_the_next_goes_on_where_it_was() -> None:
    outage = Outage(moment(LENGTH) + timedelta(seconds=0.35), moment(LENGTH) + timedelta(minutes=4))
    download = Download(outages=[outage])
    with pytest.raises(SourceUnavailable):
        await download.run()
    assert await download.stored() == LISTED[:12]

    asked = len(download.venue.asked)
    download.venue = ScriptedVenue(download.clock, {BTC: LISTED})
    done = await download.run()
    assert asked > 3
    assert (done.candles, done.added) == (LENGTH, LENGTH - 12)
    assert download.venue.asked[0] == (BTC, moment(12))


async def test_what_a_live_market_left_out_stays_out() -> None:
    """Bots decided without those candles, and a replay must not see them."""
    log = MemoryEventLog(Codec())
    facts: list[VenueFact] = [
        MarketGapFound(at=START, symbol=BTC, timeframe="5m", first=moment(5), last=moment(6)),
        MarketStale(at=START, symbol=ETH, timeframe="5m", expected=moment(8)),
        MarketStale(at=START, symbol=BTC, timeframe="1h", expected=moment(8)),
    ]
    events = [NewEvent(event_id=new_event_id(), occurred_at=START, fact=fact) for fact in facts]
    await log.append(venue_stream(SERIES.venue), events, expected=ANY_VERSION)
    left_out: Mapping[Symbol, Sequence[Gap]] = await left_out_of(log, SERIES.venue, "5m", step=STEP)
    assert left_out[ETH][0].first == moment(7)

    download = Download()
    done = await download.run(left_out=left_out[BTC])

    assert await download.stored() == [*LISTED[:5], *LISTED[7:]]
    assert done.gaps == (Gap(moment(5), moment(6)),)
