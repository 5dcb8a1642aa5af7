"""``trinity``, and each defect that its ancestor was measured to have: numbers are those of the inventory of defects.

22 repainting and 23 dependence on the length of what was fetched: also ``test_decisions``. 24 always long, its optional
regime filter, its idle higher timeframe and exits. 25 the memory that never learnt: also ``test_entries``. 3.1 and 3.2
are the sections on its indicators and its groups.
"""

from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pytest

from oxbot.core.candles import Candle
from oxbot.core.indicators import Floats, adx, ema, rsi, sma, supertrend
from oxbot.core.memory import NO_MEMORY, Outcome
from oxbot.core.strategies.trinity_look import GROUPS, Confluence, TrinityParameters, confluence, look
from oxbot.core.strategy import Signal
from tests.core.strategies.loop import Walk, at_the_close, bound, empty_window, holding, numbers, walk
from tests.core.strategies.market import candles_of, driftless, joined, line, recorded, zigzag

RISE = zigzag(100.0, up=0.004, down=0.003, count=260)
DIP = line(RISE[-1], RISE[-1] * 0.988, 8)
BOUNCE = [DIP[-1] + (RISE[-1] - DIP[-1]) / 3]
SEEDS = range(6)
LENIENT = {"adx_min": "0.1", "higher_adx_min": "0.1", "confidence_min": "0.01"}


def bounced(*, volume: float = 20.0) -> list[Candle]:
    """A strong rise, a pullback to its short average, and one candle that turns."""
    return candles_of(joined(RISE, DIP, BOUNCE), volumes=[10.0] * (len(RISE) + len(DIP)) + [volume])


class Columns(NamedTuple):
    highs: Floats
    lows: Floats
    closes: Floats


def columns(market: list[Candle], until: int) -> Columns:
    """Highs, lows and closes of the candles up to and with one, as many as the strategy sees."""
    seen = market[until + 1 - TrinityParameters().window : until + 1]
    return Columns(*(np.array([float(getattr(each, name)) for each in seen]) for name in ("high", "low", "close")))


def entries(*, short: bool = False) -> list[tuple[list[Candle], int, Signal]]:
    """Every entry that it wants on walks without drift: the market, the candle, the signal."""
    found = []
    for seed in SEEDS:
        market = driftless(seed, 1500)
        seen = walk(bound("trinity", {"allow_short": str(short).lower()}), market, trade=False)
        found += [(market, number, signal) for number, signal in seen.signals]
    assert len(found) > 20
    return found


def test_a_turned_pullback_in_a_strong_rise_is_bought() -> None:
    signal = at_the_close(bound("trinity"), bounced())
    assert signal is not None
    assert (signal.intent, signal.setup) == ("enter_long", "moderate_long")
    assert signal.size_fraction == Decimal("0.06")
    assert signal.confidence == Decimal("0.75")
    assert signal.reason.startswith("regime, entry, momentum, volume agree")


def test_the_candle_before_and_the_candle_after_the_turn_are_no_entries() -> None:
    assert at_the_close(bound("trinity"), bounced()[:-1]) is None
    still = candles_of(joined(RISE, DIP, BOUNCE, BOUNCE))
    assert at_the_close(bound("trinity"), still) is None


def test_24_a_touch_of_the_zone_by_the_turning_candle_itself_is_no_pullback() -> None:
    """It has to come before: within one candle nobody knows whether the low or the close came first."""
    closes = joined(RISE, line(RISE[-1], RISE[-1] * 1.04, 10))
    wick = [0.0005] * (len(closes) - 1) + [0.0256]
    market = candles_of(closes, lower=wick)
    window = empty_window(bound("trinity"), market)
    for candle in market:
        window.push(candle)
    found = look(window, TrinityParameters(), "long")
    seen = columns(market, len(market) - 1)
    assert abs(seen.lows[-1] - ema(seen.closes, 20)[-1]) < 0.2
    assert found.qualified
    assert not confluence(found, TrinityParameters()).entry


def test_22_a_candle_that_has_not_closed_decides_nothing() -> None:
    """Without the candle of the turn nothing is wanted, with it something: the forming candle is in no window."""
    market = bounced()
    strategy, window = bound("trinity"), empty_window(bound("trinity"), market)
    assert walk(strategy, market).signals[-1][0] == len(market) - 1
    assert not walk(strategy, market[:-1]).signals
    assert len(window) == 0


def test_24_every_entry_is_above_the_long_average_in_a_strong_upward_movement() -> None:
    """The regime filter is hard: 16 % of the ancestor's entries were below the average."""
    for market, number, _ in entries():
        seen = columns(market, number)
        movement = adx(*seen)
        assert seen.closes[-1] > sma(seen.closes, 200)[-1]
        assert movement.adx[-1] >= 25
        assert movement.plus_di[-1] > movement.minus_di[-1]


