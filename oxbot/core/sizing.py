"""How large an entry is: its notional as a fraction of equity, by the method that the bot was created with.

Notional is what moves with the price; leverage says only how much of it must lie there as margin, so it changes no
size. Whatever is divided is rounded down to 8 decimals of equity, so that no entry risks more than was said. A method
that lacks what it sizes by (a stop, a range, an edge where ``kelly_min`` is 0) answers 0, which the gate refuses under
the rule ``sizing``.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Protocol, assert_never

from events.errors import OxbotError
from events.values import Sizing
from oxbot.core.bounds import Bounds, count, fraction
from oxbot.core.money import ZERO, exact, ratio

KELLY_TRADES_MAX = 200
"""How many of the newest trades the Kelly fraction is estimated from."""

_KELLY_SHARE = 4
_STEP = Decimal("1e-8")
_BOUNDS = {
    "risk_fraction": fraction(),
    "kelly_min": Bounds(ZERO, Decimal(1)),
    "kelly_max": fraction(),
    "kelly_trades_min": count(10, KELLY_TRADES_MAX),
}


class InvalidSizing(OxbotError):
    """A way of sizing that makes no sense; the text names each field and its bounds."""


class RiskedTrade(Protocol):
    """What Kelly looks at in a closed round trip, in quote currency."""

    @property
    def net(self) -> Decimal:
        """What it added to cash, after fees and funding."""
        ...

    @property
    def risked(self) -> Decimal | None:
        """What its first stop would have cost, before fees: entry quantity times distance; None without a stop."""
        ...


def check_sizing(sizing: Sizing) -> None:
    """Raise ``InvalidSizing`` for one outside what any bot may have."""
    named = [(name, bounds.fault(getattr(sizing, name))) for name, bounds in _BOUNDS.items()]
    faults = [f"sizing {name} {fault}" for name, fault in named if fault is not None]
    if sizing.kelly_min > sizing.kelly_max:
        faults.append(f"sizing kelly_max must be at least kelly_min, {sizing.kelly_min}, not {sizing.kelly_max}")
    if faults:
        raise InvalidSizing("; ".join(faults))


def size(
    sizing: Sizing,
    signal_fraction: Decimal,
    *,
    price: Decimal,
    stop: Decimal | None = None,
    atr_fraction: float | None = None,
    trades: Sequence[RiskedTrade] = (),
    fraction_max: Decimal,
) -> Decimal:
    """The entry's notional as a fraction of equity, for an entry at ``price`` with its stop at ``stop``.

    "fraction" is what the strategy asks for, as it is. The others never exceed ``fraction_max`` (the bot's limit
    ``position_fraction_max``), for a near stop would ask for more than any limit allows. ``atr_fraction`` is the
    average true range over the price. ``trades`` are the bot's own, oldest first.
    """
    with exact():
        match sizing.method:
            case "fraction":
                return signal_fraction
            case "risk":
                wanted = by_stop(sizing.risk_fraction, price=price, stop=stop)
            case "volatility":
                wanted = by_range(sizing.risk_fraction, atr_fraction)
            case "kelly":
                wanted = by_stop(kelly_risk(sizing, trades), price=price, stop=stop)
            case _:
                assert_never(sizing.method)
        return min(wanted, fraction_max)


def by_stop(risk_fraction: Decimal, *, price: Decimal, stop: Decimal | None) -> Decimal:
    """Fixed fractional risk: risk_fraction * price / |price - stop|, so that the stop costs that much of equity.

    Before fees and slippage. 0 without a stop, or with one at the price. Source: R. Vince, Portfolio Management
    Formulas (1990), and V. Tharp, Trade Your Way to Financial Freedom (1998), the "percent risk model".
    """
    distance = ZERO if stop is None else abs(price - stop)
    return _floor(Fraction(risk_fraction * price) / Fraction(distance)) if distance else ZERO


def by_range(risk_fraction: Decimal, atr_fraction: float | None) -> Decimal:
    """Volatility target: risk_fraction / atr_fraction, so that one candle's average true range moves that much equity.

    0 without a range above 0. Source: C. Faith, Way of the Turtle (2007), the unit N; V. Tharp (1998), the "percent
    volatility model". The float counts as the number it is written as, so that every machine sizes alike.
    """
    average = Decimal("NaN") if atr_fraction is None else Decimal(str(float(atr_fraction)))
    return _floor(Fraction(risk_fraction) / Fraction(average)) if average.is_finite() and average > 0 else ZERO


def kelly_risk(sizing: Sizing, trades: Sequence[RiskedTrade]) -> Decimal:
    """The fraction of equity to risk until the stop: a quarter of Kelly, from ``kelly_min`` to ``kelly_max``.

    Before ``kelly_trades_min`` trades with a stop have closed it is ``risk_fraction``. Without an edge it is
    ``kelly_min``: a bot whose ``kelly_min`` is 0 then enters no more. See ``kelly``.
    """
    returns = [ratio(trade.net, trade.risked) for trade in trades if trade.risked][-KELLY_TRADES_MAX:]
    if len(returns) < sizing.kelly_trades_min:
        return sizing.risk_fraction
    quarter = kelly(returns) / _KELLY_SHARE
    return min(sizing.kelly_max, max(sizing.kelly_min, _floor(max(quarter, Fraction(0)))))


def kelly(returns: Sequence[Decimal]) -> Fraction:
    """The fraction of equity to risk per trade under which equity grew fastest, below 0 where there is no edge.

    ``returns`` are net results in units of what the stop would have cost (R). With win rate p and payoff b = mean win /
    mean loss, f = p - (1 - p) / b is the share of equity that a mean loss may cost; where that is more than one stop, f
    is divided by it. The win rate if nothing was lost, -1 if nothing was won. Source: J. L. Kelly, A New Interpretation
    of Information Rate (1956); E. O. Thorp, The Kelly Criterion in Blackjack, Sports Betting, and the Market (2006).
    """
    wins = [Fraction(value) for value in returns if value > 0]
    losses = [-Fraction(value) for value in returns if value <= 0]
    won, lost = sum(wins, Fraction(0)), sum(losses, Fraction(0))
    if not wins:
        return Fraction(-1)
    if not lost:
        return Fraction(len(wins), len(returns))
    mean_win, mean_loss = won / len(wins), lost / len(losses)
    rate = Fraction(len(wins), len(returns))
    share = rate - (1 - rate) * mean_loss / mean_win
    return share / max(Fraction(1), mean_loss)


def _floor(value: Fraction) -> Decimal:
    """A quotient that is at least 0, to 8 decimals, never rounded up."""
    return Decimal(value / Fraction(_STEP) // 1) * _STEP
