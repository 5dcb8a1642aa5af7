"""The stream of a source: each item once, each reading once, each failure once."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from events.identifiers import BodyHash
from events.news import NewsFact, NewsReceived, NewsRefused, NewsSourceFailed, NewsSourceRecovered
from oxbot.core.news import (
    DAYS_REMEMBERED,
    RECENT,
    NewsCommand,
    NewsDecider,
    NewsState,
    NoteReading,
    ReceiveNews,
    SettleNews,
)

AT = datetime(2026, 3, 1, tzinfo=UTC)
DECIDER = NewsDecider()


def item(name: str, *, days: int = 0) -> NewsReceived:
    """An item."""
    return NewsReceived(item_id=name, source="a", body=BodyHash("0" * 64), received_at=AT + timedelta(days=days))


def refused(name: str) -> NewsRefused:
    """That nothing was made of it."""
    return NewsRefused(item_id=name, at=AT, fault="none")


def lived(*commands: NewsCommand, state: NewsState = DECIDER.initial) -> tuple[list[NewsFact], NewsState]:
    """The facts that these led to."""
    facts: list[NewsFact] = []
    for command in commands:
        new = DECIDER.decide(command, state)
        for fact in new:
            state = DECIDER.evolve(state, fact)
        facts.extend(new)
    return facts, state


def test_an_item_is_received_once_however_often_it_is_published() -> None:
    facts, state = lived(ReceiveNews((item("1"), item("1"), item("2"))), ReceiveNews((item("2", days=3), item("3"))))
    assert facts == [item("1"), item("2"), item("3")]
    assert (state.received, list(state.pending)) == (3, ["1", "2", "3"])


def test_what_nobody_waits_for_is_not_settled() -> None:
    facts, state = lived(ReceiveNews((item("1"),)), SettleNews(refused("1")), SettleNews(refused("1")))
    assert facts == [item("1"), refused("1")]
    assert lived(SettleNews(refused("9")), state=state)[0] == []
    assert (state.refused, dict(state.pending), state.knows("1")) == (1, {}, True)


def test_a_failure_is_told_once_until_the_source_works_again() -> None:
    down, up = NoteReading("a", AT, "down"), NoteReading("a", AT)
    failed, recovered = NewsSourceFailed(source="a", at=AT, fault="down"), NewsSourceRecovered(source="a", at=AT)
    facts, state = lived(up, down, NoteReading("a", AT, "still down"), up, up, down)
    assert facts == [failed, recovered, failed]
    assert state.failing == "down"


@given(st.lists(st.integers(0, 2_000), max_size=600))
def test_what_is_remembered_is_bounded(days: list[int]) -> None:
    _, state = lived(ReceiveNews(tuple(item(str(number), days=day) for number, day in enumerate(days))))
    assert len(state.known) <= DAYS_REMEMBERED
    assert len(state.recent) <= RECENT
    assert state.received == len(days)
