"""A desk of news in memory, whose sources publish what a test says."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from events.codec import Codec
from events.identifiers import Symbol, news_stream
from events.log import EventLog
from events.memory import MemoryEventLog
from events.news import NewsExtracted, NewsFact
from oxbot.adapters.memory_bodies import MemoryBodies
from oxbot.app.bodies import BodyStore
from oxbot.app.news.book import NewsBook
from oxbot.app.news.desk import NewsDesk, Watched
from oxbot.app.news.extraction import Extractor, WordExtractor
from oxbot.app.news.source import NewsItem, NewsUnavailable
from oxbot.core.news_text import NewsText
from oxbot.core.news_words import followed
from tests.app.fakes import SteppingClock

BTC, ETH = Symbol("BTC/USDT"), Symbol("ETH/USDT")
SYMBOLS = (BTC, ETH)
MINUTE = timedelta(minutes=1)


class Published:
    """A source that publishes what it is told to, or fails as it is told to."""

    def __init__(self, name: str = "wire", *items: NewsItem) -> None:
        self.name = name
        self.items = list(items)
        self.fails: Exception | None = None

    async def read(self) -> Sequence[NewsItem]:
        if self.fails is not None:
            raise self.fails
        return list(self.items)


def item(title: str, at: datetime | None = None, *, received_at: datetime | None = None, key: str = "") -> NewsItem:
    """Something published."""
    return NewsItem(NewsText(title=title, key=key), at, received_at)


class Newsroom:
    """The stores, and a desk over them whenever one is asked for."""

    def __init__(self, log: EventLog | None = None, bodies: BodyStore | None = None) -> None:
        self.clock = SteppingClock()
        self.log: EventLog = log or MemoryEventLog(Codec())
        self.bodies: BodyStore = bodies or MemoryBodies()

    def desk(self, *sources: Published, extractor: Extractor | None = None, was_recorded: bool = False) -> NewsDesk:
        """One incarnation."""
        extractor = extractor or WordExtractor(followed(SYMBOLS))
        watched = [Watched(source, extractor, 60, was_recorded) for source in sources]
        return NewsDesk(watched, log=self.log, bodies=self.bodies, clock=self.clock)

    async def read(self, *sources: Published, extractor: Extractor | None = None) -> None:
        """A new desk reads these once."""
        await self.desk(*sources, extractor=extractor).read_once()

    async def facts(self, source: str = "wire") -> list[NewsFact]:
        """The source's stream."""
        return [event.fact for event in await self.log.read_stream(news_stream(source))]  # type: ignore[misc]  # its facts

    async def extracted(self, source: str = "wire") -> list[NewsExtracted]:
        """What was made of its items."""
        return [fact for fact in await self.facts(source) if isinstance(fact, NewsExtracted)]

    def book(self) -> NewsBook:
        """A new reader of it all."""
        return NewsBook(self.log)


def unavailable(fault: str = "down", retry_after: float | None = None) -> NewsUnavailable:
    """A reason not to be read."""
    return NewsUnavailable(fault, retry_after=retry_after)
