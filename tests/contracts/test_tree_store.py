"""What any store of the log's tree, its checkpoints and its stored events promises."""

import asyncio
from datetime import UTC, datetime
from typing import NamedTuple

import asyncpg
import pytest

from events.bot import BotPaused
from events.checkpoint import Checkpoint, SignerKey, origin_of, sign_checkpoint
from events.codec import Codec
from events.entry import FIRST_PREV_HASH, leaf_of, raw_event
from events.envelope import NewEvent
from events.identifiers import StreamId, new_event_id
from events.log import ANY_VERSION, EventLog
from events.memory import MemoryEventLog
from events.merkle import Span, Subtree, root_of
from events.postgres import PostgresEventLog
from events.system import SYSTEM_STREAM
from oxbot.adapters.memory_tree import MemoryTree
from oxbot.adapters.postgres_audit import PostgresAuditedLog
from oxbot.adapters.postgres_tree import PostgresCheckpoints, PostgresTree
from oxbot.app.audit_log import StoredEvents
from oxbot.app.checkpoints import CheckpointStore, checkpoint_fact
from oxbot.app.tree import StoredTree, TreeStore, TreeUnusable

pytestmark = pytest.mark.anyio


class Held(NamedTuple):
    """A log with everything that reads its tree."""

    log: EventLog
    tree: TreeStore
    checkpoints: CheckpointStore
    events: StoredEvents

    async def append(self, count: int = 1, stream: str = "bot-1") -> None:
        events = [
            NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=BotPaused(reason=f"{number}"))
            for number in range(count)
        ]
        await self.log.append(StreamId(stream), events, expected=ANY_VERSION)

    async def record(self, size: int) -> None:
        key = SignerKey(origin_of(await self.checkpoints.log_id()), bytes(32))
        checkpoint = Checkpoint(key.verifier.name, size, bytes(32))
        fact = checkpoint_fact(checkpoint, sign_checkpoint(checkpoint, key))
        event = NewEvent(event_id=new_event_id(), occurred_at=datetime.now(UTC), fact=fact)
        await self.log.append(SYSTEM_STREAM, [event], expected=ANY_VERSION)


@pytest.fixture(params=["memory", "postgres"])
def held(request: pytest.FixtureRequest) -> Held:
    if request.param == "memory":
        log = MemoryEventLog(Codec())
        tree = MemoryTree(log, Codec())
        return Held(log, tree, tree, tree)
    pool: asyncpg.Pool = request.getfixturevalue("pool")
    return Held(
        PostgresEventLog(pool, Codec()),
        PostgresTree(pool),
        PostgresCheckpoints(pool, Codec()),
        PostgresAuditedLog(pool, Codec()),
    )


async def test_every_event_is_chained_to_the_one_before_it_in_its_stream(held: Held) -> None:
    for stream in ("bot-1", "bot-2", "bot-1", "bot-1"):
        await held.append(2, stream)
    heads: dict[str, bytes] = {}
    for position in range(1, 9):
        event = await held.events.at(position)
        assert event is not None
        assert event.position == position
        assert event.prev_hash == heads.get(event.stream, FIRST_PREV_HASH)
        assert event.leaf_hash == leaf_of(raw_event(event))
        heads[event.stream] = event.leaf_hash


@pytest.mark.parametrize("position", [-1, 0, 3])
async def test_there_is_no_event_where_the_log_has_none(held: Held, position: int) -> None:
    await held.append(2)

    assert await held.events.at(position) is None


async def test_leaves_are_answered_whole_or_not_at_all(held: Held) -> None:
    await held.append(4)
    leaves = await held.tree.leaves(0, 4)

    assert await held.tree.leaves(1, 3) == leaves[1:3]
    assert await held.tree.leaves(4, 4) == []
    with pytest.raises(TreeUnusable):
        await held.tree.leaves(2, 5)


async def test_kept_subtrees_are_found_again_and_counted_by_their_leaves(held: Held) -> None:
    assert await held.tree.kept() == 0
    await held.tree.keep([])
    await held.tree.keep([Subtree(1, 0, bytes([1] * 32)), Subtree(1, 1, bytes([2] * 32)), Subtree(2, 0, bytes(32))])

    assert await held.tree.kept() == 512
    assert await held.tree.subtrees(Span(1, 0, 2)) == [bytes([1] * 32), bytes([2] * 32)]
    assert await held.tree.subtrees(Span(2, 0, 1)) == [bytes(32)]
    with pytest.raises(TreeUnusable):
        await held.tree.subtrees(Span(1, 1, 2))


async def test_a_subtree_is_kept_once_and_never_with_another_root(held: Held) -> None:
    await held.tree.keep([Subtree(1, 0, bytes(32))])
    await held.tree.keep([Subtree(1, 0, bytes(32)), Subtree(1, 1, bytes(32))])

    with pytest.raises(TreeUnusable):
        await held.tree.keep([Subtree(1, 1, bytes([1] * 32)), Subtree(1, 2, bytes(32))])
    assert await held.tree.kept() == 512


async def test_the_stored_tree_proves_what_the_leaves_say(held: Held) -> None:
    await held.append(700)
    leaves = await held.tree.leaves(0, 700)
    await held.tree.keep([Subtree(1, number, root_of(leaves[number * 256 : (number + 1) * 256])) for number in (0, 1)])
    tree = StoredTree(held.tree)

    for size in (0, 1, 255, 256, 257, 700):
        assert await tree.root(size) == root_of(leaves[:size])
        assert (await tree.frontier(size)).root() == root_of(leaves[:size])


async def test_the_tail_is_the_newest_checkpoint_and_the_streams_version(held: Held) -> None:
    assert await held.checkpoints.tail() == (0, None)
    await held.append(2)
    await held.record(2)
    await held.append(1)
    await held.record(4)
    version, newest = await held.checkpoints.tail()

    assert newest is not None
    assert (version, newest.size, newest.position, newest.root) == (2, 4, 5, bytes(32))


async def test_checkpoints_are_listed_from_the_newest_on(held: Held) -> None:
    for size in range(1, 6):
        await held.record(size)

    assert [one.size for one in await held.checkpoints.before(None, 2)] == [5, 4]
    assert [one.size for one in await held.checkpoints.before(4, 2)] == [3, 2]
    assert await held.checkpoints.before(1, 2) == []


async def test_checkpoints_are_told_from_other_events(held: Held) -> None:
    await held.append(1)
    await held.record(1)
    await held.record(1)
    await held.append(1)

    found = await asyncio.gather(*(held.checkpoints.others(*span) for span in ((0, 4), (1, 3), (1, 4), (2, 2))))
    assert found == [True, False, True, False]


async def test_a_log_keeps_its_identity(held: Held) -> None:
    assert await held.checkpoints.log_id() == await held.checkpoints.log_id()
