"""Appends per second and time to durable through the group-commit writer, beside raw inserts into a bare table."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg

from benchmarks import Result, Round, latency_ms, result, temporary_database, throughput
from events.bot import OrderFilled
from events.codec import Codec
from events.commit import GroupCommitLog
from events.envelope import Metadata, NewEvent
from events.identifiers import FillId, OrderId, StreamId, new_event_id
from events.log import ANY_VERSION
from events.postgres import PostgresEventLog
from oxbot.adapters.database import open_pool

ROUNDS = 5
ROUND_SECONDS = 0.8
BATCHES = (1, 10, 100)
BOTS = 24

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
    payload bytea NOT NULL,
    metadata bytea NOT NULL,
    UNIQUE (stream_no, version)
)
"""

INSERT_MANY = """
INSERT INTO bare_events (
    stream_no, version, event_id, event_type, schema_version, occurred_at, payload, metadata
)
SELECT * FROM unnest(
    $1::bigint[], $2::bigint[], $3::uuid[], $4::text[], $5::smallint[], $6::timestamptz[], $7::bytea[], $8::bytea[]
)
"""

INSERT_ONE = """
INSERT INTO bare_events (
    stream_no, version, event_id, event_type, schema_version, occurred_at, payload, metadata
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""

Call = Callable[[int], Awaitable[None]]
"""One append or insert by the producer of this number."""


async def run() -> AsyncIterator[Result]:
    """Batches of 1, 10 and 100 events from one producer, then 24 producers of single events."""
    async with (
        temporary_database() as dsn,
        await open_pool(dsn, size=2, application_name="ours") as pool,
        await open_pool(dsn, size=BOTS, application_name="reference") as bare,
        GroupCommitLog(PostgresEventLog(pool, Codec())) as log,
    ):
        await bare.execute(BARE_TABLE)
        versions = [0] * BOTS
        for size in BATCHES:
            ours, theirs = await _interleaved(_append(log, size), _insert_many(bare, versions, size), 1, size)
            for line in _results(f"batch {size}", ours, theirs, "asyncpg unnest insert, bare table"):
                yield line
        ours, theirs = await _interleaved(_append(log, 1), _insert_one(bare, versions), BOTS, 1)
        for line in _results(f"{BOTS} bots", ours, theirs, f"asyncpg single inserts, {BOTS} connections, bare table"):
            yield line


def _results(case: str, ours: list[Round], theirs: list[Round], reference_name: str) -> list[Result]:
    rate = result(
        "append",
        f"{case}, throughput",
        ours=throughput(ours),
        reference=throughput(theirs),
        reference_name=reference_name,
        unit="events/s",
    )
    latencies = [
        result(
            "append",
            f"{case}, {name} to durable",
            ours=latency_ms(ours, fraction),
            reference=latency_ms(theirs, fraction),
            reference_name=reference_name,
            unit="ms",
            digits=3,
        )
        for name, fraction in (("p50", 0.5), ("p99", 0.99))
    ]
    return [rate, *latencies]


async def _interleaved(ours: Call, theirs: Call, producers: int, size: int) -> tuple[list[Round], list[Round]]:
    """Rounds of both in turn, after one of each that is not counted."""
    rounds: tuple[list[Round], list[Round]] = ([], [])
    for number in range(ROUNDS + 1):
        for call, timed in zip((ours, theirs), rounds, strict=True):
            measured = await _round(call, producers, size)
            if number > 0:
                timed.append(measured)
    return rounds


async def _round(call: Call, producers: int, size: int) -> Round:
    latencies: list[float] = []
    began = time.perf_counter()

    async def produce(number: int) -> None:
        while time.perf_counter() - began < ROUND_SECONDS:
            sent = time.perf_counter()
            await call(number)
            latencies.append(time.perf_counter() - sent)

    await asyncio.gather(*(produce(number) for number in range(producers)))
    return Round(len(latencies) * size / (time.perf_counter() - began), latencies)


def _append(log: GroupCommitLog, size: int) -> Call:
    async def call(number: int) -> None:
        await log.append(StreamId(f"bot-{number}"), [_event() for _ in range(size)], expected=ANY_VERSION)

    return call


def _insert_many(bare: asyncpg.Pool, versions: list[int], size: int) -> Call:
    """The floor: the same rows, already encoded, with no expected version, duplicate check or order."""
    row = _encoded()

    async def call(number: int) -> None:
        versions[number] += size
        first = versions[number] - size + 1
        rows = [(number, first + k, new_event_id(), *row) for k in range(size)]
        await bare.execute(INSERT_MANY, *zip(*rows, strict=True))

    return call


def _insert_one(bare: asyncpg.Pool, versions: list[int]) -> Call:
    row = _encoded()

    async def call(number: int) -> None:
        versions[number] += 1
        await bare.execute(INSERT_ONE, number, versions[number], new_event_id(), *row)

    return call


def _event() -> NewEvent:
    now = datetime.now(UTC)
    fact = OrderFilled(
        order_id=OrderId("bot-7-0001234"),
        fill_id=FillId("bot-7-0001234-1"),
        at=now,
        quantity=Decimal("0.01190000"),
        price=Decimal("42000.10"),
        fee=Decimal("0.49980119"),
        liquidity="taker",
        complete=True,
    )
    return NewEvent(event_id=new_event_id(), occurred_at=now, fact=fact, metadata=Metadata(actor="bot-7"))


def _encoded() -> tuple[str, int, datetime, bytes, bytes]:
    event, codec = _event(), Codec()
    event_type, schema_version, payload = codec.encode(event.fact)
    return event_type, schema_version, event.occurred_at, payload, codec.encode_metadata(event.metadata)
