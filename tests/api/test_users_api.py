"""Accounts over HTTP, for administrators."""

import asyncpg
import pytest

from events.user import UserCreated, UserRoleChanged
from oxbot.core.account import user_stream
from tests.api.people import PASSWORD, SESSIONS, arrive, come_in, refresh
from tests.api.stage import Stage, items, json, problem

pytestmark = pytest.mark.anyio

USERS = "/api/v1/users"
ME = "/api/v1/me"


async def test_an_administrator_makes_lists_shows_and_changes_accounts_in_his_own_name(stored_stage: Stage) -> None:
    async with stored_stage.client() as client:
        root = await arrive(client, stored_stage.accounts, "root", "admin")
        wanted = {"username": "Ann", "password": PASSWORD, "role": "viewer"}
        made = await client.post(USERS, json=wanted, headers=root.bearer)
        user_id = str(json(made)["user_id"])
        changed = json(await client.patch(f"{USERS}/{user_id}", json={"role": "trader"}, headers=root.bearer))
        listed = items(await client.get(USERS, headers=root.bearer))
        ann = await come_in(client, root.user_id, "ann")
        shown = json(await client.get(f"{USERS}/{user_id}", headers=root.bearer))
        twice = await client.post(USERS, json=wanted, headers=root.bearer)

    assert made.status_code == 201
    assert made.headers["location"] == f"{USERS}/{user_id}"
    assert (changed["username"], changed["role"]) == ("ann", "trader")
    assert [(one["username"], one["role"], one["disabled"]) for one in listed] == [
        ("ann", "trader", False), ("root", "admin", False),
    ]  # fmt: skip
    assert (shown["sessions"], shown["failed_sign_ins"], shown["api_tokens"]) == (1, 0, 0)
    assert ann.session_id
    assert problem(twice, 409, "username-taken")
    events = await stored_stage.log.read_stream(user_stream(root.user_id.__class__(user_id)))
    assert [type(event.fact) for event in events][:2] == [UserCreated, UserRoleChanged]
    assert {event.metadata.actor for event in events[:2]} == {f"user-{root.user_id}"}


@pytest.mark.parametrize("change", [{"role": "trader"}, {"disabled": True}])
async def test_the_last_administrator_is_neither_demoted_nor_disabled_nor_erased(
    stored_stage: Stage, change: dict[str, object]
) -> None:
    async with stored_stage.client() as client:
        root = await arrive(client, stored_stage.accounts, "root", "admin")
        await stored_stage.accounts.create("ann", PASSWORD, "trader")
        path = f"{USERS}/{root.user_id}"

        assert problem(await client.patch(path, json=change, headers=root.bearer), 409, "last-admin")
        erased = await client.post(f"{path}/erase", json={"reason": "leaves"}, headers=root.bearer)
        assert problem(erased, 409, "last-admin")
        assert (await client.get(ME, headers=root.bearer)).status_code == 200


async def test_an_erased_person_is_out_at_once_and_their_sessions_and_tokens_are_gone(
    stored_stage: Stage, pool: asyncpg.Pool
) -> None:
    async with stored_stage.client() as client:
        root = await arrive(client, stored_stage.accounts, "root", "admin")
        ann = await arrive(client, stored_stage.accounts)
        path = f"{USERS}/{ann.user_id}"
        erased = await client.post(f"{path}/erase", json={"reason": "asked for it"}, headers=root.bearer)

        assert erased.status_code == 204
        assert (await client.get(ME, headers=ann.bearer)).status_code == 401
        assert (await refresh(client, ann.refresh)).status_code == 401
        assert problem(await client.get(path, headers=root.bearer), 404, "unknown-user")
        for table in ("sessions", "known_addresses", "api_tokens"):
            left = await pool.fetchval(f"SELECT count(*) FROM accounts.{table} WHERE user_id = $1", ann.user_id)
            assert left == 0


async def test_an_administrator_ends_anyones_sessions_one_or_all_and_sets_passwords(stage: Stage) -> None:
    async with stage.client() as client:
        root = await arrive(client, stage.accounts, "root", "admin")
        ann = await arrive(client, stage.accounts)
        others = [await come_in(client, ann.user_id, "ann") for _ in range(2)]
        sessions = f"{USERS}/{ann.user_id}/sessions"

        assert len(items(await client.get(sessions, headers=root.bearer))) == 3
        one = await client.delete(f"{sessions}/{others[0].session_id}", headers=root.bearer)
        assert one.status_code == 204
        assert (await client.get(ME, headers=others[0].bearer)).status_code == 401
        assert (await client.get(ME, headers=others[1].bearer)).status_code == 200
        assert (await client.delete(sessions, headers=root.bearer)).status_code == 204
        assert (await client.get(ME, headers=others[1].bearer)).status_code == 401
        assert items(await client.get(sessions, headers=root.bearer)) == []

        again = await come_in(client, ann.user_id, "ann")
        path = f"{USERS}/{ann.user_id}/password"
        weak = await client.put(path, json={"password": "aaaaaaaaaaaaaa"}, headers=root.bearer)
        done = await client.put(path, json={"password": "another good password"}, headers=root.bearer)
        assert problem(weak, 422, "weak-password")
        assert done.status_code == 204
        assert (await client.get(ME, headers=again.bearer)).status_code == 401
        assert (await come_in(client, ann.user_id, "ann", "another good password")).session_id


@pytest.mark.parametrize("role", ["viewer", "trader"])
async def test_nobody_else_reaches_accounts(stage: Stage, role: str) -> None:
    async with stage.client() as client:
        who = await arrive(client, stage.accounts, role="trader" if role == "trader" else "viewer")
        for method, path in [("GET", USERS), ("GET", f"{USERS}/{who.user_id}"), ("PATCH", f"{USERS}/{who.user_id}")]:
            response = await client.request(
                method, path, json={"role": "admin"} if method == "PATCH" else None, headers=who.bearer
            )
            assert problem(response, 403, "forbidden")


@pytest.mark.parametrize("user_id", ["nobody", "%00", "a%00b", "..%2f..", "' OR 1=1 --", "x" * 600, "ü", "a%0Ab"])
async def test_an_id_that_is_nobodys_is_not_found_whatever_is_in_it(stored_stage: Stage, user_id: str) -> None:
    async with stored_stage.client("admin") as client:
        for method, path in [("GET", ""), ("GET", "/sessions"), ("DELETE", "/sessions"), ("GET", "/tokens")]:
            response = await client.request(method, f"{USERS}/{user_id}{path}")
            assert response.status_code in (404, 414), response.text


@pytest.mark.parametrize("username", ["' OR 1=1 --", "a\x01b", "x\n[admin] in", "\ud7ff", "\uff21DMIN", "admin "])
async def test_a_name_that_is_none_signs_in_to_nothing_and_makes_nothing(stored_stage: Stage, username: str) -> None:
    async with stored_stage.client() as client:
        root = await arrive(client, stored_stage.accounts, "root", "admin")
        tried = await client.post(SESSIONS, json={"username": username, "password": PASSWORD})
        wanted = {"username": username, "password": PASSWORD, "role": "admin"}
        made = await client.post(USERS, json=wanted, headers=root.bearer)

    assert problem(tried, 401, "sign-in-refused")
    assert problem(made, 422, "invalid-username")
