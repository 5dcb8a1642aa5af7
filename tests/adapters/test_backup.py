"""Backup and restore: into a server that has never seen oxbot, and everything is as it was."""

import asyncio
import fcntl
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from events.codec import Codec
from events.envelope import NewEvent
from events.errors import BelowFloor, EventIdReused
from events.identifiers import StreamId
from events.log import ANY_VERSION, Appended
from events.postgres import PostgresEventLog
from oxbot.adapters import embedded_postgres
from oxbot.adapters.backup import DRAFT_PREFIX, BackupFailed, NotEmpty, back_up, restore, roles_statement
from oxbot.adapters.database import login_as, open_pool
from oxbot.adapters.migrations import check_schema, migrate
from oxbot.adapters.postgres_bodies import PostgresBodies
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.app.follower import CheckpointAhead
from oxbot.app.projection import ProjectionRunner
from tests.adapters.archives import BOTS, archive_and_drop, begun, whole_log
from tests.app.fakes import eventually
from tests.app.stored_views import follower
from tests.partitions import pauses, stored_events

pytestmark = pytest.mark.anyio

ROLES = "SELECT rolname, rolcanlogin, rolsuper FROM pg_roles WHERE rolname LIKE 'oxbot%' ORDER BY 1"
MEMBERS = """
SELECT r.rolname AS of, m.rolname AS member FROM pg_auth_members AS a
JOIN pg_roles AS r ON r.oid = a.roleid JOIN pg_roles AS m ON m.oid = a.member
WHERE r.rolname LIKE 'oxbot%' ORDER BY 1, 2
"""
RELATIONS = """
SELECT c.oid::regclass::text AS name, c.relkind, c.relowner::regrole::text AS owner, c.relacl::text[] AS rights
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname IN ('log', 'views', 'market', 'accounts', 'privacy', 'caches') ORDER BY 1
"""
ROUTINES = """
SELECT p.oid::regprocedure::text AS name, p.proowner::regrole::text AS owner, p.proacl::text[] AS rights, p.prosrc
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname IN ('log', 'log_guard', 'views', 'market', 'privacy') ORDER BY 1
"""
TRIGGERS = """
SELECT tgrelid::regclass::text AS "table", tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT '', evtname, evtenabled FROM pg_event_trigger ORDER BY 1, 2
"""
CONTENT = (
    "SELECT * FROM log.streams ORDER BY stream_no",
    "SELECT * FROM log.event_ids ORDER BY position",
    "SELECT * FROM log.identity",
    "SELECT * FROM log.partitions ORDER BY 1",
    "SELECT * FROM log.archives ORDER BY 1",
    "SELECT * FROM views.projections ORDER BY name, rebuild",
    "SELECT owner, key, body::text FROM views.bots ORDER BY 1, 2",
    "SELECT * FROM views.bots_books ORDER BY 1",
    "SELECT * FROM oxbot_migrations ORDER BY 1",
    "SELECT * FROM log.bodies ORDER BY 1",
)
BACK_UP = """
import sys
from pathlib import Path
from oxbot.adapters.backup import back_up
back_up(sys.argv[1], Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def other_server() -> Iterator[str]:
    """The connection string of an empty database on a server that has never seen oxbot."""
    with tempfile.TemporaryDirectory(prefix="oxbot-", ignore_cleanup_errors=True) as directory:
        data = Path(directory) / "postgres"
        try:
            yield embedded_postgres.start(data)
        finally:
            embedded_postgres.stop(data)


@pytest.fixture
async def log(pool: asyncpg.Pool, tmp_path: Path) -> PostgresEventLog:
    """A log of several partitions, one of them archived and dropped, with its views."""
    log = await begun(pool, 250)
    await pool.execute('UPDATE views.projections SET "position" = 0')
    await ProjectionRunner(log, PostgresViews(pool)).catch_up()
    await archive_and_drop(pool, tmp_path / "archive")
    await PostgresBodies(pool).put("a model's answer \N{SNOWMAN}".encode())
    await log.append(BOTS[0], pauses(1, reason="Zürich \N{SNOWMAN}"), expected=ANY_VERSION)
    return log


async def _everything(pool: asyncpg.Pool) -> list[object]:
    queries = (ROLES, MEMBERS, RELATIONS, ROUTINES, TRIGGERS, *CONTENT)
    return [await stored_events(pool), *[[tuple(row) for row in await pool.fetch(query)] for query in queries]]


@pytest.fixture
async def restored(log: PostgresEventLog, database: str, other_server: str, tmp_path: Path) -> AsyncIterator[str]:
    """The connection string of the copy, in a database of its own on the other server."""
    del log
    file = tmp_path / "backup"
    await asyncio.to_thread(back_up, database, file)
    name = f"copy_{os.getpid()}_{tmp_path.name}".lower()
    connection = await asyncpg.connect(other_server)
    await connection.execute(await connection.fetchval("SELECT format('CREATE DATABASE %I', $1::text)", name))
    dsn = other_server.replace(f"/{embedded_postgres.DATABASE}?", f"/{name}?")
    await restore(dsn, file)
    yield dsn
    await connection.execute(
        await connection.fetchval("SELECT format('DROP DATABASE %I WITH (FORCE)', $1::text)", name)
    )
    await connection.close()


async def test_a_restored_database_is_what_was_backed_up(pool: asyncpg.Pool, restored: str) -> None:
    """V6: positions, hashes, projections, rights, roles and triggers, on a server that had none of them."""
    async with await open_pool(restored, size=1, application_name="copy") as copy:
        assert await _everything(copy) == await _everything(pool)
        async with copy.acquire() as connection:
            await check_schema(connection)
            assert await migrate(connection) == []


async def test_appends_go_on_in_the_copy_under_the_same_roles(pool: asyncpg.Pool, restored: str) -> None:
    before = await stored_events(pool)
    async with await open_pool(login_as(restored, "oxbot_host"), size=2, application_name="copy") as copy:
        log = PostgresEventLog(copy, Codec())
        head = await log.head()
        assert head == before[-1].position
        sent = pauses(150)
        assert (await log.append(BOTS[0], sent, expected=ANY_VERSION)).position == head + 150
        assert (await log.append(BOTS[0], sent, expected=ANY_VERSION)).duplicate
        known = NewEvent(event_id=before[0].event_id, occurred_at=before[0].occurred_at, fact=sent[0].fact)
        with pytest.raises(EventIdReused):
            await log.append(BOTS[1], [known], expected=ANY_VERSION)
        last = {event.stream: event.leaf_hash for event in before}
        [first_new] = [event for event in await stored_events(copy) if event.position == head + 1]
        assert first_new.prev_hash == last[BOTS[0]]
        for attack in ("DELETE FROM log.events", "TRUNCATE log.events_p201", "DROP TABLE log.streams"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await copy.execute(attack)


async def test_the_archive_goes_on_belonging_to_the_copy(
    log: PostgresEventLog, restored: str, tmp_path: Path, pool: asyncpg.Pool
) -> None:
    before = await whole_log(pool, tmp_path / "archive").read_all()
    async with await open_pool(restored, size=2, application_name="copy") as copy:
        with pytest.raises(BelowFloor):
            await PostgresEventLog(copy, Codec()).read_all()
        assert await whole_log(copy, tmp_path / "archive").read_all() == before
    assert len(before) == await log.head()


async def test_views_of_a_later_moment_are_refused_over_an_older_log(
    log: PostgresEventLog, restored: str, pool: asyncpg.Pool
) -> None:
    """R9, V7: the projections' checkpoint is beyond the head; both numbers are named."""
    async with await open_pool(restored, size=2, application_name="copy") as copy:
        older = PostgresEventLog(copy, Codec())
        head = await older.head()
        await log.append(BOTS[0], pauses(3), expected=ANY_VERSION)
        await ProjectionRunner(log, PostgresViews(pool)).catch_up()
        with pytest.raises(CheckpointAhead) as caught:
            await follower(older, PostgresViews(pool)).begin()
        assert (caught.value.checkpoint, caught.value.head) == (head + 3, head)


