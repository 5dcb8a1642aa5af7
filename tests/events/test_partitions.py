"""A log of many partitions is one log: positions, ids, versions and chains go on from one into the next."""

from datetime import UTC, datetime
from itertools import pairwise

import asyncpg
import pytest

from events.codec import Codec
from events.encoded import StoredEvent
from events.entry import FIRST_PREV_HASH, leaf_of, raw_event
from events.envelope import NewEvent
from events.errors import EventIdReused, StreamClosed, WrongExpectedVersion
from events.identifiers import StreamId
from events.log import ANY_VERSION, NO_STREAM, Appended
from events.postgres import PostgresEventLog
from events.system import StreamEnded
from oxbot.adapters.migrations import CREATE, RECORD, all_migrations, migrate
from tests.partitions import SIZE, fill, pauses, shrink_partitions, stored_events

pytestmark = pytest.mark.anyio

BOT = StreamId("bot-1")
OTHER = StreamId("bot-2")

APPEND_BEFORE = """
SELECT outcome FROM log.append(
    ARRAY[$1::text], ARRAY[-1::bigint], ARRAY[3], ARRAY[1, 1, 1],
    ARRAY[gen_random_uuid(), gen_random_uuid(), gen_random_uuid()],
    ARRAY['bot.paused', 'bot.paused', 'bot.paused'], ARRAY[1, 1, 1]::smallint[],
    ARRAY[now(), now(), '2024-02-29 12:00:00.000001+00'], ARRAY['\\x81a6726561736f6ea178', '\\x80', '\\x00ff']::bytea[],
    ARRAY['\\x80', '\\x80', '']::bytea[]
)
"""


@pytest.fixture
async def log(pool: asyncpg.Pool) -> PostgresEventLog:
    """An empty log of partitions of a hundred positions."""
    await shrink_partitions(pool)
    return PostgresEventLog(pool, Codec())


def assert_chained(events: list[StoredEvent]) -> None:
    """Every leaf hash is what the event's fields lead to, and every stream is one chain from its first event on."""
    heads: dict[StreamId, tuple[int, bytes]] = {}
    for event in events:
        version, before = heads.get(event.stream, (0, FIRST_PREV_HASH))
        assert (event.version, event.prev_hash) == (version + 1, before)
        assert event.leaf_hash == leaf_of(raw_event(event))
        heads[event.stream] = event.version, event.leaf_hash


async def _partitions(pool: asyncpg.Pool) -> list[tuple[str, int, int]]:
    rows = await pool.fetch(
        "SELECT tableoid::regclass::text AS name, min(position), max(position) FROM log.events GROUP BY 1 ORDER BY 2"
    )
    return [(name, first, last) for name, first, last in rows]


async def test_events_lie_in_the_partition_of_their_position(log: PostgresEventLog, pool: asyncpg.Pool) -> None:
    await fill(log, 250)
    assert await _partitions(pool) == [
        ("log.events_p1", 1, 100),
        ("log.events_p101", 101, 200),
        ("log.events_p201", 201, 250),
    ]
    events = await stored_events(pool)
    assert [event.position for event in events] == list(range(1, 251))
    assert_chained(events)


@pytest.mark.parametrize("before", [0, 49, 50, 99, 100, 101])
async def test_one_append_may_span_several_partitions(log: PostgresEventLog, pool: asyncpg.Pool, before: int) -> None:
    await fill(log, before)
    sent = pauses(3 * SIZE)
    appended = await log.append(OTHER, sent, expected=ANY_VERSION)
    assert appended.position == before + 3 * SIZE
    found = await log.read_all(after_position=before)
    assert [event.event_id for event in found] == [event.event_id for event in sent]
    assert_chained(await stored_events(pool))


@pytest.mark.parametrize("count", [1, 99, 100, 101, 200])
async def test_the_next_position_always_has_its_partition(
    log: PostgresEventLog, pool: asyncpg.Pool, count: int
) -> None:
    await fill(log, count)
    assert await pool.fetchval("SELECT max(last_position) FROM log.partitions") > count


async def test_a_retry_gets_its_first_answer_from_an_older_partition(log: PostgresEventLog) -> None:
    sent = pauses(2)
    first = await log.append(BOT, sent, expected=NO_STREAM)
    await fill(log, 2 * SIZE, streams=1)
    assert await log.append(BOT, sent, expected=NO_STREAM) == Appended(first.version, first.position, duplicate=True)
    assert await log.head() == 2 * SIZE + 2


