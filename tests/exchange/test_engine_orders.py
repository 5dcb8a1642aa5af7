"""Orders at the local exchange: what is taken, what is refused and with which code, how they fill and how they end."""

from decimal import Decimal

import pytest

from oxbot.exchange.model import AmendOrder, CancelOrder, Placed, Refused, Settings
from oxbot.exchange.pushes import FillPushed, OrderPushed
from tests.exchange.engine_scenario import SPOT, SWAP, Scenario, number

DAY_SECONDS = 86_400


def test_a_market_buy_pays_the_ask_and_its_fee_in_base() -> None:
    scene = Scenario()
    order = scene.order(scene.place("buy", "0.1"))
    assert (order.state, order.average_price, order.filled) == ("filled", number("50000.1"), number("0.1"))
    assert (order.fee, order.fee_currency) == (number("-0.0001"), "BTC")
    assert scene.balance().cash == 10_000 - number("5000.01")
    assert scene.balance("BTC").cash == number("0.0999")


def test_a_market_sell_gets_the_bid_and_pays_its_fee_in_quote() -> None:
    scene = Scenario()
    scene.place("buy", "0.1")
    order = scene.order(scene.place("sell", "0.05"))
    assert (order.average_price, order.fee, order.fee_currency) == (number(50_000), number("-2.5"), "USDT")
    assert scene.balance("BTC").cash == number("0.0499")
    assert scene.balance().cash == number("4999.99") + 2500 - number("2.5")


def test_a_market_buy_in_quote_spends_no_more_than_that_in_whole_lots() -> None:
    scene = Scenario()
    order = scene.order(scene.place("buy", "1000", size_unit="quote_ccy"))
    assert (order.state, order.filled, order.filled_value) == ("filled", number("0.01999"), number("999.501999"))


def test_a_limit_order_below_the_price_rests_and_holds_its_cost() -> None:
    scene = Scenario()
    order_id = scene.place("buy", "0.1", price="49000")
    assert scene.order(order_id).state == "live"
    assert (scene.balance().frozen, scene.balance().available) == (number(4900), number(5100))


def test_a_resting_order_fills_as_maker_at_its_price_when_the_price_goes_through() -> None:
    scene = Scenario()
    order_id = scene.place("buy", "0.1", price="49000")
    scene.price("49000")
    assert scene.order(order_id).state == "live"
    scene.price("48900")
    (fill,) = scene.exchange.fills("a")
    assert (fill.price, fill.exec_type, fill.fee) == (number(49_000), "M", number("-0.00008"))
    assert (scene.order(order_id).state, scene.balance().frozen) == ("filled", number(0))


def test_with_touch_fills_the_price_itself_is_enough() -> None:
    scene = Scenario(settings=Settings(touch_fills=True))
    order_id = scene.place("buy", "0.1", price="49000")
    scene.price("49000")
    assert scene.order(order_id).state == "filled"


def test_a_limit_order_beyond_the_price_takes_at_the_better_price() -> None:
    scene = Scenario()
    order = scene.order(scene.place("buy", "0.1", price="50500"))
    assert (order.state, order.average_price) == ("filled", number("50000.1"))
    (fill,) = scene.exchange.fills("a")
    assert fill.exec_type == "T"


def test_a_bounded_step_fills_in_part_and_the_next_one_the_rest() -> None:
    scene = Scenario(settings=Settings(participation=Decimal("0.5")))
    scene.price("50000", volume="0.1")
    order_id = scene.place("buy", "0.12", price="50100")
    assert (scene.order(order_id).state, scene.order(order_id).filled) == ("partially_filled", number("0.05"))
    assert scene.balance().frozen == number("0.07") * 50_100
    scene.price("50050", volume="0.1")
    scene.price("50050", volume="10")
    assert scene.order(order_id).state == "filled"
    assert [fill.exec_type for fill in scene.exchange.fills("a")] == ["M", "M", "T"]
    assert sum(fill.size for fill in scene.exchange.fills("a")) == number("0.12")


def test_all_orders_of_a_step_share_its_volume() -> None:
    scene = Scenario(settings=Settings(participation=Decimal(1)))
    scene.price("50000", volume="0.05")
    ids = [scene.place("buy", "0.02", price="50100") for _ in range(4)]
    assert [scene.order(order_id).filled for order_id in ids] == [
        number(size) for size in ("0.02", "0.02", "0.01", "0")
    ]


