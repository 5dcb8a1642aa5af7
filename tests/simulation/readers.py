"""Readers that follow the log while it is under fire, one from its first event to its last, others starting over."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from random import Random

from events.envelope import RecordedEvent
from events.errors import LogError
from events.identifiers import StreamId
from events.log import LogReader
from events.subscription import subscribe
from tests.simulation.history import History, Run

LAST_STREAM = StreamId("bot-last")
"""What is appended to it comes after everything else, so whoever is given it has come to the end."""


class Follower:
    """Follows the log to its end, over however many subscriptions, and keeps what each of them was given."""

    def __init__(self, name: str, log: LogReader, *, history: History, types: Sequence[str] | None = None) -> None:
        self._name = name
        self._log = log
        self._history = history
        self._types = types

    async def follow(self) -> None:
        """One subscription, from the first event to the last."""
        await self._subscribe(0)

    async def start_over(self, random: Random) -> None:
        """Break off at random moments and go on from there, from somewhere before, or from the first event."""
        positions = [0]
        while True:
            run: Run | None = None
            with suppress(TimeoutError):
                async with asyncio.timeout(random.uniform(0.05, 4)):
                    run = await self._subscribe(random.choice(positions[-3:]))
            if run is not None:
                return
            positions.append(self._history.runs[-1].position)

    async def _subscribe(self, after_position: int) -> Run:
        run = Run(self._name, after_position, self._types)
        self._history.runs.append(run)
        try:
            async for item in subscribe(self._log, after_position=after_position, types=self._types):
                if not isinstance(item, RecordedEvent):
                    self._history.counts["caught up"] += 1
                    continue
                self._history.delivered(run, item)
                if item.stream == LAST_STREAM:
                    run.is_complete = True
                    return run
            self._history.report(f"missed: the subscription of {self._name} ended at {run.position}")
        except LogError as error:
            self._history.report(f"missed: {self._name} stands at {run.position}: {type(error).__name__}: {error}")
        return run
