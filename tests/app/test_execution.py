"""The execution runner: what goes out and what does not, strangers, arming, leverage, the two switches."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TypeVar

from events.account import (
    AccountArmed,
    AccountDisarmed,
    AccountKillDone,
    AccountKillRequested,
    AccountReconciled,
    AccountUnreconciled,
    LeverageConfirmed,
    StrangerSeen,
)
from events.bot import (
    BotDisarmed,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
)
from events.envelope import Fact
from events.identifiers import BotId, OrderId, account_stream, bot_stream
from events.values import Bracket
from oxbot.adapters.memory_venue import MemoryVenue, VenueFault
from oxbot.app.execution_plan import client_id
from oxbot.app.venue import VenueOrder, VenueOrderRef, VenueRequest, VenueUnfit
from tests.core.scenario import START
from tests.simulation.execution_checks import differences
from tests.simulation.execution_world import ACCOUNT, SPOT, SWAP, Incarnation, World, until
from tests.simulation.virtual_time import run

BRACKET = Bracket(stop_fraction=Decimal("0.01"), target_fraction=Decimal("0.02"))
SPOT_BOT, SWAP_BOT = BotId("spot-0"), BotId("swap-0")
FOREVER = START + timedelta(days=30)

T = TypeVar("T")
Script = Callable[[World, Incarnation], Awaitable[None]]


def played(script: Script, *, swap_bots: int = 1, before: Sequence[Fact] = ()) -> World:
    """A world in which the script has happened, beside a runner that was ready when it began."""

    async def play() -> World:
        world = World(3, spot_bots=1, swap_bots=swap_bots)
        await world.open()
        if before:
            await world.append(account_stream(ACCOUNT), before)
        one = world.start()
        await asyncio.sleep(3)
        await script(world, one)
        await world.stop()
        return world

    return run(play())


def account_facts(world: World) -> list[Fact]:
    return run(_facts(world, "account"))


def bot_facts(world: World, bot_id: BotId = SPOT_BOT) -> list[Fact]:
    return run(_facts(world, bot_id))


async def _facts(world: World, name: str) -> list[Fact]:
    stream = account_stream(ACCOUNT) if name == "account" else bot_stream(BotId(name))
    return [event.fact for event in await world.log.read_stream(stream)]


def of(facts: Sequence[Fact], kind: type[T]) -> list[T]:
    return [fact for fact in facts if isinstance(fact, kind)]


async def enter(world: World, one: Incarnation) -> None:
    """A market entry of the spot bot with a stop and a target, and time for it to come about."""
    del one
    await world.enter(SPOT_BOT, limit=False, bracket=BRACKET)
    await asyncio.sleep(5)


def placed(world: World) -> list[str]:
    return [order.client_id for order in world.books.orders()]


def test_an_entry_is_in_the_log_before_it_is_sent_under_an_id_that_follows_from_its_own() -> None:
    world = played(enter)
    submitted = of(bot_facts(world), OrderSubmitted)
    assert submitted[0].client_id == client_id(submitted[0].order_id)
    assert placed(world)[0] == submitted[0].client_id
    assert len(submitted[0].client_id) == 32
    assert submitted[0].client_id.isalnum()


def test_the_stop_and_the_target_of_an_entry_are_one_order_at_the_venue() -> None:
    world = played(enter)
    entry, stop, target = of(bot_facts(world), OrderSubmitted)
    assert stop.client_id == target.client_id != entry.client_id
    assert placed(world) == [entry.client_id, stop.client_id]


def test_an_entry_by_notional_is_a_whole_number_of_lots_at_the_price_of_its_decision() -> None:
    world = played(enter)
    submitted = of(bot_facts(world), OrderSubmitted)[0]
    assert submitted.quantity % SPOT.lot == 0
    assert submitted.quantity * Decimal(40_000) in {Decimal(900), Decimal(2000), Decimal(3500) // 4 * 4}


def test_no_entry_goes_to_an_account_that_is_not_armed() -> None:
    world = played(enter, before=[AccountDisarmed()])
    assert placed(world) == []
    assert [fact.reason for fact in of(bot_facts(world), OrderRejected)] == ["the account is not armed"]


def test_no_entry_of_a_bot_that_was_disarmed_meanwhile_goes_out() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await world.append(bot_stream(SPOT_BOT), [BotDisarmed()])
        await enter(world, one)

    world = played(script)
    assert placed(world) == []
    assert [fact.reason for fact in of(bot_facts(world), OrderRejected)] == ["the bot is not armed"]


def test_exits_go_out_whether_or_not_the_account_is_armed() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await enter(world, one)
        await world.append(account_stream(ACCOUNT), [AccountDisarmed()])
        await world.leave(SPOT_BOT)
        await asyncio.sleep(10)
        assert not (await world.state(SPOT_BOT)).ledger.positions

    played(script)


def test_an_entry_that_comes_too_late_is_not_sent() -> None:
    async def script(world: World, one: Incarnation) -> None:
        one.crash_at = one.points + 1
        await world.append(account_stream(ACCOUNT), [AccountArmed(until=FOREVER)])
        await world.enter(SPOT_BOT, limit=False)
        await asyncio.sleep(90)
        world.start()
        await asyncio.sleep(5)

    world = played(script)
    assert placed(world) == []
    assert [fact.reason for fact in of(bot_facts(world), OrderExpired)] == ["its candle closed too long ago"]


def test_a_perpetual_is_entered_only_at_the_leverage_that_was_read_back() -> None:
    async def script(world: World, one: Incarnation) -> None:
        del one
        await world.enter(SWAP_BOT, limit=False)
        await asyncio.sleep(5)

    world = played(script)
    confirmed = of(account_facts(world), LeverageConfirmed)
    assert [(fact.symbol, fact.leverage) for fact in confirmed] == [(SWAP.symbol, Decimal(3))]
    assert world.books.wallet.leverages == {SWAP.symbol: Decimal(3)}


def test_an_entry_is_refused_where_the_venue_keeps_another_leverage() -> None:
    class Stubborn(MemoryVenue):
        async def configure(self, symbol: object, leverage: Decimal) -> Decimal:
            del symbol, leverage
            return Decimal(10)

    async def script(world: World, one: Incarnation) -> None:
        one.venue.__class__ = Stubborn
        await world.enter(SWAP_BOT, limit=False)
        await asyncio.sleep(5)

    world = played(script)
    rejected = of(bot_facts(world, SWAP_BOT), OrderRejected)
    assert [fact.reason for fact in rejected] == ["the venue has a leverage of 10 for ETH/USDT:USDT, not 3"]
    assert placed(world) == []


def test_an_entry_is_rejected_with_the_venues_words_where_it_refuses_the_leverage() -> None:
    class Refusing(MemoryVenue):
        async def configure(self, symbol: object, leverage: Decimal) -> Decimal:
            del symbol, leverage
            raise VenueUnfit("okx refuses it: 59102: Leverage exceeds the maximum limit.")

    async def script(world: World, one: Incarnation) -> None:
        one.venue.__class__ = Refusing
        await world.enter(SWAP_BOT, limit=False)
        await asyncio.sleep(5)
        assert one.runner.idle

    world = played(script)
    [rejected] = of(bot_facts(world, SWAP_BOT), OrderRejected)
    assert rejected.reason == "okx refuses it: 59102: Leverage exceeds the maximum limit."
    assert placed(world) == []


def test_an_order_that_the_venue_is_not_fit_for_any_more_stops_no_other() -> None:
    class Delisting(MemoryVenue):
        async def lookup(self, ref: VenueOrderRef) -> VenueOrder | None:
            if ref.symbol == SWAP.symbol:
                raise VenueUnfit(f"okx has no {ref.symbol}")
            return await super().lookup(ref)

    async def script(world: World, one: Incarnation) -> None:
        one.venue.__class__ = Delisting
        one.venue.faults.append(VenueFault("place", "lost"))
        await world.enter(SWAP_BOT, limit=False)
        await asyncio.sleep(5)
        await enter(world, one)
        assert one.task is not None
        assert not one.task.done()

    world = played(script)
    assert len(of(bot_facts(world), OrderFilled)) == 1


def test_two_bots_of_an_account_never_hold_the_same_perpetual() -> None:
    async def script(world: World, one: Incarnation) -> None:
        del one
        await world.enter(SWAP_BOT, limit=False)
        await world.enter(BotId("swap-1"), limit=False)
        await asyncio.sleep(5)

    world = played(script, swap_bots=2)
    rejected = [fact for bot in ("swap-0", "swap-1") for fact in of(bot_facts(world, BotId(bot)), OrderRejected)]
    assert len(rejected) == 1
    assert "nets their positions" in rejected[0].reason


def test_the_account_is_reconciled_once_at_the_start_and_not_again_without_cause() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await enter(world, one)
        await asyncio.sleep(60)

    assert len(of(account_facts(played(script)), AccountReconciled)) == 1


def test_trades_that_were_missed_are_taken_over_and_counted() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await enter(world, one)
        one.crash_at = one.points + 1
        await asyncio.sleep(20)
        world.books.set_price(SPOT.symbol, Decimal(41_000))
        world.start()
        await asyncio.sleep(10)
        assert await differences(world) == []

    world = played(script)
    assert of(account_facts(world), AccountReconciled)[-1].fills_adopted == 1
    assert len(of(bot_facts(world), OrderFilled)) == 2


def test_what_is_none_of_ours_is_reported_once_and_never_touched() -> None:
    async def script(world: World, one: Incarnation) -> None:
        del one
        await place_by_hand(world)
        await asyncio.sleep(60)

    world = played(script)
    seen = of(account_facts(world), StrangerSeen)
    assert sorted(fact.kind for fact in seen) == ["balance", "fill", "order", "position"]
    assert [order.status for order in world.books.orders()] == ["open", "filled"]


async def place_by_hand(world: World) -> None:
    """What a person does in the same account."""
    hand = MemoryVenue(world.books, owner="somebody")
    for name, kind, limit in (("hand1", "limit", Decimal(1_500)), ("hand2", "market", None)):
        await hand.place(
            VenueRequest(
                client_id=name,
                symbol=SWAP.symbol,
                side="buy",
                kind="limit" if kind == "limit" else "market",
                quantity=Decimal("0.5"),
                limit_price=limit,
                expires_at=FOREVER,
            )
        )


def test_while_the_books_differ_no_entry_goes_out_and_exits_do() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await enter(world, one)
        world.books.wallet.cash["USDT"] -= Decimal(95_000)
        await asyncio.sleep(60)
        await world.leave(SPOT_BOT)
        await asyncio.sleep(20)
        await enter(world, one)
        assert not (await world.state(SPOT_BOT)).ledger.positions

    world = played(script, swap_bots=0)
    assert len(of(account_facts(world), AccountUnreconciled)) == 1
    assert "not reconciled: USDT: the bots have" in of(bot_facts(world), OrderRejected)[-1].reason


def test_entries_go_out_again_once_the_books_agree() -> None:
    async def script(world: World, one: Incarnation) -> None:
        world.books.wallet.cash["USDT"] -= Decimal(95_000)
        await asyncio.sleep(60)
        world.books.wallet.cash["USDT"] += Decimal(95_000)
        await asyncio.sleep(20)
        await enter(world, one)

    world = played(script, swap_bots=0)
    assert len(of(account_facts(world), AccountUnreconciled)) == 1
    assert len(placed(world)) == 2


def test_keys_that_the_venue_refuses_are_said_and_stop_the_entries() -> None:
    async def script(world: World, one: Incarnation) -> None:
        one.venue.faults += [VenueFault("open_orders", "refused", code="50111")] * 50
        await asyncio.sleep(120)
        await enter(world, one)

    world = played(script)
    assert "50111" in of(account_facts(world), AccountUnreconciled)[0].reason
    assert placed(world) == []


def test_an_incarnation_that_was_superseded_stops_and_sends_nothing_more() -> None:
    async def script(world: World, one: Incarnation) -> None:
        world.start()
        await asyncio.sleep(1)
        calls = len(one.venue.calls)
        await enter(world, one)
        assert one.task is not None
        assert one.task.done()
        assert len(one.venue.calls) == calls

    world = played(script)
    assert world.ended["superseded"] == 1
    assert len(placed(world)) == 2


def test_a_process_that_stood_still_before_sending_does_not_send_once_another_has_taken_over() -> None:
    async def script(world: World, one: Incarnation) -> None:
        one.freeze_after = OrderSubmitted
        await world.enter(SPOT_BOT, limit=False)
        await asyncio.sleep(1)
        world.start()
        await asyncio.sleep(1)
        one.frozen = False
        one.thawed.set()
        await asyncio.sleep(20)
        assert one.venue.calls.count("place") == 0

    world = played(script)
    assert [fact.attempt for fact in of(bot_facts(world), OrderSubmitted)][:2] == [1, 2]
    assert placed(world).count(client_id(OrderId("spot-0-1"))) == 1


def test_the_kill_switch_that_freezes_cancels_what_would_enter_and_says_how_much() -> None:
    async def script(world: World, one: Incarnation) -> None:
        del one
        await world.enter(SWAP_BOT, limit=False)
        await world.enter(SPOT_BOT, limit=True)
        await asyncio.sleep(3)
        at = world.clock.now()
        await world.append(account_stream(ACCOUNT), [AccountKillRequested(at=at, policy="freeze"), AccountDisarmed()])
        await asyncio.sleep(20)
        assert (await world.state(SWAP_BOT)).ledger.positions

    world = played(script)
    done = of(account_facts(world), AccountKillDone)
    assert [(fact.cancelled, fact.closed, fact.left) for fact in done] == [(1, 0, ())]


def test_the_kill_switch_that_closes_leaves_no_position() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await enter(world, one)
        await world.enter(SWAP_BOT, limit=False, bracket=BRACKET)
        await asyncio.sleep(3)
        at = world.clock.now()
        await world.append(account_stream(ACCOUNT), [AccountKillRequested(at=at, policy="close"), AccountDisarmed()])
        await asyncio.sleep(30)
        assert await differences(world) == []
        assert world.books.wallet.positions() == []

    world = played(script)
    done = of(account_facts(world), AccountKillDone)
    assert [(fact.cancelled, fact.closed, fact.left) for fact in done] == [(0, 2, ())]
    assert all(order.status != "open" for order in world.books.orders())


def test_the_kill_switch_says_what_is_left_where_the_venue_does_not_answer() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await enter(world, one)
        one.venue.faults += [VenueFault("lookup", "lost")] * 1000
        at = world.clock.now()
        await world.append(account_stream(ACCOUNT), [AccountKillRequested(at=at, policy="close"), AccountDisarmed()])
        await asyncio.sleep(90)

    done = of(account_facts(played(script)), AccountKillDone)
    assert [(fact.cancelled, fact.closed) for fact in done] == [(0, 0)]
    assert "bot spot-0: long" in done[0].left[0]


def test_a_kill_switch_that_was_thrown_while_nobody_was_there_is_carried_out_at_the_start() -> None:
    thrown = AccountKillRequested(at=START, policy="freeze")
    assert of(account_facts(played(enter, before=[thrown, AccountDisarmed()])), AccountKillDone)


def test_entries_that_rest_are_cancelled_by_the_venue_once_nobody_is_here_any_more() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await world.enter(SPOT_BOT, limit=True)
        await asyncio.sleep(40)
        world.books.tick()
        assert [order.status for order in world.books.orders()] == ["open"]
        one.crash_at = one.points + 1
        await asyncio.sleep(90)
        world.books.tick()
        assert [order.status for order in world.books.orders()] == ["cancelled"]

    played(script)


def test_what_others_have_resting_in_the_account_outlives_our_dead_mans_switch() -> None:
    async def script(world: World, one: Incarnation) -> None:
        await place_by_hand(world)
        await world.enter(SPOT_BOT, limit=True)
        await asyncio.sleep(20)
        one.crash_at = one.points + 1
        await asyncio.sleep(90)
        world.books.tick()
        resting = [order.client_id for order in world.books.orders() if order.status == "open"]
        assert resting == ["hand1"]

    played(script)


def test_an_order_of_which_nothing_came_back_is_sent_again_only_when_the_venue_cannot_have_it() -> None:
    async def script(world: World, one: Incarnation) -> None:
        one.venue.faults.append(VenueFault("place", "late"))
        await world.enter(SPOT_BOT, limit=False)
        await asyncio.sleep(9)
        assert placed(world) == []
        assert one.venue.calls.count("place") == 1
        await asyncio.sleep(20)
        assert world.books.deliver() == 1

    world = played(script)
    attempts = of(bot_facts(world), OrderSubmitted)[:2]
    assert [fact.attempt for fact in attempts] == [1, 2]
    assert attempts[0].client_id == attempts[1].client_id
    assert attempts[1].at > attempts[0].expires_at
    assert placed(world).count(attempts[0].client_id) == 1


def test_an_order_that_the_venue_took_without_answering_is_found_and_not_sent_again() -> None:
    async def script(world: World, one: Incarnation) -> None:
        one.venue.faults.append(VenueFault("place", "lost", "after"))
        await world.enter(SPOT_BOT, limit=False, bracket=BRACKET)

        async def protected() -> bool:
            return len(placed(world)) == 2

        assert await until(protected, seconds=5)

    world = played(script)
    assert [fact.attempt for fact in of(bot_facts(world), OrderSubmitted)] == [1, 1, 1]


def test_what_the_venue_cannot_amend_is_placed_anew_under_another_id_once_it_is_gone() -> None:
    async def script(world: World, one: Incarnation) -> None:
        del one
        trailing = Bracket(stop_fraction=Decimal(0), target_fraction=Decimal(0), trailing_fraction=Decimal("0.05"))
        await world.enter(SWAP_BOT, limit=True, bracket=trailing, short=False)
        await asyncio.sleep(2)
        world.books.set_price(SWAP.symbol, Decimal(1_990), volume=Decimal("0.1"))
        await asyncio.sleep(5)
        world.books.set_price(SWAP.symbol, Decimal(1_989))
        await asyncio.sleep(10)
        assert await differences(world) == []

    world = played(script)
    stop = [fact for fact in of(bot_facts(world, SWAP_BOT), OrderSubmitted) if fact.order_id == "swap-0-2"]
    assert [fact.attempt for fact in stop] == [1, 2]
    assert stop[0].client_id != stop[1].client_id
    shown = {order.client_id: order for order in world.books.orders()}
    assert shown[stop[0].client_id].status == "cancelled"
    assert shown[stop[1].client_id].quantity == stop[1].quantity > stop[0].quantity
