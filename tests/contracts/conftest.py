"""Each implementation of the event log in turn."""

from collections.abc import AsyncIterator

import pytest

from events.codec import Codec
from events.commit import GroupCommitLog
from events.log import EventLog
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from oxbot.adapters.database import open_pool


@pytest.fixture(params=["memory", "postgres", "group_commit", "group_commit_in_memory"])
def kind(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The name of an implementation and the database it needs, if any; not async, since databases are made outside."""
    return request.param, "" if "memory" in request.param else request.getfixturevalue("database")


@pytest.fixture
async def log(kind: tuple[str, str]) -> AsyncIterator[EventLog]:
    """Each implementation in turn, empty."""
    name, database = kind
    if name == "memory":
        yield MemoryEventLog(Codec())
    elif name == "group_commit_in_memory":
        async with GroupCommitLog(MemoryEventLog(Codec()), Codec()) as grouped:
            yield grouped
    else:
        async with await open_pool(database, size=4, application_name="contract") as pool:
            postgres = PostgresEventLog(pool, Codec())
            if name == "postgres":
                yield postgres
                return
            async with GroupCommitLog(postgres, Codec()) as grouped:
                yield grouped
