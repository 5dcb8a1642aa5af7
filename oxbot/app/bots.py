"""What people do to bots: create, start, pause, stop, halt, fund. Each of these is an append through ``handle``."""

import copy
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import msgspec
from uuid_utils import uuid7

from events.bot import BotCreated, StopPolicy, TradingState
from events.envelope import Metadata
from events.errors import OxbotError
from events.identifiers import BotId, FleetName, OwnerId, Symbol, bot_stream, fleet_stream
from events.log import EventLog
from events.values import FeeSchedule
from oxbot.app.capital import BookedFlow, FlowDecider
from oxbot.app.handle import FoldCache, Folded, KnownFolds, fold_stream, handle
from oxbot.app.live_bots import armed_rival, check_account, has_clock_apart, shortage
from oxbot.app.new_bot import MarketTerms, NewBot, NewTerms, PaperTerms, UnknownSymbol, creation, parameter_words
from oxbot.core.bot import (
    ArchiveBot,
    ArmBot,
    BotDecider,
    CommandRefused,
    ConfigureBot,
    DepositCapital,
    DisarmBot,
    OrderExit,
    PauseBot,
    SetTradingState,
    StartBot,
    StopBot,
    WithdrawCapital,
)
from oxbot.core.creation import AS_ITS_FLEET, CreateBot
from oxbot.core.fleet import FleetDecider, SwitchFleet
from oxbot.core.state import BotState, taken
from oxbot.core.strategy import InvalidParameter, Strategies

__all__ = [
    "BotCommands", "CommandResult", "MarketTerms", "NewBot", "NewTerms", "PaperTerms", "UnknownBot", "UnknownSymbol",
    "creation",
]  # fmt: skip

PAGE = 1000
ARMED_DAYS_MAX = 30
"""So long ahead a live bot may be armed, at most."""

StatusCommand = StartBot | PauseBot | StopBot | SetTradingState


class UnknownBot(OxbotError):
    """There is no bot of that id."""


class CommandResult(NamedTuple):
    """Where the bot stands after a command; ``note`` says what else will happen, or why not all that was asked has."""

    bot_id: BotId
    version: int
    status: str
    trading: TradingState = "active"
    note: str = ""


