"""The candle store in Postgres: append-only tables, one transaction per import."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from oxbot.adapters.database import connected
from oxbot.adapters.memory_candles import check_batches, conflict
from oxbot.app.candle_store import Extent
from oxbot.core.candles import Candle, Series

_COLUMNS = ("series_no", "open_time", "open", "high", "low", "close", "volume")

# In order of name, so that two imports that meet wait for each other instead of deadlocking; likewise below.
_ADD_SERIES = """
INSERT INTO market.series (venue, symbol, timeframe)
SELECT DISTINCT venue, symbol, timeframe FROM unnest($1::text[], $2::text[], $3::text[])
    AS wanted (venue, symbol, timeframe)
ORDER BY venue, symbol, timeframe
ON CONFLICT DO NOTHING
"""

_SERIES_NUMBERS = """
SELECT venue, symbol, timeframe, series_no
FROM market.series JOIN unnest($1::text[], $2::text[], $3::text[]) AS wanted (venue, symbol, timeframe)
    USING (venue, symbol, timeframe)
"""

# An import may be long, and may wait for another one, so it has more time than the pool gives a statement.
_BEGIN_IMPORT = """
SET LOCAL statement_timeout = '600s';
SET LOCAL lock_timeout = '60s';
CREATE TEMPORARY TABLE incoming_candles (
    series_no bigint, open_time timestamptz, open numeric, high numeric, low numeric, close numeric, volume numeric
) ON COMMIT DROP
"""

_ADD_CANDLES = """
WITH added AS (
    INSERT INTO market.candles (series_no, open_time, open, high, low, close, volume)
    SELECT series_no, open_time, open, high, low, close, volume FROM incoming_candles
    ORDER BY series_no, open_time
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM added
"""

# A statement of its own: only a new snapshot sees what another import committed while ours waited for it.
_FIRST_DIFFERENCE = """
SELECT incoming.series_no, incoming.open_time,
    stored.open AS stored_open, stored.high AS stored_high, stored.low AS stored_low,
    stored.close AS stored_close, stored.volume AS stored_volume,
    incoming.open, incoming.high, incoming.low, incoming.close, incoming.volume
FROM incoming_candles AS incoming
CROSS JOIN LATERAL (
    SELECT open, high, low, close, volume FROM market.candles
    WHERE series_no = incoming.series_no AND open_time = incoming.open_time
    ORDER BY revision DESC LIMIT 1
) AS stored
WHERE (stored.open, stored.high, stored.low, stored.close, stored.volume)
    <> (incoming.open, incoming.high, incoming.low, incoming.close, incoming.volume)
ORDER BY incoming.series_no, incoming.open_time
LIMIT 1
"""

_READ = """
SELECT DISTINCT ON (open_time) open_time, open, high, low, close, volume FROM market.candles
WHERE series_no = (SELECT series_no FROM market.series WHERE venue = $1 AND symbol = $2 AND timeframe = $3)
    AND open_time >= $4 AND open_time < $5
ORDER BY open_time, revision DESC
LIMIT $6
"""

_WINDOW = """
SELECT DISTINCT ON (open_time) open_time, open, high, low, close, volume FROM market.candles
WHERE series_no = (SELECT series_no FROM market.series WHERE venue = $1 AND symbol = $2 AND timeframe = $3)
    AND open_time <= $4
ORDER BY open_time DESC, revision DESC
LIMIT $5
"""

_NEWEST_BY = """
SELECT c.open_time, c.open, c.high, c.low, c.close, c.volume
FROM unnest($4::timestamptz[]) WITH ORDINALITY AS asked (moment, n)
LEFT JOIN LATERAL (
    SELECT open_time, open, high, low, close, volume FROM market.candles
    WHERE series_no = (SELECT series_no FROM market.series WHERE venue = $1 AND symbol = $2 AND timeframe = $3)
        AND open_time <= asked.moment
    ORDER BY open_time DESC, revision DESC LIMIT 1
) AS c ON true
ORDER BY asked.n
"""

_SERIES = """
SELECT venue, symbol, timeframe FROM market.series AS s
WHERE EXISTS (SELECT FROM market.candles AS c WHERE c.series_no = s.series_no)
ORDER BY venue COLLATE "C", symbol COLLATE "C", timeframe COLLATE "C"
"""

_EXTENT = """
SELECT min(open_time), max(open_time), count(DISTINCT open_time) FROM market.candles
WHERE series_no = (SELECT series_no FROM market.series WHERE venue = $1 AND symbol = $2 AND timeframe = $3)
"""

Batches = Sequence[tuple[Series, Sequence[Candle]]]


class PostgresCandleStore:
    """A ``CandleStore`` over the ``market`` schema; imports are safe beside each other, in any number of processes."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, candles: Batches) -> int:
        """Store those the store lacks, all or none; answer how many were new.

        One transaction of a few round trips whatever the size, so few large calls beat many small ones.
        Raises ``CandleConflict``, or ``InvalidCandle`` for one that cannot be.
        """
        batches = [(series, batch) for series, batch in candles if batch]
        if not batches:
            return 0
        try:
            async with connected(self._pool) as connection, connection.transaction(isolation="read_committed"):
                return await _add(connection, batches)
        except asyncpg.CheckViolationError:
            check_batches(batches)
            raise

    async def read(
        self, series: Series, *, begins_at: datetime, ends_before: datetime, limit: int | None = None
    ) -> list[Candle]:
        """The candles with open times in [begins_at, ends_before), oldest first."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_READ, *_name(series), begins_at, ends_before, limit)
        return [Candle(*row) for row in rows]

    async def window(self, series: Series, *, last: datetime, count: int) -> list[Candle]:
        """The ``count`` newest candles that opened at or before ``last``, oldest first; fewer if there are fewer."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_WINDOW, *_name(series), last, count)
        return [Candle(*row) for row in reversed(rows)]

    async def newest_by(self, series: Series, moments: Sequence[datetime]) -> list[Candle | None]:
        """For each moment the newest candle that opened at or before it, or None."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_NEWEST_BY, *_name(series), moments)
        return [None if row["open_time"] is None else Candle(*row) for row in rows]

    async def series(self) -> list[Series]:
        """Every series that the store holds candles of, in order of venue, symbol and timeframe."""
        async with connected(self._pool) as connection:
            return [Series(*row) for row in await connection.fetch(_SERIES)]

    async def extent(self, series: Series) -> Extent | None:
        """What the store holds of the series, or None."""
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(_EXTENT, *_name(series))
        return Extent(*row) if row and row["count"] else None


async def _add(connection: PoolConnectionProxy, batches: Batches) -> int:
    await connection.execute(_BEGIN_IMPORT)
    numbers = await _series_numbers(connection, [series for series, _ in batches])
    records = [
        (numbers[series], candle.open_time, candle.open, candle.high, candle.low, candle.close, candle.volume)
        for series, batch in batches
        for candle in batch
    ]
    await connection.copy_records_to_table("incoming_candles", records=records, columns=_COLUMNS)
    added: int = await connection.fetchval(_ADD_CANDLES)
    if added < len(records):
        await _refuse_difference(connection, {number: series for series, number in numbers.items()})
    return added


async def _series_numbers(connection: PoolConnectionProxy, wanted: Sequence[Series]) -> Mapping[Series, int]:
    names = list(zip(*map(_name, wanted), strict=True))
    await connection.execute(_ADD_SERIES, *names)
    rows = await connection.fetch(_SERIES_NUMBERS, *names)
    return {Series(venue, symbol, timeframe): number for venue, symbol, timeframe, number in rows}


async def _refuse_difference(connection: PoolConnectionProxy, series: Mapping[int, Series]) -> None:
    row = await connection.fetchrow(_FIRST_DIFFERENCE)
    if row is not None:
        number, open_time, *values = row
        stored, given = Candle(open_time, *values[:5]), Candle(open_time, *values[5:])
        raise conflict(series[number], stored=stored, given=given)


def _name(series: Series) -> tuple[str, str, str]:
    return series.venue, series.symbol, series.timeframe
