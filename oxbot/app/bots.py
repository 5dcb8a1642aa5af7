"""What people do to bots: create, start, pause, stop. Every one of these is an append through ``handle``."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

import msgspec
from uuid_utils import uuid7

from events.envelope import Metadata
from events.errors import OxbotError
from events.identifiers import BotId, FleetName, Symbol, VenueName, bot_stream
from events.log import EventLog
from events.values import FeeSchedule, Instrument, MarketReference, RiskLimits
from oxbot.app.handle import FoldCache, Folded, fold_stream, handle
from oxbot.core.bot import BotDecider, CreateBot, PauseBot, StartBot, StopBot
from oxbot.core.state import BotState

StatusCommand = StartBot | PauseBot | StopBot


class UnknownBot(OxbotError):
    """There is no bot of that id."""


class UnknownSymbol(OxbotError):
    """The market has no such symbol; the text lists those it has."""


class NewBot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person says of a bot to be created; capital in quote currency."""

    name: str
    symbols: tuple[Symbol, ...]
    strategy: str = "ema_cross"
    parameters: dict[str, str] = {}
    capital: Decimal = Decimal(10000)
    limits: RiskLimits = RiskLimits()


class CommandResult(NamedTuple):
    """Where the bot stands after a command."""

    bot_id: BotId
    version: int
    status: str


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
        """Create a bot. Raises ``UnknownSymbol``, ``UnknownStrategy``, ``InvalidParameter`` or ``InvalidCommand``."""
        chosen = bot_id or BotId(uuid7().hex[-20:])
        command = creation(
            request,
            bot_id=chosen,
            fleet=self._fleet,
            market=self._market,
            fees=self._fees,
            begins_at=await self._market.next_open(),
        )
        return _result(chosen, await self._handle(chosen, command, by=by))

    async def start(self, bot_id: BotId, *, by: str | None = None) -> CommandResult:
        """Let it trade from the market's next candle on. Raises ``UnknownBot`` or ``CommandRefused``."""
        return await self._manage(bot_id, StartBot(), by=by)

    async def pause(self, bot_id: BotId, reason: str = "", *, by: str | None = None) -> CommandResult:
        """No new entries from the market's next candle on. Raises ``UnknownBot`` or ``CommandRefused``."""
        return await self._manage(bot_id, PauseBot(reason), by=by)

    async def stop(self, bot_id: BotId, reason: str = "", *, by: str | None = None) -> CommandResult:
        """Close at the open after the market's next candle and end. Raises ``UnknownBot`` or ``CommandRefused``."""
        return await self._manage(bot_id, StopBot(reason), by=by)

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
        parameters=dict(request.parameters),
        market=MarketReference(
            venue=market.venue,
            timeframe=market.timeframe,
            begins_at=begins_at,
            instruments=_instruments(request.symbols, market),
        ),
        capital=request.capital,
        quote=_quote(request.symbols),
        fees=fees,
        limits=request.limits,
    )


def _instruments(symbols: Sequence[Symbol], market: MarketTerms) -> tuple[Instrument, ...]:
    offered = {instrument.symbol: instrument for instrument in market.instruments}
    for symbol in symbols:
        if symbol not in offered:
            raise UnknownSymbol(
                f"symbol {symbol!r} is not traded on {market.venue}; there is {', '.join(sorted(offered))}"
            )
    return tuple(offered[symbol] for symbol in sorted(symbols))


def _result(bot_id: BotId, folded: Folded[BotState]) -> CommandResult:
    return CommandResult(bot_id, folded.version, folded.state.status)


def _quote(symbols: Sequence[Symbol]) -> str:
    quotes = {symbol.partition("/")[2] for symbol in symbols}
    if len(quotes) != 1:
        raise UnknownSymbol(f"a bot's symbols must share one quote currency, not {', '.join(sorted(quotes)) or 'none'}")
    return quotes.pop()
