"""Signing in over HTTP, with accounts and log in Postgres."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

import asyncpg
import httpx
import pytest

from events.codec import Codec
from events.postgres import PostgresEventLog
from oxbot.app.accounts import FAILURE_SECONDS
from tests.api.people import COOKIE, OURS, PASSWORD, REFRESH, SESSIONS, arrive, come_in, postgres_people, refresh
from tests.api.stage import Stage, items, json, problem, running

pytestmark = pytest.mark.anyio


async def sign_in(client: httpx.AsyncClient, username: str, password: str) -> httpx.Response:
    """The answer to a sign-in."""
    return await client.post(SESSIONS, json={"username": username, "password": password})


async def test_the_first_admin_signs_in_and_sees_who_they_are(stored_stage: Stage) -> None:
    password = await stored_stage.accounts.ensure_admin()
    assert password is not None
    async with stored_stage.client() as client:
        response = await sign_in(client, "Admin", password)
        session = json(response)

    assert response.status_code == 201
    assert session["token_type"] == "Bearer"  # noqa: S105
    assert session["expires_in"] == 900
    assert session["role"] == "admin"
    async with stored_stage.client(token=str(session["access_token"])) as client:
        me = json(await client.get("/api/v1/me"))
        assert (me["username"], me["role"]) == ("admin", "admin")
        assert (await client.get("/api/v1/bots")).status_code == 200


async def test_a_wrong_password_and_an_unknown_name_get_the_same_answer_after_the_same_time(
    stored_stage: Stage,
) -> None:
    await stored_stage.accounts.ensure_admin()
    answers, seconds = [], []
    async with stored_stage.client() as client:
        for username in ("admin", "nobody", "no\x01body", "x" * 64):
            started = perf_counter()
            response = await sign_in(client, username, "wrong password")
            seconds.append(perf_counter() - started)
            body = json(response)
            del body["request_id"]
            answers.append((response.status_code, body))
            assert problem(response, 401, "sign-in-refused") == "the username or the password is wrong"

    assert all(answer == answers[0] for answer in answers)
    assert min(seconds) >= FAILURE_SECONDS * 0.9


async def test_the_right_password_of_a_disabled_account_is_answered_as_a_wrong_one(stored_stage: Stage) -> None:
    user_id = await stored_stage.accounts.create("ann", PASSWORD, "viewer")
    await stored_stage.accounts.change_standing(user_id, disabled=True)
    started = perf_counter()
    async with stored_stage.client() as client:
        response = await client.post(
            SESSIONS, json={"username": "ann", "password": PASSWORD}, headers={"Idempotency-Key": "a"}
        )

    assert perf_counter() - started >= FAILURE_SECONDS * 0.9
    assert problem(response, 401, "sign-in-refused") == "the username or the password is wrong"


async def test_the_token_of_an_account_that_is_gone_is_nobody(stage: Stage) -> None:
    async with stage.client("admin") as client:
        assert problem(await client.get("/api/v1/me"), 401, "unauthorized") == "the account is gone"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ('{"username": "admin"}', "`password`"),
        ('{"username": 1, "password": "x"}', "`$.username`"),
        ('{"username": "a", "password": "x", "role": "admin"}', "`role`"),
        ('{"username": "a", "password": "' + "x" * 257 + '"}', "`$.password`"),
        ("[]", "array"),
    ],
)
async def test_a_malformed_sign_in_names_the_field(stage: Stage, body: str, named: str) -> None:
    async with stage.client() as client:
        response = await client.post(SESSIONS, content=body, headers={"Content-Type": "application/json"})

    detail = problem(response, 422, "unprocessable-content")
    assert named in detail
    assert "xxx" not in detail


async def test_a_database_that_went_away_is_503_with_a_time_to_come_back(
    stored_stage: Stage, pool: asyncpg.Pool
) -> None:
    await stored_stage.accounts.ensure_admin()
    await pool.close()
    async with stored_stage.client() as client:
        response = await sign_in(client, "admin", "anything")

    assert "does not answer" in problem(response, 503, "unavailable")
    assert response.headers["retry-after"] == "2"


async def test_a_session_is_refreshed_with_a_new_token_each_time(stored_stage: Stage) -> None:
    async with stored_stage.client() as client:
        ann = await arrive(client, stored_stage.accounts)
        first = json(await refresh(client, ann.refresh))
        second = json(await refresh(client, str(first["refresh_token"])))
        me = json(await client.get("/api/v1/me", headers={"Authorization": f"Bearer {second['access_token']}"}))

    assert len({ann.refresh, first["refresh_token"], second["refresh_token"]}) == 3
    assert second["session_id"] == me["session_id"] == ann.session_id
    assert (me["user_id"], me["role"]) == (ann.user_id, "trader")


async def test_a_browser_keeps_the_refresh_token_where_no_script_and_no_other_site_has_it(stage: Stage) -> None:
    await stage.accounts.create("ann", PASSWORD, "viewer")
    async with stage.client() as client:
        response = await sign_in(client, "ann", PASSWORD)
        given = response.headers["set-cookie"]
        renewed = await client.post(REFRESH, headers={**OURS, "Cookie": given.partition(";")[0]})
        out = await client.delete(f"{SESSIONS}/current", headers=bearer_of(renewed))

    assert "refresh_token" not in {name for name, value in json(response).items() if value}
    assert given.startswith(f"{COOKIE}=oxr_")
    assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= {part.strip() for part in given.split(";")}
    assert "Domain" not in given
    assert renewed.status_code == 200
    assert renewed.headers["set-cookie"].partition(";")[0] != given.partition(";")[0]
    assert out.status_code == 204
    assert out.headers["set-cookie"].startswith(f'{COOKIE}=""')


def bearer_of(response: httpx.Response) -> dict[str, str]:
    """The header with the access token of an answer."""
    return {"Authorization": f"Bearer {json(response)['access_token']}"}


async def test_whoever_signs_out_is_out_at_once_in_every_process(stored_stage: Stage, pool: asyncpg.Pool) -> None:
    async with stored_stage.client() as client, another_process(pool) as other, other.client() as elsewhere:
        ann = await arrive(client, stored_stage.accounts, role="admin")
        assert (await elsewhere.get("/api/v1/me", headers=ann.bearer)).status_code == 200
        assert (await client.delete(f"{SESSIONS}/current", headers=ann.bearer)).status_code == 204

        assert (await client.get("/api/v1/me", headers=ann.bearer)).status_code == 401
        command = await elsewhere.patch("/api/v1/users/nobody", json={}, headers=ann.bearer)
        assert problem(command, 401, "unauthorized")
        assert (await elsewhere.get("/api/v1/me", headers=ann.bearer)).status_code == 401
        assert problem(await refresh(elsewhere, ann.refresh), 401, "session-over")


@asynccontextmanager
async def another_process(pool: asyncpg.Pool) -> AsyncIterator[Stage]:
    """The API over the same database, by a log of its own that it does not follow."""
    async with running(Stage(log=PostgresEventLog(pool, Codec()), people=postgres_people(pool))) as stage:
        yield stage


async def test_sessions_are_listed_and_ended_one_by_one_and_all_at_once(stored_stage: Stage) -> None:
    async with stored_stage.client() as client:
        ann = await arrive(client, stored_stage.accounts)
        other = await come_in(client, ann.user_id, "ann")
        third = await come_in(client, ann.user_id, "ann")
        listed = items(await client.get(SESSIONS, headers=ann.bearer))
        ended = await client.delete(f"{SESSIONS}/{other.session_id}", headers=ann.bearer)
        again = await client.delete(f"{SESSIONS}/{other.session_id}", headers=ann.bearer)
        left = items(await client.get(SESSIONS, headers=ann.bearer))
        after = await client.get("/api/v1/me", headers=other.bearer)
        everywhere = await client.delete(SESSIONS, headers=ann.bearer)

        assert [(one["session_id"], one["current"]) for one in listed] == [
            (third.session_id, False), (other.session_id, False), (ann.session_id, True),
        ]  # fmt: skip
        assert str(listed[0]["device"]).startswith("python-httpx")
        assert (ended.status_code, after.status_code, everywhere.status_code) == (204, 401, 204)
        assert problem(again, 404, "not-found")
        assert [one["session_id"] for one in left] == [third.session_id, ann.session_id]
        for one in (ann, third):
            assert (await client.get("/api/v1/me", headers=one.bearer)).status_code == 401
            assert (await refresh(client, one.refresh)).status_code == 401


async def test_nobody_ends_the_session_of_somebody_else(stage: Stage) -> None:
    async with stage.client() as client:
        ann = await arrive(client, stage.accounts)
        bob = await arrive(client, stage.accounts, "bob")
        response = await client.delete(f"{SESSIONS}/{bob.session_id}", headers=ann.bearer)

        assert problem(response, 404, "not-found")
        assert (await client.get("/api/v1/me", headers=bob.bearer)).status_code == 200


async def test_another_password_needs_the_one_in_force_and_ends_every_session(stored_stage: Stage) -> None:
    async with stored_stage.client() as client:
        ann = await arrive(client, stored_stage.accounts)
        other = await come_in(client, ann.user_id, "ann")
        wrong = await change_password(client, ann.bearer, "not the password", "another good password")
        weak = await change_password(client, ann.bearer, PASSWORD, "ann ann ann ann")
        done = await change_password(client, ann.bearer, PASSWORD, "another good password")

        assert problem(wrong, 403, "forbidden") == "the old password is wrong"
        assert problem(weak, 422, "weak-password")
        assert done.status_code == 204
        for one in (ann, other):
            assert (await client.get("/api/v1/me", headers=one.bearer)).status_code == 401
            assert (await refresh(client, one.refresh)).status_code == 401
        assert (await sign_in(client, "ann", PASSWORD)).status_code == 401
        assert (await sign_in(client, "ann", "another good password")).status_code == 201


async def change_password(client: httpx.AsyncClient, bearer: dict[str, str], old: str, new: str) -> httpx.Response:
    """The answer to the wish for another password."""
    return await client.post("/api/v1/me/password", json={"old_password": old, "new_password": new}, headers=bearer)


async def test_without_the_log_who_is_signed_in_reads_and_commands_nothing(
    stored_stage: Stage, pool: asyncpg.Pool
) -> None:
    async with stored_stage.client() as client:
        ann = await arrive(client, stored_stage.accounts)
        await pool.close()
        read = await client.get("/openapi.json", headers=ann.bearer)
        command = await client.delete(f"{SESSIONS}/current", headers=ann.bearer)

    assert read.status_code == 200
    assert problem(command, 503, "unavailable")
    assert command.headers["retry-after"] == "2"
