"""Following the log while it is unavailable, while its connections die, and after it is closed."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence

import asyncpg
import pytest
import stamina

from events.codec import Codec
from events.envelope import RecordedEvent
from events.errors import LogClosed, LogDamaged, LogUnavailable
from events.identifiers import StreamId
from events.log import NO_STREAM
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from events.subscription import CaughtUp, subscribe
from oxbot.adapters.database import open_pool
from tests.events.appending import STREAM, Delivery, events, faults, kill_backends, stored, write

pytestmark = pytest.mark.anyio


class FalteringLog(MemoryEventLog):
    """A log in memory that is unavailable so many times before each page, head and wait that it answers."""

    def __init__(self, times: int) -> None:
        super().__init__(Codec())
        self._times = times
        self._asked: Counter[str] = Counter()
        self.failures = 0

    async def read_all(
        self,
        *,
        after_position: int = 0,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        up_to: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """See ``LogReader.read_all``."""
        self._falter("page")
        return await super().read_all(after_position=after_position, limit=limit, types=types, up_to=up_to)

    async def head(self) -> int:
        """See ``LogReader.head``."""
        self._falter("head")
        return await super().head()

    async def wait_beyond(self, position: int, *, timeout_seconds: float) -> int:
        """See ``LogReader.wait_beyond``."""
        self._falter("wait")
        return await super().wait_beyond(position, timeout_seconds=timeout_seconds)

    def _falter(self, call: str) -> None:
        self._asked[call] += 1
        if self._asked[call] % (self._times + 1) == 0:
            return
        self.failures += 1
        raise LogUnavailable("for a moment")


@pytest.fixture(autouse=True)
def _hasty() -> Iterator[None]:
    """Nobody waits between two attempts, nor tells of them."""
    hooks = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks(())
    stamina.set_testing(testing=True, attempts=50)
    yield
    stamina.set_testing(testing=False)
    stamina.instrumentation.set_on_retry_hooks(hooks)


@pytest.mark.parametrize("types", [None, ["bot.paused"]])
async def test_a_subscription_goes_on_through_a_log_that_is_unavailable(types: Sequence[str] | None) -> None:
    log = FalteringLog(3)
    await log.append(STREAM, events(2), expected=NO_STREAM)
    subscription = subscribe(log, types=types)
    told = [await anext(subscription) for _ in range(3)]
    await log.append(STREAM, events(1), expected=2)
    told += [await anext(subscription) for _ in range(2)]
    assert [one.position for one in told] == [1, 2, 2, 3, 3]
    assert [isinstance(one, CaughtUp) for one in told] == [False, False, True, False, True]
    assert log.failures > 9


async def test_a_subscription_to_a_log_that_becomes_shorter_ends(pool: asyncpg.Pool) -> None:
    """A13: a stand-in without the last commits took over; what will take their places would not be delivered."""
    log = PostgresEventLog(pool, Codec())
    await log.append(STREAM, events(3), expected=NO_STREAM)
    following = subscribe(log, after_position=3, wait_seconds=0.1)
    assert await anext(following) == CaughtUp(3)
    await pool.execute("ALTER TABLE log.events_p1 DISABLE TRIGGER ALL; ALTER TABLE log.events DISABLE TRIGGER ALL")
    await pool.execute("DELETE FROM log.events WHERE position = 3")
    async with asyncio.timeout(10):
        with pytest.raises(LogDamaged, match="shorter"):
            await anext(following)


async def test_a_subscription_to_a_closed_log_ends(database: str) -> None:
    async with await open_pool(database, size=1, application_name="closing") as pool:
        subscription = subscribe(PostgresEventLog(pool, Codec()))
        assert await anext(subscription) == CaughtUp(0)
    with pytest.raises(LogClosed):
        await anext(subscription)


async def test_a_subscription_misses_nothing_while_its_connections_are_killed(
    database: str, pool: asyncpg.Pool
) -> None:
    """R6: every listener, page and poll may die; events come meanwhile."""
    writer = PostgresEventLog(pool, Codec())
    due = 2 * sum(1 + number % 3 for number in range(80))
    async with await open_pool(database, size=3, application_name="followers") as followers:
        reader = PostgresEventLog(followers, Codec(), poll_seconds=0.05)
        stop = asyncio.Event()

        async def follow() -> list[Delivery]:
            delivered: list[Delivery] = []
            async for one in subscribe(reader):
                if isinstance(one, RecordedEvent):
                    delivered.append((one.position, one.stream, one.version))
                if len(delivered) == due:
                    return delivered
            raise AssertionError("a subscription has no end")

        async with asyncio.TaskGroup() as tasks:
            killing = tasks.create_task(kill_backends(pool, "followers", stop))
            following = tasks.create_task(follow())
            async with asyncio.TaskGroup() as writing:
                for number in range(2):
                    writing.create_task(write(writer, StreamId(f"bot-{number}"), 80))
            delivered = await following
            stop.set()
    assert killing.result() > 0
    held = await stored(writer)
    assert delivered == held
    assert faults(delivered, held) == []
