"""A model reads news in quarantine, through the gateway: on record and paid for as any call is, and paid for once."""

import asyncio
import json

import pytest

from events.identifiers import BotId, ModelName
from events.news import NewsExtracted, NewsReceived, NewsRefused
from oxbot.app.models.gateway import Gateway
from oxbot.app.models.record import Record
from oxbot.app.models.transport import CallFailed, Completion
from oxbot.app.models.wanted import Delivered, Payer
from oxbot.app.news.desk import NewsDesk
from oxbot.app.news.extraction import NEWS_FLEET, ModelExtractor, PayersWithNews, ReadingDesk
from oxbot.app.news.source import NewsItem
from oxbot.core.news_words import followed
from tests.app.fakes import at_work
from tests.app.models.world import MODEL, Asked, Known, Step, World, answer
from tests.app.news.injected import corpus
from tests.app.news.newsroom import BTC, ETH, SYMBOLS, Newsroom, Published, item
from tests.simulation.virtual_time import run as run_virtually

MODEL_NAME = ModelName(MODEL)


def chosen(asked: Asked, **choices: object) -> Completion:
    """What an obedient model answers."""
    name = asked.text.split("\n")[0].removeprefix("item: ")
    form = {
        "schema": "news/1",
        "item": name,
        "symbols": ["BTC/USDT"],
        "sentiment": "bad",
        "event": "legal",
        "novelty": "new",
    }
    return answer(json.dumps(form | choices))


class Readers:
    """A world of models, a newsroom, and what stands between them, whichever incarnation of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.room = Newsroom(world.log, world.bodies)
        self.told: list[tuple[BotId, Delivered]] = []
        self.reading = ReadingDesk()

    def gateway(self) -> Gateway:
        async def bots(bot_id: BotId, fact: Delivered) -> None:
            self.told.append((bot_id, fact))

        world = self.world
        record = Record(
            world.log, clock=world.clock, payers=PayersWithNews(Known()), budgets=world.table.budgets, holder="test"
        )
        gateway = Gateway(
            world.table,
            transport=world.provider,
            record=record,
            bodies=world.bodies,
            deliver=self.reading.delivers(bots),
            clock=world.clock,
        )
        self.reading.serve(gateway.ask)
        return gateway

    def desk(self, source: Published) -> NewsDesk:
        extractor = ModelExtractor(
            MODEL_NAME, followed(SYMBOLS), desk=self.reading, bodies=self.world.bodies, clock=self.world.clock
        )
        self.room.clock = self.world.clock  # type: ignore[assignment]  # any clock does here
        return self.room.desk(source, extractor=extractor)

    async def read(self, source: Published) -> None:
        async with at_work(self.gateway().run()):
            await self.desk(source).read_once()


def test_a_models_choices_are_the_reading_and_its_answer_is_stored() -> None:
    async def scenario() -> None:
        readers = Readers(World(chosen))
        at = readers.world.clock.now()
        await readers.read(Published("wire", item("Bitcoin and Ether makers meet", at)))
        [found] = await readers.room.extracted()
        assert (found.symbols, found.sentiment, found.event, found.novelty) == ((BTC,), -1, "legal", 3)
        assert found.extractor == "model/news/1"
        assert found.answer is not None
        assert b"legal" in await readers.world.bodies.get(found.answer)
        [begun] = await readers.world.begun()
        assert begun.shares == ("news:wire",)
        assert readers.told == []

    run_virtually(scenario())


def test_a_symbol_that_the_text_does_not_name_is_not_asked_about_and_cannot_be_chosen() -> None:
    async def scenario() -> None:
        readers = Readers(World(lambda asked: chosen(asked, symbols=["ETH/USDT"])))
        at = readers.world.clock.now()
        await readers.read(Published("wire", item("Bitcoin only", at), item("About cats", at)))
        refused = [fact.fault for fact in await readers.room.facts() if isinstance(fact, NewsRefused)]
        assert sorted(refused) == [
            "it names no symbol that is followed",
            "there is no answer of the model: invalid",
        ]
        # The one that was asked about was asked about once more, as any answer that cannot be used is.
        assert len(readers.world.provider.calls) == 2
        assert all(ETH not in call.messages[-1].content for _, call in readers.world.provider.calls)

    run_virtually(scenario())


def test_without_an_answer_there_is_no_reading_and_why_is_on_record() -> None:
    async def scenario() -> None:
        refuse: Step = CallFailed("refused", detail="no")
        readers = Readers(World(lambda _: refuse))
        await readers.read(Published("wire", item("Bitcoin surges", readers.world.clock.now())))
        [_, fact] = await readers.room.facts()
        assert isinstance(fact, NewsRefused)
        assert fact.fault == "there is no answer of the model: refused"

    run_virtually(scenario())


def test_what_was_answered_before_the_process_died_is_not_paid_for_again() -> None:
    async def scenario() -> None:
        readers = Readers(World(chosen))
        source = Published("wire", item("Bitcoin surges", readers.world.clock.now()))
        async with at_work(readers.gateway().run()):
            dying = asyncio.create_task(readers.desk(source).read_once())
            while not await readers.world.ended():
                await readers.world.clock.sleep(0.01)
                if await readers.world.ended():
                    dying.cancel()
            await asyncio.gather(dying, return_exceptions=True)
        again = Readers(readers.world)
        again.room.log = readers.world.log
        await again.read(source)
        facts = await again.room.facts()
        assert [type(fact) for fact in facts] == [NewsReceived, NewsExtracted]
        assert len(readers.world.provider.calls) == 1

    run_virtually(scenario())


def test_a_new_gateway_is_asked_what_the_one_before_left_open() -> None:
    async def scenario() -> None:
        readers = Readers(World(chosen))
        reading = asyncio.create_task(
            readers.desk(Published("wire", item("Bitcoin surges", readers.world.clock.now()))).read_once()
        )
        await readers.world.clock.sleep(5)
        async with at_work(readers.gateway().run()):
            await reading
        assert len(await readers.room.extracted()) == 1

    run_virtually(scenario())


def test_a_model_that_obeys_every_headline_can_still_only_choose() -> None:
    async def scenario() -> None:
        readers = Readers(World(lambda asked: chosen(asked, sentiment="very_bad", reason=asked.text)))
        at = readers.world.clock.now()
        await readers.read(Published("wire", *(NewsItem(each.text, at) for each in corpus()[:10])))
        assert await readers.room.extracted() == []

    run_virtually(scenario())


@pytest.mark.anyio
async def test_reading_news_is_paid_for_by_nobody_else() -> None:
    payers = PayersWithNews(Known())
    assert await payers.of(BotId("news:wire")) == Payer("", NEWS_FLEET)
    assert (await payers.of(BotId("bot-1"))).fleet == "fleet"
