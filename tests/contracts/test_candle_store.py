"""What every candle store promises, held against the one in memory and the one in Postgres."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import msgspec
import pytest

from events.identifiers import Symbol, VenueName
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.adapters.postgres_candles import PostgresCandleStore
from oxbot.app.candle_store import CandleConflict, CandleLibrary, Extent
from oxbot.core.candles import Candle, InvalidCandle, Series, window_digest

pytestmark = pytest.mark.anyio

BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=5)
END = BEGINNING + 1000 * STEP

BITCOIN = Series(VenueName("test"), Symbol("BTC/USDT"), "5m")
ETHER = Series(VenueName("test"), Symbol("ETH/USDT"), "5m")


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> CandleLibrary:
    """Each implementation in turn, empty."""
    if request.param == "memory":
        return MemoryCandleStore()
    return PostgresCandleStore(request.getfixturevalue("pool"))


def at(number: int) -> datetime:
    """The open time of the candle of this number."""
    return BEGINNING + number * STEP


def candle(number: int, close: str = "100.5") -> Candle:
    """A possible candle for that moment."""
    return Candle(at(number), Decimal("100"), Decimal("102.50"), Decimal("99"), Decimal(close), Decimal("7.0001"))


def candles(first: int, beyond: int) -> list[Candle]:
    """Candles of consecutive moments."""
    return [candle(number, close=f"100.{number:03}") for number in range(first, beyond)]


async def everything(store: CandleLibrary, series: Series) -> list[Candle]:
    """All that the store holds of the series in the time these tests use."""
    return await store.read(series, begins_at=BEGINNING, ends_before=END)


async def test_added_candles_are_read_back_exactly(store: CandleLibrary) -> None:
    given = [candle(0), Candle(at(1), *map(Decimal, ("0.00001230", "0.0000124", "1E-6", "0.00001000", "0")))]

    assert await store.add([(BITCOIN, given)]) == 2

    read = await everything(store, BITCOIN)
    assert read == given
    assert window_digest(read) == window_digest(given)
    assert all(one.open_time.tzinfo is UTC for one in read)


async def test_adding_the_same_again_adds_nothing(store: CandleLibrary) -> None:
    await store.add([(BITCOIN, candles(0, 5))])

    assert await store.add([(BITCOIN, candles(0, 5))]) == 0
    assert await everything(store, BITCOIN) == candles(0, 5)


async def test_only_the_missing_are_added(store: CandleLibrary) -> None:
    await store.add([(BITCOIN, candles(3, 6))])

    assert await store.add([(BITCOIN, candles(0, 9)), (ETHER, candles(2, 4))]) == 8
    assert await everything(store, BITCOIN) == candles(0, 9)
    assert await everything(store, ETHER) == candles(2, 4)


async def test_trailing_zeros_make_no_difference(store: CandleLibrary) -> None:
    await store.add([(BITCOIN, [candle(0, close="100.5")])])

    assert await store.add([(BITCOIN, [candle(0, close="100.500")])]) == 0


async def test_the_order_of_what_comes_in_does_not_matter(store: CandleLibrary) -> None:
    await store.add([(BITCOIN, list(reversed(candles(0, 7))))])

    assert await everything(store, BITCOIN) == candles(0, 7)


async def test_a_candle_named_twice_in_one_call_is_stored_once(store: CandleLibrary) -> None:
    assert await store.add([(BITCOIN, [candle(0), candle(0)]), (BITCOIN, [candle(0), candle(1)])]) == 2


async def test_a_different_candle_for_a_stored_moment_is_refused_and_nothing_is_stored(store: CandleLibrary) -> None:
    await store.add([(BITCOIN, candles(0, 3))])
    given = [candle(5), candle(1, close="101.25")]

    with pytest.raises(CandleConflict) as refusal:
        await store.add([(ETHER, candles(0, 3)), (BITCOIN, given)])

    for part in ("BTC/USDT", "2024-01-01T00:05:00+00:00", "close 100.001", "close 101.25"):
        assert part in str(refusal.value)
    assert await everything(store, BITCOIN) == candles(0, 3)
    assert await everything(store, ETHER) == []
    assert await store.extent(ETHER) is None


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume"])
async def test_every_number_of_a_candle_counts_as_a_difference(store: CandleLibrary, field: str) -> None:
    numbers = {"open": "100", "high": "103", "low": "98", "close": "101", "volume": "7"}
    changed = numbers | {field: numbers[field] + ".1"}
    await store.add([(BITCOIN, [Candle(at(0), *map(Decimal, numbers.values()))])])

    with pytest.raises(CandleConflict):
        await store.add([(BITCOIN, [Candle(at(0), *map(Decimal, changed.values()))])])


async def test_two_different_candles_for_one_moment_in_one_call_are_refused(store: CandleLibrary) -> None:
    with pytest.raises(CandleConflict):
        await store.add([(BITCOIN, [candle(0), candle(0, close="101")])])

    assert await everything(store, BITCOIN) == []


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (("NaN", "2", "1", "1", "1"), "open is NaN"),
        (("1", "Infinity", "1", "1", "1"), "high is Infinity"),
        (("1", "2", "1", "1", "NaN"), "volume is NaN"),
        (("1", "2", "1", "1", "Infinity"), "volume is Infinity"),
        (("1", "2", "0", "1", "1"), "low is 0"),
        (("1", "2", "-1", "1", "1"), "low is -1"),
        (("1", "2", "1", "1", "-1"), "volume is -1"),
        (("1", "2", "1.5", "2", "1"), "low 1.5 is above"),
        (("1", "2", "1", "3", "1"), "high 2 is below"),
    ],
)
async def test_an_impossible_candle_is_refused_and_nothing_is_stored(
    store: CandleLibrary, numbers: Sequence[str], message: str
) -> None:
    impossible = Candle(at(1), *map(Decimal, numbers))

    with pytest.raises(InvalidCandle, match=f"ETH/USDT 2024-01-01T00:05:00.*{message}"):
        await store.add([(BITCOIN, candles(0, 3)), (ETHER, [candle(0), impossible])])

    assert await everything(store, BITCOIN) == []
    assert await everything(store, ETHER) == []


@pytest.mark.parametrize("nothing", [[], [(BITCOIN, [])]])
async def test_adding_nothing_is_nothing(store: CandleLibrary, nothing: list[tuple[Series, list[Candle]]]) -> None:
    assert await store.add(nothing) == 0
    assert await store.extent(BITCOIN) is None


async def test_a_range_includes_its_beginning_and_not_its_end(store: CandleLibrary) -> None:
    await store.add([(BITCOIN, candles(0, 10))])

    assert await store.read(BITCOIN, begins_at=at(3), ends_before=at(6)) == candles(3, 6)
    assert await store.read(BITCOIN, begins_at=at(3) - STEP / 2, ends_before=at(6) + STEP / 2) == candles(3, 7)
    assert await store.read(BITCOIN, begins_at=at(6), ends_before=at(3)) == []


@pytest.mark.parametrize(("limit", "count"), [(0, 0), (2, 2), (99, 7)])
async def test_a_limit_keeps_the_oldest(store: CandleLibrary, limit: int, count: int) -> None:
    await store.add([(BITCOIN, candles(0, 10))])

    read = await store.read(BITCOIN, begins_at=at(3), ends_before=END, limit=limit)

    assert read == candles(3, 3 + count)


async def test_a_window_is_the_newest_up_to_a_moment_oldest_first(store: CandleLibrary) -> None:
    await store.add([(BITCOIN, candles(0, 10))])

    assert await store.window(BITCOIN, last=at(6), count=3) == candles(4, 7)
    assert await store.window(BITCOIN, last=at(6) + STEP / 2, count=3) == candles(4, 7)
    assert await store.window(BITCOIN, last=at(1), count=5) == candles(0, 2)
    assert await store.window(BITCOIN, last=at(6), count=0) == []
    assert await store.window(BITCOIN, last=at(0) - STEP, count=5) == []


async def test_the_extent_says_first_last_and_how_many(store: CandleLibrary) -> None:
    await store.add([(BITCOIN, [candle(2), candle(9), candle(4)])])

    assert await store.extent(BITCOIN) == Extent(at(2), at(9), 3)


async def test_series_do_not_mix(store: CandleLibrary) -> None:
    others = [Series(VenueName("other"), BITCOIN.symbol, "5m"), Series(BITCOIN.venue, BITCOIN.symbol, "1h"), ETHER]
    await store.add([(BITCOIN, candles(0, 2))])

    for other in others:
        assert await everything(store, other) == []
        assert await store.window(other, last=END, count=5) == []
        assert await store.add([(other, [candle(0, close="101")])]) == 1
    assert await everything(store, BITCOIN) == candles(0, 2)


async def test_simultaneous_adds_of_the_same_candles_store_each_once(store: CandleLibrary) -> None:
    """The series are there before, so that the adds meet at the candles, and in opposite orders."""
    await store.add([(BITCOIN, candles(0, 1)), (ETHER, candles(0, 1))])
    forward = [(BITCOIN, candles(0, 900)), (ETHER, candles(0, 900))]
    backward = [(series, batch[::-1]) for series, batch in forward[::-1]]

    added = await asyncio.gather(*(store.add(backward if turn % 2 else forward) for turn in range(8)))

    assert sum(added) == 2 * 899
    assert await everything(store, BITCOIN) == candles(0, 900)


async def test_of_simultaneous_adds_that_differ_one_wins_whole(store: CandleLibrary) -> None:
    versions = [[candle(number, close=f"10{version}.5") for number in range(50)] for version in range(3)]

    results = await asyncio.gather(*(store.add([(BITCOIN, one)]) for one in versions), return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["CandleConflict", "CandleConflict", "int"]
    assert await everything(store, BITCOIN) in versions


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("series", "UPDATE market.series SET venue = 'other'"),
        ("series", "DELETE FROM market.series"),
        ("series", "TRUNCATE market.series"),
        ("candles", "UPDATE market.candles SET close = 1"),
        ("candles", "DELETE FROM market.candles"),
        ("candles", "TRUNCATE market.candles"),
    ],
)
async def test_postgres_refuses_to_change_what_is_stored(pool: asyncpg.Pool, table: str, change: str) -> None:
    store = PostgresCandleStore(pool)
    await store.add([(BITCOIN, candles(0, 3))])

    with pytest.raises(asyncpg.RestrictViolationError, match=f"market.{table} is append-only"):
        await pool.execute(change)

    assert await everything(store, BITCOIN) == candles(0, 3)


async def test_postgres_reads_the_highest_revision_of_a_candle(pool: asyncpg.Pool) -> None:
    store = PostgresCandleStore(pool)
    await store.add([(BITCOIN, candles(0, 3))])
    corrected = candle(1, close="101.75")
    await pool.execute(
        "INSERT INTO market.candles (series_no, open_time, revision, open, high, low, close, volume)"
        " SELECT series_no, open_time, 1, open, high, low, $1, volume FROM market.candles WHERE open_time = $2",
        corrected.close,
        corrected.open_time,
    )
    expected = [candles(0, 1)[0], corrected, candles(2, 3)[0]]

    assert await everything(store, BITCOIN) == expected
    assert await store.window(BITCOIN, last=at(2), count=2) == expected[1:]
    assert await store.extent(BITCOIN) == Extent(at(0), at(2), 3)
    assert await store.add([(BITCOIN, [corrected])]) == 0
    with pytest.raises(CandleConflict):
        await store.add([(BITCOIN, [candles(1, 2)[0]])])


INSERT_RAW = """
INSERT INTO market.candles (series_no, open_time, open, high, low, close, volume)
SELECT series_no, $1, $2, $3, $4, $5, $6 FROM market.series
"""
ANYONE_WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"


async def test_postgres_adds_in_order_of_time_so_that_two_imports_never_deadlock(pool: asyncpg.Pool) -> None:
    """Another import holds candle 2 and then takes candle 3, while ours was given 3, 2, 1."""
    store = PostgresCandleStore(pool)
    await store.add([(BITCOIN, candles(0, 1))])
    first, second = (msgspec.structs.astuple(one) for one in candles(2, 4))

    async with asyncio.timeout(10), asyncio.TaskGroup() as group, pool.acquire() as other, other.transaction():
        await other.execute(INSERT_RAW, *first)
        ours = group.create_task(store.add([(BITCOIN, candles(1, 4)[::-1])]))
        while not await other.fetchval(ANYONE_WAITS):  # Postgres announces no lock wait
            await asyncio.sleep(0.01)
        await other.execute(INSERT_RAW, *second)

    assert ours.result() == 1
    assert await everything(store, BITCOIN) == candles(0, 4)


async def test_the_newest_candle_by_each_moment_is_found(store: CandleLibrary) -> None:
    await store.add([(BITCOIN, [*candles(2, 4), *candles(6, 7)]), (ETHER, candles(0, 1))])
    asked = [at(1), at(2), at(5), at(3) - STEP / 2, at(9)]

    found = await store.newest_by(BITCOIN, asked)

    assert [one and one.open_time for one in found] == [None, at(2), at(3), at(2), at(6)]
    assert found[1] == candles(2, 3)[0]
    assert await store.newest_by(BITCOIN, []) == []


async def test_every_series_that_holds_candles_is_listed(store: CandleLibrary) -> None:
    longer = msgspec.structs.replace(BITCOIN, timeframe="1h")
    elsewhere = msgspec.structs.replace(BITCOIN, venue=VenueName("another"))
    assert await store.series() == []

    await store.add(
        [(ETHER, candles(0, 1)), (longer, candles(0, 1)), (BITCOIN, candles(0, 2)), (elsewhere, candles(0, 1))]
    )

    assert await store.series() == [elsewhere, longer, BITCOIN, ETHER]
