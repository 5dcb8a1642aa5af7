"""A bot sees the newest closed candles of its symbols, and nothing else."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import msgspec
import numpy as np
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from oxbot.core.candle_series import CandleSeries, SharedSeries
from oxbot.core.candles import Candle, Frame
from oxbot.core.market_view import CandleWindow, MarketView
from tests.core.market_strategies import candles
from tests.core.scenario import BTC, ETH, STEP, candle, created, flat_candles, moment


@forall(market=candles(size_max=90), capacity=st.integers(1, 9))
def test_a_window_holds_the_newest_candles_in_order(market: list[Candle], capacity: int) -> None:
    """Across every turn of its buffer, after every push."""
    window = CandleWindow(capacity)
    for number, each in enumerate(market, start=1):
        window.push(each)
        newest = market[max(0, number - capacity) : number]
        assert len(window) == len(newest)
        assert window.last is each
        for count in range(1, len(newest) + 1):
            assert window.candles(count) == newest[-count:]
            assert window.closes(count).tolist() == [float(held.close) for held in newest[-count:]]


def test_closes_are_contiguous_for_indicators() -> None:
    window = CandleWindow(3)
    for each in flat_candles(["1", "2", "3", "4"]):
        window.push(each)
    closes = window.closes(3)
    assert closes.flags["C_CONTIGUOUS"]
    assert closes.shape == (3,)


def test_a_frame_reaches_the_symbols_that_are_followed() -> None:
    view = MarketView([BTC], capacity=5)
    view.push(Frame(moment(0), ((BTC, candle(0, "100")), (ETH, candle(0, "7")))))
    assert view.mark(BTC) == Decimal(100)
    with pytest.raises(KeyError):
        view.mark(ETH)


def test_a_symbol_missing_from_a_frame_keeps_its_mark() -> None:
    view = MarketView([BTC, ETH], capacity=5)
    view.push(Frame(moment(0), ((BTC, candle(0, "100")), (ETH, candle(0, "7")))))
    view.push(Frame(moment(1), ((BTC, candle(1, "101")),)))
    assert (view.mark(BTC), view.mark(ETH)) == (Decimal(101), Decimal(7))
    assert (len(view[BTC]), len(view[ETH])) == (2, 1)


def test_warming_is_like_pushing_one_by_one() -> None:
    warmed, pushed = MarketView([BTC], capacity=3), MarketView([BTC], capacity=3)
    market = flat_candles(["1", "2", "3", "4", "5"])
    warmed.warm(BTC, market)
    for each in market:
        pushed.push(Frame(each.open_time, ((BTC, each),)))
    assert warmed[BTC].candles(3) == pushed[BTC].candles(3) == market[-3:]


def test_there_is_no_mark_before_the_first_candle() -> None:
    with pytest.raises(LookupError, match="no candle of BTC/USDT has closed yet"):
        MarketView([BTC], capacity=3).mark(BTC)


def hourly(*, first: int = 0, count: int, missing: Sequence[int] = ()) -> list[Candle]:
    """Five-minute candles, twelve to the hour, whose numbers tell them apart."""
    return [
        candle(number, f"{200 + number} {300 + number} {100 + number} {250 + number}")
        for number in range(first, first + count)
        if number not in missing
    ]


def windowed(market: Sequence[Candle], *, capacity: int = 500, timeframe: timedelta | None = STEP) -> CandleWindow:
    """A window that was shown these candles."""
    window = CandleWindow(capacity, timeframe=timeframe)
    for each in market:
        window.push(each)
    return window


@pytest.mark.parametrize(
    ("market", "expected"),
    [
        (hourly(count=0), []),
        (hourly(count=11), []),
        (hourly(count=12), [0]),
        (hourly(count=35), [0, 1]),
        (hourly(count=36), [0, 1, 2]),
        (hourly(first=1, count=35), [1, 2]),
        (hourly(first=1, count=11), []),
        (hourly(count=36, missing=[12]), [0, 1, 2]),
        (hourly(count=36, missing=[23]), [0, 1, 2]),
        (hourly(count=24, missing=[23]), [0]),
        (hourly(count=36, missing=range(12, 24)), [0, 2]),
        (hourly(count=24, missing=[0]), [1]),
    ],
)
def test_longer_candles_are_made_of_whole_hours_that_have_closed(market: list[Candle], expected: list[int]) -> None:
    hours = windowed(market).resample(9, 12)
    assert [(time - moment(0).timestamp()) / 3600 for time in hours.open_times] == expected
    for place, hour in enumerate(expected):
        made_of = [each for each in market if (each.open_time - moment(0)) // timedelta(hours=1) == hour]
        assert hours.opens[place] == float(made_of[0].open)
        assert hours.highs[place] == max(float(each.high) for each in made_of)
        assert hours.lows[place] == min(float(each.low) for each in made_of)
        assert hours.closes[place] == float(made_of[-1].close)
        assert hours.volumes[place] == len(made_of)


def test_only_the_newest_longer_candles_are_shown() -> None:
    hours = windowed(hourly(count=60)).resample(2, 12)
    assert [(time - moment(0).timestamp()) / 3600 for time in hours.open_times] == [3, 4]
    assert {len(column) for column in hours} == {2}
    assert all(column.flags["C_CONTIGUOUS"] for column in hours)


@forall(
    begins=st.integers(0, 40),
    capacity=st.integers(1, 60),
    seen=st.integers(1, 60),
    factor=st.integers(1, 13),
    count=st.integers(1, 9),
)
def test_a_longer_candle_is_the_same_in_every_window_that_shows_it(
    begins: int, capacity: int, seen: int, factor: int, count: int
) -> None:
    """However far the window reaches back, and whoever else looks at the series."""
    market, shared = hourly(count=begins + seen), CandleSeries(timeframe=STEP)
    known = {row[0]: row for row in zip(*windowed(market).resample(500, factor), strict=True)}
    sizes = (500, capacity)
    pairs = [(CandleWindow(size, timeframe=STEP), CandleWindow(size, shared=shared)) for size in sizes]
    for each in market[begins:]:
        for pair in pairs:
            alone, sharing = pair
            alone.push(each)
            sharing.push(each)
            rows = list(zip(*alone.resample(count, factor), strict=True))
            assert list(zip(*sharing.resample(count, factor), strict=True)) == rows
            assert all(known[row[0]] == row for row in rows)


def test_a_window_that_is_not_told_its_timeframe_takes_the_least_distance() -> None:
    market = hourly(count=36, missing=[12])
    told, untold = windowed(market), windowed(market, timeframe=None)
    assert all(np.array_equal(*columns) for columns in zip(told.resample(9, 12), untold.resample(9, 12), strict=True))


def test_a_view_of_a_market_knows_its_timeframe_and_shares_its_series() -> None:
    """The market's candles are an hour long, and only every other one was shown."""
    market = msgspec.structs.replace(created().market, timeframe="1h")
    shared = SharedSeries()
    views = [MarketView.of(market, capacity=9, shared=each) for each in (shared, shared, None)]
    for view in views:
        view.warm(BTC, hourly(count=60)[::24])
        assert len(view[BTC].resample(9, 2).closes) == 2
        assert view[BTC].symbol == BTC
    assert np.shares_memory(views[0][BTC].closes(3), views[1][BTC].closes(3))
    assert not np.shares_memory(views[0][BTC].closes(3), views[2][BTC].closes(3))


def test_more_candles_than_there_are_cannot_be_asked_for() -> None:
    window = windowed(hourly(count=3), capacity=2)
    for look in (window.candles, window.opens, window.highs, window.lows, window.volumes, window.open_times):
        assert len(look(2)) == 2
        with pytest.raises(LookupError, match="3 candles were asked for and 2 are there"):
            look(3)
