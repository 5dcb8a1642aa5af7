"""What the local exchange keeps and shows: orders, fills, positions, balances, bills, candles, books.

Objects that the engine answers with are its own: read them, never change them. Times are Unix milliseconds.
"""

from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

from oxbot.exchange.model import (
    ZERO,
    AlgoState,
    InstType,
    Leg,
    MarginMode,
    OrderState,
    OrderType,
    PlaceAlgo,
    Side,
    SizeUnit,
    TradeMode,
)

ExecType = Literal["M", "T"]


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One trade of an account. ``fee`` is OKX's: below 0 is paid."""

    account: str
    inst_id: str
    inst_type: InstType
    trade_id: str
    bill_id: str
    order_id: str
    client_id: str
    side: Side
    size: Decimal
    price: Decimal
    exec_type: ExecType
    fee: Decimal
    fee_currency: str
    pnl: Decimal
    at: int


class Order(msgspec.Struct, kw_only=True):
    """An order, living or ended. ``fee`` is OKX's: below 0 is paid; ``price`` is None for a market order.

    ``frozen`` of ``frozen_currency`` is what it holds of its account. ``source``: OKX's code of where it came from
    ("" the client, "6" trigger, "7" tp/sl, "25" trailing); ``category``: normal or full_liquidation.
    """

    order_id: str
    client_id: str
    account: str
    inst_id: str
    inst_type: InstType
    trade_mode: TradeMode
    side: Side
    order_type: OrderType
    size: Decimal
    price: Decimal | None
    reduce_only: bool
    size_unit: SizeUnit | None
    created_at: int
    updated_at: int
    leverage: Decimal | None = None
    state: OrderState = "live"
    filled: Decimal = ZERO
    filled_value: Decimal = ZERO
    average_price: Decimal | None = None
    fee: Decimal = ZERO
    fee_currency: str = ""
    pnl: Decimal = ZERO
    frozen: Decimal = ZERO
    frozen_currency: str = ""
    last_fill: Fill | None = None
    tag: str = ""
    algo_id: str = ""
    algo_client_id: str = ""
    source: str = ""
    category: str = "normal"
    cancel_source: str = ""
    cancel_reason: str = ""


class AlgoOrder(msgspec.Struct, kw_only=True):
    """An algo order, living or ended. After its trigger ``order_id`` names what it became, ``actual_side`` the leg."""

    algo_id: str
    request: PlaceAlgo
    account: str
    inst_type: InstType
    leverage: Decimal | None
    created_at: int
    updated_at: int
    last: Decimal
    rising: bool = False
    """Of a trigger order: it waits above the price at which it was placed."""
    state: AlgoState = "live"
    order_id: str = ""
    actual_side: Leg = ""
    actual_size: Decimal = ZERO
    actual_price: Decimal | None = None
    trigger_time: int = 0
    activated: bool = False
    extreme: Decimal | None = None
    move_trigger: Decimal | None = None
    """The price at which a trailing stop triggers as things are."""
    fail_code: str = ""
    cancel_source: str = ""


class Position(msgspec.Struct, kw_only=True):
    """A SWAP position in net mode; ``contracts`` below 0 is short. Derived values are in ``PositionView``.

    ``cost`` is what the open contracts cost (always above 0), from which the average price is derived.
    ``margin`` is what an isolated position holds of the account's cash; 0 for cross.
    """

    position_id: str
    account: str
    inst_id: str
    margin_mode: MarginMode
    leverage: Decimal
    contracts: Decimal = ZERO
    cost: Decimal = ZERO
    margin: Decimal = ZERO
    realised: Decimal = ZERO
    fee: Decimal = ZERO
    funding: Decimal = ZERO
    created_at: int = 0
    updated_at: int = 0
    last_trade_id: str = ""


class PositionView(msgspec.Struct, frozen=True, kw_only=True):
    """A position with what follows from the present prices; ``contracts`` 0: it has just been closed."""

    position_id: str
    account: str
    inst_id: str
    currency: str
    margin_mode: MarginMode
    leverage: Decimal
    contracts: Decimal
    available: Decimal
    average_price: Decimal | None
    mark_price: Decimal
    last_price: Decimal
    margin: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    margin_ratio: Decimal | None
    upl: Decimal
    upl_ratio: Decimal
    notional: Decimal
    liquidation_price: Decimal | None
    realised: Decimal
    fee: Decimal
    funding: Decimal
    created_at: int
    updated_at: int
    last_trade_id: str


class BalanceView(msgspec.Struct, frozen=True, kw_only=True):
    """A currency of an account. cash = available + frozen (unless cross losses eat into ``available``).

    ``frozen`` = ``order_frozen`` + isolated margins + the initial margins of cross positions.
    """

    currency: str
    cash: Decimal
    equity: Decimal
    available: Decimal
    frozen: Decimal
    order_frozen: Decimal
    isolated_equity: Decimal
    upl: Decimal
    isolated_upl: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    updated_at: int


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a currency's cash. Types: 1 transfer, 2 trade, 5 liquidation, 8 funding, 9 clawback cover."""

    bill_id: str
    account: str
    currency: str
    type: str
    sub_type: str
    change: Decimal
    balance: Decimal
    inst_id: str
    inst_type: str
    margin_mode: str
    order_id: str
    client_id: str
    trade_id: str
    size: Decimal
    price: Decimal | None
    pnl: Decimal
    fee: Decimal
    exec_type: str
    at: int


class Step(msgspec.Struct, frozen=True, array_like=True):
    """A point of an instrument's price path."""

    at: int
    price: Decimal
    volume: Decimal


class Bar(msgspec.Struct, array_like=True):
    """A candle: base volume; for SWAP ``volume`` is contracts. ``confirmed`` is False while it forms."""

    at: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    confirmed: bool = False


class PublicTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A trade of the market, not of our accounts."""

    inst_id: str
    trade_id: str
    price: Decimal
    size: Decimal
    side: Side
    at: int


class Ticker(msgspec.Struct, frozen=True, kw_only=True):
    """The market's present state, with 24 h statistics."""

    inst_id: str
    inst_type: InstType
    last: Decimal
    last_size: Decimal
    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal
    open_24h: Decimal
    high_24h: Decimal
    low_24h: Decimal
    volume_24h: Decimal
    quote_volume_24h: Decimal
    at: int


class BookTop(msgspec.Struct, frozen=True, kw_only=True):
    """From which a synthetic book is made (``prices.book``): the last price and the sequence number."""

    inst_id: str
    last: Decimal
    sequence: int
    at: int


class Level(NamedTuple):
    """One price of a book."""

    price: Decimal
    size: Decimal
    orders: int


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides, best first; sizes of 0 in an update mean that the level is gone."""

    inst_id: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    sequence: int
    previous: int
    at: int


class FundingRate(msgspec.Struct, frozen=True, kw_only=True):
    """The rate that will be paid at ``funding_time`` (or was, in the history)."""

    inst_id: str
    rate: Decimal
    funding_time: int
    next_funding_time: int
    at: int
