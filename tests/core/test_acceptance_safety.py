"""Acceptance tests of what a bot refuses: unsafe wishes, too much leverage; and of what leverage may cost."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from events.bot import FundingSettled, PositionLiquidated
from events.values import Bracket, FeeSchedule, PaperModel, RiskLimits, ScaleOut
from oxbot.core.candles import Frame
from oxbot.core.creation import InvalidCommand
from oxbot.core.money import exact
from oxbot.core.strategy import Signal
from tests.core.lives import (
    BTC_PERPETUAL,
    ETH,
    LOOSE,
    Life,
    Wish,
    at,
    candle,
    creation,
    decisions,
    denials,
    entered,
    fills,
    frame,
    perpetual,
    requests,
    spot,
)

FREE = FeeSchedule(maker=Decimal(0), taker=Decimal(0))


# 10: what a strategy asks for is never unsafe, and why it was refused is on record.

NAN, INFINITE = Decimal("NaN"), Decimal("Infinity")
UNSAFE = {
    "no size": (Wish(size_fraction=NAN), "order_validity", "size_fraction is NaN"),
    "endless size": (Wish(size_fraction=INFINITE), "order_validity", "size_fraction is Infinity"),
    "absurd size": (Wish(size_fraction=Decimal("1e30")), "order_validity", "size_fraction is 1E[+]30"),
    "a signalling size": (Wish(size_fraction=Decimal("sNaN")), "order_validity", "size_fraction is sNaN"),
    "size below 0": (Wish(size_fraction=Decimal(-1)), "sizing", ""),
    "size without cash": (Wish(size_fraction=Decimal(2)), "free_cash", ""),
    "no stop": (Wish(stop=NAN), "order_validity", "stop_loss is NaN"),
    "endless target": (Wish(target=INFINITE), "order_validity", "take_profit is Infinity"),
    "no limit": (Wish(limit=NAN), "order_validity", "entry_price is NaN"),
    "limit below 0": (Wish(limit=Decimal(-1)), "order_validity", "limit_price is -100.00"),
    "limit below a tick": (Wish(limit=Decimal("1e-6")), "order_validity", "limit_price is 0.00"),
    "no confidence": (Wish(confidence=NAN), "order_validity", "confidence is NaN"),
    "too much confidence": (Wish(confidence=Decimal("1.01")), "order_validity", "confidence is 1.01"),
    "stop above": (Wish(stop=Decimal("1.02"), target=Decimal("1.05")), "bracket_geometry", ""),
    "target below": (Wish(stop=Decimal("0.98"), target=Decimal("0.99")), "bracket_geometry", ""),
    "stop below 0": (Wish(stop=Decimal(-1)), "bracket_geometry", ""),
    "no time": (
        Wish(bracket=Bracket(stop_fraction=Decimal("0.02"), target_fraction=Decimal(0), candles_max=0)),
        "order_validity",
        "candles_max is 0",
    ),
    "more than all of it": (
        Wish(
            bracket=Bracket(
                stop_fraction=Decimal("0.02"),
                target_fraction=Decimal(0),
                scale_out=(ScaleOut(target_fraction=Decimal("0.01"), share=Decimal("1.5")),),
            )
        ),
        "order_validity",
        "takes off 1.5",
    ),
}


@pytest.mark.parametrize("named", UNSAFE)
def test_acceptance_10_no_order_is_made_of_what_makes_no_sense_and_the_reason_is_recorded(named: str) -> None:
    wish, rule, reason = UNSAFE[named]
    life = Life.of(creation(), at(0, wish))

    facts = life.see(frame(0, BTC="100")).facts

    [decision], [denial] = decisions(facts), denials(facts)
    assert requests(facts) == []
    assert (decision.intent, denial.decision_id, denial.rule) == ("enter_long", decision.decision_id, rule)
    assert reason.replace("[+]", "+") in denial.reason
    assert life.see(frame(1, BTC="100")).facts == []


@pytest.mark.parametrize("part", [NAN, INFINITE])
def test_acceptance_10_a_part_that_is_no_number_is_not_taken_off_and_the_reason_is_recorded(part: Decimal) -> None:
    life = entered(at(2, held=Wish("reduce", reduce_fraction=part)))
    facts = life.see(frame(2, BTC="100")).facts
    assert requests(facts) == []
    assert [denial.reason.split(",")[0] for denial in denials(facts)] == [f"reduce_fraction is {part}"]


def test_acceptance_10_an_exit_goes_through_whatever_numbers_come_with_it() -> None:
    life = entered(at(2, held=Wish("exit", size_fraction=NAN, confidence=NAN, stop=INFINITE, reduce_fraction=NAN)))
    facts = life.see(frame(2, BTC="100")).facts
    assert len(requests(facts, "exit_signal")) == 1
    assert denials(facts) == []


def test_acceptance_10_a_strategy_cannot_name_quantity_leverage_order_kind_or_symbol() -> None:
    assert {"quantity", "notional", "leverage", "kind", "symbol", "side"}.isdisjoint(Signal.__struct_fields__)


def test_acceptance_10_125_times_leverage_needs_the_bot_s_limit_and_the_venue_s() -> None:
    limits = RiskLimits(leverage_max=Decimal(20))
    with pytest.raises(InvalidCommand, match="leverage 125 is more than the limit leverage_max 20"):
        Life.of(creation(perpetual(), leverage="125", limits=limits), {})

    venue = replace(perpetual(), leverage_max=Decimal(20))
    with pytest.raises(InvalidCommand, match="leverage 125 is more than leverage_max 20 of BTC/USDT:USDT"):
        Life.of(creation(venue, leverage="125"), {})


def test_acceptance_10_candles_of_an_unknown_symbol_change_nothing() -> None:
    life = Life.of(creation(), at(0, Wish(), symbol=ETH))
    assert life.see(frame(0, BTC="100", ETH="50")).facts == []


# 11: fifty times leverage, ten percent down.


def levered(paper: PaperModel | None = None, *, stop: str = "0") -> Life:
    """A long of 5,000 on a margin of 100 of 1,000, bought at 100."""
    wish = Wish(
        size_fraction=Decimal(5),
        bracket=Bracket(stop_fraction=Decimal(stop), target_fraction=Decimal(0)) if stop != "0" else None,
    )
    command = creation(
        perpetual(tick="0.01"), capital="1000", leverage="50", fees=FREE, paper=paper or PaperModel(), limits=LOOSE
    )
    life = Life.of(command, at(0, wish, symbol=BTC_PERPETUAL))
    life.see_candles([candle(0, "100"), candle(1, "100")], BTC_PERPETUAL)
    assert life.state.ledger.locked == Decimal(100)
    return life


@pytest.mark.parametrize(
    ("prices", "price", "loss"),
    [("100 100 90 90", "98.99", "75.2475"), ("90", "90", "100"), ("98.98 99 98 99", "98.98", "75.745")],
    ids=["through the level", "a gap beyond the margin", "a gap beyond the level"],
)
def test_acceptance_11_50_times_leverage_and_10_percent_down_is_liquidated_and_loses_its_margin_at_most(
    prices: str, price: str, loss: str
) -> None:
    life = levered()
    facts = life.see(Frame(candle(2, "1").open_time, ((BTC_PERPETUAL, candle(2, prices)),))).facts

    [liquidated] = [fact for fact in facts if isinstance(fact, PositionLiquidated)]
    assert liquidated.price == Decimal(price)
    assert life.state.ledger.positions == {}
    assert life.state.trades[0].reason == "liquidation"
    with exact():
        gone = Decimal(1000) - life.state.ledger.cash
        assert gone <= Decimal(100)
        assert gone == Decimal(50) * (100 - liquidated.price) + liquidated.fee - liquidated.covered
    assert gone == Decimal(loss)


def test_acceptance_11_a_stop_before_the_liquidation_price_is_what_ends_it() -> None:
    life = levered(stop="0.005")
    facts = life.see(Frame(candle(2, "1").open_time, ((BTC_PERPETUAL, candle(2, "100 100 90 90")),))).facts
    assert [fill.price for fill in fills(facts)] == [Decimal("99.5")]
    assert not [fact for fact in facts if isinstance(fact, PositionLiquidated)]


def test_acceptance_11_funding_is_charged_at_every_eight_hour_mark_and_at_no_other() -> None:
    life = levered(PaperModel(funding_rate=Decimal("0.0001")))
    facts = [
        fact
        for step in life.see_candles([candle(n, "100") for n in range(2, 14)], BTC_PERPETUAL)
        for fact in step.facts
    ]
    settled = [fact for fact in facts if isinstance(fact, FundingSettled)]
    assert [fact.at.hour for fact in settled] == [8, 16, 0, 8, 16, 0]
    assert {fact.amount for fact in settled} == {Decimal("-0.5")}
    assert life.state.ledger.cash == Decimal(1000) + sum(fact.amount for fact in settled)
    assert life.state.ledger.locked == Decimal(100) + sum(fact.amount for fact in settled)


# 17: a threshold is within.


@pytest.mark.parametrize(("target", "passes"), [("1.026", True), ("1.0259999", False)])
def test_acceptance_17_reward_to_risk_exactly_at_its_threshold_passes(target: str, *, passes: bool) -> None:
    """1.3 times 2 % is 2.6 %; as floats, (102.6 - 100) / (100 - 98) is below 1.3."""
    assert (0.13201 * 1.026 - 0.13201) / (0.13201 - 0.13201 * 0.98) < 1.3
    limits = RiskLimits(reward_risk_min=Decimal("1.3"))
    wish = Wish(stop=Decimal("0.98"), target=Decimal(target))
    life = Life.of(creation(spot(tick="0.00001", lot="1"), limits=limits), at(0, wish))
    facts = life.see(frame(0, BTC="0.13201")).facts
    assert bool(requests(facts)) is passes
    assert [denial.rule for denial in denials(facts)] == ([] if passes else ["reward_risk_min"])
