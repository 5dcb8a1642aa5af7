"""What news say of symbols, folded from the log: for bots that ask for advice."""

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Mapping
from datetime import datetime

import structlog

from events.advice import Sentiment
from events.envelope import RecordedEvent
from events.errors import BelowFloor
from events.identifiers import Symbol, VenueName
from events.log import LogReader
from events.news import NewsExtracted, NewsReceived, NewsRefused
from oxbot.app.news.source import MADE_UP
from oxbot.core.sentiment import WINDOW, Heard, heard, sentiments

PAGE = 1000
ITEMS_MAX = 50_000
MADE_UP_MARKETS = "synthetic-"
"""So the name of a venue begins whose candles are made up."""

TYPES = tuple(str(kind.__struct_config__.tag) for kind in (NewsReceived, NewsExtracted, NewsRefused))

logger = structlog.get_logger(__name__)


class NewsBook:
    """The readings of all sources, as far as the log has come; one per process, shared by its bots.

    What it answers depends on the moment that is asked about and on what the log held when that moment, or a later one,
    was first asked about. What a bot was told is in its request, so nobody has to find out again.
    """

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self._unread: dict[tuple[str, str], NewsReceived] = {}
        self._heard: list[Heard] = []
        self._position = 0
        self._asked: datetime | None = None
        self._told: dict[tuple[bool, tuple[Symbol, ...]], Mapping[Symbol, Sentiment]] = {}
        self._reading = asyncio.Lock()

    async def sentiments(
        self, symbols: Collection[Symbol], at: datetime, *, made_up: bool = False
    ) -> Mapping[Symbol, Sentiment]:
        """What was known of these symbols at a moment; one of which nothing was known is left out.

        News that are ``made_up`` are told of a market that is, and of no other.
        """
        async with self._reading:
            if self._asked is None or at > self._asked:
                await self._catch_up()
                self._asked = at
                self._told.clear()
            if at < self._asked:
                return self._said(symbols, at, made_up=made_up)
            key = (made_up, tuple(sorted(symbols)))
            if key not in self._told:
                self._told[key] = self._said(symbols, at, made_up=made_up)
            return self._told[key]

    def _said(self, symbols: Collection[Symbol], at: datetime, *, made_up: bool) -> Mapping[Symbol, Sentiment]:
        # Nothing is known before it is told, so what counts became known within the window too.
        begins = bisect_left(self._heard, at - WINDOW, key=_known_at)
        known = self._heard[begins : bisect_right(self._heard, at, key=_known_at)]
        return sentiments([item for item in known if item.source.startswith(MADE_UP) == made_up], symbols, at)

    async def _catch_up(self) -> None:
        while events := await self._page():
            for event in events:
                self._apply(event)
            self._position = events[-1].position
            if len(events) < PAGE:
                break
        del self._heard[:-ITEMS_MAX]

    async def _page(self) -> list[RecordedEvent]:
        try:
            return list(await self._log.read_all(after_position=self._position, limit=PAGE, types=TYPES))
        except BelowFloor as archived:
            logger.info("news_archived", floor=archived.floor)
            self._position = archived.floor - 1
            return list(await self._log.read_all(after_position=self._position, limit=PAGE, types=TYPES))

    def _apply(self, event: RecordedEvent) -> None:
        match event.fact:
            case NewsReceived() as fact:
                self._unread[event.stream, fact.item_id] = fact
            case NewsExtracted() as fact:
                received = self._unread.pop((event.stream, fact.item_id), None)
                if received is not None:
                    insort(self._heard, heard(received, fact), key=_known_at)
            case NewsRefused() as fact:
                self._unread.pop((event.stream, fact.item_id), None)
            case _:
                pass


def is_made_up(venue: VenueName) -> bool:
    """Whether a venue's market is made up."""
    return venue.startswith(MADE_UP_MARKETS)


def _known_at(item: Heard) -> datetime:
    return item.known_at
