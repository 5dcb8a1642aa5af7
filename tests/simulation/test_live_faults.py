"""The execution over Postgres, ccxt and the local exchange under fire: log and exchange agree in the end."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal
from pathlib import Path

import pytest

from oxbot.adapters.ccxt_loading import open_exchange
from oxbot.exchange.model import Settings
from tests.exchange.running import SEED, exchange_apart, exchange_inside
from tests.simulation import live_lives, live_script
from tests.simulation.live_strikes import LONGEST, STRIKES
from tests.simulation.live_world import LiveWorld, Parts, live_world

pytestmark = pytest.mark.anyio

AT_ONCE = 16
FUNDING_MS = 3_000
SETTINGS = Settings(seed=SEED, participation=Decimal(1), funding_interval_ms=FUNDING_MS)

Life = Callable[[LiveWorld], Awaitable[Counter[str]]]
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--live-fault-runs"))


class Stage:
    """Where lives are lived: some at once, each with an exchange and an account of its own, in one log."""

    def __init__(self, database: str, home: Path) -> None:
        self._database = database
        self._home = home
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def inside(self, name: str, life: Life, *, seed: int) -> Counter[str]:
        """Live it at an exchange in this process."""
        async with (
            self._turns,
            exchange_inside(self._home / name, settings=SETTINGS) as exchange,
            live_world(Parts(exchange, self._database), name=name, seed=seed) as world,
        ):
            return await life(world)

    async def apart(self, name: str, life: Life, *, seed: int) -> Counter[str]:
        """Live it at an exchange that is a process of its own, and is killed now and then."""
        async with (
            self._turns,
            exchange_apart(self._home / name) as apart,
            live_world(Parts(apart.venue, self._database, apart), name=name, seed=seed) as world,
        ):
            return await life(world)


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Importing ccxt takes a while, in which no exchange of this process could answer."""
    open_exchange("okx")


@pytest.fixture
def stage(database: str, tmp_path: Path) -> Stage:
    return Stage(database, tmp_path)


async def test_each_fault_at_each_step_with_a_crash_after_it_loses_and_doubles_nothing(
    stage: Stage, record_property: Record
) -> None:
    def script(kind: str) -> Life:
        return lambda world: live_script.lived(world, kind)

    kinds = sorted(STRIKES, key=lambda kind: kind != LONGEST)
    counts = await _lived([stage.inside(kind.replace(" ", "-"), script(kind), seed=SEED) for kind in kinds])
    assert counts["lives"] == len(STRIKES)
    assert counts["crashes"] >= len(STRIKES) * len(live_script.SCRIPT)
    for act in live_script.SCRIPT:
        assert counts[f"{act.name} struck"] > 0
    record_property("counts", dict(counts))


async def test_any_live_life_agrees_with_its_exchange_in_the_end(
    stage: Stage, runs: int, record_property: Record
) -> None:
    lives = [stage.inside(f"life-{seed}", live_lives.lived, seed=seed) for seed in range(runs)]
    killed = max(1, runs // 4)
    lives += [stage.apart(f"killed-{seed}", live_lives.lived, seed=seed) for seed in range(killed)]
    counts = await _lived(lives)
    assert counts["lives"] == len(lives)
    assert counts["exchange killed"] > 0
    record_property("counts", dict(counts))


async def _lived(lives: Iterable[Awaitable[Counter[str]]]) -> Counter[str]:
    """Live them all; what was found in one does not end the others."""
    ended = await asyncio.gather(*lives, return_exceptions=True)
    failures = [failure for failure in ended if isinstance(failure, BaseException)]
    if failures:
        raise ExceptionGroup("lives", [each for each in failures if isinstance(each, Exception)])
    return sum((counts for counts in ended if isinstance(counts, Counter)), Counter())
