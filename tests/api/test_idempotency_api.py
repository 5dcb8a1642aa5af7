"""A request under an ``Idempotency-Key``: done once, answered the same, and no other content under the same key."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import asyncpg
import httpx
import pytest

from events.bot import BotCreated
from events.codec import Codec
from events.envelope import NewEvent
from events.errors import LogUnavailable
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from events.user import ApiTokenIssued, UserCreated
from oxbot.adapters.postgres_idempotency import PostgresIdempotency
from oxbot.api.routes import OPERATIONS
from tests.api.people import PASSWORD, REFRESH, SESSIONS, arrive, bearer, come_in, postgres_people, refresh
from tests.api.stage import Json, Stage, items, json, now, problem, running
from tests.app.fakes import HookedLog

pytestmark = pytest.mark.anyio

BOTS = "/api/v1/bots"
NEW = {"name": "one", "symbols": ["BTC/USDT"]}
KEY = {"Idempotency-Key": "6c1e-0001"}


async def create(client: httpx.AsyncClient, **headers: str) -> httpx.Response:
    """A bot is asked for."""
    return await client.post(BOTS, json=NEW, headers={**KEY, **headers})


async def created(stage: Stage) -> int:
    """How many bots there are."""
    return len(await stage.log.read_all(types=("bot.created",)))


def same(first: httpx.Response, again: httpx.Response) -> bool:
    """Whether the answer is the first one's, to the letter."""
    names = ("location", "x-position", "content-type")
    return (again.status_code, again.content, again.headers.get("idempotency-replayed")) == (
        first.status_code, first.content, "true"
    ) and all(again.headers.get(name) == first.headers.get(name) for name in names)  # fmt: skip


async def test_a_repeat_is_answered_the_same_and_does_nothing(stage: Stage) -> None:
    async with stage.client("trader") as client:
        first, again = await create(client), await create(client)

    assert first.status_code == 201
    assert "idempotency-replayed" not in first.headers
    assert same(first, again)
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert await created(stage) == 1


async def test_without_a_key_each_request_counts(stage: Stage) -> None:
    async with stage.client("trader") as client:
        for _ in range(2):
            await client.post(BOTS, json=NEW)

    assert await created(stage) == 2


async def test_a_key_with_other_content_path_or_version_is_409(stage: Stage) -> None:
    async with stage.client("trader") as client:
        bot = json(await create(client))["bot_id"]
        others = [
            await client.post(BOTS, json={**NEW, "name": "two"}, headers=KEY),
            await client.post(f"{BOTS}/{bot}/start", headers=KEY),
            await client.post(BOTS, content=b' {"name": "one", "symbols": ["BTC/USDT"]}', headers={
                **KEY, "Content-Type": "application/json",
            }),
        ]  # fmt: skip

    for other in others:
        assert problem(other, 409, "idempotency-key-reused")
    assert await created(stage) == 1


async def test_a_key_is_its_users_own(stage: Stage) -> None:
    async with stage.client("trader") as one, stage.client("trader", user="another") as other:
        first, second = await create(one), await create(other)

    assert json(first)["bot_id"] != json(second)["bot_id"]


async def test_a_refusal_is_answered_the_same_even_when_it_would_not_be_refused_any_more(stage: Stage) -> None:
    async with stage.client("trader") as client:
        path = f"{BOTS}/{json(await client.post(BOTS, json=NEW))['bot_id']}"
        first = await client.post(f"{path}/pause", headers=KEY)
        await client.post(f"{path}/start")
        again = await client.post(f"{path}/pause", headers=KEY)

    assert problem(first, 409, "command-refused")
    assert same(first, again)


async def test_a_request_that_is_not_understood_takes_no_key(stage: Stage) -> None:
    async with stage.client("trader") as client:
        assert (await client.post(BOTS, json={"name": 1}, headers=KEY)).status_code == 422
        assert (await create(client)).status_code == 201


async def test_a_repeat_still_needs_the_role(stage: Stage) -> None:
    async with stage.client("trader", user="a") as client:
        await create(client)
    async with stage.client("viewer", user="a") as client:
        assert problem(await create(client), 403, "forbidden")


@pytest.mark.parametrize("key", [b"", b"x" * 129, "ü".encode(), b"a\tb", b"a b"])
async def test_what_is_no_key_is_400(stage: Stage, key: bytes) -> None:
    async with stage.client("trader") as client:
        response = await client.post(BOTS, json=NEW, headers=[(b"Idempotency-Key", key)])

    assert problem(response, 400, "bad-request")
    assert await created(stage) == 0


async def test_two_keys_are_400(stage: Stage) -> None:
    async with stage.client("trader") as client:
        headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
        assert problem(await client.post(BOTS, json=NEW, headers=headers), 400, "bad-request")


