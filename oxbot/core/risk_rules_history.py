"""The rules of the risk gate about what has happened: losses, how often the bot entered, and how its trades ended."""

from collections.abc import Iterable
from decimal import Decimal

from oxbot.core.money import ZERO
from oxbot.core.risk_context import EntryContext, Finding, PastTrade, at_least, at_most

STOPS: frozenset[str] = frozenset({"stop_loss", "trailing_stop", "liquidation"})
"""How a trade ends that was stopped out."""


def drawdown(limit: Decimal, *, equity: Decimal, high_water: Decimal) -> Finding:
    """How far equity is below its highest."""
    return at_most(limit * high_water, high_water - equity)


def daily_loss(limit: Decimal, *, equity: Decimal, day_start_equity: Decimal) -> Finding:
    """How far equity is below what it was at the last midnight (UTC), open positions included."""
    return at_most(limit * day_start_equity, day_start_equity - equity)


def drawdown_max(entry: EntryContext) -> Finding | None:
    """How far equity is below its highest."""
    limit = entry.limits.drawdown_max
    if limit is None or entry.high_water is None:
        return None
    return drawdown(limit, equity=entry.equity, high_water=entry.high_water)


def daily_loss_max(entry: EntryContext) -> Finding | None:
    """How far equity is below what it was at the last midnight (UTC)."""
    limit = entry.limits.daily_loss_max
    if limit is None:
        return None
    return daily_loss(limit, equity=entry.equity, day_start_equity=entry.day_start_equity)


def trades_per_day_max(entry: EntryContext) -> Finding | None:
    """The entries of this day (UTC), with this one."""
    limit = entry.limits.trades_per_day_max
    return None if limit is None else at_most(limit, entry.entries_today + 1)


def entries_per_cycle_max(entry: EntryContext) -> Finding | None:
    """The entries on this candle, with this one."""
    limit = entry.limits.entries_per_cycle_max
    return None if limit is None else at_most(limit, entry.entries_this_cycle + 1)


def cooldown_candles(entry: EntryContext) -> Finding | None:
    """The candles that have closed since the one in which the symbol's last trade did."""
    limit, ages = entry.limits.cooldown_candles, _ages(entry, _of_symbol(entry))
    return None if limit is None or not ages else at_least(limit, ages[0])


def stop_guard(entry: EntryContext) -> Finding | None:
    """The candles since the newest losing stop that was the last of too many within the lookback."""
    guard = entry.limits.stop_guard
    if guard is None:
        return None
    trades = _of_symbol(entry) if guard.per_symbol else entry.trades
    ages = _ages(entry, (trade for trade in trades if trade.net < 0 and trade.reason in STOPS))
    for newest, oldest in zip(ages, ages[guard.stops_max - 1 :], strict=False):
        if oldest - newest < guard.lookback_candles:
            return at_least(guard.pause_candles, newest)
    return None


def profit_guard(entry: EntryContext) -> Finding | None:
    """The candles since the symbol's last trade, if its trades within the lookback up to that one earned too little."""
    guard, trades = entry.limits.profit_guard, _of_symbol(entry)
    if guard is None or not trades:
        return None
    newest = _ages(entry, trades)[0]
    judged = [trade for trade in trades if entry.candles_since(trade.closed_at) - newest < guard.lookback_candles]
    net = sum((trade.net for trade in judged), ZERO)
    cost = sum((trade.entry_cost for trade in judged), ZERO)
    if len(judged) < guard.trades_min or net >= guard.return_min * cost:
        return None
    return at_least(guard.pause_candles, newest)


def _of_symbol(entry: EntryContext) -> list[PastTrade]:
    return [trade for trade in entry.trades if trade.symbol == entry.symbol]


def _ages(entry: EntryContext, trades: Iterable[PastTrade]) -> list[int]:
    """How many candles ago each was closed, the newest first."""
    return sorted(entry.candles_since(trade.closed_at) for trade in trades)
