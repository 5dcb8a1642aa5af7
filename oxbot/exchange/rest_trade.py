"""Endpoints of orders: place, amend, cancel, one or many; look up; fills; the dead man's switch."""

from collections.abc import Callable, Sequence
from typing import get_args

from oxbot.exchange.account_rows import fill_row, order_row
from oxbot.exchange.model import (
    AmendOrder,
    CancelOrder,
    Placed,
    PlaceOrder,
    Refused,
)
from oxbot.exchange.model import OrderType as OrderTypes
from oxbot.exchange.model import Side as Sides
from oxbot.exchange.model import SizeUnit as SizeUnits
from oxbot.exchange.model import TradeMode as TradeModes
from oxbot.exchange.records import Fill, Order
from oxbot.exchange.rest import Ask, Endpoint, collected, inst_type, limit, traded
from oxbot.exchange.wire import ApiError, Params, Reply, Row

BATCH_MAX = 20
ALL_FAILED = "All operations failed"
SOME_FAILED = "Bulk operation partially succeeded"

_SIDES: Sequence[Sides] = get_args(Sides)
_ORDER_TYPES: Sequence[OrderTypes] = get_args(OrderTypes)
_TRADE_MODES: Sequence[TradeModes] = get_args(TradeModes)
_SIZE_UNITS: Sequence[SizeUnits] = get_args(SizeUnits)

PLACE_LIMIT = limit("trade/order", 60, "account+inst")
AMEND_LIMIT = limit("trade/amend-order", 60, "account+inst")
CANCEL_LIMIT = limit("trade/cancel-order", 60, "account+inst")
PLACE_BATCH_LIMIT = limit("trade/batch-orders", 300, "account+inst")
AMEND_BATCH_LIMIT = limit("trade/amend-batch-orders", 300, "account+inst")
CANCEL_BATCH_LIMIT = limit("trade/cancel-batch-orders", 300, "account+inst")


def place(ask: Ask) -> Reply:
    """Each row is an order."""
    return of_rows(ask, _place)


def amend(ask: Ask) -> Reply:
    """Each row changes an order."""
    return of_rows(ask, _amend)


def cancel(ask: Ask) -> Reply:
    """Each row ends an order."""
    return of_rows(ask, _cancel)


def of_rows(ask: Ask, do: Callable[[Ask, Params], Row]) -> Reply:
    """Do it for each row; the envelope's code says whether all, some or none went well."""
    done = [_row(ask, params, do) for params in ask.rows]
    failed = sum(row["sCode"] != "0" for row in done)
    if not failed:
        return Reply(done, timed=True)
    if failed == len(done):
        return Reply(done, "1", ALL_FAILED, timed=True)
    return Reply(done, "2", SOME_FAILED, timed=True)


def refused_rows(rows: Sequence[Params], *, code: str, message: str) -> Reply:
    """The answer when every row is refused alike, as a fault asks for."""
    done: list[Row] = [_refused_row(params, code, message) for params in rows]
    return Reply(done, "1", ALL_FAILED, timed=True)


def _row(ask: Ask, params: Params, do: Callable[[Ask, Params], Row]) -> Row:
    try:
        return {**do(ask, params), "ts": str(ask.now)}
    except ApiError as error:
        return {**_refused_row(params, error.code, error.message), "ts": str(ask.now)}


def _refused_row(params: Params, code: str, message: str) -> Row:
    return {
        "ordId": params.text("ordId"),
        "clOrdId": params.text("clOrdId"),
        "algoId": params.text("algoId"),
        "algoClOrdId": params.text("algoClOrdId"),
        "tag": params.text("tag"),
        "sCode": code,
        "sMsg": message,
    }


def _place(ask: Ask, params: Params) -> Row:
    if params.rows("attachAlgoOrds"):
        raise ApiError("51000", "Parameter attachAlgoOrds error")
    tag = params.text("tag")
    request = PlaceOrder(
        inst_id=ask.inst_id(params),
        trade_mode=params.one_of("tdMode", _TRADE_MODES),
        side=params.one_of("side", _SIDES),
        order_type=params.one_of("ordType", _ORDER_TYPES),
        size=params.needed_number("sz"),
        price=params.number("px"),
        client_id=params.text("clOrdId"),
        reduce_only=params.flag("reduceOnly"),
        size_unit=params.one_of("tgtCcy", _SIZE_UNITS) if params.text("tgtCcy") else None,
        position_side=params.text("posSide"),
        tag=tag,
    )
    answer = taken(ask.exchange.place(ask.account, request, ask.now, expires_at=ask.expires_at))
    return {**_ids(answer), "tag": tag, "sCode": "0", "sMsg": "Order placed"}


def _amend(ask: Ask, params: Params) -> Row:
    request = AmendOrder(
        inst_id=ask.inst_id(params),
        order_id=params.text("ordId"),
        client_id=params.text("clOrdId"),
        size=params.number("newSz"),
        price=params.number("newPx"),
        cancel_on_fail=params.flag("cxlOnFail"),
        request_id=params.text("reqId"),
    )
    answer = taken(ask.exchange.amend(ask.account, request, ask.now, expires_at=ask.expires_at))
    return {**_ids(answer), "reqId": request.request_id, "sCode": "0", "sMsg": ""}


def _cancel(ask: Ask, params: Params) -> Row:
    request = CancelOrder(inst_id=ask.inst_id(params), order_id=params.text("ordId"), client_id=params.text("clOrdId"))
    return {**_ids(taken(ask.exchange.cancel(ask.account, request, ask.now))), "sCode": "0", "sMsg": ""}


