"""200 bots that append cycles of three facts from Ray actors, directly and through a gateway, beside bare inserts."""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from actors.environment import prepare_embedded
from benchmarks import Result, Round, latency_ms, result, temporary_database, throughput
from benchmarks._cycle import FACTS, facts_of_cycle
from events.codec import Codec
from events.envelope import Metadata
from events.identifiers import FleetName, StreamId, new_event_id
from oxbot.adapters.database import open_pool
from oxbot.config import Secret, Settings
from oxbot.wiring.stores import Database

if TYPE_CHECKING:
    from actors.calls import Handle

BOTS = 200
ROUNDS = 5
ROUND_SECONDS = 2.0
START_SECONDS = 0.5
REFERENCE_BATCH = 150
"""What one of four hosts sends at once when all of its bots append."""

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

INSERT = """
INSERT INTO bare_events (
    stream_no, version, event_id, event_type, schema_version, occurred_at, payload, metadata
)
SELECT * FROM unnest(
    $1::bigint[], $2::bigint[], $3::uuid[], $4::text[], $5::smallint[], $6::timestamptz[], $7::bytea[], $8::bytea[]
)
"""

REFERENCE = "asyncpg unnest insert loop, one process, 150 events each, bare table"


class Case(NamedTuple):
    """How many processes share the bots, whether they go through a gateway, and the load they must bear."""

    name: str
    processes: int
    gateway: bool
    events_per_second_min: int


CASES = (
    Case("hosts", 4, gateway=False, events_per_second_min=12_000),
    Case("gateway", 4, gateway=True, events_per_second_min=8_000),
    Case("actors", 50, gateway=True, events_per_second_min=1_500),
)


async def run() -> AsyncIterator[Result]:
    """For each case the throughput, beside the reference, and the time to durable at half the load it must bear."""
    async with (
        temporary_database() as dsn,
        await open_pool(dsn, size=1, application_name="reference") as bare,
    ):
        await bare.execute(BARE_TABLE)
        insert = Inserts(bare)
        with tempfile.TemporaryDirectory(prefix="oxbot-benchmark-", ignore_cleanup_errors=True) as home:
            prepare_embedded(Path(home))
            from actors.cluster import start_ray, stop_ray  # noqa: PLC0415 - Ray reads its environment on import

            start_ray(Settings(home=Path(home)))
            try:
                for case in CASES:
                    # Standard output is for the results alone; Ray prints what it has to say there too.
                    with redirect_stdout(sys.stderr):
                        lines = await _measure(case, Database(dsn=Secret(dsn), embedded=True), insert)
                    for line in lines:
                        yield line
            finally:
                stop_ray()


class Inserts:
    """The floor: rows that are encoded already, with no expected version, no duplicate check, no order, no hash."""

    def __init__(self, bare: asyncpg.Pool) -> None:
        self._bare = bare
        self._version = 0
        stream, codec, now = StreamId("hosts-1-17"), Codec(), datetime.now(UTC)
        metadata = codec.encode_metadata(Metadata(actor=stream))
        cycle = [codec.encode(fact) for fact in facts_of_cycle(stream)]
        rows = [(event_type, schema, now, payload, metadata) for event_type, schema, payload in cycle]
        self._rows = rows * (REFERENCE_BATCH // FACTS)

    async def round(self) -> Round:
        """Insert batch after batch."""
        latencies: list[float] = []
        began = time.perf_counter()
        while (sent := time.perf_counter()) - began < ROUND_SECONDS:
            rows = [(1, self._version + k, new_event_id(), *row) for k, row in enumerate(self._rows)]
            self._version += REFERENCE_BATCH
            await self._bare.execute(INSERT, *zip(*rows, strict=True))
            latencies.append(time.perf_counter() - sent)
        return Round(len(latencies) * REFERENCE_BATCH / (time.perf_counter() - began), latencies)


async def _measure(case: Case, database: Database, inserts: Inserts) -> list[Result]:
    async with _processes(case, database) as processes:
        fast: list[Round] = []
        bare: list[Round] = []
        for number in range(ROUNDS + 1):
            bare.append(await inserts.round())
            fast.append(await _round(processes, None))
            if number == 0:
                bare.clear()
                fast.clear()
        paced = [await _round(processes, case.events_per_second_min / 2) for _ in range(ROUNDS)]
    held = throughput(paced)
    return [
        result(
            "gateway",
            f"{case.name}, throughput",
            ours=throughput(fast),
            reference=throughput(bare),
            reference_name=REFERENCE,
            unit="events/s",
        ),
        *(
            result(
                "gateway",
                f"{case.name}, {name} to durable at {held:.0f} events/s",
                ours=latency_ms(paced, fraction),
                reference=latency_ms(bare, fraction),
                reference_name=REFERENCE,
                unit="ms",
                digits=3,
            )
            for name, fraction in (("p50", 0.5), ("p99", 0.99))
        ),
    ]


async def _round(processes: "Sequence[Handle]", events_per_second: float | None) -> Round:
    from actors.calls import answer  # noqa: PLC0415 - imports Ray
    from benchmarks._bots import Tally, Turn  # noqa: PLC0415 - imports Ray

    pace = None if events_per_second is None else events_per_second / FACTS / len(processes)
    turn = Turn(begins_at=time.time() + START_SECONDS, seconds=ROUND_SECONDS, cycles_per_second=pace)
    tallies: list[Tally] = await asyncio.gather(
        *(answer(process.work.remote(turn), of="the bots") for process in processes)
    )
    latencies = [latency for tally in tallies for latency in tally.latencies]
    return Round(sum(tally.cycles for tally in tallies) * FACTS / ROUND_SECONDS, latencies)


@asynccontextmanager
async def _processes(case: Case, database: Database) -> "AsyncIterator[Sequence[Handle]]":
    """The processes of a case, each with its share of the bots; they and their gateways end with the block."""
    import ray  # noqa: PLC0415 - Ray reads its environment on import

    from actors import options  # noqa: PLC0415 - beside the rest
    from actors.calls import answer, find, spawn  # noqa: PLC0415 - imports Ray
    from actors.gateway import Gateways  # noqa: PLC0415 - imports Ray
    from actors.nodes import alive_nodes  # noqa: PLC0415 - imports Ray
    from benchmarks._bots import BotsActor  # noqa: PLC0415 - imports Ray

    fleet = FleetName(case.name)
    gateways = Gateways(fleet=fleet, nodes=tuple(alive_nodes()))
    handles = []
    if case.gateway:
        gateways.ensure(database, "warning")
        handles += [find(name) for name in gateways.names(nearest_to="")]
    names = [f"{case.name}-{number}" for number in range(case.processes)]
    way = gateways if case.gateway else database
    processes = [spawn(BotsActor, options.resident(name), name, BOTS // case.processes, way) for name in names]
    try:
        await asyncio.gather(*(answer(process.open.remote(), of="the bots", seconds=300) for process in processes))
        yield processes
    finally:
        for handle in (*processes, *handles):
            ray.kill(handle)
