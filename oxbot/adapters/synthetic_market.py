"""A made-up market without end: seeded, correlated, with volatility that clusters, shaped like real crypto candles."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate, islice

import msgspec
import numpy as np
from numpy.typing import NDArray

from events.errors import OxbotError
from events.identifiers import Symbol, VenueName
from events.values import Instrument
from oxbot.core.candles import Candle, Frame, aligned, timeframe_duration

MODEL_VERSION = 1
"""Raised whenever the same seed would give other candles; part of the venue's name."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_BLOCK_FRAMES = 1024
_YEAR = timedelta(days=365.25)
_DAY = timedelta(days=1)
_HOUR_SECONDS = 3600
_SUBSTEPS = 16
_WICK = 0.5
"""How far, in substep moves, the price strays beyond the highest and the lowest substep on a typical candle."""
_LAST_DRAWS = 5
"""Draws per candle after substeps and layers: instant volatility, two wicks, the volume's layer and its noise."""
_MINIMUM_NOTIONAL = Decimal(5)

# Log price returns to its start at this rate, and is held within this bound, so that no price dies or explodes.
_PULL_PER_YEAR = 0.7
_LEVEL_MAX = 6.0

# Log volatility is a sum of layers, each forgotten at its own pace; some are the whole market's, some a symbol's own.
_LAYER_MEMORY = (timedelta(days=20), timedelta(hours=10), timedelta(minutes=25))
_COMMON_DEVIATIONS = np.array([0.30, 0.34, 0.32])
_OWN_DEVIATIONS = np.array([0.12, 0.14, 0.18])
# ... and one layer of each that is forgotten at once; it gives single candles their fat tails.
_COMMON_INSTANT_DEVIATION = 0.28
_OWN_INSTANT_DEVIATION = 0.20

# Log volume follows volatility and the size of the move, with a layer and a noise of its own.
_VOLUME_MEMORY = timedelta(hours=6)
_VOLUME_DEVIATION = 0.40
_VOLUME_NOISE = 0.22
_VOLUME_ON_VOLATILITY = 0.95
_VOLUME_ON_MOVE = 0.30
_VOLUME_ON_HOUR = 1.4
_LOTS_MAX = 2.0**53

_VOLATILITY_BY_HOUR = np.array(
    (
        (1.06, 1.08, 0.95, 0.86, 0.83, 0.83, 0.85, 0.88, 0.93, 0.88, 0.86, 0.87),
        (1.07, 1.19, 1.34, 1.24, 1.21, 1.14, 1.08, 1.04, 1.06, 1.03, 0.95, 0.83),
    )
).ravel()
"""The mean move in each hour of the UTC day over that of all hours, as in real five-minute candles of 2024."""


class InvalidSyntheticMarket(OxbotError):
    """A synthetic market that cannot be made: no symbol, one named twice, or a beginning off the timeframe's grid."""


class _Profile(msgspec.Struct, frozen=True):
    price: float
    volatility_per_year: float
    loading: float
    notional_per_day: float
    tick: Decimal
    lot: Decimal


_PROFILES: Mapping[str, _Profile] = {
    "BTC": _Profile(65_000.0, 0.55, 0.98, 1.6e9, Decimal("0.01"), Decimal("0.00001")),
    "ETH": _Profile(3_400.0, 0.65, 0.95, 9e8, Decimal("0.01"), Decimal("0.0001")),
    "SOL": _Profile(150.0, 0.90, 0.86, 5e8, Decimal("0.01"), Decimal("0.001")),
    "BNB": _Profile(580.0, 0.60, 0.84, 2e8, Decimal("0.01"), Decimal("0.001")),
    "XRP": _Profile(0.55, 0.80, 0.72, 1.8e8, Decimal("0.0001"), Decimal("1")),
    "DOGE": _Profile(0.12, 1.00, 0.80, 1.8e8, Decimal("0.00001"), Decimal("1")),
    "ADA": _Profile(0.45, 0.80, 0.82, 8e7, Decimal("0.0001"), Decimal("0.1")),
    "AVAX": _Profile(35.0, 0.90, 0.82, 8e7, Decimal("0.01"), Decimal("0.01")),
    "LINK": _Profile(15.0, 0.80, 0.82, 7e7, Decimal("0.001"), Decimal("0.01")),
    "LTC": _Profile(80.0, 0.65, 0.82, 7e7, Decimal("0.01"), Decimal("0.001")),
}
_OTHER = _Profile(10.0, 0.80, 0.80, 5e7, Decimal("0.001"), Decimal("0.01"))


