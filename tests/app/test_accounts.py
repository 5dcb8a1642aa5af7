"""Accounts over a real log and a real table of credentials."""

import asyncio
from datetime import UTC, datetime
from time import perf_counter

import asyncpg
import pytest

from events.codec import Codec
from events.envelope import Fact
from events.postgres import PostgresEventLog
from events.user import USERNAME_FIELD, CredentialChanged, SignInFailed, SignInSucceeded, UserCreated
from oxbot.adapters.aes_gcm_subject_keys import AesGcmSubjectKeys
from oxbot.adapters.argon2_passwords import THREADS, Argon2Passwords
from oxbot.adapters.postgres_accounts import PostgresCredentials
from oxbot.adapters.postgres_subject_keys import PostgresKeyTable
from oxbot.app.accounts import (
    Accounts,
    Credential,
    PasswordsBusy,
    SignInRefused,
    UnknownUser,
    UsernameTaken,
    WeakPassword,
)
from oxbot.app.personal import subject_of
from oxbot.core.account import InvalidUsername, UserId
from tests.api.people import sign_in_to

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery staple"  # noqa: S105
STORED = "SELECT username || ' ' || role || ' ' || password_hash FROM accounts.credentials"
EVERYTHING = "SELECT encode(payload || metadata, 'escape') FROM log.events"


def now() -> datetime:
    """The machine's time."""
    return datetime.now(UTC)


def opened(pool: asyncpg.Pool) -> Accounts:
    """The accounts as another process would see them."""
    log, credentials = PostgresEventLog(pool, Codec()), PostgresCredentials(pool)
    return Accounts(log, credentials, subject_keys(pool), Argon2Passwords(), now=now)


def subject_keys(pool: asyncpg.Pool, installation_key: bytes = bytes(32)) -> AesGcmSubjectKeys:
    """People's keys as another process would see them."""
    return AesGcmSubjectKeys(PostgresKeyTable(pool), installation_key)


@pytest.fixture
def accounts(pool: asyncpg.Pool) -> Accounts:
    """The accounts of an empty database."""
    return opened(pool)


async def facts(pool: asyncpg.Pool) -> list[Fact]:
    """Everything in the log, names opened into the place where older programs recorded them."""
    return [await named(event.fact, pool) for event in await PostgresEventLog(pool, Codec()).read_all()]


async def named(fact: Fact, pool: asyncpg.Pool) -> Fact:
    """The fact with its name opened, if it has one."""
    if not isinstance(fact, UserCreated) or fact.sealed_username is None:
        return fact
    opened_name = await subject_keys(pool).open(fact.sealed_username, USERNAME_FIELD)
    return UserCreated(username=str(opened_name), role=fact.role)


async def test_the_first_admin_is_made_once_with_a_password_that_works(accounts: Accounts, pool: asyncpg.Pool) -> None:
    password = await accounts.ensure_admin()

    assert password is not None
    assert len(password) == 24
    assert await accounts.ensure_admin() is None
    assert (await sign_in_to(accounts, "admin", password)).role == "admin"
    assert await facts(pool) == [UserCreated(username="admin", role="admin"), SignInSucceeded()]


async def test_of_several_processes_at_once_exactly_one_is_told_the_password(pool: asyncpg.Pool) -> None:
    passwords = await asyncio.gather(*(opened(pool).ensure_admin() for _ in range(4)))

    [password] = [password for password in passwords if password is not None]
    assert (await sign_in_to(opened(pool), "admin", password)).username == "admin"
    assert len(await pool.fetch(STORED)) == 1


async def test_no_admin_is_made_where_there_is_any_account(accounts: Accounts) -> None:
    await accounts.create("ann", PASSWORD, "viewer")

    assert await accounts.ensure_admin() is None


async def test_sign_ins_are_facts_of_the_account(accounts: Accounts, pool: asyncpg.Pool) -> None:
    user_id = await accounts.create("Ann", PASSWORD, "trader")
    with pytest.raises(SignInRefused):
        await sign_in_to(accounts, "ann", "something else")
    signed_in = await sign_in_to(accounts, "ANN", PASSWORD)

    assert (signed_in.user_id, signed_in.username, signed_in.role) == (user_id, "ann", "trader")
    assert await facts(pool) == [UserCreated(username="ann", role="trader"), SignInFailed(), SignInSucceeded()]


async def test_several_processes_record_sign_ins_of_one_account(accounts: Accounts, pool: asyncpg.Pool) -> None:
    await accounts.create("ann", PASSWORD, "trader")
    others = [opened(pool) for _ in range(3)]
    await asyncio.gather(*(sign_in_to(other, "ann", PASSWORD) for other in [accounts, *others]))
    await sign_in_to(accounts, "ann", PASSWORD)

    assert await facts(pool) == [UserCreated(username="ann", role="trader"), *[SignInSucceeded()] * 5]


async def test_an_unknown_name_leaves_no_trace(accounts: Accounts, pool: asyncpg.Pool) -> None:
    for username in ("nobody", "no such name", "", "\x00"):
        with pytest.raises(SignInRefused, match="the username or the password is wrong"):
            await sign_in_to(accounts, username, PASSWORD)

    assert await facts(pool) == []


async def test_no_secret_is_in_the_log_and_only_an_argon2id_hash_in_the_table(
    accounts: Accounts, pool: asyncpg.Pool
) -> None:
    password = await accounts.ensure_admin()
    assert password is not None
    await sign_in_to(accounts, "admin", password)
    [stored] = await pool.fetch(STORED)
    recorded = [row[0] for row in await pool.fetch(EVERYTHING)]

    assert stored[0].startswith("admin admin $argon2id$")
    assert not any(password in text or "argon2" in text for text in [*recorded, stored[0].replace("$argon2id$", "")])


