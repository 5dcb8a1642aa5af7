"""Frames put together from the stored candles of several symbols."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from events.identifiers import Symbol, VenueName
from oxbot.app.candle_store import CandleStore
from oxbot.core.candles import Candle, Frame, Series, timeframe_duration


class StoredFrames:
    """The frames of one venue and timeframe whose open times lie in [begins_at, ends_before)."""

    def __init__(
        self,
        store: CandleStore,
        *,
        venue: VenueName,
        timeframe: str,
        symbols: Sequence[Symbol],
        begins_at: datetime,
        ends_before: datetime,
    ) -> None:
        self._store = store
        self._series = [Series(venue, symbol, timeframe) for symbol in sorted(symbols)]
        self._candle = timeframe_duration(timeframe)
        self._begins_at = begins_at
        self._ends_before = ends_before

    async def read(self, *, after: datetime | None, limit: int) -> Sequence[Frame]:
        """The next frames, oldest first; empty at the end of the range."""
        begins_at = self._begins_at if after is None else after + self._candle
        end = await self._end()
        while begins_at < end:
            ends_before = min(begins_at + limit * self._candle, end)
            frames = await self._between(begins_at, ends_before)
            if frames:
                return frames
            begins_at = ends_before
        return []

    async def all(self) -> AsyncIterator[Frame]:
        """Every frame of the range."""
        after: datetime | None = None
        while page := await self.read(after=after, limit=PAGE):
            for frame in page:
                yield frame
            after = page[-1].open_time

    async def _end(self) -> datetime:
        """The end of the range, or of what is stored, whichever comes first."""
        extents = [await self._store.extent(series) for series in self._series]
        ends = [extent.last + self._candle for extent in extents if extent is not None]
        return min(self._ends_before, max(ends, default=self._begins_at))

    async def _between(self, begins_at: datetime, ends_before: datetime) -> list[Frame]:
        by_time: dict[datetime, list[tuple[Symbol, Candle]]] = {}
        for series in self._series:
            for candle in await self._store.read(series, begins_at=begins_at, ends_before=ends_before):
                by_time.setdefault(candle.open_time, []).append((series.symbol, candle))
        return [Frame(open_time, tuple(by_time[open_time])) for open_time in sorted(by_time)]


PAGE = 2048
