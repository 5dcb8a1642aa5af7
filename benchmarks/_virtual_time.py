"""An event loop that does not wait: its time jumps to whatever comes next, so that a day takes what its work takes."""

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import TypeVar

T = TypeVar("T")

BEGINS_AT = datetime(2024, 1, 1, tzinfo=UTC)


class _Jumping(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.elapsed += max(0.0, timeout or 0.0)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.elapsed


class VirtualClock:
    """A ``Clock`` that the running loop tells the time."""

    def now(self) -> datetime:
        """The time of day in UTC; it began at midnight."""
        return BEGINS_AT + timedelta(microseconds=round(asyncio.get_running_loop().time() * 1_000_000))

    async def sleep(self, seconds: float) -> None:
        """Return after this many seconds, none of which is waited for."""
        await asyncio.sleep(seconds)


def run(main: Coroutine[None, None, T]) -> T:
    """Run it to its end in virtual time, whatever loop is running here."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)
