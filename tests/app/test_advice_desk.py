"""From a request on a bot's stream to the answer on it: once, of the right prompt, whoever dies on the way."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from events.advice import AdviceAbstained, AdviceLapsed, AdviceReceived, AdviceRequested, AdviceTaken, Opinion
from events.bot import BotCreated, DecisionMade, OrderRequested
from events.errors import LogUnavailable
from events.identifiers import MODELS_STREAM, AccountName, AdviceId, BotId, FleetName, OwnerId, Symbol, bot_stream
from events.log import EventLog
from events.models import ModelCallBegun
from oxbot.app.advice_books import AskingBots, BotPayers, UnknownBot
from oxbot.app.advice_desk import LIFE_MAX, AdviceDelivery
from oxbot.app.advice_prompt import Wording
from oxbot.app.clock import SystemClock
from oxbot.app.models.known import ModelTable
from oxbot.app.models.transport import Completion, ModelCall
from oxbot.app.models.wanted import AdviceWanted, Payer
from oxbot.app.redecide import redecide
from oxbot.core.bot import StopBot
from tests.app.advised_bots import EVERY, FRAMES, AdvisedStage, CountedTransport, advised, advised_market
from tests.app.fakes import (
    STREAM,
    SteppingClock,
    at_work,
    eventually,
    facts_in,
    failing_log,
    stored,
    tell,
    write,
    written,
)
from tests.core.scenario import BOT, DECIDER

pytestmark = pytest.mark.anyio

MARKET = advised_market()
OTHER = BotId("bot-2")


async def stage(*bot_ids: BotId, **parameters: str) -> AdvisedStage:
    """An installation with these advised bots, or the usual one, none of which has lived yet."""
    log = await written(advised(BOT, **parameters))
    for bot_id in bot_ids:
        await write(log, advised(bot_id, **parameters), bot_stream(bot_id))
    return AdvisedStage(log, await stored(MARKET))


async def asked(log: EventLog) -> list[AdviceRequested]:
    """The bot's requests."""
    return [fact for fact in await facts_in(log) if isinstance(fact, AdviceRequested)]


async def answered(log: EventLog, bot_id: BotId = BOT) -> list[AdviceReceived | AdviceAbstained]:
    """What came of them."""
    facts = await facts_in(log, bot_stream(bot_id))
    return [fact for fact in facts if isinstance(fact, AdviceReceived | AdviceAbstained)]


async def one_answered(log: EventLog) -> None:
    """Return once there is an answer."""
    async with asyncio.timeout(30):
        while not await answered(log):
            await asyncio.sleep(0.005)


async def test_a_bot_is_advised_trades_on_it_and_is_decided_again_without_a_difference() -> None:
    there = await stage()
    async with there.serving():
        await there.live(MARKET)
    facts = await facts_in(there.log)
    requests = await asked(there.log)
    taken = [fact for fact in facts if isinstance(fact, AdviceTaken)]

    assert len(requests) == len(there.transport.calls) >= (FRAMES - 288) // EVERY - 1
    assert [fact.advice_id for fact in await answered(there.log)] == [fact.advice_id for fact in requests]
    assert not any(fact.stale for fact in taken)
    assert not any(isinstance(fact, AdviceLapsed) for fact in facts)
    assert any(isinstance(fact, DecisionMade) for fact in facts)
    assert any(isinstance(fact, OrderRequested) for fact in facts)
    result = await redecide(BOT, log=there.log, candles=there.candles, decider=DECIDER)
    assert result.difference is None
    assert result.facts > len(requests)


async def test_the_prompt_that_is_called_with_is_the_one_that_the_stored_bodies_hold() -> None:
    there = await stage(every="60")
    async with there.serving():
        await there.live(MARKET)
    for fact, call in zip(await answered(there.log), there.transport.calls, strict=True):
        assert isinstance(fact, AdviceReceived)
        prompt = (await there.bodies.get(fact.prompt)).decode()
        assert all(msgspec.json.encode(message.content).decode() in prompt for message in call.messages)
        assert b'"decisions"' in await there.bodies.get(fact.answer)


async def test_a_bot_goes_on_without_waiting_where_its_market_does_not_wait_and_gives_the_request_up() -> None:
    there = await stage()
    incarnation = await there.live(MARKET, patience_seconds=0)
    facts = await facts_in(there.log)
    assert incarnation.cursor == MARKET[-1].open_time
    assert sum(isinstance(fact, AdviceLapsed) for fact in facts) >= 5
    assert not any(isinstance(fact, DecisionMade | AdviceTaken) for fact in facts)
    assert incarnation.state.advice.safe_mode


async def test_a_bot_whose_request_nobody_answers_waits_once_for_it_and_lives_on() -> None:
    there = await stage()
    async with asyncio.timeout(60):
        incarnation = await there.live(MARKET, patience_seconds=0.01)
    assert incarnation.cursor == MARKET[-1].open_time
    assert incarnation.state.advice.misses >= 5


