"""What a bot remembers, made of its trades' rows: the same records as its own memory at that position of the log."""

from collections.abc import Iterable
from decimal import Decimal
from functools import reduce

from oxbot.core.memory import NO_MEMORY, Memory, Outcome
from oxbot.core.money import exact
from oxbot.views.rows import TradeRow


def remembered(trades: Iterable[TradeRow], memory: Memory = NO_MEMORY) -> Memory:
    """The memory with these closed trades in it, in any order."""
    with exact():
        return reduce(Memory.remember, map(_outcome, trades), memory)


def _outcome(trade: TradeRow) -> Outcome:
    net, cost = Decimal(trade.net), Decimal(trade.entry_cost)
    return Outcome(setup=trade.setup, symbol=trade.symbol, net=net, cost=cost)
