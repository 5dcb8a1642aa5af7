"""Asks a configured model once or a few times for an opinion on a made-up market, and says how well it answers."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from events.advice import Usage
from events.bot import BotCreated
from events.identifiers import BotId, FleetName, ModelName
from events.values import FeeSchedule, MarketReference, RiskLimits, StrategyReference
from oxbot.app.clock import Clock
from oxbot.app.models.known import KnownModel
from oxbot.app.models.transport import CallFailed, Completion, ModelTransport
from oxbot.app.models.wanted import Prompt
from oxbot.core.advice_answer import AskedFor, Faulty, answer_schema, asked_for, read_answer
from oxbot.core.advice_snapshot import MARKET, WINDOW, snapshot, template_version
from oxbot.core.bot_state import BotState
from oxbot.core.candles import Frame
from oxbot.core.market_view import MarketView
from oxbot.core.prompts import render
from oxbot.core.state import evolve

CANDLES = WINDOW
"""So many candles a market must have to be asked about."""

FEES = FeeSchedule(maker=Decimal("0.0008"), taker=Decimal("0.001"))
SAID_MAX = 200


class Probe(msgspec.Struct, frozen=True):
    """A prompt as bots send it, and what its answer must answer to."""

    prompt: Prompt
    asked: AskedFor


class CallChecked(msgspec.Struct, frozen=True, kw_only=True):
    """One call: ``fault`` is None if the answer was of the form that was asked for, down to the last item."""

    fault: str | None
    latency_ms: int
    opinions: int = 0
    refused_items: int = 0
    resolved_model: str = ""
    finish_reason: str = ""
    usage: Usage = Usage()
    cost: Decimal | None = None


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of all calls to a model; ``cost`` in US dollars is None where its table has no prices."""

    name: ModelName
    provider_model: str
    symbols: int
    calls: tuple[CallChecked, ...]
    compliant: int
    latency_ms_median: int
    latency_ms_max: int
    cost: Decimal | None
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every answer was of the form that was asked for."""
        return self.compliant == len(self.calls)


def probe(market: MarketReference, frames: Iterable[Frame]) -> Probe:
    """The question about all symbols of a market, of which there are ``CANDLES`` frames."""
    created = BotCreated(
        bot_id=BotId("check"),
        fleet=FleetName("check"),
        name="check",
        strategy=StrategyReference(name="model", version=1, parameters=()),
        market=market,
        limits=RiskLimits(),
        fees=FEES,
        quote=market.instruments[0].symbol.partition("/")[2],
    )
    view = MarketView.of(market, capacity=WINDOW)
    for frame in frames:
        view.push(frame)
    symbols = [instrument.symbol for instrument in market.instruments]
    shown = snapshot(evolve(BotState(), created), view, symbols, MARKET)
    asked = asked_for(shown)
    said = render(MARKET, template_version(MARKET), shown)
    return Probe(Prompt(said, answer_schema(asked)), asked)


async def check_model(
    model: KnownModel, transport: ModelTransport, *, question: Probe, calls: int, clock: Clock
) -> Checked:
    """Ask it so many times, one after the other, and read each answer as strictly as its table says."""
    made = [await _called(model, transport, question, clock) for _ in range(calls)]
    latencies = sorted(call.latency_ms for call in made)
    return Checked(
        name=model.name,
        provider_model=model.provider_model,
        symbols=len(question.asked.marks),
        calls=tuple(made),
        compliant=sum(call.fault is None for call in made),
        latency_ms_median=latencies[len(latencies) // 2],
        latency_ms_max=latencies[-1],
        cost=None if model.prices is None else sum((call.cost or Decimal(0) for call in made), Decimal(0)),
        notes=tuple(_notes(model, made)),
    )


async def _called(model: KnownModel, transport: ModelTransport, question: Probe, clock: Clock) -> CallChecked:
    began = clock.now()
    try:
        completion = await transport.complete(question.prompt.call(model, timeout_seconds=model.timeout_seconds))
    except CallFailed as failed:
        status = "" if failed.status is None else f" {failed.status}"
        return CallChecked(fault=f"{failed.kind}{status}: {failed.detail}", latency_ms=_since(began, clock))
    return _read(model, completion, question.asked, latency_ms=_since(began, clock))


def _read(model: KnownModel, completion: Completion, asked: AskedFor, *, latency_ms: int) -> CallChecked:
    found = read_answer(completion.text or "", asked, lenient=model.answers == "lenient")
    refusals = found.refusals
    if isinstance(found, Faulty):
        opinions = 0
        fault: str | None = f"{found.code}: {found.detail}".removesuffix(": ")
    else:
        opinions = len(found.opinions)
        fault = "; ".join(f"item {refusal.item}: {refusal.fault}" for refusal in refusals) or None
    if completion.finish_reason == "length":
        # The gateway takes it for no answer, whatever can be read of it.
        opinions, fault = 0, f"truncated: cut off at {model.output_tokens} tokens"
    return CallChecked(
        fault=fault if fault is None else fault[:SAID_MAX],
        latency_ms=latency_ms,
        opinions=opinions,
        refused_items=len(refusals),
        resolved_model=completion.resolved_model,
        finish_reason=completion.finish_reason,
        usage=completion.usage,
        cost=None if model.prices is None else model.prices.cost(completion.usage),
    )


def _notes(model: KnownModel, made: Sequence[CallChecked]) -> Iterable[str]:
    answered = [call for call in made if call.resolved_model]
    if model.prices is None:
        yield "it has no prices, so no bot's request to it is sent"
    if answered and not any(call.usage.input for call in answered):
        yield "the provider counts no tokens; every call to it is taken to cost all that was reserved"
    if any(call.finish_reason == "length" for call in answered):
        yield "an answer was cut off: raise output_tokens"
    if len({call.resolved_model for call in answered}) > 1:
        yield "not every answer came from the same model"


def _since(began: datetime, clock: Clock) -> int:
    return round((clock.now() - began).total_seconds() * 1000)
