"""An account's records as OKX's rows."""

from collections.abc import Sequence
from decimal import Decimal

from oxbot.exchange.model import AccountConfig
from oxbot.exchange.records import AlgoOrder, BalanceView, Bill, Fill, Order, PositionView
from oxbot.exchange.wire import Row, say, yes

_TAKEN: Row = {
    "ccy": "",
    "pxUsd": "",
    "pxVol": "",
    "pxType": "",
    "rebate": "0",
    "rebateCcy": "",
    "quickMgnType": "",
    "stpId": "",
    "stpMode": "cancel_maker",
    "attachAlgoClOrdId": "",
    "attachAlgoOrds": [],
    "slTriggerPx": "",
    "slTriggerPxType": "",
    "slOrdPx": "",
    "tpTriggerPx": "",
    "tpTriggerPxType": "",
    "tpOrdPx": "",
    "isTpLimit": "false",
    "tradeQuoteCcy": "",
}


def order_row(order: Order) -> Row:
    """As /trade/order shows it."""
    fill = order.last_fill
    spot_market = order.inst_type == "SPOT" and order.order_type == "market"
    return {
        **_TAKEN,
        "instType": order.inst_type,
        "instId": order.inst_id,
        "ordId": order.order_id,
        "clOrdId": order.client_id,
        "tag": order.tag,
        "px": say(order.price),
        "sz": say(order.size),
        "pnl": say(order.pnl),
        "ordType": order.order_type,
        "side": order.side,
        "posSide": "net",
        "tdMode": order.trade_mode,
        "tgtCcy": (order.size_unit or "") if spot_market else "",
        "accFillSz": say(order.filled),
        "fillPx": "" if fill is None else say(fill.price),
        "fillSz": "0" if fill is None else say(fill.size),
        "fillTime": "" if fill is None else str(fill.at),
        "tradeId": "" if fill is None else fill.trade_id,
        "avgPx": say(order.average_price),
        "state": order.state,
        "lever": say(order.leverage),
        "feeCcy": order.fee_currency,
        "fee": say(order.fee),
        "source": order.source,
        "category": order.category,
        "reduceOnly": yes(order.reduce_only),
        "cancelSource": order.cancel_source,
        "cancelSourceReason": order.cancel_reason,
        "algoClOrdId": order.algo_client_id,
        "algoId": order.algo_id,
        "cTime": str(order.created_at),
        "uTime": str(order.updated_at),
    }


def pushed_order_row(order: Order, *, fill: Fill | None, amended: bool, request_id: str, last: Decimal | None) -> Row:
    """As the channel orders pushes it: its fields of a fill are those of this push alone."""
    notional = order.filled_value if order.inst_type == "SPOT" else (order.average_price or Decimal(0)) * order.filled
    return {
        **order_row(order),
        "fillPx": "" if fill is None else say(fill.price),
        "fillSz": "0" if fill is None else say(fill.size),
        "fillTime": "" if fill is None else str(fill.at),
        "tradeId": "" if fill is None else fill.trade_id,
        "fillPnl": "0" if fill is None else say(fill.pnl),
        "fillFee": "0" if fill is None else say(fill.fee),
        "fillFeeCcy": "" if fill is None else fill.fee_currency,
        "execType": "" if fill is None else fill.exec_type,
        "fillNotionalUsd": say(notional),
        "notionalUsd": say(notional),
        "fillFwdPx": "",
        "fillMarkPx": "",
        "fillMarkVol": "",
        "fillPxUsd": "",
        "fillPxVol": "",
        "lastPx": say(last),
        "amendResult": "0" if amended else "",
        "amendSource": "1" if amended else "",
        "reqId": request_id,
        "code": "0",
        "msg": "",
    }


