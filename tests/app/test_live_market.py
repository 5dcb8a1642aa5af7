"""A real venue's market: whatever is lost, late, doubled or reordered, every candle once, in order, and none missed."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from events.errors import OxbotError
from events.venue import MarketCandleRevised, MarketGapFound, MarketRecovered, MarketStale
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.app.feed import FeedRequest
from oxbot.app.live_market_source import (
    CandleBegun,
    CandleClosed,
    CandlePush,
    CandlesConnected,
    CandlesHeard,
)
from oxbot.app.live_market_time import LiveTiming
from oxbot.core.candles import Candle, Series
from tests.app.live_venue import Outage
from tests.app.watched_market import (
    BEFORE,
    END,
    LENGTH,
    NAME,
    SYMBOLS,
    Watched,
    all_listed,
    listed,
    prompt,
    without,
)
from tests.core.scenario import BTC, ETH, START, moment

pytestmark = pytest.mark.anyio


async def test_pushed_candles_are_stored_and_handed_on_once_and_in_order_without_a_question() -> None:
    candles = all_listed()
    run = await Watched(candles, pushes=prompt(candles)).live(end=moment(LENGTH) + timedelta(seconds=2))

    assert [await run.stored(symbol) for symbol in SYMBOLS] == [candles[BTC], candles[ETH]]
    assert [frame.open_time for frame in run.shown] == [moment(number) for number in range(LENGTH)]
    assert run.venue.asked == []
    assert await run.facts() == []
    assert run.faults == {}


async def test_silent_pushes_are_made_up_for_by_one_question_a_candle_and_symbol() -> None:
    run = await Watched(all_listed()).live(end=moment(LENGTH) + timedelta(seconds=10))

    assert await run.stored(BTC) == listed(BTC)
    assert run.venue.asked == [(symbol, moment(number)) for number in range(LENGTH) for symbol in SYMBOLS]
    assert await run.facts() == []


async def test_a_candle_that_has_begun_means_that_those_before_it_are_asked_for_at_once() -> None:
    candles = {BTC: listed(BTC)}
    begun: list[tuple[datetime, CandlePush]] = [(moment(4) + timedelta(seconds=1), CandleBegun(BTC, moment(4)))]
    run = await Watched(candles, pushes=begun).live(end=moment(4) + timedelta(seconds=2))

    assert [frame.open_time for frame in run.shown] == [moment(number) for number in range(4)]


async def test_an_outage_of_everything_is_one_incident_and_costs_no_candle() -> None:
    candles = all_listed()
    outage = Outage(moment(3), moment(7) + timedelta(seconds=20))
    back: list[tuple[datetime, CandlePush]] = [
        (outage.ends, CandlesConnected(BTC)),
        (outage.ends, CandlesConnected(ETH)),
    ]
    run = await Watched(candles, pushes=[*prompt(candles), *back], outages=[outage]).live()

    assert [await run.stored(symbol) for symbol in SYMBOLS] == [candles[BTC], candles[ETH]]
    await run.assert_shown_is_stored()
    facts = await run.facts()
    assert sorted((type(fact).__name__, fact.symbol) for fact in facts) == [  # type: ignore[attr-defined]  # all have it
        ("MarketRecovered", BTC),
        ("MarketRecovered", ETH),
        ("MarketStale", BTC),
        ("MarketStale", ETH),
    ]
    stale = next(fact for fact in facts if isinstance(fact, MarketStale))
    assert stale.expected == moment(3)
    recovered = next(fact for fact in facts if isinstance(fact, MarketRecovered))
    assert recovered.backfilled == 5
    assert set(run.faults) == {moment(number) for number in range(2, 6)}, "the newest came in time"
    assert run.faults[moment(4)] == {BTC: "the candle closed 620 s ago", ETH: "the candle closed 620 s ago"}


async def test_reconnecting_brings_what_was_missed_without_waiting_for_the_next_question() -> None:
    candles = {BTC: listed(BTC)}
    outage = Outage(moment(3), moment(3) + timedelta(seconds=40))
    back: list[tuple[datetime, CandlePush]] = [(outage.ends, CandlesConnected(BTC))]
    run = Watched(candles, pushes=back, outages=[outage], timing=LiveTiming(retry_least=600, retry_most=600))
    await run.live(end=outage.ends + timedelta(seconds=1))

    assert run.cursor == moment(2)


async def test_a_gap_of_the_venue_is_waited_for_asked_again_and_then_left_out_for_good() -> None:
    candles = without(all_listed(), ETH, 4, 5)
    run = await Watched(candles, pushes=prompt(candles)).live()

    assert [await run.stored(symbol) for symbol in SYMBOLS] == [candles[BTC], candles[ETH]]
    await run.assert_shown_is_stored()
    assert [frame.open_time for frame in run.shown] == [moment(number) for number in range(LENGTH)]
    assert run.faults[moment(4)][ETH] == "the venue gave no candle"
    facts = await run.facts()
    assert [type(fact) for fact in facts] == [MarketStale, MarketGapFound, MarketRecovered]
    gap = facts[1]
    assert isinstance(gap, MarketGapFound)
    assert (gap.symbol, gap.first, gap.last) == (ETH, moment(4), moment(5))


@pytest.mark.parametrize("questions_fail_on", [0, 40])
async def test_an_outage_between_two_symbols_candles_costs_none_however_long(questions_fail_on: int) -> None:
    """One came before it, the other did not; afterwards pushes come again at once, and answers somewhat later."""
    candles = all_listed()
    begins, ends = moment(4) + timedelta(seconds=2), moment(8) + timedelta(seconds=10)
    outages = [Outage(begins, ends), Outage(ends, ends + timedelta(seconds=questions_fail_on), pushes=False)]
    heard = [(ends + timedelta(seconds=second), CandlesHeard(BTC)) for second in range(60)]
    pushes = [*prompt({BTC: candles[BTC]}), *prompt({ETH: candles[ETH]}, seconds=2.5), *heard]
    run = await Watched(candles, pushes=pushes, outages=outages).live()

    assert [await run.stored(symbol) for symbol in SYMBOLS] == [candles[BTC], candles[ETH]]
    assert not any(isinstance(fact, MarketGapFound) for fact in await run.facts())


async def test_a_gap_of_everything_that_is_longer_than_a_page_is_passed_over() -> None:
    numbers = range(2, 9)
    candles = without(without(all_listed(), BTC, *numbers), ETH, *numbers)
    run = await Watched(candles).live()

    assert [frame.open_time for frame in run.shown] == [moment(number) for number in (0, 1, 9, 10, 11)]
    assert len(numbers) > run.venue.page
    gaps = [fact for fact in await run.facts() if isinstance(fact, MarketGapFound)]
    assert sorted((gap.symbol, gap.first, gap.last) for gap in gaps) == [
        (symbol, moment(2), moment(8)) for symbol in SYMBOLS
    ]


async def test_a_candle_that_has_just_closed_is_not_given_up_with_an_older_one() -> None:
    candles = without(all_listed(), ETH, 4)
    at = moment(6) + timedelta(seconds=25)
    silent = Outage(moment(6), at, pushes=False, symbol=ETH)
    pushes = [*prompt(without(candles, ETH, 5)), (at, CandleClosed(ETH, listed(ETH)[5]))]
    run = await Watched(candles, pushes=pushes, outages=[silent], timing=LiveTiming(give_up_after=300)).live()

    assert await run.stored(ETH) == candles[ETH]


async def test_each_incident_is_given_its_own_time() -> None:
    candles = without(all_listed(), ETH, 4, 8)
    run = await Watched(candles, pushes=prompt(candles)).live()

    assert [opened for opened, faults in run.faults.items() if BTC in faults] == [moment(4), moment(8)]


async def test_a_symbol_that_is_behind_in_the_store_catches_up_before_any_frame_goes_on() -> None:
    candles = all_listed()
    run = Watched(candles, pushes=prompt(candles))
    await run.store.add([(Series(NAME, BTC, "5m"), listed(BTC)[:6])])
    await run.clock.pass_until(moment(7))
    await run.live()

    assert await run.stored(ETH) == candles[ETH]
    await run.assert_shown_is_stored()
    assert run.venue.asked[0] == (ETH, START)
    assert (BTC, START) not in run.venue.asked


async def test_a_candle_that_is_in_the_store_already_stands_against_the_venue() -> None:
    candles = all_listed()
    stands = replace_close(listed(BTC)[3], "777")
    run = Watched(candles, pushes=prompt(candles))
    await run.store.add([(Series(NAME, BTC, "5m"), [stands])])
    await run.live()

    assert (await run.stored(BTC))[3] == stands
    await run.assert_shown_is_stored()


async def test_what_the_venue_has_for_nobody_yet_is_waited_for() -> None:
    """It answers without any candle, as after a restart of its own; none is given up before another one is there."""
    run = await Watched(all_listed(), withheld_until=moment(6)).live()

    assert [await run.stored(symbol) for symbol in SYMBOLS] == [listed(BTC), listed(ETH)]
    assert {type(fact) for fact in await run.facts()} == {MarketStale, MarketRecovered}


async def test_a_symbol_that_is_gone_holds_the_others_up_once_and_not_at_every_candle() -> None:
    candles = {BTC: listed(BTC), ETH: listed(ETH, 3)}
    run = await Watched(candles, pushes=prompt(candles)).live()

    assert [frame.open_time for frame in run.shown] == [moment(number) for number in range(LENGTH)]
    late = [opened for opened, faults in run.faults.items() if BTC in faults]
    assert late == [moment(3)], "only the first had to be waited for"
    assert [type(fact) for fact in await run.facts()] == [MarketStale]
    assert len([1 for symbol, _ in run.venue.asked if symbol == ETH]) < 3 * LENGTH


async def test_a_symbol_that_the_venue_refuses_does_not_hold_up_the_others() -> None:
    candles = all_listed()
    refused = Outage(moment(2), END, symbol=ETH, refuses=True)
    run = await Watched(candles, pushes=prompt(candles), outages=[refused]).live()

    assert [frame.open_time for frame in run.shown] == [moment(number) for number in range(LENGTH)]
    stale = (await run.facts())[0]
    assert isinstance(stale, MarketStale)
    assert (stale.symbol, stale.reason) == (ETH, f"there is no {ETH}")


async def test_a_candle_that_comes_after_its_frame_went_without_it_is_told_and_stays_out() -> None:
    candles = all_listed()
    silent = without(candles, ETH, 4)
    late: list[tuple[datetime, CandlePush]] = [(moment(9), CandleClosed(ETH, listed(ETH)[4]))]
    run = Watched(silent, pushes=[*prompt(silent), *late])
    await run.live()

    assert await run.stored(ETH) == silent[ETH]
    await run.assert_shown_is_stored()
    revised = [fact for fact in await run.facts() if isinstance(fact, MarketCandleRevised)]
    assert [(fact.symbol, fact.open_time) for fact in revised] == [(ETH, moment(4))]
    assert revised[0].words.startswith("it came after its frame had gone without it: open 14")


async def test_a_candle_that_differs_later_is_told_once_and_stays_as_it_was_seen() -> None:
    candles = {BTC: listed(BTC)}
    other = replace_close(listed(BTC)[2], "777")
    pushes = [*prompt(candles), *[(moment(5 + number), CandleClosed(BTC, other)) for number in range(2)]]
    run = await Watched(candles, pushes=pushes).live()

    assert await run.stored(BTC) == candles[BTC]
    assert [type(fact) for fact in await run.facts()] == [MarketCandleRevised]


def replace_close(one: Candle, close: str) -> Candle:
    return replace(one, close=Decimal(close), high=Decimal(close))


async def test_the_same_number_written_otherwise_is_no_other_candle() -> None:
    candles = {BTC: listed(BTC)}
    pushes = [*prompt(candles), (moment(5), CandleClosed(BTC, replace(listed(BTC)[2], close=Decimal("102.00"))))]
    run = await Watched(candles, pushes=pushes).live()

    assert await run.facts() == []


async def test_staleness_is_told_by_the_venues_clock() -> None:
    skew = timedelta(hours=3)
    candles = {BTC: listed(BTC)}
    run = await Watched(candles, skew=skew).live(end=START + timedelta(seconds=5))

    assert [frame.open_time for frame in run.shown] == [moment(number) for number in range(LENGTH)]
    assert run.faults[moment(0)] == {BTC: f"the candle closed {3 * 3600 - 300} s ago"}


async def test_a_market_that_starts_long_after_its_beginning_asks_for_pages_and_says_nothing() -> None:
    run = Watched(all_listed())
    await run.clock.pass_until(moment(LENGTH) + timedelta(seconds=4))
    await run.live(end=moment(LENGTH) + timedelta(seconds=10))

    assert await run.stored(ETH) == listed(ETH)
    assert len(run.venue.asked) == 2 * LENGTH / run.venue.page
    assert await run.facts() == []


async def test_what_followers_ask_costs_no_question_to_the_venue() -> None:
    candles = all_listed()
    one, many = Watched(candles), Watched(candles)
    await one.live()
    await many.live()
    before = len(many.venue.asked)
    for number in range(200):
        reply = await many._market.after(FeedRequest(follower=f"f{number}", cursor=BEFORE, symbols=(BTC,)))
        assert [frame.candles for frame in reply.frames] == [((BTC, each),) for each in candles[BTC]]

    assert many.venue.asked == one.venue.asked
    assert len(many.venue.asked) == before
    assert many._market.progress().followers == 201


async def test_after_a_crash_in_the_middle_of_an_incident_the_frames_that_went_out_stay_as_they_were() -> None:
    candles = without(all_listed(), ETH, 3, 4, 5)
    run = Watched(candles, pushes=prompt(candles))
    await run.live(moment(6) - timedelta(seconds=30), moment(6) + timedelta(seconds=20))

    await run.assert_shown_is_stored()
    facts = await run.facts()
    assert [type(fact) for fact in facts] == [MarketStale, MarketGapFound, MarketRecovered]
    assert isinstance(facts[1], MarketGapFound)
    assert (facts[1].first, facts[1].last) == (moment(3), moment(5))


async def test_what_makes_the_store_fail_ends_the_market() -> None:
    class Broken(MemoryCandleStore):
        async def add(self, candles: Sequence[tuple[Series, Sequence[Candle]]]) -> int:
            del candles
            raise OxbotError("the disk is full")

    run = Watched({BTC: listed(BTC)})
    run.store = Broken()
    market = run._new()
    working = asyncio.ensure_future(market.run())
    await run.clock.pass_until(moment(2))

    with pytest.raises(ExceptionGroup):
        await working
