"""Enters and exits by a seeded coin: what a strategy earns that knows nothing, costs included."""

import hashlib
from decimal import Decimal
from typing import Annotated

import msgspec

from oxbot.core.candles import Candle
from oxbot.core.indicators import atr
from oxbot.core.market_view import CandleWindow
from oxbot.core.parameters import Parametrised, Probability, meaning
from oxbot.core.strategies.entries import AllowShort, BracketParameters, Entry, measured, sides
from oxbot.core.strategies.exits import leave
from oxbot.core.strategy import BoundStrategy, Signal, StrategyState

_ENCODER = msgspec.msgpack.Encoder()


class RandomParameters(BracketParameters, frozen=True, kw_only=True):
    """The chance of an entry per candle while flat, and how many candles a position lasts on average."""

    seed: Annotated[int, msgspec.Meta(ge=0, le=2**53), meaning("which coin is tossed")] = 0
    entry_probability: Annotated[Probability, meaning("chance of an entry per candle while flat")] = 0.01
    holding_candles: Annotated[
        int, msgspec.Meta(ge=1, le=100_000), meaning("how many candles a position lasts on average")
    ] = 48
    allow_short: AllowShort = False


class Random(Parametrised[RandomParameters]):
    """Enters and exits by a seeded coin."""

    name = "random"
    version = 1
    parameter_type = RandomParameters

    def bound(self, parameters: RandomParameters) -> BoundStrategy:
        """The strategy under these parameters."""
        return BoundRandom(parameters)


class BoundRandom:
    """``random`` with its parameters."""

    def __init__(self, parameters: RandomParameters) -> None:
        self._parameters = parameters

    @property
    def window(self) -> int:
        """Enough for an average range whose seed has faded."""
        return 8 * self._parameters.atr_period

    @property
    def size_fraction_max(self) -> Decimal:
        """The share of equity of every entry: a coin learns nothing."""
        return self._parameters.size_fraction

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:
        """Toss the coin of the newest candle; holding times are geometric."""
        last = window.last
        if last is None or len(window) < self.window:
            return None
        if state.holding is None:
            return self._enter(window, last, state)
        chance = 1.0 / self._parameters.holding_candles
        drawn = self._drawn(last, "exit")
        if drawn >= chance:
            return None
        return leave(f"drew {drawn:.4f}, below {chance:.4f}", measured(drawn=drawn, chance=chance))

    def _enter(self, window: CandleWindow, last: Candle, state: StrategyState) -> Signal | None:
        parameters = self._parameters
        chance, drawn = parameters.entry_probability, self._drawn(last, "enter")
        if drawn >= chance:
            return None
        close = float(last.close)
        stop, target = parameters.distances(close, self._average_range(window))
        either = sides(allow_short=parameters.allow_short)
        side = either[int(self._drawn(last, "side") * len(either))]
        return Entry(
            side=side,
            setup=f"coin_{side}",
            close=close,
            stop_distance=stop,
            target_distance=target,
            size_fraction=parameters.size_fraction,
            confidence=0.5,
            reason=f"drew {drawn:.4f}, below {chance:.4f}",
            measurements=measured(drawn=drawn, chance=chance, close=close),
        ).signal(state, size_fraction_max=self.size_fraction_max, candles_max=parameters.candles_max)

    def _average_range(self, window: CandleWindow) -> float:
        count = self.window
        return window.memo(
            ("random", self._parameters.atr_period),
            lambda: float(
                atr(window.highs(count), window.lows(count), window.closes(count), self._parameters.atr_period)[-1]
            ),
        )

    def _drawn(self, candle: Candle, purpose: str) -> float:
        """A number from 0 to 1 that only the seed and the candle, every digit of it, decide."""
        text = f"{self._parameters.seed} {purpose} ".encode()
        digest = hashlib.blake2b(text + _ENCODER.encode(candle), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64
