"""Buys once and holds: what any other strategy has to beat."""

from decimal import Decimal
from typing import Annotated

from oxbot.core.market_view import CandleWindow
from oxbot.core.parameters import Parameters, Parametrised, Share, meaning
from oxbot.core.strategies.entries import measured
from oxbot.core.strategy import BoundStrategy, Signal, StrategyState


class HodlParameters(Parameters, frozen=True, kw_only=True):
    """The share of equity to buy with; the default is the most that a bot's default limits allow in one position."""

    size_fraction: Annotated[Share, meaning("share of equity to buy with")] = Decimal("0.25")


class Hodl(Parametrised[HodlParameters]):
    """Buys once and holds."""

    name = "hodl"
    version = 1
    parameter_type = HodlParameters

    def bound(self, parameters: HodlParameters) -> BoundStrategy:
        """The strategy under these parameters."""
        return BoundHodl(parameters)


class BoundHodl:
    """``hodl`` with its parameters."""

    window = 1

    def __init__(self, parameters: HodlParameters) -> None:
        self._parameters = parameters

    @property
    def size_fraction_max(self) -> Decimal:
        """The share of equity of its one entry."""
        return self._parameters.size_fraction

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:
        """Enter at the first close, without any exit; never again once a position of its own was closed."""
        if state.holding is not None or window.last is None or state.memory.recall("hodl", state.symbol).trades:
            return None
        return Signal(
            intent="enter_long",
            measurements=measured(close=float(window.last.close)),
            size_fraction=self._parameters.size_fraction,
            setup="hodl",
            reason=f"bought at about {window.last.close:f} to hold",
        )
