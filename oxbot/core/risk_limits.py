"""What each limit of the risk gate is measured in, and what values a bot may be given for it."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from events.errors import OxbotError
from events.values import RiskLimits
from oxbot.core.bounds import Bounds, count, fraction
from oxbot.core.money import AMOUNT_MAX, text

CANDLES_MAX = 10_000
TRADES_MAX = 100
"""The longest memory that a limit may ask of a bot."""


class InvalidLimits(OxbotError):
    """Risk limits that make no sense; the text names each field and its bounds."""


class Limit(msgspec.Struct, frozen=True):
    """The unit of a limit and its bounds.

    With ``leveraged``, the upper bound is the bot's own ``leverage_max``: without leverage a bot cannot hold more than
    its equity. ``meaning`` is for a limit whose rule has several.
    """

    unit: str
    bounds: Bounds
    leveraged: bool = False
    meaning: str = ""

    @property
    def bounds_text(self) -> str:
        """The bounds in words; what has no upper bound of its own has that of every number."""
        if self.unit == "yes or no":
            return "yes or no"
        if self.leveraged:
            return f"{self.bounds} and at most leverage_max"
        return str(self.bounds) if self.bounds.most is not None else f"{self.bounds} and below {AMOUNT_MAX:f}"


_EQUITY = "fraction of equity"
_PRICE = "fraction of the entry price"
_ABOVE_0 = Bounds(Decimal(0), above=True)
_CANDLES = count(1, CANDLES_MAX)
_TRADES = count(1, TRADES_MAX)

LIMITS: dict[str, Limit] = {
    "position_fraction_max": Limit(_EQUITY, _ABOVE_0, leveraged=True),
    "positions_max": Limit("positions", count()),
    "exposure_fraction_max": Limit(_EQUITY, _ABOVE_0, leveraged=True),
    "net_exposure_fraction_max": Limit(_EQUITY, _ABOVE_0, leveraged=True),
    "correlated_exposure_fraction_max": Limit(_EQUITY, _ABOVE_0, leveraged=True),
    "correlation_min": Limit(
        "correlation", Bounds(Decimal(0), Decimal(1)), meaning="from which correlation on two symbols move together"
    ),
    "leverage_max": Limit("times", count(1, 125)),
    "notional_min": Limit("quote currency", _ABOVE_0),
    "stop_distance_min": Limit(_PRICE, fraction("0.99")),
    "stop_distance_max": Limit(_PRICE, fraction("0.99")),
    "reward_risk_min": Limit("times", fraction("1000")),
    "reward_fees_min": Limit("times", fraction("1000")),
    "liquidation_distance_min": Limit("times", count(1, 1000)),
    "confidence_min": Limit("confidence", fraction()),
    "drawdown_max": Limit("fraction of the highest equity", fraction()),
    "daily_loss_max": Limit("fraction of equity at the day's start", fraction()),
    "trades_per_day_max": Limit("entries", count()),
    "entries_per_cycle_max": Limit("entries", count()),
    "cooldown_candles": Limit("candles", count(0, CANDLES_MAX)),
    "stop_guard.stops_max": Limit("trades", _TRADES, meaning="that many losing stops start the pause"),
    "stop_guard.lookback_candles": Limit("candles", _CANDLES, meaning="if they fell within so many candles"),
    "stop_guard.pause_candles": Limit("candles", _CANDLES, meaning="how long nothing is entered after the last stop"),
    "stop_guard.per_symbol": Limit(
        "yes or no", Bounds(Decimal(0), Decimal(1)), meaning="whether each symbol has its own count and pause"
    ),
    "profit_guard.trades_min": Limit("trades", _TRADES, meaning="how many trades of the symbol it takes to judge it"),
    "profit_guard.lookback_candles": Limit("candles", _CANDLES, meaning="if they closed within so many candles"),
    "profit_guard.return_min": Limit(
        "fraction of entry cost", Bounds(Decimal(-1), Decimal(10)), meaning="what they must have earned together, net"
    ),
    "profit_guard.pause_candles": Limit(
        "candles", _CANDLES, meaning="how long the symbol rests after the last of them"
    ),
    "fleet_exposure_max": Limit("fraction of the fleet's equity", fraction("125")),
    "fleet_net_exposure_max": Limit("fraction of the fleet's equity", fraction("125")),
}
"""Every limit by its path in ``RiskLimits``."""


def check_limits(limits: RiskLimits) -> None:
    """Raise ``InvalidLimits`` for limits outside what any bot may have; the text names every bad one."""
    faults = list(_faults(limits))
    if faults:
        raise InvalidLimits("; ".join(faults))


def value_of(limits: RiskLimits, path: str) -> Decimal | int | None:
    """The value of a limit by its path ("stop_guard.stops_max"); None if it is not set."""
    value = limits
    for name in path.split("."):
        if value is None:
            return None
        value = getattr(value, name)
    return value  # type: ignore[return-value]  # a path of LIMITS ends at a number


def value_text(limits: RiskLimits, path: str) -> str:
    """The value of a limit by its path, in words: a number, yes or no, or none."""
    value = value_of(limits, path)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else text(Decimal(value))


def _faults(limits: RiskLimits) -> Iterator[str]:
    for path, limit in LIMITS.items():
        value = value_of(limits, path)
        bounds = limit.bounds._replace(most=max(limits.leverage_max, Decimal(1))) if limit.leveraged else limit.bounds
        if value is not None and (fault := bounds.fault(value)) is not None:
            yield f"limit {path} {fault}"
    nearest, farthest = limits.stop_distance_min, limits.stop_distance_max
    if nearest is not None and farthest is not None and nearest > farthest:
        yield f"limit stop_distance_max must be at least stop_distance_min, {nearest}, not {farthest}"
