"""Whose bots are: every operation of the table as everybody, on one's own bot, the house's, another's and none."""

from collections.abc import Sequence

import httpx
import msgspec
import pytest

from events.account import AccountGranted
from events.bot import BotCreated, BotHalted
from events.identifiers import HOUSE, AccountName, BotId, OwnerId, bot_stream
from events.user import Role
from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Access, Call, Of, Operation, operation
from oxbot.api.paging import write_cursor
from oxbot.api.routes import OPERATIONS
from oxbot.core.candles import Series
from tests.api.stage import BTC, VENUE, Json, Stage, items, json, problem, say
from tests.api.test_advice_api import DECIDED
from tests.app.accounts import happened, open_account
from tests.core.scenario import bought, candle, created, deposited, filled, moment

pytestmark = pytest.mark.anyio

BOTS = f"{PREFIX}/bots"
ROLES: tuple[Role | None, ...] = (None, "viewer", "trader", "admin")
RANKS: dict[Access, int] = {"anyone": 0, "viewer": 1, "trader": 2, "admin": 3}
WHOSE = ("own", "house", "another", "missing")
MAIN = AccountName("main")
VALUES = {"bot_id": "bot-house", "strategy": "ema_cross", "model": "deep", "position": "1", "account": "main"}
"""What stands in the path of an operation that is of no bot; any other name there stands for itself."""

BODIES: dict[str, dict[str, object]] = {
    "deposit_capital": {"amount": "1", "reference": "r"},
    "withdraw_capital": {"amount": "1", "reference": "r"},
    "set_trading_state": {"state": "halted"},
    "create_bot": {"name": "one", "symbols": [BTC]},
}
"""Bodies that are followed; with any other operation what matters is that it is looked at at all."""

ENDLESS = "text/event-stream"
"""An answer that does not end has tests of its own."""


def named(operations: Sequence[Operation]) -> list[object]:
    """The operations as parameters."""
    return [pytest.param(one, id=one.name) for one in operations]


def bot_of(whose: str, role: Role | None) -> str:
    """The id of such a bot, all of one length."""
    return {"own": f"bot-{role or 'nobody':_<6}".replace("_", "x"), "house": "bot-housex"}.get(
        whose, f"bot-{whose[:6]}"
    )


async def populated(stage: Stage) -> None:
    """A bot of everybody, of the house and of somebody who never comes."""
    owners = {bot_of("own", role): OwnerId(f"a-{role}") for role in ROLES if role}
    owners |= {bot_of("house", None): HOUSE, bot_of("another", None): OwnerId("a-stranger")}
    for bot_id, owner in owners.items():
        await born(stage, bot_id, owner)
    await stage.project()


async def born(stage: Stage, bot_id: str, owner: str) -> None:
    """A bot of that owner."""
    creation = msgspec.structs.replace(created(), bot_id=BotId(bot_id), owner=OwnerId(owner))
    await say(stage, bot_stream(BotId(bot_id)), creation, deposited())


def expected(one: Operation, role: Role | None, whose: str) -> int:
    """The status by the rule, written out once more: 200 stands for whatever follows once it is looked at."""
    if role is None:
        return 401
    if RANKS[role] < RANKS[one.least]:
        return 403
    if whose == "missing" or (whose == "another" and role != "admin"):
        return 404
    reads = one.method == "GET"
    mine = role == "admin" or (whose == "own" and (reads or role == "trader"))
    return 200 if mine or (reads and whose == "house") else 403


async def ask(client: httpx.AsyncClient, one: Operation, path: str) -> httpx.Response:
    """The operation on what the path names."""
    for name in ("decision_id", "advice_id", "order_id", "symbol", "flow"):
        path = path.replace(f"{{{name}}}", "none")
    return await client.request(one.method, path, json=None if one.method == "GET" else BODIES.get(one.name, {}))


def bare(response: httpx.Response) -> tuple[int, dict[str, object], dict[str, str]]:
    """An answer without what names the request."""
    body = {name: value for name, value in json(response).items() if name not in ("request_id", "instance")}
    headers = {name: value for name, value in response.headers.items() if not name.startswith(("x-request", "ratel"))}
    return response.status_code, body, headers


