"""Archiving: files that are what the database held, a drop that nobody is hurt by, and a crash at any step of it."""

import shutil
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from events.archived import ArchiveDamaged, ArchiveMissing
from events.bot import BotStarted
from events.codec import Codec
from events.envelope import NewEvent
from events.errors import EventIdReused
from events.log import ANY_VERSION
from events.system import SYSTEM_STREAM, RangeArchived
from oxbot.adapters.archive_files import ArchiveBusy, ArchiveFiles, ArchiveUnusable
from oxbot.adapters.postgres_partitions import PostgresPartitions
from oxbot.app.archive import Archiver, DropRefused, Listed, Range
from oxbot.config import Secret
from oxbot.wiring.archive import open_archiver
from oxbot.wiring.stores import Database
from tests.adapters.archives import BOTS, STEPS, Killed, archive_and_drop, archiver, begun, more, whole_log
from tests.partitions import pauses, stored_events

pytestmark = pytest.mark.anyio

FIRST, SECOND = Range(1, 100), Range(101, 200)


async def _facts(pool: asyncpg.Pool, directory: Path) -> list[RangeArchived]:
    log = whole_log(pool, directory)
    events = await log.read_stream(SYSTEM_STREAM)
    return [event.fact for event in events if isinstance(event.fact, RangeArchived)]


async def _ranges_in_database(pool: asyncpg.Pool) -> list[int]:
    return [first for (first,) in await pool.fetch("SELECT first_position FROM log.partitions ORDER BY 1")]


async def _create_and_drop(work: Archiver) -> None:
    async for _ in work.create():
        pass
    async for _ in work.drop():
        pass


def _manifest_directory(directory: Path, positions: Range) -> Path:
    return directory / f"{positions.first:015}-{positions.last:015}"


def _writable(directory: Path) -> Path:
    directory.chmod(0o700)
    for path in directory.iterdir():
        path.chmod(0o600)
    return directory


async def test_every_full_partition_is_archived_as_the_database_holds_it(pool: asyncpg.Pool, tmp_path: Path) -> None:
    await begun(pool, 250)
    held = await stored_events(pool)
    made = [archived async for archived in archiver(pool, tmp_path).create()]
    assert [archived.range for archived in made] == [FIRST, SECOND]
    files = ArchiveFiles(tmp_path)
    assert await files.archived() == made
    found = [event for archived in made async for page in files.pages(archived) for event in page]
    assert found == held[:200]


async def test_what_is_archived_is_not_archived_again(pool: asyncpg.Pool, tmp_path: Path) -> None:
    log = await begun(pool, 150)
    assert [archived.range async for archived in archiver(pool, tmp_path).create()] == [FIRST]
    assert [archived.range async for archived in archiver(pool, tmp_path).create()] == []
    await more(log, pool, 100)
    assert [archived.range async for archived in archiver(pool, tmp_path).create()] == [SECOND]


async def test_a_partition_counts_as_full_once_an_event_follows_it(pool: asyncpg.Pool, tmp_path: Path) -> None:
    log = await begun(pool, 99)
    assert await log.head() == 100
    assert [archived async for archived in archiver(pool, tmp_path).create()] == []
    await log.append(BOTS[0], pauses(1), expected=ANY_VERSION)
    assert [archived.range async for archived in archiver(pool, tmp_path).create()] == [FIRST]


async def test_dropping_announces_it_in_the_log_and_raises_the_floor(pool: asyncpg.Pool, tmp_path: Path) -> None:
    await begun(pool, 250)
    assert await archive_and_drop(pool, tmp_path) == [FIRST, SECOND]
    assert await pool.fetchval("SELECT log.floor()") == 201
    assert (await _ranges_in_database(pool))[0] == 201
    archives = await ArchiveFiles(tmp_path).archived()
    assert await _facts(pool, tmp_path) == [
        RangeArchived(first_position=one.range.first, last_position=one.range.last, manifest_sha256=one.manifest_sha256)
        for one in archives
    ]
    dropped = await PostgresPartitions(pool, Codec()).dropped()
    assert [(one.range, one.manifest_sha256) for one in dropped] == [
        (one.range, one.manifest_sha256) for one in archives
    ]


