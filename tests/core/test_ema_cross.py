"""``ema_cross`` against a reference loop, and each of its signals alone."""

import csv
import gzip
import os
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given as forall
from hypothesis import settings

from events.bot import BotFact, DecisionMade, OrderFilled, OrderRequested
from oxbot.core.candles import Candle, check_candle
from oxbot.core.money import exact
from oxbot.core.strategies.ema_cross import EmaCross
from oxbot.core.strategy import Holding as Held
from oxbot.core.strategy import InvalidParameter, Signal, StrategyState
from tests.core import reference_loop
from tests.core.market_strategies import candles
from tests.core.reference_loop import Holding, Result, Rules, Trade
from tests.core.scenario import BTC, CROSS_DOWN, CROSS_UP, SMALL, Life, flat_candles, moment, observe, running

CAPITAL = Decimal(10_000)
MARKET = Path(os.environ.get("OXBOT_TEST_MARKET", Path(__file__).parents[3] / "shared" / "market"))


def result_of(life: Life, last: Candle) -> Result:
    """The facts of a bot with one symbol, in the reference's terms."""
    requests: dict[str, OrderRequested] = {}
    trades: list[Trade] = []
    entry: OrderFilled | None = None
    with exact():
        for fact in life.facts:
            if isinstance(fact, OrderRequested):
                requests[fact.order_id] = fact
            if isinstance(fact, OrderFilled):
                if entry is not None:
                    trades.append(_trade(entry, fact, requests[fact.order_id].reason))
                entry = fact if entry is None else None
        cash = life.state.ledger.cash
        equity = cash + (entry.quantity * last.close if entry else 0)
    return Result(trades, cash, equity, Holding(entry.quantity, entry.at, entry.price) if entry else None)


def _trade(entry: OrderFilled, leave: OrderFilled, reason: str) -> Trade:
    assert entry.quantity == leave.quantity
    fees = entry.fee + leave.fee
    net = leave.quantity * leave.price - entry.quantity * entry.price - fees
    return Trade(entry.quantity, entry.at, entry.price, leave.at, leave.price, fees, net, reason)


def trade(market: Sequence[Candle], parameters: Mapping[str, str]) -> Result:
    """The core's result on the market."""
    return result_of(Life(running(parameters=parameters)).see_candles(market), market[-1])


def seeded_market(seed: int, size: int, *, price: int, exponent: int, volatility: float) -> list[Candle]:
    """A walk with a volatility per candle, in whole ticks of 10 ** exponent, with gaps and wicks."""
    chance = random.Random(seed)  # noqa: S311 - a market, not a secret
    tick = Decimal(1).scaleb(exponent)
    market = []
    for number in range(size):
        opened = max(20, round(price * (1 + chance.gauss(0, volatility / 4))))
        price = max(20, round(opened * (1 + chance.gauss(0, volatility))))
        high = max(opened, price) + round(abs(chance.gauss(0, volatility)) * price)
        low = max(1, min(opened, price) - round(abs(chance.gauss(0, volatility)) * price))
        market.append(Candle(moment(number), opened * tick, high * tick, low * tick, price * tick, Decimal(1)))
    return market


@pytest.mark.parametrize("seed", range(8))
def test_default_parameters_trade_like_the_reference_loop(seed: int) -> None:
    market = seeded_market(seed, 1500, price=42_000_00, exponent=-2, volatility=0.006)
    result = trade(market, {})
    assert result == reference_loop.run(market, CAPITAL)
    assert len(result.trades) > 5


@pytest.mark.parametrize(("price", "exponent"), [(42_000_00, -2), (712_340, -6), (2100, -6)])
def test_small_parameters_trade_like_the_reference_loop(price: int, exponent: int) -> None:
    """Coins of 42,000, 0.71 and 0.0021, with every kind of exit."""
    market = seeded_market(price, 1500, price=price, exponent=exponent, volatility=0.01)
    rules = Rules(fast=3, slow=7, lookback=20, size=Decimal("0.37"))
    result = trade(market, {"fast": "3", "slow": "7", "lookback": "20", "size_fraction": "0.37"})
    assert result == reference_loop.run(market, CAPITAL, rules)
    assert {made.reason for made in result.trades} == {"exit_signal", "stop_loss", "take_profit"}
    assert len(result.trades) > 50


def test_a_coin_of_a_few_ticks_trades_like_the_reference_loop() -> None:
    """Of 0.000021, whose every tick is 5 %, so that stop and target lie between ticks."""
    market = seeded_market(21, 1500, price=21, exponent=-6, volatility=0.02)
    result = trade(market, {"fast": "3", "slow": "7", "lookback": "20"})
    assert result == reference_loop.run(market, CAPITAL, Rules(fast=3, slow=7, lookback=20))
    assert len(result.trades) > 50


@settings(max_examples=150)
@forall(market=candles(size_min=10))
def test_any_candles_trade_like_the_reference_loop(market: list[Candle]) -> None:
    rules = Rules(fast=2, slow=3, lookback=5)
    assert trade(market, {"fast": "2", "slow": "3", "lookback": "5"}) == reference_loop.run(market, CAPITAL, rules)


@pytest.mark.parametrize("coin", ["BTC", "DOGE"])
def test_real_candles_trade_like_the_reference_loop(coin: str) -> None:
    """January 2024 at five minutes."""
    path = MARKET / f"{coin}-USDT_5m.csv.gz"
    if not path.exists():
        pytest.skip(f"no recorded market at {path}")
    market = _read(path, begins="2024-01-01T00:00:00Z", ends="2024-02-01T00:00:00Z")
    result = trade(market, {})
    assert result == reference_loop.run(market, CAPITAL)
    assert len(market) == 31 * 288
    assert len(result.trades) > 30
    with exact():
        assert result.cash - CAPITAL == sum((made.net for made in result.trades), _spent(result))


