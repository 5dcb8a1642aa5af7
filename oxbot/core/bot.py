"""The decider of a bot: which facts a command leads to, given everything that already happened."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal, assert_never

import msgspec

from events.advice import Sentiment
from events.bot import (
    BotArmed,
    BotClaimed,
    BotCreated,
    BotDisarmed,
    BotFact,
    BotNoticed,
    BotPaused,
    BotStarted,
    BotStopped,
    CapitalDeposited,
    CapitalWithdrawn,
    TradingState,
    TradingStateSet,
)
from events.identifiers import Symbol
from oxbot.core.advice import RecordAdvice, recorded_advice
from oxbot.core.advice_cycle import due
from oxbot.core.candles import Frame, timeframe_duration
from oxbot.core.creation import (
    AS_ITS_FLEET,
    INITIAL_CAPITAL,
    CreateBot,
    InvalidCommand,
    check_amount,
    check_creation,
    check_strategy,
)
from oxbot.core.cycle import Cycle, Outside
from oxbot.core.entry import Fleet, candles_needed
from oxbot.core.market_view import MarketView
from oxbot.core.money import exact, text
from oxbot.core.refused import CommandRefused
from oxbot.core.reports import ForceExit, RecordProgress, force_exits, recorded
from oxbot.core.state import INITIAL, BotState, Standing, evolve, standing_at
from oxbot.core.strategy import Strategies, advice_terms

__all__ = [
    "ArmBot", "BotCommand", "BotDecider", "ClaimBot", "CommandRefused", "DepositCapital", "DisarmBot", "ForceExit",
    "Lived", "NoticeStatus", "ObserveFrame", "PauseBot", "RecordAdvice", "RecordProgress", "SetTradingState",
    "StartBot", "StopBot", "WithdrawCapital",
]  # fmt: skip


class StartBot(msgspec.Struct, frozen=True):
    """Let the bot trade; also ends a pause. ``effective_at`` opens the first candle for which it counts, if given."""

    effective_at: datetime | None = None


class PauseBot(msgspec.Struct, frozen=True):
    """No new entries; exits go on. For ``effective_at`` see ``StartBot``."""

    reason: str = ""
    effective_at: datetime | None = None


class StopBot(msgspec.Struct, frozen=True):
    """Close everything at the next open and end. For ``effective_at`` see ``StartBot``."""

    reason: str = ""
    effective_at: datetime | None = None


class SetTradingState(msgspec.Struct, frozen=True):
    """Say what the gate may let through, of the bot or as its fleet; what holds is the stricter of the two words.

    "active" to the bot itself also accepts the drawdown so far. For the time see ``StartBot``.
    """

    state: TradingState
    reason: str = ""
    scope: Literal["bot", "fleet"] = "bot"
    effective_at: datetime | None = None


class DepositCapital(msgspec.Struct, frozen=True):
    """Add quote currency."""

    amount: Decimal
    reference: str = ""


class WithdrawCapital(msgspec.Struct, frozen=True):
    """Take out quote currency that no order or position needs."""

    amount: Decimal
    reference: str = ""


class ClaimBot(msgspec.Struct, frozen=True):
    """Take over the bot as its next incarnation."""

    holder: str


class ArmBot(msgspec.Struct, frozen=True):
    """Let a live bot enter with real money until then; ``apart``: its market's clock is not the one that this is by."""

    until: datetime
    apart: bool = False


class DisarmBot(msgspec.Struct, frozen=True):
    """Let a live bot enter nothing more until it is armed again."""

    reason: str = ""


class Lived(msgspec.Struct, frozen=True):
    """Up to which candle an incarnation has lived, and under which statuses as it knew them."""

    until: datetime
    standings: tuple[Standing, ...]


class NoticeStatus(msgspec.Struct, frozen=True):
    """The incarnation has learnt what others said; record it if it would have counted for candles already lived."""

    epoch: int
    lived: Lived


