"""What the API gives: reads beside a bare route, the overview of a fleet, the live stream, and the past."""

import asyncio
import re
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

import asyncpg

from benchmarks import Result, Round, latency_ms, result, temporary_database
from benchmarks._http import Connection, Listener, open_loop
from benchmarks._lives import EVENTS_PER_TRIP, event_of, life
from events.codec import Codec
from events.commit import GroupCommitLog
from events.identifiers import BotId, bot_stream
from events.log import ANY_VERSION, AppendCommand
from events.postgres import PostgresEventLog
from oxbot.adapters.database import open_pool
from oxbot.adapters.postgres_pasts import PostgresPasts
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.api.tokens import SignedIn, Tokens
from oxbot.app.past import BotHistory
from oxbot.app.projection import ProjectionRunner
from oxbot.core.account import UserId
from oxbot.wiring.people import key_source

BOTS = 1000
OLD = BotId("old")
OLD_EVENTS = 100_000
ROUNDS = 3
WRK_SECONDS = 5
WRK_CONNECTIONS = 16
OVERVIEWS_PER_SECOND = 50
OVERVIEW_SECONDS = 20
CLIENTS = 500
CLIENTS_PER_USER = 20
STREAMED = 40
STREAMED_PER_SECOND = 4
PASTS = 50
START_SECONDS = 60

_ADDRESS = re.compile(rb"listens on http://127\.0\.0\.1:(\d+)")
_RATE = re.compile(r"Requests/sec:\s+([0-9.]+)")
_FAULTS = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.+)")


class Served(NamedTuple):
    """The API, and who may ask it."""

    port: int
    tokens: Sequence[str]


