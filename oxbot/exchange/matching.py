"""Orders: how one comes, meets the price path, is filled, and ends."""

from decimal import Decimal

from msgspec.structs import replace

from oxbot.core.money import floor_to_step, prorate, quantity_for_notional
from oxbot.exchange import accounts, checks, positions, prices
from oxbot.exchange.accounts import Entry
from oxbot.exchange.desk import Desk, Refusal
from oxbot.exchange.ending import (
    BY_USER,
    FILL_OR_KILL,
    NOT_ALL_FILLED,
    WOULD_TAKE,
    after_position,
    end,
    forget,
    is_open,
)
from oxbot.exchange.model import ZERO, CancelOrder, Instrument, MarginMode, Placed, PlaceOrder
from oxbot.exchange.pushes import FillPushed
from oxbot.exchange.records import AlgoOrder, ExecType, Fill, Order
from oxbot.exchange.state import Account, Market

ONE = Decimal(1)
_IMMEDIATE = {"market", "optimal_limit_ioc", "ioc", "fok"}
_TRIGGERED_BY = {"conditional": "7", "oco": "7", "trigger": "6", "move_order_stop": "25"}


def place(desk: Desk, name: str, request: PlaceOrder, expires_at: int | None) -> Placed:
    """A client's order: refused as a whole, or taken and matched at once."""
    checks.not_expired(desk, expires_at)
    account = desk.account(name)
    checks.client_id(desk, account, request.client_id)
    order = create(desk, account, request)
    return Placed(order.order_id, order.client_id, desk.state.now)


def create(desk: Desk, account: Account, request: PlaceOrder, *, algo: AlgoOrder | None = None) -> Order:
    """Take an order of a client or of an algo, and match it; refuses before anything is changed."""
    instrument = checks.order(desk, account, request)
    order = _order(desk, account, instrument, request, algo)
    _check_funds(desk, account, instrument, order)
    _register(desk, account, order)
    take(desk, order)
    return order


def liquidate(desk: Desk, account: Account, request: PlaceOrder, mark: Decimal) -> None:
    """Close a position by force: an order of the exchange's own, filled whole at the mark price."""
    order = _order(desk, account, desk.state.instruments[request.inst_id], request, None)
    order.category = "full_liquidation"
    _register(desk, account, order)
    fill(desk, order, order.size, mark, "T")


def cancel(desk: Desk, name: str, request: CancelOrder) -> Placed:
    """End a working order at the client's wish."""
    account = desk.account(name)
    order = checks.known(desk, account, request.inst_id, request.order_id, request.client_id)
    if order is None:
        raise Refusal("51400", "Cancellation failed as the order does not exist.")
    if order.state == "canceled":
        raise Refusal("51401", "Cancellation failed as the order is already canceled.")
    if order.state == "filled":
        raise Refusal("51402", "Cancellation failed as the order is already completed.")
    end(desk, order, "canceled", BY_USER)
    return Placed(order.order_id, order.client_id, desk.state.now)


def take(desk: Desk, order: Order) -> None:
    """Fill what can be filled against the book now, and end or rest what cannot."""
    market = desk.state.markets[order.inst_id]
    instrument = desk.state.instruments[order.inst_id]
    touch = prices.touch(desk, instrument, market, order.side)
    crosses = order.price is None or (touch <= order.price if order.side == "buy" else touch >= order.price)
    if crosses and order.order_type == "post_only":
        end(desk, order, "canceled", WOULD_TAKE)
        return
    wanted = order.size - order.filled
    if order.size_unit == "quote_ccy":
        wanted = quantity_for_notional(order.size, touch, instrument.lot)
    size = _fillable(desk, instrument, market, order, wanted) if crosses else ZERO
    if order.order_type == "fok" and size < wanted:
        end(desk, order, "canceled", FILL_OR_KILL)
        return
    if size:
        fill(desk, order, size, touch, "T")
    if order.size_unit == "quote_ccy" and size == wanted and is_open(order):
        end(desk, order, "filled", ("", ""))
    if is_open(order) and order.order_type in _IMMEDIATE:
        end(desk, order, "canceled", NOT_ALL_FILLED)


