"""Algo orders at the local exchange: what they wait for, what they become, and how they end."""

import pytest

from oxbot.exchange.model import AlgoPlaced, AmendAlgo, CancelAlgo, Refused
from oxbot.exchange.pushes import AlgoPushed
from tests.exchange.engine_scenario import SPOT, SWAP, Scenario, number

OCO = {"sl_trigger": "49000", "sl_price": "-1", "tp_trigger": "52000", "tp_price": "-1", "reduce_only": True}
DAY_SECONDS = 86_400


def held() -> Scenario:
    scene = Scenario()
    scene.place("buy", "10", inst_id=SWAP)
    scene.exchange.drain()
    return scene


@pytest.mark.parametrize(("price", "leg"), [("49000", "sl"), ("48000", "sl"), ("52000", "tp"), ("53000", "tp")])
def test_one_leg_of_an_oco_becomes_an_order_and_ends_the_other(price: str, leg: str) -> None:
    scene = held()
    algo_id = scene.place_algo("sell", "10", "oco", algo_client_id="exit1", **OCO)
    scene.price(price)
    algo = scene.algo(algo_id)
    assert (algo.state, algo.actual_side, algo.actual_size) == ("effective", leg, number(10))
    order = scene.order(algo.order_id)
    assert (order.state, order.average_price, order.algo_client_id) == ("filled", number(price), "exit1")
    assert (order.algo_id, order.source, order.reduce_only) == (algo_id, "7", True)
    scene.price("49000")
    scene.price("52000")
    assert scene.exchange.positions("a") == ()
    assert len(scene.exchange.orders_history("a")) == 2


def test_an_oco_waits_between_its_legs_and_holds_nothing() -> None:
    scene = held()
    before = scene.balance().available
    algo_id = scene.place_algo("sell", "10", "oco", **OCO)
    scene.price("49000.1")
    scene.price("51999.9")
    assert scene.algo(algo_id).state == "live"
    assert scene.balance().order_frozen == 0
    assert scene.balance().available == before


def test_an_oco_larger_than_the_position_closes_the_position() -> None:
    scene = held()
    algo_id = scene.place_algo("sell", "10", "oco", **OCO)
    scene.place("sell", "6", inst_id=SWAP)
    scene.price("49000")
    assert (scene.algo(algo_id).actual_size, scene.order(scene.algo(algo_id).order_id).state) == (number(4), "filled")


def test_an_oco_without_a_position_fails_at_its_trigger() -> None:
    scene = held()
    algo_id = scene.place_algo("sell", "10", "oco", **OCO)
    scene.place("sell", "10", inst_id=SWAP)
    assert scene.algo(algo_id).state == "live"
    scene.price("49000")
    assert (scene.algo(algo_id).state, scene.algo(algo_id).fail_code) == ("order_failed", "51169")
    assert scene.algo(algo_id).order_id == ""


def test_an_algo_that_is_to_end_with_the_position_does() -> None:
    scene = held()
    algo_id = scene.place_algo("sell", "10", "oco", cancel_on_close=True, **OCO)
    scene.place("sell", "10", inst_id=SWAP)
    assert scene.algo(algo_id).state == "canceled"


def test_a_leg_with_a_price_becomes_a_limit_order() -> None:
    scene = held()
    algo_id = scene.place_algo("sell", "10", "conditional", tp_trigger="51000", tp_price="51500", reduce_only=True)
    scene.price("51000")
    order = scene.order(scene.algo(algo_id).order_id)
    assert (order.state, order.order_type, order.price) == ("live", "limit", number(51_500))
    scene.price("51501")
    assert scene.order(order.order_id).state == "filled"


@pytest.mark.parametrize(("trigger", "reached"), [("51000", "51000"), ("49000", "49000")])
def test_a_trigger_order_waits_on_either_side_of_the_price(trigger: str, reached: str) -> None:
    scene = Scenario()
    algo_id = scene.place_algo("buy", "10", "trigger", trigger_price=trigger, order_price="-1")
    scene.price("50000")
    assert scene.algo(algo_id).state == "live"
    scene.price(reached)
    assert scene.order(scene.algo(algo_id).order_id).source == "6"
    assert scene.position().contracts == 10


def test_a_trigger_without_the_money_fails() -> None:
    scene = Scenario()
    algo_id = scene.place_algo("buy", "1000", "trigger", trigger_price="51000", order_price="-1")
    scene.price("51000")
    assert (scene.algo(algo_id).state, scene.algo(algo_id).fail_code) == ("order_failed", "51008")


def test_a_trailing_stop_follows_the_best_price_and_triggers_on_the_way_back() -> None:
    scene = held()
    algo_id = scene.place_algo("sell", "10", "move_order_stop", callback_ratio="0.01", reduce_only=True)
    assert scene.algo(algo_id).move_trigger == 49_500
    scene.price("52000")
    assert scene.algo(algo_id).move_trigger == 51_480
    scene.price("51480.1")
    assert scene.algo(algo_id).state == "live"
    scene.price("51480")
    assert (scene.algo(algo_id).state, scene.order(scene.algo(algo_id).order_id).source) == ("effective", "25")


def test_a_trailing_stop_sleeps_until_its_activation_price() -> None:
    scene = held()
    algo_id = scene.place_algo(
        "sell", "10", "move_order_stop", callback_spread="500", active_price="51000", reduce_only=True
    )
    scene.price("49000")
    assert (scene.algo(algo_id).state, scene.algo(algo_id).move_trigger) == ("live", None)
    scene.price("51000")
    assert scene.algo(algo_id).move_trigger == 50_500
    scene.price("50500")
    assert scene.algo(algo_id).state == "effective"


