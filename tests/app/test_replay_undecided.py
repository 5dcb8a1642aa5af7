"""A bot that this program cannot decide again is named; every other bot's life is decided all the same."""

import pytest

from events.bot import BotHalted
from oxbot.app.redecide import Redecided
from oxbot.app.replay import Undecided, redecide_or_say
from oxbot.core.bot import BotDecider
from oxbot.core.market_view import CandleWindow
from oxbot.core.strategies import built_in
from oxbot.core.strategy import Signal, Strategies, StrategyState
from tests.app.fakes import lived, market, stored
from tests.core.scenario import BOT, DECIDER

pytestmark = pytest.mark.anyio

FRAMES = market(60, seed=7)
EMA_CROSS = built_in().named("ema_cross")


class Newer:
    """The strategy in its next version."""

    name, parameters, bind = EMA_CROSS.name, EMA_CROSS.parameters, EMA_CROSS.bind
    version = EMA_CROSS.version + 1


class Broken:
    """The strategy, which fails at every candle."""

    name, version, parameters = EMA_CROSS.name, EMA_CROSS.version, EMA_CROSS.parameters
    window, size_fraction_max = 1, 0

    def bind(self, parameters: object) -> "Broken":
        del parameters
        return self

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:
        del window, state
        raise ValueError("a bad dream")


async def again(decider: BotDecider) -> Redecided | Undecided:
    """A life of ``ema_cross`` decided again."""
    return await redecide_or_say(BOT, log=await lived(FRAMES), candles=await stored(FRAMES), decider=decider)


async def test_a_life_is_decided_again_by_the_strategy_that_decided_it() -> None:
    result = await again(DECIDER)
    assert isinstance(result, Redecided)
    assert result.difference is None


@pytest.mark.parametrize(
    ("strategies", "words"),
    [
        (Strategies(), "strategy 'ema_cross' is not known"),
        (Strategies(unusable={"ema_cross": "strategy plug-in 'ema_cross': no licence"}), "no licence"),
        (Strategies(Newer()), "strategy ema_cross has version 2; the bot runs 1"),
    ],
)
async def test_a_bot_whose_strategy_cannot_decide_it_is_named_with_the_reason(
    strategies: Strategies, words: str
) -> None:
    result = await again(BotDecider(strategies))
    assert isinstance(result, Undecided)
    assert result.bot_id == BOT
    assert words in result.reason


async def test_that_the_strategy_fails_now_and_did_not_is_a_difference_that_says_so() -> None:
    broken = Strategies(Broken())  # type: ignore[arg-type]  # its share of equity is never asked for
    result = await again(BotDecider(broken))
    assert isinstance(result, Redecided)
    assert result.difference is not None
    [halted] = [fact for fact in result.difference.decided if isinstance(fact, BotHalted)]
    assert (halted.rule, halted.reason) == ("strategy_failed", "ValueError: a bad dream")
