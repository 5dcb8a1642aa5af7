"""A bot's equity read from the views and the candle store, up to the market's own time."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.bot import BotFact
from events.identifiers import BotId
from oxbot.adapters.memory_views import MemoryViews
from oxbot.app.equity import EquityReader, EverythingStoredIsClosed, thinned
from oxbot.app.projection import ProjectionRunner
from oxbot.core.candles import Frame
from oxbot.core.money import exact
from oxbot.views.equity import EquityPoint
from tests.app.fakes import claimed, market, stored, written
from tests.core.scenario import BOT, BTC, ETH, STEP, instrument, moment, running

pytestmark = pytest.mark.anyio

FRAMES = market(90, seed=7, symbols=(BTC, ETH))
TWO = running(instrument(BTC), instrument(ETH))


class StandingMarket:
    """``MarketTime`` that has come so far and no further."""

    def __init__(self, closed_before: datetime) -> None:
        self._closed_before = closed_before
        self.venues: list[str] = []

    async def closed_before(self, venue: str) -> datetime:
        """The same for every venue."""
        self.venues.append(venue)
        return self._closed_before


class Told:
    """A bot's life with the equity that its own state had after every candle."""

    def __init__(self) -> None:
        self.views = MemoryViews()
        self.points: list[EquityPoint] = []

    async def live(self, frames: Sequence[Frame], facts: Sequence[BotFact] = TWO) -> "Told":
        """Live through the frames, noting after each what the bot is worth at its closes."""
        log = await written(facts)
        incarnation = await claimed(log, await stored(frames))
        marks: dict[str, Decimal] = {}
        for frame in frames:
            await incarnation.observe([frame])
            marks.update((symbol, candle.close) for symbol, candle in frame.candles)
            ledger = incarnation.state.ledger
            with exact():
                held = sum((held.quantity * marks[symbol] for symbol, held in ledger.positions.items()), Decimal(0))
                self.points.append(EquityPoint(frame.open_time, ledger.cash, ledger.cash + held))
        await ProjectionRunner(log, self.views).catch_up()
        return self


async def test_the_curve_is_what_the_bots_own_state_was_worth_at_every_candle() -> None:
    told = await Told().live(FRAMES)
    reader = EquityReader(told.views, await stored(FRAMES), EverythingStoredIsClosed())

    curve = await reader.curve(BOT)

    assert curve == told.points
    assert any(point.cash != point.equity for point in curve)
    assert len({point.cash for point in curve}) > 5


async def test_nobody_is_shown_a_candle_of_the_markets_future() -> None:
    told = await Told().live(FRAMES[:41])
    standing = StandingMarket(moment(41))
    reader = EquityReader(told.views, await stored(FRAMES), standing)

    assert await reader.curve(BOT) == told.points
    assert await reader.marks(BOT) == {symbol: candle.close for symbol, candle in FRAMES[40].candles}
    assert set(standing.venues) == {"test"}


async def test_a_range_takes_its_begin_and_leaves_its_end() -> None:
    told = await Told().live(FRAMES)
    reader = EquityReader(told.views, await stored(FRAMES), EverythingStoredIsClosed())

    assert await reader.curve(BOT, begins_at=moment(30), ends_before=moment(50)) == told.points[30:50]
    assert await reader.curve(BOT, begins_at=moment(30), ends_before=moment(50), points_max=5) == told.points[33:50:4]
    assert await reader.curve(BOT, begins_at=moment(90)) == []
    early = EquityReader(told.views, await stored(FRAMES), StandingMarket(moment(20)))
    assert await early.curve(BOT, ends_before=moment(50)) == told.points[:20]


async def test_a_thinned_curve_goes_through_the_same_points_and_skips_the_times_without_candles() -> None:
    told = await Told().live(FRAMES)
    gap = [frame for number, frame in enumerate(FRAMES) if not 41 <= number < 60]
    reader = EquityReader(told.views, await stored(gap), EverythingStoredIsClosed())
    whole = {point.at: point for point in await reader.curve(BOT)}

    thin = await reader.curve(BOT, points_max=15)

    assert [(point.at - moment(0)) // STEP for point in thin] == [5, 11, 17, 23, 29, 35, 40, 65, 71, 77, 83, 89]
    assert [whole[point.at] for point in thin] == thin


async def test_a_resolution_takes_the_last_point_of_each_of_its_spans() -> None:
    told = await Told().live(FRAMES)
    reader = EquityReader(told.views, await stored(FRAMES), EverythingStoredIsClosed())
    holdings = await reader.holdings(BOT, told.views)
    assert holdings is not None

    async def of(points_max: int, begins_at: datetime | None = None) -> list[EquityPoint]:
        return await reader.marked(
            holdings, begins_at=begins_at, ends_before=None, points_max=points_max, apart=12 * STEP
        )

    hours = [*told.points[11::12], told.points[-1]]
    assert await of(100) == hours
    assert await of(4) == [hours[1], hours[3], hours[5], hours[7]]
    assert await of(100, moment(30)) == hours[2:]


async def test_marks_are_the_newest_closes_of_the_symbols_that_have_any() -> None:
    told = await Told().live(FRAMES[:5])
    only_btc = [Frame(frame.open_time, frame.candles[:1]) for frame in FRAMES[:5]]
    reader = EquityReader(told.views, await stored(only_btc), EverythingStoredIsClosed())

    assert await reader.marks(BOT) == {BTC: FRAMES[4].candles[0][1].close}


async def test_an_unknown_bot_has_no_curve_and_no_marks() -> None:
    reader = EquityReader(MemoryViews(), await stored(FRAMES), EverythingStoredIsClosed())
    assert await reader.curve(BotId("nobody")) == []
    assert await reader.marks(BotId("nobody")) == {}


async def test_what_is_stored_is_closed_for_all_time() -> None:
    assert await EverythingStoredIsClosed().closed_before("any") == datetime.max.replace(tzinfo=UTC)


@given(count=st.integers(0, 60), points_max=st.integers(1, 70))
def test_thinning_keeps_the_last_point_and_even_steps(count: int, points_max: int) -> None:
    points = [EquityPoint(moment(number), Decimal(number), Decimal(number)) for number in range(count)]

    kept = thinned(points, points_max)

    assert len(kept) <= points_max
    assert kept[-1:] == points[-1:]
    steps = {later.cash - earlier.cash for earlier, later in pairwise(kept)}
    assert len(steps) <= 1
    if count <= points_max:
        assert kept == points
    else:
        assert 2 * len(kept) >= points_max, "no fewer points than the even step needs"
