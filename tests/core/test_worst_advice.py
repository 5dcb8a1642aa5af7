"""A model that knows the future and always gives the worst legal answer stays within what the bot's limits allow."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import pytest

from events.advice import Opinion, OpinionAction
from events.bot import DecisionMade, TradingStateTripped
from events.identifiers import Symbol
from events.values import PaperModel, RiskLimits
from oxbot.core.advice_bounds import CONFIDENCE_MAX, WEIGHT_MAX
from oxbot.core.bot import DepositCapital, SetTradingState
from oxbot.core.candles import Candle, Frame
from oxbot.core.entry import exposures
from oxbot.core.money import ZERO, exact
from tests.core.advised_lives import advised, advised_life, answer, asked, received
from tests.core.lives import FEES, START, Life, Step, creation, perpetual, requests
from tests.core.test_lives import check_books, check_margins, check_orders

STEP = timedelta(minutes=5)
FIRST, SECOND = Symbol("BTC/USDT:USDT"), Symbol("ETH/USDT:USDT")
USUAL = 100_000
"""The usual price in ticks of 0.1."""
FORESIGHT = 12
GAP, BODY, WICK = 30, 60, 30
"""The largest moves of a candle, in ten-thousandths of the price."""

PAPER = PaperModel(half_spread=Decimal("0.0002"), slippage_max=Decimal("0.0005"), slippage_factor=Decimal("0.1"))
COST = FEES.taker + PAPER.half_spread + PAPER.slippage_max
SIZE = Decimal("0.2")
LIMITS = RiskLimits(
    position_fraction_max=Decimal("0.25"),
    positions_max=2,
    exposure_fraction_max=Decimal("0.35"),
    leverage_max=Decimal(3),
    drawdown_max=Decimal("0.1"),
    daily_loss_max=Decimal("0.02"),
    trades_per_day_max=40,
    cooldown_candles=1,
)
ASKS_OFTEN = {
    "every": "4",
    "valid": "4",
    "confidence_min": "0",
    "size_fraction": str(SIZE),
    "stop_atr": "3",
    "target_atr": "6",
    "allow_short": "true",
}


@pytest.fixture
def steps(request: pytest.FixtureRequest) -> int:
    """How many candles it is tried for."""
    return int(request.config.getoption("--advice-steps"))


def walk(count: int, seed: int) -> list[Candle]:
    """A market that goes nowhere in particular, and comes back when it went far."""
    chances, price, made = random.Random(seed), USUAL, list[Candle]()  # noqa: S311 - a test's chance, not a secret
    for number in range(count):
        opened = price + price * chances.randint(-GAP, GAP) // 10_000 * (chances.random() < 0.05)
        pull = (USUAL - opened) // 2000
        closed = opened + opened * chances.randint(-BODY, BODY) // 10_000 + pull
        high = max(opened, closed) + opened * chances.randint(0, WICK) // 10_000
        low = min(opened, closed) - opened * chances.randint(0, WICK) // 10_000
        first, top, bottom, last = (Decimal(ticks) / 10 for ticks in (opened, high, low, closed))
        made.append(Candle(START + number * STEP, first, top, bottom, last, Decimal(1000)))
        price = closed
    return made


class Enemy:
    """A model that sees what comes and wants the worst of it, as loudly as it may."""

    def __init__(self, walks: dict[Symbol, list[Candle]]) -> None:
        self._walks = walks

    def opinion(self, life: Life, symbol: Symbol, number: int) -> Opinion:
        """The worst there is to say after candle ``number``."""
        mark, coming = self._walks[symbol][number].close, self._walks[symbol][number + 1 : number + 1 + FORESIGHT]
        falls = coming[-1].close < mark
        held = life.state.ledger.positions.get(symbol)
        action: OpinionAction = "long" if falls else "short"
        if held is not None:
            gains = (held.side == "short") == falls
            action = "close" if gains else "hold"
        lowest, highest = min(each.low for each in coming), max(each.high for each in coming)
        level = lowest + Decimal("0.1") if action == "long" else highest - Decimal("0.1")
        return Opinion(
            symbol=symbol,
            action=action,
            weight=WEIGHT_MAX,
            confidence=CONFIDENCE_MAX,
            horizon=10_080,
            invalidation=level if level > 0 else None,
        )


class Watch:
    """Checks the envelope of every candle, and counts what happened."""

    def __init__(self) -> None:
        self.counts = Counter[str]()
        self._entries = Counter[date]()
        self._stop_max = ZERO

    def check(self, life: Life, step: Step) -> None:
        """Raise for what the limits do not allow."""
        check_books(step.after, life)
        check_orders(step)
        check_margins(step)
        for fact in step.facts:
            if isinstance(fact, DecisionMade) and fact.intent.startswith("enter"):
                self.counts["decisions to enter"] += 1
            self.counts["trips"] += isinstance(fact, TradingStateTripped)
        for request in requests(step.facts, "entry"):
            self._check_entry(life, step, request.notional or ZERO, request.leverage or ZERO)
            assert request.bracket is not None
            self._stop_max = max(self._stop_max, request.bracket.stop_fraction)
            self._entries[request.at.date()] += 1
        assert self._entries[step.frame.open_time.date()] <= (LIMITS.trades_per_day_max or 0)
        self._check_losses(life, step)

    def _check_entry(self, life: Life, step: Step, notional: Decimal, leverage: Decimal) -> None:
        [equity] = {fact.equity for fact in step.facts if isinstance(fact, DecisionMade)}
        state = step.after
        self.counts["entries"] += 1
        assert notional <= SIZE * equity
        assert leverage <= LIMITS.leverage_max
        assert sum(map(abs, exposures(state, life.view).values()), ZERO) <= LIMITS.exposure_fraction_max * equity
        assert equity >= state.day_equity * (1 - (LIMITS.daily_loss_max or ZERO))
        assert state.high_water is not None
        assert equity >= state.high_water * (1 - (LIMITS.drawdown_max or ZERO))

    def _check_losses(self, life: Life, step: Step) -> None:
        """What is lost beyond a limit is what was at stake when it was reached, down to the stops and a gap."""
        state = step.after
        at_stake = LIMITS.exposure_fraction_max * (self._stop_max + Decimal(GAP + BODY) / 10_000 + 2 * COST)
        equity = state.ledger.equity({symbol: life.view.mark(symbol) for symbol in state.ledger.positions})
        assert equity > 0
        if state.day == step.frame.open_time.date():
            assert equity >= state.day_equity * (1 - (LIMITS.daily_loss_max or ZERO) - at_stake)
        if state.high_water is not None:
            assert equity >= state.high_water * (1 - (LIMITS.drawdown_max or ZERO) - at_stake)


def test_the_worst_legal_answers_stay_inside_the_limits(
    steps: int, record_property: Callable[[str, object], None]
) -> None:
    """Over and over: whenever the bot has tripped somebody lets it trade again, and pays in what was lost."""
    walks = {symbol: walk(steps + FORESIGHT, seed) for seed, symbol in enumerate((FIRST, SECOND))}
    command = creation(perpetual(FIRST), perpetual(SECOND), timeframe="5m", limits=LIMITS, paper=PAPER, leverage="3")
    life = advised_life(advised(command, ASKS_OFTEN), dict.fromkeys(walks, USUAL))
    enemy, watch = Enemy(walks), Watch()
    for number in range(steps):
        frame = Frame(START + number * STEP, tuple((symbol, made[number]) for symbol, made in walks.items()))
        step = life.see(frame)
        with exact():
            watch.check(life, step)
        for request in asked(step.facts):
            answer(life, received(request, *(enemy.opinion(life, symbol, number) for symbol in request.symbols)))
        mend(life)
        life.facts.clear()
    record_property("counts", dict(watch.counts))
    assert watch.counts["entries"] > steps / 200
    assert watch.counts["trips"] > 0
    assert len([trade for trade in life.state.trades if trade.net < 0]) > 0.6 * len(life.state.trades)


def mend(life: Life) -> None:
    """Accept the loss and pay it in, once the bot has tripped and holds nothing."""
    if life.state.own_trading != "active" and not life.state.ledger.positions:
        life.tell(DepositCapital(Decimal(10_000) - life.state.ledger.cash))
        life.tell(SetTradingState("active"))
