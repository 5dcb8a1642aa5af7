"""What an execution makes of passing refusals, late answers, switches in between, liquidations and forgotten orders."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from events.account import AccountDisarmed, AccountKillDone, AccountKillRequested, AccountUnreconciled, StrangerSeen
from events.bot import (
    BotDisarmed,
    FundingSettled,
    OrderAccepted,
    OrderCancelled,
    OrderCancelRejected,
    OrderCancelRequested,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderRequested,
    OrderSubmitted,
    PositionLiquidated,
)
from events.envelope import Fact
from events.identifiers import BotId, OrderId, account_stream, bot_stream
from events.values import Bracket, ScaleOut
from oxbot.adapters.memory_venue import MemoryVenue, VenueFault
from oxbot.adapters.memory_venue_books import MemoryBooks
from oxbot.app.execution_books import VenueTime
from oxbot.app.execution_gate import Gate
from oxbot.app.execution_plan import Line, client_id
from oxbot.app.execution_sending import Submission, VenueCalls
from oxbot.app.venue import Taken, VenueRequest
from oxbot.core.orders import requested
from tests.app.test_execution import (
    BRACKET,
    FOREVER,
    SPOT_BOT,
    SWAP_BOT,
    Script,
    account_facts,
    bot_facts,
    enter,
    of,
    placed,
    played,
)
from tests.core.live import armed, bought, clock, order_id, report, see, submitted
from tests.core.lives import BTC, Wish, at
from tests.core.scenario import START
from tests.simulation.execution_checks import differences
from tests.simulation.execution_world import ACCOUNT, MONEY, SPOT, SWAP, Incarnation, World
from tests.simulation.virtual_time import run

STEPS = Bracket(
    stop_fraction=Decimal("0.01"),
    target_fraction=Decimal("0.02"),
    scale_out=(ScaleOut(target_fraction=Decimal("0.01"), share=Decimal("0.5")),),
)


def wake(one: Incarnation) -> None:
    one.frozen = False
    one.thawed.set()


# Refusals that are none of the order.


@pytest.mark.parametrize("code", ["50011", "50036", "50061", "50102"])
def test_an_order_refused_for_coming_too_often_or_too_late_is_sent_again(code: str) -> None:
    async def script(world: World, one: Incarnation) -> None:
        one.venue.faults.append(VenueFault("place", "refused", code=code))
        await enter(world, one)
        assert await differences(world) == []

    world = played(script)
    facts = bot_facts(world)
    assert of(facts, OrderRejected) == []
    assert [fact.attempt for fact in of(facts, OrderSubmitted) if fact.order_id == "spot-0-1"] == [1, 2]
    assert placed(world).count(client_id(OrderId("spot-0-1"))) == 1


def test_a_verdict_on_the_order_is_not_argued_with() -> None:
    async def script(world: World, one: Incarnation) -> None:
        one.venue.faults.append(VenueFault("place", "refused", code="51000"))
        await enter(world, one)

    world = played(script)
    assert len(of(bot_facts(world), OrderRejected)) == 1
    assert placed(world) == []


def test_a_cancel_refused_for_coming_too_often_is_sent_again_and_never_given_up() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await world.enter(SPOT_BOT, limit=True)
        await asyncio.sleep(3)
        one.venue.faults += [VenueFault("cancel", "refused", code="50011")] * 8
        await world.withdraw(SPOT_BOT, OrderId("spot-0-1"))
        await asyncio.sleep(90)

    world = played(script)
    assert of(bot_facts(world), OrderCancelRejected) == []
    assert [order.status for order in world.books.orders()] == ["cancelled"]


def test_an_amendment_refused_for_coming_too_often_leaves_the_stop_where_it_is() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await world.enter(SWAP_BOT, limit=True, bracket=BRACKET, short=False)
        await asyncio.sleep(2)
        world.books.set_price(SWAP.symbol, Decimal(1_990), volume=Decimal("0.1"))
        await asyncio.sleep(5)
        one.venue.faults += [VenueFault("amend", "refused", code="50061")] * 2
        world.books.set_price(SWAP.symbol, Decimal(1_989))
        await asyncio.sleep(20)
        assert await differences(world) == []

    world = played(script)
    assert [order.status for order in world.books.orders() if order.at_trigger] == ["open"]


# Late answers, late requests.


def test_a_refusal_that_comes_after_the_orders_time_is_not_taken_for_a_verdict() -> None:
    """It may say no more than that the request was late: the venue is asked, and the order is sent again."""

    async def script(world: World, one: Incarnation) -> None:
        one.freeze_after = OrderSubmitted
        one.venue.faults.append(VenueFault("place", "refused", code="51000"))
        await world.enter(SPOT_BOT, limit=False)
        await asyncio.sleep(12)
        wake(one)
        await asyncio.sleep(30)

    world = played(script)
    facts = bot_facts(world)
    assert of(facts, OrderRejected) == []
    assert [fact.attempt for fact in of(facts, OrderSubmitted) if fact.order_id == "spot-0-1"] == [1, 2]


def test_a_cancel_that_comes_late_never_meets_a_newer_order_of_that_name() -> None:
    async def play() -> World:
        world = World(3, spot_bots=1)
        world.books = MemoryBooks(
            clock=world.clock, instruments=[SPOT, SWAP], balances=MONEY, ids_remembered=timedelta(0)
        )
        await world.open()
        one = world.start()
        await asyncio.sleep(3)
        await world.enter(SPOT_BOT, limit=True)
        await asyncio.sleep(3)
        one.venue.faults.append(VenueFault("cancel", "late"))
        await world.withdraw(SPOT_BOT, OrderId("spot-0-1"))
        await asyncio.sleep(10)
        assert [order.status for order in world.books.orders()] == ["cancelled"]
        newer = VenueRequest(
            client_id=client_id(OrderId("spot-0-1")), symbol=SPOT.symbol, side="buy", kind="limit",
            quantity=Decimal("0.01"), limit_price=Decimal(30_000), expires_at=FOREVER,
        )  # fmt: skip
        assert isinstance(await MemoryVenue(world.books).place(newer), Taken)
        assert world.books.deliver() == 1
        await world.stop()
        return world

    assert [order.status for order in run(play()).books.orders()] == ["cancelled", "open"]


def test_an_old_incarnation_places_nothing_though_its_order_could_still_reach_the_venue_in_time() -> None:
    async def script(world: World, one: Incarnation) -> None:
        one.freeze_after = OrderSubmitted
        await world.enter(SPOT_BOT, limit=False)
        await asyncio.sleep(1)
        world.start()
        await asyncio.sleep(1)
        wake(one)
        await asyncio.sleep(1)
        assert one.venue.calls.count("place") == 0
        assert one.task is not None
        assert one.task.done()

    played(script)


def test_of_two_that_work_the_same_order_only_one_places_it() -> None:
    """An incarnation that was frozen before it recorded its submission finds another's there."""

    async def script(world: World, one: Incarnation) -> None:
        one.freeze_at = one.points + 1
        await world.enter(SPOT_BOT, limit=False, bracket=None)
        await asyncio.sleep(2)
        world.start()
        await asyncio.sleep(5)
        wake(one)
        await asyncio.sleep(30)
        assert await differences(world) == []

    world = played(script)
    first = [fact for fact in of(bot_facts(world), OrderSubmitted) if fact.order_id == "spot-0-1"]
    assert [fact.attempt for fact in first] == [1]


