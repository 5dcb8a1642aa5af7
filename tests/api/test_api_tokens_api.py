"""API tokens over HTTP: for what their scopes say, never more than their account's role, and no longer than it says."""

from datetime import timedelta

import asyncpg
import httpx
import pytest

from events.user import Role, Scope
from oxbot.api.operations import authorise
from oxbot.api.problems import Problem
from oxbot.api.tokens import SignedIn
from oxbot.app.api_tokens import allowed
from oxbot.core.account import UserId
from tests.api.people import SESSIONS, SignedInAs, arrive, bearer
from tests.api.stage import Json, Stage, items, json, now, problem

pytestmark = pytest.mark.anyio

TOKENS = "/api/v1/tokens"
ME = "/api/v1/me"
SCOPES: tuple[Scope, ...] = ("read", "trade", "admin", "metrics")


async def issue(
    client: httpx.AsyncClient, who: SignedInAs, *scopes: str, days: float = 30, name: str = "a script"
) -> httpx.Response:
    """The answer to the wish for a token."""
    wanted = {"name": name, "scopes": list(scopes), "expires_at": (now() + timedelta(days=days)).isoformat()}
    return await client.post(TOKENS, json=wanted, headers=who.bearer)


async def token(client: httpx.AsyncClient, who: SignedInAs, *scopes: str) -> Json:
    """A token that is issued."""
    response = await issue(client, who, *scopes)
    assert response.status_code == 201, response.text
    return json(response)


async def test_a_token_is_issued_once_used_listed_and_revoked(stored_stage: Stage, pool: asyncpg.Pool) -> None:
    async with stored_stage.client() as client:
        ann = await arrive(client, stored_stage.accounts)
        issued = await token(client, ann, "trade", "read")
        script = bearer(str(issued["token"]))
        before = items(await client.get(TOKENS, headers=ann.bearer))
        me = json(await client.get(ME, headers=script))
        [listed] = items(await client.get(TOKENS, headers=ann.bearer))
        revoked = await client.delete(f"{TOKENS}/{issued['token_id']}", headers=ann.bearer)
        after = await client.get(ME, headers=script)
        again = await client.delete(f"{TOKENS}/{issued['token_id']}", headers=ann.bearer)

    assert str(issued["token"]).startswith("oxb_")
    assert (me["role"], me["scopes"], me["token_id"], me["session_id"]) == (
        "trader", ["read", "trade"], issued["token_id"], None,
    )  # fmt: skip
    assert before[0]["last_used_at"] is None
    assert listed["last_used_at"] is not None
    assert (listed["name"], listed["scopes"]) == ("a script", ["read", "trade"])
    assert "token" not in listed
    assert (revoked.status_code, after.status_code) == (204, 401)
    assert problem(again, 404, "unknown-api-token")
    stored = [repr(tuple(row)) for row in await pool.fetch("TABLE accounts.api_tokens")]
    assert not any(str(issued["token"]) in row for row in stored)


@pytest.mark.parametrize(
    ("role", "scopes", "refused"),
    [
        ("viewer", ["trade"], "a viewer cannot give the scope trade"),
        ("trader", ["read", "admin"], "a trader cannot give the scope admin"),
        ("trader", ["metrics"], "a trader cannot give the scope metrics"),
    ],
)
async def test_nobody_gives_a_scope_beyond_his_role(stage: Stage, role: Role, scopes: list[str], refused: str) -> None:
    async with stage.client() as client:
        who = await arrive(client, stage.accounts, role=role)

        assert problem(await issue(client, who, *scopes), 422, "invalid-api-token") == refused


@pytest.mark.parametrize(
    ("scopes", "days", "name"),
    [
        ([], 30, "a"),
        (["root"], 30, "a"),
        (["read"], 400, "a"),
        (["read"], -1, "a"),
        (["read"], 30, ""),
        (["read"], 30, "\n"),
    ],
)
async def test_a_token_without_scopes_name_or_a_near_end_is_refused(
    stage: Stage, scopes: list[str], days: float, name: str
) -> None:
    async with stage.client() as client:
        who = await arrive(client, stage.accounts)

        assert (await issue(client, who, *scopes, days=days, name=name)).status_code == 422


async def test_a_token_of_few_scopes_does_no_more_whatever_its_accounts_role_is(stage: Stage) -> None:
    async with stage.client() as client:
        root = await arrive(client, stage.accounts, "root", "admin")
        made = {scope: bearer(str((await token(client, root, scope))["token"])) for scope in SCOPES}
        users = {scope: (await client.get("/api/v1/users", headers=made[scope])).status_code for scope in SCOPES}
        bots = {scope: (await client.get("/api/v1/bots", headers=made[scope])).status_code for scope in SCOPES}
        create = {
            scope: (await client.post("/api/v1/bots", json={}, headers=made[scope])).status_code for scope in SCOPES
        }

    assert users == {"read": 403, "trade": 403, "admin": 200, "metrics": 403}
    assert bots == {"read": 200, "trade": 200, "admin": 200, "metrics": 403}
    assert create == {"read": 403, "trade": 422, "admin": 422, "metrics": 403}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", TOKENS, {"name": "another", "scopes": ["admin"], "expires_at": "2100-01-01T00:00:00Z"}),
        ("DELETE", f"{TOKENS}/x", None),
        ("POST", "/api/v1/me/password", {"old_password": "x", "new_password": "another good password"}),
        ("DELETE", SESSIONS, None),
        ("DELETE", f"{SESSIONS}/current", None),
        ("POST", "/api/v1/users", {"username": "eve", "password": "another good password", "role": "admin"}),
        ("PATCH", "/api/v1/users/x", {"role": "admin"}),
        ("PUT", "/api/v1/users/x/password", {"password": "another good password"}),
        ("POST", "/api/v1/users/x/erase", {"reason": "asked for it"}),
        ("DELETE", "/api/v1/users/x/sessions", None),
    ],
)
async def test_a_token_makes_no_token_password_account_or_session_into_more_than_it_is(
    stage: Stage, method: str, path: str, body: Json | None
) -> None:
    async with stage.client() as client:
        root = await arrive(client, stage.accounts, "root", "admin")
        script = bearer(str((await token(client, root, "read", "trade", "admin"))["token"]))
        response = await client.request(method, path, json=body, headers=script)

    assert "an API token is not enough" in problem(response, 403, "forbidden")


