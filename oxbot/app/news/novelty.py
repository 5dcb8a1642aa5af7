"""Tells what is news from what was said before, by whichever source: a copy weighs nothing, wherever it stands."""

from bisect import bisect_left, insort
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from events.identifiers import BodyHash
from events.news import NewsReceived
from oxbot.app.bodies import BodyStore
from oxbot.core.news_text import NewsText, likeness, words

REMEMBERED = timedelta(hours=48)
ITEMS_REMEMBERED = 3_000
COPY, ALIKE = 0.8, 0.4
"""Titles that share this much of their words are one text, or tell of one thing."""


class _Said(NamedTuple):
    received_at: datetime
    source: str
    item_id: str
    words: frozenset[str]


class SaidBefore:
    """The titles of the newest items of all sources."""

    def __init__(self, bodies: BodyStore) -> None:
        self._bodies = bodies
        self._said: list[_Said] = []
        self._known: set[tuple[str, str]] = set()

    async def learn(self, items: Iterable[NewsReceived]) -> None:
        """Remember these; those that are remembered already are left alone."""
        for item in items:
            if (item.source, item.item_id) not in self._known:
                self._known.add((item.source, item.item_id))
                insort(self._said, _Said(item.received_at, item.source, item.item_id, await self._words(item.body)))
        for forgotten in self._said[:-ITEMS_REMEMBERED]:
            self._known.discard((forgotten.source, forgotten.item_id))
        del self._said[:-ITEMS_REMEMBERED]

    def novelty(self, item: NewsReceived, text: NewsText) -> Literal[0, 1, 2, 3]:
        """3 for what nobody said before it, 1 for more of the same, 0 for a copy."""
        own = _Said(item.received_at, item.source, item.item_id, frozenset())
        end = bisect_left(self._said, own[:3], key=lambda said: said[:3])
        said_words, most = words(text.title), 0.0
        for said in reversed(self._said[:end]):
            if said.received_at < item.received_at - REMEMBERED:
                break
            most = max(most, likeness(said_words, said.words))
        return 0 if most >= COPY else 1 if most >= ALIKE else 3

    async def _words(self, body: BodyHash) -> frozenset[str]:
        return words(NewsText.of(await self._bodies.get(body)).title)
