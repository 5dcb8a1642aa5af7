"""The references of the log's benchmarks: a bare table of the same shape, and the eventsourcing package's Postgres."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import asyncpg
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from events.identifiers import new_event_id

BARE_TABLE = """
CREATE TABLE bare_events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_no bigint NOT NULL,
    version bigint NOT NULL,
    event_id uuid NOT NULL UNIQUE,
    event_type text NOT NULL,
    schema_version smallint NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    prev_hash bytea NOT NULL,
    leaf_hash bytea NOT NULL,
    payload bytea NOT NULL,
    metadata bytea NOT NULL,
    UNIQUE (stream_no, version)
)
"""

BARE_INSERT = """
INSERT INTO bare_events (
    stream_no, version, event_id, event_type, schema_version, occurred_at, prev_hash, leaf_hash, payload, metadata
)
SELECT * FROM unnest(
    $1::bigint[], $2::bigint[], $3::uuid[], $4::text[], $5::smallint[], $6::timestamptz[], $7::bytea[], $8::bytea[],
    $9::bytea[], $10::bytea[]
)
"""

HASH = bytes(range(32))


class Content(NamedTuple):
    """What an event holds, encoded; the same for every store."""

    event_type: str
    schema_version: int
    payload: bytes
    metadata: bytes


class BareTable:
    """The floor: rows of the same shape and indexes, already encoded; no lock, no versions checked, no duplicates."""

    def __init__(self, pool: asyncpg.Pool, content: Content) -> None:
        self._pool = pool
        self._content = content
        self._versions: dict[int, int] = {}

    async def insert(self, streams: Sequence[int]) -> None:
        """Store one event in each of these streams, in one statement."""
        now = datetime.now(UTC)
        event_type, schema_version, payload, metadata = self._content
        rows = [
            (stream, self._next(stream), new_event_id(), event_type, schema_version, now, HASH, HASH, payload, metadata)
            for stream in streams
        ]
        await self._pool.execute(BARE_INSERT, *zip(*rows, strict=True))

    def _next(self, stream: int) -> int:
        version = self._versions.get(stream, 0) + 1
        self._versions[stream] = version
        return version


class BareQueue:
    """The least group commit: one task takes whatever is queued and inserts it into the bare table."""

    def __init__(self, table: BareTable) -> None:
        self._table = table
        self._queued: list[tuple[int, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()

    async def append(self, stream: int) -> None:
        """Store one event; return once it is durable."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queued.append((stream, stored))
        self._wake.set()
        await stored

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._queued = self._queued, []
            await self._table.insert([stream for stream, _ in batch])
            for _, stored in batch:
                stored.set_result(None)


def postgres_settings(dsn: str) -> dict[str, str]:
    """The package's settings for this connection string, with its own defaults for all the rest."""
    parts = urlsplit(dsn)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": parts.path.lstrip("/"),
        "POSTGRES_HOST": parse_qs(parts.query).get("host", [parts.hostname or ""])[0],
        "POSTGRES_PORT": str(parts.port or 5432),
        "POSTGRES_USER": parts.username or "",
        "POSTGRES_PASSWORD": parts.password or "",
    }


class EventSourcing:
    """The eventsourcing package's Postgres recorder as it comes: it locks its table, so that readers miss nothing."""

    def __init__(self, dsn: str, content: Content, *, connections: int) -> None:
        settings = postgres_settings(dsn)
        self._datastore = PostgresDatastore(
            settings["POSTGRES_DBNAME"],
            settings["POSTGRES_HOST"],
            settings["POSTGRES_PORT"],
            settings["POSTGRES_USER"],
            settings["POSTGRES_PASSWORD"],
            pool_size=connections,
        )
        self._recorder = PostgresApplicationRecorder(self._datastore, events_table_name="reference_events")
        self._recorder.create_table()
        self._content = content
        self._versions: dict[UUID, int] = {}
        self.threads = ThreadPoolExecutor(connections)

    @property
    def recorder(self) -> PostgresApplicationRecorder:
        """For reading what was stored."""
        return self._recorder

    def insert(self, stream: UUID, count: int) -> None:
        """Store so many events in one stream, in one call; blocks."""
        first = self._versions.get(stream, 0) + 1
        self._versions[stream] = first + count - 1
        state = self._content.payload + self._content.metadata
        self._recorder.insert_events(
            [
                StoredEvent(
                    originator_id=stream,
                    originator_version=first + number,
                    topic=self._content.event_type,
                    state=state,
                )
                for number in range(count)
            ]
        )

    def close(self) -> None:
        """Close its connections."""
        self.threads.shutdown()
        self._datastore.close()