async def test_one_that_is_under_way_is_409_with_a_time_to_come_back() -> None:
    log = MemoryEventLog(Codec())
    seen: list[httpx.Response] = []

    async def meanwhile(number: int, events: Sequence[NewEvent]) -> None:
        if number == 1 and isinstance(events[0].fact, BotCreated):
            async with stage.client("trader") as client:
                seen.append(await create(client))

    stage = Stage(log=HookedLog(log, before=meanwhile))
    async with running(stage), stage.client("trader") as client:
        first = await create(client)

    assert first.status_code == 201
    assert problem(seen[0], 409, "request-under-way")
    assert 1 <= int(seen[0].headers["retry-after"]) <= 60
    assert await created(stage) == 1


async def test_what_was_recorded_when_the_answer_was_lost_is_found_by_the_repeat() -> None:
    log = MemoryEventLog(Codec())

    async def lose(number: int, events: Sequence[NewEvent]) -> None:
        if number == 1 and isinstance(events[0].fact, BotCreated):
            raise LogUnavailable("gone")

    stage = Stage(log=HookedLog(log, after=lose))
    async with running(stage), stage.client("trader") as client:
        lost, again, third = await create(client), await create(client), await create(client)

    assert problem(lost, 503, "unavailable")
    assert (again.status_code, json(again)["version"]) == (201, 2)
    assert same(again, third)
    assert await created(stage) == 1


@pytest.mark.parametrize(
    ("name", "made", "listing"),
    [("issue_api_token", ApiTokenIssued, "/api/v1/tokens"), ("create_user", UserCreated, "/api/v1/users")],
)
async def test_what_was_made_with_a_secret_when_the_answer_was_lost_is_not_made_twice(
    name: str, made: type, listing: str
) -> None:
    log, lost = MemoryEventLog(Codec()), list[bool]()

    async def lose(_: int, events: Sequence[NewEvent]) -> None:
        if isinstance(events[0].fact, made) and armed and not lost:
            lost.append(True)
            raise LogUnavailable("gone")

    armed, stage = list[bool](), Stage(log=HookedLog(log, after=lose))
    async with running(stage), stage.client() as client:
        path, body, _, headers = await asked(client, stage, name)
        before = items(await client.get(listing, headers=headers))
        armed.append(True)
        answers = [await client.post(path, json=body, headers=KEY | headers) for _ in range(3)]
        after = items(await client.get(listing, headers=headers))
        token = json(answers[1]).get("token")
        if token:
            assert (await client.get("/api/v1/me", headers=bearer(str(token)))).status_code == 200

    assert [answer.status_code for answer in answers] == [503, 201, 201]
    assert same(answers[1], answers[2])
    assert len(after) == len(before) + 1


async def test_another_process_answers_the_same_after_a_restart(pool: asyncpg.Pool) -> None:
    answers = []
    for _ in range(2):
        stage = Stage(log=PostgresEventLog(pool, Codec()))
        stage.idempotency = PostgresIdempotency(pool)
        async with running(stage), stage.client("trader") as client:
            answers.append(await create(client))

    assert same(*answers)
    assert await created(stage) == 1


class Asked(NamedTuple):
    """A POST with a secret in it, or in its answer, and its like with other content."""

    path: str
    body: Json
    other: Json
    headers: dict[str, str]


SECRET_POSTS = ["sign_in", "sign_in_by_cookie", "refresh_session", "issue_api_token", "create_user", "change_password"]
UNTIL, LATER = ((now() + timedelta(days=days)).isoformat() for days in (1, 2))


async def asked(client: httpx.AsyncClient, stage: Stage, name: str) -> Asked:
    """What is asked for, by an administrator who has signed in."""
    ann = await arrive(client, stage.accounts, role="admin")
    credentials: Json = {"username": "ann", "password": PASSWORD, "refresh": "body"}
    match name:
        case "sign_in":
            return Asked(SESSIONS, credentials, {**credentials, "refresh": "cookie"}, {})
        case "sign_in_by_cookie":
            return Asked(SESSIONS, {**credentials, "refresh": "cookie"}, credentials, {})
        case "refresh_session":
            other = await come_in(client, ann.user_id, "ann")
            return Asked(REFRESH, {"refresh_token": ann.refresh}, {"refresh_token": other.refresh}, {})
        case "issue_api_token":
            token: Json = {"name": "script", "scopes": ["read"], "expires_at": UNTIL}
            return Asked("/api/v1/tokens", token, {**token, "expires_at": LATER}, ann.bearer)
        case "create_user":
            user: Json = {"username": "bob", "password": "a-Password-8213", "role": "viewer"}
            return Asked("/api/v1/users", user, {**user, "password": "a-Password-8214"}, ann.bearer)
        case _:
            change: Json = {"old_password": "not the password", "new_password": "another-Good-1"}
            return Asked("/api/v1/me/password", change, {**change, "old_password": PASSWORD}, ann.bearer)


def test_every_post_with_a_secret_is_asked_for_twice_here() -> None:
    named = {name.removesuffix("_by_cookie") for name in SECRET_POSTS}
    assert named == {one.name for one in OPERATIONS if one.secret and one.method == "POST"}


