"""What the log keeps beside its events, changed by somebody with every right: the verifier says which, at no event."""

import asyncpg
import pytest

from tests.app.sealed_log import lived_log, sealed_log

pytestmark = pytest.mark.anyio


async def test_a_log_that_has_lost_its_name_does_not_verify(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    kept = await log.newest()
    await log.attack("DELETE FROM log.identity")

    assert (await log.verify(anchors=[kept])).problems == (
        (None, "log.identity is empty: nothing tells which log this is"),
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "DELETE FROM log.partitions",
            ["log.partitions does not name the partition from (1) to (50331649) that log.events has"],
        ),
        (
            "UPDATE log.partitions SET last_position = 49",
            [
                "log.partitions names a partition from (1) to (50) that log.events does not have",
                "log.partitions does not name the partition from (1) to (50331649) that log.events has",
            ],
        ),
    ],
)
async def test_partitions_that_are_not_named_as_they_are_are_told(
    pool: asyncpg.Pool, change: str, said: list[str]
) -> None:
    log = await lived_log(pool)
    await log.attack(change)

    assert (await log.verify()).problems == tuple((None, what) for what in said)


async def test_a_checkpoint_of_another_log_is_said_to_be_one(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    report = await log.verify(anchors=[(await log.newest())._replace(origin="oxbot/another")])

    assert "the trusted checkpoint is of oxbot/another" in report.problems[0].what


async def test_a_damaged_inner_node_is_told_apart_from_damaged_events(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1", 600)
    await log.sealer().seal()
    await log.attack("UPDATE log.subtrees SET hash = sha256(hash) WHERE index = 1")
    report = await log.verify()

    assert report.problems == ((512, "node 1 of level 1 in log.subtrees is wrong"),)
    assert report.nodes_missing == 0


async def test_inner_nodes_that_are_gone_are_counted_and_are_no_problem(pool: asyncpg.Pool) -> None:
    """The table is a cache, but without it nothing can be proven."""
    log = await sealed_log(pool)
    await log.append("bot-1", 1300)
    await log.sealer().seal()
    await log.append("bot-1", 300)
    await log.attack("DELETE FROM log.subtrees WHERE index IN (1, 2, 4)")
    some = await log.verify()
    await log.attack("DELETE FROM log.subtrees")
    none = await log.verify()

    assert (some.problems, some.nodes_missing) == ((), 3)
    assert (none.problems, none.nodes_missing) == ((), 5)


async def test_a_damaged_inner_node_is_found_beside_missing_ones_and_not_where_its_events_are_damaged(
    pool: asyncpg.Pool,
) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1", 1100)
    await log.sealer().seal()
    await log.attack(
        "DELETE FROM log.subtrees WHERE index = 1",
        "UPDATE log.subtrees SET hash = sha256(hash) WHERE index IN (0, 2)",
        "UPDATE log.events SET metadata = '\\x81' WHERE position = 4",
    )
    report = await log.verify()

    assert [problem.position for problem in report.problems] == [4, 768, 1101]
    assert report.problems[1].what == "node 2 of level 1 in log.subtrees is wrong"
    assert report.nodes_missing == 1
