"""The rows that people read about a bot. Amounts are text: exact decimals without exponent, quote currency."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

import msgspec

from events.bot import Intent, OrderReason
from events.identifiers import BotId, DecisionId, OrderId, Symbol
from events.values import Measurement, OrderKind, Parameter, Side
from oxbot.core.orders import OrderStatus
from oxbot.core.state import BotStatus

Amount = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
ViewName = Literal["bots", "portfolios", "positions", "orders", "trades", "decisions", "holdings"]
Verdict = Literal["allowed", "denied"]

VIEWS: tuple[ViewName, ...] = ("bots", "portfolios", "positions", "orders", "trades", "decisions", "holdings")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of one view, found by its bot and its key within that bot; keys sort as they should be read."""

    view: ClassVar[ViewName]
    bot_id: BotId

    @property
    def key(self) -> str:
        """The row's place among the bot's rows of the view."""
        return ""


class BotRow(Row, frozen=True, kw_only=True):
    """A bot and how it is set up; one row."""

    view: ClassVar[ViewName] = "bots"
    fleet: str
    name: str
    status: BotStatus
    strategy: str
    strategy_version: int
    parameters: tuple[Parameter, ...]
    venue: str
    timeframe: str
    symbols: tuple[Symbol, ...]
    begins_at: datetime
    quote: str
    created_at: datetime


class PortfolioRow(Row, frozen=True, kw_only=True):
    """A bot's money; one row. ``as_of`` is the open time of the newest candle that changed anything."""

    view: ClassVar[ViewName] = "portfolios"
    quote: str
    cash: Amount
    reserved: Amount
    free: Amount
    deposits: Amount
    withdrawals: Amount
    realised: Amount
    fees: Amount
    as_of: datetime | None


class PositionRow(Row, frozen=True, kw_only=True):
    """An open position; the row goes when it closes."""

    view: ClassVar[ViewName] = "positions"
    symbol: Symbol
    side: Literal["long"]
    quantity: Amount
    entry_time: datetime
    entry_price: Amount
    entry_cost: Amount
    fees: Amount
    stop_price: Amount | None
    target_price: Amount | None

    @property
    def key(self) -> str:
        """The symbol."""
        return self.symbol


class OrderRow(Row, frozen=True, kw_only=True):
    """An order from request to end."""

    view: ClassVar[ViewName] = "orders"
    order_id: OrderId
    number: int
    symbol: Symbol
    side: Side
    kind: OrderKind
    reason: OrderReason
    status: OrderStatus
    quantity: Amount | None
    notional: Amount | None
    trigger_price: Amount | None
    reduce_only: bool
    filled_quantity: Amount
    average_price: Amount | None
    fees: Amount
    requested_at: datetime
    updated_at: datetime
    decision_id: DecisionId | None
    parent_id: OrderId | None
    note: str = ""

    @property
    def key(self) -> str:
        """The order's number, padded so that text sorts as numbers do."""
        return numbered(self.number)


class TradeRow(Row, frozen=True, kw_only=True):
    """A closed round trip; ``net`` is after all its fees."""

    view: ClassVar[ViewName] = "trades"
    number: int
    symbol: Symbol
    side: Literal["long"]
    quantity: Amount
    entry_time: datetime
    entry_price: Amount
    exit_time: datetime
    exit_price: Amount
    fees: Amount
    net: Amount
    reason: OrderReason

    @property
    def key(self) -> str:
        """The trade's number, padded."""
        return numbered(self.number)


class DecisionRow(Row, frozen=True, kw_only=True):
    """What a strategy decided, on what, and what the risk gate said to it."""

    view: ClassVar[ViewName] = "decisions"
    decision_id: DecisionId
    number: int
    at: datetime
    symbol: Symbol
    intent: Intent
    strategy: str
    strategy_version: int
    parameters: tuple[Parameter, ...]
    measurements: tuple[Measurement, ...]
    mark: Amount
    equity: Amount
    window: int
    window_digest: str
    verdict: Verdict | None = None
    order_id: OrderId | None = None
    rule: str | None = None
    limit: Amount | None = None
    value: Amount | None = None

    @property
    def key(self) -> str:
        """The decision's number, padded."""
        return numbered(self.number)


class HoldingRow(Row, frozen=True, kw_only=True):
    """What the bot held from the candle opening at ``since`` on: with the candles' closes, its equity curve."""

    view: ClassVar[ViewName] = "holdings"
    since: datetime
    cash: Amount
    quantities: tuple[tuple[Symbol, Amount], ...]

    @property
    def key(self) -> str:
        """The time, in a form that sorts."""
        return self.since.strftime("%Y-%m-%dT%H:%M:%SZ")


ROW_TYPES: dict[ViewName, type[Row]] = {
    kind.view: kind for kind in (BotRow, PortfolioRow, PositionRow, OrderRow, TradeRow, DecisionRow, HoldingRow)
}


def numbered(number: int) -> str:
    """A count as text that sorts like the number."""
    return f"{number:010d}"
