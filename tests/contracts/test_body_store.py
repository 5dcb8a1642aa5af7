"""What every store of bodies promises, held against the one in memory and the one in Postgres."""

import asyncio
from hashlib import sha256

import asyncpg
import pytest

from events.identifiers import BodyHash
from oxbot.adapters.database import login_as, open_pool
from oxbot.adapters.memory_bodies import MemoryBodies
from oxbot.adapters.postgres_bodies import PostgresBodies
from oxbot.app.bodies import BODY_BYTES_MAX, BodyMissing, BodyStore, BodyTooLarge, body_hash

pytestmark = pytest.mark.anyio

ANSWER = '{"decisions":[]} Zürich \N{SNOWMAN}\x00'.encode()
ROLES = (
    "host", "market", "execution", "projector", "api", "sealer", "archiver", "notifier", "models", "operator", "writer",
    "reader",
)  # fmt: skip
ATTACKS = (
    "UPDATE log.bodies SET body = 'other'",
    "DELETE FROM log.bodies",
    "TRUNCATE log.bodies",
    "DROP TABLE log.bodies",
    "ALTER TABLE log.bodies DISABLE TRIGGER ALL",
    "ALTER TABLE log.bodies DROP CONSTRAINT body_is_its_hash",
    "INSERT INTO log.bodies SELECT * FROM log.bodies ON CONFLICT (sha256) DO UPDATE SET body = 'other'",
)


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> BodyStore:
    """Each implementation in turn, empty."""
    if request.param == "memory":
        return MemoryBodies()
    return PostgresBodies(request.getfixturevalue("pool"))


async def test_a_body_comes_back_as_it_was_under_the_hash_of_its_content(store: BodyStore) -> None:
    body = await store.put(ANSWER)
    assert body == sha256(ANSWER).hexdigest() == body_hash(ANSWER)
    assert await store.get(body) == ANSWER


@pytest.mark.parametrize("data", [b"", b"\x00" * 100_000, bytes(range(256)) * 400], ids=["empty", "long", "binary"])
async def test_any_bytes_are_a_body(store: BodyStore, data: bytes) -> None:
    assert await store.get(await store.put(data)) == data


async def test_the_same_body_put_again_is_the_same(store: BodyStore) -> None:
    assert len(set(await asyncio.gather(*(store.put(ANSWER) for _ in range(20))))) == 1
    assert await store.get(await store.put(ANSWER)) == ANSWER


@pytest.mark.parametrize("name", [body_hash(b"never put"), "", "nonsense", "ab"])
async def test_what_was_never_put_is_missing_and_named(store: BodyStore, name: str) -> None:
    await store.put(ANSWER)
    with pytest.raises(BodyMissing) as caught:
        await store.get(BodyHash(name))
    assert caught.value.body == name


async def test_a_body_that_is_too_large_is_refused_and_one_that_just_fits_is_not(store: BodyStore) -> None:
    with pytest.raises(BodyTooLarge, match=str(BODY_BYTES_MAX + 1)):
        await store.put(b"x" * (BODY_BYTES_MAX + 1))
    assert len(await store.get(await store.put(b"x" * BODY_BYTES_MAX))) == BODY_BYTES_MAX


async def test_long_bodies_are_compressed(pool: asyncpg.Pool) -> None:
    await PostgresBodies(pool).put(b"open high low close volume " * 10_000)
    assert await pool.fetchval("SELECT pg_column_size(body) FROM log.bodies") < 27 * 1_000


@pytest.mark.parametrize("role", ["oxbot_owner", *(f"oxbot_{role}" for role in ROLES)])
async def test_no_role_can_change_a_body(role: str, pool: asyncpg.Pool) -> None:
    body = await PostgresBodies(pool).put(ANSWER)
    async with pool.acquire() as connection:
        await connection.execute(f"SET SESSION AUTHORIZATION {role}")
        for attack in ATTACKS:
            with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.RestrictViolationError)):
                await connection.execute(attack)
        await connection.execute("RESET SESSION AUTHORIZATION")
    assert await PostgresBodies(pool).get(body) == ANSWER


@pytest.mark.parametrize("attack", ["DELETE FROM log.bodies", "TRUNCATE log.bodies", "UPDATE log.bodies SET body = ''"])
async def test_the_trigger_stops_even_a_superuser_in_replica_mode(attack: str, pool: asyncpg.Pool) -> None:
    await PostgresBodies(pool).put(ANSWER)
    async with pool.acquire() as connection:
        await connection.execute("SET session_replication_role = replica")
        with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
            await connection.execute(attack)
        await connection.execute("RESET session_replication_role")


async def test_only_the_models_and_the_operator_add_and_every_reader_reads(pool: asyncpg.Pool) -> None:
    asked = "SELECT has_table_privilege($1, 'log.bodies', $2)"
    rights = {
        right: {role for role in ROLES if await pool.fetchval(asked, f"oxbot_{role}", right)}
        for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
    }
    assert rights["INSERT"] == {"models", "operator"}
    assert rights["SELECT"] == set(ROLES) - {"writer"}
    assert rights["UPDATE"] == rights["DELETE"] == rights["TRUNCATE"] == set()


async def test_the_database_refuses_a_body_under_another_hash(pool: asyncpg.Pool) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="body_is_its_hash"):
        await pool.execute("INSERT INTO log.bodies VALUES ($1, $2)", sha256(b"one").digest(), b"other")


async def test_the_models_process_puts_and_gets_as_its_own_role(database: str) -> None:
    async with await open_pool(login_as(database, "oxbot_models"), size=1, application_name="models") as pool:
        store = PostgresBodies(pool)
        assert await store.get(await store.put(ANSWER)) == ANSWER
