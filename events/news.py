"""What sources of news published, and what was made of it: facts of a source's stream."""

from typing import Literal

from events.identifiers import BodyHash, Symbol
from events.values import Timestamp, Value

NewsEvent = Literal[
    "listing", "delisting", "hack", "regulation", "macro", "upgrade", "partnership", "flows", "legal", "other"
]


class NewsReceived(Value, frozen=True, kw_only=True, tag="news.received"):
    """A source published an item; its text, which nobody trusts, is stored under ``body``."""

    item_id: str
    source: str
    body: BodyHash
    received_at: Timestamp
    published_at: Timestamp | None = None


class NewsExtracted(Value, frozen=True, kw_only=True, tag="news.extracted"):
    """What an item says of which symbols, in numbers and enums only; no word of its text is here."""

    item_id: str
    at: Timestamp
    symbols: tuple[Symbol, ...]
    sentiment: Literal[-2, -1, 0, 1, 2]
    event: NewsEvent
    novelty: Literal[0, 1, 2, 3]
    extractor: str
    answer: BodyHash | None = None


class NewsRefused(Value, frozen=True, kw_only=True, tag="news.refused"):
    """Nothing could be made of an item, and why."""

    item_id: str
    at: Timestamp
    fault: str


class NewsSourceFailed(Value, frozen=True, kw_only=True, tag="news.source_failed"):
    """A source could not be read; it is told once, until it works again."""

    source: str
    at: Timestamp
    fault: str


class NewsSourceRecovered(Value, frozen=True, kw_only=True, tag="news.source_recovered"):
    """A source that had failed can be read again."""

    source: str
    at: Timestamp


NewsFact = NewsReceived | NewsExtracted | NewsRefused | NewsSourceFailed | NewsSourceRecovered
"""What a source's stream holds."""