@pytest.mark.parametrize(
    ("order_type", "filled", "source"), [("market", "0.05", "14"), ("ioc", "0.05", "14"), ("fok", "0", "13")]
)
def test_what_an_immediate_order_cannot_fill_ends(order_type: str, filled: str, source: str) -> None:
    scene = Scenario(settings=Settings(participation=Decimal("0.5")))
    scene.price("50000", volume="0.1")
    price = None if order_type == "market" else "50100"
    order = scene.order(scene.place("buy", "0.12", price=price, order_type=order_type))
    assert (order.state, order.filled, order.cancel_source) == ("canceled", number(filled), source)
    assert scene.balance().frozen == 0


def test_an_immediate_order_away_from_the_price_ends_unfilled() -> None:
    scene = Scenario()
    assert scene.order(scene.place("buy", "0.1", price="49000", order_type="ioc")).state == "canceled"


def test_a_post_only_order_that_would_take_is_cancelled_and_one_that_rests_is_not() -> None:
    scene = Scenario()
    taken = scene.order(scene.place("buy", "0.1", price="50000.1", order_type="post_only"))
    assert (taken.state, taken.filled, taken.cancel_source) == ("canceled", number(0), "31")
    assert scene.order(scene.place("buy", "0.1", price="50000", order_type="post_only")).state == "live"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"inst_id": "NO-SUCH"}, "51001"),
        ({"size": "0.000015"}, "51121"),
        ({"size": "0.00001"}, "51020"),
        ({"size": "0"}, "51000"),
        ({"size": "-1"}, "51000"),
        ({"size": "NaN"}, "51000"),
        ({"price": "50000.05"}, "51000"),
        ({"price": "-1"}, "51000"),
        ({"order_type": "limit"}, "51000"),
        ({"client_id": "has-dash"}, "51000"),
        ({"client_id": "x" * 33}, "51000"),
        ({"client_id": "ä"}, "51000"),
        ({"position_side": "long"}, "51000"),
        ({"trade_mode": "isolated"}, "51000"),
        ({"size": "0.3"}, "51008"),
        ({"side": "sell"}, "51008"),
        ({"inst_id": SWAP, "size": "10", "reduce_only": True}, "51169"),
        ({"inst_id": SWAP, "size": "0.15"}, "51121"),
        ({"inst_id": SWAP, "size": "100"}, "51008"),
    ],
)
def test_a_bad_order_is_refused_with_the_venues_code_and_changes_nothing(given: dict[str, str], code: str) -> None:
    scene = Scenario()
    before = scene.exchange.digest()
    wanted = {"side": "buy", "size": "0.1"} | given
    assert scene.refusal(wanted.pop("side"), wanted.pop("size"), **wanted) == code
    assert scene.exchange.digest() == before
    assert scene.exchange.drain() == []


def test_nothing_is_done_for_an_order_past_its_expiry() -> None:
    scene = Scenario()
    assert scene.refusal("buy", "0.1", expires_at=scene.now) == "51149"
    assert isinstance(scene.try_place("buy", "0.1", expires_at=scene.now + 1), Placed)


def test_an_instrument_without_a_price_or_suspended_takes_no_orders() -> None:
    scene = Scenario(price=None)
    assert scene.refusal("buy", "0.1") == "51109"
    scene.price("50000")
    scene.exchange.set_instrument_state(SPOT, "suspend", scene.tick())
    assert scene.refusal("buy", "0.1") == "51022"
    scene.exchange.set_instrument_state(SPOT, "live", scene.tick())
    scene.place("buy", "0.1")


def test_a_client_id_is_refused_while_it_is_known_and_then_answers_the_newest() -> None:
    scene = Scenario()
    first = scene.place("buy", "0.01", client_id="Once")
    assert scene.refusal("buy", "0.01", client_id="Once") == "51016"
    scene.place("buy", "0.01", client_id="once")
    scene.wait(DAY_SECONDS - 1)
    assert scene.refusal("buy", "0.01", client_id="Once") == "51016"
    scene.wait(1)
    second = scene.place("buy", "0.01", client_id="Once")
    found = scene.exchange.order("a", client_id="Once")
    assert found is not None
    assert found.order_id == second != first


def test_a_working_orders_client_id_is_never_free_again() -> None:
    scene = Scenario()
    scene.place("buy", "0.01", price="40000", client_id="Once")
    scene.wait(3 * DAY_SECONDS)
    assert scene.refusal("buy", "0.01", client_id="Once") == "51016"


def test_orders_are_found_only_by_their_own_account_and_instrument() -> None:
    scene = Scenario()
    order_id = scene.place("buy", "0.01", client_id="mine")
    assert scene.exchange.order("a", client_id="mine", inst_id=SWAP) is None
    assert scene.exchange.order("a", client_id="other") is None
    assert scene.exchange.order("a") is None
    assert scene.exchange.order("a", order_id=order_id, inst_id=SPOT) is not None