async def test_appends_go_on_after_a_drop_and_ids_stay_taken(pool: asyncpg.Pool, tmp_path: Path) -> None:
    log = await begun(pool, 150)
    [known] = await log.read_all(limit=1)
    await archive_and_drop(pool, tmp_path)
    before = await log.head()
    again = NewEvent(event_id=known.event_id, occurred_at=known.occurred_at, fact=BotStarted())
    with pytest.raises(EventIdReused):
        await log.append(BOTS[1], [again], expected=ANY_VERSION)
    appended = await log.append(BOTS[0], pauses(120), expected=ANY_VERSION)
    assert appended.position == before + 120
    assert [archived.range async for archived in archiver(pool, tmp_path).create()] == [SECOND]


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_step_the_next_call_goes_on(pool: asyncpg.Pool, tmp_path: Path, step: str) -> None:
    """Nothing is dropped that is not in files, nothing is announced twice, nothing is left over."""
    await begun(pool, 250)
    held = await stored_events(pool)
    dying = archiver(pool, tmp_path, dies=step)
    with pytest.raises(Killed):
        await _create_and_drop(dying)
    whole = whole_log(pool, tmp_path)
    assert [event.event_id for event in await whole.read_all(limit=250)] == [event.event_id for event in held[:250]]
    work = archiver(pool, tmp_path)
    await _create_and_drop(work)
    assert (await _ranges_in_database(pool))[0] == 201
    facts = await _facts(pool, tmp_path)
    assert [(fact.first_position, fact.last_position) for fact in facts] == [FIRST, SECOND]
    assert [archived.range async for archived in work.verify()] == [FIRST, SECOND]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".lock",
        "000000000000001-000000000000100",
        "000000000000101-000000000000200",
    ]


async def test_a_draft_that_a_kill_left_is_no_archive_and_is_removed(pool: asyncpg.Pool, tmp_path: Path) -> None:
    await begun(pool, 150)
    left = tmp_path / ".draft-left"
    left.mkdir(parents=True)
    (left / "events-000000000000001.ndjson.gz").write_bytes(b"half")
    assert await ArchiveFiles(tmp_path).archived() == []
    assert [archived.range async for archived in archiver(pool, tmp_path).create()] == [FIRST]
    assert not left.exists()


async def test_two_at_once_are_refused_without_a_change(pool: asyncpg.Pool, tmp_path: Path) -> None:
    await begun(pool, 150)
    async with ArchiveFiles(tmp_path).exclusive():
        for work in (archiver(pool, tmp_path).create(), archiver(pool, tmp_path).drop()):
            with pytest.raises(ArchiveBusy, match=str(tmp_path)):
                await anext(work)
    assert [archived.range async for archived in archiver(pool, tmp_path).create()] == [FIRST]


@pytest.mark.parametrize(
    ("behind", "named"),
    [
        ("UPDATE views.projections SET position = 99 WHERE name = 'users'", "projection users is only at position 99"),
        (
            "INSERT INTO views.projections VALUES ('bots', true, gen_random_uuid(), 1, 7)",
            "the rebuild of projection bots is only at position 7",
        ),
    ],
)
async def test_nothing_is_dropped_that_a_projection_has_to_read(
    pool: asyncpg.Pool, tmp_path: Path, behind: str, named: str
) -> None:
    await begun(pool, 150)
    work = archiver(pool, tmp_path)
    _ = [archived async for archived in work.create()]
    await pool.execute(behind)
    with pytest.raises(DropRefused, match=f"positions 1 to 100 stay in the database: {named}"):
        await anext(work.drop())
    assert await pool.fetchval("SELECT log.floor()") == 1
    assert await _facts(pool, tmp_path) == []


