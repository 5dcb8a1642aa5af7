"""A refusal is on record once a day and value where it can be derived, else each time; what none may let through."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from msgspec.structs import replace

from oxbot.core.creation import CreateBot, InvalidCommand
from tests.core.lives import (
    BTC,
    BTC_PERPETUAL,
    ETH,
    LOOSE,
    Life,
    Plan,
    Wish,
    at,
    candle,
    creation,
    decisions,
    denials,
    fills,
    frame,
    perpetual,
    requests,
    spot,
)

TOO_MUCH = Wish(size_fraction=Decimal(2))
A_DAY = 6
"""Candles of four hours."""


def wanting(*wishes: Wish | None) -> Plan:
    """A wish at each candle in turn."""
    return {key: wish for number, one in enumerate(wishes) for key, wish in at(number, one).items()}


def refused(plan: Plan, *, command: CreateBot | None = None, count: int = A_DAY) -> Life:
    """A life at the price of 100; of every refusal its decision is on record too."""
    life = Life.of(command or creation(), plan)
    life.see_candles([candle(number, "100") for number in range(count)])
    assert [said.decision_id for said in denials(life.facts)] == [
        made.decision_id for made in decisions(life.facts) if made.decision_id not in accepted(life)
    ]
    return life


def accepted(life: Life) -> set[object]:
    return {order.decision_id for order in requests(life.facts)}


def when(life: Life) -> Sequence[int]:
    """The candles, counted, at which something was refused."""
    first = candle(0, "1").open_time
    return [(said.at - first) // (candle(1, "1").open_time - first) for said in denials(life.facts)]


def test_the_same_refusal_is_recorded_at_its_first_candle_of_each_day() -> None:
    life = refused(wanting(*[TOO_MUCH] * 15), count=15)
    assert {said.rule for said in denials(life.facts)} == {"free_cash"}
    assert when(life) == [0, A_DAY, 2 * A_DAY]


def test_another_rule_is_recorded_on_the_same_day() -> None:
    life = refused(wanting(TOO_MUCH, Wish("enter_short"), None))
    assert [said.rule for said in denials(life.facts)] == ["free_cash", "short_selling"]


def test_another_setup_is_recorded_on_the_same_day() -> None:
    life = refused(wanting(TOO_MUCH, TOO_MUCH._replace(setup="other"), TOO_MUCH._replace(setup="other")))
    assert [made.setup for made in decisions(life.facts)] == ["wish", "other"]


@pytest.mark.parametrize(
    ("sizes", "recorded"),
    [
        (["2", "2.1"], [0]),
        (["2", "2.2"], [0]),
        (["2", "1.8"], [0]),
        (["2", "2.21"], [0, 1]),
        (["2", "1.79"], [0, 1]),
        (["2", "2.2", "2.4"], [0, 2]),
        (["2", "4", "2.1", "4.1"], [0, 1]),
    ],
)
def test_another_value_is_recorded_if_it_is_more_than_a_tenth_from_those_on_record(
    sizes: Sequence[str], recorded: Sequence[int]
) -> None:
    """What an entry takes of 10,000 grows with its size."""
    life = refused(wanting(*[Wish(size_fraction=Decimal(size)) for size in sizes]))
    assert when(life) == recorded
    assert len({said.value for said in denials(life.facts)}) == len(recorded)


def test_another_symbol_is_recorded_on_the_same_day() -> None:
    plan = {
        key: wish for symbol in (BTC, ETH) for n in range(3) for key, wish in at(n, TOO_MUCH, symbol=symbol).items()
    }
    life = Life.of(creation(spot(BTC), spot(ETH)), plan)
    for number in range(3):
        life.see(frame(number, BTC="100", ETH="50"))
    assert [said.symbol for said in denials(life.facts)] == [BTC, ETH]


def test_after_an_entry_the_same_refusal_is_news_again() -> None:
    plan = {**wanting(TOO_MUCH, Wish()), **at(2, None, Wish("exit")), **at(4, TOO_MUCH), **at(5, TOO_MUCH)}
    assert when(refused(plan)) == [0, 4]


@pytest.mark.parametrize("rule", ["fleet_exposure_max", "fleet_net_exposure_max"])
def test_what_the_fleet_left_no_room_for_is_recorded_each_time(rule: str) -> None:
    """What the others hold stands in no candle store: without the fact nobody could say it again."""
    command = creation(limits=replace(LOOSE, **{rule: Decimal(1)}))
    life = refused(wanting(*[Wish()] * 3), command=command)
    assert [said.rule for said in denials(life.facts)] == [rule] * 3


def test_a_refusal_that_is_not_recorded_still_lets_nothing_trade() -> None:
    assert fills(refused(wanting(*[TOO_MUCH] * 5)).facts) == []


# What would be liquidated as soon as it is entered.


def margined(leverage: str, intent: Wish) -> Life:
    """A perpetual entered at 100 whose liquidation price, at leverage 18, is 100 as well."""
    life = Life.of(creation(perpetual(maintenance="0.05"), leverage=leverage), at(0, intent, symbol=BTC_PERPETUAL))
    life.see_candles([candle(0, "100"), candle(1, "100"), candle(2, "100")], BTC_PERPETUAL)
    return life


@pytest.mark.parametrize("wish", [Wish("enter_long"), Wish("enter_short")], ids=["long", "short"])
def test_what_would_be_liquidated_where_it_is_entered_is_refused(wish: Wish) -> None:
    life = margined("18", wish)
    [said] = denials(life.facts)
    assert (said.rule, said.limit) == ("bracket_geometry", Decimal(100))
    assert said.value >= 100 if wish.intent == "enter_long" else said.value <= 100
    assert fills(life.facts) == []


def test_a_bot_whose_every_position_would_be_liquidated_at_once_cannot_be_made() -> None:
    with pytest.raises(InvalidCommand, match="leverage 25 leaves a margin of 1/25"):
        margined("25", Wish("enter_long"))


@pytest.mark.parametrize("wish", [Wish("enter_long"), Wish("enter_short")], ids=["long", "short"])
def test_a_little_less_leverage_is_entered_and_held(wish: Wish) -> None:
    life = margined("15", wish)
    assert denials(life.facts) == []
    assert BTC_PERPETUAL in life.state.ledger.positions
