"""How orders and algo orders end: by the client, by the exchange, or because there is nothing left for them."""

from oxbot.exchange import accounts, positions
from oxbot.exchange.desk import Desk
from oxbot.exchange.model import AlgoState, OrderState
from oxbot.exchange.records import AlgoOrder, Order
from oxbot.exchange.state import Account

BY_USER = ("1", "Order was canceled by user")
BY_COUNTDOWN = ("20", "Cancel all after triggered")
BY_LIQUIDATION = (
    "3",
    "Risk cancellation was triggered. Pending order was canceled due to insufficient maintenance margin ratio",
)
NO_MARGIN = ("2", "Order was canceled due to insufficient margin")
NO_POSITION = ("17", "Close order was canceled as the position was already closed")
FILL_OR_KILL = ("13", "FOK order was canceled due to incompletely filled")
NOT_ALL_FILLED = ("14", "IOC order was partially canceled due to incompletely filled")
WOULD_TAKE = ("31", "The post-only order would take liquidity")
ALGO_NO_POSITION = "21"


def end(desk: Desk, order: Order, state: OrderState, source: tuple[str, str]) -> None:
    """An order ends: nothing is held for it, and nobody looks at it again."""
    order.state = state
    order.cancel_source, order.cancel_reason = source
    order.updated_at = desk.state.now
    forget(desk, order)
    desk.tell_order(order)


def is_open(order: Order) -> bool:
    """Whether it still works."""
    return order.state in {"live", "partially_filled"}


def cancel_all(desk: Desk, account: Account, source: tuple[str, str], *, currency: str = "", tag: str = "") -> None:
    """End every order of the account, or those that hold this currency, or that have this tag."""
    for order_id in list(account.open_orders):
        order = desk.state.orders[order_id]
        if is_open(order) and currency in {"", order.frozen_currency} and tag in {"", order.tag}:
            end(desk, order, "canceled", source)


def keep_solvent(desk: Desk, account: Account, currency: str) -> None:
    """End the newest orders that hold this currency until what is available is not below zero."""
    for order_id in reversed(list(account.open_orders)):
        if accounts.available(desk, account, currency) >= 0:
            return
        order = desk.state.orders[order_id]
        if order.frozen and order.frozen_currency == currency:
            end(desk, order, "canceled", NO_MARGIN)


def forget(desk: Desk, order: Order) -> None:
    """Strike an ended order from the working ones and free what it held."""
    accounts.hold(desk, order)
    desk.state.open_orders[order.inst_id].pop(order.order_id, None)
    desk.state.accounts[order.account].open_orders.pop(order.order_id, None)


def end_algo(desk: Desk, algo: AlgoOrder, state: AlgoState, *, source: str = "", fail_code: str = "") -> None:
    """An algo order ends, by its trigger or without one."""
    algo.state = state
    algo.cancel_source = source
    algo.fail_code = fail_code
    algo.updated_at = desk.state.now
    desk.state.open_algos[algo.request.inst_id].pop(algo.algo_id, None)
    desk.tell_algo(algo)


def after_position(desk: Desk, account: Account, inst_id: str, trade_mode: str) -> None:
    """What the other orders need changes with the position; those that were only to close it end when it is gone."""
    flat = not positions.held(account, inst_id, trade_mode)
    for order_id in list(account.open_orders):
        order = desk.state.orders[order_id]
        if order.inst_id != inst_id or order.trade_mode != trade_mode or not is_open(order):
            continue
        if flat and order.reduce_only:
            end(desk, order, "canceled", NO_POSITION)
        else:
            accounts.hold(desk, order)
    if flat:
        for algo_id in list(desk.state.open_algos.get(inst_id, ())):
            algo = desk.state.algos[algo_id]
            wanted = algo.request
            if algo.account == account.spec.name and wanted.trade_mode == trade_mode and wanted.cancel_on_close:
                end_algo(desk, algo, "canceled", source=ALGO_NO_POSITION)
    keep_solvent(desk, account, desk.state.instruments[inst_id].quote)
