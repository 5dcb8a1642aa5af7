"""Frames put together from stored candles: every moment once, in order, whatever is missing of some symbols."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.identifiers import Symbol
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.adapters.postgres_candles import PostgresCandleStore
from oxbot.app.candle_store import CandleStore
from oxbot.app.stored_frames import PAGE, StoredFrames
from oxbot.core.candles import Frame
from tests.app.fakes import VENUE, market, store_frames, stored
from tests.core.scenario import BTC, ETH, STEP, flat_candles, moment

pytestmark = pytest.mark.anyio


def frames_of(
    store: CandleStore, symbols: Sequence[Symbol] = (ETH, BTC), *, begins: int = 0, ends: int = 10_000
) -> StoredFrames:
    """The frames of candles [begins, ends)."""
    return StoredFrames(
        store,
        venue=VENUE,
        timeframe="5m",
        symbols=symbols,
        begins_at=moment(begins),
        ends_before=moment(ends),
    )


async def all_of(frames: StoredFrames) -> list[Frame]:
    """Every frame."""
    return [frame async for frame in frames.all()]


@given(
    present=st.lists(st.sets(st.sampled_from([BTC, ETH])), max_size=40),
    begins=st.integers(0, 40),
    length=st.integers(0, 45),
    limit=st.integers(1, 9),
)
@settings(max_examples=80)
def test_every_moment_at_which_a_candle_opened_comes_once_in_pages_of_any_size(
    present: list[set[Symbol]], begins: int, length: int, limit: int
) -> None:
    """Some moments lack one symbol, some both; gaps may be longer than a page."""
    whole = market(40, symbols=(BTC, ETH))
    frames = [
        Frame(frame.open_time, tuple(pair for pair in frame.candles if pair[0] in symbols))
        for frame, symbols in zip(whole, present, strict=False)
    ]

    async def exercise() -> None:
        source = frames_of(await stored(frames), begins=begins, ends=begins + length)
        expected = [frame for frame in frames[begins : begins + length] if frame.candles]
        read: list[Frame] = []
        after: datetime | None = None
        while page := await source.read(after=after, limit=limit):
            assert len(page) <= limit
            read.extend(page)
            after = page[-1].open_time
        assert read == expected == await all_of(source)

    asyncio.run(exercise())


async def test_a_gap_of_many_pages_is_crossed(pool: asyncpg.Pool) -> None:
    frames = market(3) + [Frame(candle.open_time, ((BTC, candle),)) for candle in flat_candles(["7"], first=3 * PAGE)]
    for store in (MemoryCandleStore(), PostgresCandleStore(pool)):
        await store_frames(store, frames)
        assert await all_of(frames_of(store, [BTC])) == frames


async def test_more_than_a_page_comes_whole() -> None:
    frames = [Frame(candle.open_time, ((BTC, candle),)) for candle in flat_candles(["7"] * (PAGE + 5))]
    assert await all_of(frames_of(await stored(frames), [BTC])) == frames


async def test_candles_stored_later_are_read_from_where_the_reader_is() -> None:
    frames = market(10)
    store = await stored(frames[:5])
    source = frames_of(store, [BTC])
    assert await source.read(after=moment(4), limit=10) == []

    await store_frames(store, frames)

    assert await source.read(after=moment(4), limit=10) == frames[5:]
    assert await source.read(after=moment(-1) - STEP, limit=2) == frames[:1]


async def test_a_range_without_an_end_ends_with_what_is_stored() -> None:
    frames = market(5)
    source = StoredFrames(
        await stored(frames),
        venue=VENUE,
        timeframe="5m",
        symbols=[BTC],
        begins_at=moment(0),
        ends_before=datetime.max.replace(tzinfo=UTC),
    )
    assert await all_of(source) == frames


async def test_nothing_stored_is_no_frame() -> None:
    assert await all_of(frames_of(MemoryCandleStore())) == []