# Switches thrown while an order is under way.


@pytest.mark.parametrize("switch", ["account", "bot", "kill"])
def test_an_entry_is_not_sent_where_a_switch_was_thrown_since_it_was_submitted(switch: str) -> None:
    async def script(world: World, one: Incarnation) -> None:
        one.freeze_after = OrderSubmitted
        await world.enter(SPOT_BOT, limit=False)
        await asyncio.sleep(1)
        if switch == "bot":
            await world.append(bot_stream(SPOT_BOT), [BotDisarmed()])
        elif switch == "account":
            await world.append(account_stream(ACCOUNT), [AccountDisarmed()])
        else:
            thrown = AccountKillRequested(at=world.clock.now(), policy="freeze")
            await world.append(account_stream(ACCOUNT), [thrown, AccountDisarmed()])
        wake(one)
        await asyncio.sleep(20)

    world = played(script)
    assert placed(world) == []
    assert len(of(bot_facts(world), OrderCancelled)) == 1
    assert [fact.left for fact in of(account_facts(world), AccountKillDone)] == ([()] if switch == "kill" else [])


def test_an_entry_that_grew_old_between_its_submission_and_its_sending_is_not_sent() -> None:
    async def script(world: World, one: Incarnation) -> None:
        one.freeze_after = OrderSubmitted
        await world.enter(SPOT_BOT, limit=False)
        await asyncio.sleep(70)
        wake(one)
        await asyncio.sleep(20)
        assert one.venue.calls.count("place") == 0

    world = played(script)
    assert of(bot_facts(world), OrderExpired) == []
    assert "too long ago" in of(bot_facts(world), OrderCancelled)[0].reason


