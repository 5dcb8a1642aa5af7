"""``oxbot trace`` on a real database: what one request led to, in order, and nothing else."""

import asyncio
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import asyncpg
import msgspec
import pytest
import structlog
from typer.testing import CliRunner, Result

from events.bot import BotPaused, OrderAccepted, OrderSubmitted
from events.codec import Codec
from events.envelope import Fact, Metadata, NewEvent
from events.identifiers import BotId, EventId, OrderId, bot_stream, new_event_id
from events.log import ANY_VERSION
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from oxbot.app import trace as traces
from oxbot.cli.inputs import InvalidInput
from oxbot.cli.main import application
from tests.core.scenario import START

REQUEST = UUID(int=7)
STREAM = bot_stream(BotId("one"))
ORDER = OrderId("one-1")


def event(fact: Fact, request: UUID | None = REQUEST, *, cause: EventId | None = None) -> NewEvent:
    """A fact of a request, which follows from an event if one is said."""
    metadata = Metadata(actor="somebody", correlation_id=request, causation_id=cause)
    return NewEvent(event_id=new_event_id(), occurred_at=START, fact=fact, metadata=metadata)


def story() -> list[NewEvent]:
    """What a request led to, between what it did not."""
    told = event(BotPaused())
    sent = OrderSubmitted(order_id=ORDER, at=START, client_id="c1", expires_at=START, quantity=Decimal(1))
    accepted = OrderAccepted(order_id=ORDER, at=START, venue_order_id="v1")
    return [
        event(BotPaused(), None),
        told,
        event(BotPaused(), UUID(int=8)),
        event(sent, cause=told.event_id),
        event(accepted, cause=new_event_id()),
    ]


def run(database: str, home: Path, *arguments: str) -> Result:
    """The command as somebody gives it. Raises what it refuses with."""
    environment = {"OXBOT_DATABASE_URL": database, "OXBOT_HOME": str(home)}
    result: Result = CliRunner().invoke(application(["trace", "alerts"]), ["trace", *arguments], env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands run in the tests' process, whose logs must not go where a command's standard error was."""
    monkeypatch.setattr(structlog, "configure", lambda **_: None)


def test_the_facts_of_a_request_are_listed_with_what_they_follow_from_and_name(database: str, tmp_path: Path) -> None:
    events = story()

    async def append() -> None:
        pool = await asyncpg.create_pool(database, min_size=1, max_size=1)
        await PostgresEventLog(pool, Codec()).append(STREAM, events, expected=ANY_VERSION)
        await pool.close()

    asyncio.run(append())
    result = run(database, tmp_path, REQUEST.hex)
    header, *lines = (line.split("\t") for line in result.stdout.splitlines())

    assert result.exit_code == 0
    assert header == ["position", "recorded", "by", "stream", "fact", "follows", "names"]
    assert [(line[0], *line[2:]) for line in lines] == [
        ("2", "somebody", STREAM, "bot.paused", "", ""),
        ("4", "somebody", STREAM, "order.submitted", "2", "one-1 c1"),
        ("5", "somebody", STREAM, "order.accepted", str(events[4].metadata.causation_id), "one-1 v1"),
    ]
    later = run(database, tmp_path, str(REQUEST), "--after", "4", "--json")
    (item,) = msgspec.json.decode(later.stdout)["items"]
    assert (item["position"], item["fact"]["type"], item["fact"]["venue_order_id"]) == (5, "order.accepted", "v1")
    nothing = run(database, tmp_path, UUID(int=9).hex)
    assert (nothing.exit_code, len(nothing.stdout.splitlines())) == (1, 1)


def test_what_is_no_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'7' is no id of a request"):
        run("", tmp_path, "7")


@pytest.mark.anyio
async def test_a_long_log_is_looked_through_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "PAGE", 2)
    log = MemoryEventLog(Codec())
    await log.append(STREAM, story(), expected=ANY_VERSION)

    assert [found.position async for found in traces.trace(log, REQUEST)] == [2, 4, 5]
    assert [found.position async for found in traces.trace(log, REQUEST, after=2)] == [4, 5]
    assert [found.position async for found in traces.trace(log, REQUEST, after=9)] == []
