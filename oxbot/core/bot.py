"""The decider of a bot: which facts a command leads to, given everything that already happened."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal, assert_never

import msgspec

from events.advice import Sentiment
from events.bot import (
    BotArchived,
    BotArmed,
    BotClaimed,
    BotConfigured,
    BotCreated,
    BotDisarmed,
    BotFact,
    BotNoticed,
    BotPaused,
    BotStarted,
    BotStopped,
    CapitalDeposited,
    CapitalWithdrawn,
    ExitOrdered,
    StopPolicy,
    TermsTaken,
    TradingState,
    TradingStateSet,
)
from events.errors import OxbotError
from events.identifiers import Symbol
from events.values import RiskLimits, Sizing, StrategyReference
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
    check_terms,
)
from oxbot.core.cycle import Cycle, Outside
from oxbot.core.entry import Fleet, candles_needed
from oxbot.core.market_view import MarketView
from oxbot.core.money import exact, text
from oxbot.core.refused import CommandRefused
from oxbot.core.reports import ForceExit, RecordProgress, force_exits, recorded
from oxbot.core.state import INITIAL, BotState, Standing, evolve, standing_at, taken
from oxbot.core.strategy import Strategies, advice_terms

__all__ = [
    "ArchiveBot", "ArmBot", "BotCommand", "BotDecider", "ClaimBot", "CommandRefused", "ConfigureBot", "DepositCapital",
    "DisarmBot", "ForceExit", "Lived", "NoticeStatus", "ObserveFrame", "OrderExit", "PauseBot", "RecordAdvice",
    "RecordProgress", "SetTradingState", "StartBot", "StopBot", "ViewTooShort", "WithdrawCapital",
]  # fmt: skip


class StartBot(msgspec.Struct, frozen=True):
    """Let the bot trade; also ends a pause. ``effective_at`` opens the first candle for which it counts, if given."""

    effective_at: datetime | None = None


class PauseBot(msgspec.Struct, frozen=True):
    """No new entries; exits go on. For ``effective_at`` see ``StartBot``."""

    reason: str = ""
    effective_at: datetime | None = None


class StopBot(msgspec.Struct, frozen=True):
    """End: close everything at the next open, or keep what is held until its own stops and targets close it.

    A stopped bot that keeps what it holds can still be told to close it. For ``effective_at`` see ``StartBot``.
    """

    reason: str = ""
    effective_at: datetime | None = None
    policy: StopPolicy = "close"


class ArchiveBot(msgspec.Struct, frozen=True):
    """Put a stopped bot away that holds nothing."""

    reason: str = ""


class OrderExit(msgspec.Struct, frozen=True):
    """Leave what is held in these symbols, or in all if none is named."""

    symbols: tuple[Symbol, ...] = ()
    reason: str = ""


class ConfigureBot(msgspec.Struct, frozen=True, kw_only=True):
    """Give the bot other terms, where they are not None, from the next candle that it decides on; a name at once.

    ``parameters`` are all that its strategy is to have; those left out stand at their defaults.
    """

    name: str | None = None
    parameters: Mapping[str, str] | None = None
    limits: RiskLimits | None = None
    sizing: Sizing | None = None


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
    | ArchiveBot
    | OrderExit
)
BotCommand = CreateBot | ConfigureBot | ManageBot | ObserveFrame | RecordProgress | ForceExit | RecordAdvice


class ViewTooShort(OxbotError):
    """The bot has been given terms that look further back than the view it was shown; ``count`` candles are needed."""

    def __init__(self, count: int) -> None:
        super().__init__(f"the bot must be shown {count} candles of each symbol")
        self.count = count


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
            if isinstance(command, ConfigureBot):
                return self._configure(command, state)
            return _manage(command, state)

    def window(self, state: BotState) -> int:
        """How many candles of each symbol the bot must be shown, under its terms and those it was given."""
        now = self._window(state)
        return now if state.proposed is None else max(now, self._window(taken(state)))

    def _window(self, state: BotState) -> int:
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
        if state.proposed is not None:
            if (needed := self.window(state)) > command.view.capacity:
                raise ViewTooShort(needed)
            begun = TermsTaken(at=command.frame.open_time)
            noticed.append(begun)
            state = evolve(state, begun)
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
        self._check_size(command.name, strategy, command.limits)
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
            owner=command.owner,
        )
        deposited = CapitalDeposited(amount=command.capital, reference=INITIAL_CAPITAL)
        if command.trading == "active":
            return [created, deposited]
        as_told = TradingStateSet(
            state=command.trading, reason=AS_ITS_FLEET, scope="fleet", effective_at=command.market.begins_at
        )
        return [created, deposited, as_told]

    def _configure(self, command: ConfigureBot, state: BotState) -> list[BotFact]:
        """What of the terms is news. Raises as for a creation, ``InvalidCommand`` for terms that contradict others."""
        renames_only = command.parameters is None and command.limits is None and command.sizing is None
        if state.status == "stopped" and not renames_only:
            raise CommandRefused(f"bot {state.bot_id} was stopped for good; create another")
        known = state if state.proposed is None else taken(state)
        now = known.configuration
        strategy = None
        if command.parameters is not None:
            strategy = self._strategies.refer(now.strategy.name, command.parameters)
        news = BotConfigured(
            name=None if command.name == now.name else command.name,
            strategy=None if strategy == now.strategy else strategy,
            limits=None if command.limits == now.limits else command.limits,
            sizing=None if command.sizing == known.sizing else command.sizing,
        )
        if news == BotConfigured():
            return []
        asked_for = evolve(state, news)
        then = (asked_for if asked_for.proposed is None else taken(asked_for)).configuration
        check_terms(then)
        check_strategy(then.strategy, then.market)
        self._check_size(then.name, then.strategy, then.limits)
        return [news]

    def _check_size(self, name: str, strategy: StrategyReference, limits: RiskLimits) -> None:
        wanted = self._strategies.bind(strategy).size_fraction_max
        if wanted > limits.position_fraction_max:
            raise InvalidCommand(
                f"bot {name}: size_fraction {text(wanted)} is more of its capital than the limit "
                f"position_fraction_max {text(limits.position_fraction_max)} allows"
            )


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
        case ArchiveBot():
            return _archive(command, state)
        case OrderExit():
            return _order_exit(command, state)
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
    keeps = bool(state.standings) and state.standings[-1].keeps
    if state.status == "stopped" and not (keeps and command.policy == "close"):
        return []
    return [BotStopped(reason=command.reason, effective_at=command.effective_at, policy=command.policy)]


def _archive(command: ArchiveBot, state: BotState) -> list[BotFact]:
    if state.archived:
        return []
    if state.status != "stopped":
        raise CommandRefused(f"bot {state.bot_id} is {state.status}; only a stopped bot can be archived")
    if state.ledger.positions or state.orders:
        raise CommandRefused(f"bot {state.bot_id} still holds positions or has orders at work")
    return [BotArchived(reason=command.reason)]


def _order_exit(command: OrderExit, state: BotState) -> list[BotFact]:
    held = state.ledger.positions
    unheld = [symbol for symbol in command.symbols if symbol not in held]
    if unheld or not held:
        raise CommandRefused(f"bot {state.bot_id} holds nothing{f' in {unheld[0]}' if unheld else ''}")
    news = tuple(symbol for symbol in command.symbols or sorted(held) if symbol not in state.leaving)
    return [ExitOrdered(symbols=news, reason=command.reason)] if news else []


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
