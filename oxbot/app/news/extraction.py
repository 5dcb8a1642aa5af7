"""What reads an item of news: word lists, or a model in quarantine, asked through the models' gateway."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Literal, Protocol

import msgspec

from events.advice import AdviceReceived
from events.identifiers import HOUSE, AdviceId, BodyHash, BotId, FleetName, ModelName, Symbol
from events.news import NewsEvent
from oxbot.app.bodies import BodyStore
from oxbot.app.clock import Clock
from oxbot.app.models.wanted import AdviceWanted, Deliver, Delivered, Payer, Payers, Prompt, Reading, Unreadable
from oxbot.core.news_answer import FORM, NoChoice, question, read_choice, schema
from oxbot.core.news_text import NewsText
from oxbot.core.news_words import SYMBOLS_PER_ITEM_MAX, Followed, NotRead, named, read_by_words

READERS_PREFIX = "news:"
"""The name under which reading the news of a source is paid for begins so; no bot's has a colon in it."""

NEWS_FLEET = FleetName("news")
PATIENCE = timedelta(minutes=10)


class Extracted(msgspec.Struct, frozen=True, kw_only=True):
    """What an item says of which symbols."""

    symbols: tuple[Symbol, ...]
    sentiment: Literal[-2, -1, 0, 1, 2]
    event: NewsEvent
    novelty: Literal[0, 1, 2, 3] = 3
    answer: BodyHash | None = None


class NotExtracted(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing could be made of an item, in words of ours."""

    fault: str


class Extractor(Protocol):
    """Reads items of news, one at a time, so that no item can speak for another."""

    @property
    def name(self) -> str:
        """What it is, and in which version."""
        ...

    async def extract(self, source: str, item_id: str, text: NewsText) -> Extracted | NotExtracted:
        """What the item says."""
        ...


class WordExtractor:
    """Reads by word lists: the same of the same text, for nothing."""

    name = "words/1"

    def __init__(self, known: Sequence[Followed]) -> None:
        self._known = known

    async def extract(self, source: str, item_id: str, text: NewsText) -> Extracted | NotExtracted:
        """See ``Extractor.extract``."""
        del source, item_id
        match read_by_words(text, self._known):
            case NotRead(fault=fault):
                return NotExtracted(fault=fault)
            case read:
                return Extracted(symbols=read.symbols, sentiment=read.tone, event=read.event)


class ModelExtractor:
    """Has a model read, within the limits and budgets of all calls, each call on record as any other.

    Reading the news of a source is paid for under ``news:`` and its name, as a bot's advice is under the bot's.
    """

    def __init__(
        self, model: ModelName, known: Sequence[Followed], *, desk: "ReadingDesk", bodies: BodyStore, clock: Clock
    ) -> None:
        self.name = f"{model}/{FORM}"
        self._model = model
        self._known = known
        self._desk = desk
        self._bodies = bodies
        self._clock = clock

    async def extract(self, source: str, item_id: str, text: NewsText) -> Extracted | NotExtracted:
        """See ``Extractor.extract``. A symbol that the text does not name is not asked about."""
        symbols = named(text, self._known)
        if not symbols:
            return NotExtracted(fault="it names no symbol that is followed")
        if len(symbols) > SYMBOLS_PER_ITEM_MAX:
            return NotExtracted(fault="it names too many symbols")
        delivered = await self._desk.ask(self._wanted(source, item_id, text, symbols))
        if not isinstance(delivered, AdviceReceived):
            reason = "timeout" if delivered is None else delivered.reason
            return NotExtracted(fault=f"there is no answer of the model: {reason}")
        raw = (await self._bodies.get(delivered.answer)).decode()
        choice = read_choice(raw, item_id=item_id, symbols=symbols)
        if isinstance(choice, NoChoice):
            return NotExtracted(fault=f"the model's answer cannot be used: {choice.fault}")
        if not choice.symbols:
            return NotExtracted(fault="it says nothing of a symbol that is followed")
        return Extracted(
            symbols=choice.symbols,
            sentiment=choice.sentiment,
            event=choice.event,
            novelty=choice.novelty,
            answer=delivered.answer,
        )

    def _wanted(self, source: str, item_id: str, text: NewsText, symbols: Sequence[Symbol]) -> AdviceWanted:
        def read(raw: str) -> Reading | Unreadable:
            choice = read_choice(raw, item_id=item_id, symbols=symbols)
            if isinstance(choice, NoChoice):
                repair = f"That answer cannot be used: {choice.fault}. Answer with one JSON object as told before."
                return Unreadable(fault=choice.fault, repair=repair)
            return Reading(opinions=())

        return AdviceWanted(
            advice_id=AdviceId(f"{READERS_PREFIX}{source}:{item_id}"),
            bot_id=BotId(f"{READERS_PREFIX}{source}"),
            fleet=NEWS_FLEET,
            advice_class="research",
            model=self._model,
            template=FORM,
            prompt=Prompt(question(item_id, text, symbols), schema(item_id, symbols)),
            read=read,
            deadline=self._clock.now() + PATIENCE,
        )


class ReadingDesk:
    """Stands between those who read news and the gateway of the moment, whose answers it tells apart from bots'.

    An item that was asked about before a crash is asked about again: the gateway finds what is stored of it.
    """

    def __init__(self) -> None:
        self._ask: Callable[[AdviceWanted], None] | None = None
        self._waiting: dict[AdviceId, tuple[AdviceWanted, asyncio.Future[Delivered]]] = {}

    def serve(self, ask: Callable[[AdviceWanted], None]) -> None:
        """From now on a new gateway answers; what the one before has left open is put to it."""
        self._ask = ask
        for wanted, _ in self._waiting.values():
            ask(wanted)

    async def ask(self, wanted: AdviceWanted) -> Delivered | None:
        """What came of it; None if nothing did in time."""
        answer: asyncio.Future[Delivered] = asyncio.get_running_loop().create_future()
        self._waiting[wanted.advice_id] = (wanted, answer)
        if self._ask is not None:
            self._ask(wanted)
        try:
            async with asyncio.timeout(PATIENCE.total_seconds() + 60):
                return await answer
        except TimeoutError:
            return None
        finally:
            del self._waiting[wanted.advice_id]

    def delivers(self, bots: Deliver) -> Deliver:
        """A ``Deliver`` for a gateway: what is not for bots ends here, all else goes on to them."""

        async def deliver(bot_id: BotId, fact: Delivered) -> None:
            if not bot_id.startswith(READERS_PREFIX):
                await bots(bot_id, fact)
                return
            _, answer = self._waiting.get(fact.advice_id, (None, None))
            if answer is not None and not answer.done():
                answer.set_result(fact)

        return deliver


class PayersWithNews:
    """Knows who pays for bots, and that the house pays for reading news. Implements ``Payers``."""

    def __init__(self, bots: Payers) -> None:
        self._bots = bots

    async def of(self, bot_id: BotId) -> Payer:
        """See ``Payers.of``."""
        return Payer(HOUSE, NEWS_FLEET) if bot_id.startswith(READERS_PREFIX) else await self._bots.of(bot_id)