def test_a_cancelled_order_frees_what_it_held_and_cannot_be_cancelled_again() -> None:
    scene = Scenario()
    order_id = scene.place("buy", "0.1", price="49000", client_id="mine")
    assert isinstance(cancel(scene, client_id="mine"), Placed)
    assert (scene.balance().frozen, scene.order(order_id).state) == (number(0), "canceled")
    filled = scene.place("buy", "0.01")
    codes = [cancel(scene, order_id=order_id), cancel(scene, order_id=filled), cancel(scene, order_id="1")]
    assert [answer[0] for answer in codes] == ["51401", "51402", "51400"]
    scene.price("48000")
    assert scene.order(order_id).filled == 0


def test_an_amendment_changes_size_and_price_and_what_is_held() -> None:
    scene = Scenario()
    order_id = scene.place("buy", "0.1", price="49000")
    assert isinstance(amend(scene, order_id, size="0.05", price="48000"), Placed)
    assert (scene.order(order_id).size, scene.order(order_id).price, scene.balance().frozen) == (
        number("0.05"),
        number(48_000),
        number(2400),
    )
    told = [push for push in scene.exchange.drain() if isinstance(push, OrderPushed)]
    assert [push.amended for push in told] == [False, True]


def test_what_an_order_holds_already_counts_for_its_amendment() -> None:
    scene = Scenario()
    order_id = scene.place("buy", "0.2", price="49000")
    assert isinstance(amend(scene, order_id, price="49900"), Placed)
    assert amend(scene, order_id, size="0.21")[0] == "51502"
    assert scene.balance().available == number("20")


def test_an_amendment_to_a_price_beyond_the_market_takes() -> None:
    scene = Scenario()
    order_id = scene.place("buy", "0.1", price="49000")
    amend(scene, order_id, price="50001")
    assert (scene.order(order_id).state, scene.order(order_id).average_price) == ("filled", number("50000.1"))


def test_an_amendment_to_no_more_than_what_is_filled_ends_the_order_as_filled() -> None:
    scene = Scenario(settings=Settings(participation=Decimal("0.5")))
    scene.price("50000", volume="0.1")
    order_id = scene.place("buy", "0.12", price="50100")
    amend(scene, order_id, size="0.04")
    assert (scene.order(order_id).state, scene.order(order_id).filled) == ("filled", number("0.05"))
    assert scene.balance().frozen == 0


def test_a_refused_amendment_leaves_the_order_unless_it_is_to_end_then() -> None:
    scene = Scenario()
    order_id = scene.place("buy", "0.1", price="49000", order_type="post_only")
    codes = [
        amend(scene, order_id),
        amend(scene, order_id, size="1"),
        amend(scene, order_id, price="51000"),
        amend(scene, order_id, size="0.000001"),
        amend(scene, "1", size="0.1"),
    ]
    assert [answer[0] for answer in codes] == ["51500", "51502", "51511", "51121", "51503"]
    assert (scene.order(order_id).size, scene.order(order_id).state) == (number("0.1"), "live")
    assert isinstance(amend(scene, order_id, size="1", cancel_on_fail=True), Refused)
    assert (scene.order(order_id).state, scene.balance().frozen) == ("canceled", number(0))
    assert amend(scene, order_id, size="0.1")[0] == "51509"


def test_the_dead_mans_switch_ends_all_orders_unless_it_is_heard_of_again() -> None:
    scene = Scenario()
    order_id = scene.place("buy", "0.01", price="40000")
    assert scene.exchange.cancel_all_after("a", 10, scene.tick()) == scene.now + 10_000
    scene.wait(9)
    scene.exchange.cancel_all_after("a", 10, scene.tick())
    scene.wait(9)
    assert scene.order(order_id).state == "live"
    scene.wait(1)
    assert (scene.order(order_id).state, scene.order(order_id).cancel_source) == ("canceled", "20")
    assert isinstance(scene.exchange.cancel_all_after("a", 9, scene.tick()), Refused)


def test_the_dead_mans_switch_can_be_turned_off() -> None:
    scene = Scenario()
    order_id = scene.place("buy", "0.01", price="40000")
    scene.exchange.cancel_all_after("a", 10, scene.tick())
    assert scene.exchange.cancel_all_after("a", 0, scene.tick()) == 0
    scene.wait(60)
    assert scene.order(order_id).state == "live"


