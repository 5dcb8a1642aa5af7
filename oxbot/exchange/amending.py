"""Changes of orders and algo orders that wait."""

from decimal import Decimal

from msgspec.structs import replace

from oxbot.exchange import accounts, checks, matching, prices
from oxbot.exchange.desk import Desk, Refusal
from oxbot.exchange.ending import BY_USER, end
from oxbot.exchange.model import AlgoPlaced, AmendAlgo, AmendOrder, Placed, Refused
from oxbot.exchange.records import Order


def amend(desk: Desk, name: str, request: AmendOrder, expires_at: int | None) -> Placed | Refused:
    """Change size or price of a working order; with ``cancel_on_fail`` a refusal ends it."""
    checks.not_expired(desk, expires_at)
    account = desk.account(name)
    order = checks.known(desk, account, request.inst_id, request.order_id, request.client_id)
    if order is None:
        raise Refusal("51503", "Order modification failed as the order does not exist.")
    if order.state == "canceled":
        raise Refusal("51509", "Modification failed as the order has been canceled.")
    if order.state == "filled":
        raise Refusal("51510", "Modification failed as the order has been completed.")
    try:
        size, price = _wanted(desk, order, request)
    except Refusal as refusal:
        if not request.cancel_on_fail:
            raise
        end(desk, order, "canceled", BY_USER)
        return refusal.refused
    order.size, order.price, order.updated_at = size, price, desk.state.now
    if size <= order.filled:
        end(desk, order, "filled", ("", ""))
    else:
        accounts.hold(desk, order)
        desk.tell_order(order, amended=True, request_id=request.request_id)
        matching.take(desk, order)
    return Placed(order.order_id, order.client_id, desk.state.now)


def amend_algo(desk: Desk, name: str, request: AmendAlgo, expires_at: int | None) -> AlgoPlaced:
    """Change what a live algo order waits for, or how large it is."""
    checks.not_expired(desk, expires_at)
    account = desk.account(name)
    algo = checks.known_algo(desk, account, request.inst_id, request.algo_id, request.algo_client_id)
    if algo is None:
        raise Refusal("51527", "Order modification unsuccessful. The stop order does not exist.")
    if algo.state == "canceled":
        raise Refusal("51509", "Modification failed as the order has been canceled.")
    if algo.state != "live":
        raise Refusal("51510", "Modification failed as the order has been completed.")
    if algo.request.algo_type == "move_order_stop":
        raise Refusal("51506", "Order modification unavailable for the order type.")
    changes = {
        name: value
        for name in ("size", "sl_trigger", "sl_price", "tp_trigger", "tp_price", "trigger_price", "order_price")
        if (value := getattr(request, name)) is not None
    }
    if not changes:
        raise Refusal("51500", "You must enter a price, quantity, or TP/SL")
    if any(getattr(algo.request, name) is None for name in changes):
        raise Refusal("51526", "Take profit/Stop loss conditions cannot be added to or removed from stop orders.")
    wanted = replace(algo.request, **changes)
    instrument = desk.instrument(wanted.inst_id)
    checks.size(instrument, wanted.size, market=False)
    checks.algo_prices(desk, instrument, wanted)
    algo.request = wanted
    algo.rising = wanted.trigger_price is not None and wanted.trigger_price >= desk.last(wanted.inst_id)
    algo.updated_at = desk.state.now
    desk.tell_algo(algo)
    return AlgoPlaced(algo.algo_id, wanted.algo_client_id, desk.state.now)


def _wanted(desk: Desk, order: Order, request: AmendOrder) -> tuple[Decimal, Decimal | None]:
    """The new size and price, if the order can have them."""
    if request.size is None and request.price is None:
        raise Refusal("51500", "You must enter a price, quantity, or TP/SL")
    account = desk.state.accounts[order.account]
    instrument = checks.tradable(desk, account, order.inst_id, "", "")
    if request.size is not None:
        checks.size(instrument, request.size, market=False)
    if request.price is not None:
        checks.price(instrument, request.price, "newPx")
    size = order.size if request.size is None else request.size
    price = order.price if request.price is None else request.price
    touch = prices.touch(desk, instrument, desk.state.markets[order.inst_id], order.side)
    if (
        price is not None
        and order.order_type == "post_only"
        and (touch <= price if order.side == "buy" else touch >= price)
    ):
        raise Refusal("51511", "Modification failed as the order price did not meet the requirement for Post Only.")
    if size > order.filled:
        worst = price if order.side == "buy" or price is None else max(price, touch)
        needed = accounts.required(account, instrument, replace(order, size=size), worst)
        if needed > accounts.available(desk, account, order.frozen_currency) + order.frozen:
            raise Refusal("51502", "Unable to edit order: insufficient balance or margin.")
    return size, price
