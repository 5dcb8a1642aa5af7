"""Acceptance tests of the built-in strategies, through the bot: what they may know, that they trade, and how often."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache

import msgspec
import numpy as np
import pytest

from events.bot import BotFact, DayOpened, DecisionMade, FundingSettled, OrderFilled
from events.values import PaperModel, RiskLimits
from oxbot.core.bot import StopBot
from oxbot.core.candle_series import SharedSeries
from oxbot.core.candles import Candle, Frame
from oxbot.core.creation import CreateBot
from oxbot.core.indicators import adx, ema
from oxbot.core.strategies import built_in, built_in_strategies
from tests.core.advised_lives import answer, asked, opinion, received
from tests.core.lives import BTC, Life, Wish, Wishes, creation, decisions, fills, perpetual, requests, spot
from tests.core.strategies.market import MARKET, driftless, recorded

NAMES = [strategy.name for strategy in built_in_strategies()]
HOLDS_FOR_EVER = "hodl"
SEEDS = (1, 2, 3)


def bot(strategy: str, **parameters: str) -> CreateBot:
    """A spot bot of the strategy, as it comes but for the parameters named, at hourly candles."""
    return creation(spot(tick="0.0001"), timeframe="1h", capital="100000", strategy=strategy, parameters=parameters)


def lived(strategy: str, market: Sequence[Candle], **parameters: str) -> Life:
    """The life of such a bot over the whole market."""
    life = Life(bot(strategy, **parameters), built_in())
    see(life, market)
    return life


def see(life: Life, market: Sequence[Candle]) -> None:
    """Show the candles; to a bot that asks, a model answers by the candles up to there that it is long above a mean."""
    for each in market:
        [step] = life.see_candles([each])
        for request in asked(step.facts):
            rises = float(each.close) > life.view[BTC].closes(20).mean()
            answer(life, received(request, opinion(BTC, "long" if rises else "close")))


# 12: a decision knows nothing of what comes after its candle.


@pytest.mark.parametrize("name", NAMES)
def test_acceptance_12_what_is_decided_by_a_candle_is_the_same_whatever_comes_after_it(name: str) -> None:
    market = driftless(3, 1100)
    for known in (400, 777, 1000):
        past = market[:known]
        crash = [turned(each, past[-1].close) for each in market[known:]]
        until = past[-1].open_time
        alone = lived(name, past).facts
        assert len(alone) > 3
        assert by(until, lived(name, market).facts) == alone
        assert by(until, lived(name, [*past, *crash]).facts) == alone


@pytest.mark.parametrize("name", NAMES)
def test_acceptance_12_a_bot_that_lags_decides_as_if_nobody_had_seen_what_comes_next(name: str) -> None:
    market, shared, lag = driftless(3, 1100), SharedSeries(), 60
    ahead, behind = (Life(bot(name), built_in(), shared=shared) for _ in range(2))
    for number, each in enumerate(market):
        see(ahead, [each])
        if number >= lag:
            see(behind, [market[number - lag]])
    until = market[-lag - 1].open_time
    assert behind.facts == by(until, ahead.facts) == by(until, lived(name, market).facts)


def turned(candle: Candle, about: Decimal) -> Candle:
    """The candle with its prices on the other side of a price."""
    prices = [about * about / price for price in (candle.open, candle.low, candle.high, candle.close)]
    opened, high, low, closed = (price.quantize(Decimal("0.0001")) for price in prices)
    return Candle(candle.open_time, opened, high, low, closed, candle.volume * 3)


def by(moment: datetime, facts: Sequence[BotFact]) -> list[BotFact]:
    """The facts of candles up to that moment."""
    return [fact for fact in facts if getattr(fact, "at", moment) <= moment]


# 13: where nothing can be known, a strategy is not always in the market.


@pytest.mark.parametrize("name", ["fvg", "indicator", "regime", "trinity"])
def test_acceptance_13_on_a_walk_without_drift_a_strategy_waits_far_more_often_than_it_enters(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    flat = entered = held = candles = 0
    net = Decimal(0)
    for seed in SEEDS:
        life = Life(bot(name), built_in())
        for number, step in enumerate(life.see_candles(driftless(seed, 2000))):
            if number + 1 < life.decider.window(life.state):
                continue
            waiting = not step.before.ledger.positions and not step.before.orders
            candles, flat, held = candles + 1, flat + waiting, held + bool(step.before.ledger.positions)
            entered += waiting and bool(requests(step.facts, "entry"))
        worth = life.state.ledger.equity({BTC: life.view.mark(BTC)})
        net += worth / 100_000 - 1
    record_property(
        "counts",
        f"{entered} entries at {flat} flat closes ({entered / flat:.3f}), held at {held / candles:.1%} of "
        f"{candles}, net {net / len(SEEDS):+.2%} of capital per 2,000 candles",
    )
    assert 0 < entered < 0.35 * flat
    assert held < 0.6 * candles


def higher(market: Sequence[Candle], *, hours: int, count: int) -> list[Candle]:
    """The newest whole candles of so many hours that the hourly ones add up to."""
    whole = []
    for begin in range(0, len(market) - hours + 1, hours):
        part = market[begin : begin + hours]
        lows, highs, volume = [each.low for each in part], [each.high for each in part], [each.volume for each in part]
        whole.append(
            Candle(part[0].open_time, part[0].open, max(highs), min(lows), part[-1].close, sum(volume, Decimal(0)))
        )
    return whole[-count:]


def test_acceptance_13_trinity_enters_on_the_walk_only_where_the_higher_timeframe_rises() -> None:
    """There the close is above its average and ADX, upwards, is 20 or more; without that it would have entered more."""
    entries = freely = 0
    for seed in SEEDS:
        market = driftless(seed, 2000)
        for decision in entering(lived("trinity", market).facts):
            known = [each for each in market if each.open_time <= decision.at]
            seen = higher(known, hours=4, count=60)
            highs, lows, closes = (
                np.array([float(price) for price in column])
                for column in zip(*((each.high, each.low, each.close) for each in seen), strict=True)
            )
            movement = adx(highs, lows, closes, 14)
            assert closes[-1] > ema(closes, 20)[-1]
            assert movement.plus_di[-1] > movement.minus_di[-1]
            assert movement.adx[-1] >= 20
            entries += 1
        freely += len(entering(lived("trinity", market, higher_adx_min="0.1").facts))
    assert 0 < entries < freely


def entering(facts: Sequence[BotFact]) -> list[DecisionMade]:
    return [made for made in decisions(facts) if made.intent == "enter_long"]


# 15: every strategy enters, and leaves because it wants to.


@cache
def market_of(source: str) -> Sequence[Candle]:
    return driftless(5, 1500) if source == "walk" else recorded("BTC", "1h", count=2500)


SOURCES = ["walk", *(["recorded"] if (MARKET / "BTC-USDT_1h.csv.gz").exists() else [])]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", NAMES)
def test_acceptance_15_every_strategy_enters_and_leaves_by_its_own_signal_through_the_bot(
    name: str, source: str
) -> None:
    market = market_of(source)
    life = lived(name, market[:-2])
    entries = {request.order_id for request in requests(life.facts, "entry")}
    assert entries & {fill.order_id for fill in fills(life.facts)}
    if name == HOLDS_FOR_EVER:
        assert life.state.trades == ()
        life.tell(StopBot())
        life.see_candles(market[-2:])
    wanted = "bot_stopped" if name == HOLDS_FOR_EVER else "exit_signal"
    assert wanted in {trade.reason for trade in life.state.trades}
    assert life.state.ledger.imbalance() == 0


# 20: the clock of the machine is nobody's business.


ZONES = ("UTC", "Europe/Paris", "America/New_York")


@pytest.fixture
def zones() -> Iterator[Callable[[str], None]]:
    """Puts this process into a time zone; afterwards it is back where it was."""
    before = os.environ.get("TZ")

    def move(zone: str) -> None:
        os.environ["TZ"] = zone
        time.tzset()

    yield move
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def through_march() -> list[BotFact]:
    """A perpetual with funding, a daily loss limit and entries counted by day, while both zones change their clocks."""
    begin = datetime(2024, 3, 8, tzinfo=UTC)
    market = [
        msgspec.structs.replace(each, open_time=begin + number * timedelta(hours=1))
        for number, each in enumerate(driftless(5, 600))
    ]
    plan = {(BTC, each.open_time): Wishes(Wish(), Wish("exit")) for each in market[::5]}
    command = creation(
        perpetual(BTC),
        timeframe="1h",
        leverage="3",
        capital="100000",
        limits=RiskLimits(leverage_max=Decimal(3), daily_loss_max=Decimal("0.1"), trades_per_day_max=2),
        paper=PaperModel(funding_rate=Decimal("0.0001")),
    )
    life = Life.of(command, plan)
    life.see_candles(market)
    return life.facts


def test_acceptance_20_a_life_is_the_same_in_every_time_zone(zones: Callable[[str], None]) -> None:
    written = set[bytes]()
    offsets = set[tuple[int, int]]()
    for zone in ZONES:
        zones(zone)
        offsets.add((time.timezone, time.localtime(datetime(2024, 3, 31, 12, tzinfo=UTC).timestamp()).tm_hour))
        facts = through_march()
        written.add(msgspec.msgpack.encode(facts))
        kinds = {type(fact) for fact in facts}
        assert {DayOpened, FundingSettled, OrderFilled} <= kinds
        assert {fact.at.hour % 8 for fact in facts if isinstance(fact, FundingSettled)} == {0}
        assert {fact.at.hour for fact in facts if isinstance(fact, DayOpened)} == {0}
    assert len(offsets) == len(ZONES)
    assert len(written) == 1


@pytest.mark.parametrize("name", NAMES)
def test_acceptance_20_every_strategy_decides_the_same_in_every_time_zone(
    name: str, zones: Callable[[str], None]
) -> None:
    written = set[bytes]()
    for zone in ZONES:
        zones(zone)
        written.add(msgspec.msgpack.encode(lived(name, driftless(3, 700)).facts))
    assert len(written) == 1


def test_acceptance_20_frames_are_compared_by_moment_and_not_by_wall_clock() -> None:
    """The same frame written in another zone is the same frame."""
    market = driftless(3, 2)
    life = lived("hodl", market[:1])
    facts = len(life.facts)
    moved = market[0].open_time.astimezone(timezone(timedelta(hours=1)))
    life.see(Frame(moved, ((BTC, market[0]),)))
    assert len(life.facts) == facts
