"""What the paper venue does to a margined position by itself: funding at its marks, and liquidation."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from events.bot import FundingSettled, PositionLiquidated
from events.values import PositionSide, Side
from oxbot.core.candles import Candle
from oxbot.core.ledger import shortfall
from oxbot.core.money import ZERO
from oxbot.core.paper_prices import Terms


class Held(NamedTuple):
    """The symbol's open position: base quantity, and for a perpetual its entry cost, margin and liquidation price."""

    side: PositionSide
    quantity: Decimal
    cost: Decimal = ZERO
    margin: Decimal = ZERO
    liquidation_price: Decimal | None = None

    @property
    def exit_side(self) -> Side:
        """The side of the orders that make it smaller."""
        return "sell" if self.side == "long" else "buy"

    def beyond(self, price: Decimal) -> bool:
        """Whether the venue liquidates the position at this price."""
        level = self.liquidation_price
        if level is None:
            return False
        return price <= level if self.side == "long" else price >= level


def funding(held: Held, candle: Candle, terms: Terms, *, since: datetime | None = None) -> FundingSettled | None:
    """What a perpetual held into the candle pays or gets at its open; None where no mark has been since the last open.

    Marks are at UTC multiples of the interval. A candle longer than that settles, at the rate of them all, every mark
    since the one before it opened, which is ``since`` where candles are missing. Never more is paid than the margin.
    """
    marks = _marks(candle, terms, since)
    rate = terms.model.funding_rate * marks
    if rate == 0 or terms.instrument.kind != "perpetual":
        return None
    quantity = held.quantity if held.side == "long" else -held.quantity
    amount = max(-held.margin, -quantity * candle.open * rate)
    if amount == 0:
        return None
    return FundingSettled(
        symbol=terms.instrument.symbol,
        at=candle.open_time,
        rate=rate,
        mark=candle.open,
        quantity=quantity,
        amount=amount,
    )


def liquidation(held: Held, candle: Candle, price: Decimal, terms: Terms) -> PositionLiquidated:
    """The venue closes the whole position at this price, and bears what the margin does not cover."""
    notional = held.quantity * price
    fee = notional * terms.instrument.liquidation_fee
    return PositionLiquidated(
        symbol=terms.instrument.symbol,
        at=candle.open_time,
        side=held.side,
        quantity=held.quantity,
        price=price,
        fee=fee,
        covered=shortfall(held.side, cost=held.cost, proceeds=notional, fee=fee, margin=held.margin),
    )


def _marks(candle: Candle, terms: Terms, since: datetime | None) -> int:
    interval = terms.instrument.funding_interval_hours * 3600
    opened, length = int(candle.open_time.timestamp()), int(terms.duration.total_seconds())
    before = opened - length if since is None else int(since.timestamp())
    return opened // interval - before // interval
