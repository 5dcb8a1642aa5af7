"""A strategy that fails at a candle, or that its host does not have, stops its own bots and nobody else's."""

from decimal import Decimal

import msgspec
import pytest

from events.bot import BotCreated, BotFact
from events.codec import Codec
from events.identifiers import BotId, bot_stream
from events.memory import MemoryEventLog
from events.values import Parameter, StrategyReference
from oxbot.app.host_runner import HostRunner
from oxbot.core.bot import BotDecider
from oxbot.core.market_view import CandleWindow
from oxbot.core.strategies import built_in_strategies
from oxbot.core.strategy import Signal, Strategies, StrategyState
from tests.app.fakes import ListedFeed, SteppingClock, at_work, eventually, funded, market, stored, write
from tests.core.scenario import moment

pytestmark = pytest.mark.anyio

A, B = BotId("a"), BotId("b")
FRAMES = market(60, seed=7)
BAD_CANDLE = FRAMES[9].open_time


class Nightmare:
    """Fails at one candle."""

    name = "nightmare"
    version = 1
    window = 1
    size_fraction_max = Decimal("0.1")

    def parameters(self, given: object) -> tuple[Parameter, ...]:  # noqa: ARG002 - it takes none
        return ()

    def bind(self, parameters: tuple[Parameter, ...]) -> "Nightmare":  # noqa: ARG002 - it has none
        return self

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:  # noqa: ARG002 - it sleeps
        if window.last is not None and window.last.open_time == BAD_CANDLE:
            raise ValueError("a bad dream")
        return None


def dreaming(bot_id: BotId) -> list[BotFact]:
    """A running bot of that strategy."""
    creation, *rest = funded(bot_id)
    assert isinstance(creation, BotCreated)
    strategy = StrategyReference(name="nightmare", version=1, parameters=())
    return [msgspec.structs.replace(creation, strategy=strategy), *rest]


@pytest.mark.parametrize(
    ("strategies", "end"),
    [
        (Strategies(*built_in_strategies(), Nightmare()), ("crashed", "ValueError: a bad dream")),
        (Strategies(*built_in_strategies(), unusable={"nightmare": "it lacks numpy"}), ("failed", "it lacks numpy")),
    ],
    ids=["fails at a candle", "cannot be loaded"],
)
async def test_its_bot_leaves_with_the_reason_and_another_lives_to_the_end(
    strategies: Strategies, end: tuple[str, str]
) -> None:
    log = MemoryEventLog(Codec())
    await write(log, dreaming(A), bot_stream(A))
    await write(log, funded(B), bot_stream(B))
    host = HostRunner(
        "host",
        log=log,
        decider=BotDecider(strategies),
        feed=ListedFeed(FRAMES),
        candles=await stored(FRAMES),
        clock=SteppingClock(),
    )
    await host.place([A, B])
    async with at_work(host.run()):
        await eventually(lambda: [bot.cursor for bot in host.status(1).bots] == [moment(59)])

    assert [(left.bot_id, left.outcome, left.error) for left in host.status(1).ended] == [(A, *end)]
