"""The judge of a run finds each kind of broken promise, so that none found means something."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from random import Random

import pytest

from events.codec import Codec
from events.encoded import StoredEvent
from events.entry import FIRST_PREV_HASH, leaf_of, raw_event
from events.envelope import NewEvent
from events.identifiers import StreamId, new_event_id
from events.log import Appended
from tests.simulation.checker import Head, Stored, violations
from tests.simulation.facts import cycle, single
from tests.simulation.history import Ack, Delivery, History, Run

A, B = StreamId("bot-a"), StreamId("bot-b")


def appended(events: list[StoredEvent], stream: StreamId, new: Sequence[NewEvent]) -> Appended:
    """What a log would store and answer."""
    codec = Codec()
    for each in new:
        before = [event for event in events if event.stream == stream]
        unhashed = StoredEvent(
            len(events) + 1,
            stream,
            len(before) + 1,
            each.event_id,
            *codec.encode(each.fact)[:2],
            each.occurred_at,
            datetime.now(UTC),
            codec.encode(each.fact)[2],
            codec.encode_metadata(each.metadata),
            before[-1].leaf_hash if before else FIRST_PREV_HASH,
            b"",
        )
        events.append(unhashed._replace(leaf_hash=leaf_of(raw_event(unhashed))))
    return Appended(version=events[-1].version, position=events[-1].position)


def heads_and_ids(events: Sequence[StoredEvent]) -> Stored:
    """What belongs to the events."""
    heads = {event.stream: Head(event.version, event.position, event.leaf_hash) for event in events}
    return Stored(list(events), heads, {event.event_id: event.position for event in events})


def kept() -> tuple[History, Stored]:
    """A run in which every promise was kept: nine events of two streams, a refusal, a reader and a half one."""
    random, history = Random(1), History()  # noqa: S311 - any facts do
    events: list[StoredEvent] = []
    for stream, make in ((A, cycle), (B, single), (A, single), (B, cycle), (A, single)):
        sent = make(random)
        sent_at = history.sends(sent)
        expected = sum(event.stream == stream for event in events)
        answer = appended(events, stream, sent)
        history.acked(Ack(stream, expected, sent, answer, sent_at, history.tick()))
    refused = single(random)
    history.sends(refused)
    history.gave_up(refused)
    for reader, after, until, types in (
        ("whole", 0, 9, None),
        ("half", 2, 5, None),
        ("some", 1, 9, ["order.accepted"]),
    ):
        run = Run(reader, after, types)
        run.delivered += [
            Delivery(*event[:4]) for event in events[after:until] if types is None or event.event_type in types
        ]
        run.is_complete = until == 9
        history.runs.append(run)
    return history, heads_and_ids(events)


def test_nothing_is_found_where_every_promise_was_kept() -> None:
    assert violations(*kept()) == []


Break = Callable[[History, Stored], Stored | None]


def edit(stored: Stored, position: int, **fields: object) -> Stored:
    """Another log, in which one event has other fields and is hashed anew."""
    events = list(stored.events)
    changed = events[position - 1]._replace(**fields)  # type: ignore[arg-type]  # the test names the field
    events[position - 1] = changed._replace(leaf_hash=leaf_of(raw_event(changed)))
    return stored._replace(events=events)


def lose_the_tail(_: History, stored: Stored) -> Stored:
    return heads_and_ids(stored.events[:-1])


def lose_from_the_middle(_: History, stored: Stored) -> Stored:
    return heads_and_ids([event for event in stored.events if event.position != 5])


def swap_two(_: History, stored: Stored) -> Stored:
    events = list(stored.events)
    events[4], events[5] = events[5]._replace(position=5), events[4]._replace(position=6)
    return heads_and_ids(events)


def store_twice(_: History, stored: Stored) -> Stored:
    events = list(stored.events)
    again = events[0]._replace(position=10, version=6, prev_hash=events[8].leaf_hash)
    return heads_and_ids([*events, again._replace(leaf_hash=leaf_of(raw_event(again)))])


def change_a_byte(_: History, stored: Stored) -> Stored:
    events = list(stored.events)
    events[3] = events[3]._replace(payload=events[3].payload[:-1] + b"!")
    return stored._replace(events=events)


def change_a_byte_and_its_hash(_: History, stored: Stored) -> Stored:
    return edit(stored, 9, payload=stored.events[8].payload[:-1] + b"!")


def break_a_chain(_: History, stored: Stored) -> Stored:
    return edit(stored, 9, prev_hash=FIRST_PREV_HASH)


def skip_a_version(_: History, stored: Stored) -> Stored:
    return edit(stored, 9, version=7)


def store_what_was_refused(history: History, stored: Stored) -> Stored:
    history.refused.append(stored.events[8].event_id)
    return stored


def store_what_nobody_sent(_: History, stored: Stored) -> Stored:
    events = list(stored.events)
    appended(events, B, single(RANDOM))
    return heads_and_ids(events)


def store_what_nobody_was_answered(history: History, stored: Stored) -> Stored:
    history.acks.pop()
    return stored


def forget_a_head(_: History, stored: Stored) -> Stored:
    return stored._replace(heads={A: stored.heads[A]})


def leave_a_head_behind(_: History, stored: Stored) -> Stored:
    return stored._replace(heads={**stored.heads, B: stored.heads[B]._replace(version=3)})


def forget_an_id(_: History, stored: Stored) -> Stored:
    return stored._replace(ids={key: position for key, position in stored.ids.items() if position != 4})


def misplace_an_id(_: History, stored: Stored) -> Stored:
    return stored._replace(ids={**stored.ids, stored.events[3].event_id: 5})


def answer_with_another_position(history: History, _: Stored) -> None:
    history.acks[2] = history.acks[2]._replace(answer=Appended(version=4, position=6))


def answer_with_another_version(history: History, _: Stored) -> None:
    history.acks[2] = history.acks[2]._replace(answer=Appended(version=3, position=5))


def answer_later_what_stands_earlier(history: History, _: Stored) -> None:
    history.acks[0] = history.acks[0]._replace(sent_at=history.tick(), answered_at=history.tick())


def take_what_expected_another_version(history: History, _: Stored) -> None:
    history.acked(history.acks[4]._replace(expected=2))


def deliver_one_twice(history: History, _: Stored) -> None:
    history.runs[0].delivered.insert(3, history.runs[0].delivered[2])


def deliver_in_another_order(history: History, _: Stored) -> None:
    history.runs[0].delivered[3:5] = reversed(history.runs[0].delivered[3:5])


def deliver_past_one(history: History, _: Stored) -> None:
    del history.runs[1].delivered[1]


def deliver_no_end(history: History, _: Stored) -> None:
    history.runs[0].delivered.pop()


def deliver_too_few_of_a_type(history: History, _: Stored) -> None:
    history.runs[2].delivered.pop()


def deliver_more_than_there_is(history: History, _: Stored) -> None:
    history.runs[0].delivered.append(Delivery(10, A, 6, new_event_id()))


def report_itself(history: History, _: Stored) -> None:
    history.report("refusal: a writer saw one")


RANDOM = Random(2)  # noqa: S311 - any fact does


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        (lose_the_tail, "lost ack"),
        (lose_from_the_middle, "gap"),
        (swap_two, "lost ack"),
        (store_twice, "duplicated"),
        (change_a_byte, "hash"),
        (change_a_byte_and_its_hash, "content"),
        (break_a_chain, "chain"),
        (skip_a_version, "order"),
        (store_what_was_refused, "refused"),
        (store_what_nobody_sent, "phantom"),
        (store_what_nobody_was_answered, "unanswered"),
        (forget_a_head, "head"),
        (leave_a_head_behind, "head"),
        (forget_an_id, "ids"),
        (misplace_an_id, "ids"),
        (answer_with_another_position, "lost ack"),
        (answer_with_another_version, "lost ack"),
        (answer_later_what_stands_earlier, "real time"),
        (take_what_expected_another_version, "answer"),
        (deliver_one_twice, "duplicated"),
        (deliver_in_another_order, "missed"),
        (deliver_past_one, "missed"),
        (deliver_no_end, "missed"),
        (deliver_too_few_of_a_type, "missed"),
        (deliver_more_than_there_is, "missed"),
        (report_itself, "refusal"),
    ],
)
def test_each_broken_promise_is_found(broken: Break, kind: str) -> None:
    history, stored = kept()
    found = violations(history, broken(history, stored) or stored)
    assert kind in {violation.partition(":")[0] for violation in found}, found
