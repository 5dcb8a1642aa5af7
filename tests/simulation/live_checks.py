"""Whether the log of an account's bots and the exchange's own books say the same: orders, fills, positions, money."""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from events.identifiers import bot_stream
from oxbot.app.execution_plan import client_ids
from oxbot.core.bot_state import BotState
from oxbot.core.money import ZERO, exact
from oxbot.core.orders import CLOSED, Order
from tests.exchange.running import DEMO, DEPOSITS
from tests.simulation.live_world import CAPITAL, SPOT, SWAP, LiveWorld

Row = Mapping[str, Any]
OPEN = frozenset({"live", "partially_filled"})


async def differences(world: LiveWorld) -> list[str]:
    """Everything in which they differ, in words."""
    books = await world.admin.books(DEMO.spec.name)
    states = [await world.state(bot_id) for bot_id in world.bots]
    orders = [order for state in states for order in [*state.ended.values(), *state.orders.values()]]
    return [
        *_placed(books, orders),
        *_standing(books, orders),
        *_fills(books, orders),
        *_positions(books, states),
        *_money(books, states),
    ]


async def counted(world: LiveWorld) -> Counter[str]:
    """How much there was of what, by the exchange's books; call it once they agree."""
    books = await world.admin.books(DEMO.spec.name)
    orders = _own_orders(books)
    facts = [event.fact for bot_id in world.bots for event in await world.log.read_stream(bot_stream(bot_id))]
    tags = Counter(str(fact.__struct_config__.tag) for fact in facts)
    return Counter(
        {
            "lives": 1,
            "orders": len(orders),
            "fills": len(books["fills"]),
            "in doubt": tags["order.in_doubt"],
            "rejected": tags["order.rejected"],
            "expired": tags["order.expired"],
            "amended": tags["order.amended"],
            "funding": tags["funding.settled"],
            "incarnations": len(world.incarnations),
        }
    )


def _own_orders(books: Row) -> dict[str, list[Row]]:
    """What a client has placed, by its client id; what a trigger made of one of them is not."""
    found: dict[str, list[Row]] = {}
    for row in books["orders"]:
        if not row["algoId"]:
            found.setdefault(row["clOrdId"], []).append(row)
    for row in books["algo_orders"]:
        found.setdefault(row["algoClOrdId"], []).append(row)
    return found


def _placed(books: Row, orders: Sequence[Order]) -> list[str]:
    placed = _own_orders(books)
    ours = {client_id for order in orders if order.attempts for client_id in client_ids(order)}
    found = [f"{client_id} was placed {len(rows)} times" for client_id, rows in placed.items() if len(rows) > 1]
    found += [f"{client_id} at the exchange is nobody's" for client_id in placed if client_id not in ours]
    found += [
        f"{order.order_id} is {order.status} with {order.client_id}, which the exchange never had"
        for order in orders
        if order.accepted_at is not None and not client_ids(order) & set(placed)
    ]
    return found


def _standing(books: Row, orders: Sequence[Order]) -> list[str]:
    """What works here works there, in the same size, and the other way round; nothing is left half asked for."""
    placed = _own_orders(books)
    working = {client_id: row for client_id, rows in placed.items() for row in rows if row["state"] in OPEN}
    found = []
    wanted: dict[str, list[Order]] = {}
    for order in orders:
        if order.status in CLOSED:
            continue
        wanted.setdefault(order.client_id, []).append(order)
        if order.status not in {"accepted", "partially_filled", "triggered"} or order.amending is not None:
            found.append(f"{order.order_id} is left {order.status}, {order.amending}")
        if order.client_id not in working:
            states = [row["state"] for row in placed.get(order.client_id, [])]
            found.append(f"{order.order_id} is {order.status}, but {states} at the exchange")
    found += [f"{client_id} works at the exchange and not here" for client_id in working if client_id not in wanted]
    return found


def _fills(books: Row, orders: Sequence[Order]) -> list[str]:
    booked = Counter(str(fill_id) for order in orders for fill_id in order.fill_ids)
    there = Counter(f"{row['instId']}:{row['tradeId']}:{row['ordId']}" for row in books["fills"])
    found = []
    for order in orders:
        wanted = max(order.quantity or ZERO, order.quantity_wanted or ZERO)
        if order.filled_quantity > wanted:
            found.append(f"{order.order_id} traded {order.filled_quantity} instead of {wanted}")
    if booked != there:
        found.append(f"fills: log only {booked - there}, exchange only {there - booked}")
    return found


def _positions(books: Row, states: Sequence[BotState]) -> list[str]:
    known = [state.ledger.positions.get(SWAP.symbol) for state in states]
    held = sum((position.signed_quantity for position in known if position is not None), ZERO)
    there = sum((Decimal(row["pos"]) * SWAP.contract_size for row in books["positions"]), ZERO)
    return [] if held == there else [f"positions: {held} in the log, {there} at the exchange"]


def _money(books: Row, states: Sequence[BotState]) -> list[str]:
    with exact():
        known = [state.ledger.positions.get(SPOT.symbol) for state in states]
        base = sum((position.quantity for position in known if position is not None), ZERO)
        base += sum((state.ledger.dust.get(SPOT.symbol, ZERO) for state in states), ZERO)
        quote = sum((state.ledger.cash - CAPITAL for state in states), ZERO)
        cash = {row["ccy"]: Decimal(row["cashBal"]) - DEPOSITS[row["ccy"]] for row in books["balances"]}
    found = []
    if base != cash["BTC"]:
        found.append(f"BTC: {base} in the log, {cash['BTC']} at the exchange")
    if quote != cash["USDT"]:
        found.append(f"USDT: {quote} in the log, {cash['USDT']} at the exchange")
    return found
