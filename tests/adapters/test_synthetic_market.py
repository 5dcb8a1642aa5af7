"""The synthetic market: the same for the same seed, always possible, and shaped like real crypto candles."""

import gzip
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest

from events.identifiers import Symbol
from oxbot.adapters.synthetic_market import Floats, Integers, InvalidSyntheticMarket, Model, SyntheticMarket
from oxbot.core.candles import UnknownTimeframe, check_candle

BASES = ("BTC", "DOGE", "ETH", "SOL", "XRP")
SYMBOLS = tuple(Symbol(f"{base}/USDT") for base in BASES)
BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=5)
CANDLES_PER_YEAR = 365.25 * 288
REPOSITORY = Path(__file__).parents[2]

GOLDEN_DIGEST = "8de18e20136d2222b0154e8305e56b8ae73584516808e7af19f9213b04889d33"
"""Of the first 300 frames of seed 7: candles of an old seed must never change unless MODEL_VERSION does."""


def market(seed: int = 7, symbols: tuple[Symbol, ...] = SYMBOLS) -> SyntheticMarket:
    """A market of five-minute candles."""
    return SyntheticMarket(seed, symbols, "5m", BEGINNING)


def digest(seed: int) -> str:
    """SHA-256 over every byte of the first 300 frames."""
    return hashlib.sha256(msgspec.json.encode(list(market(seed).frames(300)))).hexdigest()


def test_the_same_seed_gives_the_same_candles_for_ever() -> None:
    assert digest(7) == GOLDEN_DIGEST


def test_another_process_makes_the_same_candles() -> None:
    program = "import test_synthetic_market as this; print(this.digest(11))"
    path = os.pathsep.join([str(REPOSITORY), str(Path(__file__).parent)])
    environment = os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": path}

    other = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert other.stdout.strip() == digest(11)


def test_another_seed_gives_other_candles() -> None:
    assert digest(7) != digest(8)


def test_a_shorter_run_is_the_beginning_of_a_longer_one() -> None:
    longer = list(market().frames(2100))

    for count in (0, 1, 1023, 1024, 1025, 2100):
        assert list(market().frames(count)) == longer[:count]


@pytest.mark.parametrize("after", [-1, 0, 1, 1022, 1023, 1024, 2047, 2048])
def test_frames_after_a_moment_go_on_where_it_was(after: int) -> None:
    everything = list(market().frames(2060))

    assert list(islice(market().frames_after(BEGINNING + after * STEP), 5)) == everything[after + 1 : after + 6]


def test_frames_after_a_moment_between_two_begin_with_the_later() -> None:
    moment = BEGINNING + 2.5 * STEP

    assert next(market().frames_after(moment)).open_time == BEGINNING + 3 * STEP
    assert next(market().frames_after(BEGINNING - 10 * STEP)).open_time == BEGINNING


def test_the_size_of_a_block_changes_nothing() -> None:
    whole = np.array(Model(3, SYMBOLS, STEP, BEGINNING).advance(600))
    model = Model(3, SYMBOLS, STEP, BEGINNING)

    parts = np.concatenate([model.advance(count) for count in (1, 2, 97, 500)], axis=2)

    assert np.array_equal(parts, whole)


def test_another_symbol_leaves_the_candles_of_the_others_alone() -> None:
    alone = [frame.candles[0] for frame in market(symbols=SYMBOLS[:1]).frames(300)]

    assert [frame.candles[0] for frame in market().frames(300)] == alone


def test_frames_hold_all_symbols_in_alphabetical_order_one_step_apart() -> None:
    frames = list(market(symbols=SYMBOLS[::-1]).frames(1100))

    assert [frame.open_time for frame in frames] == [BEGINNING + number * STEP for number in range(1100)]
    for frame in frames:
        assert tuple(symbol for symbol, _ in frame.candles) == SYMBOLS
        assert {candle.open_time for _, candle in frame.candles} == {frame.open_time}


