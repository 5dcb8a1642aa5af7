"""One id is followed from a request through facts to what other processes do and log because of it."""

from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from structlog.testing import capture_logs

from events.bot import BotPaused, ExitOrdered, OrderRejected, OrderRequested
from events.codec import Codec
from events.envelope import Metadata, NewEvent
from events.identifiers import AccountName, BotId, OrderId, bot_stream, new_event_id
from events.log import ANY_VERSION
from events.memory import MemoryEventLog
from oxbot.app.correlation import correlated
from oxbot.app.execution_books import BotBooks
from oxbot.app.handle import fold_stream, handle
from oxbot.core.bot import BotDecider, PauseBot, StartBot
from oxbot.core.reports import ForceExit
from oxbot.core.strategies import built_in
from tests.api.stage import Stage, json, running
from tests.app.fakes import SteppingClock
from tests.core.scenario import BOT, BTC, START, bought, created
from tests.core.scenario import running as running_bot

pytestmark = pytest.mark.anyio

STREAM = bot_stream(BOT)
REQUEST = UUID(int=7)
DECIDER = BotDecider(built_in())


async def given(account: AccountName | None = None) -> MemoryEventLog:
    """The log of a bot that runs, live if it has an account."""
    log = MemoryEventLog(Codec())
    facts = [msgspec.structs.replace(created(), account=account), *running_bot()[1:]]
    events = [NewEvent(event_id=new_event_id(), occurred_at=START, fact=fact) for fact in facts]
    await log.append(STREAM, events, expected=0)
    return log


async def test_the_facts_of_a_request_to_the_api_carry_its_id() -> None:
    async with running(Stage()) as stage, stage.client("admin") as client:
        made = await client.post("/api/v1/bots", json={"name": "one", "symbols": [BTC]})
        bot_id = BotId(str(json(made)["bot_id"]))
    [first, *rest] = await stage.log.read_stream(bot_stream(bot_id))

    assert made.headers["x-request-id"] == UUID(str(first.metadata.correlation_id)).hex
    assert {event.metadata.correlation_id for event in rest} <= {first.metadata.correlation_id}
    assert first.metadata.causation_id is None


async def test_what_is_appended_within_a_request_is_of_it_and_afterwards_no_more() -> None:
    log = await given()
    with correlated(REQUEST):
        await handle(log, DECIDER, STREAM, PauseBot(""), at=START, metadata=Metadata(actor="cli"))
    paused = (await log.read_stream(STREAM))[-1]

    assert paused.metadata == Metadata(actor="cli", correlation_id=REQUEST)


async def test_another_process_puts_what_it_does_next_down_to_the_request_and_logs_so() -> None:
    log = await given()
    known = await fold_stream(log, DECIDER, STREAM)
    told = NewEvent(
        event_id=new_event_id(),
        occurred_at=START,
        fact=BotPaused(),
        metadata=Metadata(actor="user-1", correlation_id=REQUEST),
    )
    await log.append(STREAM, [told], expected=ANY_VERSION)
    known = await fold_stream(log, DECIDER, STREAM, known)
    with capture_logs() as lines:
        after = await handle(log, DECIDER, STREAM, StartBot(), at=START, known=known, metadata=Metadata(actor="host"))
        await handle(log, DECIDER, STREAM, PauseBot(), at=START, known=after, metadata=Metadata(actor="host"))
    [followed, later] = (await log.read_stream(STREAM))[-2:]

    assert followed.metadata == Metadata(actor="host", correlation_id=REQUEST, causation_id=told.event_id)
    assert later.metadata == Metadata(actor="host")
    assert lines == [
        {
            "event": "acted_on_request",
            "log_level": "info",
            "stream": STREAM,
            "correlation_id": REQUEST.hex,
            "type": "bot.started",
        }
    ]


async def test_what_a_process_reads_for_the_first_time_or_what_only_followed_is_no_cause() -> None:
    log = await given()
    metadata = Metadata(actor="host", correlation_id=REQUEST, causation_id=new_event_id())
    known = await fold_stream(log, DECIDER, STREAM)
    followed = NewEvent(event_id=new_event_id(), occurred_at=START, fact=BotPaused(), metadata=metadata)
    await log.append(STREAM, [followed], expected=ANY_VERSION)

    assert (await fold_stream(log, DECIDER, STREAM, known)).cause is None
    assert (await fold_stream(log, DECIDER, STREAM)).cause is None


async def test_the_orders_of_a_live_bot_are_put_down_to_the_request_that_they_go_back_to() -> None:
    log = await given(AccountName("main"))
    books = BotBooks(AccountName("main"), log=log, decider=DECIDER, clock=SteppingClock(), holder="execution")
    await books.refresh(BOT)
    metadata = Metadata(actor="host", correlation_id=REQUEST, causation_id=new_event_id())
    requested = OrderRequested(
        order_id=OrderId("b-1"), at=START, symbol=BTC, side="buy", kind="market", reason="entry", notional=Decimal(10)
    )
    asked = NewEvent(event_id=new_event_id(), occurred_at=START, fact=requested, metadata=metadata)
    await log.append(STREAM, [asked], expected=ANY_VERSION)
    await books.refresh(BOT)
    rejected = OrderRejected(order_id=OrderId("b-1"), at=START, reason="too small")
    await books.tell(BOT, lambda _: [rejected])
    answer = (await log.read_stream(STREAM))[-1]

    assert answer.metadata == Metadata(actor="execution", correlation_id=REQUEST, causation_id=asked.event_id)


async def test_what_becomes_of_an_order_that_the_execution_itself_asked_for_is_put_down_to_the_request_too() -> None:
    log = await given(AccountName("main"))
    books = BotBooks(AccountName("main"), log=log, decider=DECIDER, clock=SteppingClock(), holder="execution")
    facts = bought(BTC, 1, quantity="1", price="100")
    held = [NewEvent(event_id=new_event_id(), occurred_at=START, fact=fact) for fact in facts]
    await log.append(STREAM, held, expected=ANY_VERSION)
    await books.refresh(BOT)
    fact, metadata = ExitOrdered(symbols=(BTC,)), Metadata(actor="user-1", correlation_id=REQUEST)
    told = NewEvent(event_id=new_event_id(), occurred_at=START, fact=fact, metadata=metadata)
    await log.append(STREAM, [told], expected=ANY_VERSION)
    await books.refresh(BOT)
    await books.tell(BOT, ForceExit(START, "somebody ordered its exit", (BTC,)))
    (key, order) = next(iter(books.working()))
    await books.tell(BOT, lambda _: [OrderRejected(order_id=order.order_id, at=START, reason="too small")])
    asked, answer, *_ = [event for event in await log.read_stream(STREAM) if event.metadata.actor == "execution"]

    assert (key.bot_id, asked.event_type, answer.event_type) == (BOT, "order.requested", "order.rejected")
    assert asked.metadata == Metadata(actor="execution", correlation_id=REQUEST, causation_id=told.event_id)
    assert answer.metadata == Metadata(actor="execution", correlation_id=REQUEST, causation_id=asked.event_id)
