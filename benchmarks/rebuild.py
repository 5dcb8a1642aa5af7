"""Events per second of a projection built anew in Postgres, beside the same fold with nothing stored."""

import time
from collections.abc import AsyncIterator
from itertools import islice

from benchmarks import Result, Round, result, temporary_database, throughput
from benchmarks._lives import EVENTS_PER_TRIP, event_of, life
from events.codec import Codec
from events.identifiers import BotId, bot_stream
from events.log import ANY_VERSION, AppendCommand
from events.postgres import PostgresEventLog
from oxbot.adapters.database import open_pool
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.app.clock import SystemClock
from oxbot.app.follower import read_page
from oxbot.app.rebuild import REBUILD_BATCH, Rebuild
from oxbot.app.views import Target
from oxbot.views.bot_views import BOTS
from oxbot.wiring.projector import collect_garbage_seldom

FLEET = 50
EVENTS_EACH = 2000
ROUNDS = 5


async def run() -> AsyncIterator[Result]:
    """A fleet's log of a hundred thousand events, seven to a round trip, rebuilt beside the views that serve."""
    collect_garbage_seldom()
    async with temporary_database() as dsn, await open_pool(dsn, size=3, application_name="rebuild") as pool:
        log, views = PostgresEventLog(pool, Codec()), PostgresViews(pool)
        await _fill(log)
        await pool.execute("VACUUM ANALYZE log.events")
        ours: list[Round] = []
        theirs: list[Round] = []
        for number in range(ROUNDS + 1):
            for measure, rounds in ((_rebuild, ours), (_bare_fold, theirs)):
                measured = await measure(log, views)
                if number > 0:
                    rounds.append(measured)
        yield result(
            "rebuild",
            f"{FLEET * EVENTS_EACH} events of {FLEET} bots into {len(BOTS.views)} views, until they serve",
            ours=throughput(ours),
            reference=throughput(theirs),
            reference_name="the same log read, decoded and folded, nothing stored",
            unit="events/s",
        )


async def _rebuild(log: PostgresEventLog, views: PostgresViews) -> Round:
    began = time.perf_counter()
    await Rebuild(BOTS, log=log, store=views, clock=SystemClock()).run(waits_for_skips=False)
    seconds = time.perf_counter() - began
    served = await views.checkpoint(Target(BOTS.name))
    assert served is not None
    return Round(served.position / seconds, [])


async def _bare_fold(log: PostgresEventLog, _: PostgresViews) -> Round:
    began = time.perf_counter()
    fold, position = BOTS.fold(), 0
    while not (page := await read_page(log, after=position, limit=REBUILD_BATCH)).empty:
        fold.apply(page.events)
        position = page.events[-1].position
    return Round(position / (time.perf_counter() - began), [])


async def _fill(log: PostgresEventLog) -> None:
    """The bots' lives, a few events of each in turn, as a fleet appends them."""
    lives = {BotId(f"bot-{number}"): life(BotId(f"bot-{number}")) for number in range(FLEET)}
    for _ in range(EVENTS_EACH // EVENTS_PER_TRIP):
        commands = []
        for bot_id, facts in lives.items():
            events = [event_of(fact) for fact in islice(facts, EVENTS_PER_TRIP)]
            commands.append(AppendCommand(bot_stream(bot_id), ANY_VERSION, events))
        await log.append_batch(commands)
