"""Lives of advised bots for tests: a market with a past, and an advisor that answers late, twice, badly or never."""

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import get_args

from hypothesis import strategies as st
from msgspec.structs import replace

from events.advice import (
    AbstainReason,
    AdviceAbstained,
    AdviceReceived,
    AdviceRequested,
    Opinion,
    OpinionAction,
    Usage,
)
from events.bot import BotFact
from events.identifiers import BodyHash, Symbol
from oxbot.core.advice import Answered, RecordAdvice
from oxbot.core.advice_snapshot import WINDOW
from oxbot.core.candles import Candle, timeframe_duration
from oxbot.core.creation import CreateBot
from oxbot.core.market_view import MarketView
from oxbot.core.strategies import built_in
from oxbot.core.strategy import Strategies
from tests.core.lives import START, Life

HASH = BodyHash("ab" * 32)
ACTIONS: tuple[OpinionAction, ...] = get_args(OpinionAction)
LEVELS = ("0.000001", "0.5", "0.97", "0.99", "0.999", "1", "1.001", "1.01", "1.03", "2", "1000000")


def opinion(symbol: Symbol, action: OpinionAction = "long", *, weight: int = 1000, confidence: int = 80) -> Opinion:
    """An opinion without a level."""
    return Opinion(symbol=symbol, action=action, weight=weight, confidence=confidence, horizon=60)


def received(request: AdviceRequested, *opinions: Opinion) -> AdviceReceived:
    """An answer to the request."""
    return AdviceReceived(
        advice_id=request.advice_id,
        at=request.at,
        answer=HASH,
        prompt=HASH,
        resolved_model="scripted",
        opinions=opinions,
        usage=Usage(input=1000, output=100),
        cost=Decimal("0.001"),
        latency_ms=900,
    )


def abstained(request: AdviceRequested, reason: AbstainReason = "timeout") -> AdviceAbstained:
    """That nothing came of the request."""
    return AdviceAbstained(advice_id=request.advice_id, at=request.at, reason=reason)


def asked(facts: Sequence[BotFact]) -> list[AdviceRequested]:
    """The requests for advice among the facts."""
    return [fact for fact in facts if isinstance(fact, AdviceRequested)]


class Advisor:
    """Answers an advised bot as chance has it: now, later, again, or for another request; every answer is legal."""

    def __init__(self, seed: int) -> None:
        self._chances = random.Random(seed)  # noqa: S311 - a test's chance, not a secret

    def speaks(self, facts: Sequence[BotFact], view: MarketView) -> list[Answered]:
        """What it says between two candles."""
        requests = asked(facts)[-4:]
        said = list[Answered]()
        if requests and self._chances.random() < 0.7:
            request = requests[-1] if self._chances.random() < 0.8 else self._chances.choice(requests)
            said.append(self._answer(request, view))
            if self._chances.random() < 0.2:
                said.append(self._answer(request, view))
        return said

    def _answer(self, request: AdviceRequested, view: MarketView) -> Answered:
        if self._chances.random() < 0.15:
            return abstained(request, self._chances.choice(get_args(AbstainReason)))
        about = [symbol for symbol in request.symbols if self._chances.random() < 0.9]
        return received(request, *(self._opinion(symbol, view) for symbol in about))

    def _opinion(self, symbol: Symbol, view: MarketView) -> Opinion:
        level = view.mark(symbol) * Decimal(self._chances.choice(LEVELS))
        return Opinion(
            symbol=symbol,
            action=self._chances.choice((*ACTIONS, "long", "short")),
            weight=self._chances.choice((0, 1, 333, 2500, 9000, 10_000)),
            confidence=self._chances.choice((0, 60, 80, 100)),
            horizon=self._chances.choice((0, 60, 10_080)),
            invalidation=self._chances.choice((None, level)),
        )


@st.composite
def parameters(draw: st.DrawFn, *, shorts: bool) -> dict[str, str]:
    """Parameters of ``model``."""
    return {
        "template": draw(st.sampled_from(["market", "trader"])),
        "every": draw(st.sampled_from(["1", "2", "3"])),
        "valid": draw(st.sampled_from(["2", "1", "5"])),
        "confidence_min": draw(st.sampled_from(["0", "60"])),
        "size_fraction": draw(st.sampled_from(["0.1", "0.5", "0.99"])),
        "stop_atr": draw(st.sampled_from(["2", "0.1", "20"])),
        "target_atr": draw(st.sampled_from(["4", "0.1", "100"])),
        "allow_short": "true" if shorts and draw(st.booleans()) else "false",
        "follow_close": draw(st.sampled_from(["true", "false"])),
    }


def past(instrument_tick: Decimal, usual: int, command: CreateBot) -> list[Candle]:
    """So many candles before the bot's first that a prompt can be made at that."""
    step, chances = timeframe_duration(command.market.timeframe), random.Random(5)  # noqa: S311 - a test's chance
    made, price = list[Candle](), usual
    for number in range(WINDOW):
        closed = max(2, price + chances.randint(-price // 100, price // 100))
        opened_at = START - (WINDOW - number) * step
        first, top, bottom, last = (
            Decimal(ticks) * instrument_tick for ticks in (price, max(price, closed), min(price, closed), closed)
        )
        made.append(Candle(opened_at, first, top, bottom, last, Decimal(1000)))
        price = closed
    return made


def advised(command: CreateBot, given: dict[str, str]) -> CreateBot:
    """The bot with the strategy ``model``."""
    return replace(command, strategy="model", parameters=given)


def advised_life(command: CreateBot, usual: dict[Symbol, int], strategies: Strategies | None = None) -> Life:
    """A life whose market has a past; ``usual`` prices are in ticks."""
    life = Life(command, strategies or built_in())
    for each in command.market.instruments:
        life.view.warm(each.symbol, past(each.tick, usual[each.symbol], command))
    return life


def answer(life: Life, fact: Answered) -> list[BotFact]:
    """Tell the bot what came of a request."""
    return life.tell(RecordAdvice(fact))
