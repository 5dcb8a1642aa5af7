"""Parity: decisions that differ are named, orders are paired, and the causes add up to the difference, to the unit."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from events.bot import BotFact, FundingSettled, OrderFilled, OrderRejected
from events.identifiers import Symbol
from events.values import FeeSchedule, PaperModel
from oxbot.app.parity import CAUSES, Incomparable, Parity, parity
from oxbot.cli.parity import say
from oxbot.core.bot import ArmBot
from oxbot.core.candles import Candle, Frame
from oxbot.core.creation import CreateBot
from oxbot.core.money import exact
from oxbot.core.strategy import Strategies
from tests.core import life_strategies
from tests.core.life_strategies import EVERYTHING, Script
from tests.core.live import PaperLike, armed, clock, fill, live, order_id, report, show, submitted
from tests.core.lives import (
    BRACKET,
    BTC,
    BTC_PERPETUAL,
    LOOSE,
    START,
    Life,
    Plan,
    Scripted,
    Wish,
    at,
    candle,
    creation,
    perpetual,
    spot,
)

ROUGH = PaperModel(
    half_spread=Decimal("0.0005"),
    slippage_factor=Decimal("0.1"),
    slippage_max=Decimal("0.002"),
    participation_max=Decimal("0.005"),
)
FREE = FeeSchedule(maker=Decimal(0), taker=Decimal(0))
IN_OUT: Plan = {**at(0, Wish(bracket=BRACKET)), **at(3, None, Wish("exit"))}
CALM = [candle(0, "100"), candle(1, "100 101 99 101"), candle(2, "101"), candle(3, "101"), candle(4, "102")]


def on_paper(command: CreateBot | None = None, plan: Plan = IN_OUT, candles: Sequence[Candle] = CALM) -> Life:
    """The bot on paper through the candles."""
    life = Life.of(command or creation(), plan)
    symbol = life.state.configuration.market.instruments[0].symbol
    life.see_candles(candles, symbol)
    return life


def compared(real: Life, paper: Life, mark: str = "102", symbol: Symbol = BTC) -> Parity:
    """Their parity, which holds together whatever they did."""
    found = parity(real.facts, paper.facts, {symbol: Decimal(mark)})
    assert found.unexplained == 0
    with exact():
        assert sum(found.causes.values()) == found.difference == found.live_result - found.paper_result
    return found


def live_life(*, price: str = "100.1", quantity: str = "10", fee: str = "0.6", seconds: float = 0.3) -> Life:
    """A live bot that bought a little dearer, and sold at its signal."""
    life = armed(plan=IN_OUT)
    life.see_candles(CALM[:1])
    bought = fill(1, "t1", quantity, price, when=clock(1, seconds), fee=fee, complete=True)
    report(life, submitted(1, quantity, when=clock(1, 0.1)), bought)
    life.see_candles(CALM[1:4])
    sold = fill(4, "t2", quantity, "101.9", when=clock(4, 0.25), fee="0.5", complete=True)
    report(life, submitted(4, quantity, when=clock(4, 0.1)), sold)
    life.see_candles(CALM[4:])
    return life


def amounts(found: Parity) -> dict[str, Decimal]:
    return {cause: amount for cause, amount in found.causes.items() if amount}


def test_price_quantity_and_fee_are_told_apart_and_the_delay_is_in_milliseconds() -> None:
    found = compared(live_life(quantity="9"), on_paper())

    assert (found.decisions, found.decision_differences, found.setup) == (2, [], [])
    entry, way_out = found.orders
    assert entry.amounts == {
        "price": Decimal("-0.9"),
        "quantity": Decimal("-2"),
        "fee": Decimal("-0.1"),
    }
    assert way_out.amounts == {"price": Decimal("-0.9"), "fee": Decimal("0.01")}
    assert entry.live is not None
    assert entry.paper is not None
    assert (entry.live.quantity, entry.live.price, entry.live.latency_ms) == (Decimal(9), Decimal("100.1"), 300)
    assert (entry.paper.quantity, entry.paper.price, entry.paper.latency_ms) == (Decimal(10), Decimal(100), 0)
    assert found.latency is not None
    assert (found.latency.orders, found.latency.median_ms, found.latency.most_ms) == (2, 250, 300)


def test_a_bot_that_traded_as_on_paper_differs_in_nothing() -> None:
    one = live_life(price="100", fee="0.5")
    facts = [replace(fact, price=Decimal(102)) if _is_sale(fact) else fact for fact in one.facts]
    found = parity(
        [replace(fact, fee=Decimal("0.51")) if _is_sale(fact) else fact for fact in facts], on_paper().facts, {}
    )
    assert not amounts(found)
    assert found.difference == 0
    assert not found.decision_differences


def _is_sale(fact: BotFact) -> bool:
    return isinstance(fact, OrderFilled) and fact.fill_id == "t2"


def test_what_was_rejected_counts_whole_and_says_why() -> None:
    life = armed(plan=IN_OUT)
    life.see_candles(CALM[:1])
    no = OrderRejected(order_id=order_id(1), at=clock(1), reason="51008: no money")
    report(life, no)
    life.see_candles(CALM[1:])
    paper = on_paper()

    found = compared(life, paper)

    assert amounts(found) == {"untraded": -found.paper_result}
    entry, way_out = found.orders
    assert entry.live is not None
    assert entry.live.ends == ("rejected: 51008: no money",)
    assert way_out.live is None
    assert [(each.field, each.live, each.paper) for each in found.decision_differences] == [("decision", "", "exit")]


def test_a_stop_here_and_a_target_there_are_one_pair_that_differs_in_price() -> None:
    plan = at(0, Wish(bracket=BRACKET))
    candles = [candle(0, "100"), candle(1, "100"), candle(2, "100 105 97.9 100")]
    life = armed(plan=plan)
    life.see_candles(candles[:2])
    report(life, submitted(1, "10", when=clock(1, 0.1)), fill(1, "t1", "10", "100", when=clock(1), complete=True))
    target = fill(3, "t2", "10", "104", when=clock(2), complete=True)
    report(life, submitted(3, "10", when=clock(1, 1.0)), target)
    life.see_candles(candles[2:])

    found = compared(life, on_paper(plan=plan, candles=candles))

    [_, way_out] = found.orders
    assert way_out.live is not None
    assert way_out.paper is not None
    assert (way_out.live.reasons, way_out.paper.reasons) == (("take_profit",), ("stop_loss",))
    assert (way_out.live.latency_ms, way_out.paper.latency_ms) == (None, None)
    assert way_out.amounts["price"] == 60


def test_a_target_here_and_a_signal_there_are_one_pair_of_the_same_entry() -> None:
    life = armed(plan=IN_OUT)
    life.see_candles(CALM[:1])
    report(life, submitted(1, "10", when=clock(1, 0.1)), fill(1, "t1", "10", "100", when=clock(1), complete=True))
    life.see_candles(CALM[1:2])
    report(life, submitted(3, "10", when=clock(2, 0.1)), fill(3, "t2", "10", "104", when=clock(2), complete=True))
    life.see_candles(CALM[2:])

    found = compared(life, on_paper())

    [_, way_out] = found.orders
    assert way_out.live is not None
    assert way_out.paper is not None
    assert (way_out.live.reasons, way_out.paper.reasons) == (("take_profit",), ("exit_signal",))
    assert way_out.amounts["price"] == 20


def test_an_exit_that_was_asked_for_again_belongs_to_the_decision_that_wanted_it() -> None:
    life = armed(plan=IN_OUT)
    life.see_candles(CALM[:1])
    report(life, submitted(1, "10", when=clock(1, 0.1)), fill(1, "t1", "10", "100", when=clock(1), complete=True))
    life.see_candles(CALM[1:4])
    report(life, OrderRejected(order_id=order_id(4), at=clock(4, 0.1), reason="50061: too many"))
    life.see_candles(CALM[4:])
    report(life, submitted(5, "10", when=clock(5, 0.1)), fill(5, "t2", "10", "101", when=clock(5), complete=True))

    [_, way_out] = compared(life, on_paper()).orders

    assert way_out.live is not None
    assert way_out.live.orders == (order_id(4), order_id(5))
    assert way_out.live.ends == ("rejected: 50061: too many",)
    assert way_out.live.latency_ms == 4 * 3_600_000 + 300


def test_orders_that_traded_on_neither_side_are_told_with_what_became_of_them() -> None:
    life = armed(plan=IN_OUT)
    life.see_candles(CALM[:1])
    report(life, OrderRejected(order_id=order_id(1), at=clock(1), reason="no"))

    [entry] = compared(life, on_paper(candles=CALM[:1])).orders

    assert entry.live is not None
    assert entry.paper is not None
    assert (entry.live.ends, entry.paper.ends, entry.amounts) == (("rejected: no",), ("working",), {})


def test_decisions_that_differ_are_named_by_their_fields_and_by_the_verdict() -> None:
    other = {**at(0, Wish(bracket=BRACKET, setup="another")), **at(3, None, Wish("exit"))}
    found = compared(live_life(), on_paper(plan=other))
    assert [(each.field, each.live, each.paper) for each in found.decision_differences] == [
        ("setup", "wish", "another")
    ]

    unarmed = Life(live(), Strategies(Scripted(IN_OUT)))
    unarmed.see_candles(CALM)
    found = compared(unarmed, on_paper())
    assert (found.decision_differences[0].field, found.decision_differences[0].live) == (
        "verdict",
        "denied by live_arming",
    )


def test_fees_in_base_currency_and_money_that_came_in_leave_the_sum_exact() -> None:
    life = armed(plan=IN_OUT)
    life.see_candles(CALM[:1])
    bought = fill(1, "t1", "10", "100.1", when=clock(1), fee="0.0123456789012345", fee_in="base", complete=True)
    report(life, submitted(1, "10", when=clock(1, 0.1)), bought)
    life.see_candles(CALM[1:3])
    found = compared(life, on_paper(candles=CALM[:3]), mark="103.3")
    assert found.causes["fee"] == -(Decimal("0.0123456789012345") * Decimal("100.1")) + Decimal("0.5")
    assert found.marks == {BTC: Decimal("103.3")}


def test_funding_is_a_cause_of_its_own() -> None:
    command = creation(perpetual(), leverage="2")
    plan = at(0, Wish("enter_short", bracket=BRACKET), symbol=BTC_PERPETUAL)
    life = armed(command, plan)
    life.see_candles(CALM[:1], BTC_PERPETUAL)
    report(
        life,
        submitted(1, "10", when=clock(1, 0.1)),
        fill(1, "t1", "10", "100", when=clock(1), fee="0.001", fee_in="base", complete=True),
    )
    paid = FundingSettled(
        symbol=BTC_PERPETUAL,
        at=clock(2),
        rate=Decimal(0),
        mark=Decimal(0),
        quantity=Decimal(-10),
        amount=Decimal("-0.3"),
    )
    report(life, paid)
    life.see_candles(CALM[1:3], BTC_PERPETUAL)

    found = compared(life, on_paper(command, plan, CALM[:3]), symbol=BTC_PERPETUAL)

    assert found.causes["funding"] == Decimal("-0.3")
    assert found.causes["fee"] == Decimal("0.5") - Decimal("0.1")


def test_two_bots_that_are_not_one_live_and_on_paper_are_refused() -> None:
    real, paper = live_life(), on_paper()
    for pair, words in (((paper, paper), "is on paper"), ((real, real), "is live")):
        with pytest.raises(Incomparable, match=words):
            parity(pair[0].facts, pair[1].facts, {})
    slower = Life.of(creation(timeframe="1h"), {})
    with pytest.raises(Incomparable, match="candles of 4h and the other on those of 1h"):
        parity(real.facts, slower.facts, {})


def test_what_they_were_not_created_alike_in_is_named_to_the_field() -> None:
    found = compared(live_life(), on_paper(creation(limits=replace(LOOSE, positions_max=4), fees=FREE)))
    assert found.setup == [
        "limits.positions_max: live 5, paper 4",
        "fees.maker: live 0.0002, paper 0",
        "fees.taker: live 0.0005, paper 0",
    ]
    [line] = compared(live_life(), on_paper(creation(spot(lot="0.01")))).setup
    assert line.startswith("instruments: live [{")


def test_the_report_says_all_of_it_and_its_status_whether_decisions_differ(capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(live_life(), on_paper())
    assert say(found, as_json=False) == 0
    told = capsys.readouterr().out
    for words in ("decisions: 2 made by both, 0 that differ", "10 at 100.1", "median 250 ms", *CAUSES):
        assert words in told, told
    assert say(found, as_json=True) == 0
    assert msgspec.json.decode(capsys.readouterr().out, type=Parity) == found

    other = compared(live_life(), on_paper(plan=at(0, Wish(bracket=BRACKET, setup="another"))))
    assert say(other, as_json=False) == 1
    told = capsys.readouterr().out
    assert "DIFFERS 2024-01-01T00:00:00Z BTC/USDT setup: live wish, paper another" in told
    assert "DIFFERS 2024-01-01T12:00:00Z BTC/USDT decision: live exit, paper none" in told


def test_live_as_rough_paper_has_every_cause() -> None:
    """What the property below rests on."""
    found = compared(live_life(), on_paper(creation(paper=ROUGH)))
    assert {"price", "quantity", "fee"} <= amounts(found).keys()


@settings(max_examples=150, deadline=None)
@given(script=life_strategies.scripts())
def test_whatever_two_bots_lived_through_the_causes_add_up_to_the_difference_to_the_unit(script: Script) -> None:
    """One on paper by its model, the other at a venue that trades at once and without costs of its own."""
    paper = Life.of(script.command, script.plan)
    real = Life(live(script.command), Strategies(Scripted(script.plan)))
    real.tell(ArmBot(START + timedelta(days=300)))
    venue = PaperLike(real)
    for event in script.events:
        if isinstance(event, Frame):
            paper.see(event)
            show(real, venue, event)
        elif event != EVERYTHING:
            paper.ask(event)
            real.ask(event)
    marks = {symbol: paper.view.mark(symbol) for symbol in _held(paper) | _held(real)}
    with exact():
        found = parity(real.facts, paper.facts, marks)
        assert found.unexplained == 0
        for life, result in ((real, found.live_result), (paper, found.paper_result)):
            ledger = life.state.ledger
            assert result == ledger.equity(marks) - ledger.deposits + ledger.withdrawals
        counted = [amount for row in found.orders for amount in row.amounts.values()]
        assert sum(counted, found.causes["funding"]) == found.difference


def _held(life: Life) -> set[Symbol]:
    return {*life.state.ledger.positions, *life.state.ledger.dust}
