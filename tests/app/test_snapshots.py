"""Snapshots change the time that a fold takes and nothing else, whatever is in them."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

import asyncpg
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.bot import BotFact
from events.codec import Codec
from events.envelope import RecordedEvent
from events.errors import StoreUnavailable
from events.identifiers import FleetName, StreamId, VenueName, new_event_id
from events.log import EventLog
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from events.values import Instrument
from oxbot.adapters.memory_snapshots import MemorySnapshots
from oxbot.adapters.postgres_snapshots import PostgresSnapshots
from oxbot.app import snapshots as module
from oxbot.app.bot_runner import BotRunner
from oxbot.app.bots import BotCommands
from oxbot.app.handle import Folded, fold_stream, handle
from oxbot.app.host_runner import HostRunner
from oxbot.app.snapshots import FoldCodeMissing, Snapshot, Snapshots, SnapshotStore, fold_fingerprint
from oxbot.core.account import AccountState
from oxbot.core.bot import BotCommand, DepositCapital
from oxbot.core.candles import Frame
from oxbot.core.state import BotState
from tests.app.fakes import (
    STREAM,
    HookedLog,
    ListedFeed,
    SteppingClock,
    at_work,
    eventually,
    facts_in,
    history,
    lived,
    market,
    stored,
    write,
    written,
)
from tests.core import market_strategies as markets
from tests.core.scenario import BOT, DECIDER, FEES, START, Life, running

pytestmark = pytest.mark.anyio

EVERY = 5


class CountingLog(HookedLog):
    """A log that knows how many events of streams were read from it."""

    def __init__(self, inner: EventLog) -> None:
        super().__init__(inner)
        self.events_read = 0

    async def read_stream(
        self,
        stream: StreamId,
        *,
        after_version: int = 0,
        limit: int | None = None,
        up_to_position: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """The inner log's answer, counted."""
        events = await super().read_stream(
            stream, after_version=after_version, limit=limit, up_to_position=up_to_position
        )
        self.events_read += len(events)
        return events


def caching(store: SnapshotStore, every: int = EVERY) -> Snapshots[BotState]:
    """A process's snapshots of bots."""
    return Snapshots(store, BotState, every=every)


async def fold(log: EventLog, cache: Snapshots[BotState] | None) -> Folded[BotState]:
    """The bot of the log as a process that has just started sees it."""
    folded = await fold_stream(log, DECIDER, STREAM, cache=cache)
    if cache is not None:
        await cache.settle()
    return folded


async def snapshot_at(log: EventLog, version: int) -> Snapshot:
    """The right snapshot of the log's bot at that version."""
    store, partial = MemorySnapshots(), MemoryEventLog(Codec())
    events = await log.read_stream(STREAM, limit=version)
    await write(partial, [event.fact for event in events])  # type: ignore[misc]  # a bot's stream
    await fold(partial, caching(store, every=1))
    kept = await store.find(STREAM)
    assert kept is not None
    return msgspec.structs.replace(kept, event_id=events[-1].event_id)


async def test_a_fold_that_passes_a_multiple_leaves_a_snapshot_and_the_next_reads_only_what_came_after() -> None:
    store, inner = MemorySnapshots(), await lived(market(60))
    whole = await fold(inner, None)
    log = CountingLog(inner)

    assert await fold(log, caching(store)) == whole
    assert log.events_read == whole.version > 2 * EVERY
    log.events_read = 0
    assert await fold(log, caching(store)) == whole
    assert log.events_read == 1

    await write(inner, (await facts_in(inner))[1:2])
    log.events_read = 0
    assert await fold(log, caching(store)) == await fold(inner, None)
    assert log.events_read == 2


async def test_a_short_stream_leaves_none() -> None:
    store = MemorySnapshots()
    await fold(await written(running()), caching(store))

    assert await store.find(STREAM) is None


async def test_appends_leave_snapshots_as_they_pass_multiples() -> None:
    store, log = MemorySnapshots(), await written(running())
    cache = caching(store)
    folded = await fold(log, cache)
    versions = []
    for _ in range(9):
        folded = await handle(log, DECIDER, STREAM, DepositCapital(Decimal(1)), at=START, known=folded, cache=cache)
        await cache.settle()
        kept = await store.find(STREAM)
        versions.append(kept.version if kept else None)

    assert versions == [None, 5, 5, 5, 5, 5, 10, 10, 10]
    assert await fold(log, caching(store)) == folded


