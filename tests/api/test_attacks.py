"""What somebody tries who has stolen, forged or guessed something; accounts, sessions and log are in Postgres."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import jwt
import pytest

from events.codec import Codec
from events.postgres import PostgresEventLog
from events.security import SECURITY_STREAM, AttemptsRefused
from events.user import SessionEnded, SignInFailed
from oxbot.adapters.postgres_allowances import PostgresAllowances, PostgresKnownAddresses
from oxbot.api.sign_in_limit import ACCOUNT, ADDRESS, PAIR, STRANGERS, SignInLimit, TooMany, network
from oxbot.api.sign_in_limit import PASSWORD as OLD_PASSWORDS
from oxbot.api.tokens import SignedIn, Tokens, one_key
from oxbot.app.clock import SystemClock
from oxbot.app.failed_sign_ins import AT_ONCE
from oxbot.app.sessions import GRACE
from oxbot.core.account import UserId, user_stream
from tests.api.people import (
    COOKIE,
    OURS,
    PASSWORD,
    REFRESH,
    SESSIONS,
    SignedInAs,
    arrive,
    bearer,
    come_in,
    postgres_people,
    refresh,
)
from tests.api.stage import KEY, Stage, json, now, problem, running

pytestmark = pytest.mark.anyio

ME = "/api/v1/me"
ADDRESSES = [f"198.51.100.{number}" for number in range(1, 255)]


def from_address(stage: Stage, address: str) -> httpx.AsyncClient:
    """A stranger at another address."""
    transport = httpx.ASGITransport(app=stage.app, raise_app_exceptions=False, client=(address, 4000))
    return httpx.AsyncClient(transport=transport, base_url="http://oxbot.test")


async def guess(client: httpx.AsyncClient, username: str, password: str = "a wrong password") -> httpx.Response:  # noqa: S107
    """The answer to a sign-in."""
    return await client.post(SESSIONS, json={"username": username, "password": password})


async def facts(stage: Stage, user_id: UserId) -> list[object]:
    """What the log says of an account."""
    return [event.fact for event in await stage.log.read_stream(user_stream(user_id))]


def forged(who: SignedInAs, **changes: object) -> dict[str, object]:
    """The claims of somebody's token, changed."""
    given: dict[str, object] = jwt.decode(who.access, options={"verify_signature": False})
    return given | changes


async def test_a_token_that_expired_was_tampered_with_or_is_another_keys_is_nobody(stored_stage: Stage) -> None:
    async with stored_stage.client() as client:
        ann = await arrive(client, stored_stage.accounts)
        header, _, signature = ann.access.split(".")
        admin = jwt.encode(forged(ann, role="admin"), bytes(range(32, 64)), headers={"kid": header})
        kid = jwt.get_unverified_header(ann.access)["kid"]
        stolen = {
            "expired": stored_stage.tokens.issue(SignedIn(ann.user_id, "trader"), at=now() - timedelta(minutes=16)),
            "tampered": f"{header}.{admin.split('.')[1]}.{signature}",
            "another key": Tokens(one_key(bytes(range(32, 64)))).issue(SignedIn(ann.user_id, "admin"), at=now()),
            "another key under our name": jwt.encode(forged(ann), bytes(range(32, 64)), headers={"kid": kid}),
            "no algorithm": jwt.encode(forged(ann, role="admin"), "", algorithm="none", headers={"kid": kid}),
            "a life of a year": jwt.encode(forged(ann, exp=4102444800), KEY, headers={"kid": kid}),
            "a path for a key": jwt.encode(forged(ann), bytes(32), headers={"kid": "../../../dev/zero"}),
        }
        for name, token in stolen.items():
            response = await client.get(ME, headers=bearer(token))
            assert response.status_code == 401, name
        assert (await client.get(ME, headers=ann.bearer)).status_code == 200


async def test_a_refresh_token_that_comes_back_ends_the_session_and_every_token_of_it(stored_stage: Stage) -> None:
    """A thief has a token that its owner goes on to exchange; whichever of the two comes last is found out."""
    async with stored_stage.client() as client:
        ann = await arrive(client, stored_stage.accounts)
        second = json(await refresh(client, ann.refresh))
        third = json(await refresh(client, str(second["refresh_token"])))
        replayed = await refresh(client, ann.refresh)

        assert problem(replayed, 401, "session-over")
        assert problem(await refresh(client, str(third["refresh_token"])), 401, "session-over")
        for access in (ann.access, str(third["access_token"])):
            assert (await client.get(ME, headers=bearer(access))).status_code == 401
    reused = SessionEnded(session_id=ann.session_id, why="refresh_reused")
    assert (await facts(stored_stage, ann.user_id))[-1] == reused


