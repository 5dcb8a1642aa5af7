"""A log and a candle store behind a gateway actor keep every promise that they keep in one process."""

from collections.abc import AsyncIterator
from inspect import signature
from types import ModuleType

import asyncpg
import pytest

from actors import options
from actors.calls import answer, spawn
from actors.gateway import RayGateway
from actors.remote_log import RemoteCandles, RemoteLog
from events.codec import Codec
from events.commit import GroupCommitLog
from events.log import EventLog
from oxbot.adapters.postgres_candles import PostgresCandleStore
from oxbot.app.candle_store import CandleStore
from oxbot.config import Secret
from oxbot.wiring.stores import Database
from tests.actors.switched_gateway import SwitchedGateway
from tests.contracts import test_candle_store, test_event_log, test_event_log_read, test_event_log_subscribe

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("local_ray")]

NAME = "switched"


def asks(module: ModuleType, fixture: str) -> dict[str, object]:
    """Every test of the module that is about this fixture."""
    tests = {name: value for name, value in vars(module).items() if name.startswith("test_")}
    return {name: test for name, test in tests.items() if fixture in signature(test).parameters}


for suite in (test_event_log, test_event_log_read, test_event_log_subscribe):
    globals().update(asks(suite, "log"))
globals().update(asks(test_candle_store, "store"))


class ReadThroughGateway(PostgresCandleStore):
    """Stored directly, as the market does, and read as a host does."""

    def __init__(self, pool: asyncpg.Pool, remote: RemoteCandles) -> None:
        super().__init__(pool)
        self.read = remote.read  # type: ignore[method-assign]  # the store is put together from two
        self.window = remote.window  # type: ignore[method-assign]  # as above
        self.extent = remote.extent  # type: ignore[method-assign]  # as above


@pytest.fixture
async def gateway(database: str) -> AsyncIterator[RayGateway]:
    """The way to the gateway, which serves the test's database; one process does for all tests of the module."""
    actor = spawn(SwitchedGateway, options.gateway(NAME, None))
    await answer(actor.switch_to.remote(Database(dsn=Secret(database))), of=NAME)
    yield RayGateway([NAME])
    await answer(actor.close.remote(), of=NAME)


@pytest.fixture
async def log(gateway: RayGateway) -> AsyncIterator[EventLog]:
    """Instead of the contract's own implementations."""
    async with GroupCommitLog(RemoteLog(gateway), Codec()) as grouped:
        yield grouped


@pytest.fixture
def store(gateway: RayGateway, pool: asyncpg.Pool) -> CandleStore:
    """Instead of the contract's own implementations."""
    return ReadThroughGateway(pool, RemoteCandles(gateway))
