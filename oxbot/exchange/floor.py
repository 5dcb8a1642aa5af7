"""The exchange at work: time passes, commands run one by one, and nothing is told before it is on disk."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from oxbot.exchange.clock import Clocks
from oxbot.exchange.engine import Exchange
from oxbot.exchange.pushes import Push

Answer = TypeVar("Answer")

IDLE_SECONDS = 1.0
SHORTEST_SECONDS = 0.005


class Ledger(Protocol):
    """Where commands become durable (``journal.Journal``)."""

    @property
    def exchange(self) -> Exchange:
        """The engine whose commands it records."""

    @property
    def dirty(self) -> bool:
        """Whether something is not durable yet."""

    def flush(self) -> None:
        """Make it so."""


class Supply(Protocol):
    """What keeps prices coming (``feed.Feed``)."""

    def fill(self, until_ms: int) -> None:
        """Feed the exchange with what follows, at least until that time of the market."""


class Floor:
    """One task plays what is due by itself; another flushes the journal, then tells, then lets the answers go.

    All commands that were run since the last flush share the next one.
    """

    def __init__(self, ledger: Ledger, clocks: Clocks, supply: Supply, tell: Callable[[Sequence[Push]], None]) -> None:
        self.exchange = ledger.exchange
        self._ledger = ledger
        self._clocks = clocks
        self._supply = supply
        self._tell = tell
        self._waiting: list[asyncio.Future[None]] = []
        self._work = asyncio.Event()

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pass_time(), name="exchange time")
            tasks.create_task(self._ship_always(), name="exchange journal")

    async def act(self, do: Callable[[int], Answer]) -> Answer:
        """Do something at the present time of the market; the answer is durable when it is given."""
        answer = do(self.catch_up())
        # Something may be due sooner now than the clock's task thinks.
        self._clocks.changed.set()
        await self._shipped()
        return answer

    def catch_up(self) -> int:
        """Let everything happen that is due; the market's time, which never goes back."""
        now = max(self._clocks.market_ms(), self.exchange.now)
        self._supply.fill(now)
        self.exchange.advance(now)
        return now

    async def _pass_time(self) -> None:
        while True:
            self._clocks.changed.clear()
            self.catch_up()
            self._work.set()
            due = self.exchange.next_due()
            delay = None if due is None else self._clocks.machine_delay(due)
            wait = IDLE_SECONDS if delay is None else min(max(delay, SHORTEST_SECONDS), IDLE_SECONDS)
            try:
                async with asyncio.timeout(wait):
                    await self._clocks.changed.wait()
            except TimeoutError:
                continue

    async def _shipped(self) -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._work.set()
        await waiting

    async def _ship_always(self) -> None:
        while True:
            await self._work.wait()
            # What else is ready to run in this turn of the loop shares the flush.
            await asyncio.sleep(0)
            self._work.clear()
            self.ship()

    def ship(self) -> None:
        """Flush, tell, and let go of who waits; in one go, so that nothing runs between."""
        waiting, self._waiting = self._waiting, []
        pushes = self.exchange.drain()
        if self._ledger.dirty:
            self._ledger.flush()
        if pushes:
            self._tell(pushes)
        for one in waiting:
            if not one.done():
                one.set_result(None)
