"""Trades on a language model's opinions, sized, bracketed and bounded here; without one it enters nothing."""

import math
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple

import msgspec

from events.advice import Opinion
from events.identifiers import ModelName
from events.values import Measurement, PositionSide
from oxbot.core.advice_bounds import CONFIDENCE_MAX, WEIGHT_MAX
from oxbot.core.advice_market import WINDOW
from oxbot.core.indicators import atr
from oxbot.core.market_view import CandleWindow
from oxbot.core.parameters import Count, Multiple, Name, Parameters, Parametrised, Period, Share, meaning
from oxbot.core.strategies.entries import AllowShort, Entry, measured
from oxbot.core.strategies.exits import leave, reduce
from oxbot.core.strategy import AdviceTerms, BoundStrategy, Holding, Signal, StrategyState

ATR_PERIOD = 14
ATR_CANDLES = 8 * ATR_PERIOD
"""So many candles make the average range, so that its seed has faded."""

HALF = Decimal("0.5")

_NEAREST, _FARTHEST = 0.25, 2.0
"""Between these parts of the stop by average ranges a model's own level takes its place: nearer is noise."""


class AdvisedParameters(Parameters, frozen=True, kw_only=True):
    """Whom to ask, how often and for how long an answer counts, in candles; how an opinion becomes an entry."""

    model: Annotated[Name, meaning("the model that is asked, by its name in the table of models")] = "scripted"
    template: Annotated[
        Literal["market", "trader"],
        meaning("what it is told: the market alone, the same for many bots, or the bot's positions and trades too"),
    ] = "market"
    every: Annotated[Count, meaning("it is asked at every so-manieth candle")] = 12
    valid: Annotated[Count, meaning("for how many candles its answer counts")] = 12
    confidence_min: Annotated[
        int, msgspec.Meta(ge=0, le=CONFIDENCE_MAX), meaning("least confidence of an entry, 0 to 100")
    ] = 60
    size_fraction: Annotated[Share, meaning("the most of equity that an entry gets, whatever the model wants")] = (
        Decimal("0.10")
    )
    stop_atr: Annotated[Multiple, meaning("how many average ranges the stop is from the close")] = 2.0
    target_atr: Annotated[Multiple, meaning("how many average ranges the target is from the close")] = 4.0
    allow_short: AllowShort = False
    follow_close: Annotated[bool, meaning("whether it leaves, wholly or by half, when the model says so")] = True
    window: Annotated[Period, meaning("candles that must be known before it is asked")] = WINDOW

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window < WINDOW:
            raise ValueError(f"window must be at least {WINDOW}, of which prompts are made")


class Advised(Parametrised[AdvisedParameters]):
    """Trades on a language model's opinions, sized, bracketed and bounded in code."""

    name = "model"
    version = 1
    parameter_type = AdvisedParameters

    def bound(self, parameters: AdvisedParameters) -> BoundStrategy:
        """The strategy under these parameters."""
        return BoundAdvised(parameters)


class _Range(NamedTuple):
    close: float
    average: float


class BoundAdvised:
    """``model`` with its parameters."""

    def __init__(self, parameters: AdvisedParameters) -> None:
        self._parameters = parameters

    @property
    def window(self) -> int:
        """As many candles as were asked for."""
        return self._parameters.window

    @property
    def size_fraction_max(self) -> Decimal:
        """The most of equity that an entry gets."""
        return self._parameters.size_fraction

    @property
    def advice(self) -> AdviceTerms:
        """Whom it wants to be advised by, and how."""
        p = self._parameters
        return AdviceTerms(model=ModelName(p.model), template=p.template, every=p.every, valid_candles=p.valid)

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:
        """Do what the opinion says, as far as it may be done; nothing without one."""
        opinion, last = state.opinion, window.last
        if opinion is None or last is None or len(window) < self.window:
            return None
        said = measured(close=float(last.close), weight=float(opinion.weight), confidence=float(opinion.confidence))
        if state.holding is not None:
            return self._exit(opinion, state.holding, said)
        return self._enter(opinion, state, _Range(float(last.close), self._average_range(window)), said)

    def _exit(self, opinion: Opinion, holding: Holding, said: tuple[Measurement, ...]) -> Signal | None:
        """Out of what the model is against; out of it, or of half of it, where it says so and that is followed."""
        against = "short" if holding.side == "long" else "long"
        if opinion.action == against:
            return leave(f"the model is {against}", said)
        if not self._parameters.follow_close:
            return None
        if opinion.action == "close":
            return leave("the model says close", said)
        return reduce(HALF, "the model says reduce", said) if opinion.action == "reduce" else None

    def _enter(
        self, opinion: Opinion, state: StrategyState, seen: _Range, said: tuple[Measurement, ...]
    ) -> Signal | None:
        p, side = self._parameters, _side(opinion)
        if side is None or (side == "short" and not p.allow_short) or opinion.confidence < p.confidence_min:
            return None
        size = min(Decimal(opinion.weight) / WEIGHT_MAX, p.size_fraction)
        if size <= 0 or not seen.average > 0.0:
            return None
        stop = _stop_distance(opinion, side, seen, p.stop_atr * seen.average)
        return Entry(
            side=side,
            setup=f"{Advised.name}_{side}",
            close=seen.close,
            stop_distance=stop,
            target_distance=p.target_atr * seen.average,
            size_fraction=size,
            confidence=opinion.confidence / CONFIDENCE_MAX,
            reason=f"the model is {side}: weight {opinion.weight} basis points, confidence {opinion.confidence}",
            measurements=(*said, *measured(average_range=seen.average, stop_distance=stop)),
        ).signal(StrategyState(symbol=state.symbol), size_fraction_max=size)

    def _average_range(self, window: CandleWindow) -> float:
        def computed() -> float:
            n = ATR_CANDLES
            return float(atr(window.highs(n), window.lows(n), window.closes(n), ATR_PERIOD)[-1])

        return window.memo(("advised", ATR_PERIOD), computed)


def _side(opinion: Opinion) -> PositionSide | None:
    match opinion.action:
        case "long" | "short" as side:
            return side
        case _:
            return None


def _stop_distance(opinion: Opinion, side: PositionSide, seen: _Range, usual: float) -> float:
    """How far the stop is from the close: to the model's own level where that can be one, else the usual distance."""
    if opinion.invalidation is None:
        return usual
    level = float(opinion.invalidation)
    distance = seen.close - level if side == "long" else level - seen.close
    return distance if math.isfinite(distance) and _NEAREST * usual <= distance <= _FARTHEST * usual else usual
