"""The log read across the archive's edge: every answer is what it was before anything left the database."""

import shutil
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

import asyncpg
import pytest

from events.archived import ArchiveDamaged, ArchivedLog, ArchiveMissing
from events.codec import Codec
from events.encoded import StoredEvent
from events.envelope import RecordedEvent
from events.errors import BelowFloor
from events.identifiers import BotId, StreamId
from events.log import EventLog, LogReader
from events.merkle import root_of
from events.postgres import PostgresEventLog
from events.system import SYSTEM_STREAM
from oxbot.adapters.archive_format import decode_events, encode_chunk
from oxbot.adapters.archive_reader import ArchiveReader
from oxbot.adapters.postgres_partitions import PostgresPartitions
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.app.archive import Range
from oxbot.app.replay import fold_rows
from oxbot.views.projections import PROJECTIONS
from tests.adapters.archives import BOTS, archive_and_drop, archiver, begun, more, whole_log
from tests.partitions import pauses, stored_events

pytestmark = pytest.mark.anyio

COUNT = 250
HEAD = COUNT + 1
AFTER = (0, 1, 15, 16, 99, 100, 101, 199, 200, 230, HEAD, HEAD + 5)
UP_TO = (0, 16, 99, 100, 150, 200, 201, HEAD)
STREAMS = (*BOTS, SYSTEM_STREAM, StreamId("nobody"))


@pytest.fixture
async def log(pool: asyncpg.Pool) -> PostgresEventLog:
    """A log of 251 events in partitions of a hundred."""
    return await begun(pool, COUNT)


async def _pages(log: LogReader) -> list[Sequence[RecordedEvent]]:
    """Every way to ask for a page."""
    kinds = (None, ("bot.created", "checkpoint.signed"), ("bot.paused",))
    return [
        await log.read_all(after_position=after, up_to=up_to, limit=limit, types=types)
        for after, up_to, limit, types in product(AFTER, UP_TO, (1, 40, 1000), kinds)
    ]


async def _streams(log: LogReader) -> list[Sequence[RecordedEvent]]:
    """Every way to ask for a stream."""
    return [
        await log.read_stream(stream, after_version=after, limit=limit, up_to_position=up_to)
        for stream, after, limit, up_to in product(STREAMS, (0, 1, 33, 80, 900), (None, 1, 30), UP_TO)
    ]


async def _positions(log: LogReader, times: Sequence[datetime]) -> list[int]:
    return [await log.position_at(time) for time in times]


async def _rows(log: LogReader) -> list[dict[tuple[str, str, str], bytes]]:
    return [await fold_rows(log, projection, up_to=HEAD) for projection in PROJECTIONS]


async def _versions(pool: asyncpg.Pool) -> dict[tuple[int, BotId], int]:
    """At which version each bot is for views that have come to a position which the database still follows on."""
    views, found = PostgresViews(pool), dict[tuple[int, BotId], int]()
    for position in (200, 201, 202, 225, HEAD):
        await pool.execute('UPDATE views.projections SET "position" = $1', position)
        async with views.snapshot() as snapshot:
            for stream in BOTS:
                bot_id = BotId(stream.removeprefix("bot-"))
                found[position, bot_id] = await snapshot.version_of(bot_id)
    return found


