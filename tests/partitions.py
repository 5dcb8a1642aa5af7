"""A log whose partitions are so small that a test can fill them."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice

import asyncpg

from events.bot import BotPaused
from events.checkpoint import Checkpoint, SignerKey, origin_of, sign_checkpoint
from events.encoded import StoredEvent
from events.envelope import NewEvent
from events.identifiers import StreamId, new_event_id
from events.log import ANY_VERSION, AppendCommand, Appended, EventLog
from events.merkle import Frontier
from events.postgres import PostgresEventLog
from events.system import SYSTEM_STREAM, CheckpointSigned

SIZE = 100
SIGNER = SignerKey("tests", bytes(range(32)))

# As a superuser, in a log without events: no role of the installation could.
_SHRINK = """
CREATE OR REPLACE FUNCTION log.partition_size() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 100::bigint';
ALTER TABLE log.events DETACH PARTITION log.events_p1;
DROP TABLE log.events_p1;
DELETE FROM log.partitions;
SELECT log.add_partitions(1);
"""
_STORED = """
SELECT e.position, s.stream_id, e.version, e.event_id, e.event_type, e.schema_version,
       e.occurred_at, e.recorded_at, e.payload, e.metadata, e.prev_hash, e.leaf_hash
FROM log.events AS e JOIN log.streams AS s USING (stream_no) ORDER BY e.position
"""


async def shrink_partitions(pool: asyncpg.Pool) -> None:
    """Partitions of ``SIZE`` positions, from the first on, in a log that holds no events yet."""
    await pool.execute(_SHRINK)


def pauses(count: int, *, reason: str = "a reason") -> list[NewEvent]:
    """So many new events, each with an id of its own."""
    return [
        NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=BotPaused(reason=f"{reason} {number}"))
        for number in range(count)
    ]


async def fill(log: PostgresEventLog, count: int, *, streams: int = 3) -> None:
    """Append so many events, in turns of up to seven, to ``bot-1``, ``bot-2`` and so on."""
    events, turn = iter(pauses(count)), 0
    while batch := list(islice(events, 1 + turn % 7)):
        [outcome] = await log.append_batch([AppendCommand(StreamId(f"bot-{1 + turn % streams}"), ANY_VERSION, batch)])
        assert isinstance(outcome, Appended), outcome
        turn += 1


async def stored_events(pool: asyncpg.Pool) -> list[StoredEvent]:
    """Every event that the database holds, in order of position."""
    return [StoredEvent(*row) for row in await pool.fetch(_STORED)]


async def catch_up(log: EventLog, pool: asyncpg.Pool, leaves: Sequence[bytes]) -> int:
    """Let every projection and the sealer have read all of a log with these leaves; the checkpoint's position."""
    tree = Frontier()
    tree.extend(leaves)
    checkpoint = Checkpoint(origin_of(await pool.fetchval("SELECT log_id FROM log.identity")), tree.size, tree.root())
    fact = CheckpointSigned(
        tree_size=tree.size,
        root=base64.b64encode(checkpoint.root).decode(),
        note=sign_checkpoint(checkpoint, SIGNER),
    )
    event = NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=fact)
    appended = await log.append(SYSTEM_STREAM, [event], expected=ANY_VERSION)
    await pool.execute('UPDATE views.projections SET "position" = $1', appended.position)
    return appended.position
