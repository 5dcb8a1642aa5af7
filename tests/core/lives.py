"""Whole lives for tests: a strategy that says what it was told to, any bot, and its life through the decider."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import msgspec

from events.bot import BotFact, DecisionMade, Intent, OrderDenied, OrderFilled, OrderRequested
from events.identifiers import BotId, FleetName, Symbol, VenueName
from events.values import (
    Bracket,
    FeeSchedule,
    Instrument,
    MarketReference,
    PaperModel,
    Parameter,
    RiskLimits,
    Sizing,
    TimeInForce,
)
from oxbot.core.bot import BotCommand, BotDecider, CommandRefused, ObserveFrame, StartBot
from oxbot.core.candle_series import SharedSeries
from oxbot.core.candles import Candle, Frame
from oxbot.core.creation import CreateBot
from oxbot.core.market_view import CandleWindow, MarketView
from oxbot.core.state import INITIAL, BotState
from oxbot.core.strategy import Signal, Strategies, StrategyState

START = datetime(2024, 1, 1, tzinfo=UTC)
BOT = BotId("bot-1")
BTC, ETH = Symbol("BTC/USDT"), Symbol("ETH/USDT")
BTC_PERPETUAL = Symbol("BTC/USDT:USDT")
WINDOW = 3
LOOSE = RiskLimits(
    position_fraction_max=Decimal(50),
    positions_max=5,
    exposure_fraction_max=Decimal(100),
    leverage_max=Decimal(125),
)
FEES = FeeSchedule(maker=Decimal("0.0002"), taker=Decimal("0.0005"))
FILLS_AT_ONCE = PaperModel()
AS_ASKED = Sizing()
BRACKET = Bracket(stop_fraction=Decimal("0.02"), target_fraction=Decimal("0.04"))


class Wish(NamedTuple):
    """What the strategy says at one close, prices as multiples of that close."""

    intent: Intent = "enter_long"
    size_fraction: Decimal = Decimal("0.1")
    limit: Decimal | None = None
    stop: Decimal | None = None
    target: Decimal | None = None
    bracket: Bracket | None = None
    confidence: Decimal | None = None
    setup: str = "wish"
    reduce_fraction: Decimal = Decimal(1)
    trigger: Decimal | None = None
    time_in_force: TimeInForce = "gtc"
    post_only: bool = False

    def signal(self, close: Decimal) -> Signal:
        """The wish at that close."""
        return Signal(
            intent=self.intent,
            measurements=(),
            size_fraction=self.size_fraction,
            bracket=self.bracket,
            entry_price=None if self.limit is None else close * self.limit,
            stop_loss=None if self.stop is None else close * self.stop,
            take_profit=None if self.target is None else close * self.target,
            confidence=self.confidence,
            setup=self.setup,
            reason="it was told to",
            reduce_fraction=self.reduce_fraction,
            trigger_price=None if self.trigger is None else close * self.trigger,
            time_in_force=self.time_in_force,
            post_only=self.post_only,
        )


class Wishes(NamedTuple):
    """What is wanted at the close of one candle of one symbol: while flat, and while something is held."""

    flat: Wish | None = None
    held: Wish | None = None


Plan = Mapping[tuple[Symbol, datetime], Wishes]


class Telling(NamedTuple):
    """The bound strategy ``scripted``: it looks up what it was told for the newest candle."""

    plan: Plan
    window: int = WINDOW
    size_fraction_max: Decimal = Decimal(0)

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:
        """The wish for this candle, if there is one."""
        last = window.last
        wishes = None if last is None else self.plan.get((window.symbol, last.open_time))
        if last is None or wishes is None:
            return None
        wish = wishes.flat if state.holding is None else wishes.held
        return None if wish is None else wish.signal(last.close)


class Scripted(NamedTuple):
    """The strategy ``scripted``, which has no parameters."""

    plan: Plan
    name: str = "scripted"
    version: int = 1

    def parameters(self, given: Mapping[str, str]) -> tuple[Parameter, ...]:
        """None at all."""
        assert not given
        return ()

    def bind(self, parameters: tuple[Parameter, ...]) -> Telling:
        """What it was told."""
        assert not parameters
        return Telling(self.plan)


def spot(symbol: Symbol = BTC, *, tick: str = "0.01", lot: str = "0.00001", minimum: str = "0") -> Instrument:
    """A spot symbol by its steps."""
    return Instrument(symbol=symbol, tick=Decimal(tick), lot=Decimal(lot), minimum_notional=Decimal(minimum))


def perpetual(
    symbol: Symbol = BTC_PERPETUAL,
    *,
    tick: str = "0.1",
    lot: str = "0.001",
    maintenance: str = "0.005",
    fee: str = "0.005",
    hours: int = 8,
) -> Instrument:
    """A perpetual by its steps and margins, of leverage up to 125; a contract is a lot."""
    return Instrument(
        symbol=symbol,
        tick=Decimal(tick),
        lot=Decimal(lot),
        contract_size=Decimal(lot),
        kind="perpetual",
        leverage_max=Decimal(125),
        maintenance_fraction=Decimal(maintenance),
        liquidation_fee=Decimal(fee),
        funding_interval_hours=hours,
    )


def creation(
    *instruments: Instrument,
    capital: str = "10000",
    timeframe: str = "4h",
    fees: FeeSchedule = FEES,
    limits: RiskLimits = LOOSE,
    paper: PaperModel = FILLS_AT_ONCE,
    leverage: str = "1",
    sizing: Sizing = AS_ASKED,
    strategy: str = "scripted",
    parameters: Mapping[str, str] | None = None,
) -> CreateBot:
    """The command that brings a bot of these instruments into being."""
    return CreateBot(
        bot_id=BOT,
        fleet=FleetName("fleet-1"),
        name="Bot 1",
        strategy=strategy,
        parameters=dict(parameters or {}),
        market=MarketReference(
            venue=VenueName("test"), timeframe=timeframe, begins_at=START, instruments=instruments or (spot(),)
        ),
        capital=Decimal(capital),
        quote="USDT",
        fees=fees,
        limits=limits,
        sizing=sizing,
        paper=paper,
        leverage=Decimal(leverage),
    )


class Step(NamedTuple):
    """What one candle did: the bot before and after it, and the facts in between."""

    before: BotState
    frame: Frame
    facts: list[BotFact]
    after: BotState


class Life:
    """A bot that was created and started; it folds what it decides and is shown every frame with all before it."""

    def __init__(self, command: CreateBot, strategies: Strategies, *, shared: SharedSeries | None = None) -> None:
        self.decider = BotDecider(strategies)
        self.facts: list[BotFact] = []
        self.state: BotState = INITIAL
        self.tell(command)
        self.tell(StartBot())
        self.view = MarketView.of(command.market, capacity=self.decider.window(self.state), shared=shared)

    @classmethod
    def of(cls, command: CreateBot, plan: Plan) -> "Life":
        """The life of a bot whose strategy was told what to want."""
        return cls(command, Strategies(Scripted(plan)))

    def tell(self, command: BotCommand) -> list[BotFact]:
        """Give a command; answers the facts. Raises what the decider refuses with."""
        facts = self.decider.decide(command, self.state)
        self._keep(facts)
        return facts

    def ask(self, command: BotCommand) -> None:
        """Give a command that may be refused."""
        try:
            self.tell(command)
        except CommandRefused:
            return

    def observing(self, frame: Frame) -> ObserveFrame:
        """The command that the frame, which must be in view, amounts to."""
        return ObserveFrame(self.state.epoch, frame, self.view)

    def see(self, frame: Frame) -> Step:
        """Show the next frame."""
        self.view.push(frame)
        before = self.state
        facts = self.decider.decide(self.observing(frame), before)
        self._keep(facts)
        return Step(before, frame, facts, self.state)

    def see_candles(self, candles: Sequence[Candle], symbol: Symbol = BTC) -> list[Step]:
        """Show candles of one symbol, each as a frame of its own."""
        return [self.see(Frame(candle.open_time, ((symbol, candle),))) for candle in candles]

    def _keep(self, facts: Sequence[BotFact]) -> None:
        self.facts.extend(facts)
        for fact in facts:
            self.state = self.decider.evolve(self.state, fact)


def candle(number: int, prices: str, *, step: timedelta = timedelta(hours=4), volume: str = "1000") -> Candle:
    """Candle ``number`` from "open high low close", or from one price for all four."""
    values = [Decimal(price) for price in prices.split()]
    opened, high, low, closed = values if len(values) > 1 else values * 4
    return Candle(START + number * step, opened, high, low, closed, Decimal(volume))


def at(number: int, flat: Wish | None = None, held: Wish | None = None, *, symbol: Symbol = BTC) -> Plan:
    """A wish at one candle."""
    return {(symbol, candle(number, "1").open_time): Wishes(flat, held)}


def entered(plan: Plan | None = None, *, command: CreateBot | None = None, symbol: Symbol = BTC) -> Life:
    """A bot that bought at 100 in candle 1, with a stop at 98 and a target at 104; it was told more in the plan."""
    wanted = {**at(0, Wish(bracket=BRACKET), symbol=symbol), **(plan or {})}
    life = Life.of(command or creation(), wanted)
    life.see_candles([candle(0, "100"), candle(1, "100")], symbol)
    assert life.state.ledger.positions[symbol].quantity > 0
    return life


def frame(number: int, **prices: str) -> Frame:
    """One frame of the symbols that are named by their coins."""
    candles = tuple((Symbol(f"{coin}/USDT"), candle(number, text)) for coin, text in sorted(prices.items()))
    return Frame(candles[0][1].open_time, candles)


def encoded(state: BotState) -> bytes:
    """The state byte for byte."""
    return msgspec.msgpack.encode(state)


def decoded(written: bytes) -> BotState:
    """The state that was written."""
    return msgspec.msgpack.decode(written, type=BotState)


def requests(facts: Sequence[BotFact], reason: str | None = None) -> list[OrderRequested]:
    """The orders that were requested, or those for one reason."""
    found = [fact for fact in facts if isinstance(fact, OrderRequested)]
    return [fact for fact in found if reason in (None, fact.reason)]


def fills(facts: Sequence[BotFact]) -> list[OrderFilled]:
    """All that traded."""
    return [fact for fact in facts if isinstance(fact, OrderFilled)]


def denials(facts: Sequence[BotFact]) -> list[OrderDenied]:
    """All that the gate refused."""
    return [fact for fact in facts if isinstance(fact, OrderDenied)]


def decisions(facts: Sequence[BotFact]) -> list[DecisionMade]:
    """All that was decided."""
    return [fact for fact in facts if isinstance(fact, DecisionMade)]
