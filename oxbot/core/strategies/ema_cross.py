"""Buys when the fast moving average crosses above the slow one, sells when it crosses below; long only."""

from decimal import Decimal
from typing import Annotated

from events.values import Bracket, Measurement
from oxbot.core.indicators import ema_last
from oxbot.core.market_view import CandleWindow
from oxbot.core.parameters import Gain, Parameters, Parametrised, Period, Share, meaning
from oxbot.core.strategy import BoundStrategy, Signal, StrategyState


class EmaCrossParameters(Parameters, frozen=True, kw_only=True):
    """Periods in candles; fractions of equity (size) and of the fill price (stop, target)."""

    fast: Annotated[Period, meaning("candles of the fast average")] = 20
    slow: Annotated[Period, meaning("candles of the slow average")] = 50
    lookback: Annotated[Period, meaning("candles from which each average is made")] = 250
    size_fraction: Annotated[Share, meaning("share of equity of an entry")] = Decimal("0.05")
    stop_fraction: Annotated[Share, meaning("stop below the fill, as a fraction of it")] = Decimal("0.02")
    target_fraction: Annotated[Gain, meaning("target above the fill, as a fraction of it")] = Decimal("0.04")

    def __post_init__(self) -> None:
        if not self.fast < self.slow <= self.lookback:
            raise ValueError("fast must be below slow, and slow at most lookback")
        super().__post_init__()


class EmaCross(Parametrised[EmaCrossParameters]):
    """Buys when the fast moving average crosses above the slow one, and sells when it crosses below."""

    name = "ema_cross"
    version = 1
    parameter_type = EmaCrossParameters

    def bound(self, parameters: EmaCrossParameters) -> BoundStrategy:
        """The strategy under these parameters."""
        return BoundEmaCross(parameters)


class BoundEmaCross:
    """``ema_cross`` with its parameters."""

    def __init__(self, parameters: EmaCrossParameters) -> None:
        self._parameters = parameters
        self._bracket = Bracket(stop_fraction=parameters.stop_fraction, target_fraction=parameters.target_fraction)

    @property
    def window(self) -> int:
        """The look-back at the newest candle and at the one before."""
        return self._parameters.lookback + 1

    @property
    def size_fraction_max(self) -> Decimal:
        """The share of equity of every entry."""
        return self._parameters.size_fraction

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:
        """Enter on a cross upwards while flat, exit on a cross downwards while holding."""
        holding = state.holding is not None
        if len(window) < self.window:
            return None
        fast_now, slow_now, fast_before, slow_before = window.memo(
            ("ema_cross", self._parameters), lambda: self._averages(window)
        )
        if fast_now == slow_now or (fast_now > slow_now) == holding:
            return None
        crossed = fast_before >= slow_before if holding else fast_before <= slow_before
        if not crossed:
            return None
        measurements = (
            Measurement(name="ema_fast", value=fast_now),
            Measurement(name="ema_slow", value=slow_now),
            Measurement(name="ema_fast_before", value=fast_before),
            Measurement(name="ema_slow_before", value=slow_before),
        )
        if holding:
            return Signal(intent="exit", measurements=measurements)
        return Signal(
            intent="enter_long",
            measurements=measurements,
            size_fraction=self._parameters.size_fraction,
            bracket=self._bracket,
        )

    def _averages(self, window: CandleWindow) -> tuple[float, float, float, float]:
        """The fast and the slow average at the newest close, and both at the one before."""
        closes = window.closes(self.window)
        fast, slow = self._parameters.fast, self._parameters.slow
        now, before = closes[1:], closes[:-1]
        return ema_last(now, fast), ema_last(now, slow), ema_last(before, fast), ema_last(before, slow)
