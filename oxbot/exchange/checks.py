"""What the exchange refuses, with OKX's codes; nothing here changes anything."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

from oxbot.core import money
from oxbot.exchange import positions
from oxbot.exchange.accounts import TAG
from oxbot.exchange.desk import Desk, Refusal
from oxbot.exchange.model import MARKET_PRICE, Instrument, PlaceAlgo, PlaceOrder
from oxbot.exchange.records import AlgoOrder, Order
from oxbot.exchange.state import Account

Kept = TypeVar("Kept")

_CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)


def not_expired(desk: Desk, expires_at: int | None) -> None:
    """Nothing is done past the client's own deadline (expTime)."""
    if expires_at is not None and desk.state.now > expires_at:
        raise Refusal("51149", "Order timed out. Please try again.")


def client_id(desk: Desk, account: Account, wanted: str) -> None:
    """1 to 32 ASCII letters and digits, and not one that is known: of a working order or one ended not long ago."""
    if not wanted:
        return
    if _CLIENT_ID.fullmatch(wanted) is None:
        raise Refusal("51000", "Parameter clOrdId error")
    for order_id in account.client_ids.get(wanted, ()):
        order = desk.state.orders[order_id]
        if order.state in {"live", "partially_filled"} or _remembered(desk, order.updated_at):
            raise Refusal("51016", "Duplicated client order ID")


def algo_client_id(desk: Desk, account: Account, wanted: str) -> None:
    """The same rules for algo orders, whose ids are a row of their own."""
    if not wanted:
        return
    if _CLIENT_ID.fullmatch(wanted) is None:
        raise Refusal("51000", "Parameter algoClOrdId error")
    for algo_id in account.algo_client_ids.get(wanted, ()):
        algo = desk.state.algos[algo_id]
        if algo.state == "live" or _remembered(desk, algo.updated_at):
            raise Refusal("51065", "algoClOrdId already exists.")


def order(desk: Desk, account: Account, request: PlaceOrder) -> Instrument:
    """All that can be wrong with an order but its client id and the funds; the instrument if nothing is."""
    instrument = tradable(desk, account, request.inst_id, request.position_side, request.tag)
    desk.last(request.inst_id)
    mode(instrument, request.trade_mode)
    market = request.order_type in {"market", "optimal_limit_ioc"}
    spot_buy = instrument.inst_type == "SPOT" and request.side == "buy"
    if request.order_type == "optimal_limit_ioc" and instrument.inst_type == "SPOT":
        raise Refusal("51000", "Parameter ordType error")
    if market and spot_buy and request.size_unit != "base_ccy":
        amount(request.size, "sz")
    else:
        size(instrument, request.size, market=market)
    if not market:
        price(instrument, request.price, "px")
    if request.reduce_only and instrument.inst_type == "SWAP":
        reduces(account, request.inst_id, request.trade_mode, request.side)
    return instrument


def tradable(desk: Desk, account: Account, inst_id: str, position_side: str, tag: str) -> Instrument:
    """The instrument, if it and the account's mode let it trade."""
    instrument = desk.instrument(inst_id)
    if instrument.state != "live":
        raise Refusal("51022", "Contract suspended.")
    if position_side not in {"", "net"} or account.position_mode != "net_mode":
        raise Refusal("51000", "Parameter posSide error")
    if TAG.fullmatch(tag) is None:
        raise Refusal("51000", "Parameter tag error")
    return instrument


def mode(instrument: Instrument, trade_mode: str) -> None:
    """Cash for SPOT, a margin mode for SWAP."""
    if (trade_mode == "cash") != (instrument.inst_type == "SPOT"):
        raise Refusal("51000", "Parameter tdMode error")


def amount(value: Decimal | None, name: str) -> Decimal:
    """A number above 0 with which can be reckoned exactly."""
    if value is None or money.fault(value) is not None or value <= 0:
        raise Refusal("51000", f"Parameter {name} error")
    return value


def size(instrument: Instrument, value: Decimal, *, market: bool) -> None:
    """A whole number of lots within the instrument's bounds."""
    amount(value, "sz")
    if value % instrument.lot:
        raise Refusal("51121", "Order quantity must be a multiple of the lot size.")
    if value < instrument.minimum:
        raise Refusal("51020", "Your order should meet or exceed the minimum order amount.")
    if market and value > instrument.max_market:
        raise Refusal("51202", "Market order amount exceeds the maximum amount.")
    if value > instrument.max_limit:
        raise Refusal("51101", f"Order failed, the sz of the current order can't be more than {instrument.max_limit}.")


def price(instrument: Instrument, value: Decimal | None, name: str) -> None:
    """A price on the instrument's tick."""
    if amount(value, name) % instrument.tick:
        raise Refusal("51000", f"Parameter {name} error")


