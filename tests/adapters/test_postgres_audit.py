"""The rows of the log as an audit reads them: every byte as it is stored, whatever the page."""

import asyncpg
import pytest

from events.codec import Codec
from events.encoded import EncodedCommand, EncodedEvent
from events.entry import RawEvent, raw_event
from events.identifiers import StreamId, new_event_id
from events.log import ANY_VERSION
from oxbot.adapters.postgres_audit import PostgresAuditedLog
from oxbot.app.audit_log import StreamHead
from tests.app.sealed_log import SealedLog, lived_log, sealed_log
from tests.core.scenario import START

pytestmark = pytest.mark.anyio


async def odd_log(pool: asyncpg.Pool) -> SealedLog:
    """Empty, long and multi-byte values."""
    log = await sealed_log(pool)
    payloads = [b"", b"\x00", b"\xff" * 300_000, b"\n", b"\\N"]
    for number, payload in enumerate(payloads):
        event = EncodedEvent(new_event_id(), "typ\u00e9", 1 + number, START, payload, payload[:9])
        await log.log.append_encoded([EncodedCommand(StreamId(f"str\u00f6m {number % 2}"), ANY_VERSION, [event])])
    return log


@pytest.mark.parametrize("page", [1, 2, 3, 5, 100])
async def test_pages_of_any_size_hold_every_event_to_the_byte(pool: asyncpg.Pool, page: int) -> None:
    log = await odd_log(pool)
    audited = PostgresAuditedLog(pool, Codec(), page=page)
    standing = await audited.standing()
    pages = [found async for found in audited.pages(after_position=0, up_to=standing.head)]

    expected = [raw_event(row) for row in await log.rows()]
    assert [event for found in pages for event in found.events] == expected
    assert [found.last for found in pages] == [min(last, 5) for last in range(page, 5 + page, page)]


async def test_only_the_positions_asked_for_are_read(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    audited = PostgresAuditedLog(pool, Codec(), page=4)
    await audited.standing()
    found: list[RawEvent] = []
    async for page in audited.pages(after_position=3, up_to=12):
        found += page.events

    assert found == [raw_event(row) for row in (await log.rows())[3:12]]


async def test_the_standing_names_log_head_and_every_stream(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    rows = await log.rows()
    standing = await PostgresAuditedLog(pool, Codec()).standing()

    assert (standing.log_id, standing.floor, standing.head) == (await log.checkpoints.log_id(), 1, 17)
    assert standing.streams == {
        row.stream: StreamHead(row.version, row.position, row.leaf_hash, ended=False) for row in rows
    }


async def test_the_sizes_of_recorded_checkpoints_are_read_ahead_and_nonsense_is_left_out(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    audited = PostgresAuditedLog(pool, Codec())
    assert sorted(await audited.checkpoint_sizes(17)) == [5, 10, 14]
    assert sorted(await audited.checkpoint_sizes(14)) == [5, 10]

    await log.attack("UPDATE log.events SET payload = '\\x80' WHERE position = 11")
    assert sorted(await audited.checkpoint_sizes(17)) == [5, 14]
