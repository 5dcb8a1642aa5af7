"""Appends per second and time to durable through the group-commit writer, beside eventsourcing and a bare table."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

from benchmarks import Result, Round, latency_ms, result, temporary_database, throughput
from benchmarks._stores import BARE_TABLE, BareQueue, BareTable, Content, EventSourcing
from events.bot import OrderFilled
from events.codec import Codec
from events.commit import GroupCommitLog
from events.envelope import Metadata, NewEvent
from events.identifiers import FillId, OrderId, StreamId, new_event_id
from events.log import ANY_VERSION
from events.postgres import PostgresEventLog
from oxbot.adapters.database import open_pool

ROUNDS = 7
ROUND_SECONDS = 0.8
BATCHES = (1, 10, 100, 1000)
WRITERS = (16, 64)
EVENTSOURCING = "eventsourcing, as it comes (locks its table)"
BARE = "asyncpg unnest insert, bare table"
QUEUE = "asyncpg one-writer group commit, bare table"
OURS = "ours"

Case = Callable[[], Awaitable[Round]]
"""One timed round of one contender."""

FACT = OrderFilled(
    order_id=OrderId("bot-7-0001234"),
    fill_id=FillId("bot-7-0001234-1"),
    at=datetime(2024, 1, 31, 23, 55, tzinfo=UTC),
    quantity=Decimal("0.01190000"),
    price=Decimal("42000.10"),
    fee=Decimal("0.49980119"),
    liquidity="taker",
    complete=True,
)
METADATA = Metadata(actor="bot-7")


async def run() -> AsyncIterator[Result]:
    """One producer of batches of 1, 10, 100 and 1000 events, then 16 and 64 writers of single events."""
    async with (
        temporary_database() as dsn,
        await open_pool(dsn, size=2, application_name="ours") as pool,
        await open_pool(dsn, size=1, application_name="reference") as bare,
        GroupCommitLog(PostgresEventLog(pool, Codec()), Codec()) as log,
    ):
        await bare.execute(BARE_TABLE)
        content = _content()
        table, reference = BareTable(bare, content), EventSourcing(dsn, content, connections=max(WRITERS))
        try:
            for size in BATCHES:
                contenders = {
                    OURS: lambda size=size: _produce(lambda _: _append(log, 0, size), 1, size),
                    EVENTSOURCING: lambda size=size: _in_threads(reference, 1, size),
                    BARE: lambda size=size: _produce(lambda _: table.insert([0] * size), 1, size),
                }
                for line in _results(f"batch {size}", await _interleaved(contenders)):
                    yield line
            for writers in WRITERS:
                contenders = {
                    OURS: lambda writers=writers: _produce(lambda number: _append(log, number, 1), writers, 1),
                    EVENTSOURCING: lambda writers=writers: _in_threads(reference, writers, 1),
                    QUEUE: lambda writers=writers: _through_queue(table, writers),
                }
                for line in _results(f"{writers} writers", await _interleaved(contenders)):
                    yield line
        finally:
            reference.close()


def _results(case: str, rounds: Mapping[str, Sequence[Round]]) -> Iterator[Result]:
    ours = list(rounds[OURS])
    for name in [name for name in rounds if name != OURS]:
        theirs = list(rounds[name])
        yield result(
            "append",
            f"{case}, throughput",
            ours=throughput(ours),
            reference=throughput(theirs),
            reference_name=name,
            unit="events/s",
        )
        for label, fraction in (("p50", 0.5), ("p99", 0.99)):
            yield result(
                "append",
                f"{case}, {label} to durable",
                ours=latency_ms(ours, fraction),
                reference=latency_ms(theirs, fraction),
                reference_name=name,
                unit="ms",
                digits=3,
            )


async def _interleaved(contenders: Mapping[str, Case]) -> dict[str, list[Round]]:
    """Rounds of all in turn, after one of each that is not counted."""
    rounds: dict[str, list[Round]] = {name: [] for name in contenders}
    for number in range(ROUNDS + 1):
        for name, case in contenders.items():
            measured = await case()
            if number > 0:
                rounds[name].append(measured)
    return rounds


async def _produce(call: Callable[[int], Awaitable[object]], producers: int, size: int) -> Round:
    """So many producers, each with its next call as soon as the last one is answered."""
    latencies: list[float] = []
    began = time.perf_counter()

    async def produce(number: int) -> None:
        while time.perf_counter() - began < ROUND_SECONDS:
            sent = time.perf_counter()
            await call(number)
            latencies.append(time.perf_counter() - sent)

    await asyncio.gather(*(produce(number) for number in range(producers)))
    return Round(len(latencies) * size / (time.perf_counter() - began), latencies)


async def _through_queue(table: BareTable, writers: int) -> Round:
    queue = BareQueue(table)
    running = asyncio.ensure_future(queue.run())
    try:
        return await _produce(queue.append, writers, 1)
    finally:
        running.cancel()


async def _in_threads(reference: EventSourcing, writers: int, size: int) -> Round:
    """The package blocks, so each of its writers is a thread, with a stream of its own."""
    latencies: list[float] = []
    began = time.perf_counter()

    def produce() -> None:
        stream = uuid4()
        while time.perf_counter() - began < ROUND_SECONDS:
            sent = time.perf_counter()
            reference.insert(stream, size)
            latencies.append(time.perf_counter() - sent)

    await asyncio.gather(
        *(asyncio.get_running_loop().run_in_executor(reference.threads, produce) for _ in range(writers))
    )
    return Round(len(latencies) * size / (time.perf_counter() - began), latencies)


async def _append(log: GroupCommitLog, number: int, size: int) -> None:
    now = datetime.now(UTC)
    events = [NewEvent(event_id=new_event_id(), occurred_at=now, fact=FACT, metadata=METADATA) for _ in range(size)]
    await log.append(StreamId(f"bot-{number}"), events, expected=ANY_VERSION)


def _content() -> Content:
    codec = Codec()
    return Content(*codec.encode(FACT), codec.encode_metadata(METADATA))
