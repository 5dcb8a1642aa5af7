"""Bots share the candles they look at and what is computed from them, and each sees only what it would see alone."""

import gc
import weakref
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from events.identifiers import VenueName
from oxbot.core.candle_series import CandleSeries, Memo, SharedSeries
from oxbot.core.candles import Candle, Series, window_digest
from oxbot.core.market_view import CandleWindow
from tests.core.market_strategies import candles
from tests.core.scenario import BTC, STEP, candle, flat_candles

SERIES = Series(VenueName("test"), BTC, "5m")


class Looker(NamedTuple):
    """How one bot looks: how far back, from which candle on, which it is not shown, and which it is shown rescaled."""

    capacity: int
    begins: int
    misses: set[int]
    rescales: set[int]

    def shown(self, market: Sequence[Candle]) -> list[Candle]:
        """The candles it is shown, all in all."""
        mine = [
            _rescaled(each) if number in self.rescales else each
            for number, each in enumerate(market)
            if number >= self.begins and number not in self.misses
        ]
        return mine or [market[-1]]


def _rescaled(each: Candle) -> Candle:
    """An equal candle that has another digest."""
    return msgspec.structs.replace(each, volume=each.volume * Decimal("1.0"))


NUMBERS = st.sets(st.integers(0, 89), max_size=2)
LOOKERS = st.lists(
    st.builds(Looker, st.integers(1, 9), st.integers(0, 40) | st.just(0), NUMBERS, NUMBERS), min_size=2, max_size=4
)


@forall(
    market=candles(size_max=90),
    lookers=LOOKERS,
    turns=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30)), max_size=40),
    slack=st.integers(1, 40),
)
def test_bots_at_different_cursors_see_exactly_what_they_would_see_alone(
    market: list[Candle], lookers: list[Looker], turns: list[tuple[int, int]], slack: int
) -> None:
    """Whoever is ahead, lags, begins later, missed a candle or was told it in other digits, in whatever order."""
    shared = CandleSeries(slack=slack)
    windows = [CandleWindow(looker.capacity, shared=shared) for looker in lookers]
    shown = [looker.shown(market) for looker in lookers]
    seen = [0] * len(lookers)
    for turn, count in [*turns, *((number, len(market)) for number in range(len(lookers)))]:
        number = turn % len(lookers)
        for each in shown[number][seen[number] : seen[number] + count]:
            windows[number].push(each)
            seen[number] += 1
            _check(windows[number], shown[number][max(0, seen[number] - lookers[number].capacity) : seen[number]])


def _check(window: CandleWindow, expected: list[Candle]) -> None:
    """Every way to look shows exactly these candles."""
    size = len(expected)
    assert len(window) == size
    assert window.last == expected[-1]
    assert window_digest(window.candles(size)) == window_digest(expected)
    for look, name in (
        (window.opens, "open"),
        (window.highs, "high"),
        (window.lows, "low"),
        (window.closes, "close"),
        (window.volumes, "volume"),
    ):
        assert look(size).tolist() == [float(getattr(each, name)) for each in expected]
    assert window.open_times(size).tolist() == [each.open_time.timestamp() for each in expected]
    assert window.memo("digest", lambda: window_digest(window.candles(size))) == window_digest(expected)
    with pytest.raises(LookupError):
        window.closes(size + 1)


class Computation:
    """Counts how often it is made."""

    def __init__(self) -> None:
        self.made = 0

    def of(self, window: CandleWindow) -> float:
        """The mean of the window's closes, remembered."""
        return window.memo("mean", lambda: self._compute(window))

    def _compute(self, window: CandleWindow) -> float:
        self.made += 1
        return float(window.closes(len(window)).mean())


def follow(windows: Sequence[CandleWindow], market: Sequence[Candle], computation: Computation) -> None:
    """Push each candle to all the windows, and compute in each."""
    for each in market:
        for window in windows:
            window.push(each)
            computation.of(window)


MARKET = flat_candles([str(100 + number % 7) for number in range(300)])


def test_bots_that_see_the_same_candles_compute_once_for_all() -> None:
    shared, computation = CandleSeries(slack=16), Computation()
    follow([CandleWindow(5, shared=shared) for _ in range(4)], MARKET, computation)
    assert computation.made == len(MARKET)