async def test_an_append_does_not_wait_for_its_snapshot() -> None:
    written_down, log = asyncio.Event(), await written(running())

    class Slow(MemorySnapshots):
        async def keep(self, snapshot: Snapshot) -> None:
            await written_down.wait()
            await super().keep(snapshot)

    store = Slow()
    async with caching(store, every=1) as cache:
        for _ in range(3):
            folded = await handle(log, DECIDER, STREAM, DepositCapital(Decimal(1)), at=START, cache=cache)
        assert await store.find(STREAM) is None
        written_down.set()
    kept = await store.find(STREAM)
    assert kept is not None
    assert kept.version == folded.version


LIVES = st.builds(lambda facts, script: _facts(Life(facts), script), markets.bots(), markets.scripts())


def _facts(life: Life, script: Sequence[Frame | BotCommand]) -> list[BotFact]:
    for item in script:
        if isinstance(item, Frame):
            life.see(item)
        else:
            life.order(item)
    return list(life.facts)


@given(facts=LIVES, data=st.data())
@settings(max_examples=60)
def test_folding_from_a_snapshot_at_any_version_is_folding_from_the_first_event(
    facts: list[BotFact], data: st.DataObject
) -> None:
    """Several processes come one after another, each with its own idea of how often to keep one."""

    async def exercise() -> None:
        log, store = MemoryEventLog(Codec()), MemorySnapshots()
        left = list(facts)
        while left:
            size = data.draw(st.integers(1, len(left)))
            await write(log, left[:size])
            del left[:size]
            cache = caching(store, every=data.draw(st.integers(1, 20)))
            whole = await fold(log, None)
            assert await fold(log, cache) == whole
            assert not cache.ignored
        version = data.draw(st.integers(1, len(facts)))
        await store.keep(await snapshot_at(log, version))
        assert await fold(log, caching(store)) == whole

    asyncio.run(exercise())


@pytest.mark.parametrize("deaths", [(), (30,), (7, 30, 31, 55)])
async def test_incarnations_that_begin_from_snapshots_live_the_undisturbed_life(deaths: Sequence[int]) -> None:
    frames = market(80)
    log, candles, store = await written(running()), await stored(frames), MemorySnapshots()
    for end in (*deaths, len(frames)):
        cache = caching(store)
        incarnation = BotRunner(
            BOT, log=log, decider=DECIDER, candles=candles, clock=SteppingClock(), holder="host", cache=cache
        )
        await incarnation.claim()
        assert not cache.ignored
        await incarnation.observe(frames[:end])
        await incarnation.refresh()
        await cache.settle()

    kept = await store.find(STREAM)
    assert kept is not None
    assert kept.version // EVERY == (await fold(log, None)).version // EVERY
    assert await history(log) == await history(await lived(frames))


async def test_a_host_hands_its_snapshots_to_its_bots_and_commands_fold_from_them() -> None:
    frames, store = market(60), MemorySnapshots()
    log = CountingLog(await written(running()))
    feed = ListedFeed(frames)
    host = HostRunner(
        "host",
        log=log,
        decider=DECIDER,
        feed=feed,
        candles=await stored(frames),
        clock=SteppingClock(),
        cache=caching(store),
    )
    await host.place([BOT])
    async with at_work(host.run()):
        await eventually(lambda: host.status(1).bots[0].cursor == frames[-1].open_time)
    kept = await store.find(STREAM)
    assert kept is not None
    assert kept.version > 2 * EVERY

    log.events_read = 0
    commands = BotCommands(
        log,
        DECIDER,
        fleet=FleetName("main"),
        market=Elsewhere(),
        fees=FEES,
        now=lambda: START,
        actor="tests",
        cache=caching(store),
    )
    await commands.pause(BOT)
    assert log.events_read <= EVERY


class Elsewhere:
    """``MarketTerms`` of a market that the bot is not on."""

    venue = VenueName("elsewhere")
    timeframe = "5m"
    instruments: Sequence[Instrument] = ()

    async def next_open(self) -> datetime:
        """Always the same."""
        return START


def damaged_state(snapshot: Snapshot) -> Snapshot:
    """A byte of the state was flipped."""
    return msgspec.structs.replace(snapshot, state=snapshot.state[:-1] + bytes([snapshot.state[-1] ^ 1]))


