"""An event loop whose time jumps to whatever is waited for next, so that minutes of waiting take no time at all."""

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import TypeVar

from tests.core.scenario import START

T = TypeVar("T")


class Deadlock(AssertionError):
    """Everything waits, and for nothing that time could bring."""


class _Jumping(selectors.SelectSelector):
    """A selector that never waits: it says instead how long it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("nothing is left that could happen")
        self.elapsed += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop with a time of its own."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.elapsed


class LoopClock:
    """The time of day as the running loop tells it."""

    def now(self) -> datetime:
        return START + timedelta(microseconds=round(asyncio.get_running_loop().time() * 1_000_000))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run(main: Coroutine[None, None, T]) -> T:
    """Run it to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
