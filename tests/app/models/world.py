"""A gateway in virtual time: its provider misbehaves as it is told, and the gateway may be killed at any await."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import msgspec

from events.advice import (
    AdviceAbstained,
    AdviceClass,
    AdviceFact,
    AdviceReceived,
    AdviceRequested,
    AdviceTaken,
    Opinion,
    Usage,
)
from events.codec import Codec
from events.envelope import NewEvent
from events.identifiers import (
    MODELS_STREAM,
    AdviceId,
    BodyHash,
    BotId,
    FleetName,
    ModelName,
    StreamId,
    Symbol,
    bot_stream,
    new_event_id,
)
from events.log import ANY_VERSION, EventLog
from events.memory import MemoryEventLog
from events.models import ModelCallBegun, ModelCallEnded, ModelFact
from oxbot.adapters.memory_bodies import MemoryBodies
from oxbot.app.bodies import BodyStore
from oxbot.app.clock import Clock
from oxbot.app.handle import handle
from oxbot.app.models.gateway import Gateway
from oxbot.app.models.known import Budgets, KnownModel, ModelTable, Prices, SpendLimit
from oxbot.app.models.record import Record
from oxbot.app.models.transport import CallFailed, Completion, Message, ModelCall
from oxbot.app.models.wanted import AdviceWanted, Delivered, Payer, Prompt, Reading, Unreadable
from oxbot.core.advice import NO_ADVICE, AdviceBook, RecordAdvice, recorded_advice, with_advice
from tests.app.fakes import HookedLog
from tests.core.scenario import START
from tests.simulation.virtual_time import LoopClock

MODEL = ModelName("model")
OTHER = ModelName("other")
BTC = Symbol("BTC/USDT")
PRICES = Prices(input=Decimal("0.15"), cached=Decimal("0.075"), output=Decimal("0.6"), version="2026-01")
GENEROUS = SpendLimit(usd_per_day=Decimal(1000), tokens_per_day=10**9)
USAGE = Usage(input=100, output=20)
LATENCY_SECONDS = 2.0
OPINION = Opinion(symbol=BTC, action="long", weight=1000, confidence=60, horizon=60)

Step = Completion | CallFailed | float
"""What a provider does to a call: answers, fails, or takes so many seconds longer than it is waited for."""


class Asked(NamedTuple):
    """A call as a provider sees it: the how many-th it is, what is said last, and to whom."""

    number: int
    text: str
    provider_model: str


Rule = Callable[[Asked], Step]


class Killed(Exception):
    """The process ends here."""


class Point(NamedTuple):
    """A place at which a gateway may be killed: what it was about, and whether that had happened."""

    name: str
    happened: bool


class Killer:
    """Counts the points that are passed and kills at one of them, once."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.on: Point | None = None
        self.passed = 0
        self.killed: Point | None = None

    def strike(self, name: str, *, happened: bool) -> None:
        self.passed += 1
        if self.passed == self.at or Point(name, happened) == self.on:
            self.on = None
            self.killed = Point(name, happened)
            raise Killed(name)


def model(name: ModelName = MODEL, **fields: object) -> KnownModel:
    known = KnownModel(name=name, provider_model=f"openai/{name}", prices=PRICES)
    return msgspec.structs.replace(known, **fields)


def answer(text: str | None = "good", **fields: object) -> Completion:
    completion = Completion(
        text=text, resolved_model="openai/model-1", request_id="r", finish_reason="stop", usage=USAGE
    )
    return msgspec.structs.replace(completion, **fields)


class Provider:
    """A model that does to each call what its rule says, after a while; it counts what arrives."""

    def __init__(self, clock: Clock, rule: Rule, killer: Killer) -> None:
        self._clock = clock
        self._rule = rule
        self._killer = killer
        self.calls: list[tuple[datetime, ModelCall]] = []
        self.latency = LATENCY_SECONDS

    async def complete(self, call: ModelCall) -> Completion:
        self._killer.strike("call", happened=False)
        self.calls.append((self._clock.now(), call))
        step = self._rule(Asked(len(self.calls), call.messages[-1].content, call.provider_model))
        if isinstance(step, float):
            await self._clock.sleep(call.timeout_seconds + step)
            raise TimeoutError
        await self._clock.sleep(self.latency)
        self._killer.strike("call", happened=True)
        if isinstance(step, CallFailed):
            raise step
        return step


