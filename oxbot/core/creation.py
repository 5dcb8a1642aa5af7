"""What a new bot may be: the command that creates one, and everything that is refused in it by name."""

import re
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from events.bot import BotCreated, TradingState
from events.errors import OxbotError
from events.identifiers import HOUSE, AccountName, BotId, FleetName, OwnerId
from events.values import FeeSchedule, Instrument, MarketReference, PaperModel, RiskLimits, Sizing, StrategyReference
from oxbot.core import money
from oxbot.core.bounds import Bounds, count, fraction
from oxbot.core.candles import timeframe_duration
from oxbot.core.money import text
from oxbot.core.risk import check_limits
from oxbot.core.risk_limits import LIMITS
from oxbot.core.sizing import check_sizing

AS_ITS_FLEET = "as its fleet"
"""Why a new bot begins in another trading state than active."""

INITIAL_CAPITAL = "initial capital"
"""The reference under which a bot's first capital is booked, by its creation and nobody else."""

LEVERAGE_MAX = Decimal(125)
FUNDING_INTERVALS = (1, 2, 3, 4, 6, 8, 12, 24)

_PAPER = {
    "half_spread": Bounds(Decimal(0), Decimal("0.1")),
    "slippage_factor": Bounds(Decimal(0), Decimal(100)),
    "slippage_max": Bounds(Decimal(0), Decimal("0.5")),
    "slippage_jitter": Bounds(Decimal(0), Decimal(1)),
    "participation_max": fraction(),
    "latency_candles": count(0, 100),
    "latency_milliseconds": count(0, 86_400_000),
    "funding_rate": Bounds(Decimal("-0.05"), Decimal("0.05")),
    "seed": Bounds(1 - money.AMOUNT_MAX, money.AMOUNT_MAX - 1),
}

FIELD_BOUNDS: Mapping[str, str] = {
    "capital": f"above 0 and below {money.AMOUNT_MAX:f}",
    "leverage": f"at least 1 and at most {LEVERAGE_MAX}",
    "fees.maker": "at least 0, below 0.1 and not above fees.taker",
    "fees.taker": "at least 0 and below 0.1",
    "instruments.*.contract_size": "above 0",
    "instruments.*.leverage_max": f"at least 1 and at most {LEVERAGE_MAX}",
    "instruments.*.maintenance_fraction": "at least 0 and below 0.5",
    "instruments.*.liquidation_fee": "at least 0 and below 0.5",
    "instruments.*.funding_interval_hours": f"one of {', '.join(map(str, FUNDING_INTERVALS))}",
    **{f"limits.{path}": limit.bounds_text for path, limit in LIMITS.items()},
    **{f"paper.{name}": str(bounds) for name, bounds in _PAPER.items()},
}
"""What the fields of a new bot may be, in words, by path; * stands for any symbol."""

_NAME = (re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}"), "letters, digits, spaces and _ . -")
_IDENTIFIER = (re.compile(r"[a-z0-9][a-z0-9-]{0,63}"), "lower-case letters, digits and -")


class InvalidCommand(OxbotError):
    """A command that no bot could follow; the text names the field."""


class CreateBot(msgspec.Struct, frozen=True, kw_only=True):
    """Bring a bot into being, with its first capital in quote currency, in the trading state of its fleet.

    With an ``account`` it is live: its orders go there, once it is armed. It is its ``owner``'s for good.
    """

    bot_id: BotId
    fleet: FleetName
    name: str
    strategy: str
    parameters: dict[str, str]
    market: MarketReference
    capital: Decimal
    quote: str
    fees: FeeSchedule
    limits: RiskLimits
    sizing: Sizing | None = None
    paper: PaperModel | None = None
    leverage: Decimal | None = None
    trading: TradingState = "active"
    account: AccountName | None = None
    owner: OwnerId = HOUSE


