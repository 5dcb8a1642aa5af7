"""Events per second read back in order and decoded to facts, beside a bare read of the same rows."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg

from benchmarks import Result, Round, result, temporary_database, throughput
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
ROUNDS = 5

BARE_PAGE = """
SELECT position, stream_no, version, event_id, event_type, schema_version, occurred_at, recorded_at, payload, metadata
FROM log.events
WHERE position > $1
ORDER BY position
LIMIT $2
"""

Page = Callable[[int], Awaitable[int]]
"""Reads the page after a position and answers the last position on it."""


async def run() -> AsyncIterator[Result]:
    """The whole log, from the first event to the last, in pages of a thousand."""
    async with temporary_database() as dsn, await open_pool(dsn, size=2, application_name="replay") as pool:
        log = PostgresEventLog(pool, Codec())
        await _fill(log)
        await pool.execute("VACUUM ANALYZE log.events")
        ours: list[Round] = []
        theirs: list[Round] = []
        for number in range(ROUNDS + 1):
            for page, rounds in ((_decoded(log), ours), (_bare(pool), theirs)):
                measured = await _round(page)
                if number > 0:
                    rounds.append(measured)
        yield result(
            "replay",
            f"{EVENTS} events in pages of {PAGE}, decoded",
            ours=throughput(ours),
            reference=throughput(theirs),
            reference_name="asyncpg keyset read of the same rows, not decoded",
            unit="events/s",
        )


async def _fill(log: PostgresEventLog) -> None:
    """Requests, acceptances and fills of orders, in many streams."""
    for _ in range(EVENTS // PAGE):
        commands = [
            AppendCommand(StreamId(f"bot-{number}"), ANY_VERSION, [_event(k) for k in range(PAGE // STREAMS)])
            for number in range(STREAMS)
        ]
        await log.append_batch(commands)


def _decoded(log: PostgresEventLog) -> Page:
    async def page(after_position: int) -> int:
        return (await log.read_all(after_position=after_position, limit=PAGE))[-1].position

    return page


def _bare(pool: asyncpg.Pool) -> Page:
    async def page(after_position: int) -> int:
        last: int = (await pool.fetch(BARE_PAGE, after_position, PAGE))[-1]["position"]
        return last

    return page


async def _round(page: Page) -> Round:
    began = time.perf_counter()
    position = 0
    while position < EVENTS:
        position = await page(position)
    return Round(EVENTS / (time.perf_counter() - began), [])


def _event(number: int) -> NewEvent:
    now = datetime.now(UTC)
    order = OrderId(f"bot-7-{number}")
    facts: tuple[Fact, ...] = (
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
    return NewEvent(
        event_id=new_event_id(), occurred_at=now, fact=facts[number % len(facts)], metadata=Metadata(actor="bot-7")
    )