class KillingBodies:
    """A body store in which one may be killed."""

    def __init__(self, inner: BodyStore, killer: Killer) -> None:
        self._inner = inner
        self._killer = killer

    async def put(self, data: bytes) -> BodyHash:
        self._killer.strike("put", happened=False)
        kept = await self._inner.put(data)
        self._killer.strike("put", happened=True)
        return kept

    async def get(self, body: BodyHash) -> bytes:
        self._killer.strike("get", happened=False)
        return await self._inner.get(body)


class AdviceDecider:
    """The advice of a bot by itself, by the rules that its whole stream follows."""

    initial = NO_ADVICE

    def evolve(self, state: AdviceBook, fact: AdviceFact) -> AdviceBook:
        return with_advice(state, fact)

    def decide(self, command: RecordAdvice, state: AdviceBook) -> Sequence[AdviceReceived | AdviceAbstained]:
        return recorded_advice(command, state)


def read(raw: str) -> Reading | Unreadable:
    if raw.startswith("good"):
        return Reading(opinions=(OPINION,))
    return Unreadable(fault="not_json", repair="Answer in JSON.")


class Known:
    """Every bot is of one fleet; its owner is the part of its name before the dot."""

    async def of(self, bot_id: BotId) -> Payer:
        return payer(bot_id)


def payer(bot_id: BotId) -> Payer:
    return Payer(bot_id.partition(".")[0] if "." in bot_id else "", FleetName("fleet"))


