"""Entries that wait for a trigger or a limit, trade at once or not at all, or only as makers: from signal to fill."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from events.bot import BotFact, OrderCancelled, OrderExpired, OrderRejected, OrderRequested, OrderTriggered
from events.values import PaperModel
from oxbot.core.bot import PauseBot, SetTradingState, StopBot
from oxbot.core.creation import CreateBot
from oxbot.core.money import AMOUNT_MAX, ratio
from oxbot.core.order_validation import validate
from oxbot.core.strategy import Signal
from tests.core.lives import (
    BRACKET,
    BTC,
    BTC_PERPETUAL,
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
    perpetual,
    requests,
    spot,
)

STOP = Wish(trigger=Decimal("1.02"), size_fraction=Decimal("0.5"))
STOP_LIMIT = STOP._replace(limit=Decimal("1.03"))
SHORT = Wish("enter_short", trigger=Decimal("0.98"), size_fraction=Decimal("0.5"))


def asked(wish: Wish, *prices: str, command: CreateBot | None = None) -> Life:
    """A bot that wants that at 100, and what comes after."""
    known = command or creation()
    symbol = known.market.instruments[0].symbol
    life = Life.of(known, at(0, wish, symbol=symbol))
    life.see_candles([candle(number, text) for number, text in enumerate(["100", *prices])], symbol)
    return life


def entry(life: Life) -> OrderRequested:
    [request] = requests(life.facts, "entry")
    assert validate(request, life.state.configuration.market.instruments[0]) is None
    return request


def kinds(facts: list[BotFact]) -> list[str]:
    return [type(fact).__name__ for fact in facts if isinstance(fact, OrderTriggered | OrderCancelled | OrderExpired)]


@pytest.mark.parametrize(
    ("wish", "kind", "trigger", "limit"),
    [
        (STOP, "stop", "102", None),
        (STOP_LIMIT, "stop_limit", "102", "103"),
        (Wish(limit=Decimal("0.99")), "limit", None, "99"),
        (Wish(), "market", None, None),
    ],
)
def test_a_signal_names_the_kind_of_its_entry_by_its_prices(
    wish: Wish, kind: str, trigger: str | None, limit: str | None
) -> None:
    request = entry(asked(wish))
    prices = [None if price is None else Decimal(price) for price in (trigger, limit)]
    assert (request.kind, [request.trigger_price, request.limit_price]) == (kind, prices)
    assert (request.expires_at is None) == (kind == "market")


def test_a_stop_entry_waits_for_its_trigger_and_brings_its_exits_from_the_fill() -> None:
    life = asked(STOP._replace(bracket=BRACKET), "100 101.9 99 101")
    assert fills(life.facts) == []
    [step] = life.see_candles([candle(2, "101 103 100 102")])
    [fill] = fills(step.facts)
    assert (fill.price, fill.liquidity) == (Decimal(102), "taker")
    assert [order.trigger_price for order in life.state.working(BTC)] == [Decimal("99.96"), Decimal("106.08")]


def test_a_stop_entry_that_the_open_has_passed_trades_at_the_open() -> None:
    [fill] = fills(asked(STOP, "105").facts)
    assert fill.price == Decimal(105)


@pytest.mark.parametrize(
    ("prices", "price"),
    [("101 102.5 101 102.5", "102"), ("102.5 104 101 102", "102.5"), ("104 105 103.5 104", None)],
    ids=["on the way", "at the open", "beyond its limit"],
)
def test_a_stop_limit_entry_trades_at_no_worse_price_than_its_limit(prices: str, price: str | None) -> None:
    traded = [fill.price for fill in fills(asked(STOP_LIMIT, prices).facts)]
    assert traded == ([] if price is None else [Decimal(price)])


def test_a_stop_limit_entry_that_was_triggered_rests_at_its_limit() -> None:
    life = asked(STOP_LIMIT, "104 105 103.5 104")
    assert kinds(life.facts) == ["OrderTriggered"]
    [step] = life.see_candles([candle(2, "104 104 102.9 103")])
    assert [(fill.price, fill.liquidity) for fill in fills(step.facts)] == [(Decimal(103), "maker")]


def test_a_short_is_entered_by_a_stop_below_the_market() -> None:
    life = asked(SHORT, "100 101 97 98", command=creation(perpetual()))
    assert entry(life).side == "sell"
    assert [fill.price for fill in fills(life.facts)] == [Decimal(98)]
    assert life.state.ledger.positions[BTC_PERPETUAL].side == "short"


@pytest.mark.parametrize("wish", [STOP, STOP_LIMIT])
def test_an_entry_that_was_not_reached_is_gone_after_three_candles(wish: Wish) -> None:
    life = asked(wish, "100", "100", "100")
    assert life.state.reserved > 0
    [step] = life.see_candles([candle(4, "105")])
    assert kinds(step.facts) == ["OrderExpired"]
    assert life.state.reserved == 0


@pytest.mark.parametrize(
    ("wish", "prices", "left"),
    [
        (Wish(limit=Decimal(1), time_in_force="ioc"), "100", None),
        (Wish(limit=Decimal("0.99"), time_in_force="ioc"), "100 100 98 98", "OrderCancelled"),
        (Wish(limit=Decimal("0.99"), time_in_force="fok"), "100 100 98 98", "OrderCancelled"),
    ],
)
def test_an_entry_that_must_trade_at_once_trades_at_the_open_or_is_gone(
    wish: Wish, prices: str, left: str | None
) -> None:
    life = asked(wish, prices)
    assert entry(life).time_in_force == wish.time_in_force
    assert kinds(life.facts) == ([] if left is None else [left])
    assert bool(fills(life.facts)) == (left is None)


def test_all_of_a_fill_or_kill_entry_trades_or_nothing() -> None:
    """1 % of a volume of 1,000 is 10, and 50 are wanted."""
    thin = creation(paper=PaperModel(participation_max=Decimal("0.01")))
    whole = Wish(limit=Decimal(1), time_in_force="fok", size_fraction=Decimal("0.5"))
    assert kinds(asked(whole, "100", command=thin).facts) == ["OrderCancelled"]
    in_part = asked(whole._replace(time_in_force="ioc"), "100", command=thin)
    assert [fill.quantity for fill in fills(in_part.facts)] == [Decimal(10)]
    assert kinds(in_part.facts) == ["OrderCancelled"]


def test_a_post_only_entry_waits_as_maker_and_is_refused_where_it_would_trade_at_once() -> None:
    maker = asked(Wish(limit=Decimal("0.99"), post_only=True), "100 100 98.9 99")
    assert [(fill.price, fill.liquidity) for fill in fills(maker.facts)] == [(Decimal(99), "maker")]
    taker = asked(Wish(limit=Decimal(1), post_only=True), "99")
    assert [type(fact) for fact in taker.facts if isinstance(fact, OrderRejected)] == [OrderRejected]
    assert fills(taker.facts) == []


@pytest.mark.parametrize(
    ("wish", "fault"),
    [
        (STOP._replace(time_in_force="ioc"), "time_in_force ioc is for orders that trade at once, not for a stop"),
        (STOP._replace(post_only=True), "post_only is for limit orders, not for a stop"),
        (Wish(post_only=True), "post_only is for limit orders, not for a market"),
        (
            Wish(limit=Decimal(1), post_only=True, time_in_force="fok"),
            "post_only and time_in_force fok exclude each other",
        ),
        (Wish(trigger=Decimal(0)), "trigger_price is 0.00, but must be above 0"),
        (Wish(trigger=Decimal("NaN")), f"trigger_price is NaN, but must be a number below {AMOUNT_MAX:f}"),
        (Wish(time_in_force="day"), "time_in_force is day, but must be one of gtc, ioc, fok"),  # type: ignore[arg-type]
    ],
)
def test_an_entry_that_no_venue_could_work_is_refused_with_the_reason(wish: Wish, fault: str) -> None:
    life = asked(wish)
    assert [(denial.rule, denial.reason) for denial in denials(life.facts)] == [("order_validity", fault)]
    assert requests(life.facts) == []


@pytest.mark.parametrize("part", ["0", "-0.5", "1.01", "2"])
def test_taking_off_nothing_or_more_than_all_is_refused_and_said(part: str) -> None:
    life = entered(at(2, held=Wish("reduce", reduce_fraction=Decimal(part))))
    [step] = life.see_candles([candle(2, "100")])
    [denial] = denials(step.facts)
    fault = f"reduce_fraction is {part}, but must be above 0 and at most 1"
    assert (denial.rule, denial.reason) == ("order_validity", fault)
    assert requests(step.facts) == []


def test_taking_off_all_leaves() -> None:
    life = entered(at(2, held=Wish("reduce", reduce_fraction=Decimal(1))))
    life.see_candles([candle(2, "100"), candle(3, "100")])
    assert life.state.ledger.positions == {}


# What the gate and the cash see of it: the worst price.


@pytest.mark.parametrize(
    ("wish", "price"),
    [
        (STOP, "102"),
        (STOP._replace(trigger=Decimal("0.99")), "100"),
        (STOP_LIMIT, "103"),
        (STOP_LIMIT._replace(limit=Decimal("1.01")), "101"),
        (Wish(limit=Decimal("1.03")), "100"),
    ],
    ids=["stop", "stop the market has passed", "stop-limit", "limit below the trigger", "limit beyond the market"],
)
def test_distances_are_measured_from_the_worst_price_of_the_entry(wish: Wish, price: str) -> None:
    """The stop is at 96: exactly as far as the limit allows from that price, and no further."""
    far = ratio(Decimal(price) - 96, Decimal(price))
    within = creation(limits=replace(LOOSE, stop_distance_max=far + Decimal("1e-6")))
    beyond = creation(limits=replace(LOOSE, stop_distance_max=far - Decimal("1e-6")))
    wish = wish._replace(stop=Decimal("0.96"))
    assert requests(asked(wish, command=within).facts, "entry")
    assert [denial.rule for denial in denials(asked(wish, command=beyond).facts)] == ["stop_distance_max"]
    [decision] = decisions(asked(wish, command=within).facts)
    if wish.trigger is not None:
        assert decision.entry_price == Decimal(price)


def test_a_short_by_a_stop_is_measured_from_its_trigger() -> None:
    wish = SHORT._replace(stop=Decimal("1.02"))
    command = creation(perpetual(), limits=replace(LOOSE, stop_distance_max=Decimal("0.0405")))
    [denial] = denials(asked(wish, command=command).facts)
    assert (denial.rule, denial.value) == ("stop_distance_max", Decimal(4))


@pytest.mark.parametrize("wish", [STOP, STOP_LIMIT])
def test_a_waiting_entry_keeps_its_cash_and_never_takes_more(wish: Wish) -> None:
    life = asked(wish._replace(size_fraction=Decimal("0.999")))
    reserved = life.state.reserved
    assert reserved == entry(life).notional * Decimal("1.0005")  # type: ignore[operator]  # an entry's notional
    life.see_candles([candle(1, "103")])
    assert fills(life.facts)
    assert life.state.ledger.cash >= 0
    assert 10_000 - life.state.ledger.cash <= reserved


def test_prices_are_put_on_the_tick_so_that_no_entry_trades_sooner_or_dearer() -> None:
    coarse = spot(tick="0.5")
    long = entry(asked(Wish(trigger=Decimal("1.0201"), limit=Decimal("1.0349")), command=creation(coarse)))
    assert (long.trigger_price, long.limit_price) == (Decimal("102.5"), Decimal("103.0"))
    short = Wish("enter_short", trigger=Decimal("0.9799"), limit=Decimal("0.9651"))
    request = entry(asked(short, command=creation(perpetual(tick="0.5"))))
    assert (request.trigger_price, request.limit_price) == (Decimal("97.5"), Decimal("97.0"))


# What takes it back.


@pytest.mark.parametrize("wish", [STOP, STOP_LIMIT])
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (PauseBot(), "the bot was paused"),
        (SetTradingState("reducing"), "the trading state is reducing"),
        (SetTradingState("halted", scope="fleet"), "the trading state is halted"),
        (StopBot(), "the bot was stopped"),
    ],
    ids=["pause", "reduce", "fleet", "stop"],
)
def test_an_entry_that_waits_for_its_trigger_is_taken_back_as_one_at_a_limit_is(
    wish: Wish, command: PauseBot | SetTradingState | StopBot, reason: str
) -> None:
    life = asked(wish)
    life.tell(command)
    [step] = life.see_candles([candle(1, "105")])
    assert [fact.reason for fact in step.facts if isinstance(fact, OrderCancelled)] == [reason]
    assert fills(step.facts) == []


def test_the_defaults_of_a_signal_are_an_entry_at_the_market() -> None:
    signal = Signal(intent="enter_long", measurements=())
    assert (signal.trigger_price, signal.time_in_force, signal.post_only) == (None, "gtc", False)
