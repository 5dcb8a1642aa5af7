"""What news say is told to bots that ask for advice, as of the close of the candle, and is in their request."""

from datetime import UTC, datetime, timedelta

import pytest

from events.advice import AdviceRequested
from events.identifiers import Symbol, VenueName
from oxbot.app.bot_runner import BotRunner
from oxbot.app.clock import SystemClock
from oxbot.app.news.book import NewsBook, is_made_up
from oxbot.app.redecide import redecide
from oxbot.core.candles import Frame
from tests.app.advised_bots import EVERY, FRAMES, advised, advised_market
from tests.app.fakes import facts_in, stored, written
from tests.app.news.newsroom import BTC, ETH, MINUTE, Newsroom, Published, item
from tests.core.scenario import BOT, DECIDER, STEP, running

pytestmark = pytest.mark.anyio

THEN = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def recorded(room: Newsroom, *titles: str, at: datetime = THEN, source: str = "wire") -> None:
    """These are in the log, as known at a moment."""
    items = [item(title, at, received_at=at, key=f"{at}{title}") for title in titles]
    await room.desk(Published(source, *items), was_recorded=True).read_once()


async def test_what_is_appended_later_is_told_with_the_next_moment_and_not_before() -> None:
    room = Newsroom()
    book = room.book()
    await recorded(room, "Bitcoin surges")
    first = await book.sentiments([BTC, ETH], THEN)
    await recorded(room, "Ether hacked", at=THEN - MINUTE)
    assert await book.sentiments([ETH, BTC], THEN) == first
    assert ETH not in first
    assert (await book.sentiments([BTC, ETH], THEN + MINUTE)).keys() == {BTC, ETH}


async def test_made_up_news_are_told_of_made_up_markets_alone() -> None:
    room = Newsroom()
    await recorded(room, "Bitcoin surges", source="made-up")
    await recorded(room, "Bitcoin hacked")
    book = room.book()
    assert (await book.sentiments([BTC], THEN))[BTC].score < 0
    assert (await book.sentiments([BTC], THEN, made_up=True))[BTC].score > 0
    assert is_made_up(VenueName("synthetic-0123"))
    assert not is_made_up(VenueName("okx"))


async def test_a_moment_that_is_past_is_told_as_it_was() -> None:
    room = Newsroom()
    await recorded(room, "Bitcoin surges")
    await recorded(room, "Bitcoin hacked", at=THEN + timedelta(hours=2))
    book = room.book()
    late = await book.sentiments([BTC], THEN + timedelta(hours=3))
    assert (await book.sentiments([BTC], THEN))[BTC].items == 1
    assert late[BTC].items == 2
    assert await book.sentiments([BTC], THEN - MINUTE) == {}


async def test_a_reader_of_everything_and_one_that_followed_know_the_same() -> None:
    room = Newsroom()
    following = room.book()
    for number in range(5):
        at = THEN + number * timedelta(minutes=10)
        await recorded(room, f"Bitcoin surges {number}", at=at, source=f"s{number % 2}")
        assert await following.sentiments([BTC], at) == await room.book().sentiments([BTC], at)


async def _lived(frames: list[Frame], room: Newsroom, *, news: NewsBook | None) -> list[AdviceRequested]:
    candles = await stored(frames)
    runner = BotRunner(
        BOT, log=room.log, decider=DECIDER, candles=candles, clock=SystemClock(), holder="host", news=news
    )
    await runner.claim()
    await runner.observe(frames)
    assert (await redecide(BOT, log=room.log, candles=candles, decider=DECIDER)).difference is None
    return [fact for fact in await facts_in(room.log) if isinstance(fact, AdviceRequested)]


async def test_an_advised_bot_asks_with_what_news_say_at_the_close_of_its_candle() -> None:
    frames = advised_market()
    room = Newsroom(await written(advised(BOT)))
    asked = [request.at + STEP for request in await _lived(frames, Newsroom(await written(advised(BOT))), news=None)]
    at = asked[1] - 3 * MINUTE
    await recorded(room, "Bitcoin hacked", at=at)
    requests = await _lived(frames, room, news=room.book())
    assert len(requests) == len(asked) > 3
    told = [[(said.symbol, said.items, said.age_minutes) for said in request.sentiments] for request in requests]
    assert told[0] == []
    assert told[1] == [(Symbol("BTC/USDT"), 1, 3)]
    assert asked[1] - asked[0] == EVERY * STEP
    assert len(frames) == FRAMES


class Untouched:
    """A log that nobody may read."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(name)


async def test_a_bot_that_asks_nobody_reads_no_news() -> None:
    frames = advised_market(60)
    room = Newsroom(await written(running()))
    assert await _lived(frames, room, news=NewsBook(Untouched())) == []  # type: ignore[arg-type]  # not a log, on purpose
