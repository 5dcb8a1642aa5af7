"""The language of the core's tests: builders of facts and candles, and given / when / then over the bot's decider."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from events.bot import (
    BotCreated,
    BotFact,
    BotStarted,
    CapitalDeposited,
    OrderFilled,
    OrderReason,
    OrderRequested,
)
from events.errors import OxbotError
from events.identifiers import BotId, FillId, FleetName, OrderId, Symbol, VenueName
from events.values import Bracket, FeeSchedule, Instrument, MarketReference, OrderKind, RiskLimits
from oxbot.core.bot import BotCommand, BotDecider, ObserveFrame
from oxbot.core.candles import Candle, Frame
from oxbot.core.market_view import MarketView
from oxbot.core.state import INITIAL, BotState, fold
from oxbot.core.strategies import built_in

BTC = Symbol("BTC/USDT")
ETH = Symbol("ETH/USDT")
BOT = BotId("bot-1")
STEP = timedelta(minutes=5)
START = datetime(2024, 1, 1, tzinfo=UTC)
FEES = FeeSchedule(maker=Decimal("0.001"), taker=Decimal("0.001"))
SMALL = {"fast": "2", "slow": "3", "lookback": "3"}
BRACKET = Bracket(stop_fraction=Decimal("0.02"), target_fraction=Decimal("0.04"))
LIMITS = RiskLimits(position_fraction_max=Decimal(1), positions_max=5, exposure_fraction_max=Decimal(1))
DECIDER = BotDecider(built_in())

CROSS_UP = ("102", "101", "100", "110")
CROSS_DOWN = ("98", "99", "100", "90")
"""Four closes; under ``SMALL`` the averages cross exactly at the last of each."""


def moment(number: int) -> datetime:
    """The open time of candle ``number``, counted from 0."""
    return START + number * STEP


def candle(number: int, prices: str) -> Candle:
    """Candle ``number`` from "open high low close", or from one price for all four; its volume is 1."""
    values = [Decimal(price) for price in prices.split()]
    opened, high, low, closed = values if len(values) > 1 else values * 4
    return Candle(moment(number), opened, high, low, closed, Decimal(1))


def flat_candles(closes: Iterable[str], *, first: int = 0) -> list[Candle]:
    """Candles of one price each, numbered from ``first``."""
    return [candle(number, price) for number, price in enumerate(closes, start=first)]


def instrument(symbol: Symbol = BTC, *, tick: str = "1e-8", lot: str = "1e-8", minimum: str = "0") -> Instrument:
    """A symbol's steps and smallest notional, given as text."""
    return Instrument(symbol=symbol, tick=Decimal(tick), lot=Decimal(lot), minimum_notional=Decimal(minimum))


def created(
    *instruments: Instrument,
    parameters: Mapping[str, str] = SMALL,
    limits: RiskLimits = LIMITS,
    fees: FeeSchedule = FEES,
) -> BotCreated:
    """An ``ema_cross`` bot's creation; without instruments it trades BTC/USDT alone."""
    return BotCreated(
        bot_id=BOT,
        fleet=FleetName("fleet-1"),
        name="Bot 1",
        strategy=built_in().refer("ema_cross", parameters),
        market=MarketReference(
            venue=VenueName("test"), timeframe="5m", begins_at=START, instruments=instruments or (instrument(),)
        ),
        limits=limits,
        fees=fees,
        quote="USDT",
    )


def deposited(amount: str = "10000") -> CapitalDeposited:
    """The first capital."""
    return CapitalDeposited(amount=Decimal(amount), reference="initial capital")


def running(*instruments: Instrument, parameters: Mapping[str, str] = SMALL) -> list[BotFact]:
    """A bot that was created with 10,000 and started."""
    return [created(*instruments, parameters=parameters), deposited(), BotStarted()]


def order_id(number: int) -> OrderId:
    """The id of the bot's order ``number``, counted from 1."""
    return OrderId(f"{BOT}-{number}")


def bought(symbol: Symbol, number: int, *, quantity: str, price: str, fee: str = "0") -> list[BotFact]:
    """An entry by quantity, requested and filled in candle 0, with no bracket."""
    return [
        OrderRequested(
            order_id=order_id(number),
            at=moment(0),
            symbol=symbol,
            side="buy",
            kind="market",
            reason="entry",
            quantity=Decimal(quantity),
        ),
        filled(number, at=0, quantity=quantity, price=price, fee=fee),
    ]


