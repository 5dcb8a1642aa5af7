"""What people do to bots: create, start, pause, stop, halt. Every one of these is an append through ``handle``."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, NamedTuple, Protocol

import msgspec
from uuid_utils import uuid7

from events.bot import BotCreated, TradingState
from events.envelope import Metadata
from events.errors import OxbotError
from events.identifiers import BotId, FleetName, Symbol, VenueName, bot_stream, fleet_stream
from events.log import EventLog
from events.values import (
    FeeSchedule,
    Instrument,
    InstrumentKind,
    MarketReference,
    PaperModel,
    RiskLimits,
    Sizing,
)
from oxbot.app.given import setting_text
from oxbot.app.handle import FoldCache, Folded, fold_stream, handle
from oxbot.core.bot import BotDecider, PauseBot, SetTradingState, StartBot, StopBot
from oxbot.core.creation import AS_ITS_FLEET, CreateBot
from oxbot.core.fleet import FleetDecider, SwitchFleet
from oxbot.core.state import BotState
from oxbot.core.strategy import InvalidParameter

PAGE = 1000

StatusCommand = StartBot | PauseBot | StopBot | SetTradingState
Setting = Annotated[object, msgspec.Meta(extra_json_schema={"type": ["string", "number", "boolean"]})]
"""A parameter of a strategy as a person gives it: text, a number of which no digit is lost, or true or false."""


class UnknownBot(OxbotError):
    """There is no bot of that id."""


class UnknownSymbol(OxbotError):
    """The market has no such symbol; the text lists those it has."""


class PaperTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How paper trades a symbol where that is not what the market says of it; the fields are those of an instrument."""

    kind: InstrumentKind = "spot"
    contract_size: Decimal = Decimal(1)
    leverage_max: Decimal = Decimal(1)
    maintenance_fraction: Decimal = Decimal(0)
    liquidation_fee: Decimal = Decimal(0)
    funding_interval_hours: int = 8


class NewBot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person says of a bot to be created; capital in quote currency, instruments by symbol.

    A parameter that is nothing of what a ``Setting`` may be raises ``ValueError`` naming it.
    """

    name: str
    symbols: tuple[Symbol, ...]
    strategy: str = "ema_cross"
    parameters: Mapping[str, Setting] = {}
    capital: Decimal = Decimal(10000)
    limits: RiskLimits = RiskLimits()
    sizing: Sizing | None = None
    paper: PaperModel | None = None
    leverage: Decimal | None = None
    instruments: dict[Symbol, PaperTerms] = {}

    def __post_init__(self) -> None:
        for name, value in self.parameters.items():
            try:
                setting_text(value)
            except ValueError as error:
                raise ValueError(f"parameter `{name}` {error}") from error

    @property
    def settings(self) -> dict[str, str]:
        """The strategy's parameters in the text form in which strategies take them."""
        return {name: setting_text(value) for name, value in self.parameters.items()}


class CommandResult(NamedTuple):
    """Where the bot stands after a command."""

    bot_id: BotId
    version: int
    status: str
    trading: TradingState = "active"


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


