"""The bots of the gateway benchmark: each appends cycles of three facts and waits until each is durable."""

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import msgspec

from actors.gateway import Gateways, RayGateway
from actors.nodes import this_node
from actors.remote_log import RemoteLog
from benchmarks._cycle import facts_of_cycle
from events.codec import Codec
from events.commit import BatchLog, GroupCommitLog
from events.envelope import Metadata, NewEvent
from events.identifiers import StreamId, new_event_id
from events.log import NO_STREAM, EventLog
from oxbot.wiring.stores import Database, open_stores


class Turn(msgspec.Struct, frozen=True):
    """When the bots work, by the wall clock that all processes of the machine share, and how many cycles a second."""

    begins_at: float
    seconds: float
    cycles_per_second: float | None = None


class Tally(msgspec.Struct, frozen=True):
    """How many cycles were durable within the turn, and how long each took, in seconds."""

    cycles: int
    latencies: list[float]


class BotsActor:
    """A process with some of the bots and one group-commit writer, over a connection or a gateway."""

    def __init__(self, name: str, bots: int, log: Database | Gateways) -> None:
        self._name = name
        self._bots = [_Bot(StreamId(f"{name}-{number}")) for number in range(bots)]
        self._way = log
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Be ready to append."""
        grouped = GroupCommitLog(await self._batch_log(), Codec())
        self._log: EventLog = await self._stack.enter_async_context(grouped)
        await asyncio.gather(*(bot.cycle(self._log) for bot in self._bots))

    async def work(self, turn: Turn) -> Tally:
        """Let all bots work at once, as fast as they can or at their pace."""
        await asyncio.sleep(max(turn.begins_at - time.time(), 0.0))
        pace = None if turn.cycles_per_second is None else len(self._bots) / turn.cycles_per_second
        began = time.perf_counter()
        working = (
            bot.work(self._log, began, ends_at=began + turn.seconds, pace_seconds=pace, phase=number / len(self._bots))
            for number, bot in enumerate(self._bots)
        )
        latencies = [latency for of_one in await asyncio.gather(*working) for latency in of_one]
        return Tally(len(latencies), latencies)

    async def _batch_log(self) -> BatchLog:
        if isinstance(self._way, Gateways):
            return RemoteLog(RayGateway(self._way.names(nearest_to=this_node())))
        opening = open_stores(self._way, "oxbot_host", name=self._name, connections=1)
        return (await self._stack.enter_async_context(opening)).log


class _Bot:
    def __init__(self, stream: StreamId) -> None:
        self._stream = stream
        self._version = NO_STREAM
        self._facts = facts_of_cycle(stream)

    async def work(
        self, log: EventLog, began: float, *, ends_at: float, pace_seconds: float | None, phase: float
    ) -> list[float]:
        """The latencies of the cycles that were durable in time; at a pace, from when each was due."""
        latencies: list[float] = []
        due = began if pace_seconds is None else began + phase * pace_seconds
        while due < ends_at:
            await asyncio.sleep(max(due - time.perf_counter(), 0.0))
            await self.cycle(log)
            now = time.perf_counter()
            if now <= ends_at:
                latencies.append(now - due)
            due = now if pace_seconds is None else due + pace_seconds
        return latencies

    async def cycle(self, log: EventLog) -> None:
        """Decide, ask for an order, have it filled: one append after the version that this bot knows."""
        now = datetime.now(UTC)
        metadata = Metadata(actor=self._stream)
        events = [
            NewEvent(event_id=new_event_id(), occurred_at=now, fact=fact, metadata=metadata) for fact in self._facts
        ]
        self._version = (await log.append(self._stream, events, expected=self._version)).version
