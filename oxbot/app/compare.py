"""Compares strategies on recorded candles: each alone on one symbol, through the decider that live bots decide by."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import NamedTuple

import msgspec
import numpy as np

from events.bot import BotFact
from events.identifiers import BotId, FleetName, Symbol
from events.values import FeeSchedule, MarketReference, PaperModel, RiskLimits
from oxbot.core.bot import BotCommand, BotDecider, ClaimBot, ObserveFrame, StartBot
from oxbot.core.candles import Candle, Frame, timeframe_duration
from oxbot.core.creation import CreateBot
from oxbot.core.market_view import MarketView
from oxbot.core.metrics import Metrics, measure
from oxbot.core.money import exact
from oxbot.core.returns import Point
from oxbot.core.state import BotState
from oxbot.core.strategy import Strategies, advice_terms
from oxbot.core.trips import ClosedTrade

HODL, RANDOM = "hodl", "random"
BASELINES = (HODL, RANDOM)
PAPER = PaperModel(half_spread=Decimal("0.0002"), slippage_factor=Decimal("0.1"), slippage_max=Decimal("0.002"))
"""What taking costs beside the fee: half of a spread of 0.04 %, and 0.1 % per percent of the volume, at most 0.2 %."""

LOW, HIGH = 0.05, 0.95
BATCH_SIZE = 10
_EPOCH = 1


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """What every contender trades under."""

    capital: Decimal
    fees: FeeSchedule
    paper: PaperModel = PAPER
    limits: RiskLimits = RiskLimits()


class Contender(msgspec.Struct, frozen=True):
    """A strategy by name, with the parameters that differ from its defaults."""

    strategy: str
    parameters: dict[str, str] = {}


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Contenders that trade the same candles (encoded, so that they pass to another process fast) side by side."""

    market: MarketReference
    candles: bytes
    count: int
    contenders: tuple[Contender, ...]
    conditions: Conditions

    @property
    def symbol(self) -> Symbol:
        """The one symbol that is traded."""
        return self.market.instruments[0].symbol

    @property
    def steps(self) -> int:
        """How many candles are decided on, over all contenders."""
        return self.count * len(self.contenders)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What one contender did on one symbol; an open position counts at the last close."""

    symbol: Symbol
    strategy: str
    parameters: dict[str, str]
    open_positions: int
    metrics: Metrics


class Spread(NamedTuple):
    """The median over runs, and between what nine tenths of them lie (5 % to 95 %, interpolated)."""

    median: float
    low: float
    high: float


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy on a symbol, over its runs; None where no run has the figure.

    ``beats_random`` is the share of the random runs on the symbol that returned less; None for baselines.
    """

    symbol: Symbol
    strategy: str
    runs: int
    trades: Spread
    open_positions: Spread
    total_return: Spread
    max_drawdown: Spread
    sharpe: Spread | None
    exposure: Spread | None
    fees: Spread
    beats_random: float | None


def contenders(strategies: Sequence[str], *, seeds: int) -> list[Contender]:
    """The baselines, random once per seed, and then the named strategies under their defaults, each once."""
    named = [name for name in dict.fromkeys(strategies) if name not in BASELINES]
    random = [Contender(RANDOM, {"seed": str(seed)}) for seed in range(1, seeds + 1)]
    return [Contender(HODL), *random, *map(Contender, named)]


def strategy_names(strategies: Strategies) -> list[str]:
    """The strategies that are no baselines and ask nobody."""
    names = [strategy.name for strategy in strategies.all if strategy.name not in BASELINES]
    return [name for name in names if not asks_models(strategies, name)]


def asks_models(strategies: Strategies, name: str) -> bool:
    """Whether the strategy is advised, so that nothing can be said of it on candles that nobody was asked about."""
    return advice_terms(strategies.bind(strategies.refer(name, {}))) is not None


def batches(
    market: MarketReference,
    candles: Sequence[tuple[Symbol, list[Candle]]],
    chosen: Sequence[Contender],
    conditions: Conditions,
    *,
    decider: BotDecider,
) -> list[Batch]:
    """The work, cut so that processes can share it, the largest parts first.

    Raises what creating a bot raises: ``UnknownStrategy``, ``InvalidParameter``, ``InvalidCommand``.
    """
    instruments = {instrument.symbol: instrument for instrument in market.instruments}
    cut: list[Batch] = []
    for symbol, series in candles:
        own = msgspec.structs.replace(market, instruments=(instruments[symbol],))
        encoded = msgspec.msgpack.encode(series)
        for part in _parts(chosen):
            batch = Batch(market=own, candles=encoded, count=len(series), contenders=part, conditions=conditions)
            for contender in part:
                decider.decide(_creation(batch, contender), decider.initial)
            cut.append(batch)
    return sorted(cut, key=lambda batch: -batch.steps)


