"""Any life of any bot, through its decider alone: after every candle books, orders and facts are as they must be."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from hypothesis import given

from events.bot import (
    BotFact,
    FundingSettled,
    OrderAmended,
    OrderFilled,
    OrderRequested,
    PositionLiquidated,
)
from events.codec import Codec
from events.identifiers import OrderId, Symbol
from events.values import Bracket, FeeSchedule, PaperModel
from oxbot.core.bot import WithdrawCapital
from oxbot.core.candles import Candle, Frame
from oxbot.core.money import ZERO, ceil_to_step, exact, floor_to_step
from oxbot.core.order_validation import validate
from oxbot.core.orders import PROTECTIVE_KINDS, Order
from oxbot.core.risk import LETS_THROUGH
from oxbot.core.state import BotState, fold
from tests.core.life_strategies import EVERYTHING, Script, scripts
from tests.core.lives import Life, Step, Wish, at, candle, creation, decoded, encoded, fills, perpetual, requests
from tests.examples import some

UNIT = Decimal("1e-18")
CODEC = Codec()
LIVES = some(250)


class Wanted(NamedTuple):
    """What an order asks for at most."""

    quantity: Decimal | None
    notional: Decimal | None


def live(script: Script) -> list[Step]:
    """Live the script; what its candles did, each checked as it happened."""
    life, steps = Life.of(script.command, script.plan), list[Step]()
    for event in script.events:
        if isinstance(event, Frame):
            steps.append(life.see(event))
            with exact():
                check(life, steps[-1])
        elif event is EVERYTHING:
            free = floor_to_step(life.state.free, UNIT)
            if free > 0:
                life.tell(WithdrawCapital(free))
        else:
            life.ask(event)
    with exact():
        check_whole(life)
    return steps


def check(life: Life, step: Step) -> None:
    check_books(step.after, life)
    check_orders(step)
    check_fills(step)
    check_facts(life, step)
    check_margins(step)


def check_books(state: BotState, life: Life) -> None:
    ledger = state.ledger
    assert ledger.imbalance() == 0
    assert ledger.cash >= ledger.locked >= 0
    assert state.free >= 0
    marks = {symbol: life.view.mark(symbol) for symbol in {*ledger.positions, *ledger.dust}}
    assert ledger.equity(marks).is_finite()
    if not ledger.positions:
        net = sum((trade.net for trade in state.trades), ZERO)
        assert net + ledger.deposits - ledger.withdrawals == ledger.cash


def check_orders(step: Step) -> None:
    state = step.after
    seen = {symbol for symbol, _ in step.frame.candles}
    for known in state.configuration.market.instruments:
        working = state.working(known.symbol)
        position = state.ledger.positions.get(known.symbol)
        exits = [order for order in working if order.reduce_only]
        entries = [order for order in working if not order.reduce_only]
        assert len(entries) <= 1
        if position is None:
            assert not exits
        else:
            lots = floor_to_step(position.quantity, known.lot)
            assert lots > 0
            check_cover(exits, lots, stops=has_stop(state, known.symbol))
        standing = step.before.standing_at(step.frame.open_time)
        if known.symbol in seen and (standing.status == "stopped" or "entry" not in LETS_THROUGH[standing.trading]):
            assert not entries
        if known.symbol in seen and standing.status == "stopped" and position is not None:
            assert any(order.kind == "market" for order in exits)
        if standing.status != "running":
            assert not [fact for fact in requests(step.facts, "entry") if fact.symbol == known.symbol]


def check_cover(exits: Sequence[Order], lots: Decimal, *, stops: bool) -> None:
    """The stops stand for exactly what is held where there are any; targets never for more."""
    resting = [order for order in exits if order.kind != "market"]
    protective = sum((order.quantity_open for order in resting if order.kind in PROTECTIVE_KINDS), ZERO)
    targets = sum((order.quantity_open for order in resting if order.kind not in PROTECTIVE_KINDS), ZERO)
    assert protective == (lots if stops else ZERO), (protective, lots)
    assert targets <= lots


def has_stop(state: BotState, symbol: Symbol) -> bool:
    """Whether the position was entered with a stop, or one that trails from some price on that there is."""
    trip = state.trips[symbol]
    bracket: Bracket | None = trip.bracket
    if bracket is None:
        return False
    if bracket.stop_price is not None or bracket.stop_fraction > 0:
        return True
    if bracket.trailing_fraction is None:
        return False
    side = state.ledger.positions[symbol].side
    return side == "long" or bracket.trailing_activation < Decimal("0.9")


def check_fills(step: Step) -> None:
    """Each fill is within its candle but for what spread and slippage cost, and no order trades more than it asked."""
    orders: dict[OrderId, Order | OrderRequested] = {fact.order_id: fact for fact in requests(step.facts)}
    orders.update(step.before.orders)
    candles = dict(step.frame.candles)
    model = step.before.paper
    cost = model.half_spread + model.slippage_max
    volumes = defaultdict[Symbol, Decimal](Decimal)
    for fill in fills(step.facts):
        order = orders[fill.order_id]
        volumes[order.symbol] += fill.quantity
        if model.participation_max is not None:
            assert volumes[order.symbol] <= candles[order.symbol].volume * model.participation_max
        shown, tick = candles[order.symbol], step.before.instrument(order.symbol).tick
        check_price(fill, shown, worst=ZERO if fill.liquidity == "maker" else cost, buys=order.side == "buy", tick=tick)


def check_price(fill: OrderFilled, shown: Candle, *, worst: Decimal, buys: bool, tick: Decimal) -> None:
    if buys:
        assert shown.low <= fill.price <= ceil_to_step(shown.high * (1 + worst), tick)
    else:
        assert max(tick, floor_to_step(shown.low * (1 - worst), tick)) <= fill.price <= shown.high


def check_facts(life: Life, step: Step) -> None:
    for fact in step.facts:
        assert getattr(fact, "at", None) == step.frame.open_time
        if isinstance(fact, OrderRequested):
            assert validate(fact, step.before.instrument(fact.symbol)) is None
    again = life.decider.decide(life.observing(step.frame), step.before)
    assert again == step.facts
    assert life.decider.decide(life.observing(step.frame), decoded(encoded(step.before))) == step.facts
    assert life.decider.decide(life.observing(step.frame), step.after) == [] or not step.facts


def check_margins(step: Step) -> None:
    """What is lost on a perpetual, in one fact, is at most the margin that is locked for it by then."""
    state = step.before
    for fact in step.facts:
        after = fold([fact], state)
        if isinstance(fact, OrderFilled):
            order = state.orders[fact.order_id]
            symbol = order.symbol if order.reduce_only else None
        else:
            symbol = fact.symbol if isinstance(fact, FundingSettled | PositionLiquidated) else None
        held = None if symbol is None else state.ledger.positions[symbol]
        if held is not None and held.kind == "perpetual":
            assert after.ledger.cash >= state.ledger.cash - held.margin
        if isinstance(fact, PositionLiquidated):
            assert fact.symbol not in after.ledger.positions
        state = after


def check_whole(life: Life) -> None:
    """The facts as they are stored lead to the same bot, and no order traded more than it asked for."""
    stored = [CODEC.decode(*CODEC.encode(fact)) for fact in life.facts]
    assert encoded(fold(fact for fact in stored if isinstance(fact, BotFact))) == encoded(life.state)
    check_base(life)
    wanted, traded = dict[OrderId, Wanted](), defaultdict[tuple[OrderId, str], Decimal](Decimal)
    for fact in life.facts:
        if isinstance(fact, OrderRequested):
            wanted[fact.order_id] = Wanted(fact.quantity, fact.notional)
        elif isinstance(fact, OrderAmended) and fact.quantity is not None:
            wanted[fact.order_id] = Wanted(fact.quantity, None)
        elif isinstance(fact, OrderFilled):
            traded[fact.order_id, "quantity"] += fact.quantity
            traded[fact.order_id, "notional"] += fact.quantity * fact.price
            asked = wanted[fact.order_id]
            assert asked.quantity is None or traded[fact.order_id, "quantity"] <= asked.quantity
            assert asked.notional is None or traded[fact.order_id, "notional"] <= asked.notional


def check_base(life: Life) -> None:
    """What was bought and neither sold nor kept as a fee is held, or is dust."""
    owned, orders = defaultdict[Symbol, Decimal](Decimal), {fact.order_id: fact for fact in requests(life.facts)}
    for fact in life.facts:
        if isinstance(fact, OrderFilled):
            order = orders[fact.order_id]
            moved = fact.quantity if order.side == "buy" else -fact.quantity
            owned[order.symbol] += moved - (fact.fee if fact.fee_in == "base" else ZERO)
        elif isinstance(fact, PositionLiquidated):
            owned[fact.symbol] -= fact.quantity if fact.side == "long" else -fact.quantity
    ledger = life.state.ledger
    for symbol, quantity in owned.items():
        held = ledger.positions.get(symbol)
        assert quantity == (held.signed_quantity if held else ZERO) + ledger.dust.get(symbol, ZERO)


@LIVES
@given(script=scripts())
def test_any_life_keeps_its_books_its_orders_and_its_facts_in_order(script: Script) -> None:
    live(script)


def test_a_fill_in_part_takes_from_the_reserve_exactly_what_it_locks() -> None:
    """30,000 at 3 times leverage keep 10,000; 1,000 of it lock 333.3..4, and 9,666.6..6 stay reserved."""
    future = perpetual(tick="0.1", lot="0.001")
    command = creation(
        future,
        leverage="3",
        fees=FeeSchedule(maker=ZERO, taker=ZERO),
        paper=PaperModel(participation_max=Decimal("0.01")),
    )
    life = Life.of(command, at(0, Wish(size_fraction=Decimal(3)), symbol=future.symbol))
    for number, volume in enumerate(["100", "1", "100"]):
        life.see_candles([candle(number, "100000", volume=volume)], future.symbol)
        assert life.state.free == 0
    assert life.state.ledger.locked == Decimal(10000)