@pytest.mark.parametrize("one", named([one for one in OPERATIONS if one.of == "bot"]))
async def test_every_operation_of_a_bot_is_for_whom_the_rule_names(stage: Stage, one: Operation) -> None:
    await populated(stage)
    found, wanted = {}, {}
    for role in ROLES:
        refusals = []
        async with stage.client(role) as client:
            for whose in WHOSE:
                response = await ask(client, one, one.path.replace("{bot_id}", bot_of(whose, role)))
                wanted[role, whose] = expected(one, role, whose)
                looked_at = response.status_code in (200, 400, 409, 422) or "{" in one.path.replace("{bot_id}", "")
                found[role, whose] = 200 if looked_at and wanted[role, whose] == 200 else response.status_code
                if whose in ("another", "missing") and role != "admin":
                    refusals.append(bare(response))
        if role != "admin":
            assert refusals[0] == refusals[1]
    assert found == wanted


@pytest.mark.parametrize("one", named([one for one in OPERATIONS if one.of != "bot" and one.media_type != ENDLESS]))
async def test_every_other_operation_needs_its_role_and_no_more(stage: Stage, one: Operation) -> None:
    await populated(stage)
    path = one.path
    for name, value in VALUES.items():
        path = path.replace(f"{{{name}}}", value)
    for role in ROLES:
        async with stage.client(role) as client:
            response = await ask(client, one, path)
        if RANKS[role or "anyone"] >= RANKS[one.least]:
            assert response.status_code not in (405, 500)
            assert "needs the role" not in response.text
        else:
            assert response.status_code == (401 if role is None else 403)


ACROSS = named([one for one in OPERATIONS if one.of == "bots" and one.method == "GET" and one.media_type != ENDLESS])


@pytest.mark.parametrize("one", ACROSS)
async def test_what_is_listed_across_bots_is_what_one_may_read(stage: Stage, one: Operation) -> None:
    await populated(stage)
    everybodys = {bot_of("own", role) for role in ROLES if role} | {bot_of("house", None), bot_of("another", None)}
    shown = {}
    for role in ROLES[1:]:
        async with stage.client(role) as client:
            response = await client.get(one.path)
        assert response.status_code == 200, response.text
        shown[role] = {bot_id for bot_id in everybodys if f'"{bot_id}"' in response.text}
    named_at_all = shown["admin"]
    assert named_at_all in (everybodys, set())
    for role in ("viewer", "trader"):
        assert shown[role] == named_at_all & {bot_of("own", role), bot_of("house", None)}


@pytest.mark.parametrize("one", ACROSS)
async def test_what_is_summed_up_across_bots_is_of_what_one_may_read(stage: Stage, one: Operation) -> None:
    """Whatever somebody else's bot does, nothing of it shows; an administrator sees that it does."""
    await stage.candles.add([(Series(VENUE, BTC, "5m"), [candle(0, "100"), candle(1, "104")])])
    await populated(stage)
    other, before = BotId("bot-secret"), {}
    for role in ROLES[1:]:
        async with stage.client(role) as client:
            before[role] = await settled(stage, client, one)
    await born(stage, other, "a-stranger")
    sale = msgspec.structs.replace(
        bought(BTC, 2, quantity="2", price="104")[0], side="sell", reason="exit_signal", at=moment(1), reduce_only=True
    )
    traded = [*bought(BTC, 1, quantity="2", price="100"), sale, filled(2, at=1, quantity="2", price="104", fee="0")]
    await say(stage, bot_stream(other), *traded, *bought(BTC, 3, quantity="1", price="104"))
    await say(stage, bot_stream(other), BotHalted(rule="strategy_failed", reason="ValueError"))
    await stage.project()
    for role in ROLES[1:]:
        async with stage.client(role) as client:
            assert (await settled(stage, client, one) == before[role]) is (role != "admin")


async def settled(stage: Stage, client: httpx.AsyncClient, one: Operation) -> Json:
    """The answer at the end of the log, without where that is."""
    response = await client.get(one.path, params={"min_position": str(await stage.log.head())})
    assert response.status_code == 200, response.text
    return {name: value for name, value in json(response).items() if name not in ("position", "lag_events")}


@pytest.mark.parametrize(
    ("path", "of", "least"),
    [
        ("/bots/{bot_id}/x", "installation", "viewer"),
        ("/bots/{bot_id}/x", "bots", "viewer"),
        ("/bots/{bot_id}/x", "bot", "anyone"),
        ("/bots/x", "bot", "viewer"),
        ("/bots/{bot_id}/{user_id}", "bot", "admin"),
        ("/things/{thing}", "installation", "admin"),
        ("/decisions/{decision_id}", "bot", "viewer"),
        ("/venue-accounts/{account}", "account", "trader"),
        ("/venue-accounts/{account}", "installation", "admin"),
        ("/users/{user_id}", "user", "viewer"),
        ("/bots", "bots", "anyone"),
    ],
)
def test_an_operation_whose_path_and_rule_do_not_go_together_cannot_be_made(path: str, of: Of, least: Access) -> None:
    async def show(_: Call[Nothing, Nothing]) -> object:
        return answer("shown")

    with pytest.raises(ValueError, match=path.partition("{")[0]):
        operation(
            show,  # type: ignore[arg-type]  # never called
            name="show",
            method="GET",
            path=path,
            least=least,
            of=of,
            summary="",
            query=Nothing,
            body=Nothing,
            answer=str,
        )


