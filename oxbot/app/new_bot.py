"""What a person says of a bot to be created, and the command that creates it on a market."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Protocol

import msgspec

from events.errors import OxbotError
from events.identifiers import HOUSE, AccountName, BotId, FleetName, OwnerId, Symbol, VenueName
from events.values import (
    FeeCurrency,
    FeeSchedule,
    Instrument,
    InstrumentKind,
    MarketReference,
    PaperModel,
    RiskLimits,
    Sizing,
)
from oxbot.app.given import setting_text
from oxbot.core.catalogue import shown
from oxbot.core.creation import FIELD_BOUNDS, CreateBot
from oxbot.core.money import ceil_to_step, exact
from oxbot.core.strategy import InvalidParameter, Strategies

Setting = Annotated[object, msgspec.Meta(extra_json_schema={"type": ["string", "number", "boolean"]})]
"""A parameter of a strategy as a person gives it: text, a number of which no digit is lost, or true or false."""


class UnknownSymbol(OxbotError):
    """The market has no such symbol; the text lists those it has."""


class PaperTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How paper trades a symbol where that is not what the market says of it; the fields are those of an instrument.

    A perpetual with a ``contract_size`` is traded in whole contracts: its lot is the smallest multiple of the contract
    size that is not below the market's lot.
    """

    kind: InstrumentKind = "spot"
    contract_size: Decimal | None = None
    leverage_max: Decimal = Decimal(1)
    maintenance_fraction: Decimal = Decimal(0)
    liquidation_fee: Decimal = Decimal(0)
    funding_interval_hours: int = 8


class FeeTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bot pays on each fill, as fractions of notional; what is left out is as the market has it."""

    maker: Decimal | None = None
    taker: Decimal | None = None
    buys_pay_in: FeeCurrency | None = None


class NewBot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person says of a bot to be created; capital in quote currency, instruments by symbol.

    With an ``account`` its orders go to that account at the venue, once it is armed. ``owner`` is the id of the user
    whose it is, empty for the house; what None means is for whoever was told. A parameter that is nothing of what a
    ``Setting`` may be raises ``ValueError`` naming it.
    """

    bounds: ClassVar[Mapping[str, str]] = FIELD_BOUNDS

    name: str
    symbols: tuple[Symbol, ...]
    strategy: str = "ema_cross"
    parameters: Mapping[str, Setting] = {}
    capital: Decimal = Decimal(10000)
    limits: RiskLimits = RiskLimits()
    sizing: Sizing | None = None
    paper: PaperModel | None = None
    fees: FeeTerms = FeeTerms()
    leverage: Decimal | None = None
    instruments: dict[Symbol, PaperTerms] = {}
    account: AccountName | None = None
    owner: OwnerId | None = None

    def __post_init__(self) -> None:
        _check_settings(self.parameters)

    @property
    def settings(self) -> dict[str, str]:
        """The strategy's parameters in the text form in which strategies take them."""
        return _settings(self.parameters)


class NewTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person gives a bot in place of what it has; what is left out stays.

    What is given stands for all of its kind: of ``limits``, ``sizing`` and ``parameters``, whatever is not said is by
    its default, as in a new bot.
    """

    bounds: ClassVar[Mapping[str, str]] = FIELD_BOUNDS

    name: str | None = None
    parameters: Mapping[str, Setting] | None = None
    limits: RiskLimits | None = None
    sizing: Sizing | None = None

    def __post_init__(self) -> None:
        _check_settings(self.parameters or {})

    @property
    def settings(self) -> dict[str, str] | None:
        """The strategy's parameters in the text form in which strategies take them."""
        return None if self.parameters is None else _settings(self.parameters)


class MarketTerms(Protocol):
    """What a market offers to new bots."""

    @property
    def venue(self) -> VenueName:
        """The venue's name."""
        ...

    @property
    def timeframe(self) -> str:
        """The timeframe of its candles."""
        ...

    @property
    def instruments(self) -> Sequence[Instrument]:
        """Its symbols."""
        ...

    async def next_open(self) -> datetime:
        """The open time of the first candle that a bot created now will see, and for which a command now counts."""
        ...