class BotCommands:
    """Commands to the bots of one fleet, on one market. Safe from any number of processes at once.

    ``by`` says on whose behalf, for the envelope of the facts; without it, it is the process's own name. With
    ``strategies``, a parameter that is refused is told with its bounds.
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
        strategies: Strategies | None = None,
    ) -> None:
        self._log = log
        self._decider = decider
        self._fleet = fleet
        self._market = market
        self._fees = fees
        self._now = now
        self._actor = actor
        self._cache = cache
        self._strategies = strategies
        self._new_bot: BotId | None = None

    @property
    def market(self) -> MarketTerms:
        """What new bots are offered."""
        return self._market

    def over(
        self, log: Callable[[EventLog], EventLog], *, new_bot: BotId | None = None, cached: bool = True
    ) -> "BotCommands":
        """The same commands over what is made of their log, for one request; a bot that it creates has that id."""
        other = copy.copy(self)
        cache = KnownFolds(self._cache) if cached and self._cache is not None else None
        vars(other).update(_log=log(self._log), _cache=cache, _new_bot=new_bot or self._new_bot)
        return other

    async def create(
        self,
        request: NewBot,
        *,
        bot_id: BotId | None = None,
        granted_to: OwnerId | None = None,
        by: str | None = None,
    ) -> CommandResult:
        """Create a bot, in the trading state that the fleet's switch was last set to; the house's unless it says whose.

        With ``granted_to``, an account that it names must be granted to that user: to who is told, there is no other.
        Raises ``UnknownSymbol``, ``UnknownStrategy``, ``InvalidParameter``, ``InvalidLimits``, ``InvalidSizing`` or
        ``InvalidCommand``; ``CommandRefused`` if its account is not open, or of another market.
        """
        if request.account is not None:
            await check_account(self._log, request.account, self._market.venue, granted_to=granted_to)
        chosen = bot_id or self._new_bot or BotId(uuid7().hex[-20:])
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
            words = parameter_words(refused, request.parameters, request.strategy, self._strategies)
            raise InvalidParameter(words) from refused
        # A switch that is set after this look finds the bot; one that was set before is seen.
        while (switch := await self.fleet_trading()) != told:
            told = switch
            result = await self.set_trading(chosen, told, AS_ITS_FLEET, of_fleet=True, by=by)
        return result

    async def start(self, bot_id: BotId, *, by: str | None = None) -> CommandResult:
        """Let it trade from the market's next candle on. Raises ``UnknownBot`` or ``CommandRefused``.

        Every start looks at the switch of the bot's fleet once more: whoever set it, or created the bot, may have died
        before the bot was told.
        """
        await self._tell_as_its_fleet(bot_id, by=by)
        return _result(bot_id, await self._manage(bot_id, StartBot(), by=by))

    async def pause(self, bot_id: BotId, reason: str = "", *, by: str | None = None) -> CommandResult:
        """No new entries from the market's next candle on. Raises ``UnknownBot`` or ``CommandRefused``."""
        return _result(bot_id, await self._manage(bot_id, PauseBot(reason), by=by))

    async def stop(
        self, bot_id: BotId, reason: str = "", *, policy: StopPolicy = "close", by: str | None = None
    ) -> CommandResult:
        """End: close at the open after the market's next candle, or keep what is held until its own exits close it.

        Raises ``UnknownBot`` or ``CommandRefused``.
        """
        stopped = await self._manage(bot_id, StopBot(reason, policy=policy), by=by)
        return _result(bot_id, stopped)._replace(note=_closing(stopped.state))

    async def archive(self, bot_id: BotId, reason: str = "", *, by: str | None = None) -> CommandResult:
        """Put away a stopped bot that holds nothing: lists leave it out. Raises as ``pause``."""
        return await self._tell(bot_id, ArchiveBot(reason), by=by)

    async def force_exit(
        self, bot_id: BotId, symbols: Sequence[Symbol] = (), reason: str = "", *, by: str | None = None
    ) -> CommandResult:
        """Leave what is held in these symbols, or in all: on paper at the open after the market's next candle.

        A live bot's execution asks its venue at once. Raises as ``pause``, also for a symbol in which nothing is held.
        """
        return await self._tell(bot_id, OrderExit(tuple(symbols), reason), by=by)

    async def configure(self, bot_id: BotId, terms: NewTerms, *, by: str | None = None) -> CommandResult:
        """Give it other terms, from the next candle on that it decides on. Raises as ``create`` and ``pause``."""
        command = ConfigureBot(name=terms.name, parameters=terms.settings, limits=terms.limits, sizing=terms.sizing)
        known = await self._known(bot_id)
        try:
            return _result(bot_id, await self._handle(bot_id, command, known, by=by))
        except InvalidParameter as refused:
            strategy = known.state.configuration.strategy.name
            words = parameter_words(refused, terms.parameters or {}, strategy, self._strategies)
            raise InvalidParameter(words) from refused

    async def terms(self, bot_id: BotId) -> BotCreated:
        """How the bot would be created, with all that it was given since. Raises ``UnknownBot``."""
        state = (await self._known(bot_id)).state
        return state.configuration if state.proposed is None else taken(state).configuration

    async def deposit(self, bot_id: BotId, amount: Decimal, *, reference: str, by: str | None = None) -> BookedFlow:
        """Add quote currency, once per reference. Raises ``UnknownBot``, ``InvalidCommand`` or ``CommandRefused``."""
        return await self._book(bot_id, DepositCapital(amount, reference), by=by)

    async def withdraw(self, bot_id: BotId, amount: Decimal, *, reference: str, by: str | None = None) -> BookedFlow:
        """Take out quote currency that is free, once per reference. Raises as ``deposit``."""
        return await self._book(bot_id, WithdrawCapital(amount, reference), by=by)

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

        ``of_fleet`` says that the whole fleet was told. Of the two words, to the bot and to its fleet, the stricter
        holds; where that is not what was asked for now, the ``note`` says whose word it is.
        """
        command = SetTradingState(state, reason, "fleet" if of_fleet else "bot")
        result = _result(bot_id, await self._manage(bot_id, command, by=by))
        if result.trading == state:
            return result
        return result._replace(note=f"{'it itself' if of_fleet else 'its fleet'} is {result.trading}")

    async def arm(self, bot_id: BotId, until: datetime, *, by: str | None = None) -> CommandResult:
        """Let a live bot enter with real money until then, 30 days ahead at most. Raises as ``pause``.

        Refused while another bot of its account is armed for one of its perpetuals, and while the account is known to
        have less than its bots.
        """
        now = self._now()
        if not now < until <= now + timedelta(days=ARMED_DAYS_MAX):
            raise CommandRefused(
                f"a bot is armed until a moment within the next {ARMED_DAYS_MAX} days, which {until} is not"
            )
        known = await self._known(bot_id)
        account = None if known.state.created is None else known.state.created.account
        if account is not None and (fault := await shortage(self._log, account)) is not None:
            raise CommandRefused(fault)
        await self._refuse_rival(known.state)
        apart = await has_clock_apart(self._log, known.state)
        result = await self._arm(bot_id, ArmBot(until, apart), by=by)
        try:
            # Of two that are armed at the same moment, each looked before the other was; now at least one sees it.
            await self._refuse_rival(known.state)
        except CommandRefused:
            await self._arm(bot_id, DisarmBot("another bot of its account was armed for the same symbol"), by=by)
            raise
        return result

    async def disarm(self, bot_id: BotId, reason: str = "", *, by: str | None = None) -> CommandResult:
        """Let a live bot enter nothing more until it is armed again. Raises as ``pause``."""
        return await self._arm(bot_id, DisarmBot(reason), by=by)

    async def _tell(self, bot_id: BotId, command: ArchiveBot | OrderExit, *, by: str | None) -> CommandResult:
        return _result(bot_id, await self._handle(bot_id, command, await self._known(bot_id), by=by))

    async def _arm(self, bot_id: BotId, command: ArmBot | DisarmBot, *, by: str | None) -> CommandResult:
        return _result(bot_id, await self._handle(bot_id, command, await self._known(bot_id), by=by))

    async def _refuse_rival(self, bot: BotState) -> None:
        rival = await armed_rival(self._log, self._decider, bot, now=self._now(), cache=self._cache)
        if rival is not None:
            raise CommandRefused(rival)

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

    async def fleet_trading(self, fleet: FleetName | None = None) -> TradingState:
        """Where the switch of that fleet stands; of this one, unless another is named."""
        folded = await fold_stream(self._log, FleetDecider(), fleet_stream(fleet or self._fleet))
        return folded.state.trading

    async def fleet_bots(self) -> AsyncIterator[BotId]:
        """Every bot of the fleet that the log knows, in order of creation; also those created while this reads."""
        position = 0
        while page := await self._log.read_all(after_position=position, limit=PAGE, types=("bot.created",)):
            position = page[-1].position
            for event in page:
                if isinstance(event.fact, BotCreated) and event.fact.fleet == self._fleet:
                    yield event.fact.bot_id

    async def _tell_as_its_fleet(self, bot_id: BotId, *, by: str | None) -> None:
        # The switch is read after the bot, and again after each word to it: who sets it records it before telling.
        while True:
            bot = (await self._known(bot_id)).state
            switch = await self.fleet_trading(bot.configuration.fleet)
            if bot.status == "stopped" or bot.fleet_trading == switch:
                return
            await self.set_trading(bot_id, switch, AS_ITS_FLEET, of_fleet=True, by=by)

    async def _manage(self, bot_id: BotId, command: StatusCommand, *, by: str | None) -> Folded[BotState]:
        known = await self._known(bot_id)
        timed = msgspec.structs.replace(command, effective_at=await self._effective_at(known.state))
        return await self._handle(bot_id, timed, known, by=by)

    async def _known(self, bot_id: BotId) -> Folded[BotState]:
        known = await fold_stream(self._log, self._decider, bot_stream(bot_id), cache=self._cache)
        if not known.state.exists:
            raise UnknownBot(f"there is no bot {bot_id}")
        return known

    async def _book(self, bot_id: BotId, command: DepositCapital | WithdrawCapital, *, by: str | None) -> BookedFlow:
        # Folded from the first event on: what the cache keeps knows no references.
        decider, stream = FlowDecider(self._decider), bot_stream(bot_id)
        known = await fold_stream(self._log, decider, stream)
        if not known.state.bot.exists:
            raise UnknownBot(f"there is no bot {bot_id}")
        after = await handle(
            self._log,
            decider,
            stream,
            command,
            at=self._now(),
            known=known,
            metadata=Metadata(actor=by or self._actor),
        )
        return after.state.booked[command.reference]

    async def _effective_at(self, state: BotState) -> datetime | None:
        """The next candle of the bot's market; None for a bot of another market, whose time is not known here."""
        market = state.configuration.market
        ours = (market.venue, market.timeframe) == (self._market.venue, self._market.timeframe)
        return await self._market.next_open() if ours else None

    async def _handle(
        self,
        bot_id: BotId,
        command: CreateBot | StatusCommand | ArmBot | DisarmBot | ArchiveBot | OrderExit | ConfigureBot,
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


def _result(bot_id: BotId, folded: Folded[BotState]) -> CommandResult:
    return CommandResult(bot_id, folded.version, folded.state.status, folded.state.trading)


def _closing(state: BotState) -> str:
    """What becomes of a stopped bot's positions, in words; empty if it has none."""
    if state.standings and state.standings[-1].keeps:
        return ", ".join(f"{symbol} is kept until its own exits close it" for symbol in sorted(state.ledger.positions))
    ways = {"long": "sold", "short": "bought back"}
    positions = sorted(state.ledger.positions.values(), key=lambda held: held.symbol)
    return ", ".join(f"{held.symbol} is {ways[held.side]} at the next open" for held in positions)
