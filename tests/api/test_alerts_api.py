"""What somebody should look at, as those see it who may."""

import msgspec
import pytest

from events.account import AccountUnreconciled
from events.bot import BotHalted, BotStarted, OrderInDoubt
from events.identifiers import AccountName, BotId, OrderId, OwnerId, bot_stream
from events.user import Role
from tests.api.stage import START, Stage, items, json, problem, say
from tests.api.test_metrics_api import figures, of
from tests.app.accounts import open_account
from tests.core.scenario import created, deposited

pytestmark = pytest.mark.anyio

PATH = "/api/v1/alerts"
HALTED = BotHalted(rule="venue", reason="wrong keys")


async def troubled(stage: Stage) -> None:
    """Bots of the house, the trader and somebody else, all halted, the first well again; an account in trouble."""
    for name, owner in (("bot-1", ""), ("bot-2", "a-trader"), ("bot-3", "somebody")):
        born = msgspec.structs.replace(created(), bot_id=BotId(name), owner=OwnerId(owner))
        await say(stage, bot_stream(BotId(name)), born, deposited(), HALTED)
    await say(stage, bot_stream(BotId("bot-1")), BotStarted())
    await open_account(
        stage.log, AccountName("main"), "okx", more=[AccountUnreconciled(at=START, epoch=1, reason="lost")]
    )
    await stage.project()


async def test_everybody_sees_the_alerts_of_what_he_may_read_those_that_go_on_first(stage: Stage) -> None:
    await troubled(stage)
    shown = {}
    roles: tuple[Role, ...] = ("viewer", "trader", "admin")
    for role in roles:
        async with stage.client(role) as client:
            shown[role] = [(row["rule"], row["bot_id"], row["until"] is None) for row in items(await client.get(PATH))]

    house = ("bot_halted", "bot-1", False)
    mine = ("bot_halted", "bot-2", True)
    assert shown == {
        "viewer": [house],
        "trader": [mine, house],
        "admin": [("account_unreconciled", None, True), ("bot_halted", "bot-3", True), mine, house],
    }


async def test_alerts_come_in_pages_and_may_be_asked_for_by_whether_they_go_on(stage: Stage) -> None:
    await troubled(stage)
    async with stage.client("admin") as client:
        first = await client.get(PATH, params={"limit": 2})
        second = await client.get(PATH, params={"limit": 2, "cursor": str(json(first)["next"])})
        going_on = items(await client.get(PATH, params={"open": "true"}))
        over = items(await client.get(PATH, params={"open": "false"}))
        wrong = await client.get(PATH, params={"open": "true", "cursor": str(json(first)["next"])})
        everything = items(await client.get(PATH))

    assert items(first) + items(second) == everything
    assert json(second)["next"] is None
    assert going_on + over == everything
    assert len(over) == 1
    assert problem(wrong, 400, "bad-request")


async def test_open_alerts_and_orders_in_doubt_are_figures(stage: Stage) -> None:
    await say(
        stage,
        bot_stream(BotId("bot-1")),
        created(),
        OrderInDoubt(order_id=OrderId("b-1"), at=START, reason="no answer"),
    )
    await stage.project()
    found = await figures(stage)

    assert of(found, "oxbot_alerts_open", rule="order_in_doubt", level="warning") == 1
    assert of(found, "oxbot_orders_in_doubt") == 1
    assert of(found, "oxbot_orders_in_doubt_oldest_seconds") >= 0
