"""Endpoints of an account: balances, positions, settings, bills, fees, how much it could trade."""

from collections.abc import Callable, Sequence
from decimal import Decimal

from oxbot.exchange.account_rows import account_row, bill_row, fee_row, position_row
from oxbot.exchange.model import Instrument, MarginMode, PositionMode
from oxbot.exchange.records import Bill
from oxbot.exchange.rest import INST_TYPES, Ask, Endpoint, collected, inst_type, limit, traded
from oxbot.exchange.rows import config_row, instrument_row, leverage_row
from oxbot.exchange.wire import ApiError, Reply, Row, say

MARGIN_MODES: Sequence[MarginMode] = ("cross", "isolated")
POSITION_MODES: Sequence[PositionMode] = ("net_mode", "long_short_mode")


def _balance(ask: Ask) -> Reply:
    wanted = {ccy for ccy in ask.params.text("ccy").split(",") if ccy}
    found = [row for row in ask.exchange.balances(ask.account) if not wanted or row.currency in wanted]
    return Reply([account_row(found, at=ask.now)])


def _positions(ask: Ask) -> Reply:
    if not traded(ask.params) or inst_type(ask.params) == "SPOT":
        return Reply([])
    wanted = {name for name in ask.params.text("instId").split(",") if name}
    ids = {number for number in ask.params.text("posId").split(",") if number}
    found = [
        row
        for row in ask.exchange.positions(ask.account)
        if (not wanted or row.inst_id in wanted) and (not ids or row.position_id in ids)
    ]
    return Reply([position_row(row) for row in found])


def _config(ask: Ask) -> Reply:
    caller = ask.caller
    if caller is None:
        return Reply([])
    return Reply([config_row(ask.exchange.config(ask.account), permissions=caller.key.permissions, label="oxbot")])


def _instruments(ask: Ask) -> Reply:
    if not traded(ask.params, needed=True):
        return Reply([])
    kind = inst_type(ask.params)
    wanted = ask.params.text("instId")
    return Reply([instrument_row(row) for row in ask.exchange.instruments(kind) if wanted in ("", row.inst_id)])


def _leverage_info(ask: Ask) -> Reply:
    names = [name for name in ask.params.needed("instId").split(",") if name]
    modes = ask.params.needed("mgnMode").split(",")
    found = [
        leverage_row(ask.exchange.leverage(ask.account, _swap(ask, name).inst_id, mode), "")
        for name in names
        for mode in MARGIN_MODES
        if mode in modes
    ]
    if not found:
        raise ApiError("51000", "Parameter mgnMode error")
    return Reply(found)


def _set_leverage(ask: Ask) -> Reply:
    of = _swap(ask, ask.params.needed("instId"))
    mode = ask.params.one_of("mgnMode", MARGIN_MODES)
    leverage = ask.params.needed_number("lever")
    if ask.params.text("posSide", "net") != "net":
        raise ApiError("51000", "Parameter posSide error")
    refused = ask.exchange.set_leverage(ask.account, of.inst_id, mode, leverage, ask.now)
    if refused is not None:
        raise ApiError(refused.code, refused.msg)
    row: Row = {"lever": say(leverage), "mgnMode": mode, "instId": of.inst_id, "posSide": "net"}
    return Reply([row])


def _set_position_mode(ask: Ask) -> Reply:
    mode = ask.params.one_of("posMode", POSITION_MODES)
    refused = ask.exchange.set_position_mode(ask.account, mode, ask.now)
    if refused is not None:
        raise ApiError(refused.code, refused.msg)
    return Reply([{"posMode": mode}])


def _bills(ask: Ask) -> Reply:
    if not traded(ask.params):
        return Reply([])
    kind = inst_type(ask.params)
    params = ask.params
    begin, end = params.whole("begin"), params.whole("end")

    def fetch(page: tuple[str, str], count: int) -> Sequence[Bill]:
        return ask.exchange.bills(
            ask.account,
            currency=params.text("ccy"),
            bill_type=params.text("type"),
            inst_type=kind,
            begin=begin,
            end=end,
            page=page,
            limit=count,
        )

    def keep(bill: Bill) -> bool:
        return (
            params.text("mgnMode") in ("", bill.margin_mode)
            and params.text("subType") in ("", bill.sub_type)
            and params.text("instId") in ("", bill.inst_id)
        )

    found = collected(fetch, keep, lambda bill: bill.bill_id, params=params)
    return Reply([bill_row(bill) for bill in found])


