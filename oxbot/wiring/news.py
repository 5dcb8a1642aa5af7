"""What reads news, in the process that asks models: the sources of an installation, as far as they suit its market."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib.util import find_spec

import msgspec

from events.identifiers import ModelName, Symbol
from events.log import EventLog
from oxbot.adapters.news_synthetic import SyntheticNews
from oxbot.adapters.news_table import read_news_table
from oxbot.app.bodies import BodyStore
from oxbot.app.clock import Clock, SystemClock
from oxbot.app.models.known import ModelTable
from oxbot.app.news.desk import NewsDesk, Watched
from oxbot.app.news.extraction import Extractor, ModelExtractor, ReadingDesk, WordExtractor
from oxbot.app.news.known import WORDS, KnownSource
from oxbot.app.news.source import NewsSource
from oxbot.config import InvalidSetting, Settings
from oxbot.core.news_words import Followed, followed
from oxbot.wiring.market import LiveSyntheticMarket, MarketPlan, Speed, VenueMarket


class NewsPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Which sources are read, for which symbols; with ``speed``, in a market time that passes like this."""

    sources: tuple[KnownSource, ...] = ()
    names: Mapping[str, tuple[str, ...]] = {}
    symbols: tuple[Symbol, ...] = ()
    speed: Speed | None = None


class MarketClock:
    """The time of a made-up market. Implements ``Clock``; how long to sleep is said in real seconds."""

    def __init__(self, speed: Speed, clock: Clock) -> None:
        self._speed = speed
        self._clock = clock

    def now(self) -> datetime:
        """The market's time."""
        elapsed = (self._clock.now() - self._speed.started_at).total_seconds()
        return self._speed.market_at + timedelta(seconds=elapsed * self._speed.factor)

    async def sleep(self, seconds: float) -> None:
        """Return after this many seconds."""
        await self._clock.sleep(seconds)


def news_plan(settings: Settings, models: ModelTable) -> NewsPlan:
    """The plan of an installation, for no market yet. Raises ``InvalidNewsTable`` or ``InvalidSetting``."""
    table = read_news_table(settings.news)
    if any(source.url is not None for source in table.sources) and find_spec("aiohttp") is None:
        raise InvalidSetting("OXBOT_NEWS names feeds, and what reads them is not installed: oxbot[news] is")
    for source in table.sources:
        model = models.get(ModelName(source.extractor))
        if source.extractor != WORDS and (model is None or model.scripted):
            raise InvalidSetting(f"OXBOT_NEWS: sources.{source.name} is read by {source.extractor}, which is no model")
    return NewsPlan(sources=table.sources, names=table.names)


def news_for(plan: NewsPlan, market: MarketPlan) -> NewsPlan:
    """The plan for bots of that market: real news for a venue's, made-up ones for a made-up one, none for a played one.

    What is published today says nothing of the past, and nothing real of prices that nobody pays.
    """
    match market:
        case VenueMarket():
            sources = tuple(source for source in plan.sources if source.url is not None)
            return msgspec.structs.replace(plan, sources=sources, symbols=market.symbols)
        case LiveSyntheticMarket():
            sources = tuple(source for source in plan.sources if source.seed is not None)
            return msgspec.structs.replace(plan, sources=sources, symbols=market.symbols, speed=market.speed)
        case _:
            return NewsPlan()


def open_news(
    plan: NewsPlan, *, log: EventLog, bodies: BodyStore, reading: ReadingDesk, holder: str
) -> NewsDesk | None:
    """What reads the sources, None if there are none; ``reading`` is how models are asked."""
    if not plan.sources:
        return None
    clock = SystemClock()
    known = followed(plan.symbols, plan.names)
    watched = [
        _watched(source, plan, _extractor(source, known, reading=reading, bodies=bodies, clock=clock))
        for source in plan.sources
    ]
    return NewsDesk(watched, log=log, bodies=bodies, clock=clock, holder=holder)


def _watched(source: KnownSource, plan: NewsPlan, extractor: Extractor) -> Watched:
    factor = 1.0 if plan.speed is None else max(1.0, plan.speed.factor)
    return Watched(
        _opened(source, plan),
        extractor,
        max(1.0, source.every_seconds / factor),
        was_recorded=source.url is None,
    )


def _opened(source: KnownSource, plan: NewsPlan) -> NewsSource:
    clock: Clock = SystemClock()
    if source.url is None:
        if plan.speed is not None:
            clock = MarketClock(plan.speed, clock)
        return SyntheticNews(source.name, plan.symbols, seed=source.seed or 0, clock=clock)
    from oxbot.adapters.news_feed import FeedNews  # noqa: PLC0415 - brings aiohttp, which only feeds need

    return FeedNews(source.name, source.url, private=source.private)


def _extractor(
    source: KnownSource, known: tuple[Followed, ...], *, reading: ReadingDesk, bodies: BodyStore, clock: Clock
) -> Extractor:
    if source.extractor == WORDS:
        return WordExtractor(known)
    return ModelExtractor(ModelName(source.extractor), known, desk=reading, bodies=bodies, clock=clock)
