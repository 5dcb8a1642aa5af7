"""Which order requests make no sense, whatever the market does."""

from collections.abc import Callable
from decimal import Decimal

from events.bot import OrderRequested
from events.values import Bracket, Instrument
from oxbot.core.money import ZERO
from oxbot.core.orders import LIMITED_KINDS, TRIGGERED_KINDS


def validate(request: OrderRequested, instrument: Instrument) -> str | None:
    """Why no venue could work the request, naming the field; None if one could.

    What depends on money or on the market (cash, limits, where stops stand) is the risk gate's.
    """
    for check in _CHECKS:
        reason = check(request, instrument)
        if reason is not None:
            return reason
    return None


def _size(request: OrderRequested, instrument: Instrument) -> str | None:
    if (request.quantity is None) == (request.notional is None):
        return "an order needs either quantity or notional"
    if request.quantity is not None:
        return _off_step("quantity", request.quantity, instrument.lot, "lot")
    if request.notional is not None and request.notional <= 0:
        return f"notional is {request.notional}, but must be above 0"
    if request.reduce_only:
        return "what reduces a position is ordered by quantity, not by notional"
    return None


def _prices(request: OrderRequested, instrument: Instrument) -> str | None:
    if request.kind in {"limit", "stop_limit"} and request.limit_price is None:
        return f"a {request.kind} order needs limit_price"
    if request.limit_price is not None and request.kind not in LIMITED_KINDS:
        return f"a {request.kind} order has no limit_price"
    late_trigger = request.kind == "trailing_stop" and request.activation_price is not None
    if request.kind in TRIGGERED_KINDS and request.trigger_price is None and not late_trigger:
        return f"a {request.kind} order needs trigger_price"
    if request.trigger_price is not None and request.kind not in TRIGGERED_KINDS:
        return f"a {request.kind} order has no trigger_price"
    for name in ("limit_price", "trigger_price", "activation_price"):
        price: Decimal | None = getattr(request, name)
        if price is not None and (reason := _off_step(name, price, instrument.tick, "tick")) is not None:
            return reason
    return None


def _trailing(request: OrderRequested, _: Instrument) -> str | None:
    fraction = request.trailing_fraction
    if request.kind != "trailing_stop":
        if request.activation_price is not None:
            return f"a {request.kind} order has no activation_price"
        return None if fraction is None else f"a {request.kind} order has no trailing_fraction"
    if fraction is None or not 0 < fraction < 1:
        return f"trailing_fraction is {fraction}, but must be above 0 and below 1"
    return None


def _duration(request: OrderRequested, _: Instrument) -> str | None:
    if request.expires_at is not None and request.expires_at <= request.at:
        return "expires_at is not after the request"
    if request.time_in_force != "gtc":
        if request.kind not in {"market", "limit"}:
            return f"time_in_force {request.time_in_force} is for orders that trade at once, not for a {request.kind}"
        if request.post_only:
            return f"post_only and time_in_force {request.time_in_force} exclude each other"
    if request.post_only and request.kind != "limit":
        return f"post_only is for limit orders, not for a {request.kind}"
    return None


def _purpose(request: OrderRequested, instrument: Instrument) -> str | None:
    if request.reason == "entry" and request.reduce_only:
        return "an entry cannot be reduce_only"
    if request.reason != "entry" and not request.reduce_only:
        return f"an exit ({request.reason}) must be reduce_only"
    if instrument.kind == "spot" and (request.side == "sell") != request.reduce_only:
        return "on spot, an entry buys and an exit sells"
    if request.bracket is not None and request.reduce_only:
        return "only an entry has a bracket"
    if request.leverage is not None and not 1 <= request.leverage <= instrument.leverage_max:
        return f"leverage is {request.leverage}, but must be from 1 to {instrument.leverage_max}"
    return None


def _exits(request: OrderRequested, _: Instrument) -> str | None:
    return None if request.bracket is None else bracket_fault(request.bracket)


def bracket_fault(bracket: Bracket) -> str | None:
    """What makes a bracket impossible whatever the fill price is, naming the field; None if nothing does."""
    bounds: tuple[tuple[str, Decimal | None, Decimal], ...] = (
        ("stop_fraction", bracket.stop_fraction, Decimal(1)),
        ("target_fraction", bracket.target_fraction, Decimal("Infinity")),
        ("trailing_activation", bracket.trailing_activation, Decimal("Infinity")),
    )
    for name, fraction, limit in bounds:
        if fraction is not None and not 0 <= fraction < limit:
            return f"bracket.{name} is {fraction}, but must be at least 0 and below {limit}"
    if bracket.trailing_fraction is not None and not 0 < bracket.trailing_fraction < 1:
        return f"bracket.trailing_fraction is {bracket.trailing_fraction}, but must be above 0 and below 1"
    if bracket.candles_max is not None and bracket.candles_max < 1:
        return f"bracket.candles_max is {bracket.candles_max}, but must be at least 1"
    for step in bracket.scale_out:
        if step.target_fraction <= 0 or step.share <= 0:
            return f"bracket.scale_out has {step.share} at {step.target_fraction}, but both must be above 0"
    shares = sum((step.share for step in bracket.scale_out), ZERO)
    if shares > 1:
        return f"bracket.scale_out takes off {shares} of the position, which is more than all of it"
    return None


def _off_step(name: str, amount: Decimal, step: Decimal, unit: str) -> str | None:
    if amount <= 0:
        return f"{name} is {amount}, but must be above 0"
    if amount % step != 0:
        return f"{name} is {amount}, which is no multiple of the {unit} {step}"
    return None


_CHECKS: tuple[Callable[[OrderRequested, Instrument], str | None], ...] = (
    _size,
    _prices,
    _trailing,
    _duration,
    _purpose,
    _exits,
)