async def test_a_token_follows_its_accounts_role_at_once_and_is_over_with_its_password(stored_stage: Stage) -> None:
    async with stored_stage.client() as client:
        root = await arrive(client, stored_stage.accounts, "root", "admin")
        ann = await arrive(client, stored_stage.accounts, role="admin")
        script = bearer(str((await token(client, ann, "admin"))["token"]))
        assert json(await client.get(ME, headers=script))["role"] == "admin"
        await client.patch(f"/api/v1/users/{ann.user_id}", json={"role": "viewer"}, headers=root.bearer)
        assert json(await client.get(ME, headers=script))["role"] == "viewer"
        assert (await client.get("/api/v1/users", headers=script)).status_code == 403
        await client.patch(f"/api/v1/users/{ann.user_id}", json={"role": "admin"}, headers=root.bearer)
        assert json(await client.get(ME, headers=script))["role"] == "admin"

        await stored_stage.accounts.set_password(ann.user_id, "another good password")
        assert (await client.post("/api/v1/bots", json={}, headers=script)).status_code == 401
        assert (await client.get(ME, headers=script)).status_code == 401


async def test_a_disabled_accounts_token_is_over_for_good(stored_stage: Stage) -> None:
    async with stored_stage.client() as client:
        root = await arrive(client, stored_stage.accounts, "root", "admin")
        ann = await arrive(client, stored_stage.accounts)
        script = bearer(str((await token(client, ann, "read"))["token"]))
        for disabled in (True, False):
            changed = await client.patch(
                f"/api/v1/users/{ann.user_id}", json={"disabled": disabled}, headers=root.bearer
            )
            assert json(changed)["disabled"] is disabled
            assert (await client.get(ME, headers=script)).status_code == 401


async def test_a_row_that_the_log_does_not_know_of_opens_nothing(stored_stage: Stage, pool: asyncpg.Pool) -> None:
    """Such as one that a restored backup brought back, or that somebody wrote who can write to the table."""
    async with stored_stage.client() as client:
        ann = await arrive(client, stored_stage.accounts)
        issued = await token(client, ann, "read")
        [row] = await pool.fetch("TABLE accounts.api_tokens")
        await client.delete(f"{TOKENS}/{issued['token_id']}", headers=ann.bearer)
        await pool.execute("INSERT INTO accounts.api_tokens VALUES ($1, $2, $3, $4, $5, $6, $7)", *row)

        assert (await client.get(ME, headers=bearer(str(issued["token"])))).status_code == 401


@pytest.mark.parametrize("text", ["oxb_", "oxb_x", "oxb_" + "A" * 43, "oxb_é"])
async def test_what_is_nobodys_token_is_a_stranger(stage: Stage, text: str) -> None:
    async with stage.client() as client:
        response = await client.get(ME, headers={b"Authorization": f"Bearer {text}".encode()})

    assert response.status_code == 401


@pytest.mark.parametrize(
    ("role", "scopes", "acting", "kept"),
    [
        ("admin", ("read",), "viewer", {"read"}),
        ("admin", ("read", "trade"), "trader", {"read", "trade"}),
        ("admin", ("admin",), "admin", {"admin"}),
        ("trader", ("admin",), "trader", {"admin"}),
        ("viewer", ("trade",), "viewer", {"trade"}),
        ("admin", ("metrics",), "viewer", {"metrics"}),
        ("trader", ("metrics",), "viewer", set[Scope]()),
    ],
)
def test_what_a_token_may_do_is_the_lower_of_scopes_and_role(
    role: Role, scopes: tuple[Scope, ...], acting: Role, kept: set[Scope]
) -> None:
    assert allowed(role, scopes) == (acting, frozenset(kept))


def test_the_scope_that_an_operation_names_is_enough_for_it_and_for_nothing_else() -> None:
    scraper = SignedIn(UserId("u"), "viewer", scopes=frozenset({"metrics"}), token_id="t")  # noqa: S106
    reader = scraper._replace(scopes=frozenset({"read"}))

    authorise(scraper, "admin", scope="metrics")
    with pytest.raises(Problem, match="needs the role admin"):
        authorise(reader, "admin", scope="metrics")
    with pytest.raises(Problem, match="do not go as far"):
        authorise(scraper, "viewer")
