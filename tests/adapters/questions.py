"""Questions to models as bots put them, for the tests of what models answer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any

from events.identifiers import ModelName, Symbol
from events.values import MarketReference
from oxbot.adapters.scripted_answers import BEHAVIOURS, answer
from oxbot.adapters.synthetic_market import SyntheticMarket
from oxbot.app.models.check import CANDLES, Probe, probe
from oxbot.app.models.transport import Message, ModelCall
from tests.models_server import Answer

BEGINS_AT = datetime(2024, 1, 1, tzinfo=UTC)


@cache
def question(seed: int = 1) -> Probe:
    """A question about three symbols of a synthetic market."""
    market = SyntheticMarket(seed, [Symbol("BTC/USDT"), Symbol("ETH/USDT"), Symbol("SOL/USDT")], "5m", BEGINS_AT)
    reference = MarketReference(venue=market.venue, timeframe="5m", begins_at=BEGINS_AT, instruments=market.instruments)
    return probe(reference, islice(market.frames_after(None), CANDLES))


def scripted_call(behaviour: str, *turns: Message, seed: int = 1) -> ModelCall:
    """The question put to a scripted model."""
    asked = question(seed)
    return ModelCall(
        model=ModelName("scripted"),
        provider_model=f"scripted/{behaviour}",
        messages=(*asked.prompt.messages, *turns),
        schema=asked.prompt.schema,
        output_tokens=2_000,
        timeout_seconds=5.0,
    )


def behaving() -> Mapping[str, Answer]:
    """What the loopback server says for a model of each behaviour's name."""
    return {name: _behaving(name) for name in BEHAVIOURS}


def _behaving(name: str) -> Answer:
    def said(body: Mapping[str, Any]) -> str | None:
        turns = [Message(turn["role"], turn["content"]) for turn in body["messages"]]
        return answer(turns, behaviour=name)

    return said
