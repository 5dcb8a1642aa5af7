"""One decision with everything that led to it and followed from it, each thing cited in the log."""

from base64 import b64encode
from collections.abc import Mapping
from decimal import Decimal

import msgspec
import pytest

from events.advice import AdviceTaken
from events.bot import BotFact, DecisionMade, OrderCancelled, OrderDenied
from events.identifiers import BotId, DecisionId, OwnerId, VenueName, bot_stream
from oxbot.core.candles import Series, window_digest
from tests.api.stage import BOT, BTC, START, STEP, VENUE, Stage, json, problem, say
from tests.core.scenario import candle, filled, moment, order_id, running
from tests.views.advising import opinion, received, requested
from tests.views.trading import asked

pytestmark = pytest.mark.anyio

BASE = f"/api/v1/bots/{BOT}"
CANDLES = [candle(0, "100"), candle(1, "101")]
TOLD = received(requested(), opinion(reason="<script>alert(1)</script>"))
PROMPT, ANSWER = b"What do you think?", b'{"say": "<script>alert(1)</script>"}'


def decided(number: int, **others: object) -> DecisionMade:
    """The bot's decision of that number, on the two candles, with advice."""
    made = DecisionMade(
        decision_id=DecisionId(f"bot-1-d{number}"),
        at=START + STEP,
        venue=VenueName("test"),
        symbol=BTC,
        timeframe="5m",
        window=3,
        window_digest=window_digest(CANDLES),
        strategy="ema_cross",
        strategy_version=1,
        measurements=(),
        intent="enter_long",
        mark=Decimal(101),
        equity=Decimal(10_000),
        advice_id=requested().advice_id,
    )
    return msgspec.structs.replace(made, **others)


ENTRY = msgspec.structs.replace(asked(1, "buy", "1", at=1, leverage="1"), decision_id=DecisionId("bot-1-d1"))
STOP = msgspec.structs.replace(
    asked(2, "sell", "1", at=2, reduces=True, kind="stop", trigger="90", leverage="1"), parent_id=order_id(1)
)
LIFE: list[BotFact] = [
    *running(),
    requested(),
    TOLD,
    AdviceTaken(advice_id=requested().advice_id, at=moment(1)),
    decided(1),
    ENTRY,
    filled(1, at=2, quantity="1", price="100", fee="0"),
    STOP,
    decided(2, advice_id=None),
    OrderDenied(
        decision_id=DecisionId("bot-1-d2"),
        at=moment(1),
        symbol=BTC,
        rule="positions_max",
        limit=Decimal(1),
        value=Decimal(2),
    ),
    OrderCancelled(order_id=order_id(2), at=moment(3), reason="over"),
]


async def lived(stage: Stage) -> None:
    """The bot's life, its candles and its texts."""
    await say(stage, bot_stream(BOT), *LIFE)
    await stage.candles.add([(Series(VENUE, BTC, "5m"), CANDLES)])
    await stage.project()


async def shown(stage: Stage, decision: str) -> Mapping[str, object]:
    """The decision's evidence."""
    async with stage.client("viewer") as client:
        return json(await client.get(f"{BASE}/decisions/{decision}"))


def positions(events: object) -> list[tuple[object, object]]:
    """Where each event stands, and what it is."""
    cited = msgspec.convert(events, list[dict[str, object]])
    return [(event["position"], event["event_type"]) for event in cited]


async def test_a_decision_comes_with_its_inputs_its_verdict_its_orders_and_its_advice(stage: Stage) -> None:
    await lived(stage)
    found = await shown(stage, "bot-1-d1")

    assert positions([found["made"], found["verdict"]]) == [(7, "decision.made"), (8, "order.requested")]
    orders = msgspec.convert(found["orders"], list[dict[str, object]])
    rows = [msgspec.convert(order["order"], dict[str, object]) for order in orders]
    assert [row["order_id"] for row in rows] == [order_id(1), order_id(2)]
    assert [positions(order["events"]) for order in orders] == [
        [(8, "order.requested"), (9, "order.filled")],
        [(10, "order.requested"), (13, "order.cancelled")],
    ]
    advice = msgspec.convert(found["advice"], dict[str, object])
    assert positions(advice["events"]) == [(4, "advice.requested"), (5, "advice.received"), (6, "advice.taken")]
    assert msgspec.convert(advice["advice"], dict[str, object])["outcome"] == "advised"
    assert found["window"] == {
        "candles": 2,
        "first": "2024-01-01T00:00:00Z",
        "last": "2024-01-01T00:05:00Z",
        "digest": window_digest(CANDLES),
        "confirmed": True,
    }
    assert found["complete"] is True


