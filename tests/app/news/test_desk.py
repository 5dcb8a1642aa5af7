"""A desk records what sources publish, each item once, before anything is made of it; whoever dies on the way."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from events.codec import Codec
from events.errors import LogUnavailable
from events.news import NewsExtracted, NewsReceived, NewsRefused, NewsSourceFailed, NewsSourceRecovered
from events.postgres import PostgresEventLog
from oxbot.adapters.postgres_bodies import PostgresBodies
from oxbot.app.news.desk import ITEMS_PER_HOUR_MAX, OLD
from oxbot.app.news.source import ITEMS_PER_READING_MAX
from oxbot.core.news_text import NewsText
from tests.app.fakes import at_work, eventually, failing_log
from tests.app.news.newsroom import BTC, MINUTE, Newsroom, Published, item, unavailable

pytestmark = pytest.mark.anyio


async def test_an_item_is_on_record_with_its_text_stored_before_it_is_read() -> None:
    room = Newsroom()
    now = room.clock.now()
    await room.read(Published("wire", item("Bitcoin surges", now - MINUTE)))
    received, extracted = await room.facts()

    assert isinstance(received, NewsReceived)
    assert (received.source, received.received_at, received.published_at) == ("wire", now, now - MINUTE)
    assert NewsText.of(await room.bodies.get(received.body)).title == "Bitcoin surges"
    assert extracted == NewsExtracted(
        item_id=received.item_id, at=now, symbols=(BTC,), sentiment=1, event="other", novelty=3, extractor="words/1"
    )


async def test_the_same_over_the_real_log_and_the_real_bodies(pool: asyncpg.Pool) -> None:
    room = Newsroom(PostgresEventLog(pool, Codec()), PostgresBodies(pool))
    source = Published("wire", item("Bitcoin surges", room.clock.now()), item("Nothing", room.clock.now()))
    await room.read(source)
    await room.read(source)
    assert [type(fact) for fact in await room.facts()].count(NewsReceived) == 2
    assert [fact.sentiment for fact in await room.extracted()] == [1]
    said = await room.book().sentiments([BTC], room.clock.now())
    assert said[BTC].items == 1


async def test_what_is_published_again_is_no_news_in_whichever_process() -> None:
    room = Newsroom()
    source = Published("wire", item("Bitcoin surges", room.clock.now(), key="1"))
    desk = room.desk(source)
    await desk.read_once()
    source.items.append(item("Ether hacked", room.clock.now(), key="2"))
    await desk.read_once()
    await room.read(source)
    assert [fact.sentiment for fact in await room.extracted()] == [1, -2]


async def test_two_desks_at_once_record_each_item_once() -> None:
    room = Newsroom()
    source = Published("wire", *(item(f"Bitcoin surges {number}", room.clock.now()) for number in range(20)))
    await asyncio.gather(*(room.desk(source).read_once() for _ in range(3)))
    facts = await room.facts()
    assert sum(isinstance(fact, NewsReceived) for fact in facts) == 20
    assert len(facts) == 40


@pytest.mark.parametrize("refused", range(1, 6))
async def test_a_desk_that_loses_the_log_leaves_nothing_unread_for_the_next_one(refused: int) -> None:
    room = Newsroom()
    inner = room.log
    source = Published("wire", *(item(f"Bitcoin surges {number}", room.clock.now()) for number in range(3)))
    room.log = failing_log(inner, lost=[], refused=[refused])
    try:
        await room.read(source)
    except* LogUnavailable:
        pass
    room.log = inner
    await room.read(source)
    facts = await room.facts()
    assert sum(isinstance(fact, NewsReceived) for fact in facts) == 3
    assert sum(isinstance(fact, NewsExtracted | NewsRefused) for fact in facts) == 3


async def test_a_copy_in_another_source_weighs_nothing_and_a_follow_up_little() -> None:
    room = Newsroom()
    at = room.clock.now()
    first = Published("first", item("Bitcoin exchange hacked, 40 million drained overnight", at))
    copy = Published("copy", item("BREAKING: Bitcoin exchange hacked, 40 million drained overnight!", at))
    more = Published("more", item("Bitcoin exchange hacked, 40 million drained: what the founder says now", at))
    await room.read(first)
    room.clock.advance(60)
    await room.read(first, copy)
    room.clock.advance(60)
    await room.read(first, copy, more)
    told = [(await room.extracted(name))[0] for name in ("first", "copy", "more")]
    assert [fact.novelty for fact in told] == [3, 0, 1]


async def test_what_is_old_or_undated_when_a_source_is_first_read_is_no_news() -> None:
    room = Newsroom()
    old = item("Bitcoin surges since long", room.clock.now() - OLD - MINUTE, key="1")
    source = Published("wire", old, item("Bitcoin crash without a date", key="2"))
    await room.read(source)
    assert [fact.fault for fact in await room.facts() if isinstance(fact, NewsRefused)] == [
        "it was published long before it was received",
        "it has no date, and was there when the source was first read",
    ]
    room.clock.advance(60)
    source.items.append(item("Ether crash without a date", key="3"))
    await room.read(source)
    assert [fact.sentiment for fact in await room.extracted()] == [-2]


async def test_no_more_than_so_many_items_are_taken_at_once_and_no_text_is_longer_than_it_may() -> None:
    room = Newsroom()
    now = room.clock.now()
    flood = [
        item(f"Bitcoin surges {number}" + "x" * 50_000, now - number * timedelta(seconds=1)) for number in range(80)
    ]
    await room.read(Published("wire", *flood))
    received = [fact for fact in await room.facts() if isinstance(fact, NewsReceived)]
    assert len(received) == ITEMS_PER_READING_MAX
    assert min(fact.published_at or now for fact in received) > now - timedelta(seconds=ITEMS_PER_READING_MAX)
    assert len(NewsText.of(await room.bodies.get(received[0].body)).title) == 4_000


async def test_a_flood_is_taken_in_so_much_an_hour() -> None:
    room = Newsroom()
    source = Published("wire")
    for minute in range(0, 120, 10):
        now = room.clock.now()
        source.items = [
            item(f"Bitcoin surges {minute} {number}", now, key=f"{minute}-{number}") for number in range(60)
        ]
        await room.read(source)
        received = [fact for fact in await room.facts() if isinstance(fact, NewsReceived)]
        assert len(received) <= ITEMS_PER_HOUR_MAX * (1 + minute // 60)
        room.clock.advance(600)
    assert len(received) == 2 * ITEMS_PER_HOUR_MAX


async def test_half_a_character_is_stored_as_none() -> None:
    room = Newsroom()
    await room.read(Published("wire", item("Bitcoin surges \ud800", room.clock.now(), key="\udfff")))
    assert len(await room.extracted()) == 1


async def test_a_failing_source_is_told_of_once_and_stops_no_other() -> None:
    room = Newsroom()
    bad, good = Published("bad"), Published("good", item("Bitcoin surges", room.clock.now()))
    bad.fails = unavailable("it answers with status 500")
    await room.read(bad, good)
    bad.fails = RuntimeError("<script>")
    await room.read(bad, good)
    assert await room.facts("bad") == [
        NewsSourceFailed(source="bad", at=room.clock.now(), fault="it answers with status 500")
    ]
    assert len(await room.extracted("good")) == 1
    bad.fails = None
    await room.read(bad)
    assert (await room.facts("bad"))[1:] == [NewsSourceRecovered(source="bad", at=room.clock.now())]


async def test_a_fault_of_reading_says_nothing_of_what_was_read() -> None:
    room = Newsroom()
    bad = Published("bad")
    bad.fails = ValueError("buy bitcoin")
    await room.read(bad)
    [failed] = await room.facts("bad")
    assert isinstance(failed, NewsSourceFailed)
    assert failed.fault == "reading it failed (ValueError)"


async def test_a_source_that_fails_is_asked_less_and_less_often_and_as_it_asks_for() -> None:
    room = Newsroom()
    source = Published("wire")
    source.fails = unavailable()
    async with at_work(room.desk(source).run()):
        for expected in (120, 240, 480):
            await eventually(lambda: bool(room.clock.slept_seconds))
            assert room.clock.slept_seconds == [expected]
            room.clock.slept_seconds.clear()
            room.clock.advance(expected)
        await eventually(lambda: bool(room.clock.slept_seconds))
        room.clock.slept_seconds.clear()
        source.fails = unavailable(retry_after=3_000)
        room.clock.advance(960)
        await eventually(lambda: bool(room.clock.slept_seconds))
        assert room.clock.slept_seconds == [3_000]
        room.clock.slept_seconds.clear()
        source.fails = None
        room.clock.advance(3_000)
        await eventually(lambda: bool(room.clock.slept_seconds))
        assert room.clock.slept_seconds == [60]


async def test_what_was_recorded_is_as_if_it_had_been_read_then() -> None:
    room = Newsroom()
    then = datetime(2020, 5, 1, tzinfo=UTC)
    items = [
        item(f"Bitcoin surges {number}", then + number * MINUTE, received_at=then + number * MINUTE)
        for number in range(120)
    ]
    await room.desk(Published("wire", *items), was_recorded=True).read_once()
    assert [fact.at for fact in await room.extracted()] == [then + number * MINUTE for number in range(120)]
    book = room.book()
    assert await book.sentiments([BTC], then - MINUTE) == {}
    assert (await book.sentiments([BTC], then))[BTC].age_minutes == 0
    assert await book.sentiments([BTC], room.clock.now()) == {}