async def test_a_bot_is_at_the_same_version_whether_its_older_events_are_archived_or_not(
    log: PostgresEventLog, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    del log
    before = await _versions(pool)
    await archive_and_drop(pool, tmp_path)
    assert await _versions(pool) == before
    assert len(set(before.values())) > len(BOTS)
    assert await pool.fetchval("SELECT min(position) FROM log.events") == 201


@pytest.mark.parametrize("ask", [_pages, _streams, _rows])
async def test_what_is_asked_is_answered_as_before(
    log: PostgresEventLog, pool: asyncpg.Pool, tmp_path: Path, ask: Callable[[LogReader], object]
) -> None:
    """V11: pages, streams, and every row of every view."""
    before = await ask(log)  # type: ignore[misc]  # the three answer with different types
    assert any(before)
    await archive_and_drop(pool, tmp_path)
    assert await ask(whole_log(pool, tmp_path)) == before  # type: ignore[misc]  # the three answer with different types


async def test_a_moment_has_the_position_that_it_had(log: PostgresEventLog, pool: asyncpg.Pool, tmp_path: Path) -> None:
    times = [event.recorded_at for event in await stored_events(pool)]
    asked = [times[0] - timedelta(seconds=1), *times, times[50] + timedelta(microseconds=1)]
    before = await _positions(log, asked)
    await archive_and_drop(pool, tmp_path)
    assert await _positions(whole_log(pool, tmp_path), asked) == before


async def test_the_leaves_of_archive_and_database_are_one_tree(
    log: PostgresEventLog, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    before = await stored_events(pool)
    await archive_and_drop(pool, tmp_path)
    reader = ArchiveReader(tmp_path, PostgresPartitions(pool, Codec()))
    cold: list[StoredEvent] = list(await reader.read_all(after_position=0, up_to=200, limit=1000))
    hot = await stored_events(pool)
    assert [*cold, *hot[: HEAD - 200]] == before
    assert root_of([event.leaf_hash for event in cold + hot[: HEAD - 200]]) == root_of(
        [event.leaf_hash for event in before]
    )
    assert await log.head() == HEAD + 2


async def test_the_database_alone_refuses_what_it_no_longer_holds(
    log: PostgresEventLog, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    """R17: never an empty success."""
    [first] = await log.read_all(limit=1)
    await archive_and_drop(pool, tmp_path)
    for refused in (
        log.read_all(after_position=0),
        log.read_all(after_position=199, limit=1),
        log.read_all(after_position=0, up_to=100),
        log.read_all(after_position=0, types=["bot.created"]),
        log.read_stream(BOTS[0]),
        log.read_stream(BOTS[0], up_to_position=100),
        log.position_at(first.recorded_at - timedelta(days=1)),
    ):
        with pytest.raises(BelowFloor) as caught:
            await refused
        assert caught.value.floor == 201
    assert [event.position for event in await log.read_all(after_position=200, limit=2)] == [201, 202]


async def test_a_stream_that_lies_in_the_archive_whole_is_read_there(
    log: PostgresEventLog, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    first = [event.event_id for event in await log.read_stream(SYSTEM_STREAM)]
    lone = StreamId("lone")
    await log.append(lone, pauses(2), expected=0)
    before = await log.read_stream(lone)
    await more(log, pool, 100)
    assert await archive_and_drop(pool, tmp_path) == [Range(1, 100), Range(101, 200), Range(201, 300)]
    with pytest.raises(BelowFloor):
        await log.read_stream(lone)
    whole = whole_log(pool, tmp_path)
    assert await whole.read_stream(lone) == before
    assert [event.event_id for event in await whole.read_stream(SYSTEM_STREAM, limit=1)] == first


async def test_without_the_files_the_missing_range_is_named(
    log: PostgresEventLog, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    await archive_and_drop(pool, tmp_path / "there")
    [event] = await log.read_all(after_position=200, limit=1)
    elsewhere = whole_log(pool, tmp_path / "nowhere")
    for refused in (
        elsewhere.read_all(),
        elsewhere.read_stream(BOTS[0]),
        elsewhere.position_at(event.recorded_at - timedelta(days=1)),
    ):
        with pytest.raises(ArchiveMissing, match=r"positions 1 to 100 are archived, .* not in .*nowhere"):
            await refused
    assert len(await elsewhere.read_all(after_position=200)) == HEAD + 2 - 200


async def test_only_the_archive_that_the_database_was_emptied_for_is_read(
    log: PostgresEventLog, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    """Another one of the same range is refused by its manifest, however right it is in itself."""
    await archive_and_drop(pool, tmp_path)
    manifest = tmp_path / "000000000000001-000000000000100" / "manifest.json"
    manifest.chmod(0o600)
    manifest.write_bytes(manifest.read_bytes() + b" ")
    with pytest.raises(ArchiveDamaged, match=r"positions 1 to 100 .* has the manifest"):
        await whole_log(pool, tmp_path).read_all()
    assert await log.head() == HEAD + 2


async def test_a_page_follows_a_floor_that_rises_under_it(
    log: PostgresEventLog, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    before = await log.read_all(up_to=HEAD)
    work = archiver(pool, tmp_path)
    _ = [archived async for archived in work.create()]
    await anext(work.drop())
    whole = ArchivedLog(log, _Dropping(pool, tmp_path), Codec())
    assert await whole.read_all(up_to=HEAD) == before
    assert await pool.fetchval("SELECT log.floor()") == 201


class _Dropping(ArchiveReader):
    """Whenever it is read, another partition has just been dropped."""

    def __init__(self, pool: asyncpg.Pool, directory: Path) -> None:
        super().__init__(directory, PostgresPartitions(pool, Codec()))
        self._work = archiver(pool, directory)

    async def read_all(
        self, *, after_position: int, up_to: int, limit: int, types: Sequence[str] | None = None
    ) -> Sequence[StoredEvent]:
        found = await super().read_all(after_position=after_position, up_to=up_to, limit=limit, types=types)
        _ = [archived async for archived in self._work.drop()]
        return found


async def test_one_stream_is_read_without_the_files_that_it_is_not_in(
    log: PostgresEventLog, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    lone = StreamId("lone")
    await log.append(lone, pauses(3), expected=0)
    before = await log.read_stream(lone)
    await more(log, pool, 100)
    await archive_and_drop(pool, tmp_path)
    for directory in (path for path in tmp_path.iterdir() if path.is_dir()):
        directory.chmod(0o700)
        for chunk in directory.glob("events-*"):
            if chunk.name != "events-000000000000249.ndjson.gz":
                chunk.unlink()
    whole = whole_log(pool, tmp_path)
    assert await whole.read_stream(lone) == before
    with pytest.raises(ArchiveDamaged, match="cannot be read"):
        await whole.read_stream(BOTS[0])


async def test_appends_and_waits_go_to_the_log_beneath(
    log: PostgresEventLog, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    await archive_and_drop(pool, tmp_path)
    whole: EventLog = whole_log(pool, tmp_path)
    head = await whole.head()
    assert head == await log.head()
    appended = await whole.append(BOTS[0], pauses(1), expected=-1)
    assert await whole.wait_beyond(head, timeout_seconds=5) == appended.position == head + 1


async def test_the_archive_may_be_moved_as_a_directory(
    log: PostgresEventLog, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    before = await log.read_all(up_to=HEAD)
    await archive_and_drop(pool, tmp_path / "old")
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    assert await whole_log(pool, tmp_path / "new").read_all(up_to=HEAD) == before


async def test_a_changed_file_is_no_stream_either(log: PostgresEventLog, pool: asyncpg.Pool, tmp_path: Path) -> None:
    """A stream is read without the rest of its files, and still nothing is folded that was not recorded."""
    await archive_and_drop(pool, tmp_path)
    chunk = tmp_path / "000000000000001-000000000000100" / "events-000000000000017.ndjson.gz"
    events = decode_events(chunk.read_bytes(), "the chunk")
    forged = [event._replace(payload=event.payload.replace(b"reason", b"season")) for event in events]
    chunk.chmod(0o600)
    chunk.write_bytes(encode_chunk(forged)[0])
    assert await log.head() == HEAD + 2
    with pytest.raises(ArchiveDamaged, match="does not have its leaf hash"):
        await whole_log(pool, tmp_path).read_stream(events[0].stream)