def test_every_candle_is_possible_and_on_its_instruments_grid() -> None:
    synthetic = market(symbols=(*SYMBOLS, Symbol("ZZZ/USDT")))
    instruments = {instrument.symbol: instrument for instrument in synthetic.instruments}

    for frame in synthetic.frames(1500):
        for symbol, candle in frame.candles:
            check_candle(candle)
            for price in (candle.open, candle.high, candle.low, candle.close):
                assert price % instruments[symbol].tick == 0
            assert candle.volume % instruments[symbol].lot == 0


def test_each_candle_opens_where_the_last_one_closed() -> None:
    for before, after in pairwise(market().frames(1100)):
        for (_, earlier), (_, later) in zip(before.candles, after.candles, strict=True):
            assert later.open == earlier.close


@pytest.mark.parametrize(("step", "count"), [(timedelta(days=1), 30_000), (timedelta(weeks=1), 30_000)])
def test_prices_stay_positive_and_bounded_for_centuries(step: timedelta, count: int) -> None:
    for opening, high, low, close, volume in Model(5, SYMBOLS, step, BEGINNING).advance(count):
        assert low.min() >= 1
        assert (low <= np.minimum(opening, close)).all()
        assert (high >= np.maximum(opening, close)).all()
        assert high.max() < 2**50
        assert volume.min() >= 0


def test_the_venue_names_everything_that_shapes_the_candles() -> None:
    hour = BEGINNING + timedelta(hours=1)
    venues = [
        market().venue,
        market(seed=8).venue,
        market(symbols=SYMBOLS[:2]).venue,
        SyntheticMarket(7, SYMBOLS, "1h", BEGINNING).venue,
        SyntheticMarket(7, SYMBOLS, "5m", hour).venue,
    ]

    assert len(set(venues)) == len(venues)
    assert market(symbols=SYMBOLS[::-1]).venue == market().venue
    assert market().venue.startswith("synthetic-")
    assert len(market().venue) == len("synthetic-") + 12


@pytest.mark.parametrize(
    ("symbols", "begins_at", "message"),
    [
        ((), BEGINNING, "each named once, not none"),
        ((SYMBOLS[0], SYMBOLS[0]), BEGINNING, "each named once, not BTC/USDT, BTC/USDT"),
        (SYMBOLS, BEGINNING + timedelta(minutes=1), "cannot begin at 2024-01-01T00:01:00"),
        (SYMBOLS, BEGINNING.replace(tzinfo=None), "cannot begin at 2024-01-01T00:00:00"),
    ],
)
def test_a_market_that_cannot_be_made_is_refused(
    symbols: tuple[Symbol, ...], begins_at: datetime, message: str
) -> None:
    with pytest.raises(InvalidSyntheticMarket, match=message):
        SyntheticMarket(7, symbols, "5m", begins_at)


def test_an_unknown_timeframe_is_refused() -> None:
    with pytest.raises(UnknownTimeframe):
        SyntheticMarket(7, SYMBOLS, "5 minutes", BEGINNING)


class Shape(NamedTuple):
    """The figures by which made-up candles are compared with real ones."""

    volatility_per_year: float
    excess_kurtosis: float
    correlation_with_bitcoin: float
    memory_of_returns: float
    memory_of_moves: float
    memory_of_moves_after_an_hour: float
    memory_of_moves_after_a_day: float
    range_per_move: float
    volume_with_move: float
    afternoon_volume: float


def autocorrelation(values: Floats, lag: int) -> float:
    """The correlation of a series with itself so many steps later."""
    return float(np.corrcoef(values[lag:], values[:-lag])[0, 1])


def returns(candles: Floats) -> Floats:
    """Log returns from close to close."""
    logs: Floats = np.log(candles[3])
    return np.diff(logs)


