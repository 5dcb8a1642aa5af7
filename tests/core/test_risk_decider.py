"""Through the bot: each of the first rules refuses alone, allows exactly its limit, and never an exit in its way."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from events.bot import BotFact, BotStarted, DecisionMade, OrderDenied, OrderRequested
from events.values import RiskLimits
from oxbot.core.bot import ObserveFrame
from oxbot.core.candles import Candle
from tests.core.scenario import (
    BTC,
    CROSS_DOWN,
    CROSS_UP,
    ETH,
    bought,
    candle,
    created,
    deposited,
    flat_candles,
    given,
    instrument,
    moment,
    observe,
    order_id,
)

ETH_AT_100: Sequence[Candle] = flat_candles(["100"] * 4)


def bot(
    *,
    positions: int = 5,
    position: str = "1",
    exposure: str = "1",
    minimum: str = "0",
    tick: str = "1e-8",
    capital: str = "10000",
    then: Sequence[BotFact] = (),
) -> list[BotFact]:
    """A running bot of BTC and ETH that puts 5 % of its equity into an entry."""
    limits = RiskLimits(
        position_fraction_max=Decimal(position),
        positions_max=positions,
        exposure_fraction_max=Decimal(exposure),
    )
    creation = created(instrument(BTC, tick=tick, minimum=minimum), instrument(ETH), limits=limits)
    return [creation, deposited(capital), BotStarted(), *then]


def waiting_buy(number: int, notional: str) -> OrderRequested:
    """A limit order on BTC that the paper venue leaves at work."""
    return OrderRequested(
        order_id=order_id(number),
        at=moment(0),
        symbol=BTC,
        side="buy",
        kind="limit",
        reason="entry",
        notional=Decimal(notional),
        trigger_price=None,
    )


def entering() -> ObserveFrame:
    """BTC crosses upwards at 110, ETH stays at 100."""
    return observe({BTC: flat_candles(CROSS_UP), ETH: ETH_AT_100})


def holding_eth(worth: str) -> list[BotFact]:
    """ETH bought at 100 without a fee, for so much."""
    return bought(ETH, 1, quantity=str(Decimal(worth) / 100), price="100")


def _with_waiting(notional: str) -> Sequence[BotFact]:
    return [*holding_eth("1000"), replace(waiting_buy(2, notional), symbol=ETH)]


class Case(NamedTuple):
    """A bot exactly at a rule's limit, one beyond it, and the limit and value that the refusal names."""

    rule: str
    at_limit: list[BotFact]
    beyond: list[BotFact]
    limit: str
    value: str


CASES = {
    "one_position_per_symbol": Case(
        "one_position_per_symbol",
        bot(),
        bot(then=[waiting_buy(1, "1")]),
        "1",
        "2",
    ),
    "positions_max": Case(
        "positions_max",
        bot(positions=2, then=holding_eth("1000")),
        bot(positions=1, then=holding_eth("1000")),
        "1",
        "2",
    ),
    "position_fraction_max": Case(
        "position_fraction_max",
        bot(position="0.05"),
        bot(position="0.0499999"),
        "499.999",
        "500",
    ),
    "exposure_fraction_max": Case(
        "exposure_fraction_max",
        bot(exposure="0.15", then=holding_eth("1000")),
        bot(exposure="0.1499999", then=holding_eth("1000")),
        "1499.999",
        "1500",
    ),
    "exposure_fraction_max with an order at work": Case(
        "exposure_fraction_max",
        bot(exposure="0.17", then=_with_waiting("200")),
        bot(exposure="0.17", then=_with_waiting("200.01")),
        "1700",
        "1700.01",
    ),
    "free_cash": Case(
        "free_cash",
        bot(then=holding_eth("9499.50")),
        bot(then=holding_eth("9499.51")),
        "500.49",
        "500.5",
    ),
    "minimum_notional": Case(
        "minimum_notional",
        bot(minimum="500"),
        bot(minimum="500.01"),
        "500.01",
        "500",
    ),
    "tick_fits_bracket": Case(
        "tick_fits_bracket",
        bot(tick="2.2"),
        bot(tick="2.21"),
        "2.2",
        "2.21",
    ),
}

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@each_case
def test_a_value_exactly_at_the_limit_passes(case: Case) -> None:
    decision, order = given(case.at_limit).when(entering()).facts
    assert isinstance(decision, DecisionMade)
    assert isinstance(order, OrderRequested)
    assert (order.notional, order.decision_id) == (Decimal(500), decision.decision_id)


@each_case
def test_the_rule_alone_refuses_beyond_its_limit(case: Case) -> None:
    decision, denial = given(case.beyond).when(entering()).facts
    assert isinstance(decision, DecisionMade)
    assert denial == OrderDenied(
        decision_id=decision.decision_id,
        at=moment(3),
        symbol=BTC,
        rule=case.rule,
        limit=Decimal(case.limit),
        value=Decimal(case.value),
    )


def test_of_several_rules_the_first_is_named() -> None:
    facts = bot(positions=1, position="0.01", exposure="0.01", minimum="501", then=holding_eth("1000"))
    denial = given(facts).when(entering()).facts[1]
    assert isinstance(denial, OrderDenied)
    assert denial.rule == "positions_max"


def test_an_exit_passes_where_every_entry_is_refused() -> None:
    """The holder of BTC has one position of one allowed, no free cash, and limits far below what it holds."""
    facts = bot(
        positions=1,
        position="0.01",
        exposure="0.01",
        capital="600",
        then=[*bought(BTC, 1, quantity="6", price="100"), replace(waiting_buy(2, "1"), symbol=ETH)],
    )
    _, order = given(facts).when(observe({BTC: flat_candles(CROSS_DOWN), ETH: ETH_AT_100})).facts
    assert isinstance(order, OrderRequested)
    assert (order.side, order.quantity, order.reason) == ("sell", Decimal(6), "exit_signal")


def test_an_exit_trades_though_it_became_worth_less_than_the_smallest_notional() -> None:
    facts = bot(minimum="10", then=bought(BTC, 1, quantity="0.11", price="100"))
    closes = flat_candles([*CROSS_DOWN, "90"])
    facts += given(facts).when(observe({BTC: closes[:4], ETH: ETH_AT_100})).facts
    facts += given(facts).when(observe({BTC: closes, ETH: [*ETH_AT_100, candle(4, "100")]})).facts
    assert BTC not in given(facts).state.ledger.positions