def test_a_bot_that_lags_a_little_finds_what_was_computed() -> None:
    shared, computation = CandleSeries(slack=64), Computation()
    ahead, behind = CandleWindow(5, shared=shared), CandleWindow(5, shared=shared)
    for begin in range(0, 300, 8):
        follow([ahead], MARKET[begin : begin + 8], computation)
        follow([behind], MARKET[begin : begin + 8], computation)
    assert computation.made == len(MARKET)


def test_a_bot_that_began_later_shares_once_its_window_holds_the_same_candles() -> None:
    shared, computation = CandleSeries(), Computation()
    early, late = CandleWindow(10, shared=shared), CandleWindow(10, shared=shared)
    follow([early], MARKET[:50], computation)
    follow([early, late], MARKET[50:100], computation)
    assert computation.made == 100 + 9


def test_windows_of_different_lengths_share_candles_and_no_values() -> None:
    shared, computation = CandleSeries(), Computation()
    short, long = CandleWindow(5, shared=shared), CandleWindow(50, shared=shared)
    follow([short, long], MARKET, computation)
    assert computation.made == 2 * len(MARKET) - 5
    assert np.shares_memory(short.closes(5), long.closes(50))


def test_a_bot_beyond_the_slack_looks_alone_until_it_has_caught_up() -> None:
    shared, computation = CandleSeries(slack=20), Computation()
    ahead, behind = CandleWindow(5, shared=shared), CandleWindow(5, shared=shared)
    follow([ahead, behind], MARKET[:10], computation)
    follow([ahead], MARKET[10:200], computation)
    follow([behind], MARKET[10:200], computation)
    made = computation.made
    follow([ahead, behind], MARKET[200:], computation)
    assert made > 200
    assert computation.made == made + 100


def test_a_bot_that_was_warmed_with_equal_candles_shares() -> None:
    """They come from the store and are other objects."""
    shared, computation = CandleSeries(), Computation()
    first, second = CandleWindow(5, shared=shared), CandleWindow(5, shared=shared)
    copies = [msgspec.structs.replace(each) for each in MARKET]
    for each, copy in zip(MARKET, copies, strict=True):
        follow([first], [each], computation)
        follow([second], [copy], computation)
    assert computation.made == len(MARKET)


def test_a_series_that_nobody_looks_at_any_more_is_begun_again() -> None:
    shared, computation = CandleSeries(), Computation()
    follow([CandleWindow(5, shared=shared)], MARKET[:10], computation)
    gc.collect()
    follow([CandleWindow(5, shared=shared) for _ in range(2)], MARKET[100:110], computation)
    assert computation.made == 20


def test_two_bots_far_ahead_of_a_third_share_once_it_has_left() -> None:
    shared, computation = CandleSeries(), Computation()
    third = [CandleWindow(5, shared=shared)]
    follow(third, MARKET[:10], computation)
    ahead = [CandleWindow(5, shared=shared) for _ in range(2)]
    follow(ahead, MARKET[100:110], computation)
    assert computation.made == 10 + 20
    third.clear()
    gc.collect()
    follow(ahead, MARKET[110:120], computation)
    assert computation.made == 30 + 10


def test_a_series_keeps_no_more_than_it_may_have_to_show() -> None:
    shared = CandleSeries(slack=10)
    window = CandleWindow(5, shared=shared)
    blocks = []
    for each in MARKET:
        window.push(each)
        head = shared.head
        assert head is not None
        assert len(head.candles) <= 5 + 10
        blocks.append(weakref.ref(head))
    del head
    gc.collect()
    assert len({id(block()) for block in blocks if block() is not None}) == 2


def test_columns_and_remembered_arrays_cannot_be_written() -> None:
    window = CandleWindow(3)
    for each in MARKET[:3]:
        window.push(each)
    doubled, (nested,) = window.memo("double", lambda: (window.closes(3) * 2, (window.closes(3) * 3,)))
    for array in (window.closes(3), window.open_times(3), doubled, nested):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_what_could_not_be_computed_is_computed_again() -> None:
    memo = Memo(1000)
    with pytest.raises(ZeroDivisionError):
        memo.get("key", lambda: 1 / 0)
    assert memo.get("key", lambda: 2.0) == 2.0


