"""What a bot may look at when it decides: the closed candles of its symbols up to now, and nothing later."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from events.identifiers import Symbol
from events.values import MarketReference
from oxbot.core.candle_series import (
    OWN_MEMO_BYTES,
    OWN_SLACK,
    Block,
    CandleSeries,
    Column,
    Floats,
    NumberT,
    SharedSeries,
    Times,
    same,
)
from oxbot.core.candles import Candle, Frame, Series, timeframe_duration

Closes = Floats
ValueT = TypeVar("ValueT")

_UNNAMED = Symbol("")


class Resampled(NamedTuple):
    """Candles of a higher timeframe as columns, oldest first; all of shape (n,), times in seconds since the epoch."""

    open_times: Times
    opens: Floats
    highs: Floats
    lows: Floats
    closes: Floats
    volumes: Floats


class CandleWindow:
    """The newest candles of one symbol up to now, as candles and as contiguous read-only columns for indicators.

    It is a place in a series: the one that is shared with other bots as long as that holds exactly what was pushed
    here, else one of its own. What others push is not seen before it is pushed here, and what they pushed before this
    window's first candle is never seen.
    """

    def __init__(
        self,
        capacity: int,
        *,
        symbol: Symbol = _UNNAMED,
        timeframe: timedelta | None = None,
        shared: CandleSeries | None = None,
    ) -> None:
        """Without a ``timeframe``, or a shared series that has one, it is the least distance between two candles."""
        self.symbol = symbol
        self._capacity = capacity
        self._timeframe = shared.timeframe if shared is not None else timeframe
        self._shared = shared
        self._series: CandleSeries
        self._block: Block
        self._end: int
        self._length: int
        self._settle(self._own_series(), ())
        if shared is not None:
            shared.reach_back(capacity)

    def __len__(self) -> int:
        return self._length

    @property
    def last(self) -> Candle | None:
        """The newest candle, if there is one."""
        return self._block.candles[self._end - 1] if self._length else None

    def candles(self, count: int) -> list[Candle]:
        """The newest ``count`` candles, oldest first. Raises ``LookupError`` if there are fewer, as all below do."""
        return self._block.candles[self._since(count) : self._end]

    def opens(self, count: int) -> Floats:
        """The newest ``count`` opens, oldest first; shape (count,)."""
        return self._column(self._block.opens, count)

    def highs(self, count: int) -> Floats:
        """The newest ``count`` highs, oldest first; shape (count,)."""
        return self._column(self._block.highs, count)

    def lows(self, count: int) -> Floats:
        """The newest ``count`` lows, oldest first; shape (count,)."""
        return self._column(self._block.lows, count)

    def closes(self, count: int) -> Floats:
        """The newest ``count`` closes, oldest first; shape (count,)."""
        return self._column(self._block.closes, count)

    def volumes(self, count: int) -> Floats:
        """The newest ``count`` volumes in base currency, oldest first; shape (count,)."""
        return self._column(self._block.volumes, count)

    def open_times(self, count: int) -> Times:
        """The newest ``count`` open times in seconds since the epoch, oldest first; shape (count,)."""
        return self._column(self._block.open_times, count)

    def memo(self, key: Hashable, compute: Callable[[], ValueT]) -> ValueT:
        """What ``compute`` makes of this window, computed once for all bots that see exactly these candles.

        The key must name the computation and every parameter of it, and ``compute`` may look at nothing but this
        window. Arrays in the value, also within tuples, become read-only.
        """
        return self._series.memo.get((self._block.begin + self._end, self._length, key), compute)

    def resample(self, count: int, factor: int) -> Resampled:
        """The newest ``count`` candles of a timeframe ``factor`` times as long, or as many as are whole.

        They open at multiples of their length since the epoch. One that may still grow is left out, and so is one
        whose beginning the window does not hold, so a candle here is the same in every window that shows it.
        """
        times = self.open_times(self._length)
        seconds = self._seconds(times)
        long = factor * seconds
        now = int(times[-1]) + seconds if self._length else 0
        finished = int(times.searchsorted(now // long * long))
        place = self._block.begin + self._end - self._length + finished
        # What has finished stays as it is while the next one grows, and for every window that reaches back as far.
        key = ("resample", place, count, factor, seconds)
        found = self._series.memo.get(key, lambda: self._resampled(count, long, finished))
        if len(found.closes) == count and found.open_times[0] >= times[0]:
            return found
        return self.memo(key, lambda: self._resampled(count, long, finished))

    def push(self, candle: Candle) -> None:
        """Take the next closed candle; the oldest one beyond the capacity is forgotten."""
        if not self._advance(candle):
            kept = self.candles(min(self._length, self._capacity - 1))
            self._settle(self._own_series(), [*kept, candle])
        if self._shared is not None and self._series is not self._shared:
            self._join(self._shared)

    def _column(self, column: Column[NumberT], count: int) -> NDArray[NumberT]:
        return column.of(self._block.candles)[self._since(count) : self._end]

    def _since(self, count: int) -> int:
        if not 0 <= count <= self._length:
            raise LookupError(f"{count} candles were asked for and {self._length} are there")
        return self._end - count

    def _advance(self, candle: Candle) -> bool:
        """Go one candle on in the series if that is the candle; whether it was."""
        block, end = self._block, self._end
        if end == len(block.candles) and block is self._series.head:
            block = self._series.append(candle)
            end = len(block.candles)
        else:
            if end == len(block.candles):
                if block.after is None:
                    return False
                end += block.begin - block.after.begin
                block = block.after
            if end < min(self._length, self._capacity - 1) or not same(block.candles[end], candle):
                return False
            end += 1
        self._block, self._end = block, end
        if self._length < self._capacity:
            self._length += 1
        return True

    def _settle(self, series: CandleSeries, candles: Sequence[Candle]) -> None:
        """Be in a series that begins with these candles."""
        self._series = series
        self._block = series.begin_again(candles)
        self._end = self._length = len(candles)

    def _own_series(self) -> CandleSeries:
        if self._shared is not None:
            self._shared.watchers.discard(self)
        own = CandleSeries(timeframe=self._timeframe, slack=OWN_SLACK, memo_bytes=OWN_MEMO_BYTES)
        own.reach_back(self._capacity)
        return own

    def _join(self, shared: CandleSeries) -> None:
        """Be in the shared series if it holds exactly this window, or can be led on to it, or if nobody is in it."""
        mine = self.candles(self._length)
        located = shared.locate(self.open_times(self._length))
        if located is not None:
            block, begin, known = located
            if not all(map(same, block.candles[begin : begin + known], mine[:known])):
                return
            self._series, self._block, self._end = shared, block, begin + known
            for candle in mine[known:]:
                self._block = shared.append(candle)
                self._end = len(self._block.candles)
            shared.watchers.add(self)
        elif not shared.watchers:
            self._settle(shared, mine)
            shared.watchers.add(self)

    def _resampled(self, count: int, seconds: int, finished: int) -> Resampled:
        """The last ``count`` candles of so many seconds among the first ``finished`` candles of the window."""
        times = self.open_times(self._length)[:finished]
        groups = times // seconds
        first = np.flatnonzero(np.diff(groups, prepend=-1))
        begun_before = int(bool(finished and times[0] % seconds))
        first = first[max(begun_before, len(first) - count) :]
        if not len(first):
            return Resampled(times[:0], *(self.closes(0),) * 5)
        rest, starts = slice(first[0], finished), first - first[0]
        return Resampled(
            groups[first] * seconds,
            self.opens(self._length)[first],
            np.maximum.reduceat(self.highs(self._length)[rest], starts),
            np.minimum.reduceat(self.lows(self._length)[rest], starts),
            self.closes(self._length)[np.append(first[1:], finished) - 1],
            np.add.reduceat(self.volumes(self._length)[rest], starts),
        )

    def _seconds(self, times: Times) -> int:
        if self._timeframe is not None:
            return int(self._timeframe.total_seconds())
        return int(np.diff(times).min()) if len(times) > 1 else 1


class MarketView:
    """One window of up to ``capacity`` candles for each symbol that a bot follows."""

    def __init__(
        self,
        symbols: Sequence[Symbol],
        *,
        capacity: int,
        timeframe: timedelta | None = None,
        shared: Mapping[Symbol, CandleSeries] = MappingProxyType({}),
    ) -> None:
        self.capacity = capacity
        self._windows = {
            symbol: CandleWindow(capacity, symbol=symbol, timeframe=timeframe, shared=shared.get(symbol))
            for symbol in symbols
        }

    @classmethod
    def of(cls, market: MarketReference, *, capacity: int, shared: SharedSeries | None = None) -> "MarketView":
        """An empty view of a bot's market, in the series that it shares with other bots if they are given."""
        symbols = [instrument.symbol for instrument in market.instruments]
        known = {symbol: shared.of(Series(market.venue, symbol, market.timeframe)) for symbol in symbols if shared}
        return cls(symbols, capacity=capacity, timeframe=timeframe_duration(market.timeframe), shared=known)

    def __getitem__(self, symbol: Symbol) -> CandleWindow:
        return self._windows[symbol]

    def warm(self, symbol: Symbol, candles: Iterable[Candle]) -> None:
        """Take candles that closed before the bot's next one."""
        for candle in candles:
            self._windows[symbol].push(candle)

    def push(self, frame: Frame) -> None:
        """Take the next frame; candles of symbols that are not followed are ignored."""
        for symbol, candle in frame.candles:
            window = self._windows.get(symbol)
            if window is not None:
                window.push(candle)

    def mark(self, symbol: Symbol) -> Decimal:
        """The newest close. Raises ``LookupError`` if no candle of the symbol has closed yet."""
        last = self._windows[symbol].last
        if last is None:
            raise LookupError(f"no candle of {symbol} has closed yet")
        return last.close