@pytest.mark.parametrize("times", [2, 5, 12])
async def test_pages_that_refresh_at_once_get_one_token_and_a_thief_among_them_is_found_out(
    stored_stage: Stage, pool: asyncpg.Pool, times: int
) -> None:
    """The stolen refresh race: whoever shows the one token second, when the grace is over, ends the session for all."""
    async with stored_stage.client() as client:
        ann = await arrive(client, stored_stage.accounts)
        answers = await asyncio.gather(*(refresh(client, ann.refresh) for _ in range(times)))
        assert [answer.status_code for answer in answers] == [200] * times
        (shared,) = {str(json(answer)["refresh_token"]) for answer in answers}
        thieves = str(json(answers[0])["access_token"])
        assert (await client.get(ME, headers=bearer(thieves))).status_code == 200
        mine = json(await refresh(client, shared))

        await pool.execute("UPDATE accounts.sessions SET rotated_at = rotated_at - $1::interval", GRACE)
        assert problem(await refresh(client, shared), 401, "session-over")
        assert problem(await refresh(client, str(mine["refresh_token"])), 401, "session-over")
        for access in (ann.access, thieves, str(mine["access_token"])):
            assert (await client.get(ME, headers=bearer(access))).status_code == 401
    reused = SessionEnded(session_id=ann.session_id, why="refresh_reused")
    assert (await facts(stored_stage, ann.user_id))[-1] == reused