def test_nothing_is_sent_before_the_venues_clock_is_known() -> None:
    async def play() -> World:
        world = World(3, spot_bots=1)
        world.books.skew = timedelta(minutes=-10)
        await world.open()
        one = world.start()
        one.venue.faults += [VenueFault("now", "lost")] * 3
        await world.enter(SPOT_BOT, limit=False, bracket=BRACKET)
        await asyncio.sleep(20)
        await world.stop()
        return world

    submitted = of(bot_facts(run(play())), OrderSubmitted)
    assert all(fact.expires_at - fact.at == timedelta(seconds=10) for fact in submitted)
    assert all(fact.at < FOREVER - timedelta(days=30, minutes=9) for fact in submitted)


# What a spot venue holds.


def test_stops_and_targets_of_a_spot_position_are_pairs_that_stand_for_what_is_held() -> None:
    async def script(world: World, one: Incarnation) -> None:
        del one
        await world.enter(SPOT_BOT, limit=False, bracket=STEPS)
        await asyncio.sleep(5)
        waiting = [order for order in world.books.orders() if order.at_trigger]
        held = (await world.state(SPOT_BOT)).ledger.positions[SPOT.symbol].quantity
        assert len(waiting) == 2
        assert held - SPOT.lot < sum(order.quantity for order in waiting) <= held
        # Both the scale-out and the stops are reached before anything could be changed.
        world.books.set_price(SPOT.symbol, Decimal(40_500))
        world.books.set_price(SPOT.symbol, Decimal(39_000))
        await asyncio.sleep(10)
        assert await differences(world) == []
        assert SPOT.symbol not in (await world.state(SPOT_BOT)).ledger.positions

    played(script)


def test_a_stop_reached_before_it_was_made_larger_is_followed_by_the_rest_at_once() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await world.enter(SPOT_BOT, limit=True, bracket=BRACKET)
        await asyncio.sleep(2)
        world.books.set_price(SPOT.symbol, Decimal(39_850), volume=Decimal("0.01"))
        await asyncio.sleep(4)
        one.venue.faults += [VenueFault("amend", "lost")] * 3
        world.books.set_price(SPOT.symbol, Decimal(39_840), volume=Decimal("0.01"))
        world.books.set_price(SPOT.symbol, Decimal(39_000))
        await asyncio.sleep(8)
        assert await differences(world) == []
        assert SPOT.symbol not in (await world.state(SPOT_BOT)).ledger.positions

    played(script)


# What the venue does by itself.


