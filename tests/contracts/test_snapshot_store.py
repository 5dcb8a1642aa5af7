"""What every store of snapshots promises, held against the one in memory and the one in Postgres."""

import msgspec
import pytest

from events.identifiers import StreamId, new_event_id
from oxbot.adapters.memory_snapshots import MemorySnapshots
from oxbot.adapters.postgres_snapshots import PostgresSnapshots
from oxbot.app.snapshots import Snapshot, SnapshotStore

pytestmark = pytest.mark.anyio

FIRST = Snapshot(
    stream=StreamId("bot-1"),
    version=500,
    event_id=new_event_id(),
    fingerprint="a",
    state=b"\x00state",
    sha256=bytes(32),
)


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> SnapshotStore:
    """Each implementation in turn, empty."""
    if request.param == "memory":
        return MemorySnapshots()
    return PostgresSnapshots(request.getfixturevalue("pool"))


async def test_what_was_kept_is_found_for_its_stream_alone(store: SnapshotStore) -> None:
    other = msgspec.structs.replace(FIRST, stream=StreamId("bot-2"), version=7)
    assert await store.find(FIRST.stream) is None
    for snapshot in (FIRST, other):
        await store.keep(snapshot)

    assert await store.find(FIRST.stream) == FIRST
    assert await store.find(other.stream) == other


async def test_the_last_one_kept_replaces_any_other_even_a_later_version(store: SnapshotStore) -> None:
    """A wrong snapshot beyond the stream's end must not stay in the way of right ones."""
    wrong = msgspec.structs.replace(FIRST, version=2**40, event_id=new_event_id(), fingerprint="b")
    for snapshot in (wrong, FIRST):
        await store.keep(snapshot)
        assert await store.find(FIRST.stream) == snapshot
