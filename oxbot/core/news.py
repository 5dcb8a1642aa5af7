"""The decider of a source's stream of news: each item once, its reading once, and whether the source can be read."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import assert_never

import msgspec

from events.news import (
    NewsExtracted,
    NewsFact,
    NewsReceived,
    NewsRefused,
    NewsSourceFailed,
    NewsSourceRecovered,
)

DAYS_REMEMBERED = 400
RECENT = 300
"""So many of the newest items are at hand, to tell what is new from what was said before."""


class NewsState(msgspec.Struct, frozen=True, kw_only=True):
    """A source, as its stream says.

    ``known`` are the items that would not be news, by the day on which they came, ``pending`` those that nobody has
    read yet.
    """

    first_at: datetime | None = None
    received: int = 0
    extracted: int = 0
    refused: int = 0
    known: Mapping[date, frozenset[str]] = {}
    pending: Mapping[str, NewsReceived] = {}
    recent: tuple[NewsReceived, ...] = ()
    failing: str | None = None
    failing_since: datetime | None = None

    def knows(self, item_id: str) -> bool:
        """Whether the item was received before."""
        return any(item_id in day for day in self.known.values())


class ReceiveNews(msgspec.Struct, frozen=True):
    """The source published these; those that are known are left out."""

    items: tuple[NewsReceived, ...]


class SettleNews(msgspec.Struct, frozen=True):
    """What was made of a pending item."""

    fact: NewsExtracted | NewsRefused


class NoteReading(msgspec.Struct, frozen=True):
    """The source was read, or could not be: then ``fault`` says why."""

    source: str
    at: datetime
    fault: str | None = None


NewsCommand = ReceiveNews | SettleNews | NoteReading


class NewsDecider:
    """Decides for the stream of one source. Pure; however many read the same source, each item is there once."""

    initial = NewsState()

    def evolve(self, state: NewsState, fact: NewsFact) -> NewsState:
        """The state after the fact."""
        match fact:
            case NewsReceived():
                return _received(state, fact)
            case NewsExtracted():
                return msgspec.structs.replace(_settled(state, fact.item_id), extracted=state.extracted + 1)
            case NewsRefused():
                return msgspec.structs.replace(_settled(state, fact.item_id), refused=state.refused + 1)
            case NewsSourceFailed():
                return msgspec.structs.replace(state, failing=fact.fault, failing_since=fact.at)
            case NewsSourceRecovered():
                return msgspec.structs.replace(state, failing=None, failing_since=None)
            case _:
                assert_never(fact)

    def decide(self, command: NewsCommand, state: NewsState) -> Sequence[NewsFact]:
        """The facts that follow."""
        match command:
            case ReceiveNews():
                return list({item.item_id: item for item in command.items if not state.knows(item.item_id)}.values())
            case SettleNews():
                return [command.fact] if command.fact.item_id in state.pending else []
            case NoteReading(fault=None):
                return [] if state.failing is None else [NewsSourceRecovered(source=command.source, at=command.at)]
            case NoteReading():
                if state.failing is not None:
                    return []
                return [NewsSourceFailed(source=command.source, at=command.at, fault=str(command.fault))]
            case _:
                assert_never(command)


def _received(state: NewsState, fact: NewsReceived) -> NewsState:
    day = fact.received_at.date()
    known = {**state.known, day: state.known.get(day, frozenset()) | {fact.item_id}}
    if len(known) > DAYS_REMEMBERED:
        del known[min(known)]
    return msgspec.structs.replace(
        state,
        first_at=state.first_at or fact.received_at,
        received=state.received + 1,
        known=known,
        pending={**state.pending, fact.item_id: fact},
        recent=(*state.recent, fact)[-RECENT:],
    )


def _settled(state: NewsState, item_id: str) -> NewsState:
    pending = {known: item for known, item in state.pending.items() if known != item_id}
    return msgspec.structs.replace(state, pending=pending)
