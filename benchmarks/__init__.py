"""What is fast, measured against what: each module is one benchmark, run by ``python -m benchmarks NAME``."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import asyncpg
import msgspec

from oxbot.adapters import embedded_postgres
from oxbot.adapters.migrations import migrate


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a benchmark: a number of ours, the same number of a reference in the same run, ours / reference."""

    benchmark: str
    case: str
    ours: float
    reference: float
    reference_name: str
    ratio: float
    unit: str


class Round(NamedTuple):
    """What one timed round did: events per second, and each call's latency in seconds."""

    events_per_second: float
    latencies: list[float]


def result(
    benchmark: str, case: str, *, ours: float, reference: float, reference_name: str, unit: str, digits: int = 1
) -> Result:
    """The line for two numbers, rounded; the ratio is of the numbers as measured."""
    return Result(
        benchmark=benchmark,
        case=case,
        ours=round(ours, digits),
        reference=round(reference, digits),
        reference_name=reference_name,
        ratio=round(ours / reference, 3),
        unit=unit,
    )


def throughput(rounds: list[Round]) -> float:
    """The median over the rounds, in events per second."""
    return median(timed.events_per_second for timed in rounds)


def latency_ms(rounds: list[Round], fraction: float) -> float:
    """The latency, in milliseconds, that this fraction of a round's calls stayed within; the median over the rounds."""
    return 1000 * median(
        sorted(timed.latencies)[min(int(fraction * len(timed.latencies)), len(timed.latencies) - 1)] for timed in rounds
    )


@asynccontextmanager
async def temporary_database() -> AsyncIterator[str]:
    """The connection string of a migrated database on an embedded Postgres that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="oxbot-benchmark-", ignore_cleanup_errors=True) as directory:
        data = Path(directory) / "postgres"
        try:
            dsn = embedded_postgres.start(data)
            connection = await asyncpg.connect(dsn)
            await migrate(connection)
            await connection.close()
            yield dsn
        finally:
            embedded_postgres.stop(data)