async def test_a_desk_that_comes_later_answers_what_was_asked_before_it_and_only_what_is_open() -> None:
    there = await stage()
    await there.live(MARKET, patience_seconds=0)
    requests = await asked(there.log)
    lapsed = {fact.advice_id for fact in await facts_in(there.log) if isinstance(fact, AdviceLapsed)}
    still_open = [fact for fact in requests if fact.advice_id not in lapsed]
    async with there.serving():
        async with asyncio.timeout(30):
            while not await answered(there.log):
                await asyncio.sleep(0.005)
    assert [fact.advice_id for fact in await answered(there.log)] == [fact.advice_id for fact in still_open]
    assert len(there.transport.calls) == len(still_open) == 1


async def test_another_desk_after_the_first_calls_nobody_for_what_is_answered() -> None:
    there = await stage()
    async with there.serving():
        await there.live(MARKET)
    calls = len(there.transport.calls)
    facts = await facts_in(there.log)
    async with there.serving(holder="second"):
        await asyncio.sleep(0.2)
    assert len(there.transport.calls) == calls
    assert await facts_in(there.log) == facts


async def test_an_answer_that_was_paid_for_and_not_delivered_is_delivered_by_the_next_desk_without_a_call() -> None:
    there = await stage()
    await there.live(MARKET, patience_seconds=0)
    request = (await asked(there.log))[-1]
    # The fourth append is the answer's: a claim, a call begun, a call ended.
    broken = AdvisedStage(failing_log(there.log, refused=[4]), there.candles, bodies=there.bodies)
    with pytest.raises(ExceptionGroup) as caught:
        await broken.desk().run()
    assert caught.group_contains(LogUnavailable)
    assert (len(broken.transport.calls), await answered(there.log)) == (1, [])

    async with there.serving(holder="next"):
        await one_answered(there.log)
    assert [fact.advice_id for fact in await answered(there.log)] == [request.advice_id]
    assert there.transport.calls == []


async def test_bots_that_see_the_same_market_share_one_call_and_each_is_told() -> None:
    there = await stage(OTHER)
    async with there.serving(), asyncio.TaskGroup() as bots:
        for bot_id in (BOT, OTHER):
            bots.create_task(_live(there, bot_id))
    ours, theirs = await answered(there.log), await answered(there.log, OTHER)
    assert len(ours) == len(theirs) > 5
    assert [fact.prompt for fact in ours] == [fact.prompt for fact in theirs]
    assert len(there.transport.calls) == len(ours)


async def _live(there: AdvisedStage, bot_id: BotId) -> None:
    await there.live(MARKET, bot_id=bot_id)


