"""The candle store that lives in memory: what tests and short runs use, under the same contract as Postgres."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from datetime import datetime

from oxbot.app.candle_store import CandleConflict, Extent
from oxbot.core.candles import Candle, InvalidCandle, Series, check_candle


class MemoryCandleStore:
    """A ``CandleStore`` that forgets everything when its process ends."""

    def __init__(self) -> None:
        self._candles: dict[Series, list[Candle]] = {}

    async def add(self, candles: Sequence[tuple[Series, Sequence[Candle]]]) -> int:
        """Store those the store lacks, all or none; answer how many were new.

        Raises ``CandleConflict``, or ``InvalidCandle`` for one that cannot be.
        """
        check_batches(candles)
        fresh: dict[tuple[Series, datetime], Candle] = {}
        for series, batch in candles:
            for candle in batch:
                held = fresh.setdefault((series, candle.open_time), self._find(series, candle.open_time) or candle)
                if held != candle:
                    raise conflict(series, stored=held, given=candle)
        before = self._count()
        for (series, open_time), candle in fresh.items():
            if self._find(series, open_time) is None:
                insort(self._candles.setdefault(series, []), candle, key=_open_time)
        return self._count() - before

    async def read(
        self, series: Series, *, begins_at: datetime, ends_before: datetime, limit: int | None = None
    ) -> list[Candle]:
        """The candles with open times in [begins_at, ends_before), oldest first."""
        held = self._candles.get(series, [])
        first = bisect_left(held, begins_at, key=_open_time)
        beyond = bisect_left(held, ends_before, key=_open_time)
        return held[first:beyond][:limit]

    async def window(self, series: Series, *, last: datetime, count: int) -> list[Candle]:
        """The ``count`` newest candles that opened at or before ``last``, oldest first; fewer if there are fewer."""
        held = self._candles.get(series, [])
        beyond = bisect_right(held, last, key=_open_time)
        return held[max(0, beyond - count) : beyond]

    async def newest_by(self, series: Series, moments: Sequence[datetime]) -> list[Candle | None]:
        """For each moment the newest candle that opened at or before it, or None."""
        held = self._candles.get(series, [])
        beyond = [bisect_right(held, moment, key=_open_time) for moment in moments]
        return [held[place - 1] if place else None for place in beyond]

    async def series(self) -> list[Series]:
        """Every series that the store holds candles of, in order of venue, symbol and timeframe."""
        held = (series for series, candles in self._candles.items() if candles)
        return sorted(held, key=lambda series: (series.venue, series.symbol, series.timeframe))

    async def extent(self, series: Series) -> Extent | None:
        """What the store holds of the series, or None."""
        held = self._candles.get(series)
        return Extent(held[0].open_time, held[-1].open_time, len(held)) if held else None

    def _find(self, series: Series, open_time: datetime) -> Candle | None:
        held = self._candles.get(series, [])
        place = bisect_left(held, open_time, key=_open_time)
        return held[place] if place < len(held) and held[place].open_time == open_time else None

    def _count(self) -> int:
        return sum(map(len, self._candles.values()))


def check_batches(candles: Sequence[tuple[Series, Sequence[Candle]]]) -> None:
    """Raise ``InvalidCandle`` naming the symbol and open time of the first candle that cannot be."""
    for series, batch in candles:
        for candle in batch:
            try:
                check_candle(candle)
            except InvalidCandle as error:
                raise InvalidCandle(f"{series.symbol} {candle.open_time.isoformat()}: {error}") from error


def conflict(series: Series, *, stored: Candle, given: Candle) -> CandleConflict:
    """The error for a candle that came in other than it is stored."""
    which = f"{series.venue} {series.symbol} {series.timeframe} {given.open_time.isoformat()}"
    return CandleConflict(f"{which}: stored with {_values(stored)}; came in with {_values(given)}")


def _values(candle: Candle) -> str:
    names = ("open", "high", "low", "close", "volume")
    return " ".join(f"{name} {getattr(candle, name)}" for name in names)


def _open_time(candle: Candle) -> datetime:
    return candle.open_time
