"""One run: writers, readers and an adversary at once, then quiet, then the judgement."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import NamedTuple

import asyncpg

from events.bot import BotStopped
from events.log import ANY_VERSION
from oxbot.adapters.migrations import migrate
from tests.simulation.checker import read_stored, violations
from tests.simulation.facts import new_event
from tests.simulation.history import History
from tests.simulation.readers import LAST_STREAM, Follower
from tests.simulation.ways import Ways
from tests.simulation.writers import Command, Writer

QUIET_SECONDS = 90.0
"""How long writers and readers may take to come to an end once nobody strikes any more."""

ASKED_AGAIN = 60
JUDGED = ("missed", "duplicated", "gap", "lost ack")

# As a superuser, in a log without events: partitions so small that a run fills some.
SHRINK = """
CREATE OR REPLACE FUNCTION log.partition_size() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 10000::bigint';
ALTER TABLE log.events DETACH PARTITION log.events_p1;
DROP TABLE log.events_p1;
DELETE FROM log.partitions;
SELECT log.add_partitions(1);
"""

Strike = Callable[[History], Awaitable[None]]
"""What is done while the writers are at work; when it ends, they stop."""


class Outcome(NamedTuple):
    """What a run came to."""

    events: int
    counts: Counter[str]
    violations: Sequence[str]

    def line(self) -> str:
        """All the counts in one line."""
        kinds = Counter(violation.partition(":")[0] for violation in self.violations)
        counted = [f"{count} {name}" for name, count in sorted(self.counts.items())]
        judged = [f"{kinds[kind]} {kind}" for kind in JUDGED]
        return ", ".join([f"{self.events} events", *counted, *judged, f"{len(self.violations)} violations in all"])


class Fire:
    """A run over the ways to one log; ``writers`` names the way of each."""

    def __init__(
        self, dsn: str, ways: Ways, *, writers: Sequence[str], seed: int, quiet_seconds: float = QUIET_SECONDS
    ) -> None:
        self._dsn = dsn
        self._ways = ways
        self._writers = writers
        self._seed = seed
        self._quiet_seconds = quiet_seconds
        self._history = History()

    async def burn(self, strike: Strike) -> Outcome:
        """What the run came to."""
        async with asyncio.TaskGroup() as tasks:
            reading = await self._begin_reading(tasks)
            await self._write(tasks, strike)
            await self._end()
            await self._settle("missed: {} readers never came to the end", reading)
        stored = await read_stored(self._dsn)
        return Outcome(len(stored.events), self._history.counts, violations(self._history, stored))

    async def _begin_reading(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Readers with and without hints, of all facts and of some; two that start over at random moments."""
        tail = Follower("tail", await self._ways.connected(2), history=self._history)
        deaf = Follower("deaf", await self._ways.connected(1), history=self._history)
        types = ["capital.deposited", "order.requested", "bot.stopped"]
        choosy = Follower("choosy", await self._ways.connected(2), history=self._history, types=types)
        restless = Follower("restless", await self._ways.connected(2), history=self._history)
        return [
            tasks.create_task(tail.follow()),
            tasks.create_task(deaf.follow()),
            tasks.create_task(choosy.start_over(self._random("choosy"))),
            tasks.create_task(restless.start_over(self._random("restless"))),
        ]

    async def _write(self, tasks: asyncio.TaskGroup, strike: Strike) -> None:
        stop = asyncio.Event()
        writing = [
            tasks.create_task(self._writer(f"{way}-{number}", way).write(stop))
            for number, way in enumerate(self._writers)
        ]
        try:
            await strike(self._history)
        finally:
            stop.set()
        await self._settle("unanswered: {} writers never got an answer", writing)

    async def _end(self) -> None:
        """The last event, and some of the first answers asked for once more."""
        last = self._writer("last", self._writers[0])
        random = self._random("end")
        for ack in random.sample(self._history.acks, min(ASKED_AGAIN, len(self._history.acks))):
            await last.ask_again(ack)
        await last.append(Command(LAST_STREAM, ANY_VERSION, [new_event(BotStopped())]))

    async def _settle(self, otherwise: str, tasks: Sequence[asyncio.Task[None]]) -> None:
        _, pending = await asyncio.wait(tasks, timeout=self._quiet_seconds)
        if pending:
            self._history.report(otherwise.format(len(pending)))
        for task in pending:
            task.cancel()

    def _writer(self, name: str, way: str) -> Writer:
        return Writer(name, self._ways.logs, way, history=self._history, random=self._random(name))

    def _random(self, name: str) -> Random:
        """The same for the same seed, whatever the others do."""
        return Random(f"{self._seed} {name}")  # noqa: S311 - the seed is to be repeated


async def make_log(dsn: str) -> None:
    """An empty log in an empty database."""
    connection = await asyncpg.connect(dsn)
    await migrate(connection)
    await connection.execute(SHRINK)
    await connection.close()
