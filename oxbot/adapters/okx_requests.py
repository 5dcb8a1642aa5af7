"""Writes our orders as OKX v5 takes them."""

from oxbot.adapters.okx_markets import Steps
from oxbot.app.venue import VenueAmendment, VenueOrderRef, VenueRequest
from oxbot.core.money import text

AT_MARKET = "-1"
"""The price of an order that a trigger turns into a market order."""

ENTRY_TAG = "oxbotEntry"
EXIT_TAG = "oxbotExit"
"""OKX's mark of an order, by which cancel-all-after tells ours apart: it ends entries of ours, and nothing else."""

Body = dict[str, object]


def waits_for_trigger(request: VenueRequest) -> bool:
    """Whether OKX keeps it among its algo orders."""
    return request.kind not in ("market", "limit")


def order_body(request: VenueRequest, steps: Steps) -> Body:
    """The body of a place-order request. A spot market order is always counted in base currency."""
    body = _common(request, steps) | {"clOrdId": request.client_id, "ordType": _order_type(request)}
    if request.kind == "limit" and request.limit_price is not None:
        body["px"] = text(request.limit_price)
    if request.kind == "market" and not steps.perpetual:
        body["tgtCcy"] = "base_ccy"
    return body


def algo_body(request: VenueRequest, steps: Steps) -> Body:
    """The body of a place-algo-order request: what is reached by the last traded price becomes an order."""
    body = _common(request, steps) | {"algoClOrdId": request.client_id}
    price = AT_MARKET if request.limit_price is None else text(request.limit_price)
    match request.kind:
        case "trailing_stop":
            body |= {"ordType": "move_order_stop"}
            if request.trailing_fraction is not None:
                body["callbackRatio"] = text(request.trailing_fraction)
            if request.activation_price is not None:
                body["activePx"] = text(request.activation_price)
            return body
        case "take_profit":
            body |= {"ordType": "conditional"} | _leg("tp", _level(request), price)
        case "oco":
            target = "" if request.target_price is None else text(request.target_price)
            body |= {"ordType": "oco"} | _leg("sl", _level(request), price) | _leg("tp", target, AT_MARKET)
        case _:
            body |= {"ordType": "conditional"} | _leg("sl", _level(request), price)
    if not steps.perpetual:
        body["tgtCcy"] = "base_ccy"
    return body


def named(ref: VenueOrderRef, steps: Steps) -> Body:
    """Which order is meant; OKX's own id where it is known, since a client id may name several one after another."""
    if ref.at_trigger:
        name = {"algoId": ref.venue_order_id} if ref.venue_order_id else {"algoClOrdId": ref.client_id}
    else:
        name = {"ordId": ref.venue_order_id} if ref.venue_order_id else {"clOrdId": ref.client_id}
    return {"instId": steps.instrument_id, **name}


def amendment_body(ref: VenueOrderRef, amendment: VenueAmendment, steps: Steps) -> Body:
    """The body of an amend-order request."""
    body = named(ref, steps)
    if amendment.quantity is not None:
        body["newSz"] = steps.size(amendment.quantity)
    if amendment.limit_price is not None:
        body["newPx"] = text(amendment.limit_price)
    return body


def algo_amendment_body(ref: VenueOrderRef, amendment: VenueAmendment, steps: Steps, *, only_target: bool) -> Body:
    """The body of an amend-algo-order request; of an order with a target only, the trigger is the target's."""
    body = named(ref, steps)
    if amendment.quantity is not None:
        body["newSz"] = steps.size(amendment.quantity)
    trigger, target, leg = amendment.trigger_price, amendment.target_price, "Sl"
    if only_target:
        trigger, target, leg = None, amendment.target_price or amendment.trigger_price, "Tp"
    if trigger is not None:
        body["newSlTriggerPx"] = text(trigger)
    if target is not None:
        body["newTpTriggerPx"] = text(target)
    if amendment.limit_price is not None:
        body[f"new{leg}OrdPx"] = text(amendment.limit_price)
    return body


def _common(request: VenueRequest, steps: Steps) -> Body:
    body: Body = {
        "instId": steps.instrument_id,
        "tdMode": "isolated" if steps.perpetual else "cash",
        "side": request.side,
        "sz": steps.size(request.quantity),
        "tag": EXIT_TAG if request.reduce_only else ENTRY_TAG,
    }
    # OKX refuses the flag for spot, where there is no position that an order could exceed.
    if request.reduce_only and steps.perpetual:
        body["reduceOnly"] = True
    return body


def _order_type(request: VenueRequest) -> str:
    if request.kind == "market":
        return "market"
    if request.post_only:
        return "post_only"
    return "limit" if request.time_in_force == "gtc" else request.time_in_force


def _leg(leg: str, level: str, price: str) -> Body:
    return {f"{leg}TriggerPx": level, f"{leg}TriggerPxType": "last", f"{leg}OrdPx": price}


def _level(request: VenueRequest) -> str:
    return "" if request.trigger_price is None else text(request.trigger_price)