class ObserveFrame(msgspec.Struct, frozen=True):
    """The candles of one moment have closed; ``view`` shows the market up to and including them.

    With ``lived``, what the incarnation did not know in time is noticed before it decides on these candles. ``fleet``
    is what the fleet's other bots have at stake, for limits that count it. ``data_faults`` says in words what is wrong
    with a symbol's candles, and ``account_fault`` what keeps a live bot's account shut; no entry is made on either.
    ``sentiments`` is what news say of symbols, for an advised bot.
    """

    epoch: int
    frame: Frame
    view: MarketView
    lived: Lived | None = None
    fleet: Fleet | None = None
    data_faults: Mapping[Symbol, str] = {}
    sentiments: Mapping[Symbol, Sentiment] = {}
    account_fault: str = ""


ManageBot = (
    StartBot
    | PauseBot
    | StopBot
    | SetTradingState
    | DepositCapital
    | WithdrawCapital
    | ClaimBot
    | NoticeStatus
    | ArmBot
    | DisarmBot
)
BotCommand = CreateBot | ManageBot | ObserveFrame | RecordProgress | ForceExit | RecordAdvice


class BotDecider:
    """Decides for one bot. Pure: no clock, no chance, no I/O."""

    initial = INITIAL

    def __init__(self, strategies: Strategies, *, halts: bool = True) -> None:
        """A strategy that raises halts its bot; without ``halts`` what it raises goes on to the caller."""
        self._strategies = strategies
        self._halts = halts

    def evolve(self, state: BotState, fact: BotFact) -> BotState:
        """The bot after the fact."""
        return evolve(state, fact)

    def decide(self, command: BotCommand, state: BotState) -> list[BotFact]:
        """The facts that follow; none if the command changes nothing.

        For a person's command that cannot be followed it raises ``CommandRefused``; for one that no bot could follow,
        ``InvalidCommand``, ``InvalidLimits``, ``InvalidSizing``, ``UnknownStrategy``, ``InvalidParameter`` or
        ``UnknownTimeframe``.
        """
        with exact():
            if isinstance(command, ObserveFrame):
                return self._observe(command, state)
            if isinstance(command, CreateBot):
                return self._create(command, state)
            if not state.exists:
                raise CommandRefused("there is no such bot")
            if isinstance(command, RecordProgress):
                return recorded(command, state)
            if isinstance(command, ForceExit):
                return force_exits(command, state)
            if isinstance(command, RecordAdvice):
                return list(recorded_advice(command, state.advice))
            return _manage(command, state)

    def window(self, state: BotState) -> int:
        """How many candles of each symbol the bot must be shown."""
        return max(self._strategies.bind(state.configuration.strategy).window, candles_needed(state))

    def asks_at(self, state: BotState, open_time: datetime) -> bool:
        """Whether the bot may ask a model at the close of the candle that opened then, and would be told of news."""
        terms = advice_terms(self._strategies.bind(state.configuration.strategy))
        return terms is not None and due(state, terms, open_time)

    def _observe(self, command: ObserveFrame, state: BotState) -> list[BotFact]:
        seen = state.cursor is not None and command.frame.open_time <= state.cursor
        if not state.exists or command.epoch != state.epoch or seen:
            return []
        noticed = _notice(command.lived, state)
        strategy = self._strategies.bind(state.configuration.strategy)
        outside = Outside(command.fleet, command.data_faults, command.sentiments, command.account_fault)
        cycle = Cycle(state, strategy, command.frame, command.view, outside)
        facts = cycle.run()
        if cycle.failed is not None and not self._halts:
            raise cycle.failed.error
        return noticed + facts

    def _create(self, command: CreateBot, state: BotState) -> list[BotFact]:
        if state.exists:
            raise CommandRefused(f"bot {command.bot_id} exists already")
        check_creation(command)
        strategy = self._strategies.refer(command.strategy, command.parameters)
        check_strategy(strategy, command.market)
        wanted = self._strategies.bind(strategy).size_fraction_max
        if wanted > command.limits.position_fraction_max:
            raise InvalidCommand(
                f"bot {command.name}: size_fraction {text(wanted)} is more of its capital than the limit "
                f"position_fraction_max {text(command.limits.position_fraction_max)} allows"
            )
        created = BotCreated(
            bot_id=command.bot_id,
            fleet=command.fleet,
            name=command.name,
            strategy=strategy,
            market=command.market,
            limits=command.limits,
            fees=command.fees,
            quote=command.quote,
            sizing=command.sizing,
            paper=command.paper,
            leverage=command.leverage,
            account=command.account,
        )
        deposited = CapitalDeposited(amount=command.capital, reference=INITIAL_CAPITAL)
        if command.trading == "active":
            return [created, deposited]
        as_told = TradingStateSet(
            state=command.trading, reason=AS_ITS_FLEET, scope="fleet", effective_at=command.market.begins_at
        )
        return [created, deposited, as_told]


