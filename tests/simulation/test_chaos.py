"""The log under fire: whatever is killed, nothing is missed, doubled, out of order, or answered and then gone."""

from collections.abc import Callable
from random import Random

import pytest
import stamina

from actors import options
from actors.calls import ActorUnavailable, answer, spawn
from actors.gateway import GatewayActor, RayGateway
from actors.remote_log import RemoteLog
from oxbot.config import Secret
from oxbot.wiring.stores import Database
from tests.simulation.faults import Adversary, Server
from tests.simulation.fire import Fire, make_log
from tests.simulation.history import History
from tests.simulation.ways import DEADLINE_SECONDS, Ways

pytestmark = pytest.mark.anyio

GATEWAY = "chaos-gateway"
SETTLING_SECONDS = 8.0
"""About what a run takes besides: to start the gateway, to come to rest, and to be judged."""

WRITERS = ("direct",) * 9 + ("grouped",) * 7 + ("gateway-1",) * 4 + ("gateway-2",) * 4


class GatewayProcess:
    """A gateway actor, found again in each of its processes."""

    def __init__(self, dsn: str) -> None:
        database = Database(dsn=Secret(dsn), embedded=True)
        self._handle = spawn(GatewayActor, options.gateway(GATEWAY, None), GATEWAY, database, "error")

    @stamina.retry(on=ActorUnavailable, attempts=None, timeout=60.0, wait_max=1.0)
    async def process_id(self) -> int:
        """See ``faults.Gateway``."""
        process_id: int = await answer(self._handle.wake.remote(), of=GATEWAY)
        return process_id


@pytest.mark.usefixtures("local_ray", "without_warnings")
async def test_the_log_keeps_every_promise_under_fire(
    server: Server, chaos_seconds: float, chaos_seed: int, record_property: Callable[[str, object], None]
) -> None:
    """A5, A6, A10, A11, A20, R1, R14: by every way of appending at once, while whatever can be killed is killed."""
    await make_log(server.dsn)
    gateway = GatewayProcess(server.dsn)
    await gateway.process_id()

    async def strike(history: History) -> None:
        adversary = Adversary(server, gateway, counts=history.counts, random=Random(chaos_seed))  # noqa: S311
        await adversary.strike(chaos_seconds - SETTLING_SECONDS)

    async with Ways(server.dsn) as ways:
        await ways.add_direct("direct", connections=4)
        await ways.add_grouped("grouped")
        for name in ("gateway-1", "gateway-2"):
            await ways.add_over(name, RemoteLog(RayGateway([GATEWAY]), deadline_seconds=DEADLINE_SECONDS))
        outcome = await Fire(server.dsn, ways, writers=WRITERS, seed=chaos_seed).burn(strike)
    record_property("counts", f"seed {chaos_seed}, {chaos_seconds:g} s: {outcome.line()}")
    assert outcome.violations[:20] == [], f"seed {chaos_seed}"
    for fault in ("backend kills", "server kills", "gateway kills", "lock holders stopped"):
        assert outcome.counts[fault] > 0, f"seed {chaos_seed}: no {fault}, so nothing was shown"