async def test_a_new_bot_is_its_makers_at_once_and_nobody_elses(stage: Stage) -> None:
    """Also before it is in the views, which is when its commands come."""
    async with stage.client("trader") as mine, stage.client("trader", user="a-rival") as rival:
        path = (await mine.post(BOTS, json=BODIES["create_bot"])).headers["location"]
        problem(await rival.post(f"{path}/start"), 404, "unknown-bot")
        assert (await mine.post(f"{path}/start")).status_code == 200
        problem(await rival.get(path), 404, "unknown-bot")
        await stage.project()
        assert json(await mine.get(path))["owner"] == "a-trader"
        assert [bot["owner"] for bot in items(await mine.get(BOTS))] == ["a-trader"]
        assert items(await rival.get(BOTS)) == []


async def test_only_an_administrator_says_whose_a_new_bot_is(stage: Stage) -> None:
    anna = await stage.accounts.create("anna", "a long enough password", "viewer")
    body = BODIES["create_bot"]
    async with stage.client("admin") as admin, stage.client("trader") as trader:
        for owner in (anna, "a-nobody", ""):
            refused = await trader.post(BOTS, json={**body, "owner": owner})
            assert "only an administrator" in problem(refused, 403, "forbidden")
        assert (await trader.post(BOTS, json={**body, "owner": "a-trader"})).status_code == 201
        unknown = await admin.post(BOTS, json={**body, "owner": "a-nobody"})
        assert "`$.owner`" in problem(unknown, 422, "unprocessable-content")
        made = [await admin.post(BOTS, json={**body, **said}) for said in ({"owner": anna}, {"owner": ""}, {})]
    owners = []
    for response in made:
        first, *_ = await stage.log.read_stream(bot_stream(BotId(str(json(response)["bot_id"]))))
        assert isinstance(first.fact, BotCreated)
        owners.append(first.fact.owner)
    assert owners == [anna, HOUSE, "a-admin"]


async def test_a_trader_names_only_an_account_that_was_granted_and_learns_of_no_other(stage: Stage) -> None:
    await open_account(stage.log, MAIN, "test")
    await open_account(stage.log, AccountName("rival"), "test")
    await happened(stage.log, AccountName("rival"), [AccountGranted(owner=OwnerId("a-rival"))])
    live = {**BODIES["create_bot"], "account": "main"}
    async with stage.client("trader") as trader, stage.client("admin") as admin:
        refusals = [
            (account, problem(await trader.post(BOTS, json={**live, "account": account}), 409, "command-refused"))
            for account in ("main", "rival", "nosuch")
        ]
        assert len({text.replace(account, "") for account, text in refusals}) == 1
        await happened(stage.log, MAIN, [AccountGranted(owner=OwnerId("a-trader"))])
        granted = await trader.post(BOTS, json=live)
        assert granted.status_code == 201
        path = granted.headers["location"]
        assert (await trader.post(f"{path}/start")).status_code == 200
        problem(await trader.post(f"{path}/arm", json={"until": "2099-01-01T00:00:00Z"}), 403, "forbidden")
        await happened(stage.log, MAIN, [AccountGranted(owner=HOUSE)])
        problem(await trader.post(BOTS, json=live), 409, "command-refused")
        assert (await admin.post(BOTS, json=live)).status_code == 201


async def test_the_accounts_that_are_offered_are_those_that_a_bot_of_the_caller_may_name(stage: Stage) -> None:
    rival = AccountName("rival")
    for account, venue in ((MAIN, "test"), (rival, "test"), (AccountName("elsewhere"), "okx")):
        await open_account(stage.log, account, venue)
        await happened(stage.log, account, [AccountGranted(owner=OwnerId("a-trader"))])
    await happened(stage.log, rival, [AccountGranted(owner=OwnerId("a-rival"))])
    async with stage.client("trader") as trader, stage.client("admin") as admin:
        (offered,) = items(await trader.get(f"{PREFIX}/offered-accounts"))
        assert (offered["account"], offered["venue"], offered["demo"]) == ("main", "test", False)
        assert "it has no keys" in str(offered["obstacles"])
        assert offered.keys() == {"account", "venue", "demo", "armed_until", "obstacles"}
        assert [row["account"] for row in items(await admin.get(f"{PREFIX}/offered-accounts"))] == ["main", "rival"]
        for client, named_one, status in ((trader, "main", 201), (trader, "rival", 409), (admin, "rival", 201)):
            made = await client.post(BOTS, json={**BODIES["create_bot"], "account": named_one})
            assert made.status_code == status, made.text
        problem(await admin.post(BOTS, json={**BODIES["create_bot"], "account": "elsewhere"}), 409, "command-refused")
        await happened(stage.log, MAIN, [AccountGranted(owner=HOUSE)])
        assert items(await trader.get(f"{PREFIX}/offered-accounts")) == []