async def test_a_backup_under_load_is_of_one_moment(
    database: str, empty_database: str, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    """Log and views agree with each other, and nothing has a gap, whatever is appended meanwhile."""
    log = await begun(pool, 50)
    done = asyncio.Event()

    async def write(stream: StreamId) -> None:
        while not done.is_set():
            appended = await log.append(stream, pauses(5), expected=ANY_VERSION)
            assert isinstance(appended, Appended)

    async with asyncio.TaskGroup() as group:
        for stream in BOTS:
            group.create_task(write(stream))
        await asyncio.to_thread(back_up, database, tmp_path / "backup")
        done.set()
    await restore(empty_database, tmp_path / "backup")
    async with await open_pool(empty_database, size=1, application_name="copy") as copy:
        events = await stored_events(copy)
        assert [event.position for event in events] == list(range(1, len(events) + 1))
        heads = {row["stream_id"]: row["version"] for row in await copy.fetch("SELECT * FROM log.streams")}
        assert heads == {event.stream: event.version for event in events}
        assert await copy.fetchval("SELECT max(position) FROM log.event_ids") == len(events)


async def test_a_backup_is_not_restored_over_anything(database: str, tmp_path: Path) -> None:
    await asyncio.to_thread(back_up, database, tmp_path / "backup")
    with pytest.raises(NotEmpty):
        await restore(database, tmp_path / "backup")


@pytest.mark.parametrize("damage", ["cut", "empty", "missing"])
async def test_a_backup_that_is_not_whole_changes_nothing(
    database: str, empty_database: str, tmp_path: Path, damage: str
) -> None:
    file = tmp_path / "backup"
    await asyncio.to_thread(back_up, database, file)
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: 0 if damage == "empty" else -2000])
    with pytest.raises(BackupFailed, match=f"cannot restore {file}"):
        await restore(empty_database, file)
    connection = await asyncpg.connect(empty_database)
    assert await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname IN ('log', 'views')") == 0
    await connection.close()


