"""The values that facts are made of: instruments, limits, brackets, parameters."""

import math
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Literal, NewType

import msgspec

from events.identifiers import Symbol, VenueName

Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment in UTC; a time without a zone is refused when a fact is decoded."""

SubjectId = NewType("SubjectId", str)
"""A person whom personal fields are about: the name of the person's own stream."""

Side = Literal["buy", "sell"]
PositionSide = Literal["long", "short"]
OrderKind = Literal["market", "limit", "stop", "stop_limit", "take_profit", "trailing_stop"]
TimeInForce = Literal["gtc", "ioc", "fok"]
InstrumentKind = Literal["spot", "perpetual"]
FeeCurrency = Literal["quote", "base"]
SizingMethod = Literal["fraction", "risk", "volatility", "kelly"]


@cache
def _decimal_fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    fields = msgspec.structs.fields(kind)
    return tuple(field.name for field in fields if Decimal in (field.type, *getattr(field.type, "__args__", ())))


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An immutable record whose Decimals are finite: msgspec itself decodes "NaN" and "Infinity".

    Values hold values and nothing that holds them, so the collector of cycles need not look at them.
    """

    def __post_init__(self) -> None:
        for name in _decimal_fields(type(self)):
            number = getattr(self, name)
            if number is not None and not number.is_finite():
                raise ValueError(f"{type(self).__name__}.{name} must be a finite number, not {number}")


class EncryptedText(Value, frozen=True, kw_only=True):
    """Personal text under its subject's own key (AES-256-GCM); once the key is destroyed nobody can read it again.

    The log, its hashes and its copies hold nothing else of it, so erasing a person changes no byte of the log.
    """

    subject: SubjectId
    key_id: str
    nonce: bytes
    ciphertext: bytes


class Parameter(Value, frozen=True, kw_only=True):
    """One named setting of a strategy, in the text form in which it was given."""

    name: str
    value: str


class Measurement(Value, frozen=True, kw_only=True):
    """One number that a strategy computed and decided on."""

    name: str
    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"measurement {self.name} must be a finite number, not {self.value}")


class Instrument(Value, frozen=True, kw_only=True):
    """What a venue says of a symbol: price step, quantity step (both in quote/base units), smallest notional.

    A perpetual is linear: quoted, margined and settled in quote currency. ``contract_size`` is the base quantity of one
    contract; quantities here are always base. ``maintenance_fraction`` (of notional) is the margin below which the
    venue liquidates, ``liquidation_fee`` the fraction of notional that it then takes.
    """

    symbol: Symbol
    tick: Decimal
    lot: Decimal
    minimum_notional: Decimal = Decimal(0)
    kind: InstrumentKind = "spot"
    contract_size: Decimal = Decimal(1)
    leverage_max: Decimal = Decimal(1)
    maintenance_fraction: Decimal = Decimal(0)
    liquidation_fee: Decimal = Decimal(0)
    funding_interval_hours: int = 8


class MarketReference(Value, frozen=True, kw_only=True):
    """Which candles a bot sees: a venue's series of one timeframe, from one candle's open time on."""

    venue: VenueName
    timeframe: str
    begins_at: Timestamp
    instruments: tuple[Instrument, ...]


class StrategyReference(Value, frozen=True, kw_only=True):
    """A strategy by name and version, with every parameter that it runs under."""

    name: str
    version: int
    parameters: tuple[Parameter, ...]


class StopGuard(Value, frozen=True, kw_only=True):
    """No entries for ``pause_candles`` once ``stops_max`` losing stops fell within the last ``lookback_candles``."""

    stops_max: int
    lookback_candles: int
    pause_candles: int
    per_symbol: bool = False


class ProfitGuard(Value, frozen=True, kw_only=True):
    """No entries in a symbol whose last trades earned too little.

    It needs ``trades_min`` of the symbol's trades closed within ``lookback_candles``; if their summed net result over
    their summed entry cost is below ``return_min``, the symbol rests for ``pause_candles`` after the last of them.
    """

    trades_min: int
    lookback_candles: int
    return_min: Decimal
    pause_candles: int


class RiskLimits(Value, frozen=True, kw_only=True):
    """What the risk gate allows one bot. Fractions are of equity; None is no limit.

    Notional counts with leverage: a position of 500 on a margin of 100 is 500. A distance is a fraction of the entry
    price. What each limit means, in one table: ``oxbot.core.risk.RULES``.
    """

    position_fraction_max: Decimal = Decimal("0.25")
    positions_max: int = 5
    exposure_fraction_max: Decimal = Decimal("0.95")
    net_exposure_fraction_max: Decimal | None = None
    correlated_exposure_fraction_max: Decimal | None = None
    correlation_min: Decimal = Decimal("0.7")
    leverage_max: Decimal = Decimal(1)
    notional_min: Decimal | None = None
    stop_distance_min: Decimal | None = None
    stop_distance_max: Decimal | None = None
    reward_risk_min: Decimal | None = None
    reward_fees_min: Decimal | None = None
    liquidation_distance_min: Decimal | None = None
    confidence_min: Decimal | None = None
    drawdown_max: Decimal | None = None
    daily_loss_max: Decimal | None = None
    trades_per_day_max: int | None = None
    entries_per_cycle_max: int | None = None
    cooldown_candles: int | None = None
    stop_guard: StopGuard | None = None
    profit_guard: ProfitGuard | None = None
    fleet_exposure_max: Decimal | None = None
    fleet_net_exposure_max: Decimal | None = None


class FeeSchedule(Value, frozen=True, kw_only=True):
    """Fees as a fraction of notional on each fill, in quote currency.

    With ``buys_pay_in`` "base", a spot venue keeps its share of what is bought instead of taking quote currency.
    """

    maker: Decimal
    taker: Decimal
    buys_pay_in: FeeCurrency = "quote"


class ScaleOut(Value, frozen=True, kw_only=True):
    """Take ``share`` of the entry's quantity off at this distance (a fraction of the fill price) in profit."""

    target_fraction: Decimal
    share: Decimal


