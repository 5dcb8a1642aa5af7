"""Writers that append to a few hot streams all at once, by every way there is, and hold the log to each answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from random import Random
from typing import NamedTuple, TypeVar

import stamina

from events.envelope import NewEvent
from events.errors import Backpressure, LogClosed, LogError, LogUnavailable, StreamClosed, WrongExpectedVersion
from events.identifiers import StreamId
from events.log import ANY_VERSION, NO_STREAM, STREAM_EXISTS, Appended, EventLog
from events.system import StreamEnded
from tests.simulation.facts import cycle, new_event, single
from tests.simulation.history import Ack, History

T = TypeVar("T")

HOT_STREAMS = tuple(StreamId(f"bot-hot-{number}") for number in range(20))
CONFLICTS_MAX = 4
IMPATIENCE_SECONDS = 0.3


class Command(NamedTuple):
    """Events for one stream; they keep their ids however often and by whichever way they are sent."""

    stream: StreamId
    expected: int
    events: Sequence[NewEvent]


def is_worth_repeating(error: Exception) -> bool:
    """Whether the same call, with the same ids, is right to be made again."""
    return isinstance(error, LogUnavailable | Backpressure | TimeoutError) and not isinstance(error, LogClosed)


class Writer:
    """Appends until told to stop, mostly by a way of its own; whatever is refused that should not be is reported."""

    def __init__(self, name: str, ways: Mapping[str, EventLog], way: str, *, history: History, random: Random) -> None:
        self._name = name
        self._log = ways[way]
        self._logs = list(ways.values())
        self._history = history
        self._random = random
        self._versions = dict.fromkeys(HOT_STREAMS, 0)
        self._own = 0
        self._answered: list[Ack] = []

    async def write(self, stop: asyncio.Event) -> None:
        """One command after the other, and now and then a look back at what was answered."""
        while not stop.is_set():
            lot = self._random.random()
            if lot < 0.02:
                await self._live_and_end()
            elif lot < 0.05 and self._answered:
                await self.ask_again(self._random.choice(self._answered))
            elif lot < 0.08 and self._answered:
                await self._look_back(self._answered[-1])
            else:
                await self.append(self._command())

    async def ask_again(self, ack: Ack) -> None:
        """Send a stored command once more, by any way: it must get its first answer again."""
        command = Command(ack.stream, self._random.choice([ack.expected, ANY_VERSION]), ack.events)
        self._history.counts["asked again"] += 1
        try:
            answer = await self._send(self._any_way(), command)
        except LogError as error:
            self._history.report(f"answer: {self._name} asked again at {ack.answer.position}: {error}")
            return
        self._history.counts["duplicates"] += 1
        if answer != ack.answer._replace(duplicate=True):
            self._history.report(f"answer: {self._name} was first told {ack.answer}, then {answer}")

    def _any_way(self) -> EventLog:
        """Mostly this writer's own, so that a way that is down does not stop those who have another."""
        return self._random.choice(self._logs) if self._random.random() < 0.1 else self._log

    def _command(self) -> Command:
        events = cycle(self._random) if self._random.random() < 0.4 else single(self._random)
        stream = self._random.choice(HOT_STREAMS)
        version = self._versions[stream]
        lot = self._random.random()
        if lot < 0.1:
            return Command(self._new_stream(), NO_STREAM, events)
        if lot < 0.4:
            return Command(stream, ANY_VERSION, events)
        if lot < 0.5 and version:
            return Command(stream, STREAM_EXISTS, events)
        return Command(stream, version, events)

    def _new_stream(self) -> StreamId:
        self._own += 1
        return StreamId(f"bot-{self._name}-{self._own}")

    async def append(self, command: Command) -> None:
        """Get the command stored, or give it up after some conflicts; anything else is a broken promise."""
        sent_at = self._history.sends(command.events)
        for _ in range(CONFLICTS_MAX):
            try:
                answer = await self._send(self._log, command)
            except WrongExpectedVersion as conflict:
                command = command._replace(expected=await self._after(conflict))
            except LogError as error:
                self._history.report(f"refusal: {self._name} was answered {type(error).__name__}: {error}")
                self._history.gave_up(command.events)
                return
            else:
                self._note(Ack(command.stream, command.expected, command.events, answer, sent_at, self._history.tick()))
                return
        self._history.gave_up(command.events)

    def _note(self, ack: Ack) -> None:
        self._history.acked(ack)
        self._versions[ack.stream] = max(ack.answer.version, self._versions.get(ack.stream, 0))
        self._answered.append(ack)
        if len(self._answered) > 200:
            del self._answered[:100]

    async def _after(self, conflict: WrongExpectedVersion) -> int:
        """The version to expect next: what the conflict says, or what reading what is new shows."""
        self._history.counts["conflicts"] += 1
        stream, known = conflict.stream, self._versions.get(conflict.stream, 0)
        if conflict.expected == conflict.actual:
            self._history.report(f"answer: {stream} conflicts with its own version {conflict.actual}")
        if self._random.random() < 0.8 or conflict.actual - known > 200:
            self._versions[stream] = conflict.actual
            return conflict.actual
        log = self._any_way()
        read = await self._repeat(lambda: log.read_stream(stream, after_version=known))
        versions = [event.version for event in read]
        if versions != list(range(known + 1, known + len(read) + 1)):
            self._history.report(f"order: {stream} read after {known} gives versions {versions}")
        if known + len(read) < conflict.actual:
            self._history.report(f"missed: {stream} is at {conflict.actual} but reads up to {known + len(read)}")
        self._versions[stream] = known + len(read)
        return known + len(read)

    async def _look_back(self, ack: Ack) -> None:
        """What was answered is there to be read at once, by any way."""
        self._history.counts["looked back"] += 1
        log = self._any_way()
        before = ack.answer.version - len(ack.events)
        head = await self._repeat(log.head)
        found = await self._repeat(lambda: log.read_stream(ack.stream, after_version=before, limit=len(ack.events)))
        if head < ack.answer.position:
            self._history.report(f"missed: the head is {head} after position {ack.answer.position} was answered")
        if [event.event_id for event in found] != [event.event_id for event in ack.events]:
            self._history.report(f"missed: {ack.stream} does not read as answered after version {before}")

    async def _live_and_end(self) -> None:
        """A stream of its own from its first fact to its last; nothing may follow that."""
        stream = self._new_stream()
        await self.append(Command(stream, NO_STREAM, [*single(self._random), new_event(StreamEnded())]))
        late = Command(stream, ANY_VERSION, single(self._random))
        self._history.sends(late.events)
        self._history.gave_up(late.events)
        try:
            answer = await self._send(self._log, late)
        except StreamClosed:
            self._history.counts["ended"] += 1
        except LogError as error:
            self._history.report(f"refusal: {stream} has ended, but answers {type(error).__name__}: {error}")
        else:
            self._history.report(f"answer: {stream} has ended, but took position {answer.position}")

    async def _send(self, log: EventLog, command: Command) -> Appended:
        """The log's answer, after however many attempts; now and then one is cut short on purpose."""

        async def send() -> Appended:
            async with self._patience():
                return await log.append(command.stream, command.events, expected=command.expected)

        return await self._repeat(send)

    def _patience(self) -> AbstractAsyncContextManager[object]:
        if self._random.random() < 0.03:
            return asyncio.timeout(self._random.uniform(0, IMPATIENCE_SECONDS))
        return nullcontext()

    async def _repeat(self, call: Callable[[], Awaitable[T]]) -> T:
        attempts = stamina.retry_context(
            on=is_worth_repeating, attempts=None, timeout=None, wait_initial=0.02, wait_jitter=0.05, wait_max=0.5
        )
        async for attempt in attempts:
            with attempt:
                self._history.counts["retries"] += attempt.num > 1
                return await call()
        raise AssertionError("retrying ends with an answer or an error")
