"""The installation's figures, as Prometheus reads them."""

import asyncpg
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from events.account import AccountReconciled
from events.codec import Codec
from events.identifiers import MODELS_STREAM, AccountName, BotId, bot_stream, venue_stream
from events.log import EventLog
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from events.venue import MarketStale
from oxbot.adapters.memory_event_counts import MemoryEventCounts
from oxbot.adapters.postgres_event_counts import PostgresEventCounts
from oxbot.app.vitals import EventCounts
from oxbot.core.candles import Series
from tests.api.people import arrive, bearer
from tests.api.stage import BTC, START, VENUE, Stage, now, say
from tests.api.test_api_tokens_api import token
from tests.app.accounts import open_account
from tests.core.scenario import BOT, bought, candle, created, deposited
from tests.core.scenario import running as running_bot
from tests.views.advising import begun, ended

pytestmark = pytest.mark.anyio

Labels = frozenset[tuple[str, str]]


async def figures(stage: Stage) -> dict[tuple[str, Labels], float]:
    """Every figure that an administrator is told."""
    async with stage.client("admin") as client:
        response = await client.get("/metrics")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def of(found: dict[tuple[str, Labels], float], name: str, **labels: str) -> float:
    """One figure."""
    return found[name, frozenset(labels.items())]


async def test_the_log_the_bots_and_their_orders_are_counted(stage: Stage) -> None:
    await say(stage, bot_stream(BOT), *running_bot(), *bought(BTC, 1, quantity="1", price="100"))
    other = msgspec.structs.replace(created(), bot_id=BotId("bot-2"))
    await say(stage, bot_stream(BotId("bot-2")), other, deposited())
    await stage.failing.failed({BOT: "it fell"})
    await stage.project()
    found = await figures(stage)

    assert of(found, "oxbot_log_position") == await stage.log.head()
    assert of(found, "oxbot_bots", status="running", trading="active") == 1
    assert of(found, "oxbot_bots", status="created", trading="active") == 1
    assert of(found, "oxbot_bots_failing") == 1
    assert of(found, "oxbot_projection_lag_events", projection="bots") == 0
    assert of(found, "oxbot_projection_state", projection="bots", state="running") == 1


async def test_what_comes_into_the_log_is_counted_by_type(stage: Stage) -> None:
    async with stage.open_services() as services:
        await services.vitals.begin()
        await say(stage, bot_stream(BOT), *running_bot(), *bought(BTC, 1, quantity="1", price="100"))
        vitals = await services.vitals.read()

    types = [event.event_type for event in await stage.log.read_stream(bot_stream(BOT))]
    assert vitals.events == {kind: types.count(kind) for kind in types}
    assert vitals.events["order.requested"] == 1


async def test_markets_and_accounts_are_told_of(stage: Stage) -> None:
    await stage.candles.add([(Series(VENUE, BTC, "5m"), [candle(0, "100")])])
    await say(
        stage,
        venue_stream(VENUE),
        MarketStale(symbol=BTC, timeframe="5m", at=START, expected=START, reason="silence"),
    )
    agreed = AccountReconciled(at=START, epoch=1, position=1, orders=0)
    await open_account(stage.log, AccountName("well"), "okx", more=[agreed])
    await open_account(stage.log, AccountName("ill"), "okx")
    found = await figures(stage)

    # The market is a day old, and its only candle closed five minutes after it began.
    age = of(found, "oxbot_feed_age_seconds", venue="test", symbol=BTC, timeframe="5m")
    assert age == 86_400 - 300
    assert of(found, "oxbot_venue_incidents_open", venue="test", kind="stale") == 1
    assert of(found, "oxbot_venue_incidents_open", venue="test", kind="gap") == 0
    assert of(found, "oxbot_account_reconciled", account="well") == 1
    assert of(found, "oxbot_account_reconciled", account="ill") == 0


async def test_calls_of_models_today_are_told_with_what_they_cost(stage: Stage) -> None:
    today = msgspec.structs.replace(begun(), at=now())
    await say(stage, MODELS_STREAM, today, ended(today))
    await stage.project()
    found = await figures(stage)
    spent = of(found, "oxbot_model_spent_usd_today", model=today.model)

    assert of(found, "oxbot_model_calls_today", model=today.model, outcome="answered") == 1
    assert spent > 0
    assert of(found, "oxbot_model_budget_left_usd_today") == pytest.approx(50 - spent)


async def test_requests_are_counted_by_operation_and_what_strangers_ask_for_makes_no_label(stage: Stage) -> None:
    async with stage.client("viewer") as client:
        await client.get("/api/v1/bots")
        await client.get("/api/v1/bots/no-such-bot")
        await client.get("/api/v1/invented-by-a-stranger")
        await client.request("INVENTED", "/api/v1/bots")
    found = await figures(stage)

    assert of(found, "oxbot_api_requests_total", operation="list_bots", method="GET", status="200") == 1
    assert of(found, "oxbot_api_requests_total", operation="show_bot", method="GET", status="404") == 1
    assert of(found, "oxbot_api_request_seconds_count", operation="list_bots") == 1
    labels = {value for _, pairs in found for _, value in pairs}
    assert not any("invented" in value.lower() for value in labels)
    assert of(found, "process_resident_memory_bytes") > 0


async def test_a_token_of_the_scope_metrics_is_enough_and_a_viewer_is_not(stage: Stage) -> None:
    async with stage.client("viewer") as viewer, stage.client() as stranger:
        assert (await viewer.get("/metrics")).status_code == 403
        assert (await stranger.get("/metrics")).status_code == 401
        root = await arrive(stranger, stage.accounts, "root", "admin")
        script = bearer(str((await token(stranger, root, "metrics"))["token"]))
        assert (await stranger.get("/metrics", headers=script)).status_code == 200


@pytest.fixture(params=["memory", "postgres"])
def counted(request: pytest.FixtureRequest) -> tuple[EventLog, EventCounts]:
    """A log and the counts of it."""
    if request.param == "memory":
        log = MemoryEventLog(Codec())
        return log, MemoryEventCounts(log)
    pool: asyncpg.Pool = request.getfixturevalue("pool")
    return PostgresEventLog(pool, Codec()), PostgresEventCounts(pool)


async def test_counts_are_those_of_the_range(counted: tuple[EventLog, EventCounts]) -> None:
    log, counts = counted
    stage = Stage(log=log)
    await say(stage, bot_stream(BOT), *running_bot())
    types = [event.event_type for event in await log.read_all(after_position=1)]

    assert await counts.by_type(after_position=1, up_to=await log.head()) == {kind: types.count(kind) for kind in types}
    assert await counts.by_type(after_position=await log.head(), up_to=99) == {}
