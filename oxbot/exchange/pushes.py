"""What the engine has to tell: snapshots of the moment, numbered in the order in which things happened."""

from decimal import Decimal

import msgspec

from oxbot.exchange.model import InstType
from oxbot.exchange.records import (
    AlgoOrder,
    BalanceView,
    Bar,
    BookTop,
    Fill,
    FundingRate,
    Order,
    PositionView,
    PublicTrade,
    Ticker,
)


class OrderPushed(msgspec.Struct, frozen=True, kw_only=True):
    """An order was placed, filled, amended or ended; ``fill`` if that is what happened."""

    sequence: int
    account: str
    order: Order
    fill: Fill | None = None
    amended: bool = False
    request_id: str = ""
    at: int = 0


class AlgoPushed(msgspec.Struct, frozen=True, kw_only=True):
    """An algo order was placed, amended, triggered or ended."""

    sequence: int
    account: str
    algo: AlgoOrder
    at: int


class AccountPushed(msgspec.Struct, frozen=True, kw_only=True):
    """Balances that changed: only those currencies."""

    sequence: int
    account: str
    balances: tuple[BalanceView, ...]
    at: int


class PositionsPushed(msgspec.Struct, frozen=True, kw_only=True):
    """Positions that changed; one that is closed has 0 contracts."""

    sequence: int
    account: str
    positions: tuple[PositionView, ...]
    at: int


class FillPushed(msgspec.Struct, frozen=True, kw_only=True):
    """A trade of an account."""

    sequence: int
    account: str
    fill: Fill


class TickerPushed(msgspec.Struct, frozen=True, kw_only=True):
    """The market moved."""

    sequence: int
    ticker: Ticker


class TradePushed(msgspec.Struct, frozen=True, kw_only=True):
    """A trade of the market."""

    sequence: int
    trade: PublicTrade


class BookPushed(msgspec.Struct, frozen=True, kw_only=True):
    """The book changed from one top to the other: ``prices.book_changes`` gives the levels of an update."""

    sequence: int
    before: BookTop | None
    after: BookTop


class BarPushed(msgspec.Struct, frozen=True, kw_only=True):
    """The one-minute candle changed or was confirmed; ``Exchange.bar_at`` gives that of any other length."""

    sequence: int
    inst_id: str
    bar: Bar
    at: int


class FundingRatePushed(msgspec.Struct, frozen=True, kw_only=True):
    """The coming funding rate is another."""

    sequence: int
    rate: FundingRate


class MarkPricePushed(msgspec.Struct, frozen=True, kw_only=True):
    """The mark price of a SWAP."""

    sequence: int
    inst_id: str
    inst_type: InstType
    price: Decimal
    at: int


Push = (
    OrderPushed
    | AlgoPushed
    | AccountPushed
    | PositionsPushed
    | FillPushed
    | TickerPushed
    | TradePushed
    | BookPushed
    | BarPushed
    | FundingRatePushed
    | MarkPricePushed
)
