"""Runs one benchmark by name and prints each of its results as a line of JSON."""

import asyncio
import sys
from collections.abc import AsyncIterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

import msgspec

import benchmarks
from benchmarks import Result

USAGE_ERROR = 2


class Benchmark(Protocol):
    """What a benchmark's module offers."""

    def run(self) -> AsyncIterator[Result]:
        """Measure, and give each result as soon as it is known."""
        ...


async def main(name: str) -> None:
    """Print the results of the benchmark with this name."""
    module = cast("Benchmark", import_module(f"benchmarks.{name}"))
    async for line in module.run():
        print(msgspec.json.encode(line).decode(), flush=True)


names = sorted(found.name for found in iter_modules(benchmarks.__path__) if not found.name.startswith("_"))
if len(sys.argv) != USAGE_ERROR or sys.argv[1] not in names:
    print(f"usage: python -m benchmarks NAME, where NAME is one of: {', '.join(names)}", file=sys.stderr)
    sys.exit(USAGE_ERROR)
asyncio.run(main(sys.argv[1]))
