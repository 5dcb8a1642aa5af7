"""The decider of a bot: which facts a command leads to, given everything that already happened."""

import re
from datetime import datetime
from decimal import Decimal
from typing import assert_never

import msgspec

from events.bot import (
    BotClaimed,
    BotCreated,
    BotFact,
    BotNoticed,
    BotPaused,
    BotStarted,
    BotStopped,
    CapitalDeposited,
    CapitalWithdrawn,
)
from events.errors import OxbotError
from events.identifiers import BotId, FleetName
from events.values import FeeSchedule, MarketReference, RiskLimits
from oxbot.core import money
from oxbot.core.candles import Frame, timeframe_duration
from oxbot.core.cycle import Cycle
from oxbot.core.market_view import MarketView
from oxbot.core.money import exact, text
from oxbot.core.risk import check_limits
from oxbot.core.state import INITIAL, BotState, Standing, evolve, status_at
from oxbot.core.strategy import Strategies

_NAME = (re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}"), "letters, digits, spaces and _ . -")
_IDENTIFIER = (re.compile(r"[a-z0-9][a-z0-9-]{0,63}"), "lower-case letters, digits and -")


class CommandRefused(OxbotError):
    """A command that the bot, as it is, cannot follow; nothing was recorded."""


class InvalidCommand(OxbotError):
    """A command that no bot could follow; the text names the field."""


class CreateBot(msgspec.Struct, frozen=True, kw_only=True):
    """Bring a bot into being, with its first capital in quote currency."""

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

    With ``lived``, what the incarnation did not know in time is noticed before it decides on these candles.
    """

    epoch: int
    frame: Frame
    view: MarketView
    lived: Lived | None = None


BotCommand = (
    CreateBot
    | StartBot
    | PauseBot
    | StopBot
    | DepositCapital
    | WithdrawCapital
    | ClaimBot
    | NoticeStatus
    | ObserveFrame
)


class BotDecider:
    """Decides for one bot. Pure: no clock, no chance, no I/O."""

    initial = INITIAL

    def __init__(self, strategies: Strategies) -> None:
        self._strategies = strategies

    def evolve(self, state: BotState, fact: BotFact) -> BotState:
        """The bot after the fact."""
        return evolve(state, fact)

    def decide(self, command: BotCommand, state: BotState) -> list[BotFact]:
        """The facts that follow; none if the command changes nothing.

        For a person's command that cannot be followed it raises ``CommandRefused``; for one that no bot could follow,
        ``InvalidCommand``, ``InvalidLimits``, ``UnknownStrategy``, ``InvalidParameter`` or ``UnknownTimeframe``.
        """
        with exact():
            if isinstance(command, ObserveFrame):
                return self._observe(command, state)
            if isinstance(command, CreateBot):
                return self._create(command, state)
            if not state.exists:
                raise CommandRefused("there is no such bot")
            return _manage(command, state)

    def window(self, state: BotState) -> int:
        """How many candles of each symbol the bot must be shown."""
        return self._strategies.bind(state.configuration.strategy).window

    def _observe(self, command: ObserveFrame, state: BotState) -> list[BotFact]:
        seen = state.cursor is not None and command.frame.open_time <= state.cursor
        if not state.exists or command.epoch != state.epoch or seen:
            return []
        noticed = _notice(command.lived, state)
        strategy = self._strategies.bind(state.configuration.strategy)
        return noticed + Cycle(state, strategy, command.frame, command.view).run()

    def _create(self, command: CreateBot, state: BotState) -> list[BotFact]:
        if state.exists:
            raise CommandRefused(f"bot {command.bot_id} exists already")
        _check_creation(command)
        strategy = self._strategies.refer(command.strategy, command.parameters)
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
        )
        return [created, CapitalDeposited(amount=command.capital, reference="initial capital")]


def _manage(
    command: StartBot | PauseBot | StopBot | DepositCapital | WithdrawCapital | ClaimBot | NoticeStatus, state: BotState
) -> list[BotFact]:
    match command:
        case StartBot():
            return _start(command, state)
        case PauseBot():
            return _pause(command, state)
        case StopBot():
            return _stop(command, state)
        case DepositCapital():
            _check_amount(command.amount)
            return [CapitalDeposited(amount=command.amount, reference=command.reference)]
        case WithdrawCapital():
            return _withdraw(command, state)
        case NoticeStatus():
            return _notice(command.lived, state) if command.epoch == state.epoch else []
        case ClaimBot():
            return [BotClaimed(epoch=state.epoch + 1, holder=command.holder)]
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


def _notice(lived: Lived | None, state: BotState) -> list[BotFact]:
    """That the candles lived since the cursor were lived under other statuses than the log now says; else nothing."""
    if lived is None or lived.standings == state.standings:
        return []
    market = state.configuration.market
    first = market.begins_at if state.cursor is None else state.cursor + timeframe_duration(market.timeframe)
    changes = [standing.since for standing in (*lived.standings, *state.standings) if standing.since is not None]
    moments = [first, *(since for since in changes if since > first)]
    differ = any(status_at(lived.standings, at) != state.status_at(at) for at in moments if at <= lived.until)
    return [BotNoticed(at=lived.until)] if differ else []


def _withdraw(command: WithdrawCapital, state: BotState) -> list[BotFact]:
    _check_amount(command.amount)
    free = state.ledger.cash - state.reserved
    if command.amount > free:
        raise CommandRefused(f"bot {state.bot_id} has {text(free)} free, less than {text(command.amount)}")
    return [CapitalWithdrawn(amount=command.amount, reference=command.reference)]


def _check_amount(amount: Decimal, name: str = "amount") -> None:
    if not (amount.is_finite() and amount > 0):
        raise InvalidCommand(f"{name} must be above 0, not {amount}")
    if (fault := money.fault(amount)) is not None:
        raise InvalidCommand(f"{name} {fault}")


def _check_creation(command: CreateBot) -> None:
    for field, (pattern, words) in (("fleet", _IDENTIFIER), ("bot_id", _IDENTIFIER), ("name", _NAME)):
        if pattern.fullmatch(getattr(command, field)) is None:
            raise InvalidCommand(f"{field} {getattr(command, field)!r} must be 1 to 64 {words}")
    _check_amount(command.capital, "capital")
    check_limits(command.limits)
    _check_fees(command.fees)
    _check_market(command.market)


def _check_fees(fees: FeeSchedule) -> None:
    for name in ("maker", "taker"):
        if not 0 <= getattr(fees, name) < Decimal("0.1"):
            raise InvalidCommand(f"fee {name} must be at least 0 and below 0.1, not {getattr(fees, name)}")
        if (fault := money.fault(getattr(fees, name))) is not None:
            raise InvalidCommand(f"fee {name} {fault}")


def _check_market(market: MarketReference) -> None:
    timeframe_duration(market.timeframe)
    symbols = [instrument.symbol for instrument in market.instruments]
    if not symbols or len(set(symbols)) != len(symbols):
        raise InvalidCommand(f"a bot needs one or more symbols, each once, not {symbols}")
    for instrument in market.instruments:
        if instrument.tick <= 0 or instrument.lot <= 0 or instrument.minimum_notional < 0:
            raise InvalidCommand(f"{instrument.symbol}: tick and lot must be above 0, minimum notional at least 0")
        for name in ("tick", "lot", "minimum_notional"):
            if (fault := money.fault(getattr(instrument, name))) is not None:
                raise InvalidCommand(f"{instrument.symbol}: {name} {fault}")
