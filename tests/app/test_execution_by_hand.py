"""What an execution does about orders of ours that somebody else changes or cancels at the venue."""

import asyncio
from decimal import Decimal

import pytest

from events.account import AccountUnreconciled, StrangerSeen
from events.bot import OrderAmendRequested, OrderRejected, OrderSubmitted
from events.identifiers import BotId
from events.values import Bracket
from oxbot.adapters.memory_venue import MemoryVenue, VenueFault
from oxbot.adapters.memory_venue_wallet import Holding
from oxbot.app.execution_changes import ASKED_BACK_MAX
from oxbot.app.venue import Sent, Taken, VenueAmendment, VenueOrder, VenueOrderRef
from tests.app.test_execution import BRACKET, FOREVER, SPOT_BOT, SWAP_BOT, account_facts, bot_facts, enter, of, played
from tests.simulation.execution_checks import differences
from tests.simulation.execution_world import SWAP, Incarnation, World, until

TRAILING = Bracket(stop_fraction=Decimal(0), target_fraction=Decimal(0), trailing_fraction=Decimal("0.05"))


def resting(world: World) -> VenueOrder:
    """The one order that waits at the venue."""
    [found] = [order for order in world.books.orders() if order.status == "open"]
    return found


async def amend_by_hand(world: World, amendment: VenueAmendment) -> None:
    """What a person does with the one order that waits."""
    found = resting(world)
    ref = VenueOrderRef(client_id=found.client_id, symbol=found.symbol, at_trigger=found.at_trigger)
    hand = MemoryVenue(world.books, owner="somebody")
    assert isinstance(await hand.amend(ref, amendment, expires_at=FOREVER), Taken)
    hand.close()


@pytest.mark.parametrize(
    "amendment",
    [
        VenueAmendment(trigger_price=Decimal(1_500)),
        VenueAmendment(target_price=Decimal(2_500)),
        VenueAmendment(trigger_price=Decimal(1_500), target_price=Decimal(2_500), quantity=Decimal("0.1")),
    ],
)
def test_a_stop_or_a_target_that_somebody_moved_is_moved_back(amendment: VenueAmendment) -> None:
    async def script(world: World, one: Incarnation) -> None:
        del one
        await world.enter(SWAP_BOT, limit=False, bracket=BRACKET, short=False)
        await asyncio.sleep(5)
        before = resting(world)
        await amend_by_hand(world, amendment)
        await asyncio.sleep(15)
        after = resting(world)
        assert (after.trigger_price, after.target_price) == (before.trigger_price, before.target_price)
        assert (after.quantity, after.client_id) == (before.quantity, before.client_id)
        assert await differences(world) == []

    world = played(script)
    asked = of(bot_facts(world, SWAP_BOT), OrderAmendRequested)
    assert asked
    assert all(fact.reason.startswith("somebody else changed it: swap-0-") for fact in asked)
    assert of(account_facts(world), AccountUnreconciled) == []


@pytest.mark.parametrize("bot_id", [SPOT_BOT, SWAP_BOT])
@pytest.mark.parametrize("bracket", [BRACKET, TRAILING])
def test_protection_that_somebody_cancelled_is_there_again_at_once_and_no_more_than_it_was(
    bot_id: BotId, bracket: Bracket
) -> None:
    async def script(world: World, one: Incarnation) -> None:
        del one
        await world.enter(bot_id, limit=False, bracket=bracket, short=False)
        await asyncio.sleep(8)
        before = resting(world)
        hand = MemoryVenue(world.books, owner="somebody")
        for _ in range(2):
            found = resting(world)
            ref = VenueOrderRef(client_id=found.client_id, symbol=found.symbol, at_trigger=True)
            assert isinstance(await hand.cancel(ref), Taken)
            await asyncio.sleep(5)
        hand.close()
        after = resting(world)
        assert after.client_id not in {before.client_id, found.client_id}
        assert (after.quantity, after.side) == (before.quantity, before.side)
        assert (after.target_price, after.trailing_fraction) == (before.target_price, before.trailing_fraction)
        assert await differences(world) == []

    world = played(script)
    assert of(account_facts(world), AccountUnreconciled) == []


def test_the_limit_of_an_entry_that_somebody_moved_is_moved_back() -> None:
    async def script(world: World, one: Incarnation) -> None:
        del one
        await world.enter(SPOT_BOT, limit=True)
        await asyncio.sleep(3)
        limit = resting(world).limit_price
        await amend_by_hand(world, VenueAmendment(limit_price=Decimal(30_000)))
        await asyncio.sleep(15)
        assert resting(world).limit_price == limit

    played(script)