async def test_a_backup_never_replaces_a_file(database: str, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    file.write_bytes(b"precious")
    with pytest.raises(BackupFailed, match="is there already"):
        await asyncio.to_thread(back_up, database, file)
    assert file.read_bytes() == b"precious"


async def test_what_a_killed_backup_has_left_goes_with_the_next_and_what_others_write_stays(
    database: str, tmp_path: Path
) -> None:
    stale, held = tmp_path / f"{DRAFT_PREFIX}stale", tmp_path / f"{DRAFT_PREFIX}held"
    stale.write_bytes(b"half a backup")
    with held.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        await asyncio.to_thread(back_up, database, tmp_path / "backup")
        assert sorted(path.name for path in tmp_path.iterdir()) == [held.name, "backup"]
    await asyncio.to_thread(back_up, database, tmp_path / "another")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another", "backup"]


async def test_a_backup_that_is_killed_holds_its_draft_until_then(database: str, tmp_path: Path) -> None:
    """By the same lock, whatever the backup's name: a second one beside it does not take it for stale."""
    blocker = await asyncpg.connect(database)
    async with blocker.transaction():
        await blocker.execute("LOCK TABLE log.streams IN ACCESS EXCLUSIVE MODE")
        killed = await asyncio.create_subprocess_exec(
            sys.executable, "-c", BACK_UP, database, str(tmp_path / "first"), start_new_session=True
        )
        await eventually(lambda: bool(list(tmp_path.iterdir())))
        [draft] = tmp_path.iterdir()
        await eventually(lambda: _is_locked(draft))
        os.killpg(killed.pid, signal.SIGKILL)
        await killed.wait()
    await blocker.close()
    assert [path.name for path in tmp_path.iterdir()] == [draft.name]
    await asyncio.to_thread(back_up, database, tmp_path / "second")
    assert [path.name for path in tmp_path.iterdir()] == ["second"]


def _is_locked(draft: Path) -> bool:
    with draft.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


async def test_a_backup_of_a_server_that_is_down_leaves_no_file_and_no_password(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed) as caught:
        await asyncio.to_thread(back_up, "postgresql://bot:s3cret@127.0.0.1:1/oxbot", tmp_path / "backup")
    assert "s3cret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_statement_for_the_roles_makes_roles_and_nothing_else() -> None:
    statement = roles_statement().lower()
    assert "create role" in statement
    assert "grant oxbot_projector to oxbot_operator" in statement
    assert not re.search(r"create (table|schema|function|trigger)|alter |drop |insert ", statement)