def rest(desk: Desk, market: Market) -> None:
    """Fill the resting orders that this step's price went through, at their own prices, oldest first."""
    instrument = desk.state.instruments[market.inst_id]
    for order_id in list(desk.state.open_orders.get(market.inst_id, ())):
        order = desk.state.orders[order_id]
        if not is_open(order) or order.price is None or not _reached(desk, market, order, order.price):
            continue
        size = _fillable(desk, instrument, market, order, order.size - order.filled)
        if size:
            fill(desk, order, size, order.price, "M")


def fill(desk: Desk, order: Order, size: Decimal, price: Decimal, exec_type: ExecType) -> None:
    """Book one trade of the order: cash, position, bills, the order itself, and what follows for the others."""
    account = desk.state.accounts[order.account]
    instrument = desk.state.instruments[order.inst_id]
    market = desk.state.markets[order.inst_id]
    if market.left is not None:
        market.left -= size * instrument.contract_value
    done = Fill(
        account=order.account,
        inst_id=order.inst_id,
        inst_type=order.inst_type,
        trade_id=desk.new_id(),
        bill_id="",
        order_id=order.order_id,
        client_id=order.client_id,
        side=order.side,
        size=size,
        price=price,
        exec_type=exec_type,
        fee=ZERO,
        fee_currency=order.fee_currency,
        pnl=ZERO,
        at=desk.state.now,
    )
    done = (
        _booked_spot(desk, account, order, done)
        if order.inst_type == "SPOT"
        else _booked_swap(desk, account, order, done)
    )
    account.fills.append(done)
    _note(order, done)
    if is_open(order):
        accounts.hold(desk, order)
    else:
        forget(desk, order)
    desk.tell_order(order, fill=done)
    desk.pushes.append(FillPushed(sequence=desk.new_sequence(), account=order.account, fill=done))
    if order.inst_type == "SWAP":
        after_position(desk, account, order.inst_id, order.trade_mode)


def _order(desk: Desk, account: Account, instrument: Instrument, request: PlaceOrder, algo: AlgoOrder | None) -> Order:
    spot = instrument.inst_type == "SPOT"
    buys = request.side == "buy"
    mode: MarginMode = "cross" if request.trade_mode == "cross" else "isolated"
    priced = request.order_type not in {"market", "optimal_limit_ioc"}
    unit = request.size_unit or ("quote_ccy" if buys else "base_ccy")
    return Order(
        order_id="",
        client_id=request.client_id,
        account=account.spec.name,
        inst_id=request.inst_id,
        inst_type=instrument.inst_type,
        trade_mode=request.trade_mode,
        side=request.side,
        order_type=request.order_type,
        size=request.size,
        price=request.price if priced else None,
        reduce_only=request.reduce_only and not spot,
        size_unit=unit if spot and not priced else None,
        created_at=desk.state.now,
        updated_at=desk.state.now,
        leverage=None if spot else accounts.leverage(desk, account.spec.name, request.inst_id, mode),
        fee_currency=instrument.base if spot and buys else instrument.quote,
        frozen_currency=instrument.base if spot and not buys else instrument.quote,
        tag=request.tag,
        algo_id="" if algo is None else algo.algo_id,
        algo_client_id="" if algo is None else algo.request.algo_client_id,
        source="" if algo is None else _TRIGGERED_BY[algo.request.algo_type],
    )


def _register(desk: Desk, account: Account, order: Order) -> None:
    order.order_id = desk.new_id()
    desk.state.orders[order.order_id] = order
    desk.state.open_orders.setdefault(order.inst_id, {})[order.order_id] = None
    account.open_orders[order.order_id] = None
    account.order_ids.append(order.order_id)
    if order.client_id:
        account.client_ids.setdefault(order.client_id, []).append(order.order_id)
    accounts.hold(desk, order)
    desk.tell_order(order)


def _check_funds(desk: Desk, account: Account, instrument: Instrument, order: Order) -> None:
    """What the order needs at the price it would get now, or at its own if that is worse."""
    touch = prices.touch(desk, instrument, desk.state.markets[order.inst_id], order.side)
    price = touch if order.price is None else order.price
    if order.side == "sell":
        price = max(price, touch)
    needed = accounts.required(account, instrument, order, price)
    if needed > accounts.available(desk, account, order.frozen_currency):
        raise Refusal("51008", f"Order failed. Insufficient {order.frozen_currency} balance in account.")