class Bracket(Value, frozen=True, kw_only=True):
    """Protective exits, placed when the entry fills: fractions of the fill price, 0 for none.

    A ``stop_price`` or ``target_price`` is a level that stands whatever the fill price is, and then takes the place of
    the fraction. ``trailing_fraction`` makes the stop follow the best price since entry at that distance, once the
    price has gone ``trailing_activation`` in favour. After ``candles_max`` candles the position is closed.
    """

    stop_fraction: Decimal
    target_fraction: Decimal
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    trailing_fraction: Decimal | None = None
    trailing_activation: Decimal = Decimal(0)
    candles_max: int | None = None
    scale_out: tuple[ScaleOut, ...] = ()


class Sizing(Value, frozen=True, kw_only=True):
    """How large an entry is. "fraction": the share of equity that the strategy asks for. The others say it themselves.

    "risk": so that the stop loses ``risk_fraction`` of equity. "volatility": so that one candle's typical move (ATR) is
    ``risk_fraction`` of equity. "kelly": a quarter of the Kelly fraction of the bot's own closed trades as that risk,
    between ``kelly_min`` and ``kelly_max``, once there are ``kelly_trades_min`` of them; before that ``risk_fraction``.
    """

    method: SizingMethod = "fraction"
    risk_fraction: Decimal = Decimal("0.01")
    kelly_min: Decimal = Decimal("0.0025")
    kelly_max: Decimal = Decimal("0.02")
    kelly_trades_min: int = 30


class PaperModel(Value, frozen=True, kw_only=True):
    """How the paper venue trades. The defaults trade everything at once at the candle's own prices.

    ``half_spread`` and ``slippage_max`` are fractions of price: a taker pays the half spread and the slippage, which
    grows with the order's share of the candle's volume: ``slippage_factor`` * share, at most ``slippage_max``. An order
    trades at most ``participation_max`` of a candle's volume; the rest waits for the next one (None: no bound). A new
    order reaches the venue ``latency_candles`` candles after the next open. ``funding_rate`` is what longs pay shorts
    per interval, as a fraction of notional. ``seed`` varies the slippage by up to ``slippage_jitter`` of itself.
    """

    half_spread: Decimal = Decimal(0)
    slippage_factor: Decimal = Decimal(0)
    slippage_max: Decimal = Decimal(0)
    slippage_jitter: Decimal = Decimal(0)
    participation_max: Decimal | None = None
    latency_candles: int = 0
    latency_milliseconds: int = 0
    funding_rate: Decimal = Decimal(0)
    seed: int = 0
