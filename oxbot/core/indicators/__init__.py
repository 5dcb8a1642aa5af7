"""Indicators: pure functions of closed candles as float arrays; money is never one.

Every function takes contiguous float64 arrays of shape (n,), oldest first and of one length (prices above zero), by
position, in the order open, high, low, close, volume; and gives arrays of shape (n,), or a named tuple of them. The
value at t uses the candles up to t and no later one. What is not defined yet is NaN (False in arrays of flags), so a
window that is too short gives nothing but NaN, and an empty one an empty array. Inputs are never changed.

Values that are not finite at the start of an input are a warm-up (so one indicator can be fed to another); one that
comes later, a NaN or an infinity in a candle, makes every value from there on undefined. Periods below a function's
least raise ``ValueError``, and so do arrays of unequal length.

Each docstring says when the first value stands (index of the array) and how far a value depends on where the window
begins: not at all, fading, or by its level. ``period`` of a smoothed average that fades keeps less than a thousandth of
its seed after 3.5 periods (exponential, 2 / (period + 1)) or 7 periods (Wilder, 1 / period).
"""

from oxbot.core.indicators.averages import ema, ema_last, sma
from oxbot.core.indicators.channels import highest, lowest
from oxbot.core.indicators.correlations import correlation
from oxbot.core.indicators.divergences import Divergence, divergence
from oxbot.core.indicators.flow import OrderFlow, order_flow
from oxbot.core.indicators.gaps import FairValueGap, fair_value_gaps
from oxbot.core.indicators.momentum import Macd, Stochastic, macd, rsi, stochastic
from oxbot.core.indicators.regimes import Regime, regime, regime_name
from oxbot.core.indicators.series import Flags, Floats, Times
from oxbot.core.indicators.trend import (
    DirectionalMovement,
    Ichimoku,
    Supertrend,
    adx,
    ichimoku,
    supertrend,
)
from oxbot.core.indicators.volatility import Bollinger, atr, bollinger
from oxbot.core.indicators.volume import obv, vwap

__all__ = [
    "Bollinger",
    "DirectionalMovement",
    "Divergence",
    "FairValueGap",
    "Flags",
    "Floats",
    "Ichimoku",
    "Macd",
    "OrderFlow",
    "Regime",
    "Stochastic",
    "Supertrend",
    "Times",
    "adx",
    "atr",
    "bollinger",
    "correlation",
    "divergence",
    "ema",
    "ema_last",
    "fair_value_gaps",
    "highest",
    "ichimoku",
    "lowest",
    "macd",
    "obv",
    "order_flow",
    "regime",
    "regime_name",
    "rsi",
    "sma",
    "stochastic",
    "supertrend",
    "vwap",
]
