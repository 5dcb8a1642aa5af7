"""A batch log in memory whose appends wait at a gate, so that a test decides when a batch is through."""

import asyncio
from collections.abc import Sequence

from events.codec import Codec
from events.encoded import EncodedCommand
from events.identifiers import StreamId
from events.log import Outcome
from events.memory import MemoryEventLog


class GatedLog(MemoryEventLog):
    """Remembers the streams of each batch and the hints; fails with what it is told to fail with."""

    def __init__(self) -> None:
        super().__init__(Codec())
        self.gate = asyncio.Event()
        self.batches: list[list[StreamId]] = []
        self.hints: list[int] = []
        self.failure: Exception | None = None

    async def append_encoded(self, commands: Sequence[EncodedCommand]) -> list[Outcome]:
        """One outcome per command, once the gate is open."""
        self.batches.append([command.stream for command in commands])
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return await super().append_encoded(commands)

    async def hint(self, position: int) -> None:
        """Remember the hint."""
        self.hints.append(position)


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)