class BotCommands:
    """Commands to the bots of one fleet, on one market. Safe from any number of processes at once.

    ``by`` says on whose behalf, for the envelope of the facts; without it, it is the process's own name.
    """

    def __init__(
        self,
        log: EventLog,
        decider: BotDecider,
        *,
        fleet: FleetName,
        market: MarketTerms,
        fees: FeeSchedule,
        now: Callable[[], datetime],
        actor: str,
        cache: FoldCache[BotState] | None = None,
    ) -> None:
        self._log = log
        self._decider = decider
        self._fleet = fleet
        self._market = market
        self._fees = fees
        self._now = now
        self._actor = actor
        self._cache = cache

    async def create(self, request: NewBot, *, bot_id: BotId | None = None, by: str | None = None) -> CommandResult:
        """Create a bot, in the trading state that the fleet's switch was last set to.

        Raises ``UnknownSymbol``, ``UnknownStrategy``, ``InvalidParameter``, ``InvalidLimits``, ``InvalidSizing`` or
        ``InvalidCommand``.
        """
        chosen = bot_id or BotId(uuid7().hex[-20:])
        told = await self.fleet_trading()
        command = creation(
            request,
            bot_id=chosen,
            fleet=self._fleet,
            market=self._market,
            fees=self._fees,
            begins_at=await self._market.next_open(),
        )
        command = msgspec.structs.replace(command, trading=told)
        try:
            result = _result(chosen, await self._handle(chosen, command, by=by))
        except InvalidParameter as refused:
            raise InvalidParameter(f"{refused}{_read_as_text(request)}") from refused
        # A switch that is set after this look finds the bot; one that was set before is seen.
        while (switch := await self.fleet_trading()) != told:
            told = switch
            result = await self.set_trading(chosen, told, AS_ITS_FLEET, by=by)
        return result

    async def start(self, bot_id: BotId, *, by: str | None = None) -> CommandResult:
        """Let it trade from the market's next candle on. Raises ``UnknownBot`` or ``CommandRefused``.

        A first start looks at the fleet's switch once more: who created the bot may have died before its second look.
        """
        switch = await self.fleet_trading()
        if switch != "active":
            known = await fold_stream(self._log, self._decider, bot_stream(bot_id), cache=self._cache)
            if known.state.status == "created" and known.state.trading == "active":
                await self.set_trading(bot_id, switch, AS_ITS_FLEET, by=by)
        return await self._manage(bot_id, StartBot(), by=by)

    async def pause(self, bot_id: BotId, reason: str = "", *, by: str | None = None) -> CommandResult:
        """No new entries from the market's next candle on. Raises ``UnknownBot`` or ``CommandRefused``."""
        return await self._manage(bot_id, PauseBot(reason), by=by)

    async def stop(self, bot_id: BotId, reason: str = "", *, by: str | None = None) -> CommandResult:
        """Close at the open after the market's next candle and end. Raises ``UnknownBot`` or ``CommandRefused``."""
        return await self._manage(bot_id, StopBot(reason), by=by)

    async def set_trading(
        self,
        bot_id: BotId,
        state: TradingState,
        reason: str = "",
        *,
        of_fleet: bool = False,
        by: str | None = None,
    ) -> CommandResult:
        """What the bot's gate lets through from the market's next candle on. Raises as ``pause``.

        ``of_fleet`` says that the whole fleet was told.
        """
        command = SetTradingState(state, reason, "fleet" if of_fleet else "bot")
        return await self._manage(bot_id, command, by=by)

    async def set_fleet_trading(self, state: TradingState, reason: str = "", *, by: str | None = None) -> None:
        """Set the fleet's switch, for the bots to come; see ``switch_fleet`` for those that there are."""
        await handle(
            self._log,
            FleetDecider(),
            fleet_stream(self._fleet),
            SwitchFleet(state, reason),
            at=self._now(),
            metadata=Metadata(actor=by or self._actor),
        )

    async def fleet_trading(self) -> TradingState:
        """Where the fleet's switch stands."""
        folded = await fold_stream(self._log, FleetDecider(), fleet_stream(self._fleet))
        return folded.state.trading

    async def fleet_bots(self) -> AsyncIterator[BotId]:
        """Every bot of the fleet that the log knows, in order of creation; also those created while this reads."""
        position = 0
        while page := await self._log.read_all(after_position=position, limit=PAGE, types=("bot.created",)):
            position = page[-1].position
            for event in page:
                if isinstance(event.fact, BotCreated) and event.fact.fleet == self._fleet:
                    yield event.fact.bot_id

    async def _manage(self, bot_id: BotId, command: StatusCommand, *, by: str | None) -> CommandResult:
        known = await fold_stream(self._log, self._decider, bot_stream(bot_id), cache=self._cache)
        if not known.state.exists:
            raise UnknownBot(f"there is no bot {bot_id}")
        timed = msgspec.structs.replace(command, effective_at=await self._effective_at(known.state))
        return _result(bot_id, await self._handle(bot_id, timed, known, by=by))

    async def _effective_at(self, state: BotState) -> datetime | None:
        """The next candle of the bot's market; None for a bot of another market, whose time is not known here."""
        market = state.configuration.market
        ours = (market.venue, market.timeframe) == (self._market.venue, self._market.timeframe)
        return await self._market.next_open() if ours else None

    async def _handle(
        self,
        bot_id: BotId,
        command: CreateBot | StatusCommand,
        known: Folded[BotState] | None = None,
        *,
        by: str | None,
    ) -> Folded[BotState]:
        return await handle(
            self._log,
            self._decider,
            bot_stream(bot_id),
            command,
            at=self._now(),
            known=known,
            cache=self._cache,
            metadata=Metadata(actor=by or self._actor),
        )


def creation(
    request: NewBot, *, bot_id: BotId, fleet: FleetName, market: MarketTerms, fees: FeeSchedule, begins_at: datetime
) -> CreateBot:
    """The command that creates the bot on that market. Raises ``UnknownSymbol``."""
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
        fees=fees,
        limits=request.limits,
        sizing=request.sizing,
        paper=request.paper,
        leverage=request.leverage,
    )


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
    """The instrument on these terms; steps and smallest notional are always the market's."""
    return offered if terms is None else msgspec.structs.replace(offered, **msgspec.structs.asdict(terms))


def _read_as_text(request: NewBot) -> str:
    """What a refusal that speaks of text must add where something else was given."""
    texts = request.settings
    others = [f"{name}={texts[name]}" for name, value in request.parameters.items() if not isinstance(value, str)]
    return f" (read as text: {', '.join(others)})" if others else ""


def _result(bot_id: BotId, folded: Folded[BotState]) -> CommandResult:
    return CommandResult(bot_id, folded.version, folded.state.status, folded.state.trading)


def _quote(symbols: Sequence[Symbol]) -> str:
    quotes = {symbol.partition("/")[2] for symbol in symbols}
    if len(quotes) != 1:
        raise UnknownSymbol(f"a bot's symbols must share one quote currency, not {', '.join(sorted(quotes)) or 'none'}")
    return quotes.pop()
