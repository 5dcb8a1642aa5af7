"""When a bot asks what the rest of its fleet has at stake: for the entries it weighs, and for nothing else."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from events.bot import (
    BotCreated,
    BotFact,
    BotPaused,
    DecisionMade,
    HighWaterRaised,
    OrderDenied,
    OrderFilled,
    OrderRequested,
)
from events.envelope import NewEvent, RecordedEvent
from events.identifiers import BotId, bot_stream
from events.log import EventLog
from events.memory import MemoryEventLog
from events.values import Bracket, ScaleOut, StrategyReference
from oxbot.app.bot_runner import BotRunner
from oxbot.app.fleet_book import FleetBook
from oxbot.app.redecide import redecide
from oxbot.core.bot import BotDecider, ClaimBot, ObserveFrame, StartBot
from oxbot.core.candles import Frame
from oxbot.core.market_view import MarketView
from oxbot.core.strategy import Strategies
from tests.app.fakes import (
    HookedLog,
    SteppingClock,
    facts_in,
    history,
    market,
    named,
    state_in,
    stored,
    tell,
    write,
    written,
)
from tests.core import market_strategies as markets
from tests.core.lives import Scripted, Wish, Wishes
from tests.core.scenario import BOT, BTC, DECIDER, bought, moment, running

pytestmark = pytest.mark.anyio

TWO = BotId("bot-2")
HOLDING = [*running(), *bought(BTC, 1, quantity="2", price="100")]
IMPOSSIBLE: list[BotFact] = [fact for fact in bought(BTC, 9, quantity="1", price="1") if isinstance(fact, OrderFilled)]
BUSY = market(300)
ROOM = "100"
ROOMS = st.sampled_from(["0.01", "0.05", "0.3", ROOM])


class CountedLog(HookedLog):
    """A log that counts how often it was asked for more of all streams, which one question of the fleet does once."""

    questions = 0

    async def read_all(
        self,
        *,
        after_position: int = 0,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        up_to: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """See ``EventLog.read_all``."""
        self.questions += 1
        return await super().read_all(after_position=after_position, limit=limit, types=types, up_to=up_to)


def limited(facts: Sequence[BotFact], **limits: str | None) -> list[BotFact]:
    """The life of a bot whose limits were these as well."""
    given_limits = {name: None if limit is None else Decimal(limit) for name, limit in limits.items()}
    return [
        replace(fact, limits=replace(fact.limits, **given_limits)) if isinstance(fact, BotCreated) else fact
        for fact in facts
    ]


def told_by_script(facts: Sequence[BotFact]) -> list[BotFact]:
    """The life of a bot whose strategy is the one that says what it was told to."""
    return [
        replace(fact, strategy=StrategyReference(name="scripted", version=1, parameters=()))
        if isinstance(fact, BotCreated)
        else fact
        for fact in facts
    ]


def script(wish: Wish) -> BotDecider:
    """The decider of such a bot, which is told one thing at its first candle."""
    return BotDecider(Strategies(Scripted({(BTC, moment(0)): Wishes(wish)})))


async def beside_another(facts: Sequence[BotFact]) -> MemoryEventLog:
    """A log of the bot and of another of its fleet, which holds 200 at cost."""
    log = await written(facts)
    await write(log, named(HOLDING, TWO), bot_stream(TWO))
    return log


async def live(
    log: EventLog, frames: Sequence[Frame], *, decider: BotDecider = DECIDER, book: FleetBook | None = None
) -> None:
    """Let the bot live through the frames."""
    runner = BotRunner(
        BOT,
        log=log,
        decider=decider,
        candles=await stored(frames),
        clock=SteppingClock(),
        holder="host",
        fleets=book,
    )
    await runner.claim()
    await runner.observe(frames)


async def live_always_asking(log: EventLog, frames: Sequence[Frame]) -> None:
    """Live through the frames as a bot that asks about its fleet at every candle."""
    await tell(log, ClaimBot("host"))
    book, state = FleetBook(log), await state_in(log)
    view = MarketView.of(state.configuration.market, capacity=DECIDER.window(state))
    for frame in frames:
        view.push(frame)
        command = ObserveFrame(state.epoch, frame, view, fleet=await book.without(BOT))
        facts = DECIDER.decide(command, state)
        if facts:
            await write(log, facts)
            state = await state_in(log)


async def record(log: EventLog) -> list[bytes]:
    """What the bot did, without the time of the appends."""
    return [payload for _, payload in await history(log)]


def entries(facts: Sequence[BotFact]) -> list[DecisionMade]:
    """The entries that were weighed, as they are on record."""
    return [fact for fact in facts if isinstance(fact, DecisionMade) and fact.intent.startswith("enter_")]


async def test_it_asks_at_as_many_candles_as_weigh_an_entry() -> None:
    inner = await beside_another(limited(running(), fleet_exposure_max=ROOM))
    log = CountedLog(inner)

    await live(log, BUSY, book=FleetBook(log))

    facts = await facts_in(inner)
    weighed = {fact.at for fact in entries(facts)}
    assert log.questions == len(weighed)
    assert 5 < len(weighed) < len(BUSY) / 5
    assert len({moment_of(fact) for fact in facts} - {None}) > 2 * len(weighed)


def moment_of(fact: BotFact) -> datetime | None:
    return getattr(fact, "at", None)


@pytest.mark.parametrize("rule", ["fleet_exposure_max", "fleet_net_exposure_max"])
async def test_either_limit_lets_it_ask(rule: str) -> None:
    log = await beside_another(limited(running(), **{rule: ROOM}))

    await live(log, BUSY, book=FleetBook(log))

    facts = await facts_in(log)
    assert {(fact.fleet_exposure, fact.fleet_net_exposure) for fact in entries(facts)} == {(Decimal(200), Decimal(200))}
    assert not [fact for fact in facts if isinstance(fact, OrderDenied)]


async def test_an_entry_that_another_rule_refuses_is_recorded_with_what_the_fleet_had_at_stake() -> None:
    log = await beside_another(limited(running(), fleet_exposure_max=ROOM, notional_min="1000000"))

    await live(log, BUSY, book=FleetBook(log))

    facts = await facts_in(log)
    assert {fact.rule for fact in facts if isinstance(fact, OrderDenied)} == {"notional_min"}
    assert {fact.fleet_exposure for fact in entries(facts)} == {Decimal(200)}


async def test_a_short_is_weighed_with_the_fleet_too() -> None:
    log = await beside_another(told_by_script(limited(running(), fleet_exposure_max=ROOM)))

    await live(log, BUSY[:1], decider=script(Wish("enter_short")), book=FleetBook(log))

    facts = await facts_in(log)
    assert [fact.rule for fact in facts if isinstance(fact, OrderDenied)] == ["short_selling"]
    assert [fact.fleet_exposure for fact in entries(facts)] == [Decimal(200)]


async def test_without_a_limit_on_its_fleet_it_never_asks() -> None:
    inner = await beside_another(running())
    log = CountedLog(inner)

    await live(log, BUSY, book=FleetBook(log))

    assert entries(await facts_in(inner))
    assert log.questions == 0


async def test_among_a_fleet_that_cannot_be_known_it_enters_nothing() -> None:
    log = await beside_another(limited(running(), fleet_exposure_max=ROOM))
    await write(log, IMPOSSIBLE, bot_stream(TWO))

    await live(log, BUSY, book=FleetBook(log))

    facts = await facts_in(log)
    assert {fact.fleet_exposure for fact in entries(facts)} == {None}
    assert {fact.rule for fact in facts if isinstance(fact, OrderDenied)} == {"fleet_exposure_max"}
    assert not [fact for fact in facts if isinstance(fact, OrderRequested)]


async def test_with_nobody_to_ask_it_enters_nothing() -> None:
    log = await beside_another(limited(running(), fleet_exposure_max=ROOM))

    await live(log, BUSY)

    assert {fact.rule for fact in await facts_in(log) if isinstance(fact, OrderDenied)} == {"fleet_exposure_max"}


async def test_an_entry_that_is_weighed_only_after_a_lost_race_is_weighed_with_the_fleet() -> None:
    """As far as it knew the bot was paused; somebody had started it before it could append."""
    paused = limited([*running(), BotPaused()], fleet_exposure_max=ROOM, drawdown_max="0.5")
    inner = await beside_another(told_by_script(paused))

    async def start(number: int, events: Sequence[NewEvent]) -> None:
        del events
        if number == 2:
            await tell(inner, StartBot())

    log = HookedLog(inner, before=start)
    await live(log, BUSY[:1], decider=script(Wish()), book=FleetBook(log))

    attempted = [[type(event.fact) for event in events] for events in log.attempts]
    assert attempted[1] == [HighWaterRaised]
    acted = [fact for fact in await facts_in(inner) if moment_of(fact) is not None]
    assert [type(fact) for fact in acted] == [DecisionMade, OrderRequested, HighWaterRaised]
    assert [fact.fleet_exposure for fact in entries(acted)] == [Decimal(200)]


@given(
    facts=markets.bots(),
    frames=markets.frames(),
    room=st.tuples(ROOMS, st.none() | ROOMS) | st.tuples(st.none(), ROOMS),
)
@settings(max_examples=100)
def test_it_records_what_a_bot_records_that_asks_at_every_candle(
    facts: list[BotFact], frames: list[Frame], room: tuple[str | None, str | None]
) -> None:
    """To the last figure and the position of the log that the figures are of; and all of it can be decided again."""
    bot = limited(facts, fleet_exposure_max=room[0], fleet_net_exposure_max=room[1])

    async def exercise() -> None:
        frugal, curious = await beside_another(bot), await beside_another(bot)
        await live(frugal, frames, book=FleetBook(frugal))
        await live_always_asking(curious, frames)
        assert await record(frugal) == await record(curious)
        again = await redecide(BOT, log=frugal, candles=await stored(frames), decider=DECIDER)
        assert again.difference is None

    asyncio.run(exercise())


async def test_that_the_fleet_had_room_for_what_another_rule_refused_again_is_on_record() -> None:
    """Without it, whoever decides again would not know and refuse it for the fleet."""
    torn = Bracket(
        stop_fraction=Decimal("0.02"),
        target_fraction=Decimal("0.04"),
        scale_out=(ScaleOut(target_fraction=Decimal("0.01"), share=Decimal("1.1")),),
    )
    wishes = {(BTC, moment(number)): Wishes(Wish(bracket=torn)) for number in (0, 1)}
    decider = BotDecider(Strategies(Scripted(wishes)))
    log = await written(told_by_script(limited(running(), fleet_exposure_max=ROOM)))
    frames = market(3)

    await live(log, frames, decider=decider, book=FleetBook(log))

    denied = [fact for fact in await facts_in(log) if isinstance(fact, OrderDenied)]
    assert [(fact.rule, fact.at) for fact in denied] == [("order_validity", moment(0)), ("order_validity", moment(1))]
    again = await redecide(BOT, log=log, candles=await stored(frames), decider=decider)
    assert (again.difference, again.decisions) == (None, 2)