def check_amount(amount: Decimal, name: str = "amount") -> None:
    """Raise ``InvalidCommand`` for capital that cannot come or go."""
    if not (amount.is_finite() and amount > 0):
        raise InvalidCommand(f"{name} must be above 0, not {amount}")
    if (fault := money.fault(amount)) is not None:
        raise InvalidCommand(f"{name} {fault}")


def check_creation(command: CreateBot) -> None:
    """Raise ``InvalidCommand``, ``InvalidLimits``, ``InvalidSizing`` or ``UnknownTimeframe`` for what no bot can be."""
    for field, kind in (("fleet", _IDENTIFIER), ("bot_id", _IDENTIFIER), ("name", _NAME)):
        _check_name(field, getattr(command, field), kind)
    if command.account is not None:
        _check_name("account", command.account, _IDENTIFIER)
    if command.owner != HOUSE:
        _check_name("owner", command.owner, _IDENTIFIER)
    check_amount(command.capital, "capital")
    check_limits(command.limits)
    if command.sizing is not None:
        check_sizing(command.sizing)
    _check_fees(command.fees)
    _check_market(command.market)
    for instrument in command.market.instruments:
        _check_margin(instrument, command.fees)
    if command.paper is not None:
        if command.account is not None:
            raise InvalidCommand("paper says how a paper venue trades, and a bot with an account has none")
        _check_paper(command.paper)
    _check_leverage(command)
    _check_spot(command)


def check_terms(created: BotCreated) -> None:
    """Raise as ``check_creation`` for what of a bot's terms, once some were changed, no bot can have."""
    _check_name("name", created.name, _NAME)
    check_limits(created.limits)
    if created.sizing is not None:
        check_sizing(created.sizing)
    _check_limit(created.leverage, created.limits)


def check_strategy(strategy: StrategyReference, market: MarketReference) -> None:
    """Raise ``InvalidCommand`` for a strategy that was told to sell short on a market where nothing can be.

    Only what a strategy has made of its parameters says so: one that was left out may be true by default.
    """
    given = {parameter.name: parameter.value for parameter in strategy.parameters}
    if _only_spot(market) and given.get("allow_short", "").lower() == "true":
        raise InvalidCommand(
            f"parameter allow_short is true, but only a perpetual is sold short, and the kind of {_kinds(market)}"
        )


def _check_name(field: str, value: str, kind: tuple[re.Pattern[str], str]) -> None:
    pattern, words = kind
    if pattern.fullmatch(value) is None:
        raise InvalidCommand(f"{field} {value!r} must be 1 to 64 {words}")


def _check_fees(fees: FeeSchedule) -> None:
    for name in ("maker", "taker"):
        if not 0 <= getattr(fees, name) < Decimal("0.1"):
            raise InvalidCommand(f"fee {name} must be at least 0 and below 0.1, not {getattr(fees, name)}")
        if (fault := money.fault(getattr(fees, name))) is not None:
            raise InvalidCommand(f"fee {name} {fault}")
    if fees.maker > fees.taker:
        raise InvalidCommand(
            f"fee maker {fees.maker} must not be above taker {fees.taker}: cash is kept for taker fees"
        )


def _check_market(market: MarketReference) -> None:
    timeframe_duration(market.timeframe)
    symbols = [instrument.symbol for instrument in market.instruments]
    if not symbols or len(set(symbols)) != len(symbols):
        raise InvalidCommand(f"a bot needs one or more symbols, each once, not {symbols}")
    for instrument in market.instruments:
        _check_instrument(instrument)


