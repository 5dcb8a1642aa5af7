"""Deposits and withdrawals over HTTP: exact, refused by name, booked once."""

import pytest

from tests.api.stage import Json, Stage, json, problem
from tests.api.test_bots_api import created

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("amount", ['"0.123456789012345678"', "0.123456789012345678"])
async def test_money_comes_and_goes_to_the_last_digit(stage: Stage, amount: str) -> None:
    path = await created(stage)
    content = f'{{"amount": {amount}, "reference": "wire 7"}}'
    headers = {"content-type": "application/json"}
    async with stage.client("trader") as client:
        came = await client.post(f"{path}/deposits", content=content, headers=headers)
        again = await client.post(f"{path}/deposits", content=content, headers=headers)
        gone = await client.post(f"{path}/withdrawals", json={"amount": "5000", "reference": "all of it"})
        await stage.project()
        portfolio = json(await client.get(f"{path}/portfolio"))

    assert (came.status_code, gone.status_code) == (200, 200)
    assert json(came) == {
        "bot_id": path.rpartition("/")[2],
        "kind": "deposit",
        "amount": "0.123456789012345678",
        "reference": "wire 7",
        "version": 3,
    }
    assert (again.status_code, json(again)) == (200, json(came))
    assert (json(gone)["kind"], json(gone)["amount"], json(gone)["version"]) == ("withdrawal", "5000", 4)
    assert int(gone.headers["x-position"]) == await stage.log.head() == 4
    assert portfolio["cash"] == "0.123456789012345678"


@pytest.mark.parametrize("kind", ["deposits", "withdrawals"])
@pytest.mark.parametrize(
    ("body", "problem_kind", "named"),
    [
        ({"amount": "0", "reference": "r"}, "invalid-command", "amount must be above 0, not 0"),
        ({"amount": "-1", "reference": "r"}, "invalid-command", "amount must be above 0, not -1"),
        ({"amount": "1e-19", "reference": "r"}, "invalid-command", "at most 18 decimals"),
        ({"amount": "NaN", "reference": "r"}, "unprocessable-content", "`$.amount` must be a number"),
        ({"amount": "1_000", "reference": "r"}, "unprocessable-content", "`$.amount` must be a number"),
        ({"amount": "\uff11\uff12", "reference": "r"}, "unprocessable-content", "`$.amount` must be a number"),
        ({"amount": " 5", "reference": "r"}, "unprocessable-content", "`$.amount` must be a number"),
        ({"amount": "a lot", "reference": "r"}, "unprocessable-content", "above 0 and below 1000000000000000, not 'a"),
        ({"amount": "1"}, "unprocessable-content", "`reference`"),
        ({"amount": "1", "reference": ""}, "unprocessable-content", "1 to 100 characters in one line, not ''"),
        ({"amount": "1", "reference": "a\nb"}, "unprocessable-content", "`$.reference`"),
        ({"amount": "1", "reference": "x" * 101}, "unprocessable-content", "`$.reference`"),
        ({"amount": "1", "reference": "initial capital"}, "invalid-command", "creation"),
        ({"amount": "1", "reference": "r", "note": ""}, "unprocessable-content", "`note`"),
    ],
)
async def test_what_is_no_flow_is_refused_by_name(
    stage: Stage, kind: str, body: Json, problem_kind: str, named: str
) -> None:
    path = await created(stage)
    async with stage.client("trader") as client:
        response = await client.post(f"{path}/{kind}", json=body)

    assert named in problem(response, 422, problem_kind)
    assert await stage.log.head() == 2


async def test_more_than_is_free_and_a_reference_of_another_flow_are_conflicts(stage: Stage) -> None:
    path = await created(stage)
    async with stage.client("trader") as client:
        more = await client.post(f"{path}/withdrawals", json={"amount": "5000.01", "reference": "r"})
        await client.post(f"{path}/deposits", json={"amount": "1", "reference": "r"})
        other = await client.post(f"{path}/deposits", json={"amount": "2", "reference": "r"})

    assert "5000 free, less than 5000.01" in problem(more, 409, "command-refused")
    assert "reference 'r' is that of a deposit of 1 already" in problem(other, 409, "command-refused")


async def test_only_who_may_trade_may_move_money_and_only_of_a_bot_there_is(stage: Stage) -> None:
    path = await created(stage)
    body = {"amount": "1", "reference": "r"}
    async with stage.client("viewer") as viewer, stage.client("trader") as trader:
        for kind in ("deposits", "withdrawals"):
            problem(await viewer.post(f"{path}/{kind}", json=body), 403, "forbidden")
            problem(await trader.post(f"/api/v1/bots/nobody/{kind}", json=body), 404, "unknown-bot")
    assert await stage.log.head() == 2
