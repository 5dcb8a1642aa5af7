"""Signing in over HTTP, with accounts and log in Postgres."""

import asyncio
from time import perf_counter

import asyncpg
import httpx
import pytest

from oxbot.api.sign_in_limit import ATTEMPTS_MAX, PERIOD_SECONDS, SignInLimit
from oxbot.app.accounts import FAILURE_SECONDS
from tests.api.stage import Stage, json, problem

pytestmark = pytest.mark.anyio

SESSIONS = "/api/v1/sessions"


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
        for username in ("admin", "nobody", "no\x00body", "x" * 64):
            started = perf_counter()
            response = await sign_in(client, username, "wrong password")
            seconds.append(perf_counter() - started)
            body = json(response)
            del body["request_id"]
            answers.append((response.status_code, body))
            assert problem(response, 401, "sign-in-refused") == "the username or the password is wrong"

    assert all(answer == answers[0] for answer in answers)
    assert min(seconds) >= FAILURE_SECONDS * 0.9


async def test_the_eleventh_failure_within_a_minute_is_told_to_wait_even_with_the_right_password(
    stored_stage: Stage,
) -> None:
    password = await stored_stage.accounts.ensure_admin()
    assert password is not None
    async with stored_stage.client() as client:
        failures = await asyncio.gather(*(sign_in(client, "admin", "wrong") for _ in range(ATTEMPTS_MAX + 1)))
        refused = await sign_in(client, "ADMIN", password)
        other = await sign_in(client, "another", "wrong")

    assert sorted(response.status_code for response in failures) == [401] * ATTEMPTS_MAX + [429]
    assert "wait" in problem(refused, 429, "too-many-requests")
    assert 0 < int(refused.headers["retry-after"]) <= PERIOD_SECONDS
    assert other.status_code == 401


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


def test_the_limit_forgets_old_failures_and_successes_but_not_other_addresses() -> None:
    seconds = [0.0]
    limit = SignInLimit(lambda: seconds[0])
    for _ in range(ATTEMPTS_MAX):
        assert limit.claim("ann", "192.0.2.1") == 0

    assert limit.claim("Ann", "192.0.2.1") == PERIOD_SECONDS
    assert limit.claim("ann", "192.0.2.2") == 0
    assert limit.claim("bob", "192.0.2.1") == 0
    seconds[0] = 45
    assert limit.claim("ann", "192.0.2.1") == PERIOD_SECONDS - 45
    seconds[0] = 60
    assert limit.claim("ann", "192.0.2.1") == 0
    for _ in range(ATTEMPTS_MAX - 1):
        limit.claim("ann", "192.0.2.1")
    limit.forget("ann", "192.0.2.1")
    assert limit.claim("ann", "192.0.2.1") == 0
