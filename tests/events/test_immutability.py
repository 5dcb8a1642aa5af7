"""What was recorded stays as it is, whoever asks: every role tries to change the log, and every partition refuses."""

from datetime import UTC, datetime

import asyncpg
import pytest

from events.bot import BotPaused, BotStarted
from events.codec import Codec
from events.envelope import Fact, NewEvent
from events.identifiers import StreamId, new_event_id
from events.log import ANY_VERSION, NO_STREAM
from events.postgres import PostgresEventLog
from oxbot.adapters.database import login_as, open_pool

pytestmark = pytest.mark.anyio

ROLES = (
    "oxbot_owner",
    "oxbot_writer",
    "oxbot_reader",
    "oxbot_host",
    "oxbot_market",
    "oxbot_projector",
    "oxbot_api",
    "oxbot_sealer",
    "oxbot_archiver",
    "oxbot_execution",
    "oxbot_notifier",
    "oxbot_models",
    "oxbot_operator",
)
TABLES = ("events", "events_p1", "streams", "event_ids", "identity", "archives")

CHANGES = (
    "UPDATE log.{} SET {} = {}",
    "DELETE FROM log.{}",
    "TRUNCATE log.{}",
    "DROP TABLE log.{}",
    "ALTER TABLE log.{} DISABLE TRIGGER ALL",
)
COLUMNS = ("payload", "payload", "version", "position", "log_id", "last_position")

ATTACKS = [
    *(
        change.format(table, column, column)
        for change in CHANGES
        for table, column in zip(TABLES, COLUMNS, strict=True)
    ),
    "INSERT INTO log.events SELECT * FROM log.events ON CONFLICT (position) DO UPDATE SET payload = ''",
    "INSERT INTO log.events_p1 SELECT * FROM log.events ON CONFLICT (position) DO UPDATE SET payload = ''",
    "INSERT INTO log.event_ids SELECT * FROM log.event_ids ON CONFLICT (event_id) DO UPDATE SET position = 7",
    "ALTER TABLE log.events DETACH PARTITION log.events_p1",
    "ALTER TABLE log.events DROP COLUMN leaf_hash",
    "DROP TRIGGER events_are_immutable ON log.events_p1",
    "DROP FUNCTION log.refuse_change() CASCADE",
    "CREATE OR REPLACE FUNCTION log.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE OR REPLACE FUNCTION log.partition_size() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 7::bigint'",
    "DROP SCHEMA log CASCADE",
    "SET session_replication_role = replica",
    "CREATE RULE forget AS ON INSERT TO log.events_p1 DO INSTEAD NOTHING",
    "CREATE TRIGGER forget BEFORE INSERT ON log.events_p1 FOR EACH ROW EXECUTE FUNCTION log.refuse_change()",
    "CREATE POLICY hide ON log.events",
    *(
        f"DO $$ BEGIN EXECUTE '{statement} /* {claim} */'; END $$"
        for statement in ("ALTER TABLE log.events DISABLE TRIGGER ALL", "UPDATE log.streams SET version = 99")
        for claim in (
            "function log.add_partitions(",
            "log.append(text[]",
            "\nPL/pgSQL function log.append(text[]) line 1 at SQL statement",
        )
    ),
    "DROP EVENT TRIGGER oxbot_log_changed",
]


@pytest.fixture
async def log(pool: asyncpg.Pool) -> PostgresEventLog:
    """A log that holds two events of one stream."""
    log = PostgresEventLog(pool, Codec())
    facts: list[Fact] = [BotStarted(), BotPaused(reason="a reason")]
    events = [NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=fact) for fact in facts]
    await log.append(StreamId("bot-1"), events, expected=NO_STREAM)
    return log


async def _content(pool: asyncpg.Pool) -> list[asyncpg.Record]:
    return [
        *await pool.fetch("SELECT * FROM log.events ORDER BY position"),
        *await pool.fetch("SELECT * FROM log.streams ORDER BY stream_no"),
        *await pool.fetch("SELECT * FROM log.event_ids ORDER BY position"),
        *await pool.fetch("SELECT log_id FROM log.identity"),
    ]


async def _is_refused(connection: asyncpg.pool.PoolConnectionProxy, attack: str) -> bool:
    try:
        await connection.execute(attack)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.RestrictViolationError):
        return True
    return False


