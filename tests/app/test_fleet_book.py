"""What a bot is told of its fleet: the other bots' stakes at cost, from the log alone."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from events.bot import DecisionMade, OrderDenied, OrderFilled, OrderRequested
from events.identifiers import BotId, FleetName, bot_stream
from events.values import RiskLimits
from oxbot.app.bot_runner import BotRunner
from oxbot.app.fleet_book import FleetBook
from oxbot.app.redecide import redecide
from oxbot.core.entry import Fleet
from tests.app.fakes import SteppingClock, facts_in, market, named, stored, write, written
from tests.core.scenario import BTC, DECIDER, bought, created, deposited, moment, order_id, running

pytestmark = pytest.mark.anyio

ONE, TWO, STRANGER = BotId("bot-1"), BotId("bot-2"), BotId("bot-3")


WAITING = OrderRequested(
    order_id=order_id(2),
    at=moment(0),
    symbol=BTC,
    side="buy",
    kind="limit",
    reason="entry",
    notional=Decimal(50),
    limit_price=Decimal(1),
)


async def test_a_bot_is_told_what_all_others_of_its_fleet_have_at_stake() -> None:
    log = await written(running())
    held = [*running(), *bought(BTC, 1, quantity="2", price="100", fee="1"), WAITING]
    await write(log, named(held, TWO), bot_stream(TWO))
    foreign = [replace(created(), fleet=FleetName("others")), deposited(), *bought(BTC, 1, quantity="7", price="100")]
    await write(log, named(foreign, STRANGER), bot_stream(STRANGER))
    book = FleetBook(log)
    assert await book.without(ONE) == Fleet(Decimal(250), Decimal(250), Decimal(9999), await log.head())
    assert await book.without(TWO) == Fleet(Decimal(0), Decimal(0), Decimal(10000), await log.head())


async def test_it_follows_the_log() -> None:
    log = await written(running())
    await write(log, named(running(), TWO), bot_stream(TWO))
    book = FleetBook(log)
    before = await book.without(ONE)
    await write(log, named(bought(BTC, 1, quantity="2", price="100"), TWO), bot_stream(TWO))
    after = await book.without(ONE)
    assert before is not None
    assert after is not None
    assert [before.exposure, after.exposure] == [Decimal(0), Decimal(200)]


async def test_a_fleet_of_which_a_stream_cannot_be_folded_is_unknown() -> None:
    log = await written(running())
    await write(log, named(running(), TWO), bot_stream(TWO))
    broken = [fact for fact in bought(BTC, 9, quantity="1", price="1") if isinstance(fact, OrderFilled)]
    await write(log, broken, bot_stream(TWO))
    assert await FleetBook(log).without(ONE) is None


async def test_a_bot_is_refused_beyond_its_fleets_limit_and_replay_is_told_the_same() -> None:
    limits = RiskLimits(fleet_exposure_max=Decimal("0.01"))
    frames = market(300)
    facts = running()
    log = await written([replace(facts[0], limits=limits), *facts[1:]])
    await write(log, named([*running(), *bought(BTC, 1, quantity="2", price="100")], TWO), bot_stream(TWO))
    candles = await stored(frames)
    runner = BotRunner(
        ONE, log=log, decider=DECIDER, candles=candles, clock=SteppingClock(), holder="host", fleets=FleetBook(log)
    )
    await runner.claim()
    await runner.observe(frames)
    told = [fact for fact in await facts_in(log) if isinstance(fact, DecisionMade)]
    refused = [fact for fact in await facts_in(log) if isinstance(fact, OrderDenied)]
    assert {fact.fleet_exposure for fact in told} == {Decimal(200)}
    assert {fact.rule for fact in refused} == {"fleet_exposure_max"}
    again = await redecide(ONE, log=log, candles=candles, decider=DECIDER)
    assert (again.difference, again.decisions) == (None, len(told))