def _max_size(ask: Ask) -> Reply:
    mode = ask.params.one_of("tdMode", ("cash", "cross", "isolated"))
    price = ask.params.number("px")
    return Reply([_max_row(ask, name, mode, price) for name in ask.params.needed("instId").split(",")])


def _max_row(ask: Ask, name: str, mode: str, price: Decimal | None) -> Row:
    of = _known(ask, name)
    buy, sell = ask.exchange.max_size(ask.account, of.inst_id, mode, price)
    return {"instId": of.inst_id, "ccy": "", "maxBuy": say(buy), "maxSell": say(sell)}


def _max_available(ask: Ask) -> Reply:
    """What is free to buy with (quote) and to sell (base); for SWAP the margin that is free."""
    ask.params.one_of("tdMode", ("cash", "cross", "isolated"))
    free = {row.currency: row.available for row in ask.exchange.balances(ask.account)}
    found: list[Row] = []
    for name in ask.params.needed("instId").split(","):
        of = _known(ask, name)
        quote = max(Decimal(0), free.get(of.quote, Decimal(0)))
        base = quote if of.inst_type == "SWAP" else max(Decimal(0), free.get(of.base, Decimal(0)))
        found.append({"instId": of.inst_id, "availBuy": say(quote), "availSell": say(base)})
    return Reply(found)


def _trade_fee(ask: Ask) -> Reply:
    kind = ask.params.one_of("instType", INST_TYPES)
    return Reply([fee_row(ask.exchange.config(ask.account), kind, at=ask.now)])


def _currencies(ask: Ask) -> Reply:
    """Every currency that is traded, on a chain of its own that takes neither deposits nor withdrawals."""
    names = sorted({name for row in ask.exchange.instruments() for name in (row.base, row.quote)})
    wanted = {ccy for ccy in ask.params.text("ccy").split(",") if ccy}
    return Reply([_currency_row(name) for name in names if not wanted or name in wanted])


def _currency_row(name: str) -> Row:
    return {
        "ccy": name,
        "name": name,
        "chain": f"{name}-Local",
        "canDep": False,
        "canWd": False,
        "canInternal": False,
        "wdTickSz": "8",
        "minWd": "0.00000001",
        "maxWd": "1000000",
        "minDep": "0.00000001",
        "minFee": "0",
        "maxFee": "0",
        "fee": "0",
        "mainNet": True,
        "logoLink": "",
    }


def _funding_balances(ask: Ask) -> Reply:
    """The funding account is empty: everything is in the trading account."""
    del ask
    return Reply([])


def _known(ask: Ask, name: str) -> Instrument:
    found = ask.exchange.instrument(name)
    if found is None:
        raise ApiError("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
    return found


def _swap(ask: Ask, name: str) -> Instrument:
    found = _known(ask, name)
    if found.inst_type != "SWAP":
        raise ApiError("51010", "You can't complete this request under your current account mode.")
    return found


def _get(path: str, count: int, handle: Callable[[Ask], Reply], *, window_ms: int = 2000) -> Endpoint:
    return Endpoint("GET", path, handle, limit(path, count, "account", window_ms=window_ms), "read_only")


def _post(path: str, count: int, handle: Callable[[Ask], Reply]) -> Endpoint:
    return Endpoint("POST", path, handle, limit(path, count, "account"), "trade")


ENDPOINTS: Sequence[Endpoint] = (
    _get("account/balance", 10, _balance),
    _get("account/positions", 10, _positions),
    _get("account/config", 5, _config),
    _get("account/instruments", 20, _instruments),
    _get("account/leverage-info", 20, _leverage_info),
    _get("account/bills", 10, _bills),
    _get("account/bills-archive", 10, _bills),
    _get("account/max-size", 20, _max_size),
    _get("account/max-avail-size", 20, _max_available),
    _get("account/trade-fee", 5, _trade_fee),
    _get("asset/currencies", 6, _currencies, window_ms=1000),
    _get("asset/balances", 6, _funding_balances, window_ms=1000),
    _post("account/set-leverage", 20, _set_leverage),
    _post("account/set-position-mode", 5, _set_position_mode),
)