def richer(snapshot: Snapshot) -> Snapshot:
    """Another state, with its own digest, but folded by another program."""
    state = snapshot.state.replace(b"10000", b"99999")
    assert state != snapshot.state
    digest = hashlib.sha256(state).digest()
    return msgspec.structs.replace(snapshot, state=state, sha256=digest, fingerprint="older")


def other_type(snapshot: Snapshot) -> Snapshot:
    """Bytes that are right by their digest and no bot's state."""
    state = msgspec.msgpack.encode({"cash": []}) + b"\xff"
    return msgspec.structs.replace(snapshot, state=state, sha256=hashlib.sha256(state).digest())


def moved(by: int) -> Callable[[Snapshot], Snapshot]:
    """The version is another than the state's."""
    return lambda snapshot: msgspec.structs.replace(snapshot, version=snapshot.version + by)


def other_history(snapshot: Snapshot) -> Snapshot:
    """The stream had another event at that version when it was folded: the log was restored since."""
    return msgspec.structs.replace(snapshot, event_id=new_event_id())


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (damaged_state, "damaged"),
        (richer, "other_program"),
        (other_type, "damaged"),
        (moved(1), "not_of_this_stream"),
        (moved(-1), "not_of_this_stream"),
        (moved(10**9), "not_of_this_stream"),
        (moved(-(10**9)), "damaged"),
        (other_history, "not_of_this_stream"),
    ],
)
async def test_a_snapshot_that_is_not_right_is_ignored_counted_and_replaced(
    spoil: Callable[[Snapshot], Snapshot], fault: str
) -> None:
    """Scenario V13."""
    log, store = await lived(market(60)), MemorySnapshots()
    whole = await fold(log, None)
    await store.keep(spoil(await snapshot_at(log, 12)))
    cache = caching(store)

    assert await fold(log, cache) == whole
    assert dict(cache.ignored) == {fault: 1}
    later = caching(store)
    assert await fold(log, later) == whole
    assert not later.ignored


async def test_a_store_that_does_not_answer_costs_a_full_fold_and_fails_nothing() -> None:
    class Away(MemorySnapshots):
        async def find(self, stream: StreamId) -> Snapshot | None:
            raise StoreUnavailable(f"no answer about {stream}")

        async def keep(self, snapshot: Snapshot) -> None:
            raise StoreUnavailable(f"no answer about {snapshot.stream}")

    log = await lived(market(60))
    cache = caching(Away())

    assert await fold(log, cache) == await fold(log, None)
    assert dict(cache.ignored) == {"unreadable": 1}


async def test_deleting_the_table_changes_nothing(pool: asyncpg.Pool) -> None:
    log, store = PostgresEventLog(pool, Codec()), PostgresSnapshots(pool)
    await write(log, await facts_in(await lived(market(60))))
    whole = await fold(log, caching(store))
    assert await pool.fetchval("SELECT version FROM caches.snapshots WHERE stream_id = $1", STREAM) == whole.version
    assert await fold(log, caching(store)) == whole

    await pool.execute("DROP TABLE caches.snapshots")
    assert await fold(log, caching(store)) == whole


def test_another_kind_of_state_has_another_fingerprint_and_the_same_kind_the_same() -> None:
    assert fold_fingerprint(BotState) == fold_fingerprint(BotState) != fold_fingerprint(AccountState)


def test_a_state_with_another_field_has_another_fingerprint() -> None:
    older = msgspec.defstruct("State", [("cash", Decimal)])
    newer = msgspec.defstruct("State", [("cash", Decimal), ("fees", Decimal, Decimal(0))])
    assert fold_fingerprint(older) != fold_fingerprint(newer)


def test_any_change_of_the_code_that_facts_go_through_is_another_fingerprint() -> None:
    """The fold of another set of modules stands for the fold of changed ones: their text is what is digested."""
    assert module.FOLD_PACKAGES == ("events", "oxbot.core")
    here = fold_fingerprint(BotState)
    assert len({here, fold_fingerprint(BotState, ("events",)), fold_fingerprint(BotState, ("oxbot.core",))}) == 3


def test_without_its_source_no_program_keeps_snapshots() -> None:
    with pytest.raises(FoldCodeMissing, match=r"oxbot\.adapters\.sql"):
        fold_fingerprint(BotState, ("oxbot.adapters.sql",))
