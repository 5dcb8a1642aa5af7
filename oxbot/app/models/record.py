"""What the gateway writes on the models' stream and remembers of it: nothing is called that is not written."""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal

from events.identifiers import MODELS_STREAM, BodyHash, BotId, CallId, ModelName
from events.log import EventLog
from events.models import ModelCallBegun, ModelCallEnded, ModelRouteClosed, ModelRouteOpened
from oxbot.app.bot_runner import Superseded
from oxbot.app.clock import Clock
from oxbot.app.handle import FoldCache, Folded, handle
from oxbot.app.models.budget import SpendBook
from oxbot.app.models.known import Budgets, KnownModel
from oxbot.app.models.wanted import AdviceWanted, Payer, Payers, Prompt
from oxbot.core.models_stream import (
    CALLS_KEPT,
    ClaimModels,
    EndedCall,
    ModelsDecider,
    ModelsState,
    RecordModelFact,
)

Written = ModelCallBegun | ModelCallEnded | ModelRouteClosed | ModelRouteOpened


class Record:
    """The one writer of the models' stream, until a newer one claims it: then it raises ``Superseded``."""

    def __init__(
        self,
        log: EventLog,
        *,
        clock: Clock,
        payers: Payers,
        budgets: Budgets,
        holder: str,
        cache: FoldCache[ModelsState] | None = None,
    ) -> None:
        self._log = log
        self._clock = clock
        self._payers = payers
        self._holder = holder
        self._cache = cache
        self._decider = ModelsDecider()
        self._folded: Folded[ModelsState] = Folded(self._decider.initial, 0)
        self._writing = asyncio.Lock()
        self._numbers = 0
        self._by_prompt: dict[tuple[ModelName, BodyHash], list[EndedCall]] = {}
        self._known_payers: dict[BotId, Payer] = {}
        self.epoch = 0
        self.book = SpendBook(budgets)

    @property
    def state(self) -> ModelsState:
        """The models' stream as this writer left it."""
        return self._folded.state

    @property
    def payers(self) -> Mapping[BotId, Payer]:
        """Who pays for the bots that were served before."""
        return self._known_payers

    async def claim(self) -> None:
        """Take over: end what was left open, and learn what was answered and spent."""
        now = self._clock.now()
        command = ClaimModels(self._holder, now)
        self._folded = await handle(self._log, self._decider, MODELS_STREAM, command, at=now, cache=self._cache)
        self.epoch, self._numbers = self.state.epoch, self.state.calls
        self._known_payers = {bot_id: await self._payers.of(bot_id) for bot_id in self.state.spent}
        self.book.restore(self.state.spent, self.state.open.values(), payers=self._known_payers, at=now)
        for call in self.state.ended:
            self._remember(call)

    def known(self, model: ModelName, prompt: BodyHash) -> Sequence[EndedCall]:
        """The ended calls that put the prompt to the model, oldest first, as far back as they are remembered."""
        return self._by_prompt.get((model, prompt), ())

    async def begin(
        self, model: KnownModel, prompt: Prompt, *, attempt: int, waiting: Sequence[AdviceWanted]
    ) -> ModelCallBegun:
        """Reserve and write that a call is about to be made for these; the call may follow."""
        self._numbers += 1
        usd, tokens = bound(model, prompt)
        assert model.prices is not None  # noqa: S101 - a model without prices gets no route
        begun = ModelCallBegun(
            call_id=CallId(f"call-{self._numbers}"),
            at=self._clock.now(),
            model=model.name,
            provider_model=model.provider_model,
            prompt=prompt.hash,
            attempt=attempt,
            reserved=usd,
            reserved_tokens=tokens,
            shares=tuple(wanted.bot_id for wanted in waiting),
            price_version=model.prices.version,
            advice=tuple(wanted.advice_id for wanted in waiting),
        )
        self.book.reserve(begun)
        await self._write(begun)
        return begun

    async def end(self, begun: ModelCallBegun, ended: ModelCallEnded) -> EndedCall:
        """Write how the call ended and settle it."""
        await self._write(ended)
        self.book.settle(begun, ended)
        call = EndedCall(begun=begun, ended=ended)
        self._remember(call)
        return call

    async def close(self, closed: ModelRouteClosed) -> None:
        """Write that a model, or one of its templates, is not asked for a while."""
        await self._write(closed)

    async def reopen(self, opened: ModelRouteOpened) -> None:
        """Write that it is asked again, if it was not."""
        await self._write(opened)

    async def _write(self, fact: Written) -> None:
        async with self._writing:
            command = RecordModelFact(self.epoch, fact)
            self._folded = await handle(
                self._log,
                self._decider,
                MODELS_STREAM,
                command,
                at=self._clock.now(),
                known=self._folded,
                cache=self._cache,
            )
        if self.state.epoch != self.epoch:
            raise Superseded(f"epoch {self.state.epoch} of the models was claimed; this gateway is epoch {self.epoch}")

    def _remember(self, call: EndedCall) -> None:
        key = (call.begun.model, call.begun.prompt)
        self._by_prompt.setdefault(key, []).append(call)
        if len(self._by_prompt) > 2 * CALLS_KEPT:
            kept = {(known.begun.model, known.begun.prompt) for known in self.state.ended}
            self._by_prompt = {key: calls for key, calls in self._by_prompt.items() if key in kept}


def bound(model: KnownModel, prompt: Prompt) -> tuple[Decimal, int]:
    """The most that a call may come to: US dollars and tokens."""
    tokens = min(prompt.bytes_max, model.context_tokens)
    usd = (
        Decimal(0)
        if model.prices is None
        else model.prices.bound(input_tokens=tokens, output_tokens=model.output_tokens)
    )
    return usd, tokens + model.output_tokens
