"""What every memory of failing bots promises, held against the one in memory and the one in Postgres."""

import pytest

from events.identifiers import BotId
from oxbot.adapters.memory_failing_bots import MemoryFailingBots
from oxbot.adapters.postgres_failing_bots import PostgresFailingBots
from oxbot.app.failing import FailingBots

pytestmark = pytest.mark.anyio

A, B = BotId("a"), BotId("b")


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> FailingBots:
    """Each implementation in turn, empty."""
    if request.param == "memory":
        return MemoryFailingBots()
    return PostgresFailingBots(request.getfixturevalue("pool"))


async def errors(store: FailingBots) -> dict[BotId, str]:
    """Who fails of what."""
    return {bot_id: failing.error for bot_id, failing in (await store.all()).items()}


async def test_bots_fail_until_they_recover(store: FailingBots) -> None:
    assert await store.all() == {}
    await store.failed({A: "no archive", B: "no candles"})
    assert await errors(store) == {A: "no archive", B: "no candles"}
    await store.recovered([A, BotId("c")])
    assert await errors(store) == {B: "no candles"}


async def test_a_bot_that_fails_again_has_failed_since_the_first_time_and_of_the_last_error(store: FailingBots) -> None:
    await store.failed({A: "one"})
    first = (await store.all())[A]
    await store.failed({A: "two"})
    second = (await store.all())[A]
    await store.recovered([A])
    await store.failed({A: "two"})

    assert (second.failing_since, second.error) == (first.failing_since, "two")
    assert (await store.all())[A].failing_since > first.failing_since


async def test_an_error_may_quote_anything(store: FailingBots) -> None:
    await store.failed({A: "a \x00 and a \n"})
    assert list(await store.all()) == [A]
