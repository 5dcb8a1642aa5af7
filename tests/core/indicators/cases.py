"""Every indicator once or more: how to call it, its plain twin, and what its docstring claims."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from oxbot.core import indicators as ours
from oxbot.core.indicators import Floats
from tests.core.indicators import plain, plain_patterns
from tests.core.indicators.candles import Candles

NAN = float("nan")
Outputs = tuple[Floats, ...]
Rows = Sequence[Sequence[float]]


class Case(NamedTuple):
    name: str
    outputs: Callable[[Candles], Outputs]
    twin: Callable[[Candles], Rows]
    reads: str
    """The columns it reads, by their first letters."""
    first: tuple[int, ...]
    """Index of the first value of each output."""
    flat: tuple[float, ...]
    """What each output comes to in candles of price 100 and volume 5 that never move."""
    forgets: int | None
    """So many candles after the window's beginning, values no longer depend on where that is; None: never."""
    price_power: int | tuple[int, ...] = 0
    """The power of the price with which the outputs grow, if they are not all alike: each."""
    volume_power: int = 0
    ties: bool = False
    """Whether values may hang on an exact tie, which rounding in another order breaks otherwise."""

    @property
    def price_powers(self) -> tuple[int, ...]:
        return self.price_power if isinstance(self.price_power, tuple) else (self.price_power,) * len(self.first)


def lists(candles: Candles) -> list[list[float]]:
    return [array.tolist() for array in candles]


def regime_of(candles: Candles) -> tuple[ours.DirectionalMovement, Floats]:
    return ours.adx(*candles[1:4], 7), ours.rsi(candles.close, 7)


def as_floats(flags: ours.Divergence) -> Outputs:
    return flags.bullish.astype(np.float64), flags.bearish.astype(np.float64)


def plain_regime(candles: Candles) -> Rows:
    movement, index = regime_of(candles)
    rows = [array.tolist() for array in (*movement, index)]
    return [plain_patterns.regime(*rows, strong=30.0, chop=15.0)]


def gap_events(candles: Candles, zones: Sequence[ours.FairValueGap | plain_patterns.Zone]) -> Outputs:
    """By candle: the zones completed (bearish negative, by their width), first touches, first closes beyond."""
    completed, touched, broken = np.zeros((3, len(candles.close)))
    for zone in zones:
        completed[-1 - zone.age] = (zone.high - zone.low) * (1 if zone.side == "bullish" else -1)
        if zone.touched is not None:
            touched[-1 - zone.touched] += 1
        if zone.broken is not None:
            broken[-1 - zone.broken] += 1
    return completed, touched, broken


def gap_case(name: str, fraction: float, impulse: float, period: int, *, ties: bool) -> Case:
    def outputs(c: Candles) -> Outputs:
        zones = ours.fair_value_gaps(
            *c[:4], gap_fraction_min=fraction, impulse_min=impulse, range_period=period, age_max=len(c.close)
        )
        return gap_events(c, zones)

    def twin(c: Candles) -> Rows:
        o, h, low, close, _, _ = lists(c)
        zones = plain_patterns.fair_value_gaps(
            o, h, low, close, fraction=fraction, impulse_min=impulse, period=period, age_max=len(close)
        )
        return [row.tolist() for row in gap_events(c, zones)]

    return Case(name, outputs, twin, "ohlc", (0, 0, 0), (0, 0, 0), None, (1, 0, 0), ties=ties)


def twin_of(
    function: Callable[..., object], columns: str, *parameters: float, **named: float
) -> Callable[[Candles], Rows]:
    """The plain function over the columns named by their first letters (t for times), in that order."""

    def twin(candles: Candles) -> Rows:
        by_letter = dict(zip("ohlcvt", lists(candles), strict=True))
        rows = function(*(by_letter[letter] for letter in columns), *parameters, **named)
        return rows if isinstance(rows, tuple) else (rows,)

    return twin


FADING = 40
"""Periods after which what fades has gone: (1 - 1 / 14) ** (40 * 14) is below 1e-17."""

