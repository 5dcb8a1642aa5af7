"""The bytes that are hashed: the same in Python as in the database, and different for any two different events."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
from hypothesis import assume, given
from hypothesis import strategies as st

from events.encoded import StoredEvent
from events.entry import FIRST_PREV_HASH, RawEvent, entry, leaf_of, microseconds, moment, raw_event
from events.identifiers import EventId, StreamId
from events.merkle import hash_leaf

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=60)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # given a zone
HASHES = st.binary(min_size=32, max_size=32)
STORED = st.builds(
    StoredEvent,
    position=st.integers(1, 2**62),
    stream=TEXTS.map(StreamId),
    version=st.integers(1, 2**62),
    event_id=st.uuids().map(EventId),
    event_type=TEXTS,
    schema_version=st.integers(1, 2**15 - 1),
    occurred_at=MOMENTS,
    recorded_at=MOMENTS,
    payload=st.binary(max_size=300),
    metadata=st.binary(max_size=60),
    prev_hash=HASHES,
    leaf_hash=HASHES,
)
RAW = STORED.map(raw_event)

IN_THE_DATABASE = """
    SELECT substr(log.link(NULL, $1::bytea, log.entry(
        $2::bigint, $3::text, $4::bigint, $5::uuid, $6::text, $7::smallint,
        $8::timestamptz, $9::timestamptz, $10::bytea, $11::bytea
    )), 33)
"""


def test_the_database_hashes_every_event_to_the_same_leaf(database: str) -> None:
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(database))

        @given(STORED)
        def equal(event: StoredEvent) -> None:
            theirs = runner.run(connection.fetchval(IN_THE_DATABASE, event.prev_hash, *event[:10]))
            assert theirs == leaf_of(raw_event(event))

        equal()
        runner.run(connection.close())


def test_one_event_written_out_by_hand() -> None:
    event = StoredEvent(
        position=2,
        stream=StreamId("bot-\u00e9"),
        version=1,
        event_id=EventId(UUID(int=7)),
        event_type="bot.started",
        schema_version=3,
        occurred_at=datetime(2000, 1, 1, 0, 0, 1, tzinfo=UTC),
        recorded_at=datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        payload=b"\x80",
        metadata=b"",
        prev_hash=FIRST_PREV_HASH,
        leaf_hash=bytes(32),
    )
    expected = bytes(32) + bytes.fromhex(
        "0000000a"
        "00000014 00000008 0000000000000002"
        "00000019 00000006 626f742dc3a9"
        "00000014 00000008 0000000000000001"
        "00000b86 00000010 00000000000000000000000000000007"
        "00000019 0000000b 626f742e73746172746564"
        "00000015 00000002 0003"
        "000004a0 00000008 00000000000f4240"
        "000004a0 00000008 ffffffffffffffff"
        "00000011 00000001 80"
        "00000011 00000000"
    )

    assert entry(raw_event(event)) == expected
    assert leaf_of(raw_event(event)) == hash_leaf(expected)


@given(RAW, RAW, st.sampled_from(RawEvent._fields[:-1]))
def test_an_event_that_differs_in_any_one_field_has_another_leaf(one: RawEvent, other: RawEvent, field: str) -> None:
    changed = one._replace(**{field: getattr(other, field)})
    assume(changed != one)

    assert leaf_of(changed) != leaf_of(one)


@given(RAW, HASHES)
def test_the_leaf_does_not_depend_on_what_the_log_says_it_is(event: RawEvent, claimed: bytes) -> None:
    assert leaf_of(event._replace(leaf_hash=claimed)) == leaf_of(event)


@given(MOMENTS)
def test_a_moment_is_found_again_from_its_count(at: datetime) -> None:
    assert moment(microseconds(at)) == at