def test_what_the_venue_liquidates_is_booked_as_that_also_in_parts() -> None:
    async def script(world: World, one: Incarnation) -> None:
        del one
        await world.enter(SWAP_BOT, limit=False, bracket=BRACKET, short=False)
        await asyncio.sleep(4)
        world.books.liquidate(SWAP.symbol, quantity=Decimal("0.1"))
        await asyncio.sleep(15)
        assert await differences(world) == []
        world.books.liquidate(SWAP.symbol)
        await asyncio.sleep(30)
        assert await differences(world) == []

    world = played(script)
    gone = of(bot_facts(world, SWAP_BOT), PositionLiquidated)
    assert [fact.part for fact in gone] == [True, False]
    assert gone[0].quantity == Decimal("0.1")
    assert not [fact for fact in of(account_facts(world), StrangerSeen) if fact.kind in {"fill", "position"}]
    assert of(account_facts(world), AccountUnreconciled) == []


def test_funding_is_booked_with_the_rate_and_the_mark_that_the_venue_tells() -> None:
    async def script(world: World, one: Incarnation) -> None:
        del one
        await world.enter(SWAP_BOT, limit=False, bracket=BRACKET, short=True)
        await asyncio.sleep(4)
        world.books.pay_funding(SWAP.symbol, Decimal("0.0001"))
        await asyncio.sleep(15)

    [paid] = of(bot_facts(played(script), SWAP_BOT), FundingSettled)
    assert (paid.rate, paid.mark) == (Decimal("0.0001"), Decimal(2_000))
    assert paid.amount == -paid.quantity * Decimal(2_000) * Decimal("0.0001")


def test_funding_that_is_told_once_the_position_is_closed_has_the_quantity_of_that_position() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await world.enter(SWAP_BOT, limit=False, bracket=BRACKET, short=True)
        await asyncio.sleep(4)
        one.venue.faults += [VenueFault("funding", "lost")] * 4
        world.books.pay_funding(SWAP.symbol, Decimal("0.0001"))
        await world.leave(SWAP_BOT)
        await asyncio.sleep(30)
        assert await differences(world) == []

    [paid] = of(bot_facts(played(script), SWAP_BOT), FundingSettled)
    assert paid.quantity < 0
    assert paid.amount == -paid.quantity * Decimal(2_000) * Decimal("0.0001")


@pytest.mark.parametrize("sent", [False, True], ids=["nothing was sent before", "an order was sent before"])
def test_money_that_moved_before_the_venue_s_clock_was_put_back_is_booked_all_the_same(sent: bool) -> None:
    async def script(world: World, one: Incarnation) -> None:
        world.books.skew = timedelta(seconds=30)
        if sent:
            await enter(world, one)
        two = world.start()
        await asyncio.sleep(3)
        world.books.skew = timedelta(0)
        await world.enter(SWAP_BOT, limit=False, bracket=BRACKET)
        await asyncio.sleep(4)
        two.venue.faults += [VenueFault("funding", "lost")] * 4
        world.books.pay_funding(SWAP.symbol, Decimal("0.0001"))
        await world.leave(SWAP_BOT)
        await asyncio.sleep(60)
        assert await differences(world) == []

    assert len(of(bot_facts(played(script), SWAP_BOT), FundingSettled)) == 1


# What was forgotten.


async def _forget(world: World) -> None:
    """The bot's ended orders so far are followed by more than it keeps at hand."""
    now, facts = world.clock.now(), list[Fact]()
    for number in range(3, 300):
        order_id = OrderId(f"spot-0-{number}")
        facts += [
            OrderRequested(
                order_id=order_id, at=now - timedelta(minutes=5), symbol=SPOT.symbol, side="buy", kind="limit",
                reason="entry", quantity=Decimal("0.01"), limit_price=Decimal(100), at_close=True,
            ),
            OrderCancelled(order_id=order_id, at=now, reason="nothing came of it"),
        ]  # fmt: skip
    await world.append(bot_stream(SPOT_BOT), facts)


