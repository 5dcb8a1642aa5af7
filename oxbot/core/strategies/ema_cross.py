"""Buys when the fast moving average crosses above the slow one, sells when it crosses below; long only."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

import msgspec

from events.values import Bracket, Measurement, Parameter
from oxbot.core import money
from oxbot.core.indicators import ema_last
from oxbot.core.market_view import CandleWindow
from oxbot.core.strategy import BoundStrategy, InvalidParameter, Signal

_Period = Annotated[int, msgspec.Meta(ge=2, le=5000)]


class EmaCrossParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Periods in candles; fractions of equity (size) and of the fill price (stop, target)."""

    fast: _Period = 20
    slow: _Period = 50
    lookback: _Period = 250
    size_fraction: Decimal = Decimal("0.05")
    stop_fraction: Decimal = Decimal("0.02")
    target_fraction: Decimal = Decimal("0.04")

    def __post_init__(self) -> None:
        if not self.fast < self.slow <= self.lookback:
            raise ValueError("fast must be below slow, and slow at most lookback")
        for name, most in (("size_fraction", 1), ("stop_fraction", 1), ("target_fraction", 10)):
            value: Decimal = getattr(self, name)
            if not (value.is_finite() and 0 < value < most):
                raise ValueError(f"{name} must be above 0 and below {most}, not {value}")
            if (fault := money.fault(value)) is not None:
                raise ValueError(f"{name} {fault}")


class EmaCross:
    """The strategy ``ema_cross``."""

    name = "ema_cross"
    version = 1

    def parameters(self, given: Mapping[str, str]) -> tuple[Parameter, ...]:
        """Every parameter, checked; the text of a default is its plain number."""
        checked = _convert(given)
        return tuple(
            Parameter(name=name, value=str(getattr(checked, name))) for name in EmaCrossParameters.__struct_fields__
        )

    def bind(self, parameters: tuple[Parameter, ...]) -> BoundStrategy:
        """The strategy under these parameters."""
        return BoundEmaCross(_convert({parameter.name: parameter.value for parameter in parameters}))


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

    def observe(self, window: CandleWindow, *, holding: bool) -> Signal | None:
        """Enter on a cross upwards while flat, exit on a cross downwards while holding."""
        if len(window) < self.window:
            return None
        closes = window.closes(self.window)
        fast, slow = self._parameters.fast, self._parameters.slow
        fast_now, slow_now = ema_last(closes[1:], fast), ema_last(closes[1:], slow)
        if fast_now == slow_now or (fast_now > slow_now) == holding:
            return None
        fast_before, slow_before = ema_last(closes[:-1], fast), ema_last(closes[:-1], slow)
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


def _convert(given: Mapping[str, str]) -> EmaCrossParameters:
    try:
        return msgspec.convert(dict(given), EmaCrossParameters, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"strategy ema_cross: {error}") from error