class SyntheticMarket:
    """The same seed, symbols, timeframe and beginning give the same candles in any process, however they are read.

    Raises ``InvalidSyntheticMarket``, or ``UnknownTimeframe``.
    """

    def __init__(self, seed: int, symbols: Sequence[Symbol], timeframe: str, begins_at: datetime) -> None:
        self._step = timeframe_duration(timeframe)
        _check(symbols, timeframe, begins_at)
        self._seed = seed
        self._symbols = tuple(sorted(symbols))
        self._begins_at = begins_at.astimezone(UTC)
        identity = msgspec.json.encode((MODEL_VERSION, seed, self._symbols, timeframe, self._begins_at))
        self.venue = VenueName(f"synthetic-{hashlib.sha256(identity).hexdigest()[:12]}")
        self.timeframe = timeframe

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Price step, quantity step and smallest notional of every symbol, in alphabetical order."""
        return tuple(
            Instrument(symbol=symbol, tick=profile.tick, lot=profile.lot, minimum_notional=_MINIMUM_NOTIONAL)
            for symbol, profile in zip(self._symbols, map(_profile, self._symbols), strict=True)
        )

    def frames(self, count: int) -> Iterator[Frame]:
        """The first ``count`` frames; a longer run begins with exactly these."""
        return islice(self.frames_after(None), count)

    def frames_after(self, open_time: datetime | None) -> Iterator[Frame]:
        """Every frame that opens after the moment, without end; from the beginning for None."""
        skip = 0 if open_time is None else max(0, (open_time - self._begins_at) // self._step + 1)
        opens_at = self._begins_at + skip * self._step
        for columns in self._numbers(skip):
            for row in zip(*columns, strict=True):
                candles = (Candle(opens_at, *numbers) for numbers in row)
                yield Frame(opens_at, tuple(zip(self._symbols, candles, strict=True)))
                opens_at += self._step

    def _numbers(self, skip: int) -> Iterator[list[Iterator[tuple[Decimal, ...]]]]:
        """Block by block, what each symbol's candles say, without the first ``skip`` candles of the market."""
        model = Model(self._seed, self._symbols, self._step, self._begins_at)
        while True:
            blocks = model.advance(_BLOCK_FRAMES)
            if skip < _BLOCK_FRAMES:
                yield [
                    _decimals(block[:, skip:], _profile(symbol))
                    for symbol, block in zip(self._symbols, blocks, strict=True)
                ]
            skip = max(0, skip - _BLOCK_FRAMES)


class Model:
    """The stochastic model: a common factor and each symbol's own, under log volatilities that revert in layers.

    A candle takes a fixed number of draws from streams of its own, and all carried state moves in order, so neither
    the block size nor the other symbols change a symbol's candles.
    """

    def __init__(self, seed: int, symbols: Sequence[Symbol], step: timedelta, begins_at: datetime) -> None:
        self._step = step
        self._opens_at_seconds = int(begins_at.timestamp())
        self._decays = np.array([math.exp(-(step / memory)) for memory in _LAYER_MEMORY])
        self._common = _stream(seed, "common")
        self._common_layers = _COMMON_DEVIATIONS * self._common.standard_normal(len(_LAYER_MEMORY))
        self._symbols = [_SymbolState(seed, symbol, step) for symbol in symbols]

    def advance(self, count: int) -> list[Integers]:
        """The next ``count`` candles per symbol: rows open, high, low, close in ticks and volume in lots."""
        draws = self._common.standard_normal((count, _SUBSTEPS + len(_LAYER_MEMORY) + 1))
        shocks = draws[:, _SUBSTEPS:-1] * _COMMON_DEVIATIONS * np.sqrt(1 - self._decays**2)
        layers = _autoregress(self._common_layers, shocks, self._decays)
        self._common_layers = layers[-1]
        by_hour = self._log_volatility_by_hour(count)
        common = np.cumsum(layers, axis=1)[:, -1] + draws[:, -1] * _COMMON_INSTANT_DEVIATION + by_hour
        return [state.advance(draws[:, :_SUBSTEPS], common, by_hour, self._decays) for state in self._symbols]

    def _log_volatility_by_hour(self, count: int) -> Floats:
        step_seconds = int(self._step.total_seconds())
        seconds = self._opens_at_seconds + np.arange(count) * step_seconds
        self._opens_at_seconds += count * step_seconds
        if self._step >= _DAY:
            return np.zeros(count)
        hours = seconds % int(_DAY.total_seconds()) // _HOUR_SECONDS
        by_hour: Floats = np.log(_VOLATILITY_BY_HOUR / np.sqrt(np.mean(_VOLATILITY_BY_HOUR**2)))
        return by_hour[hours]