class World:
    """A log, its bodies, a provider and whichever gateway lives now."""

    def __init__(
        self,
        rule: Rule | None = None,
        *,
        models: Iterable[KnownModel] = (),
        budgets: Budgets | None = None,
        kill_at: int | None = None,
        log: EventLog | None = None,
        bodies: BodyStore | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.killer = Killer(kill_at)
        self.clock = clock or LoopClock()
        self.log: EventLog = log or MemoryEventLog(Codec())
        self.bodies: BodyStore = bodies or MemoryBodies()
        self.provider = Provider(self.clock, rule or always(answer()), self.killer)
        self.table = ModelTable(
            list(models) or [model()], budgets or Budgets(bot=GENEROUS, owner=GENEROUS, fleet=GENEROUS)
        )
        self.requests: dict[AdviceId, AdviceWanted] = {}
        self.fault: dict[ModelName, str] = {}
        self.record: Record | None = None
        self.gateway = self._gateway()
        self._asked: Counter[BotId] = Counter()

    def _gateway(self) -> Gateway:
        log = HookedLog(
            self.log, before=self._strike("append", happened=False), after=self._strike("append", happened=True)
        )
        self.record = Record(log, clock=self.clock, payers=Known(), budgets=self.table.budgets, holder="test")
        return Gateway(
            self.table,
            transport=self.provider,
            record=self.record,
            bodies=KillingBodies(self.bodies, self.killer),
            deliver=self._deliver,
            clock=self.clock,
            fault=self.fault.get,
        )

    def _strike(self, name: str, *, happened: bool) -> Callable[[int, Sequence[NewEvent]], Awaitable[None]]:
        async def strike(number: int, events: Sequence[NewEvent]) -> None:
            del number
            self.killer.strike(f"{name} {type(events[0].fact).__name__}", happened=happened)

        return strike

    async def _deliver(self, bot_id: BotId, fact: Delivered) -> None:
        self.killer.strike("deliver", happened=False)
        await handle(self.log, AdviceDecider(), bot_stream(bot_id), RecordAdvice(fact), at=self.clock.now())
        self.killer.strike("deliver", happened=True)

    async def want(
        self,
        bot: str,
        text: str = "what now?",
        *,
        seconds: float = 120,
        advice_class: AdviceClass = "paper",
        name: ModelName = MODEL,
        template: str = "market/1",
    ) -> AdviceId:
        """A bot asks: on its stream first, and then of the gateway."""
        bot_id = BotId(bot)
        self._asked[bot_id] += 1
        wanted = AdviceWanted(
            advice_id=AdviceId(f"{bot_id}-a{self._asked[bot_id]}"),
            bot_id=bot_id,
            fleet=payer(bot_id).fleet,
            owner=payer(bot_id).owner,
            advice_class=advice_class,
            model=name,
            template=template,
            prompt=Prompt((Message("system", "You trade."), Message("user", text)), "{}"),
            read=read,
            deadline=self.clock.now() + timedelta(seconds=seconds),
        )
        self.requests[wanted.advice_id] = wanted
        await append(self.log, bot_stream(bot_id), requested(wanted))
        self.gateway.ask(wanted)
        return wanted.advice_id

    async def lives(self, seconds: float | None = None) -> None:
        """The gateway lives so long, or until everybody is answered; killed, another one is started."""
        until = None if seconds is None else self.clock.now() + timedelta(seconds=seconds)
        if self.record is not None and self.record.epoch:
            await self.restart()
        while True:
            running = asyncio.create_task(self.gateway.run())
            try:
                while not running.done() and (await self._unanswered() if until is None else self.clock.now() < until):
                    await self.clock.sleep(0.25)
                if not running.done():
                    return
                failure = running.exception()
                if not isinstance(failure, Killed):
                    raise failure or AssertionError("the gateway has ended")
                await self.restart()
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[asyncio.Task[None]]:
        """The gateway lives during the block."""
        running = asyncio.create_task(self.gateway.run())
        try:
            yield running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def restart(self) -> None:
        """Another gateway, which is asked for whatever has no answer on the log."""
        self.gateway = self._gateway()
        for wanted in await self._unanswered():
            self.gateway.ask(wanted)

    async def take_all(self) -> None:
        """Every bot takes what it was told, so that it may ask again."""
        for bot_id in self._asked:
            newest = (await self.told(bot_id))[-1]
            await append(self.log, bot_stream(bot_id), AdviceTaken(advice_id=newest.advice_id, at=START))

    async def _unanswered(self) -> list[AdviceWanted]:
        found = []
        for wanted in self.requests.values():
            told = await self.told(wanted.bot_id)
            if all(fact.advice_id != wanted.advice_id for fact in told):
                found.append(wanted)
        return found

    async def told(self, bot: str) -> list[Delivered]:
        """What a bot's stream was told."""
        events = await self.log.read_stream(bot_stream(BotId(bot)))
        return [event.fact for event in events if isinstance(event.fact, AdviceReceived | AdviceAbstained)]

    async def one(self, bot: str) -> Delivered:
        """The only thing that it was told."""
        (fact,) = await self.told(bot)
        return fact

    async def facts(self) -> list[ModelFact]:
        """The models' stream."""
        return [event.fact for event in await self.log.read_stream(MODELS_STREAM)]  # type: ignore[misc]  # it holds nothing else

    async def begun(self) -> list[ModelCallBegun]:
        return [fact for fact in await self.facts() if isinstance(fact, ModelCallBegun)]

    async def ended(self) -> list[ModelCallEnded]:
        return [fact for fact in await self.facts() if isinstance(fact, ModelCallEnded)]


def requested(wanted: AdviceWanted) -> AdviceRequested:
    return AdviceRequested(
        advice_id=wanted.advice_id,
        at=START,
        model=wanted.model,
        template="market",
        template_version=1,
        snapshot="0" * 32,
        symbols=(BTC,),
        advice_class=wanted.advice_class,
        expires_at=START + timedelta(days=1),
    )


async def append(log: EventLog, stream: StreamId, fact: AdviceFact) -> None:
    event = NewEvent(event_id=new_event_id(), occurred_at=START, fact=fact)
    await log.append(stream, [event], expected=ANY_VERSION)


def always(step: Step) -> Rule:
    """The same to every call."""

    def rule(asked: Asked) -> Step:
        del asked
        return step

    return rule


def script(*steps: Step) -> Rule:
    """The steps one after the other, and then good answers."""
    return lambda asked: steps[asked.number - 1] if asked.number <= len(steps) else answer()


def by_text(steps: Mapping[str, Step]) -> Rule:
    """To what is asked."""
    return lambda asked: next((step for text, step in steps.items() if text in asked.text), answer())
