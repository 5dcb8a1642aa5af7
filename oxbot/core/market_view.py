"""What a bot may look at when it decides: the closed candles of its symbols up to now, and nothing later."""

from collections import deque
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from events.identifiers import Symbol
from oxbot.core.candles import Candle, Frame

Closes = NDArray[np.float64]


class CandleWindow:
    """The newest candles of one symbol, with their closes as floats in one contiguous array for indicators."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._candles: deque[Candle] = deque(maxlen=capacity)
        self._closes = np.empty(capacity * 8, dtype=np.float64)
        self._end = 0

    def __len__(self) -> int:
        return len(self._candles)

    def push(self, candle: Candle) -> None:
        """Take the next closed candle; the oldest one beyond the capacity is forgotten."""
        if self._end == len(self._closes):
            kept = self._capacity - 1
            self._closes[:kept] = self._closes[self._end - kept : self._end]
            self._end = kept
        self._closes[self._end] = float(candle.close)
        self._end += 1
        self._candles.append(candle)

    def closes(self, count: int) -> Closes:
        """The newest ``count`` closes, oldest first; shape (count,). Valid until the next push."""
        return self._closes[self._end - count : self._end]

    def candles(self, count: int) -> list[Candle]:
        """The newest ``count`` candles, oldest first."""
        return list(islice(self._candles, len(self._candles) - count, None))

    @property
    def last(self) -> Candle | None:
        """The newest candle, if there is one."""
        return self._candles[-1] if self._candles else None


class MarketView:
    """One window for each symbol that a bot follows."""

    def __init__(self, symbols: Sequence[Symbol], *, capacity: int) -> None:
        self._windows = {symbol: CandleWindow(capacity) for symbol in symbols}

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
