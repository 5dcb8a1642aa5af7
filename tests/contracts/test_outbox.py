"""What every outbox of notifications promises, held against the one in memory and the one in Postgres."""

from datetime import timedelta

import pytest

from oxbot.adapters.memory_outbox import MemoryOutbox
from oxbot.adapters.postgres_outbox import PostgresOutbox
from oxbot.app.notifications import Outbox
from oxbot.views.notices import Notice
from tests.core.scenario import START

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "postgres"])
def outbox(request: pytest.FixtureRequest) -> Outbox:
    """Each implementation in turn, empty, over an empty log."""
    if request.param == "memory":
        return MemoryOutbox()
    return PostgresOutbox(request.getfixturevalue("pool"))


def notice(number: int, line: str = "bot b: halted") -> Notice:
    """A notice of the event at that position."""
    return Notice(key=f"key-{number}", position=number, at=START, level="warning", line=line)


async def keys(outbox: Outbox, *, seconds: float = 0, limit: int = 10) -> list[str]:
    """What is due by then."""
    return [waiting.notice.key for waiting in await outbox.due(START + timedelta(seconds=seconds), limit=limit)]


async def test_it_begins_empty_at_the_logs_beginning(outbox: Outbox) -> None:
    assert await outbox.position() == 0
    assert await keys(outbox) == []


async def test_what_was_put_in_is_due_as_it_was_in_order_of_position(outbox: Outbox) -> None:
    await outbox.put([notice(7), notice(3, "a \n line")], position=9)

    [first, second] = await outbox.due(START, limit=10)
    assert (first.notice, first.attempts) == (notice(3, "a \n line"), 0)
    assert second.notice == notice(7)
    assert await outbox.position() == 9
    assert await keys(outbox, limit=1) == ["key-3"]
    assert await keys(outbox, seconds=-1) == []


async def test_the_same_notice_is_kept_once_also_after_it_was_sent(outbox: Outbox) -> None:
    await outbox.put([notice(1)], position=1)
    await outbox.put([notice(1), notice(2)], position=2)
    assert await keys(outbox) == ["key-1", "key-2"]

    await outbox.sent(["key-1", "key-2"])
    await outbox.put([notice(1), notice(2)], position=2)
    assert await keys(outbox) == []


async def test_the_position_moves_without_notices_and_never_back(outbox: Outbox) -> None:
    await outbox.put([], position=5)
    await outbox.put([], position=4)
    assert await outbox.position() == 5


async def test_what_was_tried_in_vain_is_due_again_later(outbox: Outbox) -> None:
    await outbox.put([notice(1), notice(2)], position=2)
    await outbox.postpone(["key-1"], until=START + timedelta(seconds=8), error="no \x00 route")

    assert await keys(outbox) == ["key-2"]
    assert await keys(outbox, seconds=7) == ["key-2"]
    [again, other] = await outbox.due(START + timedelta(seconds=8), limit=10)
    assert (again.notice.key, again.attempts, other.attempts) == ("key-1", 1, 0)


async def test_what_was_sent_meanwhile_is_not_postponed(outbox: Outbox) -> None:
    await outbox.put([notice(1)], position=1)
    await outbox.sent(["key-1"])
    await outbox.postpone(["key-1"], until=START, error="late")
    assert await keys(outbox, seconds=100) == []