@pytest.mark.parametrize("name", SECRET_POSTS)
async def test_an_answer_with_a_secret_is_given_again_to_the_letter_and_nothing_of_it_is_stored(
    pool: asyncpg.Pool, name: str
) -> None:
    """The stranger's: keys were ignored where one signs in, and a second token was refused without the first."""
    stage = Stage(log=PostgresEventLog(pool, Codec()), people=postgres_people(pool))
    stage.idempotency = PostgresIdempotency(pool)
    async with running(stage), stage.client() as client:
        path, body, other, headers = await asked(client, stage, name)
        first = await client.post(path, json=body, headers=KEY | headers)
        before = await pool.fetchval("SELECT max(position) FROM log.events")
        again = await client.post(path, json=body, headers=KEY | headers)
        different = await client.post(path, json=other, headers=KEY | headers)
        after = await pool.fetchval("SELECT max(position) FROM log.events")
    (row,) = [repr(tuple(row)) for row in await pool.fetch("SELECT * FROM accounts.idempotency_keys")]

    assert first.status_code == (403 if name == "change_password" else 200 if name == "refresh_session" else 201)
    assert same(first, again)
    assert again.headers.get("set-cookie") == first.headers.get("set-cookie")
    assert ("set-cookie" in first.headers) == (name == "sign_in_by_cookie")
    assert problem(different, 409, "idempotency-key-reused")
    assert before == after
    secrets = [text for text in (*json(first).values(), *body.values()) if isinstance(text, str) and len(text) > 20]
    assert secrets
    assert not [secret for secret in secrets if secret in row]


async def test_a_password_that_was_changed_is_so_once_and_the_repeat_is_told(stage: Stage) -> None:
    async with stage.client() as client:
        ann = await arrive(client, stage.accounts)
        change = {"old_password": PASSWORD, "new_password": "another-Good-1"}
        first = await client.post("/api/v1/me/password", json=change, headers=KEY | ann.bearer)
        back = await come_in(client, ann.user_id, "ann", "another-Good-1")
        again = await client.post("/api/v1/me/password", json=change, headers=KEY | back.bearer)

        assert same(first, again)
        assert (await client.get("/api/v1/me", headers=back.bearer)).status_code == 200


async def test_a_repeat_is_given_nothing_without_the_password(stage: Stage) -> None:
    async with stage.client() as client:
        await stage.accounts.create("ann", PASSWORD, "viewer")
        credentials = {"username": "ann", "password": PASSWORD, "refresh": "body"}
        first = await client.post(SESSIONS, json=credentials, headers=KEY)
        guessed = await client.post(SESSIONS, json={**credentials, "password": "a wrong password"}, headers=KEY)
        again = await client.post(SESSIONS, json=credentials, headers=KEY)

    assert first.status_code == 201
    assert problem(guessed, 401, "sign-in-refused")
    assert same(first, again)


async def test_no_key_hides_a_refresh_token_that_was_stolen(stage: Stage) -> None:
    """Who has the whole request, key and all, is found out as who has the token alone."""
    async with stage.client() as client:
        ann = await arrive(client, stage.accounts)
        first = await client.post(REFRESH, json={"refresh_token": ann.refresh}, headers=KEY)
        follower = str(json(first)["refresh_token"])
        assert (await refresh(client, follower)).status_code == 200
        replayed = await client.post(REFRESH, json={"refresh_token": ann.refresh}, headers=KEY)

        assert problem(replayed, 401, "session-over")
        assert (await client.get("/api/v1/me", headers=ann.bearer)).status_code == 401


async def test_an_answer_is_opened_under_the_servers_older_secret_and_by_nobody_once_that_is_gone(stage: Stage) -> None:
    async with stage.client() as client:
        path, body, _, headers = await asked(client, stage, "issue_api_token")
        first = await client.post(path, json=body, headers=KEY | headers)
        stage.secrets = [bytes(range(1, 33)), *stage.secrets]
        again = await client.post(path, json=body, headers=KEY | headers)
        stage.secrets = stage.secrets[:1]
        gone = await client.post(path, json=body, headers=KEY | headers)
        listed = items(await client.get(path, headers=headers))

    assert same(first, again)
    assert problem(gone, 409, "answer-not-kept")
    assert len(listed) == 1


async def test_whoever_asks_under_a_key_with_a_secret_of_his_own_gets_an_answer_of_his_own(stage: Stage) -> None:
    async with stage.client() as client:
        ann, bob = await arrive(client, stage.accounts), await arrive(client, stage.accounts, "bob")
        token = {"name": "script", "scopes": ["read"], "expires_at": UNTIL}
        answers = [await client.post("/api/v1/tokens", json=token, headers=KEY | who.bearer) for who in (ann, bob)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert json(answers[0])["token"] != json(answers[1])["token"]


def test_every_operation_that_takes_or_gives_a_secret_says_so() -> None:
    told = {one.name for one in OPERATIONS if one.secret}
    guarded = {
        one.name
        for one in OPERATIONS
        if one.method == "POST"
        and {"password", "new_password", "access_token", "refresh_token", "token", "api_key", "secret"}
        & {*getattr(one.body, "__struct_fields__", ()), *getattr(one.answer, "__struct_fields__", ())}
    }
    assert guarded <= told
    assert guarded
