"""The table of people's keys: what it shows to whom, and that what was destroyed does not come back."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from events.values import SubjectId
from oxbot.adapters.aes_gcm_subject_keys import FILE_NAME, AesGcmSubjectKeys, installation_key
from oxbot.adapters.database import Role, open_pool
from oxbot.adapters.postgres_accounts import PostgresCredentials
from oxbot.adapters.postgres_subject_keys import PostgresKeyTable
from oxbot.app.personal import ERASED, SealBroken
from oxbot.core.account import UserId

pytestmark = pytest.mark.anyio

AT = datetime(2024, 1, 1, tzinfo=UTC)
ANN = SubjectId("user-1")
NAME = "user.username"


@pytest.fixture
def keys(pool: asyncpg.Pool) -> AesGcmSubjectKeys:
    """The keys of an installation."""
    return AesGcmSubjectKeys(PostgresKeyTable(pool), bytes(32))


def test_the_installation_key_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    key = installation_key(tmp_path)

    assert (len(key), installation_key(tmp_path)) == (32, key)
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


async def test_a_destroyed_key_leaves_nothing_of_it_in_its_row(keys: AesGcmSubjectKeys, pool: asyncpg.Pool) -> None:
    await keys.seal(ANN, NAME, "ann")
    [before] = await pool.fetch("SELECT wrapped_key, destroyed_at FROM privacy.subject_keys")
    await keys.destroy(ANN, at=AT)
    [after] = await pool.fetch("SELECT wrapped_key, destroyed_at FROM privacy.subject_keys")

    assert (len(before["wrapped_key"]), before["destroyed_at"]) == (12 + 32 + 16, None)
    assert (after["wrapped_key"], after["destroyed_at"]) == (None, AT)


async def test_a_key_wrapped_for_one_person_is_of_no_use_in_anothers_row(
    keys: AesGcmSubjectKeys, pool: asyncpg.Pool
) -> None:
    bob = SubjectId("user-2")
    await keys.seal(ANN, NAME, "ann")
    sealed = await keys.seal(bob, NAME, "bob")
    await pool.execute(
        "UPDATE privacy.subject_keys SET wrapped_key = anns.wrapped_key"
        " FROM privacy.subject_keys AS anns WHERE anns.subject = $1 AND subject_keys.subject = $2",
        ANN,
        bob,
    )

    with pytest.raises(SealBroken):
        await keys.open(sealed, NAME)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE privacy.subject_keys SET wrapped_key = 'x', key_id = 'x', wrapped_by = 'x', destroyed_at = NULL",
        "UPDATE privacy.subject_keys SET destroyed_at = now()",
        "DELETE FROM privacy.subject_keys",
        "TRUNCATE privacy.subject_keys",
    ],
)
async def test_what_was_destroyed_stays_so_whoever_asks(
    keys: AesGcmSubjectKeys, pool: asyncpg.Pool, statement: str
) -> None:
    sealed = await keys.seal(ANN, NAME, "ann")
    await keys.destroy(ANN, at=AT)

    with pytest.raises(asyncpg.RestrictViolationError, match="keeps what was destroyed"):
        await pool.execute(statement)
    assert await keys.open(sealed, NAME) is ERASED


ROLES = ("host", "market", "projector", "api", "sealer", "archiver", "operator", "writer", "reader")
ALLOWED = {
    ("privacy.subject_keys", "SELECT"): {"api", "operator"},
    ("privacy.subject_keys", "INSERT"): {"api", "operator"},
    ("privacy.subject_keys", "UPDATE"): {"api", "operator"},
    ("privacy.subject_keys", "DELETE"): set(),
    ("privacy.subject_keys", "TRUNCATE"): set(),
    ("privacy.erased_through", "SELECT"): {"api", "operator"},
    ("privacy.erased_through", "UPDATE"): {"api", "operator"},
    ("privacy.erased_through", "DELETE"): set(),
    ("caches.snapshots", "SELECT"): {"host", "api", "operator"},
    ("caches.snapshots", "INSERT"): {"host", "api", "operator"},
    ("caches.snapshots", "UPDATE"): {"host", "api", "operator"},
    ("caches.snapshots", "DELETE"): {"host", "api", "operator"},
    ("caches.pasts", "SELECT"): {"projector", "api", "operator"},
    ("caches.pasts", "INSERT"): {"projector", "api", "operator"},
    ("caches.pasts", "UPDATE"): {"projector", "api", "operator"},
    ("caches.pasts", "DELETE"): {"projector", "api", "operator"},
    ("caches.failing_bots", "SELECT"): {"host", "api", "operator"},
    ("caches.failing_bots", "INSERT"): {"host"},
    ("caches.failing_bots", "UPDATE"): {"host"},
    ("caches.failing_bots", "DELETE"): {"host"},
}


async def test_only_those_who_need_them_reach_keys_and_snapshots(pool: asyncpg.Pool) -> None:
    asked = "SELECT has_table_privilege($1, $2, $3) AND has_schema_privilege($1, split_part($2, '.', 1), 'USAGE')"
    found = {
        (table, right): {role for role in ROLES if await pool.fetchval(asked, f"oxbot_{role}", table, right)}
        for table, right in ALLOWED
    }
    assert found == ALLOWED


@pytest.mark.parametrize("role", ["oxbot_api", "oxbot_operator"])
async def test_the_roles_that_keep_keys_can_do_all_of_it(database: str, role: Role) -> None:
    acting = await open_pool(database, size=1, application_name="tests", role=role)
    keys = AesGcmSubjectKeys(PostgresKeyTable(acting), bytes(32))
    sealed = await keys.seal(ANN, NAME, "ann")
    assert await keys.open(sealed, NAME) == "ann"
    await keys.destroy(ANN, at=AT)
    assert await keys.open(sealed, NAME) is ERASED
    await keys.note_erased_through(await keys.erased_through() + 1)
    await PostgresCredentials(acting).remove(UserId("1"))
    await acting.close()
