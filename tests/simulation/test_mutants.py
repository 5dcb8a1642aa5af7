"""A log that lacks one of its safeguards fails the judgement, after a run without any fault but that."""

import asyncio

import asyncpg
import pytest

from tests.simulation.faults import Server
from tests.simulation.fire import Fire, Outcome, Strike, make_log
from tests.simulation.history import History
from tests.simulation.ways import Ways

pytestmark = pytest.mark.anyio

WRITERS = ("direct",) * 12
SECONDS = 1.5

DEFINITION = """
SELECT pg_get_functiondef(p.oid) FROM pg_proc AS p
WHERE p.pronamespace = 'log'::regnamespace AND p.proname IN ('append', 'verdicts')
"""
LOCK = "PERFORM pg_advisory_xact_lock(6039475301852);"
BASE = "(SELECT e.position FROM log.events AS e ORDER BY e.position DESC LIMIT 1),"
EXPECTED = "(c.expected IN (-1, c.version) OR (c.expected = -2 AND c.stream_no IS NOT NULL))"
ENDED = "c.ended_at IS NULL"
DUPLICATE = "WHEN k.same THEN 'duplicate'"
CHAINED = "CASE WHEN commands[i] = commands[i - 1] THEN leaves[i - 1] ELSE heads[commands[i]] END"


async def burnt(database: str) -> Outcome:
    """What a short run comes to, in which nothing is killed."""

    async def wait(_: History) -> None:
        await asyncio.sleep(SECONDS)

    return await burnt_by(database, wait)


async def burnt_by(database: str, strike: Strike) -> Outcome:
    """What a run comes to in which this is done."""
    async with Ways(database) as ways:
        await ways.add_direct("direct", connections=8)
        return await Fire(database, ways, writers=WRITERS, seed=1, quiet_seconds=10).burn(strike)


async def weaken(database: str, cuts: dict[str, str]) -> None:
    """Put other text in the place of these pieces of ``log.append`` and its helper, as only a superuser can."""
    connection = await asyncpg.connect(database)
    definition = ";\n".join(row[0].rstrip() for row in await connection.fetch(DEFINITION))
    for piece, instead in cuts.items():
        assert definition.count(piece) == 1, piece
        definition = definition.replace(piece, instead)
    await connection.execute("CREATE SEQUENCE log.naive INCREMENT 10")
    await connection.execute("GRANT USAGE ON SEQUENCE log.naive TO oxbot_owner")
    await connection.execute(definition)
    await connection.close()


@pytest.mark.usefixtures("without_warnings")
async def test_the_log_as_it_is_passes(database: str) -> None:
    outcome = await burnt(database)
    assert outcome.violations == []
    assert outcome.counts["acked"] > 100


@pytest.mark.usefixtures("without_warnings")
@pytest.mark.parametrize(
    ("cuts", "kinds"),
    [
        pytest.param({LOCK: ""}, {"refusal"}, id="no lock: two appends take the same positions"),
        pytest.param(
            {LOCK: "", BASE: "nextval('log.naive'),"},
            {"missed"},
            id="no lock and a sequence: readers find holes",
        ),
        pytest.param(
            {EXPECTED: "true"},
            {"answer"},
            id="no comparison of versions: appends come onto what they did not expect",
        ),
        pytest.param({DUPLICATE: ""}, {"answer"}, id="no comparison of ids: a repeated append is refused"),
        pytest.param({ENDED: "true"}, {"answer"}, id="no end: something follows the last event"),
        pytest.param(
            {CHAINED: "heads[commands[i]]"},
            {"chain"},
            id="no chain: a cycle's facts do not follow each other",
        ),
    ],
)
async def test_a_log_without_one_of_its_safeguards_fails(database: str, cuts: dict[str, str], kinds: set[str]) -> None:
    """R1: the same judgement finds what is wrong with each of these."""
    await weaken(database, cuts)
    outcome = await burnt(database)
    assert kinds & {violation.partition(":")[0] for violation in outcome.violations}, outcome.line()


@pytest.mark.usefixtures("without_warnings")
@pytest.mark.parametrize("durable", [True, False])
async def test_what_is_answered_before_it_is_durable_is_lost_with_the_server(server: Server, *, durable: bool) -> None:
    """A11: a log that does not wait for the disk fails the judgement, where the log as it is passes."""
    await make_log(server.dsn)
    if not durable:
        await weaken(server.dsn, {LOCK: f"{LOCK} PERFORM set_config('synchronous_commit', 'off', true);"})

    async def kill_twice(_: History) -> None:
        for _number in range(2):
            await asyncio.sleep(SECONDS)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)

    outcome = await burnt_by(server.dsn, kill_twice)
    lost = [violation for violation in outcome.violations if violation.startswith("lost ack")]
    assert bool(lost) is not durable, outcome.line()
    assert durable is not bool(outcome.violations), outcome.violations[:20]
