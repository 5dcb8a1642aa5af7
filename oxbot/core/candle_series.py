"""The candles of one symbol as numbers in memory, shared by every bot of a process that looks at them."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from datetime import timedelta
from typing import Generic, TypeVar, cast
from weakref import WeakSet, WeakValueDictionary

import msgspec
import numpy as np
from numpy.typing import NDArray

from oxbot.core.candles import Candle, Series, timeframe_duration

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
NumberT = TypeVar("NumberT", np.float64, np.int64)
ValueT = TypeVar("ValueT")

SLACK = 1024
"""How many candles a shared series takes before it turns to a new block; a bot that lags less stays in it."""
MEMO_BYTES = 8 * 2**20
"""About what the remembered values of a shared series may take."""
OWN_SLACK, OWN_MEMO_BYTES = 64, 2**17
"""Likewise for a series that only one bot looks at."""

_ENTRY_BYTES, _ITEM_BYTES = 200, 50
_ENCODE = msgspec.msgpack.Encoder().encode
_MISSING = object()


class Column(Generic[NumberT]):
    """One number of each candle of a block, contiguous and read-only, read from the candles when it is looked at."""

    def __init__(self, size: int, kind: type[NumberT], read: Callable[[Candle], float]) -> None:
        self._read = read
        self._filled = 0
        self._numbers: NDArray[NumberT] = np.empty(size, dtype=kind)
        # A single number goes in through a memory view in a third of the time that an array takes.
        self._cells = cast("memoryview[float]", self._numbers.data)
        self._shown: NDArray[NumberT] = self._numbers.view()
        self._shown.flags.writeable = False

    def of(self, candles: Sequence[Candle]) -> NDArray[NumberT]:
        """The column, of which as many places are meant as the block has candles."""
        if self._filled < len(candles):
            for place in range(self._filled, len(candles)):
                self._cells[place] = self._read(candles[place])
            self._filled = len(candles)
        return self._shown

    def since(self, place: int) -> NDArray[NumberT]:
        """What has been read from a place on."""
        return self._shown[place : self._filled]

    def repeat(self, numbers: NDArray[NumberT]) -> None:
        """Begin with these."""
        self._filled = len(numbers)
        self._numbers[: self._filled] = numbers


class Block:
    """Consecutive candles. What is in it never changes; candles are only added at its end.

    ``begin`` is the place in the series of its first candle. ``after`` is the block that repeats its newest candles and
    goes on from there, if there is one.
    """

    def __init__(self, size: int, begin: int) -> None:
        self.begin = begin
        self.size = size
        self.candles: list[Candle] = []
        self.after: Block | None = None
        self.open_times = Column(size, np.int64, lambda candle: int(candle.open_time.timestamp()))
        self.opens = Column(size, np.float64, lambda candle: float(candle.open))
        self.highs = Column(size, np.float64, lambda candle: float(candle.high))
        self.lows = Column(size, np.float64, lambda candle: float(candle.low))
        self.closes = Column(size, np.float64, lambda candle: float(candle.close))
        self.volumes = Column(size, np.float64, lambda candle: float(candle.volume))

    def repeat(self, block: "Block", count: int) -> None:
        """Take the newest ``count`` candles of another block."""
        begin = len(block.candles) - count
        self.candles = block.candles[begin:]
        self.open_times.repeat(block.open_times.since(begin))
        self.opens.repeat(block.opens.since(begin))
        self.highs.repeat(block.highs.since(begin))
        self.lows.repeat(block.lows.since(begin))
        self.closes.repeat(block.closes.since(begin))
        self.volumes.repeat(block.volumes.since(begin))

    def times(self) -> Times:
        """The open times of its candles; they must rise."""
        return self.open_times.of(self.candles)[: len(self.candles)]

    def find(self, open_time: int) -> int | None:
        """Where the candle that opened then is, in seconds since the epoch."""
        held = self.times()
        place = int(np.searchsorted(held, open_time))
        return place if place < len(held) and held[place] == open_time else None


class CandleSeries:
    """An append-only series of which the newest candles are kept, and what was computed from them.

    ``head`` is the block to which candles are added.

    It keeps two blocks. A window that lags so far behind that it looks at an older one may go on looking, but finds
    nothing after it.
    """

    def __init__(self, *, timeframe: timedelta | None = None, slack: int = SLACK, memo_bytes: int = MEMO_BYTES) -> None:
        self.timeframe = timeframe
        self.memo = Memo(memo_bytes)
        self.watchers: WeakSet[object] = WeakSet()
        self._slack = slack
        self._reach = 1
        self._blocks: list[Block] = []
        self.head: Block | None = None

    def reach_back(self, count: int) -> None:
        """From the next block on, keep at least this many candles before each new one."""
        self._reach = max(self._reach, count)

    def append(self, candle: Candle) -> Block:
        """Take the candle after the newest one; the block that it is now the last of."""
        head = self.head
        if head is None or len(head.candles) == head.size:
            head = self._turn(head)
        head.candles.append(candle)
        return head

    def begin_again(self, candles: Sequence[Candle]) -> Block:
        """Forget the candles and go on from these."""
        block = Block(len(candles) + self._slack, _end(self.head))
        block.candles.extend(candles)
        self._blocks, self.head = [block], block
        return block

    def locate(self, times: Times) -> tuple[Block, int, int] | None:
        """Where candles that opened then may be in a row, as block, place of the first of them and number.

        The number is less than all of them only if the series ends with the last of these and the others could follow.
        """
        for block in reversed(self._blocks):
            newest = block.times()[-1]
            known = int(np.searchsorted(times, newest, side="right")) if block is self.head else len(times)
            place = block.find(times[known - 1]) if known else None
            if place is not None:
                follows = known == len(times) or place + 1 == len(block.candles)
                return (block, place + 1 - known, known) if follows and place + 1 >= known else None
        return None

    def _turn(self, head: Block | None) -> Block:
        """A new head that repeats what may have to be seen together with its first candle."""
        kept = 0 if head is None else min(self._reach, len(head.candles))
        block = Block(self._reach + self._slack, _end(head) - kept)
        if head is not None:
            block.repeat(head, kept)
            head.after = block
        if len(self._blocks) > 1:
            self._blocks.pop(0).after = None
        self._blocks.append(block)
        self.head = block
        return block


class Memo:
    """Values by key, the least recently used forgotten when they are too large together."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._values: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()

    def get(self, key: Hashable, compute: Callable[[], ValueT]) -> ValueT:
        """The value under the key, computed if it is not here. Its arrays can be written no more."""
        found = self._values.get(key, _MISSING)
        if found is not _MISSING:
            self._values.move_to_end(key)
            return cast("tuple[ValueT, int]", found)[0]
        value = compute()
        size = _ENTRY_BYTES + _sealed(value)
        self._values[key] = (value, size)
        self._bytes += size
        while self._bytes > self._bytes_max and len(self._values) > 1:
            self._bytes -= self._values.popitem(last=False)[1][1]
        return value


class SharedSeries:
    """The series of a process by what they are of, each for as long as someone looks at it."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[Series, CandleSeries] = WeakValueDictionary()

    def of(self, series: Series) -> CandleSeries:
        """The one that all bots share."""
        known = self._known.get(series)
        if known is None:
            known = self._known[series] = CandleSeries(timeframe=timeframe_duration(series.timeframe))
        return known


def same(one: Candle, other: Candle) -> bool:
    """Whether no digest can tell them apart: 1.0 and 1.00 are equal numbers, but not the same."""
    return one is other or _ENCODE(one) == _ENCODE(other)


def _end(head: Block | None) -> int:
    return 0 if head is None else head.begin + len(head.candles)


def _sealed(value: object) -> int:
    """Make the arrays in a value read-only; about how many bytes they, or what they are views of, keep alive."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
        return value.nbytes if value.base is None else value.base.nbytes
    if isinstance(value, tuple):
        return _ITEM_BYTES + sum(map(_sealed, value))
    return _ITEM_BYTES
