"""Whatever somebody with every right does to the database, the verifier says so, and where (V1, V2, V3, A14)."""

from datetime import UTC, datetime

import asyncpg
import pytest

from events.checkpoint import Checkpoint, SignerKey, sign_checkpoint
from events.codec import Codec
from events.envelope import NewEvent
from events.identifiers import StreamId, new_event_id
from events.log import ANY_VERSION
from events.merkle import root_of
from events.system import StreamEnded
from oxbot.app.checkpoints import checkpoint_fact
from tests.app.sealed_log import SealedLog, lived_log, sealed_log

pytestmark = pytest.mark.anyio

HEAD = 17
SEALED = 14


async def test_an_untouched_log_verifies_and_is_counted(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    report = await log.verify(anchors=[await log.newest()])

    assert report.problems == ()
    assert (report.first, report.last, report.events, report.streams) == (1, HEAD, HEAD, 4)
    assert (report.checkpoints, report.signed, report.anchored) == (3, SEALED, SEALED)
    assert report.signatures_checked
    assert report.root == root_of([row.leaf_hash for row in await log.rows()]).hex()


async def test_an_empty_log_verifies(pool: asyncpg.Pool) -> None:
    report = await (await sealed_log(pool)).verify()

    assert (report.problems, report.events) == ((), 0)


@pytest.mark.parametrize(
    "change",
    [
        "payload = set_byte(payload, 12, get_byte(payload, 12) # 1)",
        "payload = payload || '\\x00'",
        "metadata = '\\x81'",
        "event_type = 'bot.started'",
        "schema_version = 2",
        "occurred_at = occurred_at + interval '1 microsecond'",
        "recorded_at = recorded_at - interval '1 microsecond'",
        "event_id = gen_random_uuid()",
        "leaf_hash = sha256(leaf_hash)",
        "leaf_hash = ''",
    ],
)
async def test_a_change_of_one_field_is_found_at_its_event(pool: asyncpg.Pool, change: str) -> None:
    log = await lived_log(pool)
    await log.attack(f"UPDATE log.events SET {change} WHERE position = 4")
    report = await log.verify()

    assert report.problems[0].position == 4
    assert "content does not have the hash" in report.problems[0].what


async def test_one_change_is_told_once_and_not_by_every_later_checkpoint(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    await log.attack("UPDATE log.events SET metadata = '\\x81' WHERE position = 4")
    problems = (await log.verify()).problems

    assert [position for position, _ in problems] == [4, 6]
    assert problems[1].what.endswith("the 5 events that it covers, and 2 later checkpoints do not match either")


@pytest.mark.parametrize("column", ["payload", "metadata", "prev_hash", "leaf_hash"])
async def test_a_field_that_is_gone_is_found_at_its_event(pool: asyncpg.Pool, column: str) -> None:
    log = await lived_log(pool)
    await log.attack(
        f"ALTER TABLE log.events ALTER COLUMN {column} DROP NOT NULL",
        f"UPDATE log.events SET {column} = NULL WHERE position = 4",
    )

    assert (await log.verify()).problems[0].position == 4


async def test_a_change_with_the_hash_of_that_event_remade_breaks_the_chain_behind_it(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    before = await log.rows()
    await log.attack("UPDATE log.events SET metadata = '\\x81' WHERE position = 4")
    await log.remake_hashes()
    for row in before[4:]:
        await log.attack(
            f"UPDATE log.events SET prev_hash = '\\x{row.prev_hash.hex()}', leaf_hash = '\\x{row.leaf_hash.hex()}' "
            f"WHERE position = {row.position}"
        )
    report = await log.verify()

    assert [problem.position for problem in report.problems[:2]] == [6, 10]
    assert "does not match the 5 events" in report.problems[0].what
    assert "not chained to version 2" in report.problems[1].what


async def test_a_deleted_event_is_missed_at_its_position(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    await log.attack("DELETE FROM log.events WHERE position = 7")
    report = await log.verify()

    assert report.problems[0] == (7, "there is no event at this position")


async def test_deleted_neighbours_are_missed_together(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    await log.attack("DELETE FROM log.events WHERE position BETWEEN 2 AND 4")

    assert (await log.verify()).problems[0] == (2, "there are no events at positions 2 to 4")


async def test_the_last_event_deleted_alone_contradicts_its_streams_head(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    await log.attack("DELETE FROM log.events WHERE position = 17")
    report = await log.verify()

    what = "log.streams has version 5 of stream bot-2 at position 17, but the log ends at 16: its end was cut off"
    assert report.problems == ((17, what),)


async def test_a_tail_cut_off_the_events_alone_is_missed_where_it_began(pool: asyncpg.Pool) -> None:
    """Some streams end far before the cut, others begin behind it."""
    log = await lived_log(pool)
    await log.attack("DELETE FROM log.events WHERE position > 5")
    report = await log.verify()

    what = "log.streams has version 5 of stream bot-2 at position 17 and the ends of 3 more streams behind its own"
    assert report.problems == ((6, f"{what}, but the log ends at 5: its end was cut off"),)


async def test_the_last_event_of_a_stream_deleted_from_the_middle_is_missed_at_its_position(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    await log.attack("DELETE FROM log.events WHERE position = 13")
    problems = (await log.verify()).problems

    assert problems[0] == (13, "there is no event at this position")
    assert [position for position, _ in problems] == [13, 13, 13, 15]


async def cut(log: SealedLog, last: int) -> None:
    """Cut off the tail and leave no other trace of it."""
    await log.attack(
        f"DELETE FROM log.events WHERE position > {last}",
        f"DELETE FROM log.event_ids WHERE position > {last}",
        "DELETE FROM log.streams AS s WHERE NOT EXISTS (SELECT FROM log.events AS e WHERE e.stream_no = s.stream_no)",
    )
    await log.remake_hashes()


async def test_a_tail_cut_without_a_trace_is_missed_by_a_checkpoint_kept_outside(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    kept = await log.newest()
    await cut(log, 9)

    assert (await log.verify()).problems == ()
    report = await log.verify(anchors=[kept])
    assert report.problems[0].position == 10
    assert "a trusted checkpoint covers 14 events, but the log ends at 9" in report.problems[0].what


async def test_a_removed_stream_is_missed(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    await log.attack(
        "DELETE FROM log.event_ids WHERE position BETWEEN 7 AND 9 OR position = 14",
        "DELETE FROM log.events USING log.streams AS s WHERE events.stream_no = s.stream_no AND s.stream_id = 'bot-3'",
        "DELETE FROM log.streams WHERE stream_id = 'bot-3'",
    )

    assert (await log.verify()).problems[0] == (7, "there are no events at positions 7 to 9")


async def test_a_removed_stream_whose_gap_was_closed_and_rehashed_fits_no_checkpoint(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    kept = await log.newest()
    await log.attack(
        "DELETE FROM log.events USING log.streams AS s WHERE events.stream_no = s.stream_no AND s.stream_id = 'bot-2'",
        "DELETE FROM log.streams WHERE stream_id = 'bot-2'",
        "CREATE TEMPORARY TABLE kept AS SELECT e.*, row_number() OVER (ORDER BY e.position) AS n FROM log.events AS e",
        "DELETE FROM log.events",
        "INSERT INTO log.events SELECT n, stream_no, version, event_id, event_type, schema_version, occurred_at,"
        " recorded_at, prev_hash, leaf_hash, payload, metadata FROM kept",
        "DELETE FROM log.event_ids",
        "INSERT INTO log.event_ids SELECT event_id, position FROM log.events",
    )
    await log.remake_hashes()
    report = await log.verify(anchors=[kept])

    assert report.problems[0].position == 4
    assert "the checkpoint in it is of 5 events" in report.problems[0].what
    assert any("a trusted checkpoint covers 14 events" in problem.what for problem in report.problems)


async def test_two_swapped_events_are_found_at_the_first(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    await log.attack(
        "CREATE TEMPORARY TABLE swapped AS SELECT * FROM log.events WHERE position IN (7, 10)",
        "DELETE FROM log.events WHERE position IN (7, 10)",
        "INSERT INTO log.events SELECT 17 - position, stream_no, version, event_id, event_type, schema_version,"
        " occurred_at, recorded_at, prev_hash, leaf_hash, payload, metadata FROM swapped",
    )
    report = await log.verify()

    assert report.problems[0].position == 7
    assert {7, 10} <= {problem.position for problem in report.problems}


async def test_an_event_moved_to_another_stream_is_found(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    await log.attack(
        "UPDATE log.events SET stream_no = (SELECT stream_no FROM log.streams WHERE stream_id = 'bot-3'), version = 9"
        " WHERE position = 4"
    )

    assert (await log.verify()).problems[0].position == 4


async def test_a_stream_that_skips_a_version_is_found_however_well_it_is_chained(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1", 2)
    await log.append("bot-2")
    await log.attack("UPDATE log.events SET version = 3 WHERE position = 2")
    await log.remake_hashes()

    assert (await log.verify()).problems == (
        (2, "bot.paused of stream bot-1: it is version 3 of its stream, after version 1"),
    )


async def test_a_stream_that_begins_late_is_found(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1")
    await log.attack("UPDATE log.events SET version = 2 WHERE position = 1")
    await log.remake_hashes()

    assert (await log.verify()).problems == (
        (1, "bot.paused of stream bot-1: it is version 2 of its stream, which begins with it"),
    )


async def test_a_forged_event_behind_the_last_one_is_found(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    await log.attack(
        "INSERT INTO log.events SELECT 18, stream_no, version + 1, gen_random_uuid(), event_type, schema_version,"
        " occurred_at, recorded_at, leaf_hash, leaf_hash, payload, metadata FROM log.events WHERE position = 17"
    )

    assert (await log.verify()).problems[0].position == 18


async def test_a_forged_event_far_beyond_the_end_does_not_keep_the_verifier_busy(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    await log.attack(
        "UPDATE log.partitions SET last_position = 49999999",
        "INSERT INTO log.events SELECT 49999999, stream_no, version + 1, gen_random_uuid(), event_type, schema_version,"
        " occurred_at, recorded_at, leaf_hash, leaf_hash, payload, metadata FROM log.events WHERE position = 17",
    )

    assert (await log.verify()).problems[0].position == 18


async def test_everything_rewritten_and_rehashed_fits_no_recorded_checkpoint(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    await log.attack("UPDATE log.events SET metadata = '\\x80' || metadata WHERE position = 4")
    await log.remake_hashes()
    report = await log.verify()

    assert report.problems[0].position == 6
    assert "does not match the 5 events" in report.problems[0].what


async def resign(log: SealedLog, key: SignerKey) -> None:
    """Replace every recorded checkpoint by one of the events as they are, signed with this key."""
    for recorded in await log.recorded():
        leaves = [row.leaf_hash for row in await log.rows()]
        checkpoint = Checkpoint(key.verifier.name, recorded.size, root_of(leaves[: recorded.size]))
        fact = checkpoint_fact(checkpoint, sign_checkpoint(checkpoint, key))
        payload = Codec().encode(fact)[2]
        await log.attack(f"UPDATE log.events SET payload = '\\x{payload.hex()}' WHERE position = {recorded.position}")
        await log.remake_hashes()


async def test_everything_rewritten_and_signed_by_another_key_is_not_signed_by_a_trusted_one(
    pool: asyncpg.Pool,
) -> None:
    log = await lived_log(pool)
    await log.attack("UPDATE log.events SET metadata = '\\x80' || metadata WHERE position = 4")
    await log.remake_hashes()
    await resign(log, SignerKey(log.key.verifier.name, bytes(32)))
    report = await log.verify()

    assert report.problems[0].position == 6
    assert "no trusted key" in report.problems[0].what
    assert (await log.verify(keyless=True)).problems == ()


async def test_everything_rewritten_and_signed_by_the_very_key_contradicts_what_was_kept_outside(
    pool: asyncpg.Pool,
) -> None:
    log = await lived_log(pool)
    kept = [Checkpoint(log.key.verifier.name, one.size, one.root) for one in await log.recorded()]
    await log.attack("UPDATE log.events SET metadata = '\\x80' || metadata WHERE position = 8")
    await log.remake_hashes()
    await resign(log, log.key)

    assert (await log.verify()).problems == ()
    report = await log.verify(anchors=kept)
    assert report.problems[0] == (
        6,
        "the events at positions 6 to 10 are not those that a trusted checkpoint covers",
    )
    assert report.anchored == 5


async def test_an_edited_checkpoint_is_found_where_it_is_recorded(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    [_, second, _] = await log.recorded()
    other = checkpoint_fact(Checkpoint(log.key.verifier.name, second.size, bytes(32)), second.fact.note)
    payload = Codec().encode(other)[2]
    await log.attack(f"UPDATE log.events SET payload = '\\x{payload.hex()}' WHERE position = {second.position}")
    await log.remake_hashes()
    report = await log.verify()

    assert report.problems[0].position == second.position
    assert "its note says something else" in report.problems[0].what


async def test_a_checkpoint_recorded_twice_is_found(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    [first, second, _] = await log.recorded()
    await log.attack(
        f"UPDATE log.events SET payload = (SELECT payload FROM log.events WHERE position = {first.position})"
        f" WHERE position = {second.position}"
    )
    await log.remake_hashes()

    assert any("after one of 5" in problem.what for problem in (await log.verify()).problems)


@pytest.mark.parametrize(
    ("change", "position"),
    [
        ("UPDATE log.streams SET version = 7 WHERE stream_id = 'bot-1'", 13),
        ("UPDATE log.streams SET last_position = 5 WHERE stream_id = 'bot-1'", 13),
        ("UPDATE log.streams SET last_hash = sha256(last_hash) WHERE stream_id = 'bot-1'", 13),
        ("UPDATE log.streams SET ended_at = now() WHERE stream_id = 'bot-1'", 13),
        ("DELETE FROM log.streams WHERE stream_id = 'bot-1'", 1),
        ("UPDATE log.streams SET stream_id = 'bot-9' WHERE stream_id = 'bot-1'", 1),
        ("INSERT INTO log.streams (stream_id, version, last_position, last_hash) VALUES ('bot-9', 1, 3, '')", 3),
    ],
)
async def test_what_the_log_says_of_its_streams_must_be_true(pool: asyncpg.Pool, change: str, position: int) -> None:
    log = await lived_log(pool)
    await log.attack(change)

    assert (await log.verify()).problems[0].position == position


async def test_a_stream_that_was_opened_again_after_its_end_is_found(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    end = NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=StreamEnded())
    ended = await log.log.append(StreamId("bot-1"), [end], expected=ANY_VERSION)
    assert (await log.verify()).problems == ()
    await log.attack("UPDATE log.streams SET ended_at = NULL WHERE stream_id = 'bot-1'")
    assert (await log.verify()).problems[0].position == ended.position
    await log.append("bot-1")

    assert [problem.position for problem in (await log.verify()).problems] == [ended.position + 1]


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM log.event_ids WHERE position = 4",
        "UPDATE log.event_ids SET event_id = gen_random_uuid() WHERE position = 4",
        "INSERT INTO log.event_ids VALUES (gen_random_uuid(), 4)",
    ],
)
async def test_the_table_of_event_ids_must_agree_with_the_events(pool: asyncpg.Pool, change: str) -> None:
    log = await lived_log(pool)
    await log.attack(change)

    assert (await log.verify()).problems == ((4, "log.event_ids has another id for this position"),)


async def test_a_clock_that_was_set_back_is_counted_and_is_no_problem(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1", 3)
    await log.append("bot-1", 3)
    await log.attack("UPDATE log.events SET recorded_at = recorded_at - interval '1 hour' WHERE position > 3")
    await log.remake_hashes()
    await log.append("bot-2")
    await log.sealer().seal()
    report = await log.verify()

    assert report.problems == ()
    assert report.clock_steps_back == 1


async def test_from_a_trusted_checkpoint_only_what_follows_is_read(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    [_, second, third] = await log.recorded()
    base = Checkpoint(log.key.verifier.name, second.size, second.root)
    report = await log.verify(base=base)

    assert report.problems == ()
    assert (report.first, report.last, report.events) == (11, HEAD, 7)
    assert (report.checkpoints, report.signed, report.anchored) == (2, third.size, second.size)


async def test_from_a_trusted_checkpoint_a_change_behind_it_is_found(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    base = await log.newest()
    await log.attack("UPDATE log.events SET metadata = '\\x81' WHERE position = 16")

    assert (await log.verify(base=base)).problems[0].position == 16


async def test_from_a_trusted_checkpoint_another_beginning_is_found_by_its_root(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    base = await log.newest()
    await log.attack("UPDATE log.events SET metadata = '\\x81' WHERE position = 4")
    await log.remake_hashes()
    report = await log.verify(base=base)

    assert report.problems[0] == (
        1,
        "the events at positions 1 to 14 are not those that a trusted checkpoint covers",
    )


async def test_from_a_trusted_checkpoint_an_older_one_is_held_against_it(pool: asyncpg.Pool) -> None:
    """Two histories signed by one key: each checkpoint alone looks right."""
    log = await lived_log(pool)
    [first, second, _] = await log.recorded()
    name = log.key.verifier.name
    base = Checkpoint(name, second.size, second.root)

    assert (await log.verify(base=base, anchors=[Checkpoint(name, first.size, first.root)])).problems == ()
    assert (await log.verify(base=base, anchors=[Checkpoint(name, first.size, bytes(32))])).problems == (
        (
            1,
            "the checkpoint of 10 events does not extend a trusted one of 5: one of them is of other events",
        ),
    )
