"""What a bot is at any moment: its configuration, its place in the market, its books and its orders."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

import msgspec

from events.bot import BotConfigured, BotCreated, TradingState
from events.errors import OxbotError
from events.identifiers import BotId, OrderId, Symbol
from events.values import Instrument, PaperModel, Sizing
from oxbot.core.advice import NO_ADVICE, AdviceBook
from oxbot.core.candles import timeframe_duration
from oxbot.core.ledger import Ledger
from oxbot.core.live import Settlement
from oxbot.core.memory import Memory
from oxbot.core.money import ZERO
from oxbot.core.orders import Order
from oxbot.core.trips import ClosedTrade, Note, Refused, Trip

BotStatus = Literal["absent", "created", "running", "paused", "stopped", "halted"]


class BrokenStream(OxbotError):
    """A stream whose facts cannot be a bot's life: no creation first, an unknown order, or less than no money."""


_TRADING_STATES: tuple[TradingState, ...] = ("active", "reducing", "halted")


class Standing(msgspec.Struct, frozen=True):
    """What holds from the candle that opens at ``since`` on; None: for every candle.

    ``own`` is what the bot itself was told, or tripped to; ``fleet`` is what its whole fleet was.
    """

    status: BotStatus
    since: datetime | None = None
    own: TradingState = "active"
    fleet: TradingState = "active"
    keeps: bool = False
    """Whether a stopped bot keeps what it holds until its own stops and targets close it."""

    @property
    def trading(self) -> TradingState:
        """What the gate lets through: the stricter of the two."""
        return stricter(self.own, self.fleet)


UNBORN = Standing("absent")

ONE = Decimal(1)
DEFAULT_SIZING = Sizing()
DEFAULT_PAPER = PaperModel()


def stricter(one: TradingState, other: TradingState) -> TradingState:
    """That of the two which lets less through."""
    return max(one, other, key=_TRADING_STATES.index)


def standing_at(standings: Sequence[Standing], open_time: datetime) -> Standing:
    """The last of the standings that counts for the candle that opens then."""
    for standing in reversed(standings):
        if standing.since is None or standing.since <= open_time:
            return standing
    return UNBORN


class BotState(msgspec.Struct, frozen=True, kw_only=True):
    """A bot: its configuration, its place in the market, its books and its working orders.

    ``cursor`` is the open time of the newest candle that left a fact; ``epoch`` counts the incarnations. ``status``,
    ``own_trading`` and ``fleet_trading`` are the newest; ``standings`` say, in order of time, which count for which
    candle after the cursor. ``halted`` says by which rule, and why, a bot of that status was halted.
    ``entries`` are those requested on ``entries_on`` (UTC). ``high_water`` is the highest equity on record, moved by
    what was deposited and withdrawn; None until the first. ``day_equity`` is that with which ``day`` began, likewise.

    A live bot enters until ``armed_until``, which is not by its candles' clock where that is ``clock_apart``, and
    ``account_fault`` is why its account let nothing enter when it last wanted to. ``owed`` are its exits that the venue
    ended before they had traded, and ``settlements`` the newest funding payments and liquidations, so that none is
    booked twice.

    ``proposed`` are the terms that it was given and has not taken yet, ``leaving`` the symbols that somebody told it to
    leave and whose exit is not requested yet.
    """

    created: BotCreated | None = None
    status: BotStatus = "absent"
    halted: str = ""
    own_trading: TradingState = "active"
    fleet_trading: TradingState = "active"
    standings: tuple[Standing, ...] = ()
    epoch: int = 0
    cursor: datetime | None = None
    ledger: Ledger = Ledger()
    orders: dict[OrderId, Order] = {}
    ended: dict[OrderId, Order] = {}
    orders_requested: int = 0
    decisions_made: int = 0
    decided: Note | None = None
    notes: dict[OrderId, Note] = {}
    refused: dict[Symbol, tuple[Refused, ...]] = {}
    trips: dict[Symbol, Trip] = {}
    trades: tuple[ClosedTrade, ...] = ()
    memory: Memory = Memory()
    entries: int = 0
    entries_on: date | None = None
    high_water: Decimal | None = None
    day: date | None = None
    day_equity: Decimal = ZERO
    armed_until: datetime | None = None
    clock_apart: bool = False
    account_fault: str = ""
    owed: dict[OrderId, Order] = {}
    settlements: tuple[Settlement, ...] = ()
    advice: AdviceBook = NO_ADVICE
    proposed: BotConfigured | None = None
    leaving: tuple[Symbol, ...] = ()
    archived: bool = False

    @property
    def configuration(self) -> BotCreated:
        """How the bot was created; raises ``BrokenStream`` for a bot that was not."""
        if self.created is None:
            raise BrokenStream("the bot does not exist")
        return self.created

    @property
    def trading(self) -> TradingState:
        """What the gate lets through, by the newest words to the bot and to its fleet."""
        return stricter(self.own_trading, self.fleet_trading)

    @property
    def sizing(self) -> Sizing:
        """How its entries are sized."""
        return self.configuration.sizing or DEFAULT_SIZING

    @property
    def paper(self) -> PaperModel:
        """How its paper venue trades."""
        return self.configuration.paper or DEFAULT_PAPER

    @property
    def leverage(self) -> Decimal:
        """What its perpetuals' notional is of their margin."""
        return self.configuration.leverage or ONE

    @property
    def live(self) -> bool:
        """Whether its orders go to an account at the venue."""
        return self.configuration.account is not None

    @property
    def candle(self) -> timedelta:
        """How long a candle of its market lasts."""
        return timeframe_duration(self.configuration.market.timeframe)

    @property
    def bot_id(self) -> BotId:
        """The bot's identifier."""
        return self.configuration.bot_id

    @property
    def exists(self) -> bool:
        """Whether the bot was created."""
        return self.created is not None

    @property
    def reserved(self) -> Decimal:
        """Quote currency that working orders keep from being spent twice."""
        return sum((order.reserved for order in self.orders.values()), ZERO)

    @property
    def free(self) -> Decimal:
        """Quote currency that neither a position's margin nor a working order needs."""
        return self.ledger.free - self.reserved

    def standing_at(self, open_time: datetime) -> Standing:
        """What counts for a candle after the cursor."""
        return standing_at(self.standings, open_time)

    def entries_at(self, moment: datetime) -> int:
        """How many entries were requested on that day (UTC)."""
        return self.entries if self.entries_on == moment.date() else 0

    def idle_at(self, open_time: datetime) -> bool:
        """Whether nothing is left to manage from that candle on: stopped, flat, and no order at work."""
        stopped = self.status == "stopped" and self.standing_at(open_time).status == "stopped"
        return stopped and not self.ledger.positions and not self.orders

    def instrument(self, symbol: Symbol) -> Instrument:
        """The instrument of one of the bot's symbols."""
        return next(known for known in self.configuration.market.instruments if known.symbol == symbol)

    def working(self, symbol: Symbol) -> list[Order]:
        """The symbol's orders that have not ended, oldest first."""
        return [order for order in self.orders.values() if order.symbol == symbol]


INITIAL = BotState()
