"""What every store of credentials promises, held against the one in memory and the one in Postgres."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from events.user import Role
from oxbot.adapters.memory_accounts import MemoryCredentials
from oxbot.adapters.postgres_accounts import PostgresCredentials
from oxbot.app.accounts import Credential, CredentialStore, LastAdmin, UsernameTaken
from oxbot.core.account import UserId

pytestmark = pytest.mark.anyio

AT = datetime(2024, 1, 1, tzinfo=UTC)
HASH, OTHER_HASH = "$argon2id$x", "$argon2id$y"


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> CredentialStore:
    """Each implementation in turn, empty."""
    if request.param == "memory":
        return MemoryCredentials()
    return PostgresCredentials(request.getfixturevalue("pool"))


def credential(number: int, role: Role = "viewer") -> Credential:
    """A credential of an account of its own."""
    return Credential(user_id=UserId(f"u-{number}"), username=f"user{number}", role=role, password_hash=HASH)


async def test_what_was_added_is_found_by_name_and_by_id(store: CredentialStore) -> None:
    await store.add(credential(1), at=AT)
    await store.add(credential(2, "admin"), at=AT)

    assert await store.named("user2") == await store.of(UserId("u-2")) == credential(2, "admin")


async def test_what_was_not_added_is_not_found(store: CredentialStore) -> None:
    assert await store.named("user1") is None
    assert await store.of(UserId("u-1")) is None


async def test_a_name_is_added_once(store: CredentialStore) -> None:
    await store.add(credential(1), at=AT)

    with pytest.raises(UsernameTaken, match="user1"):
        await store.add(msgspec.structs.replace(credential(1), user_id=UserId("u-9")), at=AT)
    assert await store.of(UserId("u-9")) is None


async def test_only_the_first_is_added_as_the_first(store: CredentialStore) -> None:
    added = await asyncio.gather(*(store.add_first(credential(number), at=AT) for number in range(8)))

    assert sorted(added) == [False] * 7 + [True]
    assert await store.named(f"user{added.index(True)}") is not None
    assert await store.named(f"user{added.index(False)}") is None


async def test_a_changed_hash_is_found_and_nothing_else_changes(store: CredentialStore) -> None:
    await store.add(credential(1), at=AT)
    await store.add(credential(2), at=AT)
    changed = await store.change_hash(UserId("u-1"), OTHER_HASH, at=AT)

    assert await store.change_hash(UserId("u-3"), OTHER_HASH, at=AT) is None
    assert await store.named("user1") == changed
    assert changed == msgspec.structs.replace(
        credential(1), password_hash=OTHER_HASH, generation=1, password_generation=1
    )
    assert await store.named("user2") == credential(2)
    assert await store.of(UserId("u-3")) is None


async def test_a_removed_one_is_found_no_more_and_its_name_is_free(store: CredentialStore) -> None:
    await store.add(credential(1), at=AT)
    await store.add(credential(2), at=AT)
    for _ in range(2):
        await store.remove(UserId("u-1"))

    assert await store.named("user1") is None
    assert await store.of(UserId("u-1")) is None
    assert await store.named("user2") == credential(2)
    await store.add(msgspec.structs.replace(credential(1), user_id=UserId("u-9")), at=AT)


async def test_once_the_last_is_removed_there_may_be_a_first_again(store: CredentialStore) -> None:
    await store.add(credential(1), at=AT)
    await store.remove(UserId("u-1"))

    assert await store.add_first(credential(2), at=AT)


async def test_all_are_listed_by_name(store: CredentialStore) -> None:
    for number in (2, 3, 1):
        await store.add(credential(number), at=AT)

    assert [found.username for found in await store.all()] == ["user1", "user2", "user3"]


async def test_each_change_of_standing_is_another_generation_and_leaves_the_password(store: CredentialStore) -> None:
    await store.add(credential(1), at=AT)
    await store.change_hash(UserId("u-1"), OTHER_HASH, at=AT)
    await store.change_standing(UserId("u-1"), role="trader", at=AT)
    changed = await store.change_standing(UserId("u-1"), disabled=True, at=AT)

    assert await store.of(UserId("u-1")) == changed
    assert changed == Credential(
        user_id=UserId("u-1"), username="user1", role="trader", password_hash=OTHER_HASH,
        disabled=True, generation=3, password_generation=1,
    )  # fmt: skip
    assert await store.change_standing(UserId("u-9"), role="trader", at=AT) is None


@pytest.mark.parametrize(("role", "disabled"), [("viewer", None), (None, True), ("trader", True)])
async def test_the_last_administrator_who_is_enabled_stays_one(
    store: CredentialStore, role: Role | None, disabled: bool | None
) -> None:
    await store.add(credential(1, "admin"), at=AT)
    await store.add(credential(2, "admin"), at=AT)
    await store.add(credential(3), at=AT)
    await store.change_standing(UserId("u-2"), disabled=True, at=AT)

    with pytest.raises(LastAdmin):
        await store.change_standing(UserId("u-1"), role=role, disabled=disabled, at=AT)
    assert await store.of(UserId("u-1")) == credential(1, "admin")
    await store.change_standing(UserId("u-2"), disabled=False, at=AT)
    await store.change_standing(UserId("u-1"), role=role, disabled=disabled, at=AT)


async def test_of_administrators_who_demote_each_other_at_once_one_remains(store: CredentialStore) -> None:
    numbers = range(4)
    for number in numbers:
        await store.add(credential(number, "admin"), at=AT)
    for _ in range(3):
        outcomes = await asyncio.gather(
            *(store.change_standing(UserId(f"u-{number}"), role="viewer", at=AT) for number in numbers),
            return_exceptions=True,
        )

        assert sum(isinstance(outcome, LastAdmin) for outcome in outcomes) == 1
        assert sorted(found.role for found in await store.all()) == ["admin", "viewer", "viewer", "viewer"]
        for number in numbers:
            await store.change_standing(UserId(f"u-{number}"), role="admin", at=AT)


def test_a_credential_does_not_show_its_hash() -> None:
    assert "argon2" not in repr(credential(1)) + str(credential(1))
