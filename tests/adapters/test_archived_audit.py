"""The audit across the archive's edge: the same verdict, root and proofs as before anything left the database."""

from pathlib import Path

import asyncpg
import pytest

from events.archived import ArchiveMissing
from events.codec import Codec
from events.errors import BelowFloor
from events.postgres import PostgresEventLog
from oxbot.adapters.archive_reader import ArchiveReader
from oxbot.adapters.archived_audit import ArchivedAudit, ArchivedTree
from oxbot.adapters.postgres_audit import PostgresAuditedLog
from oxbot.adapters.postgres_partitions import PostgresPartitions
from oxbot.adapters.postgres_tree import PostgresTree
from oxbot.app.archive import DropRefused
from oxbot.app.audit_proof import check_inclusion
from oxbot.app.audit_verify import AuditReport, Verifier
from oxbot.app.tree import TreeUnusable
from oxbot.config import Secret, Settings
from oxbot.wiring.audit import open_audit, prover
from oxbot.wiring.sealer import open_sealer
from oxbot.wiring.stores import Database, open_stores
from tests.adapters.archives import archive_and_drop, archiver, begun, more
from tests.partitions import SIGNER, fill, stored_events

pytestmark = pytest.mark.anyio


async def _verify(pool: asyncpg.Pool, directory: Path) -> AuditReport:
    archive = ArchiveReader(directory, PostgresPartitions(pool, Codec()))
    log = ArchivedAudit(PostgresAuditedLog(pool, Codec()), archive, Codec())
    return await Verifier(log, ArchivedTree(PostgresTree(pool), archive), Codec(), keys=()).verify()


@pytest.fixture
async def log(pool: asyncpg.Pool) -> None:
    """Some hundred events, with a checkpoint here and there."""
    log = await begun(pool, 60)
    await more(log, pool, 60)
    await more(log, pool, 120)


async def _root(pool: asyncpg.Pool, directory: Path) -> tuple[str, list[tuple[int | None, str]], int, int, int]:
    report = await _verify(pool, directory)
    problems = [(problem.position, problem.what) for problem in report.problems]
    return report.root, problems, report.first, report.events, report.checkpoints


@pytest.mark.usefixtures("log")
async def test_the_verdict_is_the_same_and_begins_at_the_first_event(pool: asyncpg.Pool, tmp_path: Path) -> None:
    """V11: the facts of the two drops are the only news."""
    before = await _root(pool, tmp_path)
    events = len(await stored_events(pool))
    assert before[1:] == ([], 1, events, 3)
    await archive_and_drop(pool, tmp_path)
    after = await _root(pool, tmp_path)
    assert after[1:] == ([], 1, events + 2, 3)
    assert after[0] == (await _root(pool, tmp_path))[0] != before[0]


def _flip(directory: Path, file: str) -> None:
    """Change one bit of a file of the archive."""
    directory.chmod(0o700)
    path = directory / file
    path.chmod(0o600)
    content = path.read_bytes()
    path.write_bytes(content[:60] + bytes([content[60] ^ 1]) + content[61:])


@pytest.mark.usefixtures("log")
async def test_what_is_changed_in_the_archive_is_found_by_position_and_the_rest_is_verified(
    pool: asyncpg.Pool, tmp_path: Path
) -> None:
    await archive_and_drop(pool, tmp_path)
    for first in (101, 117, 165):
        _flip(tmp_path / "000000000000101-000000000000200", f"events-{first:015}.ndjson.gz")
    report = await _verify(pool, tmp_path)
    damaged, others = report.problems[:3], report.problems[3:]

    assert [position for position, _ in damaged] == [101, 117, 165]
    for (position, what), last in zip(damaged, (116, 132, 180), strict=True):
        assert what.startswith(f"positions {position} to {last}: ")
        assert what.endswith("is not the file that the manifest names")
    assert report.events == len(await stored_events(pool)) + 200 - 48
    assert ["does not match the" in what for _, what in others] == [True]


@pytest.mark.usefixtures("log")
async def test_a_changed_manifest_is_found_and_the_other_ranges_are_verified(
    pool: asyncpg.Pool, tmp_path: Path
) -> None:
    await archive_and_drop(pool, tmp_path)
    _flip(tmp_path / "000000000000001-000000000000100", "manifest.json")
    report = await _verify(pool, tmp_path)

    assert report.problems[0].position == 1
    assert report.problems[0].what.startswith("positions 1 to 100: ")
    assert report.events == len(await stored_events(pool)) + 100
    assert len(report.problems) == 2


