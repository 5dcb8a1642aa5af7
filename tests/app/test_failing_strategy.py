"""A strategy that raises halts its own bot, one that a host does not have ends it there; nobody else's notice."""

from datetime import datetime
from decimal import Decimal

import msgspec
import pytest

from events.bot import BotCreated, BotFact, BotHalted
from events.codec import Codec
from events.identifiers import BotId, bot_stream
from events.memory import MemoryEventLog
from events.values import Parameter, StrategyReference
from oxbot.app.candle_store import CandleStore
from oxbot.app.host_runner import HostRunner
from oxbot.app.redecide import Difference, redecide
from oxbot.core.bot import BotDecider
from oxbot.core.market_view import CandleWindow
from oxbot.core.strategies import built_in_strategies
from oxbot.core.strategy import Signal, Strategies, StrategyState
from oxbot.views.rows import BotRow
from tests.app.fakes import ListedFeed, SteppingClock, at_work, eventually, facts_in, funded, market, stored, write
from tests.core.scenario import moment
from tests.views.projected import fields, rows_after

pytestmark = pytest.mark.anyio

A, B = BotId("a"), BotId("b")
FRAMES = market(60, seed=7)
BAD_CANDLE = FRAMES[9].open_time


class Nightmare:
    """Fails at one candle, if at any."""

    name = "nightmare"
    version = 1
    window = 1
    size_fraction_max = Decimal("0.1")

    def __init__(self, *, bad: datetime | None = BAD_CANDLE, words: str = "a bad dream") -> None:
        self._bad = bad
        self._words = words

    def parameters(self, given: object) -> tuple[Parameter, ...]:  # noqa: ARG002 - it takes none
        return ()

    def bind(self, parameters: tuple[Parameter, ...]) -> "Nightmare":  # noqa: ARG002 - it has none
        return self

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:  # noqa: ARG002 - it sleeps
        if window.last is not None and window.last.open_time == self._bad:
            raise ValueError(self._words)
        return None


KNOWN = Strategies(*built_in_strategies(), Nightmare())


def dreaming(bot_id: BotId) -> list[BotFact]:
    """A running bot of that strategy."""
    creation, *rest = funded(bot_id)
    assert isinstance(creation, BotCreated)
    strategy = StrategyReference(name="nightmare", version=1, parameters=())
    return [msgspec.structs.replace(creation, strategy=strategy), *rest]


def host(log: MemoryEventLog, strategies: Strategies, candles: CandleStore) -> HostRunner:
    return HostRunner(
        "host",
        log=log,
        decider=BotDecider(strategies),
        feed=ListedFeed(FRAMES),
        candles=candles,
        clock=SteppingClock(),
    )


async def two_bots() -> MemoryEventLog:
    """A log of a bot of that strategy and of one of another."""
    log = MemoryEventLog(Codec())
    await write(log, dreaming(A), bot_stream(A))
    await write(log, funded(B), bot_stream(B))
    return log


async def lived_to_the_end() -> MemoryEventLog:
    """The log once both bots have lived through all frames, though the strategy of one fails at a candle."""
    log = await two_bots()
    running = host(log, KNOWN, await stored(FRAMES))
    await running.place([A, B])
    async with at_work(running.run()):
        await eventually(lambda: [bot.cursor for bot in running.status(1).bots] == [moment(59), moment(59)])
    assert running.status(1).ended == ()
    return log


async def test_a_bot_whose_strategy_raises_is_halted_with_the_reason_and_lives_on_beside_the_others() -> None:
    facts = await facts_in(await lived_to_the_end(), bot_stream(A))
    assert facts[-1] == BotHalted(rule="strategy_failed", reason="ValueError: a bad dream", at=BAD_CANDLE)
    line = fields(rows_after(facts), BotRow, "", "status", "halted")
    assert line == ("halted", "strategy_failed: ValueError: a bad dream")


async def again(strategies: Strategies) -> Difference | None:
    """What deciding that life again with these strategies finds."""
    log = await lived_to_the_end()
    result = await redecide(A, log=log, candles=await stored(FRAMES), decider=BotDecider(strategies))
    return result.difference


async def test_decided_again_the_strategy_fails_at_the_same_candle() -> None:
    assert await again(KNOWN) is None


async def test_where_the_strategy_no_longer_raises_or_raises_something_else_the_difference_is_named() -> None:
    mended = await again(Strategies(*built_in_strategies(), Nightmare(bad=None)))
    assert mended is not None
    assert (mended.at, mended.decided) == (BAD_CANDLE, ())
    other = await again(Strategies(*built_in_strategies(), Nightmare(words="another dream")))
    assert other is not None
    assert [fact.reason for fact in other.decided if isinstance(fact, BotHalted)] == ["ValueError: another dream"]


async def test_a_bot_whose_strategy_cannot_be_loaded_leaves_with_the_reason_and_another_lives_to_the_end() -> None:
    log = await two_bots()
    unusable = Strategies(*built_in_strategies(), unusable={"nightmare": "it lacks numpy"})
    running = host(log, unusable, await stored(FRAMES))
    await running.place([A, B])
    async with at_work(running.run()):
        await eventually(lambda: [bot.cursor for bot in running.status(1).bots] == [moment(59)])
    assert [(left.bot_id, left.outcome, left.error) for left in running.status(1).ended] == [
        (A, "failed", "it lacks numpy")
    ]
