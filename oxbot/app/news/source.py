"""The port to sources of news: what they publish, as they say it."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple, Protocol

from events.errors import OxbotError
from oxbot.core.news_text import NewsText

ITEMS_PER_READING_MAX = 50
"""What a source publishes beyond that between two readings is not looked at."""


MADE_UP = "made-up"
"""So the name of a source begins whose news are made up, and no other's."""


class NewsItem(NamedTuple):
    """What a source published, and when it says that it did, if it says so with a time zone.

    ``received_at`` is given by sources that were recorded, or are made up: when it was there to be read.
    """

    text: NewsText
    published_at: datetime | None = None
    received_at: datetime | None = None

    @property
    def item_id(self) -> str:
        """The item's name in the log: a hash, because what the source calls it is text of the source's."""
        named = self.text.key or f"{self.text.title}\n{self.text.summary}"
        return sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:24]


class NewsUnavailable(OxbotError):
    """A source could not be read; the text holds nothing of what it answered."""

    def __init__(self, fault: str, *, retry_after: float | None = None) -> None:
        """``retry_after`` is in seconds, where the source said so."""
        super().__init__(fault)
        self.fault = fault
        self.retry_after = retry_after


class NewsSource(Protocol):
    """One place where news are published."""

    @property
    def name(self) -> str:
        """The name that its stream has; influence is limited by it."""
        ...

    async def read(self) -> Sequence[NewsItem]:
        """What is published there now, in any order, also what was read before. Raises ``NewsUnavailable``."""
        ...
