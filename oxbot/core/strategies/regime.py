"""Follows the market's regime: in when it has turned, half out when it goes nowhere, out when it has turned back."""

from decimal import Decimal
from typing import Annotated, NamedTuple

from events.values import Measurement, PositionSide
from oxbot.core.indicators import Floats, adx, atr, regime, regime_name, rsi
from oxbot.core.market_view import CandleWindow
from oxbot.core.parameters import Count, Factor, Multiple, Oscillator, Parametrised, Period, meaning
from oxbot.core.strategies.entries import AllowShort, BracketParameters, Entry, measured
from oxbot.core.strategies.exits import first_since_entry, leave, reduce
from oxbot.core.strategies.sided import Sided
from oxbot.core.strategy import BoundStrategy, Holding, Signal

_SIGNS: dict[PositionSide, float] = {"long": 1.0, "short": -1.0}


class RegimeParameters(BracketParameters, frozen=True, kw_only=True):
    """The five regimes, how long one must last, and the part of ``size_fraction`` that each deserves.

    The published table trusts a falling market less: a seller's sizes are those of the regimes down. In a chop a
    position keeps only that regime's part.
    """

    adx_period: Annotated[Period, meaning("candles of ADX")] = 14
    rsi_period: Annotated[Period, meaning("candles of RSI")] = 14
    adx_strong: Annotated[Oscillator, meaning("ADX from which a trend is strong")] = 30.0
    adx_chop: Annotated[Oscillator, meaning("ADX below which there is none")] = 15.0
    confirming_closes: Annotated[Count, meaning("how many closes a regime must last")] = 2
    structure_candles: Annotated[Period, meaning("candles of the range whose edge a position must not lose")] = 20
    stop_atr: Annotated[Multiple, meaning("atr: how many ranges the stop is from the close")] = 2.0
    target_atr: Annotated[Multiple, meaning("atr: how many ranges the target is from the close")] = 4.0
    factor_strong_up: Annotated[Factor, meaning("part of size_fraction in a strong rise")] = Decimal("1.2")
    factor_mild_up: Annotated[Factor, meaning("part of it in a mild rise")] = Decimal("1.0")
    factor_chop: Annotated[Factor, meaning("part of a position that is kept where there is no direction")] = Decimal(
        "0.5"
    )
    factor_mild_down: Annotated[Factor, meaning("part of size_fraction in a mild fall")] = Decimal("0.7")
    factor_strong_down: Annotated[Factor, meaning("part of it in a strong fall")] = Decimal("0.3")
    allow_short: AllowShort = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.adx_chop < self.adx_strong:
            raise ValueError("adx_chop must be below adx_strong")
        if self.factor_chop > 1:
            raise ValueError("factor_chop must be at most 1")

    @property
    def window(self) -> int:
        """Enough that Wilder's averages forget where the window began."""
        longest = max(self.adx_period, self.rsi_period, self.atr_period)
        return max(14 * longest, self.structure_candles + 1) + self.confirming_closes


class Look(NamedTuple):
    """The regimes of the window's closes, and what the newest one was made of."""

    codes: Floats
    close: float
    adx: float
    plus_di: float
    minus_di: float
    rsi: float
    average_range: float
    top: float
    bottom: float

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """The numbers that decide."""
        return measured(
            close=self.close,
            regime=float(self.codes[-1]),
            regime_before=float(self.codes[-2]),
            adx=self.adx,
            plus_di=self.plus_di,
            minus_di=self.minus_di,
            rsi=self.rsi,
            atr=self.average_range,
        )


class RegimeFollowing(Parametrised[RegimeParameters]):
    """Follows the market's regime: in when it has turned, half out in a chop, out when it turns back."""

    name = "regime"
    version = 1
    parameter_type = RegimeParameters

    def bound(self, parameters: RegimeParameters) -> BoundStrategy:
        """The strategy under these parameters."""
        return BoundRegime(parameters)


class BoundRegime(Sided[RegimeParameters, Look]):
    """``regime`` with its parameters."""

    def _look(self, window: CandleWindow) -> Look:
        p, count = self._parameters, self.window
        highs, lows, closes = window.highs(count), window.lows(count), window.closes(count)
        movement, strength = adx(highs, lows, closes, p.adx_period), rsi(closes, p.rsi_period)
        codes = regime(movement, strength, strong=p.adx_strong, chop=p.adx_chop)
        before = slice(-p.structure_candles - 1, -1)
        return Look(
            codes=codes,
            close=float(closes[-1]),
            adx=float(movement.adx[-1]),
            plus_di=float(movement.plus_di[-1]),
            minus_di=float(movement.minus_di[-1]),
            rsi=float(strength[-1]),
            average_range=float(atr(highs, lows, closes, p.atr_period)[-1]),
            top=float(highs[before].max()),
            bottom=float(lows[before].min()),
        )

    def _entry(self, look: Look, side: PositionSide) -> Entry | None:
        """The regime has just been the side's for long enough."""
        return self._entered(look, side) if self._turned(look, side) else None

    def _turned(self, look: Look, side: PositionSide) -> bool:
        """The newest closes were all the side's and the one before them was not."""
        favour = look.codes * _SIGNS[side] >= 1.0
        confirmed = self._parameters.confirming_closes
        return bool(favour[-confirmed:].all()) and not bool(favour[-confirmed - 1])

    def _entered(self, look: Look, side: PositionSide) -> Entry:
        p, name = self._parameters, regime_name(float(look.codes[-1]))
        stop, target = p.distances(look.close, look.average_range)
        factor: Decimal = getattr(p, f"factor_{name}")
        return Entry(
            side=side,
            setup=str(name),
            close=look.close,
            stop_distance=stop,
            target_distance=target,
            size_fraction=p.size_fraction * factor,
            confidence=0.5 + look.adx / 200.0,
            reason=f"{str(name).replace('_', ' ')} for {p.confirming_closes} closes: ADX {look.adx:.1f}, +DI "
            f"{look.plus_di:.1f}, -DI {look.minus_di:.1f}, RSI {look.rsi:.1f}",
            measurements=look.measurements,
        )

    def _exit(self, look: Look, holding: Holding) -> Signal | None:
        """The range broke, the regime has been the other side's for long enough, or there is no direction."""
        p, favour = self._parameters, look.codes * _SIGNS[holding.side]
        edge = look.bottom if holding.side == "long" else look.top
        if (look.close - edge) * _SIGNS[holding.side] < 0.0:
            return leave(f"the close {look.close:.8g} left the range at {edge:.8g}", look.measurements)
        newest = favour[-p.confirming_closes :]
        if bool((newest <= 0.0).all()) and bool((newest < 0.0).any()):
            return leave(f"the regime has turned for {p.confirming_closes} closes", look.measurements)
        chopping = favour == 0.0
        for _ in range(p.confirming_closes - 1):
            chopping[1:] &= chopping[:-1]
        if p.factor_chop < 1 and first_since_entry(chopping, holding):
            reason = f"no direction for {p.confirming_closes} closes, ADX {look.adx:.1f}"
            return reduce(1 - p.factor_chop, reason, look.measurements)
        return None