def shape(candles: Floats, bitcoin: Floats) -> Shape:
    """The figures of five-minute candles, rows open to volume, that begin at midnight."""
    moves = returns(candles)
    hours = np.arange(candles.shape[1]) // 12 % 24
    volume = candles[4]
    return Shape(
        volatility_per_year=float(moves.std() * np.sqrt(CANDLES_PER_YEAR)),
        excess_kurtosis=float(((moves - moves.mean()) ** 4).mean() / moves.var() ** 2 - 3),
        correlation_with_bitcoin=float(np.corrcoef(moves, returns(bitcoin))[0, 1]),
        memory_of_returns=autocorrelation(moves, 1),
        memory_of_moves=autocorrelation(np.abs(moves), 1),
        memory_of_moves_after_an_hour=autocorrelation(np.abs(moves), 12),
        memory_of_moves_after_a_day=autocorrelation(np.abs(moves), 288),
        range_per_move=float(np.log(candles[1] / candles[2]).mean() / np.abs(np.log(candles[3] / candles[0])).mean()),
        volume_with_move=float(np.corrcoef(np.log(volume[1:] + 1), np.abs(moves))[0, 1]),
        afternoon_volume=float(volume[(hours >= 13) & (hours < 17)].mean() / volume.mean()),
    )


LIMITS: Mapping[str, tuple[float, float]] = {
    "excess_kurtosis": (3, 1000),
    "memory_of_returns": (-0.05, 0.05),
    "memory_of_moves": (0.2, 0.45),
    "memory_of_moves_after_an_hour": (0.1, 0.35),
    "memory_of_moves_after_a_day": (0.03, 0.25),
    "range_per_move": (1.7, 2.1),
    "volume_with_move": (0.35, 0.7),
    "afternoon_volume": (1.2, 1.8),
}
"""Wide enough for any half year of real candles, too narrow for a random walk."""

VOLATILITY: Mapping[str, float] = {"BTC": 0.55, "DOGE": 1.00, "ETH": 0.65, "SOL": 0.90, "XRP": 0.80}
CORRELATION: Mapping[str, tuple[float, float]] = {
    "BTC": (1, 1),
    "DOGE": (0.60, 0.80),
    "ETH": (0.75, 0.90),
    "SOL": (0.65, 0.85),
    "XRP": (0.55, 0.75),
}


def assert_shaped_like_crypto(base: str, figures: Shape) -> None:
    """Fail for the figures that lie outside their limits."""
    values = figures._asdict()
    assert {name: values[name] for name, (low, high) in LIMITS.items() if not low <= values[name] <= high} == {}
    assert 0.7 < figures.volatility_per_year / VOLATILITY[base] < 1.4
    low, high = CORRELATION[base]
    assert low - 1e-9 <= figures.correlation_with_bitcoin <= high + 1e-9


@pytest.mark.parametrize("seed", [1, 2, 7])
def test_half_a_year_is_shaped_like_crypto(seed: int) -> None:
    blocks: list[Integers] = Model(seed, SYMBOLS, STEP, BEGINNING).advance(52_000)

    for base, block in zip(BASES, blocks, strict=True):
        assert_shaped_like_crypto(base, shape(block.astype(np.float64), blocks[0].astype(np.float64)))


@pytest.mark.parametrize("base", BASES)
def test_real_candles_lie_within_the_same_limits(base: str) -> None:
    folder = Path(os.environ.get("OXBOT_TEST_MARKET", REPOSITORY.parent / "shared" / "market"))
    if not folder.is_dir():
        pytest.skip(f"no real candles in {folder}; OXBOT_TEST_MARKET can name another folder")

    assert_shaped_like_crypto(base, shape(real_candles(folder, base), real_candles(folder, "BTC")))


def real_candles(folder: Path, base: str) -> Floats:
    """Rows open to volume of the first 52,000 five-minute candles in the folder."""
    with gzip.open(folder / f"{base}-USDT_5m.csv.gz", "rt") as file:
        rows: Floats = np.loadtxt(file, delimiter=",", skiprows=1, usecols=range(1, 6), max_rows=52_000)
    return rows.T


def test_the_symbols_start_at_plausible_prices() -> None:
    first = dict(next(market().frames(1)).candles)

    assert 20_000 < first[Symbol("BTC/USDT")].open < 150_000
    assert 0.02 < first[Symbol("DOGE/USDT")].open < 1
