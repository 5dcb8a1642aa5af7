"""The live stream begun in a part of the log that has left the database."""

from contextlib import aclosing
from pathlib import Path

import asyncpg
import pytest

from events.errors import BelowFloor
from events.subscription import CaughtUp
from oxbot.app.listener import LiveEvent
from oxbot.app.live_stream import LiveStream
from tests.adapters.archives import archive_and_drop, begun, whole_log
from tests.app.test_live_stream import QUICK, nobodys, told, wanted

pytestmark = pytest.mark.anyio

COUNT = 250


async def test_without_the_archive_it_is_refused_and_with_it_nothing_is_missing(
    pool: asyncpg.Pool, tmp_path: Path
) -> None:
    log = await begun(pool, COUNT)
    await archive_and_drop(pool, tmp_path)

    async with LiveStream(log, nobodys, QUICK) as stream:
        with pytest.raises(BelowFloor):
            async with stream.listen(wanted(), user_id="u", after=0):
                raise AssertionError("it must not begin")
        with pytest.raises(BelowFloor):
            async with stream.listen(wanted(types=["bot.paused"]), user_id="u", after=0):
                raise AssertionError("it must not begin")

    async with (
        LiveStream(whole_log(pool, tmp_path), nobodys, QUICK) as stream,
        stream.listen(wanted(), user_id="u", after=0) as listener,
        aclosing(listener.messages()) as messages,
    ):
        found = await told(messages, CaughtUp)
    head = await log.head()
    assert [one.position for one in found if isinstance(one, LiveEvent)] == list(range(1, head + 1))
