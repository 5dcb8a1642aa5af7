"""Everything the engine knows, as one value that can be written down and read again."""

import hashlib
from decimal import Decimal
from typing import Self

import msgspec

from oxbot.core.candles import Candle
from oxbot.exchange.model import ZERO, AccountSpec, Instrument, PositionMode
from oxbot.exchange.records import AlgoOrder, Bar, Bill, Fill, FundingRate, Order, Position, PublicTrade, Step

FIRST_ID = 700_000_000_000_000_000
_ENCODER = msgspec.msgpack.Encoder()


class QueuedCandle(msgspec.Struct, frozen=True, array_like=True):
    """A candle whose steps are made when it begins."""

    at: int
    duration_ms: int
    candle: Candle


class Market(msgspec.Struct, kw_only=True):
    """One instrument's prices. ``bars`` are of one minute, ``left`` is what may still trade in this step."""

    inst_id: str
    last: Decimal | None = None
    last_size: Decimal = ZERO
    last_at: int = 0
    sequence: int = 0
    left: Decimal | None = None
    candles: list[QueuedCandle] = []
    steps: list[Step] = []
    bars: list[Bar] = []
    trades: list[PublicTrade] = []
    fed_until: int | None = None
    funding_rate: Decimal = ZERO
    funding_at: int | None = None
    funding_history: list[FundingRate] = []


class Balance(msgspec.Struct):
    """What an account has of a currency, and what its working orders hold of it."""

    cash: Decimal = ZERO
    order_frozen: Decimal = ZERO
    updated_at: int = 0


class Account(msgspec.Struct, kw_only=True):
    """One account: money, positions, settings, and the ids of all that it ever did, oldest first."""

    spec: AccountSpec
    position_mode: PositionMode
    balances: dict[str, Balance] = {}
    positions: dict[str, Position] = {}
    leverage: dict[str, Decimal] = {}
    open_orders: dict[str, None] = {}
    order_ids: list[str] = []
    client_ids: dict[str, list[str]] = {}
    algo_ids: list[str] = []
    algo_client_ids: dict[str, list[str]] = {}
    fills: list[Fill] = []
    bills: list[Bill] = []
    cancel_all_at: int | None = None
    cancel_tagged_at: dict[str, int] = {}
    """By tag, when the orders with that tag are to end."""


class State(msgspec.Struct, kw_only=True):
    """All of it. Ids are given out in order by ``next_id``; ``sequence`` counts the pushes."""

    now: int = 0
    next_id: int = FIRST_ID
    sequence: int = 0
    instruments: dict[str, Instrument] = {}
    markets: dict[str, Market] = {}
    accounts: dict[str, Account] = {}
    orders: dict[str, Order] = {}
    algos: dict[str, AlgoOrder] = {}
    open_orders: dict[str, dict[str, None]] = {}
    """By instrument, in the order in which they came."""
    open_algos: dict[str, dict[str, None]] = {}

    def encoded(self) -> bytes:
        """Equal states give equal bytes."""
        return _ENCODER.encode(self)

    def digest(self) -> str:
        """SHA-256 of that, in hex."""
        return hashlib.sha256(self.encoded()).hexdigest()

    @classmethod
    def decoded(cls, written: bytes) -> Self:
        """What ``encoded`` wrote."""
        return msgspec.msgpack.decode(written, type=cls)