def _fillable(desk: Desk, instrument: Instrument, market: Market, order: Order, wanted: Decimal) -> Decimal:
    """How much of it can trade in this step; a reduce-only order never more than there is to close."""
    if order.reduce_only:
        wanted = min(wanted, positions.reducible(desk.state.accounts[order.account], order))
    if market.left is None:
        return wanted
    return min(
        wanted,
        floor_to_step(max(market.left, ZERO), instrument.contract_value * instrument.lot) / instrument.contract_value,
    )


def _reached(desk: Desk, market: Market, order: Order, price: Decimal) -> bool:
    last = market.last
    if last is None:
        return False
    if desk.settings.touch_fills and last == price:
        return True
    return last < price if order.side == "buy" else last > price


def _booked_spot(desk: Desk, account: Account, order: Order, fill: Fill) -> Fill:
    instrument = desk.state.instruments[order.inst_id]
    fees = account.spec.fees
    rate = fees.spot_maker if fill.exec_type == "M" else fees.spot_taker
    value = fill.size * fill.price
    buys = order.side == "buy"
    fee = -prorate(fill.size if buys else value, rate, ONE)
    base = fill.size + fee if buys else -fill.size
    quote = -value if buys else value + fee
    entry = Entry(
        type="2",
        sub_type="1" if buys else "2",
        inst_id=order.inst_id,
        inst_type="SPOT",
        margin_mode="cash",
        order_id=order.order_id,
        client_id=order.client_id,
        trade_id=fill.trade_id,
        size=fill.size,
        price=fill.price,
        exec_type=fill.exec_type,
    )
    charged = replace(entry, fee=fee)
    accounts.book(desk, account, instrument.quote, quote, entry if buys else charged)
    bill_id = accounts.book(desk, account, instrument.base, base, charged if buys else entry)
    return replace(fill, bill_id=bill_id, fee=fee)


def _booked_swap(desk: Desk, account: Account, order: Order, fill: Fill) -> Fill:
    instrument = desk.state.instruments[order.inst_id]
    fees = account.spec.fees
    rate = fees.swap_maker if fill.exec_type == "M" else fees.swap_taker
    fee = -prorate(fill.size * instrument.contract_value * fill.price, rate, ONE)
    closes = positions.reducible(account, order) > 0
    pnl = positions.book_fill(desk, account, order, fill.size, fill.price)
    position = account.positions[positions.key(order.inst_id, order.trade_mode)]
    position.fee += fee
    position.last_trade_id = fill.trade_id
    liquidation = order.category == "full_liquidation"
    entry = Entry(
        type="5" if liquidation else "2",
        sub_type=_sub_type(order, closes=closes),
        inst_id=order.inst_id,
        inst_type="SWAP",
        margin_mode=order.trade_mode,
        order_id=order.order_id,
        client_id=order.client_id,
        trade_id=fill.trade_id,
        size=fill.size,
        price=fill.price,
        pnl=pnl,
        fee=fee,
        exec_type=fill.exec_type,
    )
    bill_id = accounts.book(desk, account, instrument.quote, pnl + fee, entry)
    return replace(fill, bill_id=bill_id, fee=fee, pnl=pnl)


def _sub_type(order: Order, *, closes: bool) -> str:
    """OKX's: 3 open long, 4 open short, 5 close long, 6 close short; 104 and 105 the liquidations of them."""
    if order.category == "full_liquidation":
        return "104" if order.side == "sell" else "105"
    if closes:
        return "5" if order.side == "sell" else "6"
    return "3" if order.side == "buy" else "4"


def _note(order: Order, fill: Fill) -> None:
    order.filled += fill.size
    order.filled_value += fill.size * fill.price
    order.average_price = prorate(order.filled_value, ONE, order.filled)
    order.fee += fill.fee
    order.pnl += fill.pnl
    order.last_fill = fill
    order.updated_at = fill.at
    whole = order.size_unit != "quote_ccy" and order.filled >= order.size
    order.state = "filled" if whole else "partially_filled"