def test_24_the_same_mirrored_for_short_entries() -> None:
    found = [entry for entry in entries(short=True) if entry[2].intent == "enter_short"]
    assert len(found) > 10
    for market, number, _ in found:
        seen = columns(market, number)
        movement = adx(*seen)
        assert seen.closes[-1] < sma(seen.closes, 200)[-1]
        assert movement.adx[-1] >= 25
        assert movement.minus_di[-1] > movement.plus_di[-1]


def test_24_every_entry_has_a_pullback_into_the_zone_and_then_a_bounce() -> None:
    """96 % of the ancestor's entries had none; and its pullback and bounce had to be one candle."""
    for market, number, signal in entries():
        assert numbers(signal)["entry"] == 1.0
        seen = columns(market, number)
        zone = ema(seen.closes, 20)
        assert seen.closes[-1] > zone[-1]
        assert seen.closes[-1] > seen.highs[-2]
        assert (np.abs(seen.lows - zone)[-6:-1] <= 0.6 * (seen.highs - seen.lows).max()).any()


def test_24_the_higher_timeframe_decides_and_its_adx_is_one() -> None:
    """The ancestor filled it with a range in dollars and then looked at nothing: with the filter shut, no entry."""
    for market, number, signal in entries():
        assert 20 <= numbers(signal)["higher_adx"] <= 100
        window = empty_window(bound("trinity"), market)
        for candle in market[: number + 1]:
            window.push(candle)
        higher = window.resample(60, 4)
        assert len(higher.closes) == 60
        movement = adx(higher.highs, higher.lows, higher.closes)
        assert numbers(signal)["higher_adx"] == movement.adx[-1]
        assert movement.plus_di[-1] > movement.minus_di[-1]
        assert higher.closes[-1] > ema(higher.closes, 20)[-1]
    shut = bound("trinity", {"higher_adx_min": "99.9"})
    assert not any(walk(shut, driftless(seed, 1500), trade=False).signals for seed in SEEDS)


def test_24_the_higher_close_must_be_above_its_average_however_weak_the_trends_may_be() -> None:
    strategy = bound("trinity", LENIENT)
    closes = []
    for seed in range(12):
        market = driftless(seed, 1500)
        for number, _ in walk(strategy, market, trade=False).signals:
            window = empty_window(strategy, market)
            for candle in market[number + 1 - strategy.window : number + 1]:
                window.push(candle)
            higher = window.resample(60, 4).closes
            closes.append(higher[-1] - ema(higher, 20)[-1])
    assert len(closes) > 100
    assert min(closes) > 0


def test_24_a_falling_higher_timeframe_alone_prevents_an_entry() -> None:
    """Everything else of the entry holds; only the 60 candles of four hours are no longer whole or no longer rise."""
    market = bounced()
    parameters = TrinityParameters(higher_candles=60, higher_factor=5, trend_period=200)
    assert at_the_close(bound("trinity"), market) is not None
    assert parameters.window > len(market)
    assert at_the_close(bound("trinity", {"higher_factor": "5"}), market) is None


def test_24_a_position_is_left_once_supertrend_has_flipped_for_two_closes() -> None:
    market = candles_of(joined(RISE, line(RISE[-1], RISE[-1] * 0.93, 10)))
    left = [
        number
        for number in range(len(RISE), len(market))
        if at_the_close(bound("trinity"), market[: number + 1], holding(market[: number + 1], candles=9)) is not None
    ]
    seen = columns(market, len(market) - 1)
    direction = supertrend(seen.highs, seen.lows, seen.closes).direction
    flipped = len(market) - len(direction) + int(np.flatnonzero(direction < 0)[0])
    assert left[0] == flipped + 1
    assert float(market[left[0]].close) > sma(seen.closes, 200)[-1]


def test_24_a_position_is_left_below_the_long_average() -> None:
    market = candles_of(joined(RISE, [RISE[-1] * 0.6]))
    signal = at_the_close(bound("trinity"), market, holding(market, candles=3))
    assert signal is not None
    assert signal.intent == "exit"
    assert "broke the long average" in signal.reason


def test_24_half_of_an_overheated_position_is_taken_off_once() -> None:
    """The ancestor's rule read an RSI that its data did not have."""
    market = candles_of(joined(RISE, DIP, BOUNCE, line(BOUNCE[-1], BOUNCE[-1] * 1.06, 12)), volumes=[10.0] * 281)
    strategy = bound("trinity", {"volume_ratio_min": "0.5"})
    held = [holding(market[: end + 1], candles=end - 270) for end in range(270, 281)]
    signals = [at_the_close(strategy, market[: end + 1], each) for end, each in zip(range(270, 281), held, strict=True)]
    reductions = [signal for signal in signals if signal is not None]
    assert [(signal.intent, signal.reduce_fraction) for signal in reductions] == [("reduce", Decimal("0.5"))]
    assert rsi(columns(market, 280).closes)[-1] > 75