def test_the_trades_of_an_order_that_ended_long_ago_are_no_strangers() -> None:
    async def play() -> World:
        world = World(3, spot_bots=2, swap_bots=0)
        await world.open()
        one = world.start()
        await asyncio.sleep(3)
        # An entry that rests since before: it is why so old trades are read again.
        await world.enter(BotId("spot-1"), limit=True)
        await asyncio.sleep(2)
        await world.enter(
            SPOT_BOT, limit=False, bracket=Bracket(stop_fraction=Decimal("0.01"), target_fraction=Decimal(0))
        )
        await asyncio.sleep(3)
        world.books.set_price(SPOT.symbol, Decimal(39_500))
        world.books.set_price(SPOT.symbol, Decimal(40_000))
        await asyncio.sleep(5)
        one.crash_at = one.points + 1
        await asyncio.sleep(20)
        await _forget(world)
        assert OrderId("spot-0-1") not in (await world.state(SPOT_BOT)).ended
        last = world.start()
        await asyncio.sleep(40)
        assert last.runner.account.state.reconciled
        await world.stop()
        return world

    assert [fact for fact in of(account_facts(run(play())), StrangerSeen) if fact.kind == "fill"] == []


def test_the_words_of_an_accepted_order_name_the_venues_own_id() -> None:
    script: Script = enter
    world = played(script)
    accepted = of(bot_facts(world), OrderAccepted)
    assert accepted[0].venue_order_id in {order.venue_order_id for order in world.books.orders()}
    assert len(of(bot_facts(world), OrderFilled)) == 1


def test_a_line_that_somebody_has_sent_meanwhile_is_not_submitted_again() -> None:
    life = armed(plan=at(0, Wish()))
    see(life, 0, "100")
    line = Line(life.state.orders[order_id(1)])
    submission = Submission(line, "c" * 32, at=clock(1), expires_at=clock(1) + timedelta(seconds=10))
    assert [fact.attempt for fact in submission.said(life.state)] == [1]
    report(life, submitted(1, "5", when=clock(1), client_id="c" * 32))
    assert submission.said(life.state) == ()
    assert submission.agreed == []


def test_an_exit_goes_out_by_the_venues_clock_also_where_it_was_not_told_at_the_start() -> None:
    async def play() -> World:
        world = World(3, spot_bots=1)
        world.books.skew = timedelta(minutes=-10)
        await world.open()
        one = world.start()
        await asyncio.sleep(3)
        await world.enter(SPOT_BOT, limit=False, bracket=Bracket(stop_fraction=Decimal(0), target_fraction=Decimal(0)))
        await asyncio.sleep(5)
        one.crash_at = one.points + 1
        await asyncio.sleep(20)
        await world.leave(SPOT_BOT)
        world.start().venue.faults += [VenueFault("now", "lost")] * 3
        await asyncio.sleep(30)
        await world.stop()
        return world

    sent = of(bot_facts(run(play())), OrderSubmitted)
    assert len(sent) >= 2
    assert all(fact.at < START for fact in sent)


def test_a_sale_of_a_part_waits_for_exits_that_were_asked_to_go_and_may_still_be_reached() -> None:
    life = bought("8", bracket=BRACKET)
    ask = OrderRequested(
        order_id=order_id(9), at=clock(1), symbol=BTC, side="sell", kind="market", reason="exit_signal",
        quantity=Decimal(3), reduce_only=True,
    )  # fmt: skip
    part = requested(ask, taker_fee=Decimal(0), live=True)

    async def waits() -> bool:
        world = World(3)
        one = world.start()
        runner = one.runner
        gate = Gate(
            one.venue, account=runner.account, bots=runner.bots, time=VenueTime(one.venue, world.clock),
            calls=VenueCalls(1),
        )  # fmt: skip
        found = await gate.must_wait(life.state.configuration.bot_id, part, life.state)
        if one.task is not None:
            one.task.cancel()
        return found

    assert not run(waits())
    for number in (2, 3):
        report(life, OrderCancelRequested(order_id=order_id(number), at=clock(1), reason="a whim"))
    assert run(waits())
