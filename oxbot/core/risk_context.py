"""All that the risk gate may look at when it judges an entry, and how a rule answers."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, Protocol

import msgspec

from events.bot import TradingState
from events.identifiers import Symbol
from events.values import FeeSchedule, Instrument, PositionSide, RiskLimits


class PastTrade(Protocol):
    """What the gate looks at in a closed round trip: quote currency, ``net`` after fees and funding.

    ``reason`` is that of the order which closed it, or "liquidation".
    """

    @property
    def symbol(self) -> Symbol:
        """What was traded."""
        ...

    @property
    def net(self) -> Decimal:
        """What it added to cash."""
        ...

    @property
    def entry_cost(self) -> Decimal:
        """The notional of its entry."""
        ...

    @property
    def closed_at(self) -> datetime:
        """When it closed, as the facts say."""
        ...

    @property
    def reason(self) -> str:
        """How it ended."""
        ...


class EntryContext(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that a strategy wants, and the bot and market at the close of the candle that made it want that.

    Money is quote currency. ``at`` and a trade's ``closed_at`` are times of candles as facts carry them.
    ``exposures`` has a key for every symbol that is committed, held or about to be entered: its notional at the mark,
    unfilled entries included, below 0 for a short. ``correlations`` are those of the entry's symbol with others;
    one that is not there, or is no number, counts as full. ``high_water`` (None: none yet) and ``day_start_equity``
    have followed deposits and withdrawals. ``armed``: a paper bot always is.
    ``order_fault`` says what makes the order itself impossible. ``trades`` are
    the newest closed ones, in any order. ``liquidation_price`` is where the venue would end the position that this
    entry makes. The three ``fleet_`` figures are those of the fleet's other bots, None where unknown.
    """

    symbol: Symbol
    side: PositionSide
    instrument: Instrument
    notional: Decimal
    mark: Decimal
    at: datetime
    timeframe: timedelta
    equity: Decimal
    free_cash: Decimal
    fees: FeeSchedule
    limits: RiskLimits
    exposures: Mapping[Symbol, Decimal]
    day_start_equity: Decimal
    leverage: Decimal = Decimal(1)
    entry_price: Decimal | None = None
    stop: Decimal | None = None
    target: Decimal | None = None
    confidence: Decimal | None = None
    trading_state: TradingState = "active"
    armed: bool = True
    data_ok: bool = True
    order_fault: str | None = None
    correlations: Mapping[Symbol, float] = {}
    high_water: Decimal | None = None
    trades: Sequence[PastTrade] = ()
    entries_today: int = 0
    entries_this_cycle: int = 0
    liquidation_price: Decimal | None = None
    fleet_exposure: Decimal | None = None
    fleet_net_exposure: Decimal | None = None
    fleet_equity: Decimal | None = None

    @property
    def price(self) -> Decimal:
        """The price that distances are measured from: the worst that its limit or trigger lets it have, or the mark."""
        return self.mark if self.entry_price is None else self.entry_price

    @property
    def risk(self) -> Decimal | None:
        """How far the price is from the stop, below 0 on the wrong side; None without one."""
        return None if self.stop is None else self.directed(self.price - self.stop)

    @property
    def reward(self) -> Decimal | None:
        """How far the price is from the target, below 0 on the wrong side; None without one."""
        return None if self.target is None else self.directed(self.target - self.price)

    def directed(self, amount: Decimal) -> Decimal:
        """The amount as the entry's direction sees it: negated for a short."""
        return amount if self.side == "long" else -amount

    def candles_since(self, moment: datetime) -> int:
        """How many candles have closed since the one in which the moment lies; 0 within the newest."""
        return -((moment - self.at) // self.timeframe)


class Finding(NamedTuple):
    """What a rule found: what is allowed, what was asked, and whether that is within."""

    limit: Decimal
    value: Decimal
    kept: bool


def at_most(limit: Decimal | int, value: Decimal | int) -> Finding:
    """Kept up to the limit and exactly at it."""
    return Finding(Decimal(limit), Decimal(value), value <= limit)


def at_least(limit: Decimal | int, value: Decimal | int) -> Finding:
    """Kept from the limit on and exactly at it."""
    return Finding(Decimal(limit), Decimal(value), value >= limit)
