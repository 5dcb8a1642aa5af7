"""What is wrong with a candle goes with its frame to every bot: no entry on it, and every exit all the same."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
import pytest

from events.bot import DecisionMade, OrderDenied, OrderFilled, OrderRequested
from events.identifiers import BotId, Symbol, bot_stream
from events.memory import MemoryEventLog
from oxbot.app.feed import FeedReply, FeedRequest
from oxbot.app.host_runner import HostRunner
from oxbot.app.redecide import redecide
from oxbot.core.candles import Frame
from tests.app.fakes import (
    ListedFeed,
    SteppingClock,
    at_work,
    claimed,
    eventually,
    facts_in,
    funded,
    lived,
    market,
    stored,
    written,
)
from tests.core.scenario import BOT, BTC, DECIDER, moment, running

pytestmark = pytest.mark.anyio

FRAMES = market(60, seed=7)
ALL = {frame.open_time: {BTC: "the candle closed 95 s ago"} for frame in FRAMES}


class FaultyFeed(ListedFeed):
    """A feed all of whose candles come late."""

    async def after(self, request: FeedRequest) -> FeedReply:
        """The page with what is wrong with it."""
        reply = await super().after(request)
        return msgspec.structs.replace(reply, faults={frame.open_time: ALL[frame.open_time] for frame in reply.frames})


async def test_no_entry_is_made_on_a_candle_with_a_fault_and_the_log_says_why() -> None:
    name = BotId("bot-1")
    log = await written(funded(name))
    host = HostRunner(
        "host",
        log=log,
        decider=DECIDER,
        feed=FaultyFeed(FRAMES),
        candles=await stored(FRAMES),
        clock=SteppingClock(),
    )
    await host.place([name])
    async with at_work(host.run()):
        await eventually(lambda: host.status(1).bots[0].cursor == moment(59))

    facts = await facts_in(log, bot_stream(name))
    denied = [fact for fact in facts if isinstance(fact, OrderDenied)]
    undisturbed = await facts_in(await lived(FRAMES))
    assert any(isinstance(fact, OrderRequested) for fact in undisturbed)
    assert {(fact.rule, fact.reason) for fact in denied} == {("data_quality", "the candle closed 95 s ago")}
    assert not any(isinstance(fact, OrderRequested | OrderFilled) for fact in facts)
    assert {fact.data_fault for fact in facts if isinstance(fact, DecisionMade)} == {"the candle closed 95 s ago"}


async def test_exits_go_on_whatever_is_wrong() -> None:
    """From the first fill on every candle has a fault: the position is closed in the candle in which it would be."""
    undisturbed = await facts_in(await lived(FRAMES))
    fills = [fact for fact in undisturbed if isinstance(fact, OrderFilled)]
    entered, closed = fills[0].at, fills[1].at
    faults = {opened: told for opened, told in ALL.items() if opened >= entered}
    log = await observed(FRAMES, faults)

    again = [fact for fact in await facts_in(log) if isinstance(fact, OrderFilled)]
    assert [fact.at for fact in again] == [entered, closed]
    assert again == fills[:2]


async def test_what_was_denied_for_its_data_is_decided_again_alike() -> None:
    faults = {opened: told for number, (opened, told) in enumerate(ALL.items()) if number % 2}
    log = await observed(FRAMES, faults)
    result = await redecide(BOT, log=log, candles=await stored(FRAMES), decider=DECIDER)
    assert result.difference is None
    assert any(isinstance(fact, OrderDenied) for fact in await facts_in(log))


async def observed(frames: Sequence[Frame], faults: Mapping[datetime, Mapping[Symbol, str]]) -> MemoryEventLog:
    log = await written(running())
    incarnation = await claimed(log, await stored(frames))
    await incarnation.observe(frames, faults)
    return log


def test_faults_survive_the_way_between_processes() -> None:
    reply = FeedReply(frames=tuple(FRAMES[:2]), faults={moment(1): {BTC: "late"}})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(reply), type=FeedReply) == reply
