"""A gateway that takes over begins its fold where the last one kept it, and knows the same."""

from events.identifiers import MODELS_STREAM
from oxbot.adapters.memory_snapshots import MemorySnapshots
from oxbot.app.handle import fold_stream
from oxbot.app.models.record import Record
from oxbot.app.models.transport import CallFailed
from oxbot.app.snapshots import Snapshots
from oxbot.core.models_stream import ModelsDecider, ModelsState
from tests.app.models.test_gateway import lived
from tests.app.models.world import Known, World, by_text, model
from tests.app.test_snapshots import CountingLog


@lived
async def test_a_claim_reads_no_more_than_came_after_the_state_that_was_kept_and_knows_all() -> None:
    paused = CallFailed("rate_limited", status=429, retry_after=30.0)
    world = World(by_text({"number 7": paused}), models=[model(calls_per_minute=600)])
    for number in range(40):
        await world.want(f"bot-{number}", f"number {number}", seconds=300)
    await world.lives()
    log, store = CountingLog(world.log), MemorySnapshots()

    async def claimed(number: int) -> Record:
        async with Snapshots(store, ModelsState, every=10) as cache:
            record = Record(
                log, clock=world.clock, payers=Known(), budgets=world.table.budgets, holder=str(number), cache=cache
            )
            await record.claim()
        return record

    first = await claimed(1)
    read, log.events_read = log.events_read, 0
    second = await claimed(2)
    assert read > 80
    assert log.events_read < 20
    whole = await fold_stream(world.log, ModelsDecider(), MODELS_STREAM)
    assert second.state == whole.state
    assert (second.epoch, len(second.state.ended)) == (first.epoch + 1, len(first.state.ended))
    assert second.state.paused