async def test_no_name_is_in_the_log_outside_its_seal(accounts: Accounts, pool: asyncpg.Pool) -> None:
    await accounts.create("annabelle", PASSWORD, "trader")
    with pytest.raises(SignInRefused):
        await sign_in_to(accounts, "annabelle", "something else")
    await sign_in_to(accounts, "annabelle", PASSWORD)
    await accounts.change_password("annabelle", "another good password")

    recorded = [row[0] for row in await pool.fetch(EVERYTHING)]
    assert len(recorded) == 4
    assert not any("annabelle" in text for text in recorded)
    assert UserCreated(username="annabelle", role="trader") in await facts(pool)


async def test_without_the_file_that_wraps_peoples_keys_everybody_still_signs_in(
    accounts: Accounts, pool: asyncpg.Pool
) -> None:
    await accounts.create("ann", PASSWORD, "viewer")
    other_keys = subject_keys(pool, bytes(range(32)))
    log, credentials = PostgresEventLog(pool, Codec()), PostgresCredentials(pool)
    others = Accounts(log, credentials, other_keys, Argon2Passwords(), now=now)

    assert (await sign_in_to(others, "ann", PASSWORD)).username == "ann"
    await others.create("bob", PASSWORD, "viewer")
    assert (await sign_in_to(others, "bob", PASSWORD)).username == "bob"


async def test_a_creation_that_an_erasure_overtook_is_never_completed(accounts: Accounts, pool: asyncpg.Pool) -> None:
    """The credential was read before the erasure removed it; what is done with it afterwards leaves no fact."""
    password_hash = await Argon2Passwords().hash(PASSWORD)
    orphan = Credential(user_id=UserId("7"), username="ann", role="trader", password_hash=password_hash)
    await PostgresCredentials(pool).add(orphan, at=now())
    await subject_keys(pool).destroy(subject_of(orphan.user_id), at=now())

    with pytest.raises(SignInRefused):
        await sign_in_to(accounts, "ann", PASSWORD)
    with pytest.raises(UnknownUser):
        await accounts.change_password("ann", "another good password")
    assert await facts(pool) == []


async def test_another_password_replaces_the_first(accounts: Accounts, pool: asyncpg.Pool) -> None:
    await accounts.create("ann", PASSWORD, "viewer")
    await accounts.change_password("Ann", "another good password")

    assert (await sign_in_to(accounts, "ann", "another good password")).username == "ann"
    with pytest.raises(SignInRefused):
        await sign_in_to(accounts, "ann", PASSWORD)
    assert CredentialChanged(generation=1) in await facts(pool)


async def test_a_creation_that_died_before_its_fact_is_completed_by_the_first_sign_in(
    accounts: Accounts, pool: asyncpg.Pool
) -> None:
    password_hash = await Argon2Passwords().hash(PASSWORD)
    orphan = Credential(user_id=UserId("7"), username="ann", role="trader", password_hash=password_hash)
    await PostgresCredentials(pool).add(orphan, at=now())
    await sign_in_to(accounts, "ann", PASSWORD)

    assert await facts(pool) == [UserCreated(username="ann", role="trader"), SignInSucceeded()]


async def test_names_are_unique_whatever_their_case(accounts: Accounts, pool: asyncpg.Pool) -> None:
    await accounts.create("ann", PASSWORD, "viewer")

    with pytest.raises(UsernameTaken):
        await accounts.create("ANN", PASSWORD, "admin")
    assert await facts(pool) == [UserCreated(username="ann", role="viewer")]


@pytest.mark.parametrize("password", ["", "eleven char", "x" * 257])
async def test_a_weak_password_is_refused(accounts: Accounts, password: str) -> None:
    with pytest.raises(WeakPassword):
        await accounts.create("ann", password, "viewer")
    await accounts.create("ann", PASSWORD, "viewer")
    with pytest.raises(WeakPassword):
        await accounts.change_password("ann", password)


async def test_what_is_no_account_cannot_be_created_or_changed(accounts: Accounts) -> None:
    with pytest.raises(InvalidUsername):
        await accounts.create("a b", PASSWORD, "viewer")
    with pytest.raises(UnknownUser):
        await accounts.change_password("ann", PASSWORD)


async def test_hashing_leaves_the_event_loop_free_and_its_queue_is_bounded() -> None:
    passwords = Argon2Passwords(waiting_max=1)
    hashing = [asyncio.ensure_future(passwords.hash(PASSWORD)) for _ in range(THREADS + 1)]
    await asyncio.sleep(0.01)

    with pytest.raises(PasswordsBusy):
        await passwords.hash(PASSWORD)
    assert not all(task.done() for task in hashing)
    assert len(set(await asyncio.gather(*hashing))) == len(hashing)


async def test_checking_nobodys_password_takes_as_long_as_any_other() -> None:
    passwords = Argon2Passwords()
    password_hash = await passwords.hash(PASSWORD)

    async def seconds(given_hash: str | None) -> float:
        started = perf_counter()
        assert not await passwords.verify(given_hash, "wrong password")
        return perf_counter() - started

    wrong, nobody = [], []
    for _ in range(5):
        wrong.append(await seconds(password_hash))
        nobody.append(await seconds(None))

    assert min(nobody) > min(wrong) / 2


async def test_nobodys_hash_matches_nothing_and_a_broken_one_neither() -> None:
    passwords = Argon2Passwords()

    assert not await passwords.verify(None, PASSWORD)
    assert not await passwords.verify("$argon2id$broken", PASSWORD)
    assert await passwords.verify(await passwords.hash(PASSWORD), PASSWORD)
