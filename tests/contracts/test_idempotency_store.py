"""What every store of requests by key promises, held against the one in memory and the one in Postgres."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import asyncpg
import pytest

from events.errors import StoreUnavailable
from oxbot.adapters.memory_idempotency import MemoryIdempotency
from oxbot.adapters.postgres_idempotency import PostgresIdempotency
from oxbot.app.idempotency import KEPT_FOR, LEASE, Answered, Claim, IdempotencyStore, OtherContent, UnderWay

pytestmark = pytest.mark.anyio

ONE, TWO = bytes(32), bytes(31) + b"2"
ANSWER = Answered(201, (("location", "/x"), ("x-position", "7")), b'{"a":1}')
AGE = """
UPDATE accounts.idempotency_keys
SET leased_until = leased_until - $1::interval, begun_at = begun_at - $1::interval
"""


class Aging:
    """A store, and a way to let time pass for it."""

    def __init__(self, pool: asyncpg.Pool | None) -> None:
        self._pool = pool
        self._now = 0.0
        self.store: IdempotencyStore = PostgresIdempotency(pool) if pool else MemoryIdempotency(lambda: self._now)

    async def let_pass(self, time: timedelta) -> None:
        self._now += time.total_seconds()
        if self._pool is not None:
            await self._pool.execute(AGE, time)

    async def claimed(self, user_id: str = "u", key: str = "k", digest: bytes = ONE) -> Claim:
        """A claim that is granted."""
        claim = await self.store.claim(user_id, key, digest)
        assert isinstance(claim, Claim), claim
        return claim


@pytest.fixture(params=["memory", "postgres"])
def aging(request: pytest.FixtureRequest) -> Aging:
    """Each implementation in turn, empty."""
    return Aging(None if request.param == "memory" else request.getfixturevalue("pool"))


async def test_what_is_done_is_answered_the_same_to_the_letter(aging: Aging) -> None:
    claim = await aging.claimed()
    assert not claim.resumed
    await aging.store.keep("u", "k", claim.deed, ANSWER)

    assert await aging.store.claim("u", "k", ONE) == ANSWER


async def test_an_answer_with_a_secret_is_remembered_without_it(aging: Aging) -> None:
    claim = await aging.claimed()
    await aging.store.keep("u", "k", claim.deed, Answered(201, (), None))

    assert await aging.store.claim("u", "k", ONE) == Answered(201, (), None)


async def test_other_content_is_known_before_and_after_the_end(aging: Aging) -> None:
    claim = await aging.claimed()
    assert await aging.store.claim("u", "k", TWO) == OtherContent()
    await aging.store.keep("u", "k", claim.deed, ANSWER)
    assert await aging.store.claim("u", "k", TWO) == OtherContent()


async def test_keys_are_each_users_own(aging: Aging) -> None:
    first, second = await aging.claimed("u"), await aging.claimed("v", digest=TWO)
    assert first.deed != second.deed


async def test_what_is_under_way_says_for_how_long_at_most(aging: Aging) -> None:
    await aging.claimed()
    under_way = await aging.store.claim("u", "k", ONE)
    assert isinstance(under_way, UnderWay)
    assert 0 < under_way.seconds <= LEASE.total_seconds()


async def test_of_many_at_once_one_may(aging: Aging) -> None:
    claims = await asyncio.gather(*(aging.store.claim("u", "k", ONE) for _ in range(8)))
    assert sorted(type(claim).__name__ for claim in claims) == ["Claim", *["UnderWay"] * 7]


async def test_whoever_comes_after_the_lease_goes_on_with_the_same_deed(aging: Aging) -> None:
    first = await aging.claimed()
    await aging.let_pass(LEASE)
    second = await aging.claimed()

    assert second == Claim(first.deed, resumed=True)
    assert isinstance(await aging.store.claim("u", "k", ONE), UnderWay)


async def test_what_failed_is_gone_on_with_at_once(aging: Aging) -> None:
    first = await aging.claimed()
    await aging.store.release("u", "k", first.deed)

    assert await aging.claimed() == Claim(first.deed, resumed=True)


async def test_the_first_answer_stays(aging: Aging) -> None:
    claim = await aging.claimed()
    await aging.store.keep("u", "k", claim.deed, ANSWER)
    await aging.store.keep("u", "k", claim.deed, ANSWER._replace(status=500))
    await aging.store.release("u", "k", claim.deed)

    assert await aging.store.claim("u", "k", ONE) == ANSWER


async def test_after_a_day_a_key_names_another_deed(aging: Aging) -> None:
    claim = await aging.claimed()
    await aging.store.keep("u", "k", claim.deed, ANSWER)
    await aging.let_pass(KEPT_FOR + timedelta(seconds=1))
    again = await aging.claimed(digest=TWO)

    assert not again.resumed
    assert again.deed != claim.deed
    await aging.store.keep("u", "k", claim.deed, ANSWER)
    assert isinstance(await aging.store.claim("u", "k", TWO), UnderWay)


async def test_what_could_not_be_released_is_as_soon_as_the_database_is_back(pool: asyncpg.Pool) -> None:
    store = PostgresIdempotency(pool)
    claim = await store.claim("u", "k", ONE)
    assert isinstance(claim, Claim)
    async with pool.acquire() as holder, holder.transaction():
        await holder.execute("LOCK TABLE accounts.idempotency_keys")
        await impatient(pool)
        with pytest.raises(StoreUnavailable):
            await store.release("u", "k", claim.deed)

    assert await store.claim("u", "k", ONE) == Claim(claim.deed, resumed=True)


async def impatient(pool: asyncpg.Pool) -> None:
    """Let no other connection of the pool wait for a lock."""
    async with AsyncExitStack() as stack:
        for _ in range(pool.get_max_size() - 1):
            connection = await stack.enter_async_context(pool.acquire())
            await connection.execute("SET lock_timeout = '10ms'")


async def test_old_requests_are_deleted_by_whoever_comes(pool: asyncpg.Pool) -> None:
    aging = Aging(pool)
    for number in range(3):
        await aging.claimed(key=str(number))
    await aging.let_pass(KEPT_FOR + timedelta(seconds=1))
    await aging.claimed(key="new")

    assert [row["key"] for row in await pool.fetch("SELECT key FROM accounts.idempotency_keys")] == ["new"]