class _SymbolState:
    """Where one symbol's model stands between two blocks."""

    def __init__(self, seed: int, symbol: Symbol, step: timedelta) -> None:
        profile = _profile(symbol)
        candle_years = step / _YEAR
        self._loading = profile.loading
        self._keep = math.exp(-_PULL_PER_YEAR * candle_years)
        self._deviation = profile.volatility_per_year * math.sqrt((1 - self._keep**2) / (2 * _PULL_PER_YEAR))
        self._ticks_at_start = profile.price / float(profile.tick)
        self._lots_at_start = profile.notional_per_day * (step / _DAY) / profile.price / float(profile.lot)
        self._volume_decay = np.array([math.exp(-(step / _VOLUME_MEMORY))])
        self._stream = _stream(seed, symbol)
        self._layers = _OWN_DEVIATIONS * self._stream.standard_normal(len(_LAYER_MEMORY))
        self._volume_layer = _VOLUME_DEVIATION * self._stream.standard_normal(1)
        self._level = 0.0
        self._close_ticks = round(self._ticks_at_start)

    def advance(self, common_draws: Floats, common: Floats, by_hour: Floats, decays: Floats) -> Integers:
        """The next candles, as many as there are rows of draws; see ``Model.advance``."""
        draws = self._stream.standard_normal((len(common), _SUBSTEPS + len(decays) + _LAST_DRAWS))
        layer_draws, rest = draws[:, _SUBSTEPS:-_LAST_DRAWS], draws[:, -_LAST_DRAWS:]
        layers = _autoregress(self._layers, layer_draws * _OWN_DEVIATIONS * np.sqrt(1 - decays**2), decays)
        self._layers = layers[-1]
        log_volatility = common + np.cumsum(layers, axis=1)[:, -1] + rest[:, 0] * _OWN_INSTANT_DEVIATION
        own_share = math.sqrt(1 - self._loading**2)
        steps = self._loading * common_draws + own_share * draws[:, :_SUBSTEPS]
        standard = np.cumsum(steps, axis=1) / math.sqrt(_SUBSTEPS)
        scale = self._deviation * np.exp(log_volatility - _LOG_VOLATILITY_VARIANCE)
        prices, levels = self._prices(
            standard * scale[:, None], np.abs(rest[:, 1:3]) * (_WICK / math.sqrt(_SUBSTEPS)) * scale[:, None]
        )
        volume = self._volume(rest[:, 3:], log_volatility - by_hour, by_hour, standard[:, -1], levels)
        return np.vstack([prices, volume])

    def _prices(self, moves: Floats, wicks: Floats) -> tuple[Integers, Floats]:
        """Open, high, low and close in ticks, and the log price at each close, from the moves within each candle."""
        ends = moves[:, -1]
        levels = np.array(list(accumulate(ends.tolist(), self._next_level, initial=self._level)))
        self._level = float(levels[-1])
        before, after = levels[:-1], levels[1:]
        bridge = (after - before - ends)[:, None] * (np.arange(1, _SUBSTEPS + 1) / _SUBSTEPS)
        path = before[:, None] + moves + bridge
        close = self._ticks(after)
        opening = np.concatenate([[self._close_ticks], close[:-1]])
        self._close_ticks = int(close[-1])
        high = np.maximum(self._ticks(path.max(axis=1) + wicks[:, 0]), np.maximum(opening, close))
        low = np.minimum(self._ticks(path.min(axis=1) - wicks[:, 1]), np.minimum(opening, close))
        return np.vstack([opening, high, low, close]), after

    def _next_level(self, level: float, move: float) -> float:
        return min(max(level * self._keep + move, -_LEVEL_MAX), _LEVEL_MAX)

    def _ticks(self, level: Floats) -> Integers:
        return np.maximum(np.rint(self._ticks_at_start * np.exp(level)), 1.0).astype(np.int64)

    def _volume(self, draws: Floats, log_volatility: Floats, by_hour: Floats, move: Floats, levels: Floats) -> Integers:
        """Volume in lots: more when prices move more, in busy hours, and after busy candles."""
        shocks = draws[:, :1] * _VOLUME_DEVIATION * np.sqrt(1 - self._volume_decay**2)
        layer = _autoregress(self._volume_layer, shocks, self._volume_decay)
        self._volume_layer = layer[-1]
        busy = _VOLUME_ON_VOLATILITY * log_volatility + _VOLUME_ON_HOUR * by_hour + _VOLUME_ON_MOVE * np.abs(move)
        log_lots = busy + layer[:, 0] + draws[:, 1] * _VOLUME_NOISE - levels - _LOG_VOLUME_EXCESS
        return np.minimum(np.rint(self._lots_at_start * np.exp(log_lots)), _LOTS_MAX).astype(np.int64)


