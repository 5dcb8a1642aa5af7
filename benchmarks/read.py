"""Events per second read back and decoded, in order and stream by stream, beside a bare read and eventsourcing."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast
from uuid import UUID, uuid4

import asyncpg
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate
from eventsourcing.domain import event as domain_event

from benchmarks import Result, Round, result, temporary_database, throughput
from benchmarks._stores import Content, EventSourcing, postgres_settings
from events.bot import OrderAccepted, OrderFilled, OrderRequested
from events.codec import Codec
from events.envelope import Fact, Metadata, NewEvent
from events.identifiers import FillId, OrderId, StreamId, Symbol, new_event_id
from events.log import ANY_VERSION, AppendCommand
from events.postgres import PostgresEventLog
from events.values import Bracket
from oxbot.adapters.database import open_pool

EVENTS = 50_000
STREAMS = 50
PAGE = 1000
STREAM_EVENTS = 10_000
ROUNDS = 7
SAVED_TOGETHER = 100
LONG_STREAM = StreamId("bot-long")
OURS = "ours"
BARE = "asyncpg keyset read of the same rows, not decoded"
NOTIFICATIONS = "eventsourcing select_notifications, not decoded"
REPOSITORY = "eventsourcing repository"

BARE_PAGE = """
SELECT position, stream_no, version, event_id, event_type, schema_version, occurred_at, recorded_at, payload, metadata
FROM log.events
WHERE position > $1
ORDER BY position
LIMIT $2
"""

Read = Callable[[], Awaitable[int]]
"""Reads everything once and answers how many events there were."""


class Fills(Aggregate):
    """An aggregate of the package with one event, whose effect is as small as can be."""

    def __init__(self) -> None:
        self.count = 0

    @domain_event("Filled")
    def fill(self, order_id: str, quantity: Decimal, price: Decimal, fee: Decimal, at: datetime) -> None:
        """Count a fill of an order."""
        del order_id, quantity, price, fee, at
        self.count += 1


async def run() -> AsyncIterator[Result]:
    """The whole log from the first event to the last, then one stream of ten thousand facts."""
    async with temporary_database() as dsn, await open_pool(dsn, size=2, application_name="read") as pool:
        log = PostgresEventLog(pool, Codec())
        await _fill(log)
        reference = EventSourcing(dsn, _content(), connections=1)
        try:
            stream = uuid4()
            for _ in range(EVENTS // PAGE):
                reference.insert(stream, PAGE)
            await pool.execute("VACUUM ANALYZE log.events, log.streams, reference_events")
            contenders: dict[str, Read] = {
                OURS: lambda: _read_all(log),
                BARE: lambda: _read_bare(pool),
                NOTIFICATIONS: lambda: _read_notifications(reference),
            }
            for line in _results(f"{EVENTS} events in pages of {PAGE}, decoded", await _interleaved(contenders)):
                yield line
        finally:
            reference.close()
        application = Application[UUID](env=postgres_settings(dsn))
        try:
            aggregate = _save(application)
            rehydrated: dict[str, Read] = {
                OURS: lambda: _rehydrate(log),
                REPOSITORY: lambda: _rehydrate_reference(application, aggregate),
            }
            for line in _results(f"one stream of {STREAM_EVENTS} facts rehydrated", await _interleaved(rehydrated)):
                yield line
        finally:
            application.close()


def _results(case: str, rounds: Mapping[str, list[Round]]) -> list[Result]:
    return [
        result(
            "read",
            case,
            ours=throughput(rounds[OURS]),
            reference=throughput(theirs),
            reference_name=name,
            unit="events/s",
        )
        for name, theirs in rounds.items()
        if name != OURS
    ]


async def _interleaved(contenders: Mapping[str, Read]) -> dict[str, list[Round]]:
    """Rounds of all in turn, after one of each that is not counted."""
    rounds: dict[str, list[Round]] = {name: [] for name in contenders}
    for number in range(ROUNDS + 1):
        for name, read in contenders.items():
            began = time.perf_counter()
            count = await read()
            if number > 0:
                rounds[name].append(Round(count / (time.perf_counter() - began), []))
    return rounds


async def _read_all(log: PostgresEventLog) -> int:
    position = 0
    while position < EVENTS:
        position = (await log.read_all(after_position=position, limit=PAGE))[-1].position
    return position


async def _read_bare(pool: asyncpg.Pool) -> int:
    position = 0
    while position < EVENTS:
        position = (await pool.fetch(BARE_PAGE, position, PAGE))[-1]["position"]
    return position


async def _read_notifications(reference: EventSourcing) -> int:
    position = 0
    while page := reference.recorder.select_notifications(start=position, limit=PAGE, inclusive_of_start=False):
        position = cast("int", page[-1].id)
    return position


async def _rehydrate(log: PostgresEventLog) -> int:
    """A fold that counts, as the reference's aggregate does."""
    count = 0
    for event in await log.read_stream(LONG_STREAM):
        match event.fact:
            case OrderFilled():
                count += 1
            case _:
                raise AssertionError(event)
    assert count == STREAM_EVENTS
    return count


async def _rehydrate_reference(application: Application[UUID], aggregate: UUID) -> int:
    found: Fills = application.repository.get(aggregate)
    assert found.count == STREAM_EVENTS
    return found.count


def _save(application: Application[UUID]) -> UUID:
    fills = Fills()
    for number in range(STREAM_EVENTS):
        fact = cast("OrderFilled", _facts(number)[2])
        fills.fill(fact.order_id, fact.quantity, fact.price, fact.fee, fact.at)
        if number % SAVED_TOGETHER == 0:
            application.save(fills)
    application.save(fills)
    return fills.id


async def _fill(log: PostgresEventLog) -> None:
    """Requests, acceptances and fills of orders, in many streams; then fills in one."""
    for _ in range(EVENTS // PAGE):
        commands = [
            AppendCommand(StreamId(f"bot-{number}"), ANY_VERSION, [_event(k) for k in range(PAGE // STREAMS)])
            for number in range(STREAMS)
        ]
        await log.append_batch(commands)
    for _ in range(STREAM_EVENTS // PAGE):
        await log.append(LONG_STREAM, [_event(2) for _ in range(PAGE)], expected=ANY_VERSION)


def _content() -> Content:
    codec, sent = Codec(), _event(0)
    return Content(*codec.encode(sent.fact), codec.encode_metadata(sent.metadata))


def _event(number: int) -> NewEvent:
    facts = _facts(number)
    return NewEvent(
        event_id=new_event_id(),
        occurred_at=datetime.now(UTC),
        fact=facts[number % len(facts)],
        metadata=Metadata(actor="bot-7"),
    )


def _facts(number: int) -> tuple[Fact, ...]:
    now = datetime.now(UTC)
    order = OrderId(f"bot-7-{number}")
    return (
        OrderRequested(
            order_id=order,
            at=now,
            symbol=Symbol("BTC/USDT"),
            side="buy",
            kind="market",
            reason="entry",
            notional=Decimal("500"),
            bracket=Bracket(stop_fraction=Decimal("0.02"), target_fraction=Decimal("0.04")),
        ),
        OrderAccepted(order_id=order, at=now),
        OrderFilled(
            order_id=order,
            fill_id=FillId(f"bot-7-{number}-1"),
            at=now,
            quantity=Decimal("0.0119"),
            price=Decimal("42000.10"),
            fee=Decimal("0.49980119"),
            liquidity="taker",
            complete=True,
        ),
    )