def test_24_exits_are_taken_on_recorded_candles() -> None:
    seen: Walk = walk(bound("trinity"), recorded("BTC", "5m", count=8000))
    assert "exit" in seen.reasons
    assert any(trade.reductions for trade in seen.trades)


def test_25_memory_changes_the_size_and_nothing_else() -> None:
    memory = NO_MEMORY
    for _ in range(20):
        memory = memory.remember(Outcome(setup="moderate_long", symbol="", net=Decimal(-1), cost=Decimal(9)))  # type: ignore[arg-type]  # the symbol that ``at_the_close`` looks at
    market = bounced()
    before, after = (at_the_close(bound("trinity"), market, memory=kept) for kept in (NO_MEMORY, memory))
    assert before is not None
    assert after is not None
    assert after.size_fraction == before.size_fraction * Decimal("0.7")
    assert (after.stop_loss, after.confidence, after.measurements) == (
        before.stop_loss,
        before.confidence,
        before.measurements,
    )


def test_31_the_newest_volume_is_not_part_of_its_own_measure() -> None:
    """1.2 times the mean of the twenty candles before it."""
    below, at = (at_the_close(bound("trinity"), bounced(volume=volume)) for volume in (11.9, 12.0))
    assert below is not None
    assert at is not None
    assert (numbers(below)["volume"], numbers(at)["volume"]) == (0.0, 1.0)
    assert numbers(at)["volume_ratio"] == pytest.approx(1.2)


def test_32_each_group_informs_entries_differ_in_all_but_the_one_they_need() -> None:
    """The ancestor's groups were true when any of up to five conditions was, so they nearly always were."""
    flags = np.array([[numbers(signal)[group] for group in GROUPS] for _, _, signal in entries(short=True)])
    shares = dict(zip(GROUPS, flags.mean(axis=0), strict=True))
    assert shares.pop("entry") == 1.0
    assert all(0.02 < share < 0.98 for share in shares.values()), shares


def test_32_the_published_weights_are_the_defaults_and_add_up_to_one() -> None:
    weights = TrinityParameters().weights
    assert weights == tuple(map(Decimal, ("0.25", "0.20", "0.20", "0.20", "0.10", "0.05")))
    assert sum(weights) == 1


@pytest.mark.parametrize(
    ("held", "expected"),
    [("111111", "1.00"), ("111110", "0.95"), ("001000", "0.20"), ("101010", "0.55"), ("000000", "0")],
)
def test_32_confidence_is_the_weight_of_the_groups_that_hold(held: str, expected: str) -> None:
    groups = Confluence(tuple(flag == "1" for flag in held), 1.0, 1.0, 1.0)
    assert groups.confidence(TrinityParameters().weights) == Decimal(expected)


def test_32_the_size_follows_the_strength_and_below_one_half_there_is_none() -> None:
    sizes = {
        (signal.setup.removesuffix("_long"), signal.size_fraction, (signal.confidence or 0) >= Decimal("0.50"))
        for _, _, signal in entries()
    }
    assert sizes <= {
        ("very_strong", Decimal("0.10"), True),
        ("strong", Decimal("0.080"), True),
        ("moderate", Decimal("0.060"), True),
        ("weak", Decimal("0.040"), True),
    }
    assert len(sizes) >= 3


def test_32_the_bracket_is_of_average_ranges_or_the_published_one() -> None:
    ranges, published = (at_the_close(bound("trinity", {"stops": stops}), bounced()) for stops in ("atr", "fixed"))
    assert ranges is not None
    assert published is not None
    close, distance = numbers(ranges)["close"], max(1.5 * numbers(ranges)["atr"], 0.01 * numbers(ranges)["close"])
    assert float(ranges.stop_loss or 0) == pytest.approx(close - distance)
    assert float(ranges.take_profit or 0) == pytest.approx(close + 2 * distance)
    assert float(published.stop_loss or 0) == pytest.approx(close * 0.965)
    assert float(published.take_profit or 0) == pytest.approx(close * 1.08)


def test_a_look_that_does_not_qualify_computes_no_groups_and_no_higher_timeframe() -> None:
    market = candles_of([100.0 + (0.2 if number % 2 else -0.2) for number in range(260)])
    window = empty_window(bound("trinity"), market)
    for candle in market:
        window.push(candle)
    found = look(window, TrinityParameters(), "long")
    assert not found.qualified
    assert np.isnan(found.higher_adx)
    assert len(confluence(found, TrinityParameters()).held) == len(GROUPS)
