"""Events per second read back and decoded, in order and stream by stream, beside a bare read and eventsourcing."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import asyncpg
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate
from eventsourcing.domain import event as domain_event
from eventsourcing.persistence import ApplicationRecorder

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

BOTS = 50
CANDLES = 340
EVENTS = BOTS * CANDLES * 3
PAGE = 1000
STREAM_EVENTS = 10_000
CANDLE = timedelta(minutes=5)
BEGINS_AT = datetime(2024, 1, 1, tzinfo=UTC)
ROUNDS = 7
SAVED_TOGETHER = 100
LONG_STREAM = StreamId("bot-long")
OURS = "ours"
BARE = "asyncpg keyset read of the same rows, not decoded"
NOTIFICATIONS = "eventsourcing select_notifications, not decoded"
MAPPED = "eventsourcing select_notifications, mapped to its domain events"
METADATA = Metadata(actor="bot-7")
REPOSITORY = "eventsourcing repository"

FILLED = ("order_id", "fill_id", "at", "quantity", "price", "fee", "liquidity", "complete")
"""The fields of a fill that say something: those that ours stores."""

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
    def fill(  # noqa: PLR0917  # the package takes an event's fields by position
        self,
        order_id: str,
        fill_id: str,
        at: datetime,
        quantity: Decimal,
        price: Decimal,
        fee: Decimal,
        liquidity: str,
        complete: bool,  # noqa: FBT001  # as above
    ) -> None:
        """Count a fill of an order."""
        del order_id, fill_id, at, quantity, price, fee, liquidity, complete
        self.count += 1


async def run() -> AsyncIterator[Result]:
    """The whole log from the first event to the last, then one stream of ten thousand facts."""
    async with temporary_database() as dsn, await open_pool(dsn, size=2, application_name="read") as pool:
        log = PostgresEventLog(pool, Codec())
        await _fill(log)
        application = Application[UUID](env=postgres_settings(dsn))
        reference = EventSourcing(dsn, _content(), connections=1)
        try:
            aggregate = _save(application)
            _insert(reference)
            await pool.execute("VACUUM ANALYZE")
            in_order: dict[str, Read] = {
                OURS: lambda: _read_all(log),
                BARE: lambda: _read_bare(pool),
                NOTIFICATIONS: lambda: _read_notifications(reference.recorder),
                MAPPED: lambda: _read_mapped(application),
            }
            for line in _results(f"{EVENTS} events in pages of {PAGE}, decoded", await _interleaved(in_order)):
                yield line
            rehydrated: dict[str, Read] = {
                OURS: lambda: _rehydrate(log),
                REPOSITORY: lambda: _rehydrate_reference(application, aggregate),
            }
            for line in _results(f"one stream of {STREAM_EVENTS} facts rehydrated", await _interleaved(rehydrated)):
                yield line
        finally:
            application.close()
            reference.close()


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


async def _read_notifications(recorder: ApplicationRecorder) -> int:
    count = position = 0
    while page := recorder.select_notifications(start=position, limit=PAGE, inclusive_of_start=False):
        position, count = page[-1].id, count + len(page)
    return count


async def _read_mapped(application: Application[UUID]) -> int:
    count = position = 0
    recorder, mapper = application.recorder, application.mapper
    while page := recorder.select_notifications(start=position, limit=PAGE, inclusive_of_start=False):
        facts = [mapper.to_domain_event(stored) for stored in page]
        position, count = page[-1].id, count + len(facts)
    return count


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
        fact = _fill_of(number)
        fills.fill(*(getattr(fact, name) for name in FILLED))
        if number % SAVED_TOGETHER == 0:
            application.save(fills)
    application.save(fills)
    return fills.id


def _insert(reference: EventSourcing) -> None:
    stream = uuid4()
    for _ in range(EVENTS // PAGE):
        reference.insert(stream, PAGE)


async def _fill(log: PostgresEventLog) -> None:
    """A fleet that trades on every candle, three facts to a bot's cycle; then one bot's fills, one to a candle."""
    for candle in range(CANDLES):
        at = BEGINS_AT + candle * CANDLE
        commands = [
            AppendCommand(StreamId(f"bot-{bot}"), ANY_VERSION, [_event(fact, at) for fact in _cycle(bot, at)])
            for bot in range(BOTS)
        ]
        await log.append_batch(commands)
    for begin in range(0, STREAM_EVENTS, PAGE):
        facts = [_fill_of(number) for number in range(begin, begin + PAGE)]
        await log.append(LONG_STREAM, [_event(fact, fact.at) for fact in facts], expected=ANY_VERSION)


def _content() -> Content:
    codec, fact = Codec(), _fill_of(0)
    return Content(*codec.encode(fact), codec.encode_metadata(METADATA))


def _event(fact: Fact, at: datetime) -> NewEvent:
    return NewEvent(event_id=new_event_id(), occurred_at=at, fact=fact, metadata=METADATA)


def _cycle(bot: int, at: datetime) -> tuple[Fact, ...]:
    """An order's life in one cycle: requested, accepted and filled."""
    order = OrderId(f"bot-{bot}-{at:%j%H%M}")
    requested = OrderRequested(
        order_id=order,
        at=at,
        symbol=Symbol("BTC/USDT"),
        side="buy",
        kind="market",
        reason="entry",
        notional=Decimal("500"),
        bracket=Bracket(stop_fraction=Decimal("0.02"), target_fraction=Decimal("0.04")),
    )
    return requested, OrderAccepted(order_id=order, at=at), _filled(order, at)


def _fill_of(number: int) -> OrderFilled:
    return _filled(OrderId(f"bot-7-{number}"), BEGINS_AT + number * CANDLE)


def _filled(order: OrderId, at: datetime) -> OrderFilled:
    return OrderFilled(
        order_id=order,
        fill_id=FillId(f"{order}-1"),
        at=at,
        quantity=Decimal("0.0119"),
        price=Decimal("42000.10"),
        fee=Decimal("0.49980119"),
        liquidity="taker",
        complete=True,
    )
