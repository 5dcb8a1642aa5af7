"""What every store of sessions, API tokens and allowances promises, held against those in memory and in Postgres."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest

from oxbot.app.accounts import Credential
from oxbot.app.allowances import KNOWN_MAX, Allowance, Want
from oxbot.app.api_tokens import StoredApiToken
from oxbot.app.sessions import GRACE, IDLE, LIFETIME, Exchange, StoredSession, digest
from oxbot.core.account import UserId
from tests.api.people import PeopleStores, memory_people, postgres_people

pytestmark = pytest.mark.anyio

AT = datetime(2024, 1, 1, tzinfo=UTC)
ANN, BOB = UserId("u-1"), UserId("u-2")
FIRST, SECOND, THIRD = (digest(text) for text in ("first", "second", "third"))
TWICE = Allowance("twice", 2, timedelta(seconds=10))
OFTEN = Allowance("often", 100, timedelta(seconds=1))


@pytest.fixture(params=["memory", "postgres"])
def empty_stores(request: pytest.FixtureRequest) -> PeopleStores:
    """Each implementation in turn."""
    return memory_people() if request.param == "memory" else postgres_people(request.getfixturevalue("pool"))


@pytest.fixture
async def stores(empty_stores: PeopleStores) -> PeopleStores:
    """Each implementation in turn, with two accounts."""
    for user_id, name in ((ANN, "ann"), (BOB, "bob")):
        account = Credential(user_id=user_id, username=name, role="trader", password_hash="$argon2id$x")  # noqa: S106
        await empty_stores.credentials.add(account, at=AT)
    return empty_stores


def session(session_id: str = "s-1", user_id: UserId = ANN, *, at: datetime = AT) -> StoredSession:
    """A session that was just begun."""
    return StoredSession(
        session_id=session_id, user_id=user_id, device="a browser", begun_at=at, expires_at=at + LIFETIME, rotated_at=at
    )


async def test_a_session_is_found_by_any_of_its_tokens_and_by_no_other(stores: PeopleStores) -> None:
    assert await stores.sessions.begin(session(), FIRST)
    assert await stores.sessions.exchange(FIRST, SECOND, at=AT) == Exchange("exchanged", SECOND)

    assert await stores.sessions.find(FIRST) == await stores.sessions.find(SECOND) == session()
    assert await stores.sessions.find(THIRD) is None
    assert await stores.sessions.exchange(THIRD, digest("fourth"), at=AT) == Exchange("over")


async def test_a_token_that_comes_back_late_makes_every_token_worthless_for_good(stores: PeopleStores) -> None:
    await stores.sessions.begin(session(), FIRST)
    await stores.sessions.exchange(FIRST, SECOND, at=AT)

    assert await stores.sessions.exchange(FIRST, THIRD, at=AT + GRACE) == Exchange("reused")
    assert await stores.sessions.exchange(SECOND, THIRD, at=AT + GRACE) == Exchange("reused")
    assert await stores.sessions.find(THIRD) is None


async def test_of_many_who_show_a_token_at_once_the_first_says_what_follows_it(stores: PeopleStores) -> None:
    await stores.sessions.begin(session(), FIRST)
    offered = [digest(str(number)) for number in range(12)]
    exchanges = await asyncio.gather(*(stores.sessions.exchange(FIRST, follower, at=AT) for follower in offered))
    (chosen,) = {exchange.follower_sha256 for exchange in exchanges}

    assert {exchange.outcome for exchange in exchanges} == {"exchanged"}
    assert chosen in offered
    assert [await stores.sessions.find(follower) for follower in offered if follower != chosen] == [None] * 11
    late = await stores.sessions.exchange(FIRST, SECOND, at=AT + GRACE - timedelta(seconds=1))
    assert late == Exchange("exchanged", chosen)


async def test_a_token_is_reused_as_soon_as_its_follower_was_shown(stores: PeopleStores) -> None:
    await stores.sessions.begin(session(), FIRST)
    await stores.sessions.exchange(FIRST, SECOND, at=AT)
    assert await stores.sessions.exchange(SECOND, THIRD, at=AT) == Exchange("exchanged", THIRD)

    assert await stores.sessions.exchange(FIRST, SECOND, at=AT) == Exchange("reused")
    assert await stores.sessions.exchange(THIRD, digest("fourth"), at=AT) == Exchange("reused")


async def test_of_those_who_hold_the_same_follower_the_second_to_show_it_later_is_found_out(
    stores: PeopleStores,
) -> None:
    await stores.sessions.begin(session(), FIRST)
    await asyncio.gather(*(stores.sessions.exchange(FIRST, SECOND, at=AT) for _ in range(2)))

    assert await stores.sessions.exchange(SECOND, THIRD, at=AT + GRACE) == Exchange("exchanged", THIRD)
    assert await stores.sessions.exchange(SECOND, THIRD, at=AT + 2 * GRACE) == Exchange("reused")


async def test_an_exchange_that_dies_halfway_has_not_begun(pool: asyncpg.Pool) -> None:
    """The move without the follower would leave a token that nothing follows."""
    stores = postgres_people(pool)
    account = Credential(user_id=ANN, username="ann", role="trader", password_hash="$argon2id$x")  # noqa: S106
    await stores.credentials.add(account, at=AT)
    await stores.sessions.begin(session(), FIRST)
    with pytest.raises(asyncpg.CheckViolationError):
        await stores.sessions.exchange(FIRST, b"no digest", at=AT)

    assert await stores.sessions.exchange(FIRST, SECOND, at=AT + GRACE) == Exchange("exchanged", SECOND)


async def test_sessions_are_listed_by_account_and_forgotten_when_they_end_or_expire(stores: PeopleStores) -> None:
    later = AT + timedelta(hours=1)
    await stores.sessions.begin(session(), FIRST)
    await stores.sessions.begin(session("s-2", at=later), SECOND)
    await stores.sessions.begin(session("s-3", BOB), THIRD)

    assert [one.session_id for one in await stores.sessions.of(ANN)] == ["s-2", "s-1"]
    await stores.sessions.purge(at=AT + IDLE)
    assert [one.session_id for one in await stores.sessions.of(ANN)] == ["s-2"]
    for _ in range(2):
        await stores.sessions.end("s-2")
    assert await stores.sessions.find(SECOND) is None
    assert await stores.sessions.of(ANN) == await stores.sessions.of(BOB) == []


def token(token_id: str = "t-1", user_id: UserId = ANN, *, at: datetime = AT) -> StoredApiToken:  # noqa: S107
    """A token that was just issued."""
    return StoredApiToken(token_id=token_id, user_id=user_id, name="a script", issued_at=at, expires_at=at + LIFETIME)


async def test_an_api_token_is_found_by_its_digest_listed_with_its_last_use_and_removed(stores: PeopleStores) -> None:
    await stores.api_tokens.add(token(), FIRST)
    await stores.api_tokens.add(token("t-2", at=AT + timedelta(hours=1)), SECOND)
    await stores.api_tokens.add(token("t-3", BOB), THIRD)
    await stores.api_tokens.used("t-1", at=AT)

    used = msgspec.structs.replace(token(), last_used_at=AT)
    assert await stores.api_tokens.find(FIRST) == used
    assert [one.token_id for one in await stores.api_tokens.of(ANN)] == ["t-2", "t-1"]
    await stores.api_tokens.remove("t-1")
    assert await stores.api_tokens.find(FIRST) is None
    assert await stores.api_tokens.find(digest("nobody's")) is None


async def test_an_api_token_that_is_stored_again_is_one_token_under_its_newer_digest(stores: PeopleStores) -> None:
    await stores.api_tokens.add(token(), FIRST)
    await stores.api_tokens.add(token(at=AT + timedelta(hours=1)), SECOND)

    assert await stores.api_tokens.find(FIRST) is None
    assert await stores.api_tokens.find(SECOND) == token()
    assert await stores.api_tokens.of(ANN) == [token()]


async def test_an_allowance_is_used_up_and_comes_back_at_its_pace(stores: PeopleStores) -> None:
    want, moment = [Want(TWICE, "ann")], timedelta(seconds=1)

    assert [await stores.allowances.claim(want, at=AT) for _ in range(3)] == [timedelta(0)] * 2 + [TWICE.every]
    assert await stores.allowances.claim([Want(TWICE, "bob")], at=AT) == timedelta(0)
    assert await stores.allowances.claim(want, at=AT + TWICE.every - moment) == moment
    assert await stores.allowances.claim(want, at=AT + TWICE.every) == timedelta(0)
    assert await stores.allowances.claim(want, at=AT + TWICE.every) == TWICE.every
    assert await stores.allowances.claim(want, at=AT + timedelta(days=1)) == timedelta(0)


async def test_what_one_allowance_refuses_counts_against_no_other(stores: PeopleStores) -> None:
    both = [Want(TWICE, "ann"), Want(OFTEN, "")]
    for _ in range(OFTEN.at_once + 5):
        await stores.allowances.claim(both, at=AT)

    assert await stores.allowances.claim([Want(OFTEN, "")], at=AT) == timedelta(0)


async def test_attempts_at_once_do_not_slip_through_together(stores: PeopleStores) -> None:
    waits = await asyncio.gather(*(stores.allowances.claim([Want(TWICE, "ann")], at=AT) for _ in range(8)))

    assert sum(wait == timedelta(0) for wait in waits) == TWICE.at_once


async def test_what_is_given_back_does_not_count_and_what_is_whole_is_forgotten(stores: PeopleStores) -> None:
    want = [Want(TWICE, "ann")]
    for _ in range(3):
        assert await stores.allowances.claim(want, at=AT) == timedelta(0)
        await stores.allowances.give_back(want)
    await stores.allowances.claim(want, at=AT)
    await stores.allowances.claim(want, at=AT)
    await stores.allowances.purge(at=AT + timedelta(seconds=1))

    assert await stores.allowances.claim(want, at=AT + timedelta(seconds=1)) > timedelta(0)
    await stores.allowances.purge(at=AT + timedelta(minutes=1))
    assert await stores.allowances.claim(want, at=AT) == timedelta(0)


async def test_an_address_is_known_to_the_account_that_was_signed_in_to_from_there(stores: PeopleStores) -> None:
    await stores.known_addresses.remember(ANN, "192.0.2.1", at=AT)

    assert await stores.known_addresses.knows("ann", "192.0.2.1")
    assert not await stores.known_addresses.knows("ann", "192.0.2.2")
    assert not await stores.known_addresses.knows("bob", "192.0.2.1")
    assert not await stores.known_addresses.knows("nobody", "192.0.2.1")


async def test_so_many_addresses_are_known_and_the_oldest_make_room(stores: PeopleStores) -> None:
    for number in range(KNOWN_MAX + 1):
        await stores.known_addresses.remember(ANN, f"192.0.2.{number}", at=AT + timedelta(seconds=number))

    assert not await stores.known_addresses.knows("ann", "192.0.2.0")
    assert await stores.known_addresses.knows("ann", "192.0.2.1")
