"""Whether the log of an account's bots and the venue's own books say the same: orders, fills, positions, balances."""

from collections import Counter

from oxbot.app.execution_plan import client_ids
from oxbot.app.venue import VenueOrder
from oxbot.core.bot_state import BotState
from oxbot.core.money import ZERO, exact
from oxbot.core.orders import CLOSED, Order
from tests.core.scenario import START
from tests.simulation.execution_world import CAPITAL, MONEY, SPOT, SWAP, World


async def differences(world: World) -> list[str]:
    """Everything in which they differ, in words."""
    states = [await world.state(bot_id) for bot_id in world.bots]
    orders = [order for state in states for order in [*state.ended.values(), *state.orders.values()]]
    return [
        *_orders(world, orders),
        *_fills(world, orders, states),
        *_positions(world, states),
        *_money(world, states),
    ]


def _orders(world: World, orders: list[Order]) -> list[str]:
    found = []
    ours = {client_id for order in orders if order.attempts for client_id in client_ids(order)}
    children = {order.child_id for order in world.books.orders()}
    shown = [order for order in world.books.orders() if order.venue_order_id not in children]
    counted = Counter(order.client_id for order in shown)
    found += [f"{client_id} was placed {count} times" for client_id, count in counted.items() if count > 1]
    found += [f"{order.client_id} is nobody's" for order in shown if order.client_id not in ours]
    by_id = {order.client_id: order for order in shown}
    for order in orders:
        there = by_id.get(order.client_id)
        if order.status not in CLOSED:
            found += _working(order, there)
        elif there is not None and there.status in ("open", "triggered"):
            pair = [other for other in orders if other.client_id == order.client_id]
            if all(other.status in CLOSED for other in pair):
                found.append(f"{order.order_id} is {order.status}, but the venue says {there.status}")
        elif there is None and order.accepted_at is not None:
            found.append(f"{order.order_id} is {order.status}, but the venue never had it")
    return found


def _working(order: Order, there: VenueOrder | None) -> list[str]:
    if there is None or there.status != "open":
        return [f"{order.order_id} is {order.status}, but the venue says {there.status if there else 'nothing'}"]
    if order.status in {"requested", "submitted", "in_doubt", "pending_cancel"} or order.amending is not None:
        return [f"{order.order_id} is left {order.status}, {order.amending}"]
    return []


def _fills(world: World, orders: list[Order], states: list[BotState]) -> list[str]:
    booked = Counter(str(fill_id) for order in orders for fill_id in order.fill_ids)
    booked += Counter(each.fill_id for state in states for each in state.settlements if each.fill_id)
    there = Counter(fill.fill_id for fill in world.books.fills(START))
    return [] if booked == there else [f"fills: log only {booked - there}, venue only {there - booked}"]


def _positions(world: World, states: list[BotState]) -> list[str]:
    known = [state.ledger.positions.get(SWAP.symbol) for state in states]
    held = sum((position.signed_quantity for position in known if position is not None), ZERO)
    there = world.books.wallet.reducible(SWAP.symbol, "sell") - world.books.wallet.reducible(SWAP.symbol, "buy")
    return [] if held == there else [f"positions: {held} in the log, {there} at the venue"]


def _money(world: World, states: list[BotState]) -> list[str]:
    with exact():
        known = [state.ledger.positions.get(SPOT.symbol) for state in states]
        base = sum((position.quantity for position in known if position is not None), ZERO)
        base += sum((state.ledger.dust.get(SPOT.symbol, ZERO) for state in states), ZERO)
        quote = sum((s.ledger.cash - CAPITAL for s in states), ZERO)
    cash = world.books.wallet.cash
    found = []
    if base != cash.get("BTC", ZERO):
        found.append(f"BTC: {base} in the log, {cash.get('BTC')} at the venue")
    if quote != cash["USDT"] - MONEY["USDT"]:
        found.append(f"USDT: {quote} in the log, {cash['USDT'] - MONEY['USDT']} at the venue")
    return found
