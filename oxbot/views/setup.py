"""What a bot was created with, as it holds: every default is spelled out, decimals are text."""

from decimal import Decimal
from typing import TypeAlias, TypeVar

import msgspec

from events.values import FeeCurrency, InstrumentKind, SizingMethod, Value
from oxbot.core.money import text
from oxbot.views.amounts import Amount

Plain: TypeAlias = "str | int | bool | dict[str, Plain] | None"


class InForce(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a value of the facts, each one said: under the same names as it was given, or its default."""


class StopGuardInForce(InForce, frozen=True, kw_only=True):
    """A pause after too many losing stops; see the limits ``stop_guard``."""

    stops_max: int
    lookback_candles: int
    pause_candles: int
    per_symbol: bool


class ProfitGuardInForce(InForce, frozen=True, kw_only=True):
    """A pause for a symbol that earned too little; see the limits ``profit_guard``."""

    trades_min: int
    lookback_candles: int
    return_min: Amount
    pause_candles: int


class LimitsInForce(InForce, frozen=True, kw_only=True):
    """The limits that the bot's risk gate holds to; null is no limit. What each means: ``/api/v1/risk/limits``."""

    position_fraction_max: Amount
    positions_max: int
    exposure_fraction_max: Amount
    net_exposure_fraction_max: Amount | None
    correlated_exposure_fraction_max: Amount | None
    correlation_min: Amount
    leverage_max: Amount
    notional_min: Amount | None
    stop_distance_min: Amount | None
    stop_distance_max: Amount | None
    reward_risk_min: Amount | None
    reward_fees_min: Amount | None
    liquidation_distance_min: Amount | None
    confidence_min: Amount | None
    drawdown_max: Amount | None
    daily_loss_max: Amount | None
    trades_per_day_max: int | None
    entries_per_cycle_max: int | None
    cooldown_candles: int | None
    stop_guard: StopGuardInForce | None
    profit_guard: ProfitGuardInForce | None
    fleet_exposure_max: Amount | None
    fleet_net_exposure_max: Amount | None


class SizingInForce(InForce, frozen=True, kw_only=True):
    """How large the bot's entries are."""

    method: SizingMethod
    risk_fraction: Amount
    kelly_min: Amount
    kelly_max: Amount
    kelly_trades_min: int


class PaperInForce(InForce, frozen=True, kw_only=True):
    """How the bot's paper venue trades; a null ``participation_max`` is no bound."""

    half_spread: Amount
    slippage_factor: Amount
    slippage_max: Amount
    slippage_jitter: Amount
    participation_max: Amount | None
    latency_candles: int
    latency_milliseconds: int
    funding_rate: Amount
    seed: int


class FeesInForce(InForce, frozen=True, kw_only=True):
    """The bot's fees, as fractions of notional."""

    maker: Amount
    taker: Amount
    buys_pay_in: FeeCurrency


class InstrumentInForce(InForce, frozen=True, kw_only=True):
    """One of the bot's symbols as it was when the bot was created: steps in quote and base currency, and its terms."""

    tick: Amount
    lot: Amount
    minimum_notional: Amount
    kind: InstrumentKind
    contract_size: Amount
    leverage_max: Amount
    maintenance_fraction: Amount
    liquidation_fee: Amount
    funding_interval_hours: int


InForceT = TypeVar("InForceT", bound=InForce)


def in_force(value: Value, kind: type[InForceT]) -> InForceT:
    """The value's fields that ``kind`` has, which takes them as text where they are decimals."""
    return msgspec.convert(_plain(value), kind)


def _plain(value: Value | Decimal | str | int | None) -> Plain:
    if isinstance(value, Value):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    return text(value) if isinstance(value, Decimal) else value
