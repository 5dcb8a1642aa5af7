"""Each way in which an order request makes no sense, as the only reason for its refusal."""

from decimal import Decimal

import pytest

from events.bot import OrderRequested
from events.values import Bracket, ScaleOut
from oxbot.core.order_validation import validate
from tests.core.paper_book import BRACKETED, ask, terms
from tests.core.scenario import moment

ZERO, ONE = Decimal(0), Decimal(1)


def exits(**fields: object) -> Bracket:
    return Bracket(**{"stop_fraction": ZERO, "target_fraction": ZERO, **fields})  # type: ignore[arg-type]  # by name


SOUND = [
    pytest.param(ask(1, notional="10"), id="market by notional"),
    pytest.param(ask(1, quantity="0.001", bracket=BRACKETED), id="market by quantity, with a bracket"),
    pytest.param(ask(1, "limit", quantity="1", limit_price="9.99", post_only=True, expires_at=moment(1)), id="limit"),
    pytest.param(ask(1, "limit", quantity="1", limit_price="9", time_in_force="fok"), id="fill or kill"),
    pytest.param(ask(1, "stop", quantity="1", trigger_price="9"), id="stop entry"),
    pytest.param(ask(1, "stop_limit", quantity="1", trigger_price="9", limit_price="9.1"), id="stop-limit"),
    pytest.param(ask(1, "take_profit", "sell", quantity="1", trigger_price="9", reduce_only=True), id="take-profit"),
    pytest.param(
        ask(1, "trailing_stop", "sell", quantity="1", activation_price="9", trailing_fraction="0.1", reduce_only=True),
        id="trailing stop",
    ),
]

NONSENSE = [
    (ask(1), "either quantity or notional"),
    (ask(1, quantity="1", notional="1"), "either quantity or notional"),
    (ask(1, quantity="0"), "quantity is 0, but must be above 0"),
    (ask(1, quantity="0.0015"), "quantity is 0.0015, which is no multiple of the lot 0.001"),
    (ask(1, notional="-1"), "notional is -1, but must be above 0"),
    (ask(1, "market", "sell", notional="1", reduce_only=True), "ordered by quantity, not by notional"),
    (ask(1, "limit", quantity="1"), "a limit order needs limit_price"),
    (ask(1, "stop_limit", quantity="1", trigger_price="9"), "a stop_limit order needs limit_price"),
    (ask(1, quantity="1", limit_price="9"), "a market order has no limit_price"),
    (ask(1, "stop", quantity="1", trigger_price="9", limit_price="9"), "a stop order has no limit_price"),
    (ask(1, "stop", quantity="1"), "a stop order needs trigger_price"),
    (ask(1, "trailing_stop", quantity="1", trailing_fraction="0.1"), "a trailing_stop order needs trigger_price"),
    (ask(1, "limit", quantity="1", limit_price="9", trigger_price="9"), "a limit order has no trigger_price"),
    (ask(1, "limit", quantity="1", limit_price="9.999"), "limit_price is 9.999, which is no multiple of the tick 0.01"),
    (ask(1, "stop", quantity="1", trigger_price="-9"), "trigger_price is -9, but must be above 0"),
    (ask(1, "stop", quantity="1", trigger_price="9", trailing_fraction="0.1"), "a stop order has no trailing_fraction"),
    (ask(1, "trailing_stop", quantity="1", trigger_price="9"), "trailing_fraction is None"),
    (ask(1, "trailing_stop", quantity="1", trigger_price="9", trailing_fraction="1"), "trailing_fraction is 1"),
    (ask(1, quantity="1", expires_at=moment(0)), "expires_at is not after the request"),
    (
        ask(1, "stop", quantity="1", trigger_price="9", time_in_force="ioc"),
        "time_in_force ioc is for orders that trade",
    ),
    (
        ask(1, "limit", quantity="1", limit_price="9", time_in_force="fok", post_only=True),
        "post_only and time_in_force fok exclude each other",
    ),
    (ask(1, quantity="1", post_only=True), "post_only is for limit orders, not for a market"),
    (ask(1, "market", "sell", quantity="1", reduce_only=True, reason="entry"), "an entry cannot be reduce_only"),
    (ask(1, "market", "sell", quantity="1", reason="stop_loss"), r"an exit \(stop_loss\) must be reduce_only"),
    (ask(1, "market", "sell", quantity="1"), "on spot, an entry buys and an exit sells"),
    (ask(1, quantity="1", reduce_only=True), "on spot, an entry buys and an exit sells"),
    (ask(1, "market", "sell", quantity="1", reduce_only=True, bracket=BRACKETED), "only an entry has a bracket"),
    (ask(1, quantity="1", leverage="101"), "leverage is 101, but must be from 1 to 100"),
    (ask(1, quantity="1", leverage="0.5"), "leverage is 0.5, but must be from 1 to 100"),
    (ask(1, quantity="1", bracket=exits(stop_fraction=ONE)), "bracket.stop_fraction is 1"),
    (ask(1, quantity="1", bracket=exits(target_fraction=-ONE)), "bracket.target_fraction is -1"),
    (ask(1, quantity="1", bracket=exits(trailing_activation=-ONE)), "bracket.trailing_activation is -1"),
    (ask(1, quantity="1", bracket=exits(trailing_fraction=ZERO)), "bracket.trailing_fraction is 0"),
    (ask(1, quantity="1", bracket=exits(candles_max=0)), "bracket.candles_max is 0"),
    (ask(1, quantity="1", bracket=exits(scale_out=(ScaleOut(target_fraction=ONE, share=ZERO),))), "has 0 at 1"),
    (
        ask(1, quantity="1", bracket=exits(scale_out=(ScaleOut(target_fraction=ONE, share=ONE),) * 2)),
        "takes off 2 of the position",
    ),
]


@pytest.mark.parametrize("request_", SOUND)
def test_a_sound_request_has_no_fault(request_: OrderRequested) -> None:
    assert validate(request_, terms().instrument) is None


@pytest.mark.parametrize(("request_", "reason"), [pytest.param(*case, id=case[1]) for case in NONSENSE])
def test_a_request_that_makes_no_sense_is_refused_with_its_reason(request_: OrderRequested, reason: str) -> None:
    fault = validate(request_, terms().instrument)
    assert fault is not None
    assert reason.replace("\\", "") in fault


def test_a_perpetual_may_be_sold_to_enter() -> None:
    assert validate(ask(1, "market", "sell", quantity="1", leverage="5"), terms(kind="perpetual").instrument) is None
