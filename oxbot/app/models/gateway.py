"""Asks language models for advice on behalf of all bots: within limits and budgets, on record, each question once."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from decimal import Decimal
from math import ceil
from typing import NamedTuple

import structlog

from events.advice import AbstainReason, Usage
from events.identifiers import AdviceId, BodyHash, ModelName
from events.models import ModelCallBegun, ModelCallEnded, ModelRouteClosed, ModelRouteOpened
from oxbot.app.bodies import BodyStore
from oxbot.app.bot_runner import Superseded
from oxbot.app.clock import Clock
from oxbot.app.models.flight import FINAL, Flight, key
from oxbot.app.models.known import KnownModel, ModelTable
from oxbot.app.models.record import Record, bound
from oxbot.app.models.route import PATIENCE, Route
from oxbot.app.models.transport import CallFailed, Completion, ModelCall, ModelTransport
from oxbot.app.models.wanted import AdviceWanted, Deliver, Delivered, Payer, Reading
from oxbot.core.models_stream import EndedCall

SHARED_FOR = timedelta(minutes=10)
"""For so long the answer to a prompt is the answer to the same prompt from somebody else."""

DELIVERIES_MAX = 32
GRACE_SECONDS = 2.0
SECONDS_MIN = 1.0
BACKOFF_SECONDS = 1.0
RATE_BACKOFF_SECONDS = 5.0
FROZEN_SECONDS_MAX = 3600.0
ANSWER_CHARACTERS_MAX = 262_144
DETAIL_CHARACTERS_MAX = 300
PROMPTS_REMEMBERED = 4096

logger = structlog.get_logger(__name__)


class Gateway:
    """One incarnation of the gateway. Everything that it keeps in memory is in the log, or may be forgotten.

    It stops with ``Superseded`` as soon as it learns that another one has claimed the models' stream. Whoever asks is
    told through ``deliver``; after a restart whoever has no answer must be asked for again: no answer that is stored is
    paid for twice, but a call that was under way is made again.
    """

    def __init__(
        self,
        table: ModelTable,
        *,
        transport: ModelTransport,
        record: Record,
        bodies: BodyStore,
        deliver: Deliver,
        clock: Clock,
        fault: Callable[[ModelName], str | None] = lambda _: None,
    ) -> None:
        """``fault`` says why a model cannot be called at all, such as that its key is not there."""
        self._table = table
        self._fault = fault
        self._transport = transport
        self._record = record
        self._bodies = bodies
        self._deliver = deliver
        self._clock = clock
        self._routes: Mapping[ModelName, Route] = {
            name: Route(model) for name, model in table.models.items() if model.prices is not None
        }
        self._flights: dict[tuple[ModelName, BodyHash], Flight] = {}
        self._flight_of: dict[AdviceId, Flight] = {}
        self._asked: set[AdviceId] = set()
        self._inbox: deque[AdviceWanted] = deque()
        self._parting: deque[tuple[AdviceWanted, Delivered]] = deque()
        self._news = asyncio.Event()
        self._delivering = asyncio.Semaphore(DELIVERIES_MAX)
        self._kept: dict[BodyHash, None] = {}
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def waiting(self) -> int:
        """How many requests have been taken and are not answered yet."""
        return len(self._asked)

    def route(self, model: ModelName) -> Route | None:
        """The way to a model, if it has one."""
        return self._routes.get(model)

    def ask(self, wanted: AdviceWanted) -> None:
        """Take a request; one that was taken already and is not answered yet is left as it is."""
        if wanted.advice_id not in self._asked:
            self._asked.add(wanted.advice_id)
            self._inbox.append(wanted)
            self._news.set()

    def withdraw(self, advice_id: AdviceId) -> None:
        """The bot has given up the request: no call is begun for it any more.

        Where it waited for a model that cannot be asked for now, its stream is told so; else nothing came of it that
        would be worth telling.
        """
        self._asked.discard(advice_id)
        flight = self._flight_of.pop(advice_id, None)
        wanted = None if flight is None else flight.waiting.pop(advice_id, None)
        if flight is None or wanted is None:
            return
        route, now = self._routes[flight.model.name], self._clock.now()
        held = route.held(now) if flight in route.queued else None
        if held is not None:
            reason, detail = flight.excuse(held)
            self._parting.append((wanted, flight.abstention(wanted, reason, detail, at=now)))
            self._news.set()
        if not flight.waiting and flight in route.queued:
            route.queued.discard(flight)
            self._finish(flight)

    async def run(self) -> None:
        """Claim the models and serve until cancelled, superseded or failed."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._record.claim()
                await self._restore()
                for route in self._routes.values():
                    self._start(self._serve(route))
                await self._receive()
        except BaseExceptionGroup as failures:
            raise _foremost(failures) from failures

    async def _receive(self) -> None:
        while True:
            while self._inbox:
                wanted = self._inbox.popleft()
                if wanted.advice_id in self._asked:
                    self._take(wanted)
            while self._parting:
                self._tell(*self._parting.popleft())
            self._news.clear()
            await self._news.wait()

    async def _restore(self) -> None:
        """Go on where the last gateway ended; settings are taken to be mended, since they were read again."""
        state = self._record.state
        for route in self._routes.values():
            for bot_id, spent in state.spent.items():
                route.queue.restore(bot_id, self._record.payers[bot_id].owner, spent.served_at)
        for begun in state.recent:
            if begun.model in self._routes:
                self._routes[begun.model].limiter.take(begun.at)
        for name, until in state.paused.items():
            if name in self._routes:
                self._routes[name].limiter.freeze(until)
        for closed in state.closed.values():
            route_or_none = self._routes.get(closed.model)
            if closed.until is None or route_or_none is None:
                await self._reopen(closed.model, closed.template)
            elif closed.template:
                route_or_none.quality(closed.template).restore(closed.until)
            else:
                route_or_none.breaker.restore(closed.until)

    # What comes in.

    def _take(self, wanted: AdviceWanted) -> None:
        self._record.book.know(wanted.bot_id, Payer(wanted.owner, wanted.fleet))
        flight = self._flights.get(key(wanted))
        if flight is not None:
            older = flight.join(wanted)
            self._flight_of[wanted.advice_id] = flight
            if older is not None:
                self._tell(older, flight.abstention(older, "stale", "the bot asked again", at=self._clock.now()))
            route = self._routes[flight.model.name]
            if flight in route.queued:
                route.watch(flight, wanted)
                route.rejoin(flight)
            return
        chain = self._chain(wanted)
        flight = Flight(wanted, chain)
        if not chain:
            known = self._table.get(wanted.model) is not None
            reason: AbstainReason = "unpriced" if known else "no_model"
            said = "has no prices" if known else "is not in the table of models"
            self._tell(wanted, flight.abstention(wanted, reason, f"{wanted.model} {said}", at=self._clock.now()))
            return
        self._flights[flight.key] = self._flight_of[wanted.advice_id] = flight
        self._start(self._go_on(flight))

    def _chain(self, wanted: AdviceWanted) -> list[KnownModel]:
        """The model that was asked for, if it may be, and those that its entry names in its stead."""
        if wanted.model not in self._routes:
            return []
        model = self._routes[wanted.model].model
        return [model, *(self._routes[name].model for name in model.fallbacks if name in self._routes)]

    async def _go_on(self, flight: Flight) -> None:
        """Take what is stored of it, then wait for a call, or say what came of it."""
        while True:
            since = self._clock.now() - SHARED_FOR
            known = self._record.known(flight.model.name, flight.asking.hash)
            call = next((each for each in known if flight.concerns(each, since=since)), None)
            if call is not None:
                if flight.weigh(call, await self._stored(call)) == "done":
                    self._finish(flight)
                    return
                continue
            closed = self._routes[flight.model.name].closed(flight) if flight.waiting else None
            if closed is None:
                if flight.waiting and (self._asked_further(flight) or self._sooner_further(flight)):
                    flight.fall_back()
                    continue
                break
            if not flight.fall_back():
                flight.outcome, flight.detail = flight.excuse() if flight.continuing else closed
                self._finish(flight)
                return
        if flight.waiting:
            self._routes[flight.model.name].push(flight)
        else:
            self._finish(flight)

    def _asked_further(self, flight: Flight) -> bool:
        """Whether a model that may be asked in this one's stead was asked already, for somebody who waits."""
        calls = [call for each in flight.further for call in self._record.known(each.name, flight.prompt.hash)]
        return any(advice_id in flight.waiting for call in calls for advice_id in call.begun.advice)

    def _sooner_further(self, flight: Flight) -> bool:
        """Whether the model is held up for longer than one is patient, and one in its stead not for so long."""
        now = self._clock.now()
        until = self._routes[flight.model.name].held_until(now)
        if until <= now + PATIENCE:
            return False
        routes = [self._routes[each.name] for each in flight.further]
        return any(each.held_until(now) < until and each.closed(flight) is None for each in routes)

    async def _stored(self, call: EndedCall) -> str:
        if call.ended.outcome != "answered" or call.ended.answer is None:
            return ""
        return (await self._bodies.get(call.ended.answer)).decode()

    # What goes out.

    async def _serve(self, route: Route) -> None:
        """Make the calls of one model, one after the other as its limit allows; their answers come when they come."""
        while True:
            now = self._clock.now()
            for flight, wanted in route.expired(now):
                self._excuse(route, flight, wanted)
            for template in list(route.rested(now)):
                await self._reopen(route.model.name, template)
            opens = route.opens(now)
            if opens is None or opens > now:
                await route.pause(opens, self._clock)
                continue
            chosen = route.pop()
            if chosen is not None:
                await self._launch(route, chosen)

    def _excuse(self, route: Route, flight: Flight, wanted: AdviceWanted) -> None:
        del flight.waiting[wanted.advice_id]
        reason, detail = flight.excuse(route.held(self._clock.now()))
        self._tell(wanted, flight.abstention(wanted, reason, detail, at=self._clock.now()))
        if not flight.waiting:
            route.queued.discard(flight)
            self._finish(flight)

    async def _launch(self, route: Route, flight: Flight) -> None:
        """Begin a call for those who wait and can pay for it, if the model can be called."""
        fault = self._fault(route.model.name)
        if fault is not None:
            await self._shut(route, flight, fault)
            return
        now, prompt = self._clock.now(), flight.asking
        usd, tokens = bound(route.model, prompt)
        bots = [wanted.bot_id for wanted in flight.waiting.values()]
        lacking = self._record.book.lacking(bots, usd=usd, tokens=tokens, at=now)
        for wanted in [each for each in flight.waiting.values() if each.bot_id in lacking]:
            del flight.waiting[wanted.advice_id]
            self._tell(wanted, flight.abstention(wanted, "budget", lacking[wanted.bot_id], at=now))
        if not flight.waiting:
            self._finish(flight)
            return
        waiting = list(flight.waiting.values())
        deadline = flight.deadline
        await self._keep(prompt.body, prompt.hash)
        begun = await self._record.begin(route.model, prompt, attempt=flight.failures + 1, waiting=waiting)
        sent_at = self._clock.now()
        route.limiter.take(sent_at)
        probe = route.breaker.begin()
        route.queue.serve(flight.payees, sent_at)
        route.under_way += 1
        seconds = min(float(route.model.timeout_seconds), (deadline - sent_at).total_seconds())
        call = flight.asking.call(route.model, timeout_seconds=max(SECONDS_MIN, seconds))
        self._start(self._fly(route, flight, _UnderWay(begun, call, probe)))

    async def _shut(self, route: Route, flight: Flight, fault: str) -> None:
        """Close a model that cannot be called, until its settings were read again."""
        route.settings_fault = fault
        await self._close(route, "settings", fault)
        if flight.fall_back():
            self._start(self._go_on(flight))
        else:
            flight.outcome, flight.detail = "refused", fault
            self._finish(flight)

    async def _fly(self, route: Route, flight: Flight, under_way: "_UnderWay") -> None:
        """Make the call; write what came back before anything is made of it."""
        begun, call, probe = under_way
        completed: Completion | CallFailed
        try:
            async with asyncio.timeout(call.timeout_seconds + GRACE_SECONDS):
                completed = await self._transport.complete(call)
        except CallFailed as failed:
            completed = failed
        except TimeoutError:
            completed = CallFailed("timeout", detail=f"no answer within {call.timeout_seconds:.0f} s")
        raw = ""
        if isinstance(completed, Completion):
            # What is stored is what is read: half a character is none.
            raw = (completed.text or "")[:ANSWER_CHARACTERS_MAX].encode("utf-8", "replace").decode()
            answer = await self._bodies.put(raw.encode()) if raw.strip() else None
            ended = self._answered(route.model, begun, completed, answer)
        else:
            ended = self._failed(begun, completed)
        ended_call = await self._record.end(begun, ended)
        route.under_way -= 1
        route.wake()
        await self._judge(route, ended, completed, probe=probe)
        await self._weigh(route, flight, ended_call, raw)

    def _answered(
        self, model: KnownModel, begun: ModelCallBegun, completion: Completion, answer: BodyHash | None
    ) -> ModelCallEnded:
        now = self._clock.now()
        outcome = "answered" if answer is not None else "empty"
        if completion.finish_reason == "length":
            outcome = "truncated"
        assert model.prices is not None  # noqa: S101 - it has a route
        counted = completion.usage != Usage()
        return ModelCallEnded(
            call_id=begun.call_id,
            at=now,
            outcome=outcome,  # type: ignore[arg-type]  # one of three
            status=completion.status,
            detail="" if counted else "the provider counted no tokens; all that was reserved is charged",
            answer=answer,
            resolved_model=completion.resolved_model,
            request_id=completion.request_id,
            finish_reason=completion.finish_reason,
            usage=completion.usage,
            cost=model.prices.cost(completion.usage) if counted else begun.reserved,
            latency_ms=_milliseconds(now - begun.at),
        )

    def _failed(self, begun: ModelCallBegun, failed: CallFailed) -> ModelCallEnded:
        now = self._clock.now()
        return ModelCallEnded(
            call_id=begun.call_id,
            at=now,
            outcome=failed.kind,
            status=failed.status,
            detail=failed.detail[:DETAIL_CHARACTERS_MAX],
            # Whoever was not waited for may have worked all the same.
            cost=begun.reserved if failed.kind == "timeout" else Decimal(0),
            latency_ms=_milliseconds(now - begun.at),
            retry_after=ceil(_pause_seconds(failed)),
        )

    # What comes back.

    async def _judge(
        self, route: Route, ended: ModelCallEnded, completed: Completion | CallFailed, *, probe: bool
    ) -> None:
        """What the call says of the model itself."""
        now = self._clock.now()
        if isinstance(completed, Completion):
            route.took(timedelta(milliseconds=ended.latency_ms))
            if route.breaker.succeed(now, probe=probe):
                await self._reopen(route.model.name)
        elif completed.settings:
            route.breaker.forgo(probe=probe)
            if route.settings_fault is None:
                route.settings_fault = completed.detail or f"status {completed.status}"
                await self._close(route, "settings", route.settings_fault)
        elif completed.kind == "refused":
            route.breaker.forgo(probe=probe)
        else:
            if completed.kind == "rate_limited":
                route.limiter.freeze(now + timedelta(seconds=_pause_seconds(completed)))
                self._turn_away(route)
            if route.breaker.fail(now, probe=probe) is not None:
                await self._close(route, "infrastructure", f"{ended.outcome}: {ended.detail}")

    async def _weigh(self, route: Route, flight: Flight, call: EndedCall, raw: str) -> None:
        """What the call says of the question."""
        follows = flight.weigh(call, raw)
        if call.ended.outcome in FINAL:
            read = follows == "done" and isinstance(flight.outcome, Reading)
            if route.quality(flight.template).note(self._clock.now(), valid=read) is not None:
                await self._close(route, "quality", route.quality(flight.template).words, flight.template)
        if follows == "done":
            self._finish(flight)
        elif follows == "again" and self._may_wait(route, flight):
            seconds = BACKOFF_SECONDS * 2.0 ** (flight.failures - 1)
            route.push(flight, not_before=self._clock.now() + timedelta(seconds=seconds))
        else:
            await self._go_on(flight)

    def _may_wait(self, route: Route, flight: Flight) -> bool:
        return bool(flight.waiting) and route.closed(flight) is None and not self._sooner_further(flight)

    async def _close(self, route: Route, cause: str, detail: str, template: str = "") -> None:
        """Write that the model is closed, and let nobody wait for it in vain."""
        until = route.quality(template).closed_until if template else route.breaker.open_until
        closed = ModelRouteClosed(
            model=route.model.name,
            at=self._clock.now(),
            cause=cause,  # type: ignore[arg-type]  # one of three
            detail=detail[:DETAIL_CHARACTERS_MAX],
            until=None if cause == "settings" else until,
            template=template,
        )
        logger.warning("model_closed", model=route.model.name, cause=cause, template=template, detail=closed.detail)
        await self._record.close(closed)
        self._turn_away(route)

    def _turn_away(self, route: Route) -> None:
        """Let nobody wait here in vain, or for longer than elsewhere."""
        for flight in list(route.queued):
            if route.closed(flight) is not None or self._sooner_further(flight):
                route.queued.discard(flight)
                self._start(self._go_on(flight))

    async def _reopen(self, model: ModelName, template: str = "") -> None:
        logger.info("model_opened", model=model, template=template)
        await self._record.reopen(ModelRouteOpened(model=model, at=self._clock.now(), template=template))

    def _finish(self, flight: Flight) -> None:
        """Tell everybody who waits what came of it; whoever asks the same from now on finds it stored."""
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        now = self._clock.now()
        for wanted in flight.waiting.values():
            self._tell(wanted, flight.fact(wanted, at=now))

    def _tell(self, wanted: AdviceWanted, fact: Delivered) -> None:
        self._start(self._told(wanted, fact))

    async def _told(self, wanted: AdviceWanted, fact: Delivered) -> None:
        async with self._delivering:
            await self._deliver(wanted.bot_id, fact)
        self._asked.discard(wanted.advice_id)
        self._flight_of.pop(wanted.advice_id, None)

    async def _keep(self, body: bytes, body_hash: BodyHash) -> None:
        if body_hash not in self._kept:
            await self._bodies.put(body)
            self._kept[body_hash] = None
            if len(self._kept) > PROMPTS_REMEMBERED:
                del self._kept[next(iter(self._kept))]

    def _start(self, work: Coroutine[None, None, None]) -> None:
        assert self._tasks is not None  # noqa: S101 - nothing is taken before it runs
        self._tasks.create_task(work)


class _UnderWay(NamedTuple):
    """A call that is on record, and whether an open breaker waits for what comes of it."""

    begun: ModelCallBegun
    call: ModelCall
    probe: bool


def _foremost(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure that is told of several: that another gateway has taken over, if it is among them."""
    failures = [_foremost(each) if isinstance(each, BaseExceptionGroup) else each for each in group.exceptions]
    return next((failure for failure in failures if isinstance(failure, Superseded)), failures[0])


def _pause_seconds(failed: CallFailed) -> float:
    """For how long the provider wants no call."""
    if failed.kind != "rate_limited":
        return 0.0
    seconds = failed.retry_after if failed.retry_after is not None else RATE_BACKOFF_SECONDS
    return min(max(0.0, seconds), FROZEN_SECONDS_MAX)


def _milliseconds(taken: timedelta) -> int:
    return max(0, round(taken / timedelta(milliseconds=1)))