async def test_an_account_is_granted_to_a_user_there_is_and_taken_back(stage: Stage) -> None:
    anna = await stage.accounts.create("anna", "a long enough password", "trader")
    await open_account(stage.log, MAIN, "test")
    path = f"{PREFIX}/venue-accounts/main"
    async with stage.client("admin") as admin:
        assert "`$.owner`" in problem(
            await admin.post(f"{path}/grant", json={"owner": "nobody"}), 422, "unprocessable-content"
        )
        assert json(await admin.post(f"{path}/grant", json={"owner": anna}))["owner"] == anna
        assert json(await admin.get(path))["owner"] == anna
        assert json(await admin.post(f"{path}/grant", json={"owner": ""}))["owner"] == ""


async def test_a_cursor_of_somebody_else_shows_nothing_of_his(stage: Stage) -> None:
    await populated(stage)
    theirs = write_cursor("bots", bot_of("another", None)[:-1])
    async with stage.client("viewer") as client:
        found = items(await client.get(BOTS, params={"cursor": theirs}))
    assert {str(bot["bot_id"]) for bot in found} <= {bot_of("own", "viewer"), bot_of("house", None)}


async def test_ranks_of_the_arena_are_among_what_one_may_read(stage: Stage) -> None:
    await populated(stage)
    async with stage.client("viewer") as viewer, stage.client("admin") as admin:
        seen, all_of_them = [json(await client.get(f"{PREFIX}/arena")) for client in (viewer, admin)]
    assert (seen["bots"], all_of_them["bots"]) == (2, 5)


async def test_a_viewer_who_is_given_a_bot_reads_it_and_commands_nothing(stage: Stage) -> None:
    await populated(stage)
    async with stage.client("viewer") as client:
        path = f"{BOTS}/{bot_of('own', 'viewer')}"
        assert (await client.get(path)).status_code == 200
        problem(await client.post(f"{path}/start"), 403, "forbidden")


@pytest.mark.parametrize("role", ["viewer", "trader"])
async def test_the_refusal_of_a_command_to_the_houses_bot_says_who_may(stage: Stage, role: Role) -> None:
    await populated(stage)
    async with stage.client(role) as client:
        said = problem(await client.post(f"{BOTS}/{bot_of('house', None)}/start"), 403, "forbidden")
    assert (
        said
        == {
            "viewer": "this needs the role trader; yours is viewer",
            "trader": "only an administrator commands this bot",
        }[role]
    )


async def test_what_is_recorded_of_somebody_elses_bot_is_not_found_under_ones_own(stage: Stage) -> None:
    """IDOR by the second id of a path: the decision is there, and the rival's."""
    await populated(stage)
    theirs = BotId(bot_of("another", None))
    decided = msgspec.structs.replace(DECIDED, decision_id=f"{theirs}-d1", advice_id=None)
    await say(stage, bot_stream(theirs), decided)
    await stage.project()
    found = f"decisions/{decided.decision_id}"
    async with stage.client("trader") as trader, stage.client("admin") as admin:
        assert (await admin.get(f"{BOTS}/{theirs}/{found}")).status_code == 200
        for mine in (bot_of("own", "trader"), bot_of("house", None)):
            wrong = bare(await trader.get(f"{BOTS}/{mine}/{found}"))
            assert wrong == bare(await trader.get(f"{BOTS}/{mine}/decisions/{'x' * len(decided.decision_id)}"))
            assert wrong[0] == 404


async def test_a_history_of_ones_own_is_not_read_on_with_the_cursor_of_anothers(stage: Stage) -> None:
    await populated(stage)
    for listing in ("orders", "trades", "decisions", "advice", "spending"):
        theirs = write_cursor(f"{listing} {bot_of('another', None)} desc", "0000000001")
        async with stage.client("trader") as client:
            path = f"{BOTS}/{bot_of('own', 'trader')}/{listing}"
            problem(await client.get(path, params={"cursor": theirs}), 400, "bad-request")
