"""What the log says of events to be passed over."""

from collections.abc import Sequence

import msgspec
import pytest

from events.codec import Codec
from events.envelope import RecordedEvent
from events.errors import BelowFloor
from events.identifiers import StreamId
from events.memory import MemoryEventLog
from events.system import SYSTEM_STREAM, ProjectionEventSkipped
from oxbot.app.skips import PAGE, Skips
from tests.app.fakes import HookedLog, write
from tests.app.stored_views import put
from tests.core.scenario import running

pytestmark = pytest.mark.anyio


async def skip(log: MemoryEventLog, position: int, projection: str = "bots") -> None:
    """Record a skip."""
    fact = ProjectionEventSkipped(projection=projection, position=position, reason="")
    event_type, _, payload = Codec().encode(fact)
    await put(log, SYSTEM_STREAM, event_type, payload)


async def test_each_projection_has_its_own_and_later_ones_are_found_later() -> None:
    log = MemoryEventLog(Codec())
    await write(log, running())
    await skip(log, 1)
    await skip(log, 2, "users")
    skips = Skips(log)

    assert await skips.of("bots") == {1}
    assert await skips.of("users") == {2}
    await skip(log, 3)
    assert await skips.of("bots") == {1, 3}
    assert await skips.of("system") == frozenset()


async def test_they_are_found_behind_facts_that_only_a_newer_program_can_read() -> None:
    """V15."""
    log = MemoryEventLog(Codec())
    for position in (7, 8):
        await put(log, SYSTEM_STREAM, "log.praised", b"\xc0")
        await put(log, SYSTEM_STREAM, "log.praised", msgspec.msgpack.encode({"type": "log.praised"}))
        await skip(log, position)
    await put(log, SYSTEM_STREAM, "log.praised", b"\xc0")
    skips = Skips(log)

    assert await skips.of("bots") == {7, 8}
    await skip(log, 9)
    assert await skips.of("bots") == {7, 8, 9}


async def test_all_of_many_pages_are_found() -> None:
    log = MemoryEventLog(Codec())
    for position in range(1, PAGE + 3):
        await skip(log, position)

    assert await Skips(log).of("bots") == set(range(1, PAGE + 3))


class ArchivedLog(HookedLog):
    """A log that holds nothing below a position any more."""

    def __init__(self, inner: MemoryEventLog, floor: int) -> None:
        super().__init__(inner)
        self.floor = floor

    async def read_stream(
        self, stream: StreamId, *, after_version: int = 0, limit: int | None = None, up_to_position: int | None = None
    ) -> Sequence[RecordedEvent]:
        """Fails for a stream whose next version is below the floor."""
        events = await super().read_stream(
            stream, after_version=after_version, limit=limit, up_to_position=up_to_position
        )
        if events and events[0].position < self.floor:
            raise BelowFloor(events[0].position, self.floor)
        return events

    async def read_all(
        self,
        *,
        after_position: int = 0,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        up_to: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """Fails for a read that begins below the floor."""
        if after_position + 1 < self.floor:
            raise BelowFloor(after_position + 1, self.floor)
        return await super().read_all(after_position=after_position, limit=limit, types=types, up_to=up_to)


async def test_those_that_are_not_archived_yet_are_found_in_a_log_whose_beginning_is() -> None:
    log = MemoryEventLog(Codec())
    for position in (1, 2, 3):
        await skip(log, position)
    skips = Skips(ArchivedLog(log, floor=3))

    assert await skips.of("bots") == {3}
    await skip(log, 4)
    assert await skips.of("bots") == {3, 4}


async def test_none_are_found_in_a_log_all_of_whose_skips_are_archived() -> None:
    log = MemoryEventLog(Codec())
    await skip(log, 1)
    await write(log, running())
    skips = Skips(ArchivedLog(log, floor=3))

    assert await skips.of("bots") == frozenset()
    await skip(log, 4)
    assert await skips.of("bots") == {4}


async def test_those_after_a_part_that_was_archived_meanwhile_are_found() -> None:
    inner = MemoryEventLog(Codec())
    await skip(inner, 1)
    log = ArchivedLog(inner, floor=0)
    skips = Skips(log)
    assert await skips.of("bots") == {1}
    for position in (2, 3, 4):
        await skip(inner, position)
    log.floor = 4

    assert await skips.of("bots") == {1, 4}
    await skip(inner, 5)
    assert await skips.of("bots") == {1, 4, 5}


async def test_they_are_found_behind_a_skip_that_only_a_newer_program_can_read_in_an_archived_log() -> None:
    """V15."""
    log = MemoryEventLog(Codec())
    await skip(log, 1)
    await put(log, SYSTEM_STREAM, "projection.event_skipped", b"\xc0")
    await skip(log, 2)

    assert await Skips(ArchivedLog(log, floor=2)).of("bots") == {2}
