"""What every store of pasts promises, held against the one in memory and the one in Postgres."""

import asyncpg
import msgspec
import pytest

from events.bot import BotPaused
from events.codec import Codec
from events.envelope import NewEvent
from events.identifiers import StreamId, new_event_id
from events.log import ANY_VERSION, EventLog
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from oxbot.adapters.memory_pasts import MemoryPasts
from oxbot.adapters.postgres_pasts import PostgresPasts
from oxbot.app.past import KeptPast, PastStore
from tests.core.scenario import START

pytestmark = pytest.mark.anyio

FIRST = KeptPast(
    stream=StreamId("bot-1"),
    version=5,
    position=10,
    event_id=new_event_id(),
    fingerprint="a",
    decisions=2,
    state=b"\x00state",
    sha256=bytes(32),
)
SECOND = msgspec.structs.replace(FIRST, version=9, position=20, decisions=4, event_id=new_event_id())


@pytest.fixture(params=["memory", "postgres"])
def stores(request: pytest.FixtureRequest) -> tuple[EventLog, PastStore]:
    """Each implementation in turn, empty, and the log that it is beside."""
    if request.param == "memory":
        log = MemoryEventLog(Codec())
        return log, MemoryPasts(log)
    pool: asyncpg.Pool = request.getfixturevalue("pool")
    return PostgresEventLog(pool, Codec()), PostgresPasts(pool)


@pytest.fixture
def store(stores: tuple[EventLog, PastStore]) -> PastStore:
    """The store alone."""
    return stores[1]


async def test_the_newest_up_to_a_position_is_found(store: PastStore) -> None:
    for past in (SECOND, FIRST):
        await store.keep(past)

    found = [await store.before(FIRST.stream, position, "a") for position in (9, 10, 19, 20, 1 << 60)]

    assert found == [None, FIRST, FIRST, SECOND, SECOND]


async def test_what_another_program_folded_or_another_bot_did_is_not_found(store: PastStore) -> None:
    await store.keep(FIRST)

    assert await store.before(FIRST.stream, 10, "b") is None
    assert await store.before(StreamId("bot-2"), 10, "a") is None


async def test_the_newest_before_a_decision_is_found(store: PastStore) -> None:
    for past in (FIRST, SECOND):
        await store.keep(past)

    found = [await store.before_decision(FIRST.stream, number, "a") for number in (2, 3, 4, 5)]

    assert found == [None, FIRST, FIRST, SECOND]
    assert await store.before_decision(FIRST.stream, 5, "b") is None


async def test_one_kept_at_the_same_position_takes_the_place_of_the_one_before(store: PastStore) -> None:
    other = msgspec.structs.replace(FIRST, fingerprint="b", state=b"other", event_id=new_event_id(), decisions=9)
    for past in (FIRST, other):
        await store.keep(past)

    assert await store.before(FIRST.stream, 10, "a") is None
    assert await store.before(FIRST.stream, 10, "b") == other


async def test_streams_that_have_come_far_since_their_last_are_due(stores: tuple[EventLog, PastStore]) -> None:
    log, store = stores
    for name, events in (("bot-1", 9), ("bot-2", 4), ("bot-3", 5), ("botany", 9), ("user-1", 9)):
        paused = [NewEvent(event_id=new_event_id(), occurred_at=START, fact=BotPaused()) for _ in range(events)]
        await log.append(StreamId(name), paused, expected=ANY_VERSION)

    assert await store.due("bot-", 5, "a") == ["bot-1", "bot-3"]
    await store.keep(FIRST)
    assert await store.due("bot-", 5, "a") == ["bot-3"]
    assert await store.due("bot-", 4, "a") == ["bot-1", "bot-2", "bot-3"]
    assert await store.due("bot-", 5, "b") == ["bot-1", "bot-3"]