@pytest.mark.usefixtures("log")
async def test_without_the_archive_the_missing_range_is_named(pool: asyncpg.Pool, tmp_path: Path) -> None:
    await archive_and_drop(pool, tmp_path / "there")
    with pytest.raises(ArchiveMissing, match="positions 1 to 100"):
        await _verify(pool, tmp_path / "nowhere")


@pytest.mark.usefixtures("log")
async def test_leaves_and_single_events_come_from_wherever_they_are(pool: asyncpg.Pool, tmp_path: Path) -> None:
    before = await stored_events(pool)
    leaves = [event.leaf_hash for event in before]
    await archive_and_drop(pool, tmp_path)
    archive = ArchiveReader(tmp_path, PostgresPartitions(pool, Codec()))
    tree = ArchivedTree(PostgresTree(pool), archive)
    for start, end in ((0, 10), (90, 110), (150, 230), (199, 201), (200, 230), (210, 220)):
        assert list(await tree.leaves(start, end)) == leaves[start:end]
    with pytest.raises(TreeUnusable):
        await tree.leaves(250, 10_000)
    log = ArchivedAudit(PostgresAuditedLog(pool, Codec()), archive, Codec())
    for position in (1, 100, 101, 200, 201, len(before)):
        assert await log.at(position) == before[position - 1]
    assert await log.at(10_000) is None


@pytest.mark.usefixtures("log")
async def test_the_api_proves_events_that_have_left_the_database(
    pool: asyncpg.Pool, database: str, tmp_path: Path
) -> None:
    before = await stored_events(pool)
    await archive_and_drop(pool, tmp_path)
    async with open_stores(Database(dsn=Secret(database)), "oxbot_api", name="tests", connections=2) as stores:
        proves = prover(stores, tmp_path)
        for position in (1, 100, 200, 201):
            assert await proves.event(position) == before[position - 1]
            inclusion = await proves.prove(position)
            assert check_inclusion(inclusion, [SIGNER.verifier]).size == len(before) - 1
        with pytest.raises(ArchiveMissing, match="positions 1 to 100"):
            await prover(stores, tmp_path / "nowhere").prove(1)
        with pytest.raises(BelowFloor):
            await prover(stores, None).prove(1)


@pytest.mark.usefixtures("log")
async def test_the_sealer_makes_lost_inner_nodes_again_from_the_archive(
    pool: asyncpg.Pool, database: str, tmp_path: Path
) -> None:
    """The table of inner nodes is a cache, also of leaves that have left the database."""
    log = PostgresEventLog(pool, Codec())
    await fill(log, 100)
    place, home = Database(dsn=Secret(database), archive=tmp_path / "archive"), tmp_path / "home"
    async with open_sealer(home, place, interval_seconds=1) as sealer:
        assert await sealer.seal()
    nodes = await pool.fetch("SELECT * FROM log.subtrees")
    assert nodes
    await more(log, pool, 1)
    await archive_and_drop(pool, tmp_path / "archive")
    await pool.execute("TRUNCATE log.subtrees")
    async with open_sealer(home, place, interval_seconds=1) as sealer:
        assert await sealer.seal()
    assert nodes == await pool.fetch("SELECT * FROM log.subtrees")


@pytest.mark.usefixtures("log")
async def test_nothing_leaves_the_database_under_an_audit_and_appends_go_on(
    pool: asyncpg.Pool, database: str, tmp_path: Path
) -> None:
    """What left meanwhile would look as if it had been deleted."""
    work = archiver(pool, tmp_path / "archive")
    _ = [archived async for archived in work.create()]
    settings = Settings(home=tmp_path, database_url=Secret(database))
    async with open_audit(settings) as audit:
        with pytest.raises(DropRefused, match="somebody reads the log at length"):
            await anext(work.drop())
        await fill(PostgresEventLog(pool, Codec()), 100)
        assert (await audit.verifier([]).verify()).problems == ()
    assert [archived.range.first async for archived in work.drop()] == [1, 101]