async def test_nothing_is_dropped_that_the_sealer_has_not_signed(pool: asyncpg.Pool, tmp_path: Path) -> None:
    log = await begun(pool, 150)
    await log.append(BOTS[0], pauses(100), expected=ANY_VERSION)
    await pool.execute("UPDATE views.projections SET position = 251")
    work = archiver(pool, tmp_path)
    _ = [archived async for archived in work.create()]
    assert [archived.range async for archived in work.drop()] == [FIRST]
    with pytest.raises(DropRefused, match="101 to 200 stay in the database: the sealer is only at position 150"):
        await anext(work.drop())


async def test_what_is_not_archived_is_not_dropped(pool: asyncpg.Pool, tmp_path: Path) -> None:
    await begun(pool, 250)
    _ = [archived async for archived in archiver(pool, tmp_path).create()]
    shutil.rmtree(_writable(_manifest_directory(tmp_path, FIRST)))
    assert [archived async for archived in archiver(pool, tmp_path).drop()] == []
    assert await pool.fetchval("SELECT log.floor()") == 1


async def test_a_partition_that_a_long_transaction_reads_stays_and_appends_go_on(
    pool: asyncpg.Pool, tmp_path: Path
) -> None:
    """Such as a backup's."""
    log = await begun(pool, 150)
    work = archiver(pool, tmp_path)
    _ = [archived async for archived in work.create()]
    async with pool.acquire() as reader, reader.transaction():
        await reader.execute("LOCK TABLE log.events IN ACCESS SHARE MODE")
        with pytest.raises(DropRefused, match="somebody reads the log at length"):
            await anext(work.drop())
        await log.append(BOTS[0], pauses(1), expected=ANY_VERSION)
    assert [archived.range async for archived in work.drop()] == [FIRST]
    assert len(await _facts(pool, tmp_path)) == 1