def _spent(result: Result) -> Decimal:
    holding = result.holding
    return -holding.quantity * holding.entry_price * (1 + reference_loop.FEE) if holding else Decimal(0)


def _read(path: Path, *, begins: str, ends: str) -> list[Candle]:
    with gzip.open(path, "rt", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if begins <= row["open_time"] < ends]
    fields = ("open", "high", "low", "close", "volume")
    market = [
        Candle(datetime.fromisoformat(row["open_time"]), *(Decimal(row[name]) for name in fields)) for row in rows
    ]
    for candle in market:
        check_candle(candle)
    return market


HELD = Held("long", Decimal(1), Decimal(100), moment(0), 1, "")


def signal(closes: Sequence[str], *, holding: bool) -> Signal | None:
    """What the small ``ema_cross`` wants after the closes."""
    bound = EmaCross().bind(EmaCross().parameters(SMALL))
    state = StrategyState(HELD if holding else None)
    return bound.observe(observe(flat_candles(closes)).view[BTC], state)


def test_a_cross_upwards_enters_when_flat() -> None:
    wanted = signal(CROSS_UP, holding=False)
    assert wanted is not None
    assert (wanted.intent, wanted.size_fraction) == ("enter_long", Decimal("0.05"))
    assert wanted.bracket is not None
    assert (wanted.bracket.stop_fraction, wanted.bracket.target_fraction) == (Decimal("0.02"), Decimal("0.04"))


def test_a_cross_downwards_exits_when_holding() -> None:
    wanted = signal(CROSS_DOWN, holding=True)
    assert wanted is not None
    assert (wanted.intent, wanted.bracket) == ("exit", None)


@pytest.mark.parametrize(
    ("closes", "holding"),
    [
        pytest.param(CROSS_UP, True, id="up while holding"),
        pytest.param(CROSS_DOWN, False, id="down while flat"),
        pytest.param(CROSS_UP[1:], False, id="one candle too few"),
        pytest.param((*CROSS_UP, "120"), False, id="above already"),
        pytest.param((*CROSS_DOWN, "80"), True, id="below already"),
        pytest.param(("100", "100", "100", "100"), False, id="equal while flat"),
        pytest.param(("100", "100", "100", "100"), True, id="equal while holding"),
    ],
)
def test_nothing_else_is_a_signal(closes: Sequence[str], holding: bool) -> None:
    assert signal(closes, holding=holding) is None


@pytest.mark.parametrize(("last", "holding"), [("110", False), ("90", True)])
def test_averages_that_were_equal_and_part_are_a_cross(last: str, holding: bool) -> None:
    assert signal(("100", "100", "100", last), holding=holding) is not None


def test_the_measurements_are_the_averages_now_and_before() -> None:
    """By hand: the average of 2 begins as the mean of the first two closes and moves by 2/3; that of 3 is a mean."""
    wanted = signal(CROSS_UP, holding=False)
    assert wanted is not None
    measured = {measurement.name: measurement.value for measurement in wanted.measurements}
    assert measured["ema_fast"] == pytest.approx(110 * 2 / 3 + 100.5 / 3)
    assert measured["ema_slow"] == pytest.approx(311 / 3)
    assert measured["ema_fast_before"] == pytest.approx(100 * 2 / 3 + 101.5 / 3)
    assert measured["ema_slow_before"] == pytest.approx(101)


@pytest.mark.parametrize(("size", "decided"), [(250, 0), (251, 1)])
def test_nothing_is_decided_before_251_candles_have_closed(size: int, decided: int) -> None:
    closes = [*(str(1000 - number) for number in range(size - 1)), "2000"]
    facts: list[BotFact] = Life(running(parameters={})).see_candles(flat_candles(closes)).facts
    assert sum(isinstance(fact, DecisionMade) for fact in facts) == decided


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"speed": "2"}, "speed"),
        ({"fast": "x"}, "int"),
        ({"fast": "1"}, "fast"),
        ({"lookback": "5001"}, "lookback"),
        ({"fast": "50"}, "fast must be below slow"),
        ({"slow": "251"}, "slow at most lookback"),
        ({"size_fraction": "0"}, "size_fraction must be above 0 and below 1, not 0"),
        ({"size_fraction": "1"}, "size_fraction must be above 0 and below 1, not 1"),
        ({"size_fraction": "NaN"}, "size_fraction"),
        ({"stop_fraction": "1"}, "stop_fraction must be above 0 and below 1, not 1"),
        ({"stop_fraction": "-0.1"}, "stop_fraction"),
        ({"target_fraction": "0"}, "target_fraction must be above 0 and below 10, not 0"),
        ({"target_fraction": "10.1"}, "target_fraction"),
        ({"target_fraction": "Infinity"}, "target_fraction"),
    ],
)
def test_parameters_out_of_bounds_are_refused_by_name(given: Mapping[str, str], match: str) -> None:
    with pytest.raises(InvalidParameter, match=match):
        EmaCross().parameters(given)


def test_every_parameter_is_recorded_with_its_default() -> None:
    recorded = {parameter.name: parameter.value for parameter in EmaCross().parameters({"fast": "10"})}
    assert recorded == {
        "fast": "10",
        "slow": "50",
        "lookback": "250",
        "size_fraction": "0.05",
        "stop_fraction": "0.02",
        "target_fraction": "0.04",
    }