def run_batch(batch: Batch, decider: BotDecider) -> list[Run]:
    """Let every contender trade the candles from the first to the last; the runs in the contenders' order."""
    symbol, duration = batch.symbol, timeframe_duration(batch.market.timeframe)
    candles = msgspec.msgpack.decode(batch.candles, type=list[Candle])
    lives = [_Life(batch, contender, decider, begins=candles[0]) for contender in batch.contenders]
    views = {life.window: MarketView.of(batch.market, capacity=life.window) for life in lives}
    for candle in candles:
        frame, closed_at = Frame(candle.open_time, ((symbol, candle),)), candle.open_time + duration
        for view in views.values():
            view.push(frame)
        for life in lives:
            life.see(frame, views[life.window])
            life.value(Point(closed_at, life.equity({symbol: candle.close})))
    return [life.run() for life in lives]


def rows(runs: Iterable[Run]) -> list[Row]:
    """One row per symbol and strategy, in the order in which they come."""
    groups: dict[tuple[Symbol, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.symbol, run.strategy), []).append(run)
    return [
        _row(group, random=groups.get((symbol, RANDOM), []) if strategy not in BASELINES else [])
        for (symbol, strategy), group in groups.items()
    ]


class _Life:
    """A bot from its creation on, with what it earned on the way; nothing of it is recorded anywhere."""

    def __init__(self, batch: Batch, contender: Contender, decider: BotDecider, *, begins: Candle) -> None:
        self._batch = batch
        self._contender = contender
        self._decider = decider
        self._state = decider.initial
        self._trades: list[ClosedTrade] = []
        self._curve = [Point(begins.open_time, batch.conditions.capital)]
        for command in (_creation(batch, contender), StartBot(), ClaimBot("compare")):
            self._follow(command)
        self.window = decider.window(self._state)

    def see(self, frame: Frame, view: MarketView) -> None:
        """Decide on the candle that has closed."""
        self._follow(ObserveFrame(_EPOCH, frame, view))

    def equity(self, marks: Mapping[Symbol, Decimal]) -> Decimal:
        """What the bot has, at these prices."""
        with exact():
            return self._state.ledger.equity(marks)

    def value(self, point: Point) -> None:
        """The next point of its equity curve."""
        self._curve.append(point)

    def run(self) -> Run:
        """What it came to."""
        ledger = self._state.ledger
        return Run(
            symbol=self._batch.symbol,
            strategy=self._contender.strategy,
            parameters=self._contender.parameters,
            open_positions=len(ledger.positions),
            metrics=measure(
                self._trades,
                self._curve,
                fees=ledger.fees,
                funding=ledger.funding,
                open_since=[position.opened_at for position in ledger.positions.values()],
            ),
        )

    def _follow(self, command: BotCommand) -> None:
        for fact in self._decider.decide(command, self._state):
            self._state = self._after(fact)

    def _after(self, fact: BotFact) -> BotState:
        """The state after the fact; it keeps its newest trades only, so the one that ended with it is noted here."""
        after = self._decider.evolve(self._state, fact)
        if after.trades is not self._state.trades:
            self._trades.append(after.trades[-1])
        return after


def _creation(batch: Batch, contender: Contender) -> CreateBot:
    conditions = batch.conditions
    return CreateBot(
        bot_id=BotId("contender"),
        fleet=FleetName("compare"),
        name="contender",
        strategy=contender.strategy,
        parameters=dict(contender.parameters),
        market=batch.market,
        capital=conditions.capital,
        quote=batch.symbol.partition("/")[2],
        fees=conditions.fees,
        limits=conditions.limits,
        paper=conditions.paper,
    )


def _parts(chosen: Sequence[Contender]) -> Iterator[tuple[Contender, ...]]:
    """The contenders in parts of one strategy each, so that what its bots look at is computed once."""
    for name in dict.fromkeys(contender.strategy for contender in chosen):
        same = iter([contender for contender in chosen if contender.strategy == name])
        while part := tuple(islice(same, BATCH_SIZE)):
            yield part


def _row(group: Sequence[Run], *, random: Sequence[Run]) -> Row:
    returns = [run.metrics.equity.total_return for run in group]
    beaten = sum(run.metrics.equity.total_return < returns[0] for run in random)
    return Row(
        symbol=group[0].symbol,
        strategy=group[0].strategy,
        runs=len(group),
        trades=_certain(run.metrics.trades.trade_count for run in group),
        open_positions=_certain(run.open_positions for run in group),
        total_return=_certain(returns),
        max_drawdown=_certain(run.metrics.equity.max_drawdown for run in group),
        sharpe=_spread(run.metrics.equity.sharpe for run in group),
        exposure=_spread(run.metrics.exposure for run in group),
        fees=_certain(float(run.metrics.fees) for run in group),
        beats_random=beaten / len(random) if random else None,
    )


def _spread(values: Iterable[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    return _certain(known) if known else None


def _certain(values: Iterable[float]) -> Spread:
    median, low, high = np.quantile(np.array(list(values), dtype=np.float64), [0.5, LOW, HIGH])
    return Spread(float(median), float(low), float(high))
