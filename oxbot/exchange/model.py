"""What the local exchange trades, what it is asked, and what it answers; the words are OKX v5's, written out.

Times are Unix milliseconds (int). Sizes are base currency for SPOT and contracts for SWAP. Amounts are exact Decimals.
"""

from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

InstType = Literal["SPOT", "SWAP"]
Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "post_only", "fok", "ioc", "optimal_limit_ioc"]
TradeMode = Literal["cash", "cross", "isolated"]
MarginMode = Literal["cross", "isolated"]
SizeUnit = Literal["base_ccy", "quote_ccy"]
OrderState = Literal["live", "partially_filled", "filled", "canceled"]
AlgoType = Literal["conditional", "oco", "trigger", "move_order_stop"]
AlgoState = Literal["live", "effective", "canceled", "order_failed", "partially_effective"]
Leg = Literal["sl", "tp", ""]
PositionMode = Literal["net_mode", "long_short_mode"]
Permission = Literal["read_only", "trade"]
PathOrder = Literal["pessimistic", "seeded", "low_first", "high_first"]

ZERO = Decimal(0)
MARKET_PRICE = Decimal(-1)
"""The order price of an algo that becomes a market order."""
DAY_MS = 86_400_000


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the market and the matching behave; part of what a journal replays, so it must not change over its life.

    ``participation``: the share of a step's volume that takers and makers may have; None: no bound.
    ``touch_fills``: a resting order fills when the price reaches it, not only when it goes through.
    ``client_id_memory_ms``: how long the client id of an ended order is refused (51016).
    """

    seed: int = 1
    spread_ticks: int = 1
    touch_fills: bool = False
    participation: Decimal | None = None
    client_id_memory_ms: int = DAY_MS
    steps_per_candle: int = 8
    path_order: PathOrder = "pessimistic"
    funding_interval_ms: int = DAY_MS // 3
    funding_rate: Decimal = Decimal("0.0001")
    trades_kept: int = 500


class Instrument(msgspec.Struct, kw_only=True):
    """A SPOT pair or a linear SWAP. ``contract_value``: base currency per contract (1 for SPOT)."""

    inst_id: str
    inst_type: InstType
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    minimum: Decimal
    contract_value: Decimal = Decimal(1)
    leverage_max: Decimal = Decimal(100)
    maintenance_rate: Decimal = Decimal("0.004")
    max_limit: Decimal = Decimal(10**12)
    max_market: Decimal = Decimal(10**10)
    list_time: int = 0
    state: Literal["live", "suspend"] = "live"


class FeeRates(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of the notional; above 0 is paid, below 0 a rebate."""

    spot_maker: Decimal = Decimal("0.0008")
    spot_taker: Decimal = Decimal("0.001")
    swap_maker: Decimal = Decimal("0.0002")
    swap_taker: Decimal = Decimal("0.0005")


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of an account."""

    key: str
    secret: str
    passphrase: str
    permissions: tuple[Permission, ...] = ("read_only", "trade")


class AccountSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An account to open. ``level`` is acctLv: 1 spot, 2 futures; ``demo`` accounts need x-simulated-trading."""

    name: str
    keys: tuple[ApiKey, ...]
    demo: bool = True
    level: str = "2"
    position_mode: PositionMode = "net_mode"
    fees: FeeRates = FeeRates()
    leverage: Decimal = Decimal(3)
    """What an instrument's leverage is before it is set."""


class Refused(NamedTuple):
    """The engine's definite no: OKX's sCode and sMsg. Nothing was done."""

    code: str
    msg: str


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order. ``size_unit`` counts for SPOT market orders; a None there means OKX's default (quote for buys)."""

    inst_id: str
    trade_mode: TradeMode
    side: Side
    order_type: OrderType
    size: Decimal
    price: Decimal | None = None
    client_id: str = ""
    reduce_only: bool = False
    size_unit: SizeUnit | None = None
    position_side: str = ""
    tag: str = ""


class AmendOrder(msgspec.Struct, frozen=True, kw_only=True):
    """New size (of the whole order, what is filled included) or price; one of ``order_id``, ``client_id`` names it."""

    inst_id: str
    order_id: str = ""
    client_id: str = ""
    size: Decimal | None = None
    price: Decimal | None = None
    cancel_on_fail: bool = False
    request_id: str = ""


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Which order is to end."""

    inst_id: str
    order_id: str = ""
    client_id: str = ""


class PlaceAlgo(msgspec.Struct, frozen=True, kw_only=True):
    """An order that waits for a price. Order prices of -1 mean the market.

    conditional: the sl pair or the tp pair; oco: both; trigger: ``trigger_price``, ``order_price``;
    move_order_stop: ``callback_ratio`` (0.01 = 1 %) or ``callback_spread``, ``active_price`` optional.
    """

    inst_id: str
    trade_mode: TradeMode
    side: Side
    algo_type: AlgoType
    size: Decimal
    algo_client_id: str = ""
    reduce_only: bool = False
    cancel_on_close: bool = False
    size_unit: SizeUnit | None = None
    position_side: str = ""
    tag: str = ""
    sl_trigger: Decimal | None = None
    sl_price: Decimal | None = None
    tp_trigger: Decimal | None = None
    tp_price: Decimal | None = None
    trigger_price: Decimal | None = None
    order_price: Decimal | None = None
    callback_ratio: Decimal | None = None
    callback_spread: Decimal | None = None
    active_price: Decimal | None = None


class AmendAlgo(msgspec.Struct, frozen=True, kw_only=True):
    """New values of a live algo order; None stays as it is."""

    inst_id: str
    algo_id: str = ""
    algo_client_id: str = ""
    size: Decimal | None = None
    sl_trigger: Decimal | None = None
    sl_price: Decimal | None = None
    tp_trigger: Decimal | None = None
    tp_price: Decimal | None = None
    trigger_price: Decimal | None = None
    order_price: Decimal | None = None
    request_id: str = ""


class CancelAlgo(msgspec.Struct, frozen=True, kw_only=True):
    """Which algo order is to end."""

    inst_id: str
    algo_id: str = ""
    algo_client_id: str = ""


class Placed(NamedTuple):
    """The order (or the amendment, or the cancel) was taken."""

    order_id: str
    client_id: str
    at: int


class AlgoPlaced(NamedTuple):
    """The algo order (or its amendment, or its cancel) was taken."""

    algo_id: str
    algo_client_id: str
    at: int


class LeverageInfo(NamedTuple):
    """The leverage that is set for an instrument and a margin mode."""

    inst_id: str
    margin_mode: MarginMode
    leverage: Decimal


class AccountConfig(NamedTuple):
    """What an account is set to; ``uid`` is made from its name."""

    uid: str
    name: str
    level: str
    position_mode: PositionMode
    demo: bool
    fees: FeeRates
