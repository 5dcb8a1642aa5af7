"""The sealer: every checkpoint extends the ones before, whatever dies, whoever else seals, whatever was restored."""

import asyncio
import types
from collections.abc import AsyncIterator, Awaitable, Generator
from contextlib import suppress

import asyncpg
import pytest

from events.checkpoint import Checkpoint, SignerKey, open_checkpoint, sign_checkpoint
from events.envelope import NewEvent
from events.identifiers import new_event_id
from events.log import ANY_VERSION
from events.merkle import root_of
from events.system import SYSTEM_STREAM, ProjectionRebuilt
from oxbot.adapters.database import open_pool
from oxbot.adapters.memory_seal import MemorySeal
from oxbot.app.checkpoints import checkpoint_fact
from oxbot.app.sealer import Sealer, SealerRefused
from oxbot.app.tree import TreeUnusable
from tests.app.fakes import SteppingClock, at_work, eventually
from tests.app.sealed_log import SealedLog, lived_log, sealed_log
from tests.core.scenario import START

pytestmark = pytest.mark.anyio


async def test_a_checkpoint_covers_every_event_before_it(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1", 3)
    await log.append("bot-2", 2)

    assert await log.sealer().seal()
    assert await log.newest() == Checkpoint(
        log.key.verifier.name, 5, root_of([row.leaf_hash for row in (await log.rows())[:5]])
    )


async def test_nothing_is_sealed_where_only_checkpoints_are_new(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    sealer = log.sealer()
    assert not await sealer.seal()
    await log.append("bot-1")
    assert await sealer.seal()

    assert not await sealer.seal()
    assert not await log.sealer().seal()
    assert [one.size for one in await log.recorded()] == [1]


async def test_a_new_sealer_goes_on_where_the_last_one_was(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    await log.sealer().seal()

    assert [one.size for one in await log.recorded()] == [5, 10, 14, 17]
    assert (await log.verify(anchors=[await log.newest()])).problems == ()


async def test_the_inner_nodes_are_kept_however_the_log_grew(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    sealer = log.sealer()
    for count in (100, 156, 1, 600):
        await log.append("bot-1", count)
        await sealer.seal()
    rows = [row.leaf_hash for row in await log.rows()]
    kept = await pool.fetch("SELECT level, index, hash FROM log.subtrees ORDER BY index")

    assert [tuple(node) for node in kept] == [
        (1, number, root_of(rows[number * 256 : (number + 1) * 256])) for number in range(3)
    ]
    assert (await log.verify()).problems == ()


async def test_what_is_signed_is_remembered_before_it_is_recorded(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1")

    class Watching(MemorySeal):
        async def remember(self, note: str) -> None:
            assert await log.recorded() == []
            await super().remember(note)

    memory = Watching()
    await log.sealer(memory=memory).seal()
    assert await memory.last() == (await log.recorded())[0].fact.note


class Died(BaseException):
    """The process was killed."""


@types.coroutine
def _suspended(value: object) -> Generator[object, object, object]:
    return (yield value)


async def killed_after(suspensions: int, work: Awaitable[object]) -> bool:
    """Do the work as a process does that is killed the so-manieth time it waits; False if it ended before."""
    steps = work.__await__()
    try:
        for _ in range(suspensions):
            await _suspended(next(steps))
        with suppress(asyncio.CancelledError):
            while True:
                await _suspended(steps.throw(asyncio.CancelledError()))
    except StopIteration:
        return False
    return True


async def test_killed_at_any_of_its_waits_it_is_followed_by_one_that_goes_on(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1", 255)
    await log.sealer().seal()
    roots: dict[int, set[bytes]] = {}
    suspensions, ended = 1, False
    while not ended:
        await log.append("bot-1", 3)
        ended = not await killed_after(suspensions, log.sealer().seal())
        note = await log.memory.last()
        assert note is not None
        remembered = open_checkpoint(note, [log.key.verifier])
        roots.setdefault(remembered.size, set()).add(remembered.root)
        suspensions += 1
        if suspensions % 3 == 0:
            await log.sealer().seal()
    for one in await log.recorded():
        roots.setdefault(one.size, set()).add(one.root)

    assert suspensions > 10
    assert all(len(signed) == 1 for signed in roots.values())
    sizes = [one.size for one in await log.recorded()]
    assert sizes == sorted(set(sizes))
    report = await log.verify(anchors=[Checkpoint(log.key.verifier.name, size, *root) for size, root in roots.items()])
    assert report.problems == ()


async def test_two_sealers_at_once_never_sign_two_roots_and_never_go_back(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    first, second = log.sealer(), log.sealer()

    async def seal_often(sealer: Sealer) -> None:
        for _ in range(12):
            await sealer.seal()

    async def append_often() -> None:
        for _ in range(30):
            await log.append("bot-1")

    await asyncio.gather(seal_often(first), seal_often(second), append_often())
    await first.seal()
    await second.seal()

    sizes = [one.size for one in await log.recorded()]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] >= 30
    assert (await log.verify(anchors=[await log.newest()])).problems == ()


async def test_overtaken_between_signing_and_recording_it_keeps_its_checkpoint_to_itself(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    faster = log.sealer(memory=MemorySeal())
    await log.append("bot-1")

    class Slow(MemorySeal):
        async def remember(self, note: str) -> None:
            await super().remember(note)
            if not await log.recorded():
                await log.append("bot-1")
                await faster.seal()

    slower = log.sealer(memory=Slow())
    await slower.seal()
    assert [one.size for one in await log.recorded()] == [2]
    await log.append("bot-1")
    await slower.seal()
    assert [one.size for one in await log.recorded()] == [2, 4]


async def test_another_fact_in_the_system_stream_does_not_hinder_it(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    sealer = log.sealer()
    await log.append("bot-1")
    await sealer.seal()
    fact = ProjectionRebuilt(projection="bots", projection_version=2, position=1)
    event = NewEvent(event_id=new_event_id(), occurred_at=START, fact=fact)
    await log.log.append(SYSTEM_STREAM, [event], expected=ANY_VERSION)

    assert await sealer.seal()
    assert [one.size for one in await log.recorded()] == [1, 3]


async def test_a_log_that_was_restored_to_an_earlier_moment_is_refused_with_both_numbers(pool: asyncpg.Pool) -> None:
    """V7: the database is of five minutes ago, the sealer's own memory is not."""
    log = await sealed_log(pool)
    await log.append("bot-1", 3)
    await log.sealer().seal()
    later = Checkpoint(log.key.verifier.name, 9, bytes(32))

    with pytest.raises(SealerRefused, match="a checkpoint of 9 events was signed, but the log holds 4"):
        await log.sealer(memory=MemorySeal(sign_checkpoint(later, log.key))).seal()
    assert len(await log.recorded()) == 1


async def test_a_log_that_went_another_way_is_refused(pool: asyncpg.Pool) -> None:
    """A13: a replica without the last commits took over, and other events took their places."""
    log = await sealed_log(pool)
    await log.append("bot-1", 3)
    other = Checkpoint(log.key.verifier.name, 2, bytes(32))

    with pytest.raises(SealerRefused, match="the first 2 events are not those that were signed"):
        await log.sealer(memory=MemorySeal(sign_checkpoint(other, log.key))).seal()
    assert await log.recorded() == []


async def test_a_log_that_was_rewritten_since_is_refused(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    await log.attack("UPDATE log.events SET metadata = '\\x81' WHERE position = 4")
    await log.remake_hashes()

    with pytest.raises(SealerRefused, match="the first 14 events are not those that were signed"):
        await log.sealer().seal()


async def test_without_its_memory_it_holds_the_log_to_the_recorded_checkpoint(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    await log.attack("UPDATE log.events SET metadata = '\\x81' WHERE position = 4")
    await log.remake_hashes()

    with pytest.raises(SealerRefused, match="the first 14 events are not those that were signed"):
        await log.sealer(memory=MemorySeal()).seal()


async def test_a_recorded_checkpoint_beyond_the_head_is_refused_with_both_numbers(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1", 2)
    await record(log, Checkpoint(log.key.verifier.name, 70, bytes(32)), log.key)

    with pytest.raises(SealerRefused, match="a checkpoint of 70 events was signed, but the log holds 3"):
        await log.sealer().seal()


async def test_a_recorded_checkpoint_with_our_name_and_a_wrong_signature_is_refused(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1", 2)
    root = root_of([row.leaf_hash for row in await log.rows()])
    note = sign_checkpoint(Checkpoint(log.key.verifier.name, 1, root), log.key).replace("\n1\n", "\n2\n")
    await record(log, Checkpoint(log.key.verifier.name, 2, root), log.key, note=note)

    with pytest.raises(SealerRefused, match="the last checkpoint was altered"):
        await log.sealer().seal()


async def test_a_recorded_checkpoint_that_is_none_is_refused(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    await log.attack("UPDATE log.events SET payload = '\\x80' WHERE position = 15")
    sealer = log.sealer()

    assert not await sealer.attempt()
    assert "position 15, stream system: checkpoint.signed cannot be read" in str(sealer.state.refusal)


async def test_a_memory_that_is_no_checkpoint_is_refused(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)

    with pytest.raises(SealerRefused, match="the last checkpoint was altered"):
        await log.sealer(memory=MemorySeal("nonsense")).seal()


async def test_a_log_of_many_pages_is_sealed_and_verified(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    for _ in range(3):
        await log.append("bot-1", 7_000)
    await log.sealer().seal()
    report = await log.verify()

    assert (report.problems, report.signed, report.events) == ((), 21_000, 21_001)


async def test_a_log_verifies_while_it_is_written_and_sealed(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1")
    done = asyncio.Event()

    async def write(stream: str) -> None:
        while not done.is_set():
            await log.append(stream, 5)

    async def seal() -> None:
        sealer = log.sealer()
        while not done.is_set():
            await sealer.seal()

    async with asyncio.TaskGroup() as tasks:
        for work in (write("bot-1"), write("bot-2"), seal()):
            tasks.create_task(work)
        seen = [await log.verify()]
        while len(seen) < 8 or seen[-1].checkpoints == 0:
            seen.append(await log.verify())
        done.set()

    assert {report.problems for report in seen} == {()}
    assert seen[-1].last > seen[0].last
    assert seen[-1].checkpoints > 0


async def test_a_new_key_goes_on_from_what_the_old_one_signed(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    key = SignerKey(log.key.verifier.name, bytes(32))
    await log.sealer(key=key).seal()
    newest = (await log.recorded())[-1]

    assert open_checkpoint(newest.fact.note, [key.verifier]).size == 17


async def test_another_logs_memory_is_refused(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1")
    other = SignerKey("oxbot/another", bytes(32))
    note = sign_checkpoint(Checkpoint("oxbot/another", 1, bytes(32)), other)

    with pytest.raises(SealerRefused, match="the last checkpoint is of the log oxbot/another"):
        await log.sealer(memory=MemorySeal(note)).seal()


async def test_a_log_that_shrinks_while_it_is_sealed_is_refused_with_both_numbers(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    sealer = log.sealer()
    await log.append("bot-1", 4)
    await sealer.seal()
    await log.attack("DELETE FROM log.events WHERE position > 2")

    with pytest.raises(SealerRefused, match="it held 4 events, and now it holds 2"):
        await sealer.seal()


async def test_a_hole_in_the_log_is_refused(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1", 4)
    await log.attack("DELETE FROM log.events WHERE position = 2")

    with pytest.raises(TreeUnusable, match="3 of the events at positions 1 to 4"):
        await log.sealer().seal()


async def test_damaged_inner_nodes_are_told_apart_from_damaged_events(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1", 300)
    await log.sealer().seal()
    await log.attack("UPDATE log.subtrees SET hash = sha256(hash)")

    with pytest.raises(SealerRefused, match=r"log\.subtrees are damaged, but the events are not: empty that table"):
        await log.sealer().seal()
    await log.attack("DELETE FROM log.subtrees")
    await log.append("bot-1", 300)
    await log.sealer().seal()
    assert (await log.verify()).problems == ()


async def test_nodes_that_were_kept_but_never_signed_are_made_again(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1", 300)
    await pool.execute("INSERT INTO log.subtrees VALUES (1, 0, sha256(''))")

    with pytest.raises(TreeUnusable, match="other nodes than the events lead to"):
        await log.sealer().seal()
    assert await log.recorded() == []


async def test_a_refusal_ends_its_work_and_is_told(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1", 3)
    later = Checkpoint(log.key.verifier.name, 9, bytes(32))
    sealer = log.sealer(memory=MemorySeal(sign_checkpoint(later, log.key)))
    async with asyncio.timeout(20):
        await sealer.run()

    assert sealer.state.sealed == 0
    assert "a checkpoint of 9 events was signed" in str(sealer.state.refusal)


async def test_at_work_it_seals_what_is_new_once_an_interval(pool: asyncpg.Pool) -> None:
    log, clock = await sealed_log(pool), SteppingClock()
    sealer = log.sealer(clock=clock)
    await log.append("bot-1")
    async with at_work(sealer.run()):
        await eventually(lambda: clock.slept_seconds == [10])
        assert sealer.state.sealed == 1
        await log.append("bot-1")
        clock.advance(10)
        await eventually(lambda: clock.slept_seconds == [10, 10])

    assert [one.size for one in await log.recorded()] == [1, 3]


@pytest.fixture
async def sealers_pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    opened = await open_pool(database, size=1, application_name="sealer", role="oxbot_sealer")
    yield opened
    await opened.close()


async def test_the_role_of_the_sealer_suffices(pool: asyncpg.Pool, sealers_pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1", 300)
    sealing = SealedLog(sealers_pool, log.key)
    await sealing.sealer().seal()

    assert (await sealing.verify()).signed == 300


async def record(log: SealedLog, checkpoint: Checkpoint, key: SignerKey, *, note: str | None = None) -> None:
    """Record a checkpoint that no sealer would."""
    fact = checkpoint_fact(checkpoint, note or sign_checkpoint(checkpoint, key))
    event = NewEvent(event_id=new_event_id(), occurred_at=START, fact=fact)
    await log.log.append(SYSTEM_STREAM, [event], expected=ANY_VERSION)
