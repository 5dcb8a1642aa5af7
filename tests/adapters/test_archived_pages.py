"""The log in pages, of which a part has left the database."""

from pathlib import Path

import asyncpg
import pytest

from events.codec import Codec
from events.errors import BelowFloor
from events.identifiers import StreamId
from events.log import LogReader
from oxbot.adapters.postgres_audit import PostgresAuditedLog
from oxbot.adapters.postgres_tree import PostgresCheckpoints, PostgresTree
from oxbot.app.audit_proof import Prover
from oxbot.app.log_pages import LogPages, UnknownStream
from tests.adapters.archives import BOTS, archive_and_drop, begun, whole_log

pytestmark = pytest.mark.anyio

COUNT = 250


def pages_over(log: LogReader, pool: asyncpg.Pool) -> LogPages:
    """Over that log."""
    codec = Codec()
    prover = Prover(PostgresAuditedLog(pool, codec), PostgresTree(pool), PostgresCheckpoints(pool, codec))
    return LogPages(log, prover)


async def positions(pages: LogPages, last: int, *, stream: StreamId | None = None, kind: str = "") -> list[int]:
    """Where everything is that is found, page by page."""
    found: list[int] = []
    through, ended = 0, False
    while not ended:
        if stream is None:
            page = await pages.by_position(after=through, last=last, limit=33, kind=kind)
        else:
            page = await pages.by_version(stream, after=through, last=last, limit=33, kind=kind)
        found += [event.position for event in page.events]
        through, ended = page.through, page.ended
    return found


async def test_pages_go_on_from_the_archive_into_the_database(pool: asyncpg.Pool, tmp_path: Path) -> None:
    log = await begun(pool, COUNT)
    everything = await log.read_all()
    await archive_and_drop(pool, tmp_path)
    head = await log.head()
    whole = pages_over(whole_log(pool, tmp_path), pool)

    assert await positions(whole, head) == list(range(1, head + 1))
    created = [event.position for event in everything if event.event_type == "bot.created"]
    assert await positions(whole, head, kind="bot.created") == created
    for bot in BOTS:
        of_bot = [event for event in everything if event.stream == bot]
        assert await positions(whole, head, stream=bot) == [event.position for event in of_bot]
        assert (await whole.newest(bot)).version == len(of_bot)
        for position in (0, 1, 99, 150, 220):
            had = [event for event in of_bot if event.position <= position]
            assert await whole.version_at(bot, position) == len(had)
    with pytest.raises(UnknownStream):
        await whole.newest(StreamId("nobody"))
    with pytest.raises(BelowFloor):
        await positions(pages_over(log, pool), head)
