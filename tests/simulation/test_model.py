"""The log answers whatever is done to it as the model does, in Postgres and in memory."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import TypeVar
from uuid import uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from events.bot import BotPaused, BotStarted
from events.codec import Codec
from events.commit import BatchLog
from events.encoded import encode_command
from events.envelope import Fact, NewEvent, RecordedEvent
from events.errors import EventIdReused, StreamClosed, WrongExpectedVersion
from events.identifiers import EventId, StreamId
from events.log import ANY_VERSION, Appended, Outcome
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from events.system import StreamEnded
from oxbot.adapters.database import open_pool
from tests.simulation.model import END, Answer, Kept, ModelLog, Sent

T = TypeVar("T")

FACTS: dict[str, Fact] = {
    "pause": BotPaused(reason="pause"),
    "rest": BotPaused(reason="rest"),
    "start": BotStarted(),
    END: StreamEnded(),
}
TYPES = {"pause": "bot.paused", "rest": "bot.paused", "start": "bot.started", END: "stream.ended"}

REFUSALS = {"conflict", "ended", "reused"}

STREAMS = st.sampled_from(["one", "two", "three"])
EXPECTED = st.sampled_from([-2, -1, -1, 0, 1, 2, 3, 4, 6])
CONTENTS = st.sampled_from(["pause", "pause", "rest", "start"])
EVENTS = st.lists(st.builds(Sent, st.integers(1, 60), CONTENTS), min_size=1, max_size=4, unique_by=lambda s: s.event_id)
LIMITS = st.integers(1, 8) | st.just(50)
POSITIONS = st.integers(0, 25)


class LogMachine(RuleBasedStateMachine):
    """Does the same to the model and to the log; each run takes up where the log stands."""

    runner: asyncio.Runner
    log: BatchLog
    codec = Codec()

    def __init__(self) -> None:
        super().__init__()
        self._model = ModelLog()
        self._base = self._run(self.log.head())
        self._prefix = f"bot-{uuid4()}-"
        self._ids = {number: EventId(uuid4()) for number in range(1, 61)}
        self._numbers = {event_id: number for number, event_id in self._ids.items()}

    @rule(stream=STREAMS, expected=EXPECTED, sent=EVENTS)
    def append(self, stream: str, expected: int, sent: list[Sent]) -> None:
        self._append([(stream, expected, sent)])

    @rule(stream=STREAMS, sent=EVENTS)
    def append_at_the_right_version(self, stream: str, sent: list[Sent]) -> None:
        self._append([(stream, len(self._model.stream(stream)), sent)])

    @rule(commands=st.lists(st.tuples(STREAMS, EXPECTED, EVENTS), max_size=3, unique_by=lambda command: command[0]))
    def append_a_batch(self, commands: list[tuple[str, int, list[Sent]]]) -> None:
        self._append(commands)

    @rule(stream=STREAMS, sent=EVENTS)
    def end(self, stream: str, sent: list[Sent]) -> None:
        self._append([(stream, ANY_VERSION, [*sent[:-1], sent[-1]._replace(content=END)])])

    @precondition(lambda self: self._model.events)
    @rule(
        begin=st.integers(0, 100),
        step=st.sampled_from([1, 1, 2, -1]),
        count=st.integers(1, 4),
        stream=st.none() | STREAMS,
        content=st.none() | CONTENTS,
    )
    def append_again(self, begin: int, step: int, count: int, stream: str | None, content: str | None) -> None:
        """Some of what is there already, as it stands in its stream or otherwise, to that stream or to another one."""
        of = self._model.events[begin % len(self._model.events)].stream
        there = self._model.stream(of)
        again = there[begin % len(there) :: step][:count]
        if any(kept.content == END for kept in again[:-1]):
            return
        sent = [Sent(kept.event_id, kept.content) for kept in again]
        sent[0] = sent[0]._replace(content=content or sent[0].content)
        self._append([(stream or of, ANY_VERSION, sent)])

    @rule(stream=STREAMS, after=st.integers(0, 12), limit=st.none() | LIMITS, up_to=st.none() | POSITIONS)
    def read_stream(self, stream: str, after: int, limit: int | None, up_to: int | None) -> None:
        found = self._run(
            self.log.read_stream(
                StreamId(self._prefix + stream), after_version=after, limit=limit, up_to_position=self._position(up_to)
            )
        )
        wanted = self._model.stream(stream, after_version=after, limit=limit, up_to=up_to)
        assert [kept for _, kept in self._kept(found)] == wanted

    @rule(
        after=POSITIONS,
        limit=LIMITS,
        contents=st.none() | st.lists(st.sampled_from([("pause", "rest"), ("start",), (END,)]), unique=True),
        up_to=st.none() | POSITIONS,
    )
    def read_all(self, after: int, limit: int, contents: list[tuple[str, ...]] | None, up_to: int | None) -> None:
        named = None if contents is None else [name for names in contents for name in names]
        found = self._run(
            self.log.read_all(
                after_position=self._base + after,
                limit=limit,
                types=None if named is None else [TYPES[name] for name in named],
                up_to=self._position(up_to),
            )
        )
        assert self._kept(found) == self._model.all(after=after, limit=limit, contents=named, up_to=up_to)

    @invariant()
    def heads_agree(self) -> None:
        assert self._run(self.log.head()) == self._base + len(self._model.events)

    def _append(self, commands: Sequence[tuple[str, int, Sequence[Sent]]]) -> None:
        encoded = [
            encode_command(
                self.codec,
                StreamId(self._prefix + stream),
                [self._new(event) for event in sent],
                expected=expected,
            )
            for stream, expected, sent in commands
        ]
        outcomes = self._run(self.log.append_encoded(encoded))
        ids: set[int] = set()
        for (stream, expected, sent), outcome in zip(commands, outcomes, strict=True):
            answer, wanted = self._answer(outcome), self._model.append(stream, expected, sent)
            if ids.isdisjoint(event.event_id for event in sent):
                assert answer == wanted
            else:
                # Where two commands of a batch want the same id, the second may be refused for any of its reasons.
                assert answer == wanted or {answer[0], wanted[0]} <= REFUSALS
            ids |= {event.event_id for event in sent}

    def _answer(self, outcome: Outcome) -> Answer:
        match outcome:
            case Appended(version, position, duplicate):
                return "duplicate" if duplicate else "ok", version, position - self._base
            case WrongExpectedVersion():
                return "conflict", outcome.actual, 0
            case EventIdReused():
                return "reused", self._numbers[outcome.event_id], 0
            case StreamClosed():
                return "ended", 0, 0
            case _:
                raise outcome

    def _new(self, sent: Sent) -> NewEvent:
        """Sent again, an event may have been made at another time: its content alone makes it the same."""
        return NewEvent(event_id=self._ids[sent.event_id], occurred_at=datetime.now(UTC), fact=FACTS[sent.content])

    def _kept(self, found: Sequence[RecordedEvent]) -> list[tuple[int, Kept]]:
        contents = {fact: content for content, fact in FACTS.items()}
        return [
            (
                event.position - self._base,
                Kept(
                    event.stream.removeprefix(self._prefix),
                    event.version,
                    self._numbers[event.event_id],
                    contents[event.fact],
                ),
            )
            for event in found
        ]

    def _position(self, position: int | None) -> int | None:
        return None if position is None else self._base + position

    def _run(self, call: Coroutine[object, object, T]) -> T:
        return self.runner.run(call)


def run(opened: asyncio.Runner, over: BatchLog) -> None:
    """Many runs of the machine over one log."""

    class BoundMachine(LogMachine):
        runner = opened
        log = over

    run_state_machine_as_test(BoundMachine, settings=settings(max_examples=50, stateful_step_count=40))


def test_the_log_in_memory_answers_as_the_model_does() -> None:
    with asyncio.Runner() as runner:
        run(runner, MemoryEventLog(Codec()))


def test_the_log_in_postgres_answers_as_the_model_does(database: str) -> None:
    with asyncio.Runner() as runner:
        pool = runner.run(open_pool(database, size=1, application_name="model"))
        try:
            run(runner, PostgresEventLog(pool, Codec()))
        finally:
            runner.run(pool.close())