@pytest.mark.parametrize("stream", [BOT, OTHER])
async def test_an_id_of_an_older_partition_is_not_taken_twice(log: PostgresEventLog, stream: StreamId) -> None:
    [sent] = pauses(1)
    await log.append(BOT, [sent], expected=NO_STREAM)
    await fill(log, 2 * SIZE, streams=1)
    [other] = pauses(1, reason="another reason")
    again = NewEvent(event_id=sent.event_id, occurred_at=sent.occurred_at, fact=other.fact)
    with pytest.raises(EventIdReused):
        await log.append(stream, [again], expected=ANY_VERSION)
    assert await log.head() == 2 * SIZE + 1


async def test_a_version_of_an_older_partition_is_not_taken_twice(log: PostgresEventLog, pool: asyncpg.Pool) -> None:
    await log.append(OTHER, pauses(2), expected=NO_STREAM)
    await fill(log, 2 * SIZE, streams=1)
    for expected in (NO_STREAM, 1):
        with pytest.raises(WrongExpectedVersion) as caught:
            await log.append(OTHER, pauses(1), expected=expected)
        assert caught.value.actual == 2
    assert (await log.append(OTHER, pauses(1), expected=2)).version == 3
    assert_chained(await stored_events(pool))


async def test_no_statement_can_put_a_version_or_an_id_into_two_partitions(
    log: PostgresEventLog, pool: asyncpg.Pool
) -> None:
    """What log.append decides under its lock, no index over all partitions can; ids have a table of their own."""
    await fill(log, 2 * SIZE + 1)
    unique = await pool.fetch(
        "SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid"
        " WHERE i.indisunique AND i.indrelid::regclass::text LIKE 'log.events_p%' AND i.indnatts = 2"
    )
    assert sorted(row["relname"] for row in unique) == ["events_p1", "events_p101", "events_p201"]
    ids = await pool.fetch("SELECT event_id, position FROM log.event_ids ORDER BY position")
    assert [tuple(row) for row in ids] == [(event.event_id, event.position) for event in await stored_events(pool)]
    versions = await pool.fetch("SELECT stream_no, array_agg(version ORDER BY version) AS v FROM log.events GROUP BY 1")
    assert all(right == left + 1 for row in versions for left, right in pairwise(row["v"]))


async def test_a_stream_that_ended_in_an_older_partition_stays_closed(log: PostgresEventLog) -> None:
    end = NewEvent(event_id=pauses(1)[0].event_id, occurred_at=datetime.now(UTC), fact=StreamEnded(reason="over"))
    await log.append(OTHER, [end], expected=NO_STREAM)
    await fill(log, 2 * SIZE, streams=1)
    with pytest.raises(StreamClosed):
        await log.append(OTHER, pauses(1), expected=ANY_VERSION)


async def test_what_was_recorded_before_the_chains_is_chained_as_if_it_were_new(empty_database: str) -> None:
    connection = await asyncpg.connect(empty_database)
    await connection.execute(CREATE)
    first, *_ = all_migrations()
    await connection.execute(first.sql)
    await connection.execute(RECORD, first.number, first.name, first.sha256)
    for stream in ("bot-1", "bot-2", "bot-1", "Zürich \N{SNOWMAN}", "bot-2"):
        assert await connection.fetchval(APPEND_BEFORE, stream) == "ok"
    before = await connection.fetch("SELECT * FROM log.events ORDER BY position")
    await migrate(connection)
    async with asyncpg.create_pool(empty_database, min_size=1, max_size=1) as pool:
        log = PostgresEventLog(pool, Codec())
        for stream in (BOT, OTHER, StreamId("new")):
            await log.append(stream, pauses(2), expected=ANY_VERSION)
        events = await stored_events(pool)
        after = await pool.fetch("SELECT * FROM log.events ORDER BY position")
        heads = await pool.fetch("SELECT stream_id, version, last_hash FROM log.streams")
    await connection.close()
    columns = list(before[0].keys())
    assert [[row[column] for column in columns] for row in after[: len(before)]] == [list(row) for row in before]
    assert len(events) == len(before) + 6
    assert_chained(events)
    last = {event.stream: (event.version, event.leaf_hash) for event in events}
    assert {row["stream_id"]: (row["version"], row["last_hash"]) for row in heads} == last
