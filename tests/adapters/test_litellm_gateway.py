"""The gateway over real litellm, whatever the server does: each call is on record, and nothing unsafe is told."""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from itertools import islice

import msgspec
import pytest

from events.advice import AdviceAbstained, AdviceReceived
from events.bot import BotFact, OrderRequested
from events.codec import Codec
from events.identifiers import MODELS_STREAM, AdviceId, BotId, FleetName, ModelName
from events.memory import MemoryEventLog
from events.models import ModelCallBegun, ModelCallEnded
from oxbot.adapters.litellm_transport import open_litellm
from oxbot.adapters.memory_bodies import MemoryBodies
from oxbot.adapters.model_table import ModelKeys
from oxbot.adapters.synthetic_market import SyntheticMarket
from oxbot.app.advice_prompt import AnswerReader
from oxbot.app.clock import SystemClock
from oxbot.app.models.check import CANDLES
from oxbot.app.models.gateway import Gateway
from oxbot.app.models.known import KnownModel, ModelTable, scripted_model
from oxbot.app.models.record import Record
from oxbot.app.models.wanted import AdviceWanted, Delivered
from oxbot.core.strategies import built_in
from tests.adapters.questions import BEGINS_AT, behaving, question
from tests.adapters.test_scripted_transport import DROPPED, FAULTS, LEGAL
from tests.app.models.world import Known
from tests.core.advised_lives import advised, answer, asked
from tests.core.lives import LOOSE, Life, creation, requests
from tests.models_server import ModelsServer, models_server

pytestmark = pytest.mark.anyio

ON_THE_WAY = {
    "rate_limited": "rate_limited",
    "server_error": "provider_error",
    "unavailable": "provider_error",
    "dropped": "unreachable",
    "dropped_in_body": "unreachable",
    "hang": "timeout",
    "trickle": "timeout",
    "broken_json": "provider_error",
    "html": "provider_error",
    "redirect": "unreachable",
    "empty_choices": "empty",
    "null_content": "empty",
    "length": "truncated",
    "no_key": "refused",
    "no_such_model": "refused",
    "context_exceeded": "refused",
    "content_filtered": "refused",
    "echoes_key": "refused",
    "answers_key": "invalid",
}
"""What a server does, and the reason for which there is no advice then."""

UNREADABLE = {name: "empty" if code == "empty" else "invalid" for name, code in FAULTS.items()}
FIRST = ModelName("rule")
KEY = "sk-very-secret-1234567890"


def table(server: ModelsServer) -> ModelTable:
    """A model for each fault and each behaviour, of its name."""
    free = scripted_model().prices
    return ModelTable(
        KnownModel(
            name=ModelName(name),
            provider_model=f"openai/{name}",
            base_url=server.base_url,
            key_env="TEST_KEY",
            prices=free,
            timeout_seconds=3 if ON_THE_WAY.get(name) == "timeout" else 60,
            calls_per_minute=600,
        )
        for name in [*ON_THE_WAY, *UNREADABLE, *DROPPED, *LEGAL]
    )


def wanted(model: ModelName) -> AdviceWanted:
    """What one bot asks of that model."""
    asked = question()
    return AdviceWanted(
        advice_id=AdviceId(f"bot-{model}-a1"),
        bot_id=BotId(f"bot-{model}"),
        fleet=FleetName("fleet"),
        advice_class="paper",
        model=model,
        template="market/1",
        prompt=asked.prompt,
        read=AnswerReader(asked.asked, lenient=False),
        deadline=SystemClock().now() + timedelta(seconds=60),
    )


async def told_by(server: ModelsServer, log: MemoryEventLog, bodies: MemoryBodies) -> Mapping[str, Delivered]:
    """What each model's bot was told, by the model's name."""
    models, clock, told = table(server), SystemClock(), dict[str, Delivered]()
    first_told, all_told = asyncio.Event(), asyncio.Event()

    async def deliver(bot_id: BotId, fact: Delivered) -> None:
        told[bot_id.removeprefix("bot-")] = fact
        first_told.set()
        if len(told) == len(models.models) - 1:
            all_told.set()

    keys = ModelKeys(models, {"TEST_KEY": KEY})
    async with open_litellm(models, keys, clock=clock) as transport:
        record = Record(log, clock=clock, payers=Known(), budgets=models.budgets, holder="test")
        gateway = Gateway(models, transport=transport, record=record, bodies=bodies, deliver=deliver, clock=clock)
        running = asyncio.create_task(gateway.run())
        # The first call of a process loads half of litellm, which takes longer than a hanging one may.
        gateway.ask(wanted(FIRST))
        await asyncio.wait([running, begun := asyncio.create_task(first_told.wait())], return_when="FIRST_COMPLETED")
        for name in models.models:
            if name not in ("scripted", FIRST):
                gateway.ask(wanted(name))
        await asyncio.wait([running, ended := asyncio.create_task(all_told.wait())], return_when="FIRST_COMPLETED")
        ended.cancel()
        running.cancel()
        await asyncio.gather(running, begun, ended, return_exceptions=True)
    return told


