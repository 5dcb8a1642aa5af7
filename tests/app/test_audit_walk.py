"""The walk over a log's events: for any log, and for any single thing about it that is not as it was recorded."""

from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from events.codec import Codec
from events.encoded import EncodedCommand, EncodedEvent
from events.entry import RawEvent, raw_event
from events.identifiers import StreamId, new_event_id
from events.log import ANY_VERSION
from events.memory import MemoryEventLog
from events.merkle import Frontier, Leaves, peaks, root_of
from oxbot.app.audit_log import Page
from oxbot.app.audit_walk import Walk
from tests.core.scenario import START

STREAMS = st.lists(st.sampled_from(["bot-1", "bot-2", "user-1"]), min_size=1, max_size=40)
PAGES = st.lists(st.integers(1, 9), min_size=1, max_size=9)


async def recorded(streams: Sequence[str]) -> list[RawEvent]:
    """A log of one event for each of these streams, in order."""
    log = MemoryEventLog(Codec())
    for number, stream in enumerate(streams):
        event = EncodedEvent(new_event_id(), "bot.paused", 1, START, bytes([number]), b"\x80")
        await log.append_encoded([EncodedCommand(StreamId(stream), ANY_VERSION, [event])])
    return [raw_event(event) for event in log.stored]


def walked(events: Sequence[RawEvent], *, last: int, sizes: Sequence[int] = (), pages: Sequence[int] = (9,)) -> Walk:
    """A walk over the events in pages of these many positions, over and over, up to ``last``."""
    walk = Walk(Frontier(), origin="oxbot/test", sizes=sizes, codec=Codec(), keys=[])
    position, turn = 0, 0
    while position < last:
        end = min(position + pages[turn % len(pages)], last)
        walk.take(Page([event for event in events if position < event.position <= end], end))
        position, turn = end, turn + 1
    return walk


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
@given(STREAMS, PAGES, st.data())
async def test_a_whole_log_has_no_problem_and_every_root_asked_for(
    streams: list[str], pages: list[int], data: st.DataObject
) -> None:
    events = await recorded(streams)
    sizes = data.draw(st.lists(st.integers(0, len(events)), max_size=5))
    walk = walked(events, last=len(events), sizes=sizes, pages=pages)
    leaves = [event.leaf_hash for event in events]

    assert walk.problems == []
    assert walk.frontier.root() == root_of(leaves)
    assert all(walk.roots[size] == root_of(leaves[:size]) for size in sizes)
    assert {stream: head.version for stream, head in walk.heads.items()} == {
        stream: streams.count(stream) for stream in set(streams)
    }


@pytest.mark.anyio
@given(STREAMS, PAGES, st.data())
async def test_any_single_change_is_a_problem_at_its_position(
    streams: list[str], pages: list[int], data: st.DataObject
) -> None:
    events = await recorded(streams)
    place = data.draw(st.integers(0, len(events) - 1))
    event = events[place]
    field = data.draw(st.sampled_from(RawEvent._fields[1:]))
    value = getattr(event, field)
    if isinstance(value, int):
        other: object = data.draw(st.integers(1, 99))
    elif isinstance(value, str):
        other = data.draw(st.sampled_from(["bot-1", "bot-2", "bot.started", ""]))
    else:
        other = data.draw(st.binary(min_size=len(value), max_size=len(value)))
    assume(other != value)
    named = zip(RawEvent._fields, event, strict=True)
    events[place] = RawEvent._make(other if name == field else value for name, value in named)

    assert walked(events, last=len(events), pages=pages).problems[0].position == place + 1


@pytest.mark.anyio
@given(STREAMS, PAGES, st.data())
async def test_any_missing_event_is_a_problem_at_its_position(
    streams: list[str], pages: list[int], data: st.DataObject
) -> None:
    events = await recorded(streams)
    place = data.draw(st.integers(0, len(events) - 1))
    rest = [event for event in events if event.position != place + 1]
    walk = walked(rest, last=len(events), pages=pages)

    assert walk.problems[0] == (place + 1, "there is no event at this position")
    assert walk.frontier.size == len(events)


@pytest.mark.anyio
@given(STREAMS, st.data())
async def test_any_two_swapped_events_are_a_problem_at_the_first(streams: list[str], data: st.DataObject) -> None:
    assume(len(streams) > 1)
    events = await recorded(streams)
    first, second = sorted(data.draw(st.sets(st.integers(0, len(events) - 1), min_size=2, max_size=2)))
    events[first], events[second] = (
        events[second]._replace(position=first + 1),
        events[first]._replace(position=second + 1),
    )

    assert walked(events, last=len(events)).problems[0].position == first + 1


@pytest.mark.anyio
@given(STREAMS, st.data())
async def test_an_event_that_comes_twice_is_a_problem(streams: list[str], data: st.DataObject) -> None:
    events = await recorded(streams)
    place = data.draw(st.integers(0, len(events) - 1))
    events.insert(place, events[place])
    problems = walked(events, last=len(streams)).problems

    assert problems[0] == (place + 1, "there is more than one event at this position")


@pytest.mark.anyio
@given(STREAMS, st.data())
async def test_a_walk_from_the_middle_comes_to_the_same_root(streams: list[str], data: st.DataObject) -> None:
    events = await recorded(streams)
    leaves = [event.leaf_hash for event in events]
    start = data.draw(st.integers(0, len(events)))
    found = [root_of(leaves[part.start : part.end]) for part in peaks(Leaves(0, start))]
    walk = Walk(Frontier(start, found), origin="oxbot/test", sizes=[], codec=Codec(), keys=[])
    walk.take(Page(events[start:], len(events)))

    assert walk.problems == []
    assert walk.frontier.root() == root_of(leaves)