def _manage(command: ManageBot, state: BotState) -> list[BotFact]:
    match command:
        case StartBot():
            return _start(command, state)
        case PauseBot():
            return _pause(command, state)
        case StopBot():
            return _stop(command, state)
        case SetTradingState():
            return _set_trading(command, state)
        case DepositCapital():
            check_amount(command.amount)
            return [CapitalDeposited(amount=command.amount, reference=command.reference)]
        case WithdrawCapital():
            return _withdraw(command, state)
        case NoticeStatus():
            return _notice(command.lived, state) if command.epoch == state.epoch else []
        case ClaimBot():
            return [BotClaimed(epoch=state.epoch + 1, holder=command.holder)]
        case ArmBot() | DisarmBot():
            return _arm(command, state)
        case _:
            assert_never(command)


def _start(command: StartBot, state: BotState) -> list[BotFact]:
    if state.status == "running":
        return []
    if state.status == "stopped":
        raise CommandRefused(f"bot {state.bot_id} was stopped for good; create another")
    return [BotStarted(effective_at=command.effective_at)]


def _pause(command: PauseBot, state: BotState) -> list[BotFact]:
    if state.status == "paused":
        return []
    if state.status != "running":
        raise CommandRefused(f"bot {state.bot_id} is {state.status}; only a running bot can be paused")
    return [BotPaused(reason=command.reason, effective_at=command.effective_at)]


def _stop(command: StopBot, state: BotState) -> list[BotFact]:
    if state.status == "stopped":
        return []
    return [BotStopped(reason=command.reason, effective_at=command.effective_at)]


def _set_trading(command: SetTradingState, state: BotState) -> list[BotFact]:
    if state.status == "stopped":
        raise CommandRefused(f"bot {state.bot_id} was stopped for good; create another")
    known = state.fleet_trading if command.scope == "fleet" else state.own_trading
    if known == command.state:
        return []
    return [
        TradingStateSet(
            state=command.state, reason=command.reason, scope=command.scope, effective_at=command.effective_at
        )
    ]


def _arm(command: ArmBot | DisarmBot, state: BotState) -> list[BotFact]:
    if not state.live:
        raise CommandRefused(f"bot {state.bot_id} trades on paper; only a bot with an account is armed")
    if isinstance(command, DisarmBot):
        return [] if state.armed_until is None else [BotDisarmed(reason=command.reason)]
    if state.status == "stopped":
        raise CommandRefused(f"bot {state.bot_id} was stopped for good; create another")
    return [] if state.armed_until == command.until else [BotArmed(until=command.until, apart=command.apart)]


def _notice(lived: Lived | None, state: BotState) -> list[BotFact]:
    """That the candles lived since the cursor were lived under other statuses than the log now says; else nothing."""
    if lived is None or lived.standings == state.standings:
        return []
    market = state.configuration.market
    first = market.begins_at if state.cursor is None else state.cursor + timeframe_duration(market.timeframe)
    changes = [standing.since for standing in (*lived.standings, *state.standings) if standing.since is not None]
    moments = [first, *(since for since in changes if since > first)]
    differ = any(_stood(lived.standings, at) != _stood(state.standings, at) for at in moments if at <= lived.until)
    return [BotNoticed(at=lived.until)] if differ else []


def _stood(standings: Sequence[Standing], at: datetime) -> Standing:
    return msgspec.structs.replace(standing_at(standings, at), since=None)


def _withdraw(command: WithdrawCapital, state: BotState) -> list[BotFact]:
    check_amount(command.amount)
    free = state.free
    if command.amount > free:
        raise CommandRefused(f"bot {state.bot_id} has {text(free)} free, less than {text(command.amount)}")
    return [CapitalWithdrawn(amount=command.amount, reference=command.reference)]