async def test_a_bot_that_has_seen_other_candles_than_are_stored_gets_no_advice() -> None:
    there = await stage()
    await there.live(MARKET, patience_seconds=0)
    elsewhere = AdvisedStage(there.log, await stored(advised_market(FRAMES // 2)))
    async with elsewhere.serving():
        await one_answered(there.log)
    [fact] = await answered(there.log)
    assert isinstance(fact, AdviceAbstained)
    assert (fact.reason, fact.attempts, fact.cost) == ("snapshot_differs", 0, Decimal(0))
    assert elsewhere.transport.calls == []


async def test_a_model_that_is_not_in_the_table_is_an_abstention_and_the_bot_lives_on() -> None:
    there = await stage(model="nobody")
    async with there.serving():
        await there.live(MARKET)
    reasons = {fact.reason for fact in await answered(there.log) if isinstance(fact, AdviceAbstained)}
    assert reasons == {"no_model"}
    assert there.transport.calls == []


async def test_prose_instead_of_an_answer_is_asked_for_once_more_and_then_recorded_as_invalid() -> None:
    there = await stage(every="60")
    talker = CountedTransport(Completion(text="I would rather buy.", resolved_model="talker"))
    async with there.serving(transport=talker):
        await there.live(MARKET)
    told = await answered(there.log)
    assert {fact.reason for fact in told if isinstance(fact, AdviceAbstained)} == {"invalid"}
    assert all(fact.attempts == 2 for fact in told)
    assert len(talker.calls) == 2 * len(told)
    assert not any(isinstance(fact, OrderRequested) for fact in await facts_in(there.log))


async def test_a_request_is_worth_a_call_as_long_as_its_answer_would_count_in_its_market_s_time() -> None:
    """Six candles of five minutes; at 60 times the clock they pass in thirty seconds."""
    there = await stage()
    await there.live(MARKET, patience_seconds=0)
    deadlines = []
    for speed in (1.0, 60.0, None):
        gateway = _Recorded()
        desk = there.desk(speed=speed)
        desk._gateway = gateway
        async with at_work(desk.run()):
            await eventually(lambda gateway=gateway: bool(gateway.deadlines))  # type: ignore[misc]
        deadlines += gateway.deadlines
    recorded = (await there.log.read_all(types=["advice.requested"]))[-1].recorded_at
    assert [deadline - recorded for deadline in deadlines] == [
        timedelta(minutes=30),
        timedelta(seconds=30),
        LIFE_MAX,
    ]


class _Recorded:
    """A gateway that only listens."""

    def __init__(self) -> None:
        self.deadlines: list[datetime] = []
        self.withdrawn: list[AdviceId] = []

    def ask(self, wanted: AdviceWanted) -> None:
        """See ``ModelGateway``."""
        self.deadlines.append(wanted.deadline)

    def withdraw(self, advice_id: AdviceId) -> None:
        """See ``ModelGateway``."""
        self.withdrawn.append(advice_id)

    async def run(self) -> None:
        """See ``ModelGateway``."""
        await asyncio.Event().wait()


async def test_what_a_bot_gives_up_while_it_waits_for_its_turn_is_not_called_for() -> None:
    there = await stage()
    held = asyncio.Event()

    class Slow:
        calls = 0

        async def complete(self, call: ModelCall) -> Completion:
            del call
            Slow.calls += 1
            await held.wait()
            return Completion(text=None, resolved_model="slow")

    table = ModelTable()
    async with there.serving(transport=Slow(), table=table, clock=SystemClock()):
        await there.live(MARKET, patience_seconds=0)
        await asyncio.sleep(0.1)
        held.set()
        await asyncio.sleep(0.1)
    begun = [event.fact for event in await there.log.read_stream(MODELS_STREAM)]
    assert sum(isinstance(fact, ModelCallBegun) for fact in begun) == Slow.calls < len(await asked(there.log))


async def test_telling_a_bot_again_changes_nothing_and_opinions_that_nobody_asked_for_are_an_abstention() -> None:
    there = await stage()
    await there.live(MARKET, patience_seconds=0)
    async with there.serving():
        await one_answered(there.log)
    [told] = await answered(there.log)
    bots = AskingBots(there.log, DECIDER)
    deliver = AdviceDelivery(bots, log=there.log, decider=DECIDER, clock=SystemClock(), holder="again")
    facts = await facts_in(there.log)
    await deliver(BOT, told)
    assert await facts_in(there.log) == facts


async def test_opinions_on_what_was_not_asked_about_are_put_on_record_as_an_abstention_with_their_cost() -> None:
    there = await stage()
    await there.live(MARKET, patience_seconds=0)
    async with there.serving(table=ModelTable(), transport=CountedTransport()):
        await one_answered(there.log)
    [told] = await answered(there.log)
    assert isinstance(told, AdviceReceived)
    fresh = await stage()
    await fresh.live(MARKET, patience_seconds=0)
    strange = Opinion(symbol=Symbol("SOL/USDT"), action="long", weight=100, confidence=1, horizon=1)
    forged = msgspec.structs.replace(told, opinions=(strange,), cost=Decimal("0.01"))
    deliver = AdviceDelivery(
        AskingBots(fresh.log, DECIDER), log=fresh.log, decider=DECIDER, clock=SteppingClock(), holder="x"
    )
    await deliver(BOT, forged)
    [fact] = await answered(fresh.log)
    assert isinstance(fact, AdviceAbstained)
    assert (fact.reason, fact.cost, fact.answer) == ("invalid", Decimal("0.01"), told.answer)


async def test_the_prompt_is_of_the_bot_as_it_was_when_it_asked_whatever_has_happened_since() -> None:
    """A trader's prompt shows its books; by the time it is rendered the bot may have gone on."""
    there = await stage(template="trader")
    await there.live(MARKET, patience_seconds=0)
    await tell(there.log, StopBot("enough"))
    bots, wording = AskingBots(there.log, DECIDER), Wording(there.candles, DECIDER)
    events = await there.log.read_stream(STREAM)
    requests = [event for event in events if isinstance(event.fact, AdviceRequested)]
    for event in [*reversed(requests), *requests]:
        assert isinstance(event.fact, AdviceRequested)
        worded = await wording.of(await bots.before(BOT, event.version), event.fact)
        assert worded.asked.snapshot == event.fact.snapshot
    assert (await bots.now(BOT)).state.status == "stopped"


async def test_the_payers_of_a_bot_are_its_owner_of_whom_the_house_is_one_and_its_fleet() -> None:
    log, annas = (await stage()).log, BotId("annas")
    live, *_ = advised(annas)
    assert isinstance(live, BotCreated)
    creation = msgspec.structs.replace(live, account=AccountName("main"), owner=OwnerId("anna"))
    await write(log, [creation], bot_stream(annas))
    payers = BotPayers(log)
    assert [await payers.of(bot_id) for bot_id in (BOT, annas)] == [
        Payer("", FleetName("fleet-1")), Payer("anna", FleetName("fleet-1")),
    ]  # fmt: skip
    with pytest.raises(UnknownBot, match="nobody"):
        await payers.of(BotId("nobody"))
