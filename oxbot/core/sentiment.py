"""What recorded news say of a symbol at a moment: bounded for each source, for each hour, and over all.

A score lies between -2 and 2. One source moves it by ``SOURCE_CAP`` at most, whatever it publishes, and what came to
be known within an hour moves it by ``HOUR_CAP`` at most, from however many sources: whoever writes the same into all
of them needs hours for what the news of hours would do.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from events.advice import Sentiment
from events.identifiers import Symbol
from events.news import NewsExtracted, NewsReceived

WINDOW_HOURS = 12
"""News that are older count for nothing; until then they lose weight evenly."""

WINDOW = timedelta(hours=WINDOW_HOURS)
SENTIMENT_MAX = 2
NOVELTY_MAX = 3
SCORE_MAX = Decimal(2)
SOURCE_CAP = Decimal("0.75")
HOUR_CAP = Decimal(1)

_UNIT = 10_000
"""Scores are summed in whole ten-thousandths, so that they do not depend on the order of items."""

_SCORE_UNITS, _SOURCE_UNITS, _HOUR_UNITS = (int(each * _UNIT) for each in (SCORE_MAX, SOURCE_CAP, HOUR_CAP))
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_MINUTES = WINDOW_HOURS * 60


class Heard(NamedTuple):
    """An item as it counts: from ``known_at`` on, and as old as ``told_at`` says."""

    source: str
    known_at: datetime
    told_at: datetime
    symbols: frozenset[Symbol]
    sentiment: int
    novelty: int


def heard(received: NewsReceived, extracted: NewsExtracted) -> Heard:
    """An item of news. Nobody knew of it before it was received and read, whatever time its source puts on it."""
    published = received.published_at or received.received_at
    return Heard(
        received.source,
        max(received.received_at, extracted.at),
        min(published, received.received_at),
        frozenset(extracted.symbols),
        extracted.sentiment,
        extracted.novelty,
    )


def sentiments(items: Iterable[Heard], symbols: Collection[Symbol], at: datetime) -> Mapping[Symbol, Sentiment]:
    """What the items say of these symbols at a moment; a symbol of which they say nothing is left out."""
    known = [item for item in items if item.known_at <= at and at - item.told_at < WINDOW]
    found = ((symbol, sentiment([item for item in known if symbol in item.symbols], symbol, at)) for symbol in symbols)
    return {symbol: said for symbol, said in found if said is not None}


def sentiment(items: Iterable[Heard], symbol: Symbol, at: datetime) -> Sentiment | None:
    """What the items, all of them of this symbol, say of it at a moment; None if there is nothing that counts."""
    counted = [item for item in items if item.known_at <= at and at - item.told_at < WINDOW and item.novelty > 0]
    if not counted:
        return None
    return Sentiment(
        symbol=symbol,
        score=_hundredths(_score(counted, at)),
        items=len(counted),
        age_minutes=min((at - item.told_at) // _MINUTE for item in counted),
    )


def _score(items: Iterable[Heard], at: datetime) -> int:
    """From what was known hours ago towards what is known now, each hour by no more than it may."""
    became_known: dict[int, list[Heard]] = {}
    for item in items:
        became_known.setdefault((at - item.known_at) // _HOUR, []).append(item)
    score, by_source = 0, dict[str, int]()
    for hours in range(WINDOW_HOURS, -1, -1):
        for item in became_known.get(hours, ()):
            by_source[item.source] = by_source.get(item.source, 0) + _weight(item, at)
        aim = sum(_within(units, _SOURCE_UNITS) for units in by_source.values())
        score += _within(_within(aim, _SCORE_UNITS) - score, _HOUR_UNITS)
    return score


def _hundredths(units: int) -> Decimal:
    """Rounded towards 0, so that no cap is passed by rounding."""
    whole = abs(units) * 100 // _UNIT
    return Decimal(whole if units > 0 else -whole).scaleb(-2)


def _weight(item: Heard, at: datetime) -> int:
    """The strongest and newest item comes to all that its source may."""
    left = _MINUTES - (at - item.told_at) // _MINUTE
    units = _SOURCE_UNITS * abs(item.sentiment) * item.novelty * left // (SENTIMENT_MAX * NOVELTY_MAX * _MINUTES)
    return units if item.sentiment > 0 else -units


def _within(units: int, limit: int) -> int:
    return max(-limit, min(limit, units))