async def test_every_fault_has_its_reason_every_call_its_record_and_no_opinion_is_unsafe() -> None:
    log, bodies = MemoryEventLog(Codec()), MemoryBodies()
    async with models_server(behaving(), default="rule") as server:
        server.retry_after = "0.2"
        told = await told_by(server, log, bodies)
    facts = [event.fact for event in await log.read_stream(MODELS_STREAM)]

    reasons = {name: fact.reason for name, fact in told.items() if isinstance(fact, AdviceAbstained)}
    assert reasons == {**ON_THE_WAY, **UNREADABLE}

    received = {name: fact for name, fact in told.items() if isinstance(fact, AdviceReceived)}
    assert received.keys() == {*DROPPED, *LEGAL}
    marks = question().asked.marks
    for name, fact in received.items():
        assert len(fact.refusals) == DROPPED.get(name, 0)
        for opinion in fact.opinions:
            assert opinion.symbol in marks
            assert 0 <= opinion.weight <= 10_000

    begun = Counter(fact.model for fact in facts if isinstance(fact, ModelCallBegun))
    ended = Counter(fact.call_id for fact in facts if isinstance(fact, ModelCallEnded))
    assert begun == Counter(attempt.body["model"] for attempt in server.attempts)
    assert ended.total() == begun.total()
    assert set(ended.values()) == {1}
    kept = [str(await bodies.get(fact.answer)) for fact in facts if isinstance(fact, ModelCallEnded) and fact.answer]
    assert any("***" in text for text in kept)
    assert [text for text in [*kept, *map(repr, [*facts, *told.values()])] if tells(text)] == []

    for name, heard in told.items():
        entries = ordered(heard)
        assert all(entry.symbol in marks for entry in entries)
        assert {entry.side for entry in entries} <= {"buy"}, "no short was allowed"
        for entry in entries:
            assert entry.bracket is not None
            assert STOP_MIN <= entry.bracket.stop_fraction <= STOP_MAX, name
            assert entry.notional is not None
            assert entry.notional <= CAPITAL * SIZE
            assert entry.leverage in (None, 1)
        wanted_up = {one.symbol for one in getattr(heard, "opinions", ()) if one.action == "long"}
        assert {entry.symbol for entry in entries} <= wanted_up, f"{name}: without an opinion there is no order"
    counts = {name: len(ordered(fact)) for name, fact in received.items()}
    assert counts["worst"] == len(marks), "as loud as may be: one entry in each symbol"
    assert counts["leverage"] == counts["oversized"] == counts["unknown_coin"] == len(marks) - 1


def tells(text: str) -> bool:
    """Whether any eight characters of the key are in it, whatever its case and whatever stands between them."""
    squeezed, key = (re.sub("[^a-z0-9]", "", each.lower()) for each in (text, KEY))
    return any(key[start : start + 8] in squeezed for start in range(len(key) - 7))


CAPITAL = Decimal(10_000)
SIZE = Decimal("0.1")
STOP_MIN, STOP_MAX = Decimal("0.001"), Decimal("0.1")


def ordered(fact: Delivered) -> list[OrderRequested]:
    """What a bot on the question's market enters within two hours of being told this, by whatever the answer says."""
    market = SyntheticMarket(1, list(question().asked.marks), "5m", BEGINS_AT)
    every = {"every": "1", "valid": "24", "confidence_min": "0", "size_fraction": str(SIZE)}
    command = advised(creation(*market.instruments, timeframe="5m", limits=LOOSE), every)
    begun = msgspec.structs.replace(command.market, begins_at=BEGINS_AT)
    life = Life(msgspec.structs.replace(command, market=begun), built_in())
    frames, facts = market.frames_after(None), list[BotFact]()
    for frame in islice(frames, CANDLES - 1):
        life.view.push(frame)
    [request] = asked(life.see(next(frames)).facts)
    answer(life, msgspec.structs.replace(fact, advice_id=request.advice_id))
    for frame in islice(frames, 24):
        facts.extend(life.see(frame).facts)
    return requests(facts, "entry")
