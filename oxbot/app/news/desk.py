"""Reads sources of news one beside the other, records what they publish, and then what is made of it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from events.envelope import Metadata
from events.identifiers import news_stream
from events.log import EventLog
from events.news import NewsExtracted, NewsReceived, NewsRefused
from oxbot.app.bodies import BodyStore
from oxbot.app.clock import Clock
from oxbot.app.handle import Folded, fold_stream, handle
from oxbot.app.news.extraction import Extracted, Extractor, NotExtracted
from oxbot.app.news.novelty import SaidBefore
from oxbot.app.news.source import ITEMS_PER_READING_MAX, NewsItem, NewsSource, NewsUnavailable
from oxbot.core.news import NewsCommand, NewsDecider, NewsState, NoteReading, ReceiveNews, SettleNews
from oxbot.core.news_text import KEY_LETTERS_MAX, NewsText

OLD = timedelta(hours=24)
"""What was published longer before it was received is no news."""

ITEMS_PER_HOUR_MAX = 100
"""No source is a flood."""

HOUR = timedelta(hours=1)
SECONDS_MAX = 3600.0
AT_ONCE = 4
TEXT_LETTERS_MAX = 4_000

logger = structlog.get_logger(__name__)


class Watched(NamedTuple):
    """A source, what reads its items, and how often it is asked.

    What ``was_recorded`` is taken to have been read when it was received, which may be long ago.
    """

    source: NewsSource
    extractor: Extractor
    every_seconds: float = 300.0
    was_recorded: bool = False


class NewsDesk:
    """Watches sources. Everything it keeps is in the log and the store of bodies; several desks do no harm.

    An item is on record before it is read, and what was left unread is read at the next start.
    """

    def __init__(
        self, watched: Sequence[Watched], *, log: EventLog, bodies: BodyStore, clock: Clock, holder: str = "news"
    ) -> None:
        self._watched = tuple(watched)
        self._log = log
        self._bodies = bodies
        self._clock = clock
        self._metadata = Metadata(actor=holder)
        self._decider = NewsDecider()
        self._folded: dict[str, Folded[NewsState]] = {}
        self._writing: dict[str, asyncio.Lock] = {}
        self._said = SaidBefore(bodies)

    async def run(self) -> None:
        """Watch until cancelled; what is wrong with a source is on its stream, and stops no other."""
        await self._remember()
        async with asyncio.TaskGroup() as tasks:
            for watched in self._watched:
                tasks.create_task(self._watch(watched))

    async def read_once(self) -> None:
        """Read every source once, one after the other, and what is pending of it."""
        await self._remember()
        for watched in self._watched:
            await self._reading(watched)

    def state(self, source: str) -> NewsState:
        """The source as this desk last knew it."""
        folded = self._folded.get(source)
        return self._decider.initial if folded is None else folded.state

    async def _remember(self) -> None:
        """Learn what was said before, of every source: a copy of it is no news wherever it stands."""
        for watched in self._watched:
            name = watched.source.name
            self._folded[name] = await fold_stream(self._log, self._decider, news_stream(name))
            await self._said.learn(self.state(name).recent)

    async def _watch(self, watched: Watched) -> None:
        failures = 0
        while True:
            unavailable = await self._reading(watched)
            failures = 0 if unavailable is None else failures + 1
            seconds = watched.every_seconds * 2 ** min(failures, 6)
            asked_for = unavailable.retry_after if unavailable and unavailable.retry_after else 0.0
            await self._clock.sleep(min(max(seconds, asked_for), max(SECONDS_MAX, watched.every_seconds)))

    async def _reading(self, watched: Watched) -> NewsUnavailable | None:
        """One reading of a source; why there is none, if there is none."""
        name = watched.source.name
        await self._settle_all(watched)
        try:
            items = await _read(watched.source)
        except NewsUnavailable as unavailable:
            logger.warning("news_unavailable", source=name, fault=unavailable.fault)
            await self._do(name, NoteReading(name, self._clock.now(), unavailable.fault))
            return unavailable
        now = self._clock.now()
        await self._do(name, NoteReading(name, now))
        await self._receive(watched, items, now)
        return None

    async def _receive(self, watched: Watched, items: Sequence[NewsItem], now: datetime) -> None:
        """Store and record what is new, the newest of it if it is much."""
        source = watched.source.name
        state = self.state(source)
        new = [item for item in items if not state.knows(item.item_id)]
        new.sort(key=lambda item: item.received_at or item.published_at or now)
        kept = new if watched.was_recorded else new[len(new) - min(len(new), _room(state, now)) :]
        for first in range(0, len(kept), ITEMS_PER_READING_MAX):
            received = [await self._stored(source, item, now) for item in kept[first : first + ITEMS_PER_READING_MAX]]
            await self._do(source, ReceiveNews(tuple(received)))
            await self._said.learn(received)
            await self._settle_all(watched)

    async def _stored(self, source: str, item: NewsItem, now: datetime) -> NewsReceived:
        return NewsReceived(
            item_id=item.item_id,
            source=source,
            body=await self._bodies.put(_bounded(item.text).body),
            received_at=item.received_at or now,
            published_at=item.published_at,
        )

    async def _settle_all(self, watched: Watched) -> None:
        """Read every pending item; a few at a time, since a model takes its time."""
        name = watched.source.name
        turns = asyncio.Semaphore(AT_ONCE)

        async def settle(item: NewsReceived) -> None:
            async with turns:
                await self._do(name, SettleNews(await self._settled(watched, item)))

        async with asyncio.TaskGroup() as tasks:
            for item in self.state(name).pending.values():
                tasks.create_task(settle(item))

    async def _settled(self, watched: Watched, item: NewsReceived) -> NewsExtracted | NewsRefused:
        text = NewsText.of(await self._bodies.get(item.body))
        fault = None if watched.was_recorded else _no_news(item, self.state(item.source))
        found: Extracted | NotExtracted = NotExtracted(fault=fault or "")
        if fault is None:
            found = await watched.extractor.extract(item.source, item.item_id, text)
        at = item.received_at if watched.was_recorded else max(item.received_at, self._clock.now())
        if isinstance(found, NotExtracted):
            return NewsRefused(item_id=item.item_id, at=at, fault=found.fault)
        return NewsExtracted(
            item_id=item.item_id,
            at=at,
            symbols=found.symbols,
            sentiment=found.sentiment,
            event=found.event,
            novelty=min(found.novelty, self._said.novelty(item, text)),
            extractor=watched.extractor.name,
            answer=found.answer,
        )

    async def _do(self, source: str, command: NewsCommand) -> None:
        """Append what follows; one after the other for each source, so that each sees what the one before did."""
        async with self._writing.setdefault(source, asyncio.Lock()):
            self._folded[source] = await handle(
                self._log,
                self._decider,
                news_stream(source),
                command,
                at=self._clock.now(),
                known=self._folded.get(source),
                metadata=self._metadata,
            )


async def _read(source: NewsSource) -> Sequence[NewsItem]:
    """What the source publishes; whatever its answer does to us is its own fault, and stops nothing else."""
    try:
        return await source.read()
    except NewsUnavailable:
        raise
    except Exception as error:
        logger.exception("news_crashed", source=source.name)
        raise NewsUnavailable(f"reading it failed ({type(error).__name__})") from error


def _room(state: NewsState, now: datetime) -> int:
    """How many items are taken at this reading; the rest is left for the next, if it is still published then."""
    lately = sum(item.received_at > now - HOUR for item in state.recent)
    return max(0, min(ITEMS_PER_READING_MAX, ITEMS_PER_HOUR_MAX - lately))


def _no_news(item: NewsReceived, state: NewsState) -> str | None:
    """Why an item is none, whatever it says."""
    if item.published_at is not None:
        return "it was published long before it was received" if item.received_at - item.published_at > OLD else None
    return (
        "it has no date, and was there when the source was first read" if item.received_at == state.first_at else None
    )


def _bounded(text: NewsText) -> NewsText:
    """What is stored of a text."""
    return NewsText(
        title=_text(text.title, TEXT_LETTERS_MAX),
        summary=_text(text.summary, TEXT_LETTERS_MAX),
        key=_text(text.key, KEY_LETTERS_MAX),
    )


def _text(text: str, letters_max: int) -> str:
    """Its beginning, as something that can be written down: half a character is none."""
    return text[:letters_max].encode("utf-8", "replace").decode()
