"""Headlines that were written to be obeyed: no word of them reaches a trading prompt, and no score passes its cap."""

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from events.news import NewsExtracted, NewsReceived
from oxbot.app.news.extraction import Extractor, WordExtractor
from oxbot.app.news.source import NewsItem
from oxbot.core.advice_snapshot import snapshot
from oxbot.core.news_answer import question
from oxbot.core.news_text import NewsText
from oxbot.core.news_words import followed, read_by_words
from oxbot.core.prompts import render
from oxbot.core.sentiment import HOUR_CAP, SOURCE_CAP
from tests.app.news.injected import corpus
from tests.app.news.newsroom import BTC, SYMBOLS, Newsroom, Published, item
from tests.core.advice_scenes import bot, seen, walk

pytestmark = pytest.mark.anyio

CORPUS = corpus()
KNOWN = followed(SYMBOLS)


async def infected(room: Newsroom, *, sources: int = 1, extractor: Extractor | None = None) -> None:
    """All of the corpus is published at once, by so many sources, each in words of its own."""
    at = room.clock.now()
    for number in range(sources):
        items = [
            NewsItem(NewsText(title=each.text.title, summary=each.text.summary, key=f"{number}{each.text.key}"), at)
            for each in CORPUS
        ]
        await room.read(Published(f"evil{number}", *items), extractor=extractor)


def test_there_are_enough_of_them_and_most_are_understood_as_something() -> None:
    assert len(CORPUS) >= 40
    assert sum(hasattr(read_by_words(each.text, KNOWN), "tone") for each in CORPUS) > 30


@pytest.mark.parametrize("template", ["market", "trader"])
async def test_no_word_of_an_injected_headline_reaches_a_trading_prompt(template: str) -> None:
    room = Newsroom()
    await infected(room, extractor=WordExtractor(KNOWN))
    said = (await room.book().sentiments([BTC], room.clock.now()))[BTC]
    state = bot()
    shown = snapshot(state, seen(state, {BTC: walk()}), [BTC], template, [said])
    told = "\n".join(message.content for message in render(template, 1, shown))
    assert f"items={said.items}" in told
    clean = snapshot(state, seen(state, {BTC: walk()}), [BTC], template, [])
    without = "\n".join(message.content for message in render(template, 1, clean))
    words = {word for each in CORPUS for word in f"{each.text.title} {each.text.summary}".split() if len(word) > 3}
    assert not {word for word in words if word in told and word not in without and not word.isdigit()} - {"items="}
    assert not any(each.mark in told for each in CORPUS)


async def test_no_word_of_an_injected_headline_is_in_a_fact() -> None:
    room = Newsroom()
    await infected(room)
    facts = msgspec.json.encode(await room.facts("evil0")).decode()
    assert sum(isinstance(fact, NewsReceived) for fact in await room.facts("evil0")) == len(CORPUS)
    assert not any(each.mark in facts for each in CORPUS)
    for word in ("ignore", "previous", "leverage", "system", "evil.example", "transfer"):
        assert word not in facts.lower()


@pytest.mark.parametrize("number", range(len(CORPUS)))
async def test_no_injected_headline_moves_a_score_beyond_its_sources_cap(number: int) -> None:
    room = Newsroom()
    at = room.clock.now()
    await room.read(Published("honest", item("Ether and Bitcoin upgrade announced", at)))
    before = (await room.book().sentiments([BTC], at))[BTC].score
    text = CORPUS[number].text
    copies = [NewsItem(NewsText(title=text.title, summary=text.summary, key=str(copy)), at) for copy in range(30)]
    await room.read(Published("evil", *copies))
    after = (await room.book().sentiments([BTC], at))[BTC].score
    assert abs(after - before) <= SOURCE_CAP
    assert all(set(fact.symbols) <= set(SYMBOLS) for fact in await room.extracted("evil"))


async def test_the_same_injection_through_ten_sources_is_worth_one() -> None:
    room = Newsroom()
    await infected(room, sources=10)
    copies = [fact for number in range(1, 10) for fact in await room.extracted(f"evil{number}")]
    said = (await room.book().sentiments([BTC], room.clock.now()))[BTC]
    assert len(copies) > 9 * 30
    assert abs(said.score) <= HOUR_CAP


async def test_differing_injections_through_many_sources_are_bounded_by_the_hour() -> None:
    room = Newsroom()
    begins = room.clock.now()
    nouns = ["bridge", "wallet", "vault", "pool", "lender", "custodian", "miner", "oracle", "broker", "treasury"]
    scores = []
    for hour in range(4):
        for number in range(30):
            place = f"place{number}x{hour} of kind{number * 7}"
            title = f"Bitcoin {nouns[number % 10]}{number} exploited{hour}, hacked in {place}"
            await room.read(Published(f"evil{number}", item(title, room.clock.now(), key=f"{hour}-{number}")))
        scores.append((await room.book().sentiments([BTC], room.clock.now()))[BTC].score)
        room.clock.advance(3600)
    assert room.clock.now() - begins == timedelta(hours=4)
    assert scores == [Decimal("-1.00"), Decimal("-2.00"), Decimal("-2.00"), Decimal("-2.00")]


async def test_in_quarantine_an_injected_text_stays_between_its_marks() -> None:
    for each in CORPUS:
        system, asked = question("i", each.text, [BTC])
        lines = asked.content.split("\n")
        assert len(lines) == 6
        assert asked.content.count(lines[3]) == 3
        assert each.mark not in system.content
        assert not any(
            0xE0000 <= ord(letter) <= 0xE007F or letter in "\u202e\u200b\x1b\x00" for letter in asked.content
        )


async def test_what_is_extracted_is_choices_and_numbers_only() -> None:
    room = Newsroom()
    await infected(room)
    for fact in await room.extracted("evil0"):
        assert fact.sentiment in {-2, -1, 0, 1, 2}
        assert fact.novelty in {0, 1, 2, 3}
        assert len(fact.item_id) == 24
    room.clock.advance(60)
    assert all(isinstance(fact, NewsExtracted) for fact in await room.extracted("evil0"))