def test_nothing_that_was_computed_is_remembered_too() -> None:
    memo = Memo(1000)
    memo.get("key", lambda: None)
    assert memo.get("key", lambda: 1) is None


def counted(made: list[str], key: str) -> Callable[[], np.ndarray]:
    """A computation of 800 bytes that says when it is made."""

    def compute() -> np.ndarray:
        made.append(key)
        return np.zeros(100)

    return compute


def test_the_values_that_were_least_recently_used_are_forgotten_first() -> None:
    memo, made = Memo(3500), list[str]()
    for key in ("a", "b", "c", "a", "d", "a", "c", "b"):
        memo.get(key, counted(made, key))
    assert made == ["a", "b", "c", "d", "b"]


def test_a_view_of_a_large_array_counts_as_what_it_keeps_alive() -> None:
    memo, made = Memo(3500), list[str]()
    memo.get("a", counted(made, "a"))
    memo.get("large", lambda: np.zeros(1000)[:1])
    memo.get("a", counted(made, "a"))
    assert made == ["a", "a"]


def test_a_process_has_one_series_of_a_kind_for_as_long_as_someone_looks() -> None:
    known = SharedSeries()
    window = CandleWindow(3, shared=known.of(SERIES))
    window.push(candle(0, "100"))
    again = CandleWindow(3, shared=known.of(Series(VenueName("test"), BTC, "5m")))
    again.push(candle(0, "100"))
    assert np.shares_memory(window.closes(1), again.closes(1))
    assert known.of(SERIES).timeframe == STEP
    assert known.of(SERIES) is not known.of(msgspec.structs.replace(SERIES, venue=VenueName("other")))
    gone = weakref.ref(known.of(SERIES))
    del window, again
    gc.collect()
    assert gone() is None


def test_a_bot_that_is_always_shown_a_candle_first_shares_with_those_who_were_there_before_it() -> None:
    """It begins ahead of them; whoever is first, the others find what was computed."""
    shared, computation = CandleSeries(slack=16), Computation()
    early, late = CandleWindow(5, shared=shared), CandleWindow(5, shared=shared)
    follow([early], MARKET[:30], computation)
    follow([late], MARKET[32:34], computation)
    follow([early], MARKET[30:33], computation)
    made = computation.made
    for number in range(34, 100):
        follow([late], MARKET[number : number + 1], computation)
        follow([early], MARKET[number - 1 : number], computation)
    assert (made, computation.made) == (35, 35 + 66 + 3)


def test_a_bot_that_missed_the_newest_candle_of_the_others_is_not_shown_it() -> None:
    shared = CandleSeries()
    other, window = CandleWindow(5, shared=shared), CandleWindow(5, shared=shared)
    for each in MARKET[:10]:
        other.push(each)
        window.push(each)
    other.push(MARKET[10])
    window.push(MARKET[11])
    assert window.candles(5) == [*MARKET[6:10], MARKET[11]]
    other.push(MARKET[11])
    assert other.candles(5) == MARKET[7:12]


def test_a_wide_window_behind_a_narrow_one_sees_as_far_back_as_it_may() -> None:
    """The narrow one has gone on to a block that repeats no more than it needs itself."""
    shared = CandleSeries(slack=20)
    narrow = CandleWindow(2, shared=shared)
    for each in MARKET[:30]:
        narrow.push(each)
    wide = CandleWindow(15, shared=shared)
    for number, each in enumerate(MARKET[:60], start=1):
        wide.push(each)
        assert wide.candles(len(wide)) == MARKET[max(0, number - 15) : number]
        assert wide.closes(len(wide)).tolist() == [float(held.close) for held in wide.candles(len(wide))]


def test_a_bot_that_parted_from_what_others_left_behind_has_the_series_to_itself() -> None:
    shared, computation = CandleSeries(), Computation()
    other, window = [CandleWindow(5, shared=shared)], CandleWindow(5, shared=shared)
    follow([*other, window], MARKET[:10], computation)
    follow(other, [_rescaled(each) for each in MARKET[10:15]], computation)
    other.clear()
    gc.collect()
    follow([window], MARKET[10:20], computation)
    made = computation.made
    follow([window, CandleWindow(5, shared=shared)], MARKET[20:40], computation)
    assert computation.made == made + 20 + 4