def test_the_dead_mans_switch_of_a_tag_ends_the_orders_with_that_tag_and_no_others() -> None:
    scene = Scenario()
    ours, other, bare = (scene.place("buy", "0.01", price="40000", tag=tag) for tag in ("ours", "other", ""))
    scene.exchange.cancel_all_after("a", 10, scene.tick(), tag="ours")
    scene.exchange.cancel_all_after("a", 20, scene.tick(), tag="other")
    scene.exchange.cancel_all_after("a", 0, scene.tick())
    scene.wait(11)
    assert [scene.order(order_id).state for order_id in (ours, other, bare)] == ["canceled", "live", "live"]
    scene.exchange.cancel_all_after("a", 0, scene.tick(), tag="other")
    scene.wait(60)
    assert [scene.order(order_id).state for order_id in (other, bare)] == ["live", "live"]


def test_an_account_has_no_more_than_twenty_countdowns_by_tag_and_their_tags_are_tags() -> None:
    scene = Scenario()
    for number_ in range(20):
        assert not isinstance(scene.exchange.cancel_all_after("a", 10, scene.tick(), tag=f"t{number_}"), Refused)
    refused = scene.exchange.cancel_all_after("a", 10, scene.tick(), tag="t20")
    assert isinstance(refused, Refused)
    assert refused.code == "51071"
    assert not isinstance(scene.exchange.cancel_all_after("a", 10, scene.tick(), tag="t19"), Refused)
    assert isinstance(scene.exchange.cancel_all_after("a", 10, scene.tick(), tag="not a tag"), Refused)


def test_rows_are_newest_first_and_paged_without_gap_or_repeat() -> None:
    scene = Scenario()
    ids = [scene.place("buy", "0.001") for _ in range(7)]
    seen: list[str] = []
    after = ""
    while rows := scene.exchange.fills("a", page=("", after), limit=3):
        seen += [row.order_id for row in rows]
        after = rows[-1].bill_id
    assert seen == ids[::-1]
    newest = scene.exchange.fills("a", limit=1)[0].bill_id
    assert scene.exchange.fills("a", page=(newest, "")) == ()
    assert [row.order_id for row in scene.exchange.orders_history("a", page=(ids[4], ""))] == ids[:4:-1]
    bills = scene.exchange.bills("a", bill_type="2", currency="BTC")
    assert [bill.order_id for bill in bills] == ids[::-1]


def test_pending_and_history_are_told_apart() -> None:
    scene = Scenario()
    waiting, done = scene.place("buy", "0.01", price="40000"), scene.place("buy", "0.01")
    assert [row.order_id for row in scene.exchange.orders_pending("a")] == [waiting]
    assert [row.order_id for row in scene.exchange.orders_history("a")] == [done]
    assert scene.exchange.orders_pending("a", inst_type="SWAP") == ()


def test_every_change_is_pushed_in_order_with_growing_numbers() -> None:
    scene = Scenario()
    scene.place("buy", "0.1")
    pushes = scene.exchange.drain()
    numbers = [push.sequence for push in pushes]
    assert numbers == sorted(set(numbers))
    kinds = [type(push).__name__ for push in pushes]
    assert kinds == ["OrderPushed", "OrderPushed", "FillPushed", "AccountPushed"]
    orders = [push.order.state for push in pushes if isinstance(push, OrderPushed)]
    assert orders == ["live", "filled"]
    assert [push.fill.size for push in pushes if isinstance(push, FillPushed)] == [number("0.1")]


def test_money_is_paid_out_only_if_it_is_there() -> None:
    scene = Scenario()
    scene.place("buy", "0.1", price="49000")
    refused = scene.exchange.deposit("a", "USDT", number("-5100.01"), scene.tick())
    assert refused is not None
    assert scene.exchange.deposit("a", "USDT", number("NaN"), scene.tick()) is not None
    assert scene.exchange.deposit("a", "USDT", number("-5100"), scene.tick()) is None
    assert (scene.balance().cash, scene.balance().available) == (number(4900), number(0))


def cancel(scene: Scenario, *, order_id: str = "", client_id: str = "") -> Placed | Refused:
    request = CancelOrder(inst_id=SPOT, order_id=order_id, client_id=client_id)
    return scene.exchange.cancel("a", request, scene.tick())


def amend(
    scene: Scenario, order_id: str, *, size: str | None = None, price: str | None = None, cancel_on_fail: bool = False
) -> Placed | Refused:
    request = AmendOrder(
        inst_id=SPOT,
        order_id=order_id,
        size=None if size is None else number(size),
        price=None if price is None else number(price),
        cancel_on_fail=cancel_on_fail,
    )
    return scene.exchange.amend("a", request, scene.tick())