async def test_an_answer_that_got_lost_is_asked_for_again_within_the_grace_and_not_later(
    stored_stage: Stage, pool: asyncpg.Pool
) -> None:
    async with stored_stage.client() as client:
        ann = await arrive(client, stored_stage.accounts)
        first, again = await refresh(client, ann.refresh), await refresh(client, ann.refresh)
        assert json(first)["refresh_token"] == json(again)["refresh_token"]
        await pool.execute("UPDATE accounts.sessions SET rotated_at = rotated_at - $1::interval", GRACE)

        assert problem(await refresh(client, ann.refresh), 401, "session-over")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Oxbot-Refresh": "0"},
        OURS | {"Origin": "https://evil.example"},
        OURS | {"Origin": "null"},
        OURS | {"Origin": "http://oxbot.test.evil.example"},
        OURS | {"Origin": "http://oxbot.test:81"},
        OURS | {"Sec-Fetch-Site": "cross-site"},
        OURS | {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_another_site_refreshes_nothing_by_the_cookie(stage: Stage, headers: dict[str, str]) -> None:
    await stage.accounts.create("ann", PASSWORD, "viewer")
    async with stage.client() as client:
        signed_in = await guess(client, "ann", PASSWORD)
        cookie = {"Cookie": signed_in.headers["set-cookie"].partition(";")[0]}
        refused = await client.post(REFRESH, headers=cookie | headers)
        own = OURS | {"Origin": "http://oxbot.test", "Sec-Fetch-Site": "same-origin"}
        accepted = await client.post(REFRESH, headers=cookie | own)

    assert problem(refused, 403, "forbidden")
    assert "set-cookie" not in refused.headers
    assert accepted.status_code == 200


async def test_a_refresh_token_is_taken_from_nowhere_else(stage: Stage) -> None:
    async with stage.client() as client:
        ann = await arrive(client, stage.accounts)
        as_bearer = await client.get(ME, headers=bearer(ann.refresh))
        in_query = await client.post(REFRESH, params={"refresh_token": ann.refresh}, headers=OURS)
        as_access = await client.post(REFRESH, json={"refresh_token": ann.access})
        nothing = await client.post(REFRESH, headers=OURS)

    assert (as_bearer.status_code, in_query.status_code) == (401, 400)
    assert as_access.status_code == 422
    assert problem(nothing, 401, "unauthorized")


async def test_brute_force_slows_down_and_the_owner_signs_in_from_where_he_did_before(stored_stage: Stage) -> None:
    await stored_stage.accounts.create("ann", PASSWORD, "trader")
    at_home, thief = from_address(stored_stage, "192.0.2.9"), from_address(stored_stage, "203.0.113.5")
    assert (await guess(at_home, "ann", PASSWORD)).status_code == 201
    answers = await asyncio.gather(*(guess(thief, "ann") for _ in range(PAIR.at_once + 3)))
    refused = await guess(thief, "ANN", PASSWORD)

    assert sorted(answer.status_code for answer in answers) == [401] * PAIR.at_once + [429] * 3
    assert "wait" in problem(refused, 429, "too-many-requests")
    assert 0 < int(refused.headers["retry-after"]) <= PAIR.every.total_seconds()
    assert (await guess(at_home, "ann", PASSWORD)).status_code == 201


async def test_guessing_from_many_addresses_is_one_guessing_and_locks_nobody_out_who_is_known(
    stored_stage: Stage,
) -> None:
    user_id = await stored_stage.accounts.create("ann", PASSWORD, "trader")
    at_home = from_address(stored_stage, "192.0.2.9")
    assert (await guess(at_home, "ann", PASSWORD)).status_code == 201
    thieves = [from_address(stored_stage, address) for address in ADDRESSES[: ACCOUNT.at_once + 5]]
    answers = [answer.status_code for answer in await asyncio.gather(*(guess(thief, "ann") for thief in thieves))]

    assert answers.count(401) == ACCOUNT.at_once
    assert answers.count(429) == 5
    assert (await guess(at_home, "ann")).status_code == 401
    assert (await guess(at_home, "ann", PASSWORD)).status_code == 201
    await stored_stage.accounts.tell_failures(all_of_them=True)
    failed = [fact.attempts for fact in await facts(stored_stage, user_id) if isinstance(fact, SignInFailed)]
    assert sum(failed) == ACCOUNT.at_once + 1
    assert len(failed) == AT_ONCE + 1


class SlowTime:
    """A time of day that a test moves."""

    def __init__(self) -> None:
        self.at = datetime(2024, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        """The time."""
        return self.at


async def test_stolen_passwords_are_tried_slowly_from_however_many_addresses_under_however_many_names(
    pool: asyncpg.Pool,
) -> None:
    time = SlowTime()
    limit = SignInLimit(PostgresAllowances(pool), PostgresKnownAddresses(pool), now=time.now)
    for tried in range(STRANGERS.at_once):
        await limit.sign_in(f"name{tried}", f"10.0.{tried // 250}.{tried % 250}")

    with pytest.raises(TooMany):
        await limit.sign_in("one more", "192.0.2.3")
    time.at += STRANGERS.every * 3
    for tried in range(3):
        await limit.sign_in(f"later{tried}", "192.0.2.1")
    with pytest.raises(TooMany):
        await limit.sign_in("latest", "192.0.2.2")


async def test_one_address_tries_few_names(pool: asyncpg.Pool) -> None:
    time = SlowTime()
    limit = SignInLimit(PostgresAllowances(pool), PostgresKnownAddresses(pool), now=time.now)
    for number in range(ADDRESS.at_once):
        await limit.sign_in(f"name{number}", f"2001:db8::{number}")

    with pytest.raises(TooMany) as refused:
        await limit.sign_in("another", "2001:db8::ffff")
    assert refused.value.headers["Retry-After"] == "6"
    await limit.sign_in("another", "2001:db8:0:1::1")


async def test_limits_hold_across_processes_and_restarts(pool: asyncpg.Pool) -> None:
    time = SlowTime()
    for _ in range(PAIR.at_once):
        await SignInLimit(PostgresAllowances(pool), PostgresKnownAddresses(pool), now=time.now).sign_in(
            "a", "192.0.2.1"
        )

    with pytest.raises(TooMany):
        await SignInLimit(PostgresAllowances(pool), PostgresKnownAddresses(pool), now=time.now).sign_in(
            "a", "192.0.2.1"
        )


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_what_counts_as_one_address(host: str, counted: str) -> None:
    assert network(host) == counted


async def test_whoever_has_a_stolen_access_token_guesses_few_old_passwords(stage: Stage) -> None:
    async with stage.client() as client:
        ann = await arrive(client, stage.accounts)
        wanted = {"old_password": "a wrong password", "new_password": "another good password"}
        answers = [
            (await client.post("/api/v1/me/password", json=wanted, headers=ann.bearer)).status_code
            for _ in range(OLD_PASSWORDS.at_once + 1)
        ]

    assert answers == [403] * OLD_PASSWORDS.at_once + [429]


@pytest.mark.parametrize(
    ("change", "refreshes"),
    [({"disabled": True}, False), ({"role": "viewer"}, True), ({"role": "admin"}, True)],
)
async def test_a_live_token_follows_its_account_at_once(
    stored_stage: Stage, change: dict[str, object], refreshes: bool
) -> None:
    async with stored_stage.client() as client:
        root = await arrive(client, stored_stage.accounts, "root", "admin")
        ann = await arrive(client, stored_stage.accounts)
        changed = await client.patch(f"/api/v1/users/{ann.user_id}", json=change, headers=root.bearer)

        assert changed.status_code == 200
        assert (await client.get(ME, headers=ann.bearer)).status_code == 401
        again = await refresh(client, ann.refresh)
        assert again.status_code == (200 if refreshes else 401)
        if refreshes:
            assert json(again)["role"] == change["role"]
        assert (await client.get(ME, headers=root.bearer)).status_code == 200


async def test_what_an_administrator_calls_back_is_refused_by_another_process_that_only_reads(
    stored_stage: Stage, pool: asyncpg.Pool
) -> None:
    other = Stage(log=PostgresEventLog(pool, Codec()), people=postgres_people(pool))
    async with running(other), other.revocations.following(SystemClock()), other.client() as elsewhere:
        async with stored_stage.client() as client:
            ann = await arrive(client, stored_stage.accounts)
            assert (await elsewhere.get(ME, headers=ann.bearer)).status_code == 200
            await stored_stage.accounts.set_password(ann.user_id, "another good password")
        async with asyncio.timeout(10):
            claims = stored_stage.tokens.verify(ann.access)
            await other.revocations.until_refused(claims.user_id, claims.version, claims.means)

        assert (await elsewhere.get(ME, headers=ann.bearer)).status_code == 401


async def test_a_process_that_starts_knows_what_was_called_back_before(stored_stage: Stage, pool: asyncpg.Pool) -> None:
    async with stored_stage.client() as client:
        ann = await arrive(client, stored_stage.accounts)
        bob = await arrive(client, stored_stage.accounts, "bob")
        await client.delete(f"{SESSIONS}/current", headers=ann.bearer)
        await stored_stage.privacy.erase("bob", "asked for it")
    later = Stage(log=PostgresEventLog(pool, Codec()), people=postgres_people(pool))
    async with running(later), later.revocations.following(SystemClock()), later.client() as client:
        for gone in (ann, bob):
            assert (await client.get("/openapi.json", headers=gone.bearer)).status_code == 401
            assert (await refresh(client, gone.refresh)).status_code == 401


async def test_strangers_cannot_flood_the_log_and_no_address_is_in_it(stage: Stage) -> None:
    clients = [from_address(stage, address) for address in ADDRESSES[:4]]
    await asyncio.gather(*(guess(clients[number % 4], f"nobody{number}") for number in range(8)))
    for _ in range(3):
        await refresh(clients[0], "oxr_nobodys")
    assert await stage.log.read_stream(SECURITY_STREAM) == []
    await stage.security.tell()
    await stage.security.tell()

    told = [event.fact for event in await stage.log.read_stream(SECURITY_STREAM)]
    counted = {fact.attempt: (fact.attempts, fact.addresses) for fact in told if isinstance(fact, AttemptsRefused)}
    assert counted == {"unknown_name": (8, 4), "refresh_unknown": (3, 1)}
    assert len(told) == 2
    assert "198.51" not in repr(told)


async def test_no_token_is_stored_in_plain_text(stored_stage: Stage, pool: asyncpg.Pool) -> None:
    async with stored_stage.client() as client:
        ann = await arrive(client, stored_stage.accounts)
        second = str(json(await refresh(client, ann.refresh))["refresh_token"])
    tables = ["accounts.sessions", "accounts.refresh_tokens", "accounts.known_addresses", "accounts.credentials"]
    rows = [repr(tuple(row)) for table in tables for row in await pool.fetch(f"TABLE {table}")]
    events = [repr(tuple(row)) for row in await pool.fetch("SELECT * FROM log.events")]

    assert len(rows) >= 5
    for secret in (ann.refresh, second, ann.refresh.removeprefix("oxr_"), PASSWORD, "192.0.2.1"):
        assert not any(secret in text for text in [*rows, *events])


async def test_signing_in_again_begins_a_session_of_its_own(stage: Stage) -> None:
    async with stage.client() as client:
        ann = await arrive(client, stage.accounts)
        again = await come_in(client, ann.user_id, "ann")

        assert again.session_id != ann.session_id
        assert COOKIE not in client.cookies
        assert (await refresh(client, ann.refresh)).status_code == 200