def creation(
    request: NewBot, *, bot_id: BotId, fleet: FleetName, market: MarketTerms, fees: FeeSchedule, begins_at: datetime
) -> CreateBot:
    """The command that creates the bot on that market, whose fees are these. Raises ``UnknownSymbol``."""
    return CreateBot(
        bot_id=bot_id,
        fleet=fleet,
        name=request.name,
        strategy=request.strategy,
        parameters=request.settings,
        market=MarketReference(
            venue=market.venue,
            timeframe=market.timeframe,
            begins_at=begins_at,
            instruments=_instruments(request, market),
        ),
        capital=request.capital,
        quote=_quote(request.symbols),
        fees=_fees(request.fees, fees),
        limits=request.limits,
        sizing=request.sizing,
        paper=request.paper,
        leverage=request.leverage,
        account=request.account,
        owner=HOUSE if request.owner is None else request.owner,
    )


def parameter_words(
    refused: InvalidParameter, parameters: Mapping[str, Setting], strategy: str, strategies: Strategies | None
) -> str:
    """The refusal with what it leaves out: the value, what it may be, and how what was no text was read."""
    texts = _settings(parameters)
    others = [f"{name}={texts[name]}" for name, value in parameters.items() if not isinstance(value, str)]
    as_text = f" (read as text: {', '.join(others)})" if others else ""
    named = re.search(r"at `\$\.(\w+)`", str(refused))
    if named is None or strategies is None:
        return f"{refused}{as_text}"
    known = {each.name: each for each in shown(strategies, strategy).parameters}
    parameter, value = known[named[1]], texts.get(named[1])
    may_be = ", ".join(filter(None, [parameter.type, parameter.bounds]))
    return f"{refused}: {parameter.name} must be {may_be}, not {value}{as_text}"


def _settings(parameters: Mapping[str, Setting]) -> dict[str, str]:
    return {name: setting_text(value) for name, value in parameters.items()}


def _check_settings(parameters: Mapping[str, Setting]) -> None:
    for name, value in parameters.items():
        try:
            setting_text(value)
        except ValueError as error:
            raise ValueError(f"parameter `{name}` {error}") from error


def _instruments(request: NewBot, market: MarketTerms) -> tuple[Instrument, ...]:
    offered = {instrument.symbol: instrument for instrument in market.instruments}
    for symbol in request.symbols:
        if symbol not in offered:
            raise UnknownSymbol(
                f"symbol {symbol!r} is not traded on {market.venue}; there is {', '.join(sorted(offered))}"
            )
    for symbol in request.instruments:
        if symbol not in request.symbols:
            raise UnknownSymbol(
                f"instruments names {symbol!r}, which is not one of the bot's symbols {', '.join(request.symbols)}"
            )
    return tuple(_on(offered[symbol], request.instruments.get(symbol)) for symbol in sorted(request.symbols))


def _on(offered: Instrument, terms: PaperTerms | None) -> Instrument:
    """The instrument on these terms; steps and smallest notional are the market's, but for whole contracts."""
    if terms is None:
        return offered
    given = {name: value for name, value in msgspec.structs.asdict(terms).items() if value is not None}
    on_terms = msgspec.structs.replace(offered, **given)
    if terms.contract_size is None or terms.kind != "perpetual" or terms.contract_size <= 0:
        return on_terms
    with exact():
        return msgspec.structs.replace(on_terms, lot=ceil_to_step(offered.lot, terms.contract_size))


def _fees(given: FeeTerms, usual: FeeSchedule) -> FeeSchedule:
    said = {name: value for name, value in msgspec.structs.asdict(given).items() if value is not None}
    return msgspec.structs.replace(usual, **said)


def _quote(symbols: Sequence[Symbol]) -> str:
    if not symbols:
        raise UnknownSymbol("symbols must name at least one symbol")
    quotes = {symbol.partition("/")[2].partition(":")[0] for symbol in symbols}
    if len(quotes) != 1:
        raise UnknownSymbol(f"a bot's symbols must share one quote currency, not {', '.join(sorted(quotes))}")
    return quotes.pop()