CASES = [
    Case("sma 20", lambda c: (ours.sma(c.close, 20),), twin_of(plain.sma, "c", 20), "c", (19,), (100,), 20, 1),
    Case("sma 1", lambda c: (ours.sma(c.close, 1),), twin_of(plain.sma, "c", 1), "c", (0,), (100,), 1, 1),
    Case("ema 20", lambda c: (ours.ema(c.close, 20),), twin_of(plain.ema, "c", 20), "c", (19,), (100,), 400, 1),
    Case(
        "highest 20", lambda c: (ours.highest(c.high, 20),), twin_of(plain.highest, "h", 20), "h", (19,), (100,), 20, 1
    ),
    Case("highest 1", lambda c: (ours.highest(c.high, 1),), twin_of(plain.highest, "h", 1), "h", (0,), (100,), 1, 1),
    Case("lowest 7", lambda c: (ours.lowest(c.low, 7),), twin_of(plain.lowest, "l", 7), "l", (6,), (100,), 7, 1),
    Case("lowest 1", lambda c: (ours.lowest(c.low, 1),), twin_of(plain.lowest, "l", 1), "l", (0,), (100,), 1, 1),
    Case("rsi 14", lambda c: (ours.rsi(c.close),), twin_of(plain.rsi, "c", 14), "c", (14,), (50,), FADING * 14),
    Case("rsi 2", lambda c: (ours.rsi(c.close, 2),), twin_of(plain.rsi, "c", 2), "c", (2,), (50,), FADING * 2),
    Case("macd", lambda c: ours.macd(c.close), twin_of(plain.macd, "c", 12, 26, 9), "c", (33,) * 3, (0,) * 3, 520, 1),
    Case(
        "macd 3 7 2",
        lambda c: ours.macd(c.close, fast=3, slow=7, signal=2),
        twin_of(plain.macd, "c", 3, 7, 2),
        "c",
        (7,) * 3,
        (0,) * 3,
        200,
        1,
    ),
    Case(
        "stochastic",
        lambda c: ours.stochastic(*c[1:4]),
        twin_of(plain.stochastic, "hlc", period=14, smoothing=3, signal=3),
        "hlc",
        (17, 17),
        (50, 50),
        18,
    ),
    Case(
        "stochastic 5 1 4",
        lambda c: ours.stochastic(*c[1:4], 5, smoothing=1, signal=4),
        twin_of(plain.stochastic, "hlc", period=5, smoothing=1, signal=4),
        "hlc",
        (7, 7),
        (50, 50),
        8,
    ),
    Case(
        "adx 14",
        lambda c: ours.adx(*c[1:4]),
        twin_of(plain.adx, "hlc", 14),
        "hlc",
        (27, 14, 14),
        (0, 0, 0),
        FADING * 14 + 14,
    ),
    Case(
        "adx 3", lambda c: ours.adx(*c[1:4], 3), twin_of(plain.adx, "hlc", 3), "hlc", (5, 3, 3), (0, 0, 0), FADING * 3
    ),
    Case("atr 14", lambda c: (ours.atr(*c[1:4]),), twin_of(plain.atr, "hlc", 14), "hlc", (14,), (0,), FADING * 14, 1),
    Case("atr 1", lambda c: (ours.atr(*c[1:4], 1),), twin_of(plain.atr, "hlc", 1), "hlc", (1,), (0,), 2, 1),
    Case(
        "bollinger",
        lambda c: ours.bollinger(c.close)[:3],
        lambda c: plain.bollinger(c.close.tolist(), 20, 2)[:3],
        "c",
        (19,) * 3,
        (100,) * 3,
        20,
        1,
    ),
    Case(
        "bollinger bandwidth",
        lambda c: (ours.bollinger(c.close, 5, 1.5).bandwidth,),
        lambda c: plain.bollinger(c.close.tolist(), 5, 1.5)[3:],
        "c",
        (4,),
        (0,),
        5,
    ),
    Case("obv", lambda c: (ours.obv(c.close, c.volume),), twin_of(plain.obv, "cv"), "cv", (0,), (5,), None, 0, 1),
    Case(
        "vwap",
        lambda c: (ours.vwap(*c[1:]),),
        twin_of(plain.vwap, "hlcvt"),
        "hlcv",
        (17,),
        (100,),
        24,
        1,
    ),
    Case(
        "correlation",
        lambda c: (ours.correlation(c.close, c.open),),
        twin_of(plain.correlation, "co", 30),
        "co",
        (30,),
        (NAN,),
        31,
    ),
    Case(
        "supertrend",
        lambda c: ours.supertrend(*c[1:4]),
        twin_of(plain_patterns.supertrend, "hlc", 10, 3.0),
        "hlc",
        (10, 10),
        (100, 1),
        FADING * 10,
        (1, 0),
        ties=True,
    ),
    Case(
        "supertrend 5 1.7177",
        lambda c: ours.supertrend(*c[1:4], 5, 1.7177),
        twin_of(plain_patterns.supertrend, "hlc", 5, 1.7177),
        "hlc",
        (5, 5),
        (100, 1),
        FADING * 5,
        (1, 0),
        ties=True,
    ),
    Case(
        "ichimoku",
        lambda c: ours.ichimoku(*c[1:4])[:4],
        lambda c: plain_patterns.ichimoku(*lists(c)[1:4], conversion=9, base=26, leading=52, displacement=26)[:4],
        "hlc",
        (8, 25, 51, 77),
        (100,) * 4,
        78,
        1,
    ),
    Case(
        "ichimoku 9 5 7, displaced by 3",
        lambda c: ours.ichimoku(*c[1:4], conversion=9, base=5, leading=7, displacement=3)[:4],
        lambda c: plain_patterns.ichimoku(*lists(c)[1:4], conversion=9, base=5, leading=7, displacement=3)[:4],
        "hlc",
        (8, 4, 11, 9),
        (100,) * 4,
        12,
        1,
    ),
    Case(
        "ichimoku chikou",
        lambda c: (ours.ichimoku(*c[1:4]).chikou,),
        lambda c: plain_patterns.ichimoku(*lists(c)[1:4], conversion=9, base=26, leading=52, displacement=26)[4:],
        "c",
        (26,),
        (0,),
        27,
    ),
    Case(
        "order_flow",
        lambda c: ours.order_flow(*c[:5]),
        twin_of(plain_patterns.order_flow, "ohlcv", window=20, deviation_window=20),
        "ohlcv",
        (0, 19, 19),
        (0, 0, 0),
        20,
        0,
        1,
    ),
    Case(
        "order_flow 7 3",
        lambda c: ours.order_flow(*c[:5], window=7, deviation_window=3),
        twin_of(plain_patterns.order_flow, "ohlcv", window=7, deviation_window=3),
        "ohlcv",
        (0, 6, 2),
        (0, 0, 0),
        7,
        0,
        1,
    ),
    Case(
        "divergence from volume",
        lambda c: as_floats(ours.divergence(c.close, c.volume)),
        twin_of(plain_patterns.divergence, "cv", 5, 60),
        "cv",
        (0, 0),
        (0, 0),
        71,
    ),
    Case(
        "divergence 1, 9 candles",
        lambda c: as_floats(ours.divergence(c.low, c.volume, 1, distance_max=9)),
        twin_of(plain_patterns.divergence, "lv", 1, 9),
        "lv",
        (0, 0),
        (0, 0),
        12,
    ),
    Case(
        "regime",
        lambda c: (ours.regime(*regime_of(c)),),
        plain_regime,
        "hlc",
        (13,),
        (0,),
        FADING * 14,
    ),
    gap_case("fair_value_gaps", 0.001, 1.5, 14, ties=True),
    gap_case("fair_value_gaps 3", 0.0, 0.71717, 3, ties=False),
]
NAMES = [each.name for each in CASES]