@pytest.mark.parametrize("role", ROLES)
async def test_no_role_can_change_what_was_recorded(role: str, log: PostgresEventLog, pool: asyncpg.Pool) -> None:
    """V4: UPDATE, DELETE, TRUNCATE, DROP, DISABLE TRIGGER, ON CONFLICT UPDATE, on the parent and on the partition."""
    before = await _content(pool)
    async with pool.acquire() as connection:
        await connection.execute(f"SET SESSION AUTHORIZATION {role}")
        passed = [attack for attack in ATTACKS if not await _is_refused(connection, attack)]
        await connection.execute("RESET SESSION AUTHORIZATION")
    assert passed == []
    assert await _content(pool) == before
    assert len(await log.read_all()) == 2


async def test_the_owner_can_give_no_rights_away(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await connection.execute("SET SESSION AUTHORIZATION oxbot_owner")
        with pytest.raises(asyncpg.RestrictViolationError, match="GRANT refused"):
            await connection.execute("GRANT INSERT ON log.events TO oxbot_writer")
        await connection.execute("RESET SESSION AUTHORIZATION")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("attack", ["DELETE FROM log.{}", "TRUNCATE log.{} CASCADE"])
async def test_the_triggers_stop_even_a_superuser_in_replica_mode(
    table: str, attack: str, log: PostgresEventLog, pool: asyncpg.Pool
) -> None:
    async with pool.acquire() as connection:
        await connection.execute("SET session_replication_role = replica")
        with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
            await connection.execute(attack.format(table))
        await connection.execute("RESET session_replication_role")
    assert len(await log.read_all()) == 2


@pytest.mark.parametrize("role", [role for role in ROLES if role != "oxbot_owner"])
async def test_no_role_can_insert_past_the_append(role: str, log: PostgresEventLog, pool: asyncpg.Pool) -> None:
    attacks = [
        "INSERT INTO log.streams (stream_id, version, last_position, last_hash) VALUES ('forged', 1, 1, '')",
        "INSERT INTO log.events SELECT * FROM log.events",
        "INSERT INTO log.event_ids VALUES (gen_random_uuid(), 3)",
        "SELECT log.add_partitions(1000000000)",
        "CREATE TABLE log.mine (n int)",
    ]
    async with pool.acquire() as connection:
        await connection.execute(f"SET SESSION AUTHORIZATION {role}")
        for attack in attacks:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(attack)
        await connection.execute("RESET SESSION AUTHORIZATION")
    assert len(await log.read_all()) == 2


async def test_the_writer_may_append_and_not_even_read(pool: asyncpg.Pool, log: PostgresEventLog) -> None:
    async with pool.acquire() as connection:
        await connection.execute("SET SESSION AUTHORIZATION oxbot_writer")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM log.events")
        row = await connection.fetchrow(
            "SELECT * FROM log.append(ARRAY['bot-1'], ARRAY[2], ARRAY[1], ARRAY[1], ARRAY[gen_random_uuid()],"
            " ARRAY['bot.started'], ARRAY[1::smallint], ARRAY[now()], ARRAY['\\x80'::bytea], ARRAY['\\x80'::bytea])"
        )
        await connection.execute("RESET SESSION AUTHORIZATION")
    assert row is not None
    assert (row["outcome"], row["at_version"], row["at_position"]) == ("ok", 3, 3)
    assert await log.head() == 3


ONE, TWO, THREE = ["new-1"], ["new-1", "bot-1"], ["new-1", "bot-1", "new-2"]
"""Streams of a raw append: of them only `bot-1` is there, at version 2."""

Numbers = list[int | None]
DISORDER: dict[str, tuple[list[str], Numbers, Numbers]] = {
    "in turns": (TWO, [2, 2], [1, 2, 1, 2]),
    "backwards": (TWO, [1, 1], [2, 1]),
    "between those of another": (TWO, [1, 3], [1, 2, 1, 2]),
    "between, of none that there is": (ONE, [3], [1, 7, 1]),
    "between, of nobody": (ONE, [3], [1, None, 1]),
    "of none that there is": (ONE, [1], [2]),
    "a zero count": (THREE, [1, 0, 1], [1, 3]),
    "a zero count at the end": (TWO, [1, 0], [1]),
    "nothing but a zero count": (ONE, [0], []),
    "no command": ([], [], []),
    "a count below zero": (THREE, [2, -1, 1], [1, 3]),
    "a count that is none": (THREE, [1, None, 1], [1, 3]),
    "fewer counts than streams": (TWO, [1], [1]),
    "more counts than streams": (ONE, [1, 1], [1, 2]),
    "counts of more than there is": (TWO, [1, 2], [1, 2]),
    "counts of less than there is": (TWO, [1, 1], [1, 2, 2]),
}


async def _append_raw(
    pool: asyncpg.Pool, streams: list[str], expected: list[int], counts: Numbers, commands: Numbers
) -> list[str]:
    """What the function answers to its writer, called by hand with new events."""
    size = len(commands)
    async with pool.acquire() as connection:
        await connection.execute("SET SESSION AUTHORIZATION oxbot_writer")
        try:
            rows = await connection.fetch(
                "SELECT outcome FROM log.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                *(streams, expected, counts, commands, [new_event_id() for _ in commands], ["bot.started"] * size),
                *([1] * size, [datetime.now(UTC)] * size, [b"\x80"] * size, [b"\x80"] * size),
            )
        finally:
            await connection.execute("RESET SESSION AUTHORIZATION")
    return [row["outcome"] for row in rows]


@pytest.mark.parametrize("known", [ANY_VERSION, 2, 9], ids=["any version", "the version of one", "no version"])
@pytest.mark.parametrize("disorder", DISORDER)
async def test_events_that_do_not_follow_their_commands_in_order_are_refused_whole(
    disorder: str, known: int, log: PostgresEventLog, pool: asyncpg.Pool
) -> None:
    """Whether all, some or none of the commands would be accepted by their versions."""
    streams, counts, commands = DISORDER[disorder]
    before = await _content(pool)
    with pytest.raises(asyncpg.InvalidParameterValueError, match="commands that its events do not follow in order"):
        await _append_raw(pool, streams, [known] * len(streams), counts, commands)
    assert await _content(pool) == before
    assert await log.head() == 2


async def test_events_that_follow_their_commands_in_order_are_stored(log: PostgresEventLog, pool: asyncpg.Pool) -> None:
    assert await _append_raw(pool, THREE, [0, 2, -1], [2, 1, 3], [1, 1, 2, 3, 3, 3]) == ["ok"] * 3
    assert await _append_raw(pool, THREE, [2, 2, -1], [2, 1, 3], [1, 1, 2, 3, 3, 3]) == ["ok", "conflict", "ok"]
    assert [(event.stream, event.version) for event in await log.read_all(after_position=2)] == [
        *(("new-1", version) for version in (1, 2)),
        ("bot-1", 3),
        *(("new-2", version) for version in (1, 2, 3)),
        *(("new-1", version) for version in (3, 4)),
        *(("new-2", version) for version in (4, 5, 6)),
    ]


async def test_a_process_that_logs_in_as_its_role_appends_reads_and_stays_what_it_is(database: str) -> None:
    async with await open_pool(login_as(database, "oxbot_host"), size=2, application_name="host") as pool:
        log = PostgresEventLog(pool, Codec())
        event = NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=BotStarted())
        assert (await log.append(StreamId("bot-1"), [event], expected=NO_STREAM)).position == 1
        assert [found.fact for found in await log.read_all()] == [BotStarted()]
        for escape in ("SET ROLE oxbot_owner", "SET SESSION AUTHORIZATION postgres", "SET ROLE oxbot_projector"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await pool.execute(escape)


async def test_a_pool_steps_down_to_its_role(database: str) -> None:
    async with await open_pool(database, size=1, application_name="market", role="oxbot_market") as pool:
        assert await pool.fetchval("SELECT current_user") == "oxbot_market"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute("DELETE FROM log.events")


async def test_every_partition_carries_the_trigger_and_no_grant(pool: asyncpg.Pool) -> None:
    """V5: also the partitions that appends have made."""
    await pool.execute(
        "CREATE OR REPLACE FUNCTION log.partition_size() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 10::bigint'"
    )
    await pool.execute("SELECT log.add_partitions(50331693)")
    partitions = await pool.fetch(
        "SELECT c.oid, c.relname, c.relacl, c.relowner::regrole::text AS owner FROM pg_inherits AS i"
        " JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'log.events'::regclass"
    )
    assert len(partitions) == 6
    for partition in partitions:
        triggers = await pool.fetch(
            "SELECT tgname, tgenabled, tgtype FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal", partition["oid"]
        )
        assert [(row["tgname"], row["tgenabled"]) for row in triggers] == [("events_are_immutable", b"A")]
        assert partition["owner"] == "oxbot_owner"
        assert partition["relacl"] is None