@pytest.mark.parametrize("kind", ["events-000000000000017.ndjson.gz", "streams.json.gz", "manifest.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
async def test_what_is_damaged_is_not_dropped_and_verify_names_it(
    pool: asyncpg.Pool, tmp_path: Path, kind: str, damage: str
) -> None:
    await begun(pool, 150)
    _ = [archived async for archived in archiver(pool, tmp_path).create()]
    path = _writable(_manifest_directory(tmp_path, FIRST)) / kind
    content = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        middle = len(content) // 2
        path.write_bytes(
            content[:middle] + (bytes([content[middle] ^ 1]) + content[middle + 1 :] if damage == "flip" else b"")
        )
    for work in (archiver(pool, tmp_path).verify(), archiver(pool, tmp_path).drop()):
        with pytest.raises(ArchiveDamaged):
            await anext(work)
    assert await pool.fetchval("SELECT log.floor()") == 1
    assert await _facts(pool, tmp_path) == []


async def test_an_archive_that_differs_from_the_database_is_not_dropped(pool: asyncpg.Pool, tmp_path: Path) -> None:
    """Right in itself, but of another history."""
    await begun(pool, 150)
    _ = [archived async for archived in archiver(pool, tmp_path).create()]
    await pool.execute("ALTER TABLE log.events_p1 DISABLE TRIGGER events_are_immutable")
    await pool.execute("UPDATE log.events_p1 SET leaf_hash = sha256(leaf_hash) WHERE position = 77")
    with pytest.raises(ArchiveDamaged, match="position 77: the archive differs from the database"):
        await anext(archiver(pool, tmp_path).drop())


async def test_what_the_database_holds_wrongly_is_not_archived(pool: asyncpg.Pool, tmp_path: Path) -> None:
    await begun(pool, 150)
    await pool.execute("ALTER TABLE log.events_p1 DISABLE TRIGGER events_are_immutable")
    await pool.execute("UPDATE log.events_p1 SET payload = payload || 'x' WHERE position = 42")
    with pytest.raises(ArchiveDamaged, match="position 42"):
        await anext(archiver(pool, tmp_path).create())
    assert await ArchiveFiles(tmp_path).archived() == []


async def test_the_archive_of_another_log_is_refused(pool: asyncpg.Pool, tmp_path: Path) -> None:
    await begun(pool, 150)
    _ = [archived async for archived in archiver(pool, tmp_path).create()]
    await pool.execute(
        "ALTER TABLE log.identity DISABLE TRIGGER ALL; UPDATE log.identity SET log_id = gen_random_uuid()"
    )
    for work in (
        archiver(pool, tmp_path).create(),
        archiver(pool, tmp_path).drop(),
        archiver(pool, tmp_path).verify(),
    ):
        with pytest.raises(ArchiveDamaged, match="is of the log"):
            await anext(work)


async def test_verify_names_a_range_that_is_not_there(pool: asyncpg.Pool, tmp_path: Path) -> None:
    await begun(pool, 250)
    await archive_and_drop(pool, tmp_path)
    shutil.rmtree(_writable(_manifest_directory(tmp_path, SECOND)))
    with pytest.raises(ArchiveMissing, match=f"positions 101 to 200 are archived, but .* not in {tmp_path}"):
        await anext(archiver(pool, tmp_path).verify())


async def test_the_manifest_carries_the_newest_checkpoint_of_its_range(pool: asyncpg.Pool, tmp_path: Path) -> None:
    log = await begun(pool, 60)
    await more(log, pool, 20)
    await more(log, pool, 100)
    [archived] = [archived async for archived in archiver(pool, tmp_path).create()]
    assert archived.checkpoint is not None
    assert archived.checkpoint.splitlines()[1] == "81"
    assert [found.range async for found in archiver(pool, tmp_path).verify()] == [FIRST]


async def test_a_checkpoint_of_an_earlier_range_is_not_this_one_s(pool: asyncpg.Pool, tmp_path: Path) -> None:
    """Signed at the very end of the first range, it is recorded in the second."""
    log = await begun(pool, 100)
    await log.append(BOTS[0], pauses(105), expected=ANY_VERSION)
    made = [archived async for archived in archiver(pool, tmp_path).create()]
    assert [archived.checkpoint for archived in made] == [None, None]
    assert [found.range async for found in archiver(pool, tmp_path).verify()] == [FIRST, SECOND]


async def test_what_the_disk_did_not_keep_gets_no_name(pool: asyncpg.Pool, tmp_path: Path) -> None:
    await begun(pool, 150)
    with pytest.raises(ArchiveDamaged, match="is not the file that the manifest names"):
        await anext(archiver(pool, tmp_path, spoils=True).create())
    assert await ArchiveFiles(tmp_path).archived() == []


async def test_ranges_are_listed_with_where_they_are(pool: asyncpg.Pool, tmp_path: Path) -> None:
    log = await begun(pool, 150)
    await archive_and_drop(pool, tmp_path)
    await more(log, pool, 200)
    listed = await archiver(pool, tmp_path).listed()
    [archived] = await ArchiveFiles(tmp_path).archived()
    assert listed == [
        Listed(FIRST, archived=archived, in_database=False),
        Listed(SECOND, archived=None, in_database=True),
        Listed(Range(201, 300), archived=None, in_database=True),
    ]


async def test_the_role_of_the_archiver_suffices(pool: asyncpg.Pool, database: str, tmp_path: Path) -> None:
    await begun(pool, 150)
    server = Database(dsn=Secret(database), embedded=True)
    async with open_archiver(server, tmp_path, actor="tests") as work:
        assert [archived.range async for archived in work.create()] == [FIRST]
        assert [archived.range async for archived in work.drop()] == [FIRST]
        assert [archived.range async for archived in work.verify()] == [FIRST]


async def test_a_draft_that_gets_no_name_can_be_removed_by_its_owner(tmp_path: Path) -> None:
    """Nor could one be that a kill left, so it must not be read-only before it has its name."""
    store = ArchiveFiles(tmp_path)
    taken = tmp_path / "000000000000001-000000000000100"
    taken.mkdir()
    (taken / "something").touch()
    async with store.exclusive(), store.draft(Range(1, 100), uuid4()) as draft:
        with pytest.raises(ArchiveUnusable):
            await draft.publish()
        [left] = tmp_path.glob(".draft-*")
        assert left.stat().st_mode & 0o777 == 0o700