def algo_row(algo: AlgoOrder, *, last: Decimal | None = None) -> Row:
    """As /trade/order-algo and the channel orders-algo show it."""
    request = algo.request
    prices = {
        "slTriggerPx": request.sl_trigger,
        "slOrdPx": request.sl_price,
        "tpTriggerPx": request.tp_trigger,
        "tpOrdPx": request.tp_price,
        "triggerPx": request.trigger_price,
        "ordPx": request.order_price,
        "callbackRatio": request.callback_ratio,
        "callbackSpread": request.callback_spread,
        "activePx": request.active_price,
        "moveTriggerPx": algo.move_trigger,
    }
    return {
        **{name: say(price) for name, price in prices.items()},
        "slTriggerPxType": "last" if request.sl_trigger is not None else "",
        "tpTriggerPxType": "last" if request.tp_trigger is not None else "",
        "triggerPxType": "last" if request.trigger_price is not None else "",
        "instType": algo.inst_type,
        "instId": request.inst_id,
        "ccy": "",
        "ordId": algo.order_id,
        "ordIdList": [algo.order_id] if algo.order_id else [],
        "algoId": algo.algo_id,
        "algoClOrdId": request.algo_client_id,
        "clOrdId": "",
        "sz": say(request.size),
        "closeFraction": "",
        "ordType": request.algo_type,
        "side": request.side,
        "posSide": "net",
        "tdMode": request.trade_mode,
        "tgtCcy": request.size_unit or "",
        "state": algo.state,
        "lever": say(algo.leverage),
        "actualSz": say(algo.actual_size),
        "actualPx": say(algo.actual_price),
        "actualSide": algo.actual_side,
        "triggerTime": str(algo.trigger_time) if algo.trigger_time else "",
        "failCode": algo.fail_code,
        "last": say(algo.last if last is None else last),
        "reduceOnly": yes(request.reduce_only),
        "cxlOnClosePos": yes(request.cancel_on_close),
        "cancelSource": algo.cancel_source,
        "tag": request.tag,
        "amendPxOnTriggerType": "0",
        "attachAlgoOrds": [],
        "linkedOrd": {"ordId": ""},
        "quickMgnType": "",
        "cTime": str(algo.created_at),
        "uTime": str(algo.updated_at),
    }


def fill_row(fill: Fill) -> Row:
    """As /trade/fills shows it."""
    return {
        "instType": fill.inst_type,
        "instId": fill.inst_id,
        "tradeId": fill.trade_id,
        "ordId": fill.order_id,
        "clOrdId": fill.client_id,
        "billId": fill.bill_id,
        "subType": "1" if fill.side == "buy" else "2",
        "tag": "",
        "fillPx": say(fill.price),
        "fillSz": say(fill.size),
        "fillIdxPx": "",
        "fillPnl": say(fill.pnl),
        "fillPxVol": "",
        "fillPxUsd": "",
        "fillMarkVol": "",
        "fillFwdPx": "",
        "fillMarkPx": "",
        "side": fill.side,
        "posSide": "net",
        "execType": fill.exec_type,
        "feeCcy": fill.fee_currency,
        "fee": say(fill.fee),
        "ts": str(fill.at),
        "fillTime": str(fill.at),
    }


def pushed_fill_row(fill: Fill) -> Row:
    """As the channel fills pushes it: without fees, as at OKX."""
    return {
        "instId": fill.inst_id,
        "fillSz": say(fill.size),
        "fillPx": say(fill.price),
        "side": fill.side,
        "ts": str(fill.at),
        "ordId": fill.order_id,
        "clOrdId": fill.client_id,
        "tradeId": fill.trade_id,
        "execType": fill.exec_type,
        "count": "1",
    }


def position_row(position: PositionView) -> Row:
    """As /account/positions and the channel positions show it."""
    isolated = position.margin_mode == "isolated"
    return {
        "instType": "SWAP",
        "instId": position.inst_id,
        "posId": position.position_id,
        "mgnMode": position.margin_mode,
        "posSide": "net",
        "pos": say(position.contracts),
        "posCcy": "",
        "ccy": position.currency,
        "availPos": say(position.available),
        "avgPx": say(position.average_price),
        "nonSettleAvgPx": "",
        "markPx": say(position.mark_price),
        "last": say(position.last_price),
        "idxPx": say(position.mark_price),
        "usdPx": "",
        "bePx": "",
        "upl": say(position.upl),
        "uplRatio": say(position.upl_ratio),
        "uplLastPx": say(position.upl),
        "uplRatioLastPx": say(position.upl_ratio),
        "lever": say(position.leverage),
        "liqPx": say(position.liquidation_price),
        "margin": say(position.margin) if isolated else "",
        "imr": "" if isolated else say(position.initial_margin),
        "mmr": say(position.maintenance_margin),
        "mgnRatio": say(position.margin_ratio),
        "notionalUsd": say(position.notional),
        "realizedPnl": say(position.realised),
        "settledPnl": "",
        "pnl": say(position.realised - position.fee - position.funding),
        "fee": say(position.fee),
        "fundingFee": say(position.funding),
        "liqPenalty": "0",
        "interest": "",
        "liab": "",
        "liabCcy": "",
        "adl": "1",
        "tradeId": position.last_trade_id,
        "closeOrderAlgo": [],
        "cTime": str(position.created_at),
        "uTime": str(position.updated_at),
    }