def test_a_replacement_that_somebody_made_smaller_is_made_as_large_as_it_was() -> None:
    async def script(world: World, one: Incarnation) -> None:
        one.venue.faults.append(VenueFault("amend", "refused", code="51000"))
        await world.enter(SWAP_BOT, limit=True, bracket=BRACKET, short=False)
        await asyncio.sleep(2)
        for step in (1, 2):
            world.books.set_price(SWAP.symbol, Decimal(1_991 - step), volume=Decimal("0.1"))
            await asyncio.sleep(5)
        world.books.set_price(SWAP.symbol, Decimal(1_988))
        await asyncio.sleep(20)
        before = resting(world)
        await amend_by_hand(world, VenueAmendment(quantity=Decimal("0.1")))
        await asyncio.sleep(15)
        assert (resting(world).quantity, resting(world).client_id) == (before.quantity, before.client_id)
        assert await differences(world) == []

    world = played(script)
    assert max(fact.attempt for fact in of(bot_facts(world, SWAP_BOT), OrderSubmitted)) > 1


def test_where_the_venue_itself_keeps_an_order_otherwise_it_is_said_and_no_entry_goes_out() -> None:
    class Stubborn(MemoryVenue):
        async def amend(self, ref: VenueOrderRef, amendment: VenueAmendment, *, expires_at: object) -> Sent:
            del amendment, expires_at
            self.calls.append("amend")
            return Taken(ref.venue_order_id, self.books.now())

    async def script(world: World, one: Incarnation) -> None:
        await world.enter(SWAP_BOT, limit=False, bracket=BRACKET, short=False)
        await asyncio.sleep(5)
        one.venue.__class__ = Stubborn
        await amend_by_hand(world, VenueAmendment(trigger_price=Decimal(1_500)))
        await asyncio.sleep(120)
        assert one.venue.calls.count("amend") == ASKED_BACK_MAX
        await enter(world, one)

    world = played(script)
    [said] = of(account_facts(world), AccountUnreconciled)
    assert "swap-0-2 has a trigger of 1500 at the venue, and should have 1980" in said.reason
    assert len(of(bot_facts(world), OrderRejected)) == 1


def test_a_trailing_distance_that_somebody_changed_is_said_and_no_entry_goes_out() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await world.enter(SWAP_BOT, limit=False, bracket=TRAILING, short=False)
        await asyncio.sleep(5)
        [order] = [order for order in world.books._orders if order.live]
        order.trailing_fraction = Decimal("0.2")

        async def said() -> bool:
            return bool(one.runner.account.state.unreconciled)

        assert await until(said, seconds=60)
        await enter(world, one)

    world = played(script)
    [fact] = of(account_facts(world), AccountUnreconciled)
    assert "has a trailing distance of 0.2 at the venue, and should have 0.05" in fact.reason
    assert of(bot_facts(world, SWAP_BOT), OrderAmendRequested) == []
    assert len(of(bot_facts(world), OrderRejected)) == 1


def test_a_position_that_somebody_closed_stops_the_entries_within_seconds() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await world.enter(SWAP_BOT, limit=False, bracket=BRACKET, short=False)
        await asyncio.sleep(9)
        world.books.wallet.holdings.clear()
        await asyncio.sleep(12)
        assert one.runner.account.state.unreconciled
        await enter(world, one)
        assert placed_entries(world) == 1

    world = played(script)
    [said] = of(account_facts(world), AccountUnreconciled)
    assert said.reason.startswith("ETH/USDT:USDT: the bots hold ")
    assert len(of(bot_facts(world), OrderRejected)) == 1


def placed_entries(world: World) -> int:
    """How many orders that do not only reduce were ever placed."""
    return sum(not order.reduce_only for order in world.books.orders())


def test_after_a_reconnect_entries_wait_until_the_books_were_compared_and_exits_do_not() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await world.enter(SWAP_BOT, limit=False, bracket=None, short=False)
        await asyncio.sleep(5)
        one.venue.faults += [VenueFault("open_orders", "lost")] * 4
        one.venue.reconnect()
        await asyncio.sleep(1)
        await world.enter(SPOT_BOT, limit=False, bracket=BRACKET)
        await world.leave(SWAP_BOT)
        await asyncio.sleep(3)
        assert placed_entries(world) == 1
        assert SWAP.symbol not in (await world.state(SWAP_BOT)).ledger.positions
        await asyncio.sleep(30)
        assert placed_entries(world) == 2

    assert of(account_facts(played(script)), AccountUnreconciled) == []


def test_a_strangers_position_that_is_gone_and_comes_back_is_told_each_time_and_what_is_on_its_way_never() -> None:
    async def script(world: World, one: Incarnation) -> None:
        for _ in range(2):
            world.books.wallet.holdings[SWAP.symbol] = Holding(Decimal(1), Decimal(2_000))
            await asyncio.sleep(40)
            world.books.wallet.holdings.clear()
            await asyncio.sleep(40)
        await world.enter(SWAP_BOT, limit=False, bracket=BRACKET, short=False)
        await enter(world, one)
        await asyncio.sleep(40)

    seen = [fact for fact in of(account_facts(played(script)), StrangerSeen) if fact.kind == "position"]
    assert [fact.quantity for fact in seen] == [1, 0, 1, 0]
    assert seen[1].words == "a stranger's position at the venue is gone: ETH/USDT:USDT"