def _variance(*deviations: float) -> float:
    return sum(deviation**2 for deviation in deviations)


_LOG_VOLATILITY_VARIANCE = _variance(
    *_COMMON_DEVIATIONS, *_OWN_DEVIATIONS, _COMMON_INSTANT_DEVIATION, _OWN_INSTANT_DEVIATION
)
"""Taken off log volatility, it makes the mean of squared volatility one."""

_LOG_VOLUME_EXCESS = _variance(
    _VOLUME_ON_VOLATILITY * math.sqrt(_LOG_VOLATILITY_VARIANCE), _VOLUME_DEVIATION, _VOLUME_NOISE
) / 2 + _VOLUME_ON_MOVE * math.sqrt(2 / math.pi)
"""Taken off log volume, it makes the mean volume about what the symbol's profile says."""


def _check(symbols: Sequence[Symbol], timeframe: str, begins_at: datetime) -> None:
    if not symbols or len(set(symbols)) != len(symbols):
        named = ", ".join(symbols) or "none"
        raise InvalidSyntheticMarket(f"a synthetic market needs symbols, each named once, not {named}")
    if begins_at.tzinfo is None or not aligned(begins_at, timeframe):
        raise InvalidSyntheticMarket(
            f"a synthetic market of {timeframe} cannot begin at {begins_at.isoformat()}: no candle opens there"
        )


def _profile(symbol: Symbol) -> _Profile:
    return _PROFILES.get(symbol.partition("/")[0], _OTHER)


def _stream(seed: int, name: str) -> np.random.Generator:
    digest = hashlib.sha256(msgspec.json.encode((MODEL_VERSION, seed, name))).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest)))


def _autoregress(state: Floats, shocks: Floats, decays: Floats) -> Floats:
    """Each row is the row before (first ``state``) times ``decays`` plus its shock."""
    rows = np.empty_like(shocks)
    for number, shock in enumerate(shocks):
        state = state * decays + shock
        rows[number] = state
    return rows


def _decimals(block: Integers, profile: _Profile) -> Iterator[tuple[Decimal, ...]]:
    units = (profile.tick, profile.tick, profile.tick, profile.tick, profile.lot)
    columns = ([unit * number for number in row] for unit, row in zip(units, block.tolist(), strict=True))
    return zip(*columns, strict=True)