def test_a_buy_trailing_stop_follows_the_lowest_price() -> None:
    scene = Scenario()
    scene.place("sell", "10", inst_id=SWAP)
    algo_id = scene.place_algo("buy", "10", "move_order_stop", callback_ratio="0.01", reduce_only=True)
    scene.price("48000")
    scene.price("48480")
    assert scene.algo(algo_id).state == "effective"


def test_a_spot_stop_sells_the_coins() -> None:
    scene = Scenario()
    scene.place("buy", "0.1")
    algo_id = scene.place_algo(
        "sell", "0.0999", "conditional", inst_id=SPOT, trade_mode="cross", sl_trigger="49000", sl_price="-1"
    )
    scene.price("49000")
    assert scene.order(scene.algo(algo_id).order_id).state == "filled"
    assert scene.balance("BTC").cash == 0


@pytest.mark.parametrize(
    ("side", "given", "code"),
    [
        ("sell", {"sl_trigger": "50000", "sl_price": "-1"}, "51280"),
        ("sell", {"tp_trigger": "50000", "tp_price": "-1"}, "51279"),
        ("buy", {"sl_trigger": "50000", "sl_price": "-1"}, "51278"),
        ("buy", {"tp_trigger": "50000", "tp_price": "-1"}, "51277"),
        ("sell", {}, "51000"),
        ("sell", {"sl_trigger": "49000"}, "51000"),
        ("sell", {"sl_trigger": "49000.05", "sl_price": "-1"}, "51000"),
        ("sell", {"sl_trigger": "49000", "sl_price": "-1", "algo_client_id": "a-b"}, "51000"),
        ("buy", {"sl_trigger": "51000", "sl_price": "-1", "reduce_only": True}, "51170"),
    ],
)
def test_a_bad_stop_is_refused(side: str, given: dict[str, str], code: str) -> None:
    scene = held()
    assert scene.algo_refusal(side, "10", "conditional", **given) == code


def test_a_reduce_only_stop_without_a_position_is_refused() -> None:
    scene = Scenario()
    assert scene.algo_refusal("sell", "10", "oco", **OCO) == "51169"


@pytest.mark.parametrize("given", [{}, {"callback_ratio": "1.5"}, {"callback_ratio": "0.1", "callback_spread": "1"}])
def test_a_trailing_stop_needs_one_sensible_distance(given: dict[str, str]) -> None:
    scene = held()
    assert scene.algo_refusal("sell", "10", "move_order_stop", **given) in {"51000", "51257"}


def test_an_algo_client_id_is_refused_while_it_is_known() -> None:
    scene = held()
    first = scene.place_algo("sell", "10", "oco", algo_client_id="exit1", **OCO)
    assert scene.algo_refusal("sell", "10", "oco", algo_client_id="exit1", **OCO) == "51065"
    cancel(scene, first)
    scene.wait(DAY_SECONDS)
    second = scene.place_algo("sell", "10", "oco", algo_client_id="exit1", **OCO)
    found = scene.exchange.algo("a", algo_client_id="exit1")
    assert found is not None
    assert found.algo_id == second != first


def test_an_amended_stop_waits_for_its_new_price() -> None:
    scene = held()
    algo_id = scene.place_algo("sell", "10", "oco", **OCO)
    request = AmendAlgo(inst_id=SWAP, algo_id=algo_id, sl_trigger=number("48000"), size=number("5"))
    assert isinstance(scene.exchange.amend_algo("a", request, scene.tick()), AlgoPlaced)
    scene.price("49000")
    assert scene.algo(algo_id).state == "live"
    scene.price("48000")
    assert scene.algo(algo_id).actual_size == 5


def test_an_amendment_to_the_wrong_side_is_refused() -> None:
    scene = held()
    algo_id = scene.place_algo("sell", "10", "oco", **OCO)
    request = AmendAlgo(inst_id=SWAP, algo_id=algo_id, sl_trigger=number("50500"))
    assert scene.exchange.amend_algo("a", request, scene.tick()).__class__ is Refused
    assert scene.algo(algo_id).request.sl_trigger == 49_000


def test_a_cancelled_algo_never_triggers_and_cannot_be_cancelled_again() -> None:
    scene = held()
    algo_id = scene.place_algo("sell", "10", "oco", **OCO)
    assert isinstance(cancel(scene, algo_id), AlgoPlaced)
    scene.price("48000")
    assert scene.algo(algo_id).state == "canceled"
    done = scene.place_algo("sell", "10", "conditional", sl_trigger="47000", sl_price="-1")
    scene.price("47000")
    assert [cancel(scene, one)[0] for one in (algo_id, done, "1")] == ["51401", "51402", "51400"]


def test_pending_and_ended_algos_are_told_apart_by_type() -> None:
    scene = held()
    oco = scene.place_algo("sell", "10", "oco", **OCO)
    trail = scene.place_algo("sell", "10", "move_order_stop", callback_ratio="0.05")
    rows = scene.exchange.algos("a", pending=True)
    assert [row.algo_id for row in rows] == [trail, oco]
    assert [row.algo_id for row in scene.exchange.algos("a", pending=True, algo_types=("oco",))] == [oco]
    cancel(scene, oco)
    assert [row.algo_id for row in scene.exchange.algos("a", pending=False)] == [oco]


def test_every_change_of_an_algo_is_pushed() -> None:
    scene = held()
    scene.place_algo("sell", "10", "oco", **OCO)
    scene.price("49000")
    told = [push.algo.state for push in scene.exchange.drain() if isinstance(push, AlgoPushed)]
    assert told == ["live", "effective"]


def cancel(scene: Scenario, algo_id: str) -> AlgoPlaced | Refused:
    return scene.exchange.cancel_algo("a", CancelAlgo(inst_id=SWAP, algo_id=algo_id), scene.tick())