def filled(number: int, *, at: int, quantity: str, price: str, fee: str, complete: bool = True) -> OrderFilled:
    """A fill, as taker, of order ``number`` in candle ``at``."""
    return OrderFilled(
        order_id=order_id(number),
        fill_id=FillId(f"{order_id(number)}-1"),
        at=moment(at),
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal(fee),
        liquidity="taker",
        complete=complete,
    )


def protective(
    number: int, kind: OrderKind, reason: OrderReason, *, at: int, quantity: str, trigger: str, parent: int
) -> OrderRequested:
    """A bracket's stop or target on BTC/USDT."""
    return OrderRequested(
        order_id=order_id(number),
        at=moment(at),
        symbol=BTC,
        side="sell",
        kind=kind,
        reason=reason,
        quantity=Decimal(quantity),
        trigger_price=Decimal(trigger),
        reduce_only=True,
        parent_id=order_id(parent),
    )


def observe(seen: Mapping[Symbol, Sequence[Candle]] | Sequence[Candle], *, epoch: int = 0) -> ObserveFrame:
    """The newest candle of each symbol has closed, all the others before it; a bare list is of BTC/USDT."""
    by_symbol = seen if isinstance(seen, Mapping) else {BTC: seen}
    view = MarketView(list(by_symbol), capacity=max(len(candles) for candles in by_symbol.values()))
    for symbol, candles in by_symbol.items():
        view.warm(symbol, candles)
    newest = tuple((symbol, candles[-1]) for symbol, candles in sorted(by_symbol.items()))
    return ObserveFrame(epoch=epoch, frame=Frame(newest[0][1].open_time, newest), view=view)


class Outcome:
    """What the decider made of a command: facts, or a refusal."""

    def __init__(self, facts: list[BotFact], refusal: OxbotError | None) -> None:
        self._facts = facts
        self._refusal = refusal

    @property
    def facts(self) -> list[BotFact]:
        """The facts; raises the refusal if there was one."""
        if self._refusal is not None:
            raise self._refusal
        return self._facts

    def then(self, expected: Sequence[BotFact]) -> None:
        """Exactly these facts, in this order."""
        assert self.facts == list(expected)

    def then_refused(self, error: type[OxbotError], *, match: str) -> None:
        """Exactly this kind of error, with a text in which the pattern is found."""
        assert type(self._refusal) is error, f"{self._refusal!r}, {self._facts}"
        assert re.search(match, str(self._refusal)), str(self._refusal)


class Given:
    """A bot after some facts, ready for a command."""

    def __init__(self, facts: Sequence[BotFact]) -> None:
        self.state = fold(facts)

    def when(self, command: BotCommand) -> Outcome:
        """Let the decider decide on the command."""
        try:
            return Outcome(DECIDER.decide(command, self.state), None)
        except OxbotError as error:
            return Outcome([], error)


def given(facts: Sequence[BotFact] = ()) -> Given:
    """The bot whose whole life so far is these facts."""
    return Given(facts)


class Life:
    """A bot that lives: it folds what it decides, and is shown every frame with all the candles before it."""

    def __init__(self, facts: Sequence[BotFact]) -> None:
        self.facts: list[BotFact] = []
        self.states: list[BotState] = [INITIAL]
        self._keep(facts)
        market = self.state.configuration.market
        symbols = [known.symbol for known in market.instruments]
        self._view = MarketView(symbols, capacity=DECIDER.window(self.state))

    @property
    def state(self) -> BotState:
        """The bot now; ``states[n]`` is the bot after its first n facts."""
        return self.states[-1]

    def order(self, command: BotCommand) -> None:
        """Give a command; a refusal changes nothing."""
        try:
            self._keep(DECIDER.decide(command, self.state))
        except OxbotError:
            return

    def see(self, frame: Frame) -> list[BotFact]:
        """Show the next frame; answers the facts that it caused."""
        self._view.push(frame)
        facts = DECIDER.decide(ObserveFrame(self.state.epoch, frame, self._view), self.state)
        self._keep(facts)
        return facts

    def look_back(self, frame: Frame) -> None:
        """Put a frame in view that closed before the bot's next one, and decide nothing on it."""
        self._view.push(frame)

    def see_candles(self, candles: Iterable[Candle], symbol: Symbol = BTC) -> "Life":
        """Show candles of one symbol, each as a frame of its own."""
        for each in candles:
            self.see(Frame(each.open_time, ((symbol, each),)))
        return self

    def _keep(self, facts: Sequence[BotFact]) -> None:
        for fact in facts:
            self.facts.append(fact)
            self.states.append(DECIDER.evolve(self.state, fact))