async def run() -> AsyncIterator[Result]:
    """A thousand bots, one of them old; the API, the projector and the fleet in processes of their own."""
    async with temporary_database() as dsn, AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oxbot-benchmark-")))
        async with await open_pool(dsn, size=3, application_name="benchmark") as pool:
            await _fill(pool)
            tokens = [_token(home, f"reader-{number}") for number in range(CLIENTS // CLIENTS_PER_USER)]
            served = Served(await stack.enter_async_context(_process("ours", dsn, home)), tokens)
            bare_port = await stack.enter_async_context(_process("bare", dsn, home))
            if shutil.which("wrk") is None:
                print(
                    "wrk is not installed (apt-get install wrk): the read by primary key is left out", file=sys.stderr
                )
            else:
                yield await _reads(served, bare_port)
            yield await _past(served, pool)
            await stack.enter_async_context(_process("fleet", dsn, home, announces=False))
            async for line in _overviews(served, bare_port):
                yield line
            yield await _fan_out(served, pool)


async def _reads(served: Served, bare_port: int) -> Result:
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(ROUNDS + 1):
        for port, rates in ((served.port, ours), (bare_port, theirs)):
            rate = await _wrk(port, served.tokens[0], seconds=WRK_SECONDS if number else 1)
            if number > 0:
                rates.append(rate)
    return result(
        "api",
        f"a row by primary key, wrk with {WRK_CONNECTIONS} connections",
        ours=median(ours),
        reference=median(theirs),
        reference_name="a bare Starlette route with the same select; at least 0.5 of it is wanted",
        unit="requests/s",
    )


async def _past(served: Served, pool: asyncpg.Pool) -> Result:
    """At positions by chance, one after the other; the first of them is asked for before anything is warm."""
    chances, head = Random(1), await PostgresEventLog(pool, Codec()).head()  # noqa: S311 - no secret
    first = await pool.fetchval("SELECT min(e.position) FROM log.events AS e JOIN log.streams AS s USING (stream_no)"
                                " WHERE s.stream_id = $1", bot_stream(OLD))  # fmt: skip
    latencies: list[float] = []
    async with Connection(served.port, served.tokens[0]) as connection:
        for _ in range(PASTS):
            began = time.perf_counter()
            await connection.get(f"/api/v1/bots/{OLD}/portfolio?as_of={chances.randint(first, head)}")
            latencies.append(time.perf_counter() - began)
    return result(
        "api",
        f"portfolio as of a position, bot of {OLD_EVENTS} events, slowest of {PASTS}",
        ours=latency_ms([Round(0, latencies)], 1.0),
        reference=500,
        reference_name="what it may take",
        unit="ms",
    )


async def _overviews(served: Served, bare_port: int) -> AsyncIterator[Result]:
    """Beside what it may take, and beside a bare route that answers as many bytes just as often."""
    token = served.tokens[0]
    async with Connection(served.port, token) as connection:
        size = len(await connection.get("/api/v1/overview"))
    p99: list[float] = []
    for port, path in ((served.port, "/api/v1/overview"), (bare_port, f"/bytes/{size}")):
        latencies = await open_loop(port, token, path, per_second=OVERVIEWS_PER_SECOND, seconds=OVERVIEW_SECONDS)
        p99.append(latency_ms([Round(0, latencies)], 0.99))
    case = f"overview of {BOTS} bots, p99 from when each was due, {OVERVIEWS_PER_SECOND} requests/s"
    for reference, name in ((100.0, "what it may take"), (p99[1], "a bare route that answers as many bytes")):
        yield result("api", case, ours=p99[0], reference=reference, reference_name=name, unit="ms")


async def _fan_out(served: Served, pool: asyncpg.Pool) -> Result:
    """From when an append is durable to when its last byte is at a client, of each event at each client."""
    async with AsyncExitStack() as stack:
        listeners = [
            await stack.enter_async_context(Listener(served.port, served.tokens[number // CLIENTS_PER_USER]))
            for number in range(CLIENTS)
        ]
        durable: dict[int, float] = {}
        async with GroupCommitLog(PostgresEventLog(pool, Codec()), Codec()) as log:
            for fact in islice(life(BotId("streamed")), STREAMED):
                appended = await log.append(bot_stream(BotId("streamed")), [event_of(fact)], expected=ANY_VERSION)
                durable[appended.position] = time.perf_counter()
                await asyncio.sleep(1 / STREAMED_PER_SECOND)
        await asyncio.gather(*(listener.until(max(durable)) for listener in listeners))
    latencies = [
        max(0.0, listener.arrived[position] - at) for listener in listeners for position, at in durable.items()
    ]
    return result(
        "api",
        f"event stream to {CLIENTS} clients, p99 from durable to the last byte",
        ours=latency_ms([Round(0, latencies)], 0.99),
        reference=1000,
        reference_name="what it may take",
        unit="ms",
    )


async def _wrk(port: int, token: str, *, seconds: int) -> float:
    path = f"http://127.0.0.1:{port}/api/v1/bots/bot-7/portfolio"
    finished = await asyncio.create_subprocess_exec(
        "wrk", "-t1", f"-c{WRK_CONNECTIONS}", f"-d{seconds}s", "-H", f"Authorization: Bearer {token}", path,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said = (await finished.communicate())[0].decode()
    rate, faults = _RATE.search(said), _FAULTS.search(said)
    if rate is None or faults is not None:
        raise RuntimeError(f"wrk: {said}")
    return float(rate[1])


@asynccontextmanager
async def _process(role: str, dsn: str, home: Path, *, announces: bool = True) -> AsyncIterator[int]:
    """A process of the benchmark and, if it announces one, its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks._api_server", role, dsn, str(home), stdout=asyncio.subprocess.PIPE
    )
    try:
        port = 0
        if announces and process.stdout is not None:
            async with asyncio.timeout(START_SECONDS):
                while not (found := _ADDRESS.search(line := await process.stdout.readline())):
                    if not line:
                        raise RuntimeError(f"the process of {role} ended before it was ready")
                port = int(found[1])
                await _answers(port)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def _answers(port: int) -> None:
    """Return once something is served there."""
    async with Connection(port, "nobody") as connection:
        await connection.get("/healthz", expected=None)


def _token(home: Path, user: str) -> str:
    return Tokens(key_source(home)).issue(SignedIn(UserId(user), "viewer", session=user), at=datetime.now(UTC))


async def _fill(pool: asyncpg.Pool) -> None:
    """The bots' lives, projected, with states kept along the old one's."""
    log = PostgresEventLog(pool, Codec())
    lives = {BotId(f"bot-{number}"): life(BotId(f"bot-{number}")) for number in range(BOTS - 1)}
    for _ in range(5):
        await log.append_batch(
            [
                AppendCommand(
                    bot_stream(bot_id), ANY_VERSION, [event_of(fact) for fact in islice(facts, EVENTS_PER_TRIP)]
                )
                for bot_id, facts in lives.items()
            ]
        )
    old = life(OLD, Decimal(10_000_000))
    for _ in range(OLD_EVENTS // 1000):
        await log.append(bot_stream(OLD), [event_of(fact) for fact in islice(old, 1000)], expected=ANY_VERSION)
    await pool.execute("VACUUM ANALYZE log.events")
    await ProjectionRunner(log, PostgresViews(pool)).catch_up()
    await BotHistory(log, PostgresPasts(pool)).keep_up()
