"""Strategies that may trade either side: one look at each close, then a way out of what is held, or a way in."""

from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Generic, Protocol, TypeVar

from events.values import PositionSide
from oxbot.core.market_view import CandleWindow
from oxbot.core.strategies.entries import Entry, sides
from oxbot.core.strategy import Holding, Signal, StrategyState

LookT = TypeVar("LookT")
SidedParametersT = TypeVar("SidedParametersT", bound="SidedParameters")


class SidedParameters(Protocol):
    """What the parameters of such a strategy say, whatever else they do."""

    @property
    def window(self) -> int:
        """How many closed candles a look needs."""
        ...

    @property
    def size_fraction_max(self) -> Decimal:
        """The most that memory and conviction may make of an entry, as a share of equity."""
        ...

    @property
    def candles_max(self) -> int:
        """After how many candles a position is closed; 0 for never."""
        ...

    @property
    def allow_short(self) -> bool:
        """Whether it may sell short."""
        ...


class Sided(ABC, Generic[SidedParametersT, LookT]):
    """Such a strategy with its parameters. Its look is the same whatever a bot holds: bots share it."""

    def __init__(self, parameters: SidedParametersT) -> None:
        self._parameters = parameters
        self._window = parameters.window
        self._sides = sides(allow_short=parameters.allow_short)

    @property
    def window(self) -> int:
        """What its parameters need."""
        return self._window

    @property
    def size_fraction_max(self) -> Decimal:
        """The share of equity that an entry can be raised to."""
        return self._parameters.size_fraction_max

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:
        """Leave or reduce what is held, if there is a reason to; while flat, enter on the first side that has one."""
        if len(window) < self._window:
            return None
        look = window.memo((type(self), self._parameters), lambda: self._look(window))
        if state.holding is not None:
            return self._exit(look, state.holding)
        p = self._parameters
        for side in self._sides:
            entry = self._entry(look, side)
            if entry is not None:
                return entry.signal(state, size_fraction_max=p.size_fraction_max, candles_max=p.candles_max)
        return None

    @abstractmethod
    def _look(self, window: CandleWindow) -> LookT:
        """What there is to see at the newest close; its arrays within tuples, where the memo makes them read-only."""

    @abstractmethod
    def _entry(self, look: LookT, side: PositionSide) -> Entry | None:
        """The entry on the side, if there is one."""

    @abstractmethod
    def _exit(self, look: LookT, holding: Holding) -> Signal | None:
        """What to take off the position, if anything."""