def reduces(account: Account, inst_id: str, trade_mode: str, side: str) -> None:
    """There is something that an order of this side would close."""
    held = positions.held(account, inst_id, trade_mode)
    if not held:
        raise Refusal(
            "51169", "Order failed because you don't have any positions in this direction to reduce or close."
        )
    if (held > 0) == (side == "buy"):
        raise Refusal("51170", "A reduce-only order can't be the same trading direction as your existing positions.")


def algo(desk: Desk, account: Account, request: PlaceAlgo) -> Instrument:
    """All that can be wrong with an algo order but its client id."""
    instrument = tradable(desk, account, request.inst_id, request.position_side, request.tag)
    desk.last(request.inst_id)
    spot = instrument.inst_type == "SPOT"
    if not spot:
        mode(instrument, request.trade_mode)
    if spot and request.side == "buy" and request.size_unit == "quote_ccy":
        amount(request.size, "sz")
    else:
        size(instrument, request.size, market=False)
    if request.reduce_only and not spot:
        reduces(account, request.inst_id, request.trade_mode, request.side)
    algo_prices(desk, instrument, request)
    return instrument


def algo_prices(desk: Desk, instrument: Instrument, request: PlaceAlgo) -> None:
    """Which prices the type needs, and on which side of the last price they must be."""
    match request.algo_type:
        case "conditional" | "oco":
            both = request.sl_trigger is not None and request.tp_trigger is not None
            if (request.sl_trigger is None and request.tp_trigger is None) or (request.algo_type == "oco" and not both):
                raise Refusal("51000", "Parameter slTriggerPx/tpTriggerPx error")
            _leg(instrument, request.sl_trigger, request.sl_price, "sl")
            _leg(instrument, request.tp_trigger, request.tp_price, "tp")
            _sides(desk.last(request.inst_id), request)
        case "trigger":
            price(instrument, request.trigger_price, "triggerPx")
            _order_price(instrument, request.order_price, "orderPx")
        case "move_order_stop":
            _trailing(instrument, request)


def known(desk: Desk, account: Account, inst_id: str, order_id: str, client_id: str) -> Order | None:
    """The account's order with that id, or the newest with that client id."""
    if not order_id and not client_id:
        raise Refusal("51003", "Either client order ID or order ID is required.")
    found = _newest(desk.state.orders, order_id, account.client_ids.get(client_id))
    if found is None or found.account != account.spec.name or inst_id not in {"", found.inst_id}:
        return None
    return found


def known_algo(desk: Desk, account: Account, inst_id: str, algo_id: str, client_id: str) -> AlgoOrder | None:
    """The account's algo order with that id, or the newest with that client id."""
    if not algo_id and not client_id:
        raise Refusal("51003", "Either client order ID or order ID is required.")
    found = _newest(desk.state.algos, algo_id, account.algo_client_ids.get(client_id))
    if found is None or found.account != account.spec.name or inst_id not in {"", found.request.inst_id}:
        return None
    return found


def _newest(kept: Mapping[str, Kept], own_id: str, ids: list[str] | None) -> Kept | None:
    if own_id:
        return kept.get(own_id)
    return kept[ids[-1]] if ids else None


def _remembered(desk: Desk, ended_at: int) -> bool:
    return desk.state.now - ended_at < desk.settings.client_id_memory_ms


def _leg(instrument: Instrument, trigger: Decimal | None, order_price: Decimal | None, leg: str) -> None:
    if trigger is None:
        return
    price(instrument, trigger, f"{leg}TriggerPx")
    _order_price(instrument, order_price, f"{leg}OrdPx")


def _order_price(instrument: Instrument, value: Decimal | None, name: str) -> None:
    if value != MARKET_PRICE:
        price(instrument, value, name)


def _sides(last: Decimal, request: PlaceAlgo) -> None:
    """A sell takes its profit above the price and stops its loss below; a buy the other way round."""
    target, stop = request.tp_trigger, request.sl_trigger
    if request.side == "buy":
        if target is not None and target >= last:
            raise Refusal("51277", "TP trigger price cannot be higher than the last price.")
        if stop is not None and stop <= last:
            raise Refusal("51278", "SL trigger price cannot be lower than the last price.")
        return
    if target is not None and target <= last:
        raise Refusal("51279", "TP trigger price cannot be lower than the last price.")
    if stop is not None and stop >= last:
        raise Refusal("51280", "SL trigger price cannot be higher than the last price.")


def _trailing(instrument: Instrument, request: PlaceAlgo) -> None:
    if (request.callback_ratio is None) == (request.callback_spread is None):
        raise Refusal("51000", "Parameter callbackRatio error")
    if request.callback_ratio is not None and not 0 < amount(request.callback_ratio, "callbackRatio") < 1:
        raise Refusal("51257", "Trailing stop order callback rate error.")
    if request.callback_spread is not None:
        amount(request.callback_spread, "callbackSpread")
    if request.active_price is not None:
        price(instrument, request.active_price, "activePx")