def _ids(answer: Placed) -> Row:
    return {"ordId": answer.order_id, "clOrdId": answer.client_id}


def taken(answer: Placed | Refused) -> Placed:
    """The answer if it is no refusal."""
    if isinstance(answer, Refused):
        raise ApiError(answer.code, answer.msg)
    return answer


def _cancel_all_after(ask: Ask) -> Reply:
    seconds = ask.params.whole("timeOut")
    if seconds is None:
        raise ApiError("50014", "Parameter timeOut cannot be empty.")
    tag = ask.params.text("tag")
    answer = ask.exchange.cancel_all_after(ask.account, seconds, ask.now, tag=tag)
    if isinstance(answer, Refused):
        raise ApiError(answer.code, answer.msg)
    return Reply([{"triggerTime": str(answer), "tag": tag, "ts": str(ask.now)}])


def _order(ask: Ask) -> Reply:
    ask.params.needed("instId")
    found = ask.exchange.order(
        ask.account,
        order_id=ask.params.text("ordId"),
        client_id=ask.params.text("clOrdId"),
        inst_id=ask.params.text("instId"),
    )
    if found is None:
        raise ApiError("51603", "Order does not exist")
    return Reply([order_row(found)])


def _pending(ask: Ask) -> Reply:
    if not traded(ask.params):
        return Reply([])
    kind, name = inst_type(ask.params), ask.params.text("instId")

    def fetch(page: tuple[str, str], count: int) -> Sequence[Order]:
        return ask.exchange.orders_pending(ask.account, inst_type=kind, inst_id=name, page=page, limit=count)

    return _orders(ask, fetch)


def _history(ask: Ask) -> Reply:
    if not traded(ask.params, needed=True):
        return Reply([])
    kind, name = inst_type(ask.params, needed=True), ask.params.text("instId")

    def fetch(page: tuple[str, str], count: int) -> Sequence[Order]:
        return ask.exchange.orders_history(ask.account, inst_type=kind, inst_id=name, page=page, limit=count)

    return _orders(ask, fetch)


def _orders(ask: Ask, fetch: Callable[[tuple[str, str], int], Sequence[Order]]) -> Reply:
    params = ask.params
    types = {name for name in params.text("ordType").split(",") if name}
    begin, end = params.whole("begin"), params.whole("end")

    def keep(order: Order) -> bool:
        return (
            params.text("state") in ("", order.state)
            and (not types or order.order_type in types)
            and params.text("category") in ("", order.category)
            and (begin is None or order.created_at >= begin)
            and (end is None or order.created_at <= end)
        )

    found = collected(fetch, keep, lambda order: order.order_id, params=params)
    return Reply([order_row(order) for order in found])


def _fills(ask: Ask) -> Reply:
    return _fills_of(ask, needed=False)


def _fills_history(ask: Ask) -> Reply:
    return _fills_of(ask, needed=True)


def _fills_of(ask: Ask, *, needed: bool) -> Reply:
    params = ask.params
    if not traded(params, needed=needed):
        return Reply([])
    kind = inst_type(params)
    begin, end = params.whole("begin"), params.whole("end")

    def fetch(page: tuple[str, str], count: int) -> Sequence[Fill]:
        return ask.exchange.fills(
            ask.account,
            inst_type=kind,
            inst_id=params.text("instId"),
            order_id=params.text("ordId"),
            begin=begin,
            end=end,
            page=page,
            limit=count,
        )

    found = collected(fetch, lambda _: True, lambda fill: fill.bill_id, params=params)
    return Reply([fill_row(fill) for fill in found])


ENDPOINTS: Sequence[Endpoint] = (
    Endpoint("POST", "trade/order", place, PLACE_LIMIT, "trade", orders=True),
    Endpoint(
        "POST", "trade/batch-orders", place, PLACE_BATCH_LIMIT, "trade", BATCH_MAX, single=PLACE_LIMIT, orders=True
    ),
    Endpoint("POST", "trade/amend-order", amend, AMEND_LIMIT, "trade", orders=True),
    Endpoint(
        "POST",
        "trade/amend-batch-orders",
        amend,
        AMEND_BATCH_LIMIT,
        "trade",
        BATCH_MAX,
        single=AMEND_LIMIT,
        orders=True,
    ),
    Endpoint("POST", "trade/cancel-order", cancel, CANCEL_LIMIT, "trade"),
    Endpoint("POST", "trade/cancel-batch-orders", cancel, CANCEL_BATCH_LIMIT, "trade", BATCH_MAX, single=CANCEL_LIMIT),
    Endpoint(
        "POST",
        "trade/cancel-all-after",
        _cancel_all_after,
        limit("cancel-all-after", 1, "account", window_ms=1000),
        "trade",
    ),
    Endpoint("GET", "trade/order", _order, limit("get trade/order", 60, "account+inst"), "read_only"),
    Endpoint("GET", "trade/orders-pending", _pending, limit("orders-pending", 60, "account"), "read_only"),
    Endpoint("GET", "trade/orders-history", _history, limit("orders-history", 40, "account"), "read_only"),
    Endpoint("GET", "trade/orders-history-archive", _history, limit("orders-archive", 20, "account"), "read_only"),
    Endpoint("GET", "trade/fills", _fills, limit("fills", 60, "account"), "read_only"),
    Endpoint("GET", "trade/fills-history", _fills_history, limit("fills-history", 10, "account"), "read_only"),
)