async def test_every_event_is_cited_with_the_hash_of_its_leaf(stage: Stage) -> None:
    await lived(stage)
    made = msgspec.convert((await shown(stage, "bot-1-d1"))["made"], dict[str, object])
    stored = await stage.tree.at(7)

    assert stored is not None
    assert made["leaf_hash"] == b64encode(stored.leaf_hash).decode()
    assert msgspec.convert(made["fact"], dict[str, object])["decision_id"] == "bot-1-d1"


async def test_a_refused_decision_comes_with_the_gates_refusal_and_nothing_more(stage: Stage) -> None:
    await lived(stage)
    found = await shown(stage, "bot-1-d2")

    assert positions([found["verdict"]]) == [(12, "order.denied")]
    assert (found["orders"], found["advice"], found["complete"]) == ([], None, True)
    assert msgspec.convert(found["decision"], dict[str, object])["rule"] == "positions_max"


async def test_candles_that_are_not_those_that_were_seen_are_not_confirmed(stage: Stage) -> None:
    await say(stage, bot_stream(BOT), *LIFE)
    await stage.candles.add([(Series(VENUE, BTC, "5m"), [candle(0, "100"), candle(1, "102")])])
    await stage.project()

    window = msgspec.convert((await shown(stage, "bot-1-d1"))["window"], dict[str, object])
    assert (window["confirmed"], window["first"], window["candles"]) == (False, None, 3)


async def test_what_has_not_ended_yet_is_said_not_to_be_complete(stage: Stage) -> None:
    await say(stage, bot_stream(BOT), *LIFE[:-3])
    await stage.project()

    assert (await shown(stage, "bot-1-d1"))["complete"] is False


@pytest.mark.parametrize(
    "decision", ["bot-1-d3", "bot-1-d0", "bot-1-d", "bot-2-d1", "x", "bot-1-d99999999999999999999"]
)
async def test_a_decision_that_was_not_made_is_not_found(stage: Stage, decision: str) -> None:
    await lived(stage)
    async with stage.client("viewer") as client:
        problem(await client.get(f"{BASE}/decisions/{decision}"), 404, "unknown-record")


async def test_the_texts_of_a_model_are_plain_text_that_no_browser_runs(stage: Stage) -> None:
    prompt, answer = await stage.bodies.put(PROMPT), await stage.bodies.put(ANSWER)
    told = msgspec.structs.replace(TOLD, prompt=prompt, answer=answer)
    await say(stage, bot_stream(BOT), *running(), requested(), told)
    await stage.project()
    advice_id = requested().advice_id
    async with stage.client("viewer") as client:
        sent = await client.get(f"{BASE}/advice/{advice_id}/prompt")
        said = await client.get(f"{BASE}/advice/{advice_id}/answer")

    assert (sent.content, said.content) == (PROMPT, ANSWER)
    assert said.headers["content-type"] == "text/plain; charset=utf-8"
    assert said.headers["x-content-type-options"] == "nosniff"
    assert said.headers["content-security-policy"].startswith("default-src 'none'")
    assert said.headers["x-body-sha256"] == answer


async def test_texts_that_there_are_not_are_not_found(stage: Stage) -> None:
    await say(stage, bot_stream(BOT), *running(), requested(), requested(2), TOLD)
    await stage.project()
    async with stage.client("viewer") as client:
        for path in ("bot-1-a1/answer", "bot-1-a2/answer", "bot-1-a3/prompt", "x/prompt"):
            problem(await client.get(f"{BASE}/advice/{path}"), 404, "unknown-record")


async def test_the_evidence_of_a_bot_that_one_may_not_read_is_not_there(stage: Stage) -> None:
    other = msgspec.structs.replace(running()[0], bot_id=BotId("bot-2"), owner=OwnerId("somebody"))
    await say(stage, bot_stream(BotId("bot-2")), other)
    await stage.project()
    async with stage.client("trader") as client:
        for path in ("decisions/bot-2-d1", "advice/bot-2-a1/prompt", "risk"):
            problem(await client.get(f"/api/v1/bots/bot-2/{path}"), 404, "unknown-bot")
