"""Accounts at venues over HTTP: opened, given keys that are never seen again, armed and killed; and live bots armed."""

from datetime import datetime, timedelta

import pytest

from events.account import AccountClaimed, AccountUnreconciled
from events.identifiers import AccountName, account_stream
from tests.api.stage import BTC, Stage, items, json, now, problem
from tests.app.accounts import happened, open_account

pytestmark = pytest.mark.anyio

PATH = "/api/v1/venue-accounts"
MAIN = AccountName("main")
SECRETS = {"api_key": "planted-key", "secret": "planted-secret", "password": "planted-password"}
JSON = {"content-type": "application/json"}


def later() -> str:
    return (now() + timedelta(hours=8)).isoformat()


async def test_an_account_is_opened_given_keys_armed_and_killed_by_an_admin(stage: Stage) -> None:
    async with stage.client("admin") as admin:
        opened = await admin.post(PATH, json={"account": "main", "venue": "okx", "demo": True})
        assert (opened.status_code, opened.headers["location"]) == (201, f"{PATH}/main")
        assert "no keys" in problem(
            await admin.post(f"{PATH}/main/arm", json={"until": later()}), 409, "command-refused"
        )
        keyed = await admin.put(f"{PATH}/main/keys", json=SECRETS)
        armed = await admin.post(f"{PATH}/main/arm", json={"until": later()})
        assert datetime.fromisoformat(str(json(armed)["armed_until"])) > now()
        killed = await admin.post(f"{PATH}/main/kill", json={"policy": "freeze", "reason": "drill"})
        disarmed = await admin.post(f"{PATH}/main/disarm")

    assert json(keyed)["keys"] == (await stage.venue_keys.fingerprint(MAIN))
    assert json(disarmed)["armed_until"] is None
    assert "its kill switch was thrown (freeze) and is at work" in str(json(killed)["obstacles"])
    events = await stage.log.read_stream(account_stream(MAIN))
    assert {event.metadata.actor for event in events} == {"user-a-admin"}
    assert int(killed.headers["x-position"]) <= await stage.log.head()


async def test_keys_are_seen_nowhere_again(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    async with stage.client("admin") as admin:
        await admin.post(PATH, json={"account": "main", "venue": "okx"})
        answers = [
            await admin.put(f"{PATH}/main/keys", json=SECRETS),
            await admin.put(f"{PATH}/other/keys", json=SECRETS),
            await admin.put(f"{PATH}/main/keys", json={**SECRETS, "more": "planted-more"}),
            await admin.put(f"{PATH}/main/keys", json={**SECRETS, "secret": " planted-secret"}),
            await admin.put(f"{PATH}/main/keys", json={**SECRETS, "secret": ["planted-secret"]}),
            await admin.put(f"{PATH}/main/keys", content=b'{"secret": "planted-secret"', headers=JSON),
            await admin.get(f"{PATH}/main"),
            await admin.get(PATH),
        ]
    assert [answer.status_code for answer in answers] == [200, 404, 422, 422, 422, 400, 200, 200]
    said = capfd.readouterr()
    stored = await stage.venue_keys.find(MAIN)
    log = await stage.log.read_all()
    for text in (*(answer.text for answer in answers), said.out, said.err, repr(stored), repr(log)):
        assert "planted" not in text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"account": "Main", "venue": "okx"}, "invalid-account"),
        ({"account": "main", "venue": "kraken"}, "unfit-venue"),
        ({"account": "main", "venue": "nowhere"}, "unfit-venue"),
        ({"account": "main", "venue": "okx", "rest": "http://10.0.0.1", "ws": "ws://10.0.0.1"}, "invalid-account"),
    ],
)
async def test_what_no_account_can_be_is_refused_by_name(stage: Stage, body: dict[str, object], kind: str) -> None:
    async with stage.client("admin") as admin:
        problem(await admin.post(PATH, json=body), 422, kind)
    assert await stage.log.head() == 0


async def test_an_account_that_is_open_in_other_terms_stays_as_it_is(stage: Stage) -> None:
    async with stage.client("admin") as admin:
        await admin.post(PATH, json={"account": "main", "venue": "okx"})
        problem(await admin.post(PATH, json={"account": "main", "venue": "okx", "demo": True}), 409, "command-refused")
        problem(await admin.get(f"{PATH}/other"), 404, "unknown-account")
        assert [row["demo"] for row in items(await admin.get(PATH))] == [False]


async def test_a_live_bot_is_armed_by_an_admin_and_says_when_its_account_is_in_trouble(stage: Stage) -> None:
    await open_account(stage.log, MAIN, "test")
    async with stage.client("admin") as admin:
        created = await admin.post("/api/v1/bots", json={"name": "live", "symbols": [BTC], "account": "main"})
        bot = f"/api/v1/bots/{json(created)['bot_id']}"
        assert (await admin.post(f"{bot}/arm", json={"until": later()})).status_code == 200
        await stage.project()
        assert json(await admin.get(bot))["armed_until"] is not None

        trouble = AccountUnreconciled(at=now(), epoch=1, reason="50111: no such key")
        await happened(stage.log, MAIN, [AccountClaimed(epoch=1, holder="a"), trouble])
        shown = json(await admin.get(bot))
        assert shown["error"] == "account main lets nothing enter: 50111: no such key"
        assert (await admin.post(f"{bot}/disarm")).status_code == 200
        paper = json(await admin.post("/api/v1/bots", json={"name": "paper", "symbols": [BTC]}))["bot_id"]
        assert "trades on paper" in problem(
            await admin.post(f"/api/v1/bots/{paper}/arm", json={"until": later()}), 409, "command-refused"
        )
