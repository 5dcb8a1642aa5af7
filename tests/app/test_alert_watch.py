"""What is measured beyond its threshold is said once, and taken back when it has been well for a while."""

from datetime import UTC, datetime

import msgspec
import pytest

from events.alerts import ALERTS_STREAM, AlertCleared, AlertRaised
from events.bot import OrderInDoubt
from events.codec import Codec
from events.envelope import Fact, NewEvent
from events.identifiers import HOUSE, OrderId, OwnerId, StreamId, VenueName, bot_stream, new_event_id
from events.log import ANY_VERSION
from events.memory import MemoryEventLog
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.adapters.memory_failing_bots import MemoryFailingBots
from oxbot.adapters.memory_views import MemoryViews
from oxbot.app.account_directory import AccountDirectory
from oxbot.app.alert_watch import COOL_DOWN, CYCLE_SECONDS_MAX, WELL_FOR, AlertWatch, Watched
from oxbot.app.projection import ProjectionRunner
from oxbot.app.projections import Projections
from oxbot.app.venue_checks import MovingMarket, VenueChecks
from oxbot.app.views import Target
from oxbot.views.alert_views import ALERTS
from oxbot.views.fold import Poison
from tests.app.fakes import SteppingClock
from tests.core.scenario import BOT, BTC, START, created, deposited

pytestmark = pytest.mark.anyio

SLOW = {"host-1": CYCLE_SECONDS_MAX + 1}


class World:
    """All that is watched, at a time that a test sets."""

    def __init__(self) -> None:
        self.clock = SteppingClock(datetime.now(UTC))
        self.log = MemoryEventLog(Codec())
        self.views = MemoryViews(self.log)
        self.failing = MemoryFailingBots()
        self.moving: tuple[MovingMarket, ...] = ()
        self.cycles: dict[str, float] = {}

    def watch(self) -> AlertWatch:
        """A watch that has just begun."""
        venues = VenueChecks(
            MemoryCandleStore(), AccountDirectory(self.log), moving=lambda: self.moving, now=self.clock.now
        )
        projections = Projections(self.log, self.views)
        watched = Watched(self.log, self.views, projections, self.failing, venues, lambda: self.cycles)
        return AlertWatch(watched, self.clock)

    async def say(self, stream: StreamId, *facts: Fact) -> None:
        """Append facts and bring the views up to them."""
        events = [NewEvent(event_id=new_event_id(), occurred_at=self.clock.now(), fact=fact) for fact in facts]
        await self.log.append(stream, events, expected=ANY_VERSION)
        await ProjectionRunner(self.log, self.views, projections=(ALERTS,)).catch_up()

    async def told(self) -> list[tuple[str, str, str]]:
        """What the watch has said."""
        facts = [event.fact for event in await self.log.read_stream(ALERTS_STREAM)]
        return [
            (str(fact.__struct_config__.tag), fact.rule, fact.subject)
            for fact in facts
            if isinstance(fact, AlertRaised | AlertCleared)
        ]


async def test_what_lasts_is_said_once_and_its_end_when_it_has_been_well_for_a_minute() -> None:
    world = World()
    watch = world.watch()
    world.cycles = SLOW
    await watch.look()
    await watch.look()
    world.cycles = {}
    world.clock.advance(WELL_FOR.total_seconds() - 1)
    await watch.look()
    assert await world.told() == [("alert.raised", "slow_cycle", "host-1")]

    world.clock.advance(1)
    await watch.look()
    await watch.look()
    assert (await world.told())[1:] == [("alert.cleared", "slow_cycle", "host-1")]
    ended = (await world.log.read_stream(ALERTS_STREAM))[-1].fact
    assert isinstance(ended, AlertCleared)
    assert ended.owner == HOUSE  # Whoever was told of its begin is told of its end.


async def test_a_rule_speaks_of_a_subject_once_in_a_cool_down_also_after_a_restart() -> None:
    world = World()
    world.cycles = SLOW
    await world.watch().look()
    world.cycles = {}
    later = world.watch()
    await later.look()
    world.clock.advance(WELL_FOR.total_seconds())
    await later.look()
    world.cycles = SLOW
    await world.watch().look()
    assert [kind for kind, _, _ in await world.told()] == ["alert.raised", "alert.cleared"]

    world.clock.advance((COOL_DOWN - WELL_FOR).total_seconds())
    await world.watch().look()
    assert [kind for kind, _, _ in await world.told()] == ["alert.raised", "alert.cleared", "alert.raised"]


async def test_of_two_that_watch_at_once_one_is_heard() -> None:
    world = World()
    one, other = world.watch(), world.watch()
    await one.look()
    await other.look()
    world.cycles = SLOW
    await one.look()
    await other.look()

    assert await world.told() == [("alert.raised", "slow_cycle", "host-1")]


async def test_a_late_feed_is_told_with_its_age() -> None:
    world = World()
    world.moving = (MovingMarket(VenueName("okx"), (BTC,), "5m"),)
    await world.watch().look()

    assert await world.told() == [("alert.raised", "feed_late", f"okx {BTC}")]


async def test_a_projection_that_is_stopped_is_told_to_administrators() -> None:
    world = World()
    checkpoint = await world.views.checkpoint(Target("users"))
    assert checkpoint is not None
    await world.views.stop(Target("users"), Poison(7, "user.created", "KeyError: x"), at=checkpoint)
    await world.watch().look()
    [event] = await world.log.read_stream(ALERTS_STREAM)

    assert isinstance(event.fact, AlertRaised)
    assert (event.fact.rule, event.fact.subject, event.fact.owner) == ("projection_stopped", "users", None)
    assert event.fact.words == "stopped at position 7: KeyError: x"


async def test_a_bot_that_fails_and_one_whose_order_is_in_doubt_for_long_are_told_to_their_owner() -> None:
    world = World()
    mine = msgspec.structs.replace(created(), owner=OwnerId("u-1"))
    await world.say(bot_stream(BOT), mine, deposited())
    await world.say(bot_stream(BOT), OrderInDoubt(order_id=OrderId("b-1"), at=START, reason="no answer"))
    await world.failing.failed({BOT: "it fell"})
    watch = world.watch()
    await watch.look()
    assert [one for one in await world.told() if one[1] != "projection_lag"] == []

    world.clock.advance(180)
    await watch.look()
    facts = [event.fact for event in await world.log.read_stream(ALERTS_STREAM)]
    assert [(fact.rule, fact.subject, fact.owner) for fact in facts if isinstance(fact, AlertRaised)] == [
        ("bot_failing", bot_stream(BOT), "u-1"),
        ("doubt_lasts", bot_stream(BOT), "u-1"),
    ]
