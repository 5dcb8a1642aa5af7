"""What is done to the log's server, its sessions and its gateway, at random moments and by process id alone."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import NamedTuple, Protocol

import asyncpg
import psutil

from events.postgres_calls import UNKNOWN_OUTCOME
from oxbot.adapters import embedded_postgres

SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE '%chaos%' ORDER BY pid"
TERMINATE = "SELECT pg_terminate_backend($1)"
HOLDER = """
SELECT l.pid FROM pg_locks AS l
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 6039475301852 >> 32 AND l.objid = 6039475301852 & 4294967295
"""
HUNT_SECONDS = 1.0
HOLD_SECONDS = (0.2, 0.5, 1.5, 6.0)
"""The longest is longer than an append waits for the lock."""

HURRIED_SECONDS = 52.0
"""A shorter run is as many faults as one of this length, one sooner after the other."""


class Gateway(Protocol):
    """A process through which some of the writers append."""

    async def process_id(self) -> int:
        """Its process, once it answers."""
        ...


class Server:
    """A private Postgres, whose processes may be killed because this object started them."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.dsn = ""

    def start(self) -> None:
        """Start it, first or again after it was killed."""
        self.dsn = embedded_postgres.start(self._data)

    def stop(self) -> None:
        """Shut it down in order."""
        embedded_postgres.stop(self._data)

    def kill(self) -> None:
        """Kill every process of it with SIGKILL, as the loss of the machine would."""
        postmaster = self._postmaster()
        # It stands still first, so that no process it is about to make escapes and keeps the next one from starting.
        postmaster.suspend()
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            # A session may have come to its own end in between.
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=10)

    def owns(self, process_id: int) -> bool:
        """Whether this is one of the server's sessions."""
        try:
            return psutil.Process(process_id).ppid() == self._postmaster().pid
        except psutil.NoSuchProcess:
            return False

    def _postmaster(self) -> psutil.Process:
        return psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))


@asynccontextmanager
async def stopped(process_id: int) -> AsyncIterator[None]:
    """The process stands still inside the block."""
    with suppress(ProcessLookupError):
        os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGCONT)


class Pace(NamedTuple):
    """How often a fault comes, and what it does; the moments between two vary by half."""

    seconds: float
    strike: Callable[[], Awaitable[None]]


class Adversary:
    """Strikes one blow after another, and leaves everything running in the end."""

    def __init__(self, server: Server, gateway: Gateway, *, counts: Counter[str], random: Random) -> None:
        self._server = server
        self._gateway = gateway
        self._counts = counts
        self._random = random

    async def strike(self, seconds: float) -> None:
        """Faults of every kind, each at its own pace, for so long: sessions end while everything else fails too."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._strike({"backend": Pace(0.4, self._terminate_backend)}, seconds))
            tasks.create_task(self._strike(self._paces(min(1.0, seconds / HURRIED_SECONDS)), seconds))

    async def _strike(self, paces: Mapping[str, Pace], seconds: float) -> None:
        clock = asyncio.get_running_loop().time
        begins_at = clock()
        due = {name: self._next(pace) for name, pace in paces.items()}
        while due:
            name = min(due, key=lambda each: due[each])
            if due[name] > seconds:
                return
            await asyncio.sleep(max(0.0, begins_at + due[name] - clock()))
            await paces[name].strike()
            due[name] = max(due[name] + self._next(paces[name]), clock() - begins_at)

    def _paces(self, hurry: float) -> Mapping[str, Pace]:
        return {
            "gateway": Pace(8.0 * hurry, self._kill_gateway),
            "holder": Pace(9.0 * hurry, self._stop_lock_holder),
            "server": Pace(13.0 * hurry, self._kill_server),
            "zombie": Pace(17.0 * hurry, self._stop_gateway),
        }

    def _next(self, pace: Pace) -> float:
        return pace.seconds * self._random.uniform(0.5, 1.5)

    async def _terminate_backend(self) -> None:
        with suppress(*UNKNOWN_OUTCOME):
            connection = await asyncpg.connect(self._server.dsn, timeout=1)
            try:
                sessions = [process_id for (process_id,) in await connection.fetch(SESSIONS, timeout=1)]
                if sessions and await connection.fetchval(TERMINATE, self._random.choice(sessions), timeout=1):
                    self._counts["backend kills"] += 1
            finally:
                connection.terminate()

    async def _stop_lock_holder(self) -> None:
        """Stop a session while it holds the log's lock, now and then for longer than the others wait for it."""
        connection = await asyncpg.connect(self._server.dsn)
        try:
            clock = asyncio.get_running_loop().time
            gives_up_at = clock() + HUNT_SECONDS
            while clock() < gives_up_at:
                process_id = await connection.fetchval(HOLDER)
                if process_id is None or not self._server.owns(process_id):
                    continue
                async with stopped(process_id):
                    # Whoever stands still may hold more than the log's lock; then not even this question is answered.
                    with suppress(TimeoutError):
                        if await connection.fetchval(HOLDER, timeout=1) == process_id:
                            self._counts["lock holders stopped"] += 1
                            await asyncio.sleep(self._random.choice(HOLD_SECONDS))
                            return
        finally:
            await connection.close()

    async def _kill_server(self) -> None:
        try:
            await asyncio.to_thread(self._server.kill)
            self._counts["server kills"] += 1
            await asyncio.sleep(self._random.choice([0.0, 0.5]))
        finally:
            await asyncio.to_thread(self._server.start)

    async def _kill_gateway(self) -> None:
        process_id = await self._gateway.process_id()
        os.kill(process_id, signal.SIGKILL)
        self._counts["gateway kills"] += 1

    async def _stop_gateway(self) -> None:
        """A gateway that stands still and comes back is one of two that send what the same writers want."""
        process_id = await self._gateway.process_id()
        async with stopped(process_id):
            self._counts["gateways stopped"] += 1
            await asyncio.sleep(self._random.choice([0.5, 3.0]))
