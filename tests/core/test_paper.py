"""What one candle does to one order."""

from decimal import Decimal

import pytest

from events.bot import OrderExpired, OrderFilled, OrderReason, OrderRequested
from events.values import OrderKind
from oxbot.core.money import exact
from oxbot.core.orders import Order, requested
from oxbot.core.paper import fill_at_open, fill_resting, first_to_trade
from tests.core.scenario import BTC, FEES, candle, filled, instrument, moment, order_id, protective


def market_buy(notional: str) -> Order:
    fact = OrderRequested(
        order_id=order_id(1),
        at=moment(0),
        symbol=BTC,
        side="buy",
        kind="market",
        reason="entry",
        notional=Decimal(notional),
    )
    return requested(fact, taker_fee=FEES.taker)


def market_sell(quantity: str) -> Order:
    fact = OrderRequested(
        order_id=order_id(1),
        at=moment(0),
        symbol=BTC,
        side="sell",
        kind="market",
        reason="exit_signal",
        quantity=Decimal(quantity),
        reduce_only=True,
    )
    return requested(fact, taker_fee=FEES.taker)


def resting(number: int, kind: OrderKind, reason: OrderReason, trigger: str) -> Order:
    fact = protective(number, kind, reason, at=0, quantity="1", trigger=trigger, parent=1)
    return requested(fact, taker_fee=FEES.taker)


STOP = resting(2, "stop", "stop_loss", "98")
TARGET = resting(3, "take_profit", "take_profit", "104")


def buy(notional: str, prices: str, *, lot: str = "1e-8", minimum: str = "0") -> OrderFilled | OrderExpired:
    with exact():
        terms = instrument(lot=lot, minimum=minimum)
        return fill_at_open(market_buy(notional), candle(1, prices), instrument=terms, fees=FEES)


@pytest.mark.parametrize(
    ("notional", "price", "lot", "quantity", "fee"),
    [
        pytest.param("500", "100", "1e-8", "5", "0.5", id="no remainder"),
        pytest.param("500", "300", "1e-8", "1.66666666", "0.499999998", id="down to the lot of 1e-8"),
        pytest.param("500", "300", "0.5", "1.5", "0.45", id="down to a lot of a half"),
        pytest.param("500", "0.000021", "1", "23809523", "0.499999983", id="a coin of 0.000021"),
        pytest.param("500", "100000", "0.001", "0.005", "0.5", id="a coin of 100,000"),
        pytest.param("500", "500", "1", "1", "0.5", id="exactly one lot"),
    ],
)
def test_a_buy_takes_the_lots_that_its_notional_pays_for_at_the_open(
    notional: str, price: str, lot: str, quantity: str, fee: str
) -> None:
    fill = buy(notional, price, lot=lot)
    assert fill == filled(1, at=1, quantity=quantity, price=price, fee=fee)


def test_less_than_a_lot_expires() -> None:
    assert buy("499.99", "500", lot="1") == OrderExpired(
        order_id=order_id(1), at=moment(1), reason="0 is too little to trade"
    )


@pytest.mark.parametrize(("minimum", "kind"), [("5", OrderFilled), ("5.00000001", OrderExpired)])
def test_the_smallest_notional_of_the_venue_still_trades(minimum: str, kind: type) -> None:
    assert type(buy("5", "100", minimum=minimum)) is kind


def test_a_sale_at_the_open_is_of_the_whole_quantity_as_taker() -> None:
    with exact():
        fill = fill_at_open(market_sell("2.5"), candle(4, "80 120 70 100"), instrument=instrument(), fees=FEES)
    assert fill == filled(1, at=4, quantity="2.5", price="80", fee="0.2")


@pytest.mark.parametrize(
    ("prices", "order", "price"),
    [
        pytest.param("100 103.99 98.01 101", None, None, id="neither reached"),
        pytest.param("100 101 98 99", STOP, "98", id="the low is exactly the stop"),
        pytest.param("100 101 90 99", STOP, "98", id="the low is below the stop"),
        pytest.param("95 99 90 99", STOP, "95", id="a gap through the stop fills at the open"),
        pytest.param("98 99 98 99", STOP, "98", id="the open is exactly the stop"),
        pytest.param("100 104 99 101", TARGET, "104", id="the high is exactly the target"),
        pytest.param("100 110 99 101", TARGET, "104", id="the high is above the target"),
        pytest.param("107 110 99 101", TARGET, "107", id="a gap through the target fills at the open"),
        pytest.param("100 110 90 101", STOP, "98", id="both touched is the stop"),
        pytest.param("107 110 90 101", STOP, "98", id="both touched after a gap up is still the stop"),
        pytest.param("90 110 90 101", STOP, "90", id="both touched after a gap down is the stop at the open"),
    ],
)
@pytest.mark.parametrize("orders", [(STOP, TARGET), (TARGET, STOP)], ids=["stop first", "target first"])
def test_which_resting_order_trades_and_where(
    prices: str, order: Order | None, price: str | None, orders: tuple[Order, ...]
) -> None:
    expected = None if order is None or price is None else (order, Decimal(price))
    assert first_to_trade(orders, candle(1, prices)) == expected


def test_an_order_without_a_trigger_never_rests() -> None:
    assert first_to_trade([market_sell("1")], candle(1, "100 1000 1 100")) is None


def test_a_triggered_order_trades_the_quantity_given_at_the_price_given() -> None:
    with exact():
        fill = fill_resting(STOP, candle(3, "100"), quantity=Decimal("0.7"), price=Decimal(98), fees=FEES)
    assert fill == filled(2, at=3, quantity="0.7", price="98", fee="0.0686")
