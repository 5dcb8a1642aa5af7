"""What readers may know of the projections."""

from datetime import UTC, datetime

import pytest

from events.memory import MemoryEventLog
from oxbot.adapters.memory_views import MemoryViews
from oxbot.app.projection import ProjectionRunner
from oxbot.app.projections import CATCHING_UP_EVENTS, SEEN_SECONDS_MAX, PositionNotReached, Projections
from oxbot.app.views import Standing
from oxbot.core.bot import DepositCapital
from oxbot.views.fold import Poison
from tests.app.fakes import at_work, tell, written
from tests.core.scenario import deposited, running

pytestmark = pytest.mark.anyio

POISON = Poison(3, "bot.paused", "no")


class GivenStandings(MemoryViews):
    """Views whose builds stand as a test says."""

    def __init__(self, *given: Standing) -> None:
        super().__init__()
        self._given = list(given)

    async def standings(self) -> list[Standing]:
        """The given ones."""
        return self._given


def standing(
    *, rebuild: bool = False, position: int = 10, head: int = 10, stopped: Poison | None = None, seen: float = 0.0
) -> Standing:
    """A build of the bots."""
    return Standing("bots", rebuild, 1, position, head, 0.0, stopped, datetime.now(UTC), seen)


UNSEEN = SEEN_SECONDS_MAX + 0.1


@pytest.mark.parametrize(
    ("builds", "state"),
    [
        ([standing()], "running"),
        ([standing(head=10 + CATCHING_UP_EVENTS)], "running"),
        ([standing(head=11 + CATCHING_UP_EVENTS)], "catching_up"),
        ([standing(), standing(rebuild=True)], "rebuilding"),
        ([standing(stopped=POISON)], "stopped"),
        ([standing(stopped=POISON), standing(rebuild=True)], "stopped"),
        ([standing(), standing(rebuild=True, stopped=POISON)], "rebuilding"),
        ([standing(seen=SEEN_SECONDS_MAX)], "running"),
        ([standing(seen=UNSEEN)], "not_running"),
        ([standing(seen=UNSEEN, stopped=POISON)], "stopped"),
        ([standing(seen=UNSEEN), standing(rebuild=True)], "rebuilding"),
        ([standing(), standing(rebuild=True, seen=UNSEEN)], "running"),
        ([standing(head=9)], "ahead"),
        ([standing(head=9, stopped=POISON), standing(rebuild=True)], "ahead"),
    ],
)
async def test_a_projections_state_follows_from_its_builds(builds: list[Standing], state: str) -> None:
    [status] = await Projections(await written(running()), GivenStandings(*builds)).statuses()

    assert status.state == state
    assert status.rebuild == (builds[1] if len(builds) > 1 else None)
    assert status.stopped == next((build.stopped for build in builds if build.stopped), None)


async def behind() -> tuple[MemoryEventLog, MemoryViews]:
    """A log of four events and views of three of them."""
    log = await written(running())
    views = MemoryViews(log)
    await ProjectionRunner(log, views).catch_up()
    await tell(log, DepositCapital(deposited("1").amount))
    return log, views


async def test_lag_is_told_in_events_and_seconds() -> None:
    log, views = await behind()
    found = {known.name: known for known in await Projections(log, views).statuses()}
    status = found["bots"]

    assert (status.name, status.serving.position, status.serving.head, status.lag_events) == ("bots", 3, 4, 1)
    assert status.serving.lag_seconds > 0


async def test_a_position_that_is_reached_is_not_waited_for() -> None:
    log, views = await behind()
    await Projections(log, views, wait_seconds=0).reach(3)


async def test_a_position_that_is_reached_in_time_is_waited_for() -> None:
    log, views = await behind()
    async with at_work(ProjectionRunner(log, views).run()):
        await Projections(log, views, wait_seconds=30).reach(4)

    assert await views.position() == 4


async def test_a_position_beyond_the_head_is_given_up_with_both_positions() -> None:
    """R18."""
    log, views = await behind()
    with pytest.raises(PositionNotReached, match="built up to position 3, not 9; the log ends at 4") as caught:
        await Projections(log, views, wait_seconds=0.01).reach(9)
    assert (caught.value.asked, caught.value.reached) == (9, 3)