def balance_row(balance: BalanceView) -> Row:
    """One currency of /account/balance and of the channel account."""
    return {
        "ccy": balance.currency,
        "eq": say(balance.equity),
        "eqUsd": say(balance.equity),
        "cashBal": say(balance.cash),
        "availBal": say(balance.available),
        "availEq": say(balance.available),
        "frozenBal": say(balance.frozen),
        "ordFrozen": say(balance.order_frozen),
        "isoEq": say(balance.isolated_equity),
        "isoUpl": say(balance.isolated_upl),
        "upl": say(balance.upl),
        "imr": say(balance.initial_margin),
        "mmr": say(balance.maintenance_margin),
        "disEq": say(balance.equity),
        "fixedBal": "0",
        "liab": "0",
        "crossLiab": "0",
        "isoLiab": "0",
        "interest": "0",
        "notionalLever": "",
        "mgnRatio": "",
        "spotInUseAmt": "",
        "stgyEq": "0",
        "twap": "0",
        "uplLiab": "0",
        "uTime": str(balance.updated_at),
    }


def account_row(balances: Sequence[BalanceView], *, at: int) -> Row:
    """The account around its currencies. Its total adds up what is quoted in dollars, at one each."""
    dollars = [balance for balance in balances if balance.currency in ("USD", "USDC", "USDT")]
    total = say(sum((balance.equity for balance in dollars), Decimal(0)))
    return {
        "uTime": str(at),
        "totalEq": total,
        "adjEq": "",
        "isoEq": say(sum((balance.isolated_equity for balance in dollars), Decimal(0))),
        "ordFroz": "",
        "imr": "",
        "mmr": "",
        "mgnRatio": "",
        "notionalUsd": "",
        "borrowFroz": "",
        "upl": "",
        "details": [balance_row(balance) for balance in balances],
    }


def bill_row(bill: Bill) -> Row:
    """As /account/bills shows it."""
    return {
        "billId": bill.bill_id,
        "ccy": bill.currency,
        "type": bill.type,
        "subType": bill.sub_type,
        "bal": say(bill.balance),
        "balChg": say(bill.change),
        "posBal": "0",
        "posBalChg": "0",
        "sz": say(bill.size),
        "px": say(bill.price),
        "pnl": say(bill.pnl),
        "fee": say(bill.fee),
        "earnAmt": "",
        "earnApr": "",
        "interest": "0",
        "mgnMode": bill.margin_mode,
        "instType": bill.inst_type,
        "instId": bill.inst_id,
        "ordId": bill.order_id,
        "clOrdId": bill.client_id,
        "tradeId": bill.trade_id,
        "execType": bill.exec_type,
        "from": "",
        "to": "",
        "notes": "",
        "tag": "",
        "fillTime": str(bill.at) if bill.trade_id else "",
        "fillIdxPx": "",
        "fillMarkPx": "",
        "ts": str(bill.at),
    }


def fee_row(config: AccountConfig, inst_type: str, *, at: int) -> Row:
    """As /account/trade-fee shows it: below 0 is paid."""
    maker, taker = (
        (config.fees.spot_maker, config.fees.spot_taker)
        if inst_type == "SPOT"
        else (config.fees.swap_maker, config.fees.swap_taker)
    )
    swap = inst_type == "SWAP"
    return {
        "category": "1",
        "level": "Lv1",
        "instType": inst_type,
        "maker": "" if swap else say(-maker),
        "taker": "" if swap else say(-taker),
        "makerU": say(-maker) if swap else "",
        "takerU": say(-taker) if swap else "",
        "makerUSDC": "",
        "takerUSDC": "",
        "delivery": "",
        "exercise": "",
        "ruleType": "normal",
        "ts": str(at),
    }
