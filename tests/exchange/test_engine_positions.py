"""Positions at the local exchange: margin, profit, reduce-only, funding, liquidation."""

from decimal import Decimal

import pytest

from oxbot.exchange.model import Placed, Refused
from tests.exchange.engine_scenario import START, SWAP, Scenario, number

FEE = number("2.500005")
"""A taker's for 10 contracts of 0.01 at 50000.1."""


def opened(side: str = "buy", size: str = "10", *, leverage: str = "5", mode: str = "isolated") -> Scenario:
    scene = Scenario()
    assert scene.exchange.set_leverage("a", SWAP, mode, number(leverage), scene.tick()) is None  # type: ignore[arg-type]  # a word of the test's own
    scene.place(side, size, inst_id=SWAP, trade_mode=mode)
    scene.exchange.drain()
    return scene


def test_an_isolated_position_holds_its_margin_and_the_fee_is_paid() -> None:
    scene = opened()
    position = scene.position()
    assert (position.contracts, position.average_price, position.leverage) == (number(10), number("50000.1"), number(5))
    assert position.margin == number("1000.002")
    assert scene.balance().cash == 10_000 - FEE
    assert scene.balance().available == 10_000 - FEE - number("1000.002")


def test_profit_of_a_part_that_is_closed_is_paid_and_its_margin_freed() -> None:
    scene = opened()
    scene.price("51000")
    scene.place("sell", "4", inst_id=SWAP)
    (fill, _) = scene.exchange.fills("a")
    assert fill.pnl == number("0.04") * (51_000 - number("50000.1"))
    assert scene.position().margin == number("600.0012")
    assert scene.position().realised == fill.pnl
    assert scene.balance().cash == 10_000 - FEE + fill.pnl + fill.fee
    assert scene.position().upl == number("0.06") * (51_000 - number("50000.1"))


def test_a_short_gains_when_the_price_falls() -> None:
    scene = opened("sell")
    scene.price("49000")
    assert (scene.position().contracts, scene.position().upl) == (-number(10), number(100))
    scene.place("buy", "10", inst_id=SWAP)
    assert scene.exchange.positions("a") == ()
    assert scene.exchange.fills("a")[0].pnl == number("0.1") * (50_000 - number("49000.1"))
    assert scene.balance().frozen == 0


def test_an_order_larger_than_the_position_turns_it() -> None:
    scene = opened()
    scene.place("sell", "25", inst_id=SWAP)
    position = scene.position()
    assert (position.contracts, position.average_price, position.margin) == (-number(15), number(50_000), number(1500))


def test_a_reduce_only_order_closes_what_there_is_and_no_more() -> None:
    scene = opened()
    order = scene.order(scene.place("sell", "25", inst_id=SWAP, reduce_only=True))
    assert (order.filled, order.state, order.cancel_source) == (number(10), "canceled", "17")
    assert scene.exchange.positions("a") == ()


def test_a_reduce_only_order_must_be_against_the_position() -> None:
    scene = opened()
    assert scene.refusal("buy", "1", inst_id=SWAP, reduce_only=True) == "51170"


def test_reduce_only_orders_end_with_the_position() -> None:
    scene = opened()
    waiting = scene.place("sell", "10", inst_id=SWAP, price="55000", reduce_only=True)
    scene.place("sell", "10", inst_id=SWAP)
    assert (scene.order(waiting).state, scene.order(waiting).cancel_source) == ("canceled", "17")


def test_an_order_that_closes_holds_nothing_until_there_is_nothing_to_close() -> None:
    scene = opened()
    waiting = scene.place("sell", "10", inst_id=SWAP, price="60000")
    assert scene.balance().order_frozen == 0
    scene.place("sell", "10", inst_id=SWAP)
    assert scene.order(waiting).frozen == number("6000") / 5 + 3
    assert scene.balance().order_frozen == number("1203")


def test_an_order_that_would_open_more_than_the_account_can_carry_ends() -> None:
    scene = opened(size="90")
    waiting = scene.place("sell", "90", inst_id=SWAP, price="60000")
    scene.exchange.deposit("a", "USDT", -scene.balance().available, scene.tick())
    scene.place("sell", "90", inst_id=SWAP)
    assert (scene.order(waiting).state, scene.order(waiting).cancel_source) == ("canceled", "2")
    assert scene.balance().available >= 0


def test_margin_and_fee_must_be_there() -> None:
    scene = Scenario()
    assert scene.refusal("buy", "60", inst_id=SWAP) == "51008"
    scene.exchange.set_leverage("a", SWAP, "isolated", Decimal(10), scene.tick())
    assert isinstance(scene.try_place("buy", "60", inst_id=SWAP), Placed)