def _check_instrument(instrument: Instrument) -> None:
    name = instrument.symbol
    if instrument.tick <= 0 or instrument.lot <= 0 or instrument.minimum_notional < 0:
        raise InvalidCommand(f"{name}: tick and lot must be above 0, minimum notional at least 0")
    for field in (
        "tick",
        "lot",
        "minimum_notional",
        "contract_size",
        "leverage_max",
        "maintenance_fraction",
        "liquidation_fee",
    ):
        if (fault := money.fault(getattr(instrument, field))) is not None:
            raise InvalidCommand(f"{name}: {field} {fault}")
    if instrument.contract_size <= 0 or not 1 <= instrument.leverage_max <= LEVERAGE_MAX:
        raise InvalidCommand(f"{name}: contract_size must be above 0, leverage_max 1 to {LEVERAGE_MAX}")
    if instrument.funding_interval_hours not in FUNDING_INTERVALS:
        raise InvalidCommand(
            f"{name}: funding_interval_hours must divide a day, not {instrument.funding_interval_hours}"
        )
    for field in ("maintenance_fraction", "liquidation_fee"):
        if not 0 <= getattr(instrument, field) < Decimal("0.5"):
            raise InvalidCommand(f"{name}: {field} must be at least 0 and below 0.5, not {getattr(instrument, field)}")
    if instrument.kind == "spot" and instrument.leverage_max != 1:
        raise InvalidCommand(f"{name}: spot has no leverage, so leverage_max must be 1, not {instrument.leverage_max}")


def _check_margin(instrument: Instrument, fees: FeeSchedule) -> None:
    """Where a position is closed just before its liquidation, what is left of its margin must still pay the fee."""
    if instrument.kind == "perpetual" and instrument.maintenance_fraction + instrument.liquidation_fee < fees.taker:
        raise InvalidCommand(
            f"{instrument.symbol}: maintenance_fraction and liquidation_fee together must be at least the taker fee "
            f"{text(fees.taker)}, or closing in time could cost more than there is"
        )


def _check_leverage(command: CreateBot) -> None:
    if command.leverage is None:
        return
    if not 1 <= command.leverage <= LEVERAGE_MAX or money.fault(command.leverage) is not None:
        raise InvalidCommand(f"leverage must be 1 to {LEVERAGE_MAX}, not {command.leverage}")
    _check_limit(command.leverage, command.limits)
    for instrument in command.market.instruments:
        if instrument.kind == "perpetual":
            _check_leverage_on(instrument, command.leverage)


def _check_limit(leverage: Decimal | None, limits: RiskLimits) -> None:
    if leverage is not None and leverage > limits.leverage_max:
        raise InvalidCommand(
            f"leverage {text(leverage)} is more than the limit leverage_max {text(limits.leverage_max)}"
        )


def _check_leverage_on(instrument: Instrument, leverage: Decimal) -> None:
    if leverage > instrument.leverage_max:
        raise InvalidCommand(
            f"leverage {text(leverage)} is more than leverage_max {text(instrument.leverage_max)} of "
            f"{instrument.symbol}"
        )
    kept = instrument.maintenance_fraction + instrument.liquidation_fee
    if leverage * kept >= 1:
        raise InvalidCommand(
            f"leverage {text(leverage)} leaves a margin of 1/{text(leverage)} of notional, which is not above "
            f"maintenance_fraction and liquidation_fee of {instrument.symbol}, together {text(kept)}: "
            "every position would be liquidated at once"
        )


def _check_spot(command: CreateBot) -> None:
    """What only a perpetual has is refused where there is none: nobody may believe that it holds."""
    if not _only_spot(command.market):
        return
    if command.leverage not in {None, Decimal(1)}:
        raise InvalidCommand(f"leverage {command.leverage} is for perpetuals, and the kind of {_kinds(command.market)}")
    if command.paper is not None and command.paper.funding_rate != 0:
        raise InvalidCommand(
            f"paper funding_rate {text(command.paper.funding_rate)} is for perpetuals, and the kind of "
            f"{_kinds(command.market)}"
        )


def _only_spot(market: MarketReference) -> bool:
    return all(instrument.kind == "spot" for instrument in market.instruments)


def _kinds(market: MarketReference) -> str:
    """The words for a market without perpetuals."""
    return f"{', '.join(instrument.symbol for instrument in market.instruments)} is spot"


def _check_paper(paper: PaperModel) -> None:
    for name, bounds in _PAPER.items():
        value = getattr(paper, name)
        if value is not None and (fault := bounds.fault(value)) is not None:
            raise InvalidCommand(f"paper {name} {fault}")
