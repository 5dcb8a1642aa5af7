"""The projector's process keeps views and pasts, as its own role and with its own rights."""

import pytest

from events.bot import BotPaused
from events.codec import Codec
from events.envelope import NewEvent
from events.identifiers import bot_stream, new_event_id
from events.log import ANY_VERSION
from events.postgres import PostgresEventLog
from oxbot.adapters.database import open_pool
from oxbot.adapters.postgres_pasts import PostgresPasts
from oxbot.app.past import EVERY, BotHistory
from oxbot.config import Secret
from oxbot.wiring.projector import open_projector
from oxbot.wiring.stores import Database
from tests.app.fakes import at_work
from tests.core.scenario import BOT, START, running

pytestmark = pytest.mark.anyio


async def test_a_bot_that_has_come_far_is_kept_along_its_way(database: str) -> None:
    facts = [*running(), *(BotPaused() for _ in range(EVERY))]
    events = [NewEvent(event_id=new_event_id(), occurred_at=START, fact=fact) for fact in facts]
    async with await open_pool(database, size=3, application_name="test") as pool:
        await PostgresEventLog(pool, Codec()).append(bot_stream(BOT), events, expected=ANY_VERSION)
        async with open_projector(Database(dsn=Secret(database))) as projector, at_work(projector.run()):
            while not await pool.fetchval("SELECT count(*) FROM caches.pasts") or projector.position < len(events):
                await pool.fetchval("SELECT pg_sleep(0.01)")
        history = BotHistory(PostgresEventLog(pool, Codec()), PostgresPasts(pool))
        assert await history.keep_up() == 0
        assert (await history.at(BOT, len(events))).state.status == "paused"
