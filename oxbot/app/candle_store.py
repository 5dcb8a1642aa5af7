"""The port to the store of closed candles."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from events.errors import OxbotError
from oxbot.core.candles import Candle, Series


class CandleConflict(OxbotError):
    """A candle came in that differs from the one the store already holds for that moment; nothing was stored."""


class Extent(NamedTuple):
    """The first and last open time the store holds of a series, and how many candles it holds."""

    first: datetime
    last: datetime
    candles: int


class CandleStore(Protocol):
    """Closed candles, append-only: what is stored is never changed, so a digest of a window stays true."""

    async def add(self, candles: Sequence[tuple[Series, Sequence[Candle]]]) -> int:
        """Store those the store lacks, all or none; answer how many were new. Raises ``CandleConflict``."""
        ...

    async def read(
        self, series: Series, *, begins_at: datetime, ends_before: datetime, limit: int | None = None
    ) -> list[Candle]:
        """The candles with open times in [begins_at, ends_before), oldest first."""
        ...

    async def window(self, series: Series, *, last: datetime, count: int) -> list[Candle]:
        """The ``count`` newest candles that opened at or before ``last``, oldest first; fewer if there are fewer."""
        ...

    async def extent(self, series: Series) -> Extent | None:
        """What the store holds of the series, or None."""
        ...


class CandleLibrary(CandleStore, Protocol):
    """A store of which can also be asked what it holds, and for few candles out of many."""

    async def newest_by(self, series: Series, moments: Sequence[datetime]) -> list[Candle | None]:
        """For each moment the newest candle that opened at or before it, or None."""
        ...

    async def series(self) -> list[Series]:
        """Every series that the store holds candles of, in order of venue, symbol and timeframe."""
        ...
