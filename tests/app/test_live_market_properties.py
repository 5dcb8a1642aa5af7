"""Whatever is lost, late, doubled or reordered, and whoever dies: each candle once, in order, as followers saw it."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from events.identifiers import Symbol
from events.venue import MarketGapFound, MarketRecovered, MarketStale
from oxbot.app.live_market_source import (
    CandleClosed,
    CandlePush,
    CandlesConnected,
    SourceRefused,
)
from oxbot.core.candles import Candle
from tests.app.live_venue import Outage
from tests.app.watched_market import (
    END,
    LATER,
    LENGTH,
    SYMBOLS,
    Watched,
    all_listed,
    listed,
    prompt,
    without,
)
from tests.core.scenario import BTC, ETH, START, STEP, moment
from tests.examples import some

pytestmark = pytest.mark.anyio


SECONDS = st.integers(0, int((END - START).total_seconds()))


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[datetime, CandlePush]]:
    """Each candle pushed never, once or several times, in any order, up to half an hour late."""
    pushes: list[tuple[datetime, CandlePush]] = []
    for symbol in SYMBOLS:
        for each in listed(symbol):
            delays = draw(st.lists(st.integers(0, 1800), max_size=3))
            closed = each.open_time + STEP
            pushes.extend((closed + timedelta(seconds=delay), CandleClosed(symbol, each)) for delay in delays)
    seconds = draw(st.lists(SECONDS, max_size=4))
    again = CandlesConnected(draw(st.sampled_from(SYMBOLS)))
    return [*pushes, *((START + timedelta(seconds=second), again) for second in seconds)]


@st.composite
def harmless(draw: st.DrawFn) -> list[Outage]:
    """Outages of everything, however long, and one of questions alone for less than it takes to give up."""
    outages = []
    for longest in [50, *(1500 for _ in range(draw(st.integers(0, 3))))]:
        begins = START + timedelta(seconds=draw(SECONDS))
        ends = begins + timedelta(seconds=draw(st.integers(0, longest)))
        outages.append(Outage(begins, ends, pushes=longest > 50))
    return outages


@st.composite
def any_outages(draw: st.DrawFn) -> list[Outage]:
    """Of anything, for any time."""
    outages = []
    for _ in range(draw(st.integers(0, 4))):
        begins = START + timedelta(seconds=draw(SECONDS))
        symbol = draw(st.sampled_from([None, *SYMBOLS]))
        outages.append(
            Outage(
                begins,
                begins + timedelta(seconds=draw(st.integers(1, 1500))),
                questions=draw(st.booleans()),
                pushes=draw(st.booleans()),
                symbol=symbol,
                refuses=symbol is not None and draw(st.booleans()),
            )
        )
    return outages


@given(pushes=arrivals(), outages=harmless(), deaths=st.lists(SECONDS, max_size=2))
@settings(some(30), phases=[Phase.reuse, Phase.generate])
def test_whatever_is_lost_late_doubled_or_reordered_the_store_holds_the_venues_candles(
    pushes: list[tuple[datetime, CandlePush]], outages: list[Outage], deaths: list[int]
) -> None:
    async def exercise() -> None:
        candles = all_listed()
        run = Watched(candles, pushes=pushes, outages=outages)
        await run.live(*(START + timedelta(seconds=second) for second in deaths), end=LATER)

        assert [await run.stored(symbol) for symbol in SYMBOLS] == [candles[BTC], candles[ETH]]
        assert [frame.open_time for frame in run.shown] == [moment(number) for number in range(LENGTH)]
        await run.assert_shown_is_stored()
        assert not any(isinstance(fact, MarketGapFound) for fact in await run.facts())

    asyncio.run(exercise())


@given(
    pushes=arrivals(),
    outages=any_outages(),
    deaths=st.lists(SECONDS, max_size=3),
    lost=st.sets(st.tuples(st.sampled_from(SYMBOLS), st.integers(0, LENGTH - 1)), max_size=4),
)
@settings(some(30), phases=[Phase.reuse, Phase.generate])
def test_whatever_fails_a_replay_reads_exactly_what_followers_were_shown(
    pushes: list[tuple[datetime, CandlePush]],
    outages: list[Outage],
    deaths: list[int],
    lost: set[tuple[Symbol, int]],
) -> None:
    async def exercise() -> None:
        candles = all_listed()
        for symbol, number in lost:
            candles = without(candles, symbol, number)
        known = [push for push in pushes if isinstance(push[1], CandlesConnected) or is_in(push[1], candles)]
        run = Watched(candles, pushes=known, outages=outages)
        await run.live(*(START + timedelta(seconds=second) for second in deaths), end=LATER)

        await run.assert_shown_is_stored()
        for symbol in SYMBOLS:
            assert set(await run.stored(symbol)) <= set(candles[symbol])
        open_incidents: set[Symbol] = set()
        for fact in await run.facts():
            if isinstance(fact, MarketStale):
                assert fact.symbol not in open_incidents
                open_incidents.add(fact.symbol)
            elif isinstance(fact, MarketRecovered):
                open_incidents.remove(fact.symbol)

    asyncio.run(exercise())


async def test_a_venue_that_will_have_none_of_it_ends_the_market_at_its_start_and_not_later() -> None:
    candles = {BTC: listed(BTC)}
    later = Outage(moment(2), moment(4), pushes=False, refuses=True)
    run = await Watched(candles, pushes=prompt(candles), outages=[later]).live()
    assert await run.stored(BTC) == candles[BTC]

    never = Watched(candles, outages=[Outage(START, END, refuses=True)])
    with pytest.raises(SourceRefused):
        await never._new().run()


def is_in(push: CandlePush, candles: Mapping[Symbol, Sequence[Candle]]) -> bool:
    return isinstance(push, CandleClosed) and push.candle in candles[push.symbol]
