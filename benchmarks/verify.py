"""Events per second verified over the whole log, every hash made again, beside a bare copy of the same rows."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from statistics import median

import asyncpg

from benchmarks import Result, result, temporary_database
from events.bot import OrderFilled
from events.checkpoint import SignerKey, origin_of
from events.codec import Codec
from events.envelope import Metadata, NewEvent
from events.identifiers import FillId, OrderId, StreamId, new_event_id
from events.log import ANY_VERSION, AppendCommand
from events.postgres import PostgresEventLog
from oxbot.adapters.database import open_pool
from oxbot.adapters.memory_seal import MemorySeal
from oxbot.adapters.postgres_audit import PostgresAuditedLog
from oxbot.adapters.postgres_tree import PostgresCheckpoints, PostgresTree
from oxbot.app.audit_verify import Verifier
from oxbot.app.clock import SystemClock
from oxbot.app.sealer import Sealer

EVENTS = 200_000
STREAMS = 50
BATCH = 2_000
SEAL_EVERY = 20
ROUNDS = 5

BARE = """
    SELECT position, stream_no, version, event_id, event_type, schema_version, occurred_at, recorded_at,
           prev_hash, leaf_hash, payload, metadata
    FROM log.events ORDER BY position
"""


async def run() -> AsyncIterator[Result]:
    """A log of many streams with a checkpoint every forty thousand events; then what it took to seal it."""
    async with temporary_database() as dsn, await open_pool(dsn, size=2, application_name="verify") as pool:
        checkpoints = PostgresCheckpoints(pool, Codec())
        key = SignerKey(origin_of(await checkpoints.log_id()), bytes(32))
        sealed_per_second = await _fill(pool, checkpoints, key)
        await pool.execute("VACUUM ANALYZE log.events, log.event_ids")
        verifier = Verifier(PostgresAuditedLog(pool, Codec()), PostgresTree(pool), Codec(), keys=[key.verifier])
        ours: list[float] = []
        theirs: list[float] = []
        for number in range(ROUNDS + 1):
            measured, bare = await _verified(verifier), await _copied(pool)
            if number > 0:
                ours.append(measured)
                theirs.append(bare)
        yield _line(f"{EVENTS} events of {STREAMS} streams, whole log", median(ours), median(theirs))
        case = f"sealing {EVENTS} events, {EVENTS // BATCH // SEAL_EVERY} checkpoints"
        yield _line(case, sealed_per_second, median(theirs))


def _line(case: str, ours: float, reference: float) -> Result:
    return result(
        "verify",
        case,
        ours=ours,
        reference=reference,
        reference_name="asyncpg binary copy of the same rows, looked at by nobody",
        unit="events/s",
    )


async def _verified(verifier: Verifier) -> float:
    began = time.perf_counter()
    report = await verifier.verify()
    elapsed = time.perf_counter() - began
    assert report.events >= EVENTS
    assert not report.problems
    return report.events / elapsed


async def _copied(pool: asyncpg.Pool) -> float:
    size = 0

    async def count(data: bytes) -> None:
        nonlocal size
        size += len(data)

    async with pool.acquire() as connection:
        began = time.perf_counter()
        await connection.copy_from_query(BARE, output=count, format="binary")
        elapsed = time.perf_counter() - began
    assert size > EVENTS
    return EVENTS / elapsed


async def _fill(pool: asyncpg.Pool, checkpoints: PostgresCheckpoints, key: SignerKey) -> float:
    """Fills of orders, in many streams, sealed on the way; events sealed per second of sealing."""
    log = PostgresEventLog(pool, Codec())
    sealer = Sealer(
        log,
        PostgresTree(pool),
        checkpoints=checkpoints,
        memory=MemorySeal(),
        key=key,
        clock=SystemClock(),
        interval_seconds=1,
    )
    elapsed = 0.0
    for number in range(1, EVENTS // BATCH + 1):
        await log.append_batch(
            [
                AppendCommand(StreamId(f"bot-{stream}"), ANY_VERSION, [_event(n) for n in range(BATCH // STREAMS)])
                for stream in range(STREAMS)
            ]
        )
        if number % SEAL_EVERY == 0:
            began = time.perf_counter()
            await sealer.seal()
            elapsed += time.perf_counter() - began
    return EVENTS / elapsed


def _event(number: int) -> NewEvent:
    now = datetime.now(UTC)
    fact = OrderFilled(
        order_id=OrderId(f"bot-7-{number}"),
        fill_id=FillId(f"bot-7-{number}-1"),
        at=now,
        quantity=Decimal("0.0119"),
        price=Decimal("42000.10"),
        fee=Decimal("0.49980119"),
        liquidity="taker",
        complete=True,
    )
    return NewEvent(event_id=new_event_id(), occurred_at=now, fact=fact, metadata=Metadata(actor="bot-7"))
