"""Algo orders: stops, targets, both as one, triggers and trailing stops, which wait for a price and become orders."""

from decimal import Decimal

from msgspec.structs import replace

from oxbot.core.money import prorate
from oxbot.exchange import accounts, checks, matching, positions
from oxbot.exchange.desk import Desk, Refusal
from oxbot.exchange.ending import BY_USER, end_algo
from oxbot.exchange.model import MARKET_PRICE, ZERO, AlgoPlaced, CancelAlgo, Leg, MarginMode, PlaceAlgo, PlaceOrder
from oxbot.exchange.records import AlgoOrder
from oxbot.exchange.state import Market

ONE = Decimal(1)


def place(desk: Desk, name: str, request: PlaceAlgo, expires_at: int | None) -> AlgoPlaced:
    """A client's algo order; it holds nothing of the account until it triggers."""
    checks.not_expired(desk, expires_at)
    account = desk.account(name)
    checks.algo_client_id(desk, account, request.algo_client_id)
    instrument = checks.algo(desk, account, request)
    last = desk.last(request.inst_id)
    mode: MarginMode = "cross" if request.trade_mode == "cross" else "isolated"
    algo = AlgoOrder(
        algo_id=desk.new_id(),
        request=request,
        account=name,
        inst_type=instrument.inst_type,
        leverage=accounts.leverage(desk, name, request.inst_id, mode) if instrument.inst_type == "SWAP" else None,
        created_at=desk.state.now,
        updated_at=desk.state.now,
        last=last,
        rising=request.trigger_price is not None and request.trigger_price >= last,
    )
    desk.state.algos[algo.algo_id] = algo
    desk.state.open_algos.setdefault(request.inst_id, {})[algo.algo_id] = None
    account.algo_ids.append(algo.algo_id)
    if request.algo_client_id:
        account.algo_client_ids.setdefault(request.algo_client_id, []).append(algo.algo_id)
    if request.algo_type == "move_order_stop":
        _trail(algo, last)
    desk.tell_algo(algo)
    return AlgoPlaced(algo.algo_id, request.algo_client_id, desk.state.now)


def cancel(desk: Desk, name: str, request: CancelAlgo) -> AlgoPlaced:
    """End a live algo order at the client's wish."""
    account = desk.account(name)
    algo = checks.known_algo(desk, account, request.inst_id, request.algo_id, request.algo_client_id)
    if algo is None:
        raise Refusal("51400", "Cancellation failed as the order does not exist.")
    if algo.state == "canceled":
        raise Refusal("51401", "Cancellation failed as the order is already canceled.")
    if algo.state != "live":
        raise Refusal("51402", "Cancellation failed as the order is already completed.")
    end_algo(desk, algo, "canceled", source=BY_USER[0])
    return AlgoPlaced(algo.algo_id, algo.request.algo_client_id, desk.state.now)


def watch(desk: Desk, market: Market) -> None:
    """Trigger the algo orders of an instrument whose price this step reached, oldest first."""
    last = market.last
    if last is None:
        return
    for algo_id in list(desk.state.open_algos.get(market.inst_id, ())):
        algo = desk.state.algos[algo_id]
        if algo.state != "live":
            continue
        leg = _reached(algo, last)
        if leg is not None:
            _trigger(desk, algo, leg)


def _reached(algo: AlgoOrder, last: Decimal) -> Leg | None:
    """The leg whose price is reached ("" for an order without legs), or None."""
    request = algo.request
    buys = request.side == "buy"
    match request.algo_type:
        case "conditional" | "oco":
            stop, target = request.sl_trigger, request.tp_trigger
            if stop is not None and (last >= stop if buys else last <= stop):
                return "sl"
            if target is not None and (last <= target if buys else last >= target):
                return "tp"
            return None
        case "trigger":
            price = request.trigger_price
            return "" if price is not None and (last >= price if algo.rising else last <= price) else None
        case "move_order_stop":
            trigger = _trail(algo, last)
            return "" if trigger is not None and (last >= trigger if buys else last <= trigger) else None


def _trail(algo: AlgoOrder, last: Decimal) -> Decimal | None:
    """Follow the price; the price at which a trailing stop triggers now, None while it is not active."""
    request = algo.request
    buys = request.side == "buy"
    if not algo.activated:
        active = request.active_price
        algo.activated = active is None or (last <= active if buys else last >= active)
        if not algo.activated:
            return None
    best = last if algo.extreme is None else (min if buys else max)(algo.extreme, last)
    algo.extreme = best
    away = request.callback_spread
    if away is None:
        away = prorate(best, request.callback_ratio or ZERO, ONE)
    algo.move_trigger = best + away if buys else best - away
    return algo.move_trigger


def _trigger(desk: Desk, algo: AlgoOrder, leg: Leg) -> None:
    request = algo.request
    account = desk.state.accounts[algo.account]
    algo.trigger_time = desk.state.now
    algo.actual_side = leg
    price = {"sl": request.sl_price, "tp": request.tp_price, "": request.order_price}[leg]
    wanted = PlaceOrder(
        inst_id=request.inst_id,
        trade_mode="cash" if algo.inst_type == "SPOT" else request.trade_mode,
        side=request.side,
        order_type="market" if price is None or price == MARKET_PRICE else "limit",
        size=request.size,
        price=None if price == MARKET_PRICE else price,
        reduce_only=request.reduce_only,
        size_unit=request.size_unit or "base_ccy",
        tag=request.tag,
    )
    if request.reduce_only and algo.inst_type == "SWAP":
        there_is = abs(positions.held(account, request.inst_id, request.trade_mode))
        wanted = replace(wanted, size=min(request.size, there_is) or request.size)
    try:
        order = matching.create(desk, account, wanted, algo=algo)
    except Refusal as refusal:
        end_algo(desk, algo, "order_failed", fail_code=refusal.code)
        return
    algo.order_id = order.order_id
    algo.actual_size = wanted.size
    algo.actual_price = order.price if order.average_price is None else order.average_price
    end_algo(desk, algo, "effective")