@pytest.mark.parametrize(("side", "price"), [("buy", "40000"), ("sell", "60000")])
def test_a_liquidated_isolated_position_costs_its_margin_and_no_more(side: str, price: str) -> None:
    scene = opened(side)
    margin = scene.position().margin
    cash = scene.balance().cash
    scene.price(price)
    assert scene.exchange.positions("a") == ()
    assert scene.balance().cash == cash - margin
    assert scene.exchange.orders_history("a")[0].category == "full_liquidation"


def test_what_is_left_of_the_margin_at_liquidation_is_lost_too() -> None:
    scene = opened()
    margin, cash = scene.position().margin, scene.balance().cash
    liquidation = scene.position().liquidation_price
    assert liquidation is not None
    scene.price(str(liquidation.quantize(Decimal("0.1")) + 1))
    assert scene.position().contracts == 10
    scene.price(str(liquidation.quantize(Decimal("0.1")) - 1))
    assert scene.balance().cash == cash - margin
    assert scene.exchange.bills("a", bill_type="5")[0].change < 0


def test_a_loss_beyond_the_margin_is_covered_by_the_exchange_in_a_bill_of_its_own() -> None:
    scene = opened()
    scene.price("10000")
    (covered,) = scene.exchange.bills("a", bill_type="9")
    assert covered.change > 0


def test_cross_positions_are_carried_by_all_the_money_and_liquidated_together() -> None:
    scene = opened(size="50", mode="cross")
    waiting = scene.place("buy", "0.001", price="20000")
    scene.price("40000")
    assert scene.position().contracts == 50
    assert scene.balance().available < 5000
    scene.price("30100")
    assert scene.exchange.positions("a") == ()
    assert scene.order(waiting).cancel_source == "3"
    assert 0 <= scene.balance().cash < 60


def test_funding_is_paid_by_longs_every_eight_hours_on_the_value_at_the_mark() -> None:
    scene = opened()
    scene.exchange.set_funding_rate(SWAP, number("0.0005"), scene.tick())
    cash, margin = scene.balance().cash, scene.position().margin
    scene.exchange.advance(START + 8 * 3_600_000 - 1)
    assert scene.balance().cash == cash
    scene.exchange.advance(START + 8 * 3_600_000)
    assert scene.balance().cash == cash - number("2.5")
    assert (scene.position().funding, scene.position().margin) == (number("-2.5"), margin - number("2.5"))
    (bill,) = scene.exchange.bills("a", bill_type="8")
    assert (bill.change, bill.sub_type, bill.at) == (number("-2.5"), "173", START + 8 * 3_600_000)
    assert [row.funding_time for row in scene.exchange.funding_history(SWAP)] == [START + 8 * 3_600_000]
    rate = scene.exchange.funding_rate(SWAP)
    assert rate is not None
    assert (rate.rate, rate.funding_time) == (number("0.0005"), START + 16 * 3_600_000)


def test_funding_beyond_the_margin_is_paid_by_the_rest_of_the_account() -> None:
    scene = opened(leverage="50")
    scene.exchange.set_funding_rate(SWAP, number("0.05"), scene.tick())
    scene.price("60000")
    cash = scene.balance().cash
    scene.exchange.advance(START + 8 * 3_600_000)
    assert (scene.position().margin, scene.balance().cash) == (number(0), cash - 300)
    assert scene.balance().available == scene.balance().cash


def test_funding_is_received_by_shorts() -> None:
    scene = opened("sell")
    cash = scene.balance().cash
    scene.exchange.advance(START + 8 * 3_600_000)
    assert scene.balance().cash == cash + number("0.5")


def test_leverage_changes_only_without_a_position_or_an_order() -> None:
    scene = opened()
    refused = scene.exchange.set_leverage("a", SWAP, "isolated", Decimal(10), scene.tick())
    assert isinstance(refused, Refused)
    assert refused.code == "59000"
    assert scene.exchange.set_leverage("a", SWAP, "isolated", Decimal(5), scene.tick()) is None
    assert scene.exchange.set_leverage("a", SWAP, "cross", Decimal(10), scene.tick()) is None
    assert scene.exchange.leverage("a", SWAP, "isolated").leverage == 5
    too_high = scene.exchange.set_leverage("a", SWAP, "cross", Decimal(101), scene.tick())
    assert isinstance(too_high, Refused)


def test_in_hedge_mode_no_order_is_taken() -> None:
    scene = Scenario()
    assert scene.exchange.set_position_mode("a", "long_short_mode", scene.tick()) is None
    assert scene.refusal("buy", "1", inst_id=SWAP) == "51000"
    assert scene.exchange.config("a").position_mode == "long_short_mode"


def test_the_size_that_can_be_had_is_taken_and_a_lot_more_is_not() -> None:
    scene = Scenario()
    buys, _ = scene.exchange.max_size("a", SWAP, "isolated")
    assert scene.refusal("buy", str(buys + number("0.1")), inst_id=SWAP) == "51008"
    scene.place("buy", str(buys), inst_id=SWAP)
