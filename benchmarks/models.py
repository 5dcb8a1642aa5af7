"""How far 50 calls a minute go: 1,000 bots at five-minute candles over a day of virtual time, asking in three ways."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import NamedTuple

import structlog

from benchmarks import Result, result
from benchmarks._virtual_time import BEGINS_AT, VirtualClock
from benchmarks._virtual_time import run as run_virtually
from events.advice import AdviceReceived, Opinion, Usage
from events.codec import Codec
from events.identifiers import AdviceId, BotId, FleetName, ModelName, Symbol
from events.memory import MemoryEventLog
from oxbot.adapters.memory_bodies import MemoryBodies
from oxbot.app.models.gateway import Gateway
from oxbot.app.models.known import Budgets, KnownModel, ModelTable, Prices, SpendLimit
from oxbot.app.models.record import Record
from oxbot.app.models.transport import Completion, Message, ModelCall
from oxbot.app.models.wanted import AdviceWanted, Delivered, Payer, Prompt, Reading

BOTS = 1000
CANDLE = timedelta(minutes=5)
CANDLES = 288
DEADLINE = CANDLE
"""So long a bot waits. Then it asks anew, about newer candles, and is served the sooner for not having been."""

FLEET = FleetName("fleet")
LATENCY_SECONDS = (1.0, 5.0)
UNBOUNDED = SpendLimit(usd_per_day=Decimal(1_000_000), tokens_per_day=10**12)
MODEL = KnownModel(
    name=ModelName("model"),
    provider_model="openai/model",
    prices=Prices(input=Decimal("0.15"), cached=Decimal("0.075"), output=Decimal("0.6"), version="benchmark"),
    calls_per_minute=50,
    context_tokens=128_000,
)
OPINION = Opinion(symbol=Symbol("BTC/USDT"), action="hold", weight=0, confidence=50, horizon=60)


class Mode(NamedTuple):
    """So many bots ask the same, and one such call takes so many tokens."""

    name: str
    sharing: int
    usage: Usage


MODES = (
    Mode("solo", 1, Usage(input=2500, output=200)),
    Mode("batched", 8, Usage(input=6000, output=500)),
    Mode("cohort", 50, Usage(input=6000, output=500)),
)
"""Each bot for itself about one symbol; eight bots that ask about eight symbols at once; twenty cohorts of fifty."""


async def run() -> AsyncIterator[Result]:
    """For each way the share that is served, how old an answer is when it is used, who never gets one, and the cost."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for mode in MODES:
        for line in await asyncio.to_thread(run_virtually, _day(mode)):
            yield line


class _Bot:
    """A bot as far as the gateway knows it: it asks, waits, and uses what it is told at the next candle."""

    def __init__(self, number: int, mode: Mode) -> None:
        self.bot_id = BotId(f"bot-{number}")
        self.cohort = number // mode.sharing
        self.asked = 0
        self.asked_at = 0
        self.pending: AdviceId | None = None
        self.answer: Delivered | None = None
        self.ages: list[float] = []
        self.waits: list[float] = []


class _Fleet:
    """All bots, in step with the candles."""

    def __init__(self, mode: Mode, clock: VirtualClock) -> None:
        self.bots = [_Bot(number, mode) for number in range(BOTS)]
        self._by_id = {bot.bot_id: bot for bot in self.bots}
        self._clock = clock

    async def of(self, bot_id: BotId) -> Payer:
        """See ``Payers.of``."""
        del bot_id
        return Payer("", FLEET)

    async def told(self, bot_id: BotId, fact: Delivered) -> None:
        """See ``Deliver``."""
        bot = self._by_id[bot_id]
        if fact.advice_id != bot.pending:
            return
        bot.answer = fact
        if isinstance(fact, AdviceReceived):
            bot.waits.append((self._clock.now() - BEGINS_AT - bot.asked_at * CANDLE).total_seconds())

    def close(self, candle: int, gateway: Gateway) -> None:
        """A candle has closed: every bot uses what it was told, and asks, unless it still waits."""
        for bot in self.bots:
            if bot.answer is not None:
                if isinstance(bot.answer, AdviceReceived):
                    bot.ages.append((candle - bot.asked_at) * CANDLE.total_seconds())
                bot.pending = bot.answer = None
            if bot.pending is not None and (candle - bot.asked_at) * CANDLE >= DEADLINE:
                gateway.withdraw(bot.pending)
                bot.pending = None
            if bot.pending is None:
                bot.asked, bot.asked_at = bot.asked + 1, candle
                bot.pending = AdviceId(f"{bot.bot_id}-a{bot.asked}")
                gateway.ask(self._wanted(bot, candle))

    def _wanted(self, bot: _Bot, candle: int) -> AdviceWanted:
        question = Message("user", f"candle {candle} as cohort {bot.cohort} sees it")
        return AdviceWanted(
            advice_id=AdviceId(f"{bot.bot_id}-a{bot.asked}"),
            bot_id=bot.bot_id,
            fleet=FLEET,
            advice_class="paper",
            model=MODEL.name,
            template="market/1",
            prompt=Prompt((Message("system", "You trade."), question), "{}"),
            read=_read,
            deadline=self._clock.now() + DEADLINE,
        )


