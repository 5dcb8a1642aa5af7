"""Endpoints of algo orders: place, amend, cancel, look up."""

from collections.abc import Sequence
from typing import get_args

from oxbot.exchange.account_rows import algo_row
from oxbot.exchange.model import (
    AlgoPlaced,
    AlgoType,
    AmendAlgo,
    CancelAlgo,
    PlaceAlgo,
    Refused,
    Side,
    SizeUnit,
    TradeMode,
)
from oxbot.exchange.records import AlgoOrder
from oxbot.exchange.rest import Ask, Endpoint, collected, inst_type, limit, traded
from oxbot.exchange.rest_trade import of_rows
from oxbot.exchange.wire import ApiError, Params, Reply, Row

CANCEL_MAX = 10

_SIDES: Sequence[Side] = get_args(Side)
_TYPES: Sequence[AlgoType] = get_args(AlgoType)
_TRADE_MODES: Sequence[TradeMode] = get_args(TradeMode)
_SIZE_UNITS: Sequence[SizeUnit] = get_args(SizeUnit)


def _place(ask: Ask) -> Reply:
    return of_rows(ask, _place_row)


def _place_row(ask: Ask, params: Params) -> Row:
    if params.text("closeFraction"):
        raise ApiError("51000", "Parameter closeFraction error")
    request = PlaceAlgo(
        inst_id=ask.inst_id(params),
        trade_mode=params.one_of("tdMode", _TRADE_MODES),
        side=params.one_of("side", _SIDES),
        algo_type=params.one_of("ordType", _TYPES),
        size=params.needed_number("sz"),
        algo_client_id=params.text("algoClOrdId"),
        reduce_only=params.flag("reduceOnly"),
        cancel_on_close=params.flag("cxlOnClosePos"),
        size_unit=params.one_of("tgtCcy", _SIZE_UNITS) if params.text("tgtCcy") else None,
        position_side=params.text("posSide"),
        tag=params.text("tag"),
        sl_trigger=params.number("slTriggerPx"),
        sl_price=params.number("slOrdPx"),
        tp_trigger=params.number("tpTriggerPx"),
        tp_price=params.number("tpOrdPx"),
        trigger_price=params.number("triggerPx"),
        order_price=params.number("orderPx") or params.number("ordPx"),
        callback_ratio=params.number("callbackRatio"),
        callback_spread=params.number("callbackSpread"),
        active_price=params.number("activePx"),
    )
    answer = _taken(ask.exchange.place_algo(ask.account, request, ask.now, expires_at=ask.expires_at))
    return {**_ids(answer), "clOrdId": "", "tag": request.tag, "sCode": "0", "sMsg": ""}


def _amend(ask: Ask) -> Reply:
    return of_rows(ask, _amend_row)


def _amend_row(ask: Ask, params: Params) -> Row:
    request = AmendAlgo(
        inst_id=ask.inst_id(params),
        algo_id=params.text("algoId"),
        algo_client_id=params.text("algoClOrdId"),
        size=params.number("newSz"),
        sl_trigger=params.number("newSlTriggerPx"),
        sl_price=params.number("newSlOrdPx"),
        tp_trigger=params.number("newTpTriggerPx"),
        tp_price=params.number("newTpOrdPx"),
        trigger_price=params.number("newTriggerPx"),
        order_price=params.number("newOrdPx"),
        request_id=params.text("reqId"),
    )
    answer = _taken(ask.exchange.amend_algo(ask.account, request, ask.now, expires_at=ask.expires_at))
    return {**_ids(answer), "reqId": request.request_id, "sCode": "0", "sMsg": ""}


def _cancel(ask: Ask) -> Reply:
    return of_rows(ask, _cancel_row)


def _cancel_row(ask: Ask, params: Params) -> Row:
    request = CancelAlgo(
        inst_id=ask.inst_id(params), algo_id=params.text("algoId"), algo_client_id=params.text("algoClOrdId")
    )
    return {**_ids(_taken(ask.exchange.cancel_algo(ask.account, request, ask.now))), "sCode": "0", "sMsg": ""}


def _ids(answer: AlgoPlaced) -> Row:
    return {"algoId": answer.algo_id, "algoClOrdId": answer.algo_client_id}


def _taken(answer: AlgoPlaced | Refused) -> AlgoPlaced:
    if isinstance(answer, Refused):
        raise ApiError(answer.code, answer.msg)
    return answer


def _algo(ask: Ask) -> Reply:
    found = ask.exchange.algo(
        ask.account, algo_id=ask.params.text("algoId"), algo_client_id=ask.params.text("algoClOrdId")
    )
    if found is None:
        raise ApiError("51603", "Order does not exist")
    return Reply([algo_row(found)])


def _pending(ask: Ask) -> Reply:
    return _algos(ask, pending=True)


def _history(ask: Ask) -> Reply:
    if not ask.params.text("state") and not ask.params.text("algoId"):
        raise ApiError("50015", "Either parameter state or algoId is required")
    return _algos(ask, pending=False)


def _algos(ask: Ask, *, pending: bool) -> Reply:
    params = ask.params
    named = params.needed("ordType").split(",")
    if not set(named) <= {*_TYPES, "iceberg", "twap", "chase"}:
        raise ApiError("51000", "Parameter ordType error")
    if not traded(params):
        return Reply([])
    types = [name for name in _TYPES if name in named]
    kind = inst_type(params)

    def fetch(page: tuple[str, str], count: int) -> Sequence[AlgoOrder]:
        return ask.exchange.algos(
            ask.account,
            pending=pending,
            algo_types=types,
            inst_type=kind,
            inst_id=params.text("instId"),
            page=page,
            limit=count,
        )

    def keep(algo: AlgoOrder) -> bool:
        return (
            params.text("algoId") in ("", algo.algo_id)
            and params.text("algoClOrdId") in ("", algo.request.algo_client_id)
            and (pending or params.text("state") in ("", algo.state))
        )

    found = collected(fetch, keep, lambda algo: algo.algo_id, params=params) if types else ()
    return Reply([algo_row(algo) for algo in found])


ENDPOINTS: Sequence[Endpoint] = (
    Endpoint("POST", "trade/order-algo", _place, limit("trade/order-algo", 20, "account+inst"), "trade", orders=False),
    Endpoint("POST", "trade/amend-algos", _amend, limit("trade/amend-algos", 20, "account+inst"), "trade"),
    Endpoint(
        "POST", "trade/cancel-algos", _cancel, limit("trade/cancel-algos", 20, "account+inst"), "trade", CANCEL_MAX
    ),
    Endpoint("GET", "trade/order-algo", _algo, limit("get trade/order-algo", 20, "account"), "read_only"),
    Endpoint("GET", "trade/orders-algo-pending", _pending, limit("algo-pending", 20, "account"), "read_only"),
    Endpoint("GET", "trade/orders-algo-history", _history, limit("algo-history", 20, "account"), "read_only"),
)