def _read(raw: str) -> Reading:
    del raw
    return Reading(opinions=(OPINION,))


class _Provider:
    """Answers every call after a while."""

    def __init__(self, mode: Mode, clock: VirtualClock) -> None:
        self._usage = mode.usage
        self._clock = clock
        self._chances = Random(1)  # noqa: S311 - the same day every time
        self.calls = 0

    async def complete(self, call: ModelCall) -> Completion:
        """See ``ModelTransport.complete``."""
        self.calls += 1
        await self._clock.sleep(self._chances.uniform(*LATENCY_SECONDS))
        return Completion(text="{}", resolved_model=call.provider_model, finish_reason="stop", usage=self._usage)


async def _day(mode: Mode) -> list[Result]:
    clock = VirtualClock()
    fleet, provider, log = _Fleet(mode, clock), _Provider(mode, clock), MemoryEventLog(Codec())
    table = ModelTable([MODEL], Budgets(bot=UNBOUNDED, owner=UNBOUNDED, fleet=UNBOUNDED))
    record = Record(log, clock=clock, payers=fleet, budgets=table.budgets, holder="benchmark")
    gateway = Gateway(table, transport=provider, record=record, bodies=MemoryBodies(), deliver=fleet.told, clock=clock)
    serving = asyncio.create_task(gateway.run())
    for candle in range(CANDLES):
        fleet.close(candle, gateway)
        # The books of a day end with it; the last second is left out.
        await clock.sleep(CANDLE.total_seconds() - (candle == CANDLES - 1))
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    spent = sum((known.usd for known in record.state.spent.values()), Decimal(0))
    return list(_lines(mode, fleet.bots, provider.calls, spent))


def _lines(mode: Mode, bots: Sequence[_Bot], calls: int, spent: Decimal) -> Iterator[Result]:
    ages = sorted(age for bot in bots for age in bot.ages)
    waits = sorted(wait for bot in bots for wait in bot.waits)
    candles = BOTS * (CANDLES - 1)
    wanted = candles / mode.sharing
    assert MODEL.prices is not None
    alone = float(MODEL.prices.cost(mode.usage)) * candles
    limit = MODEL.calls_per_minute * CANDLES * CANDLE / timedelta(minutes=1)
    rows = (
        ("calls", calls, limit, "the limit of the model", "calls/day"),
        ("candles with a new answer", len(ages) / candles, min(1, limit / wanted), "what the limit allows", "share"),
        ("p50 from question to answer", _quantile(waits, 0.5), sum(LATENCY_SECONDS) / 2, "the model's own", "s"),
        ("p95 from question to answer", _quantile(waits, 0.95), sum(LATENCY_SECONDS) / 2, "the model's own", "s"),
        ("p50 age of an answer when used", _quantile(ages, 0.5), CANDLE.total_seconds(), "one candle", "s"),
        ("p95 age of an answer when used", _quantile(ages, 0.95), CANDLE.total_seconds(), "one candle", "s"),
        ("fewest answers that a bot got", min(len(bot.ages) for bot in bots), len(ages) / BOTS, "the mean", "answers"),
        ("bots never served", sum(not bot.ages for bot in bots), BOTS, "all", "bots"),
        ("cost", float(spent), alone, "a call for each bot and candle", "USD/day"),
    )
    for case, ours, reference, name, unit in rows:
        yield result(
            "models",
            f"{mode.name}: {case}",
            ours=ours,
            reference=reference,
            reference_name=name,
            unit=unit,
            digits=3 if unit == "share" else 2,
        )


def _quantile(values: Sequence[float], fraction: float) -> float:
    return values[min(int(fraction * len(values)), len(values) - 1)]
