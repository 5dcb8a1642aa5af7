"""The one way to append: fold, decide, append at that version, and after a lost race decide again."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.bot import BotFact, BotStarted, CapitalDeposited, CapitalWithdrawn, OrderDenied, OrderRequested
from events.codec import Codec
from events.envelope import Metadata, NewEvent
from events.errors import LogUnavailable, StreamClosed, WrongExpectedVersion
from events.identifiers import new_event_id
from events.log import EventLog
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from events.system import StreamEnded
from oxbot.app.handle import ATTEMPTS_MAX, Folded, fold_stream, handle
from oxbot.core.bot import (
    BotCommand,
    CommandRefused,
    DepositCapital,
    ObserveFrame,
    StartBot,
    WithdrawCapital,
)
from oxbot.core.candles import Frame
from oxbot.core.creation import CreateBot
from oxbot.core.market_view import MarketView
from oxbot.core.state import BotState
from tests.app.fakes import STREAM, HookedLog, UnsteadyLog, facts_in, failing_log, write, written
from tests.core.scenario import (
    BTC,
    CROSS_UP,
    DECIDER,
    ETH,
    SMALL,
    START,
    created,
    flat_candles,
    instrument,
    moment,
    running,
)

pytestmark = pytest.mark.anyio

ALL_IN = {**SMALL, "size_fraction": "0.9"}
TWO_SYMBOLS = running(instrument(BTC), instrument(ETH), parameters=ALL_IN)


async def do(log: EventLog, command: BotCommand, *, known: Folded[BotState] | None = None) -> Folded[BotState]:
    """Handle a command to the bot."""
    return await handle(log, DECIDER, STREAM, command, at=START, known=known)


def entry(symbol: str, number: int) -> ObserveFrame:
    """Candle ``number`` of one symbol, on which a bot with 90 % positions wants to enter."""
    known = BTC if symbol == BTC else ETH
    candles = flat_candles(CROSS_UP, first=number - 3)
    view = MarketView((BTC, ETH), capacity=4)
    view.warm(known, candles)
    return ObserveFrame(epoch=0, frame=Frame(moment(number), ((known, candles[-1]),)), view=view)


def creation() -> CreateBot:
    """Two facts in one command."""
    bot = created()
    return CreateBot(
        bot_id=bot.bot_id,
        fleet=bot.fleet,
        name=bot.name,
        strategy="ema_cross",
        parameters={},
        market=bot.market,
        capital=Decimal(10000),
        quote="USDT",
        fees=bot.fees,
        limits=bot.limits,
    )


async def test_what_is_decided_is_appended_with_its_time_and_metadata_and_folded() -> None:
    log = await written(running())
    at, metadata = START + timedelta(hours=1), Metadata(actor="operator")

    folded = await handle(log, DECIDER, STREAM, DepositCapital(Decimal(5)), at=at, metadata=metadata)

    [*_, event] = await log.read_stream(STREAM)
    assert (event.fact, event.occurred_at, event.metadata) == (CapitalDeposited(amount=Decimal(5)), at, metadata)
    assert folded == await fold_stream(log, DECIDER, STREAM)
    assert (folded.version, folded.state.ledger.cash) == (4, Decimal(10005))


async def test_nothing_is_appended_for_no_facts() -> None:
    log = HookedLog(await written(running()))

    folded = await do(log, StartBot())

    assert log.attempts == []
    assert folded == await fold_stream(log, DECIDER, STREAM)


async def test_only_what_is_not_known_is_folded() -> None:
    log = await written(running())
    whole = await fold_stream(log, DECIDER, STREAM)
    for version in range(1, 4):
        known = Folded(fold_of((await facts_in(log))[:version]), version)
        assert await fold_stream(log, DECIDER, STREAM, known) == whole
    assert await fold_stream(log, DECIDER, STREAM, Folded(DECIDER.initial, 3)) == Folded(DECIDER.initial, 3)


def fold_of(facts: Sequence[BotFact]) -> BotState:
    """The decider's own fold."""
    state = DECIDER.initial
    for fact in facts:
        state = DECIDER.evolve(state, fact)
    return state


async def test_a_lost_race_is_decided_again_on_the_new_facts() -> None:
    log = await written(running())
    stale = await fold_stream(log, DECIDER, STREAM)
    await do(log, WithdrawCapital(Decimal(6000)))

    with pytest.raises(CommandRefused, match="4000 free"):
        await do(log, WithdrawCapital(Decimal(6000)), known=stale)
    folded = await do(log, WithdrawCapital(Decimal(4000)), known=stale)

    assert folded == await fold_stream(log, DECIDER, STREAM)
    assert folded.state.ledger.cash == 0
    assert (await facts_in(log))[3:] == [
        CapitalWithdrawn(amount=Decimal(6000)),
        CapitalWithdrawn(amount=Decimal(4000)),
    ]


async def both_enter(logs: Sequence[EventLog]) -> list[BotFact]:
    """Two writers, folded to the same version, both spend the same cash; what the log says afterwards."""
    known = await fold_stream(logs[0], DECIDER, STREAM)
    await asyncio.gather(
        do(logs[0], entry(BTC, 4), known=known),
        do(logs[1], entry(ETH, 4 + 1), known=known),
    )
    return (await facts_in(logs[0]))[known.version :]


def check_one_winner(facts: Sequence[BotFact]) -> None:
    """One order got through; whoever lost was refused by the gate, or found its candle already passed."""
    assert sum(isinstance(fact, OrderRequested) for fact in facts) == 1
    symbols = [fact.symbol for fact in facts if isinstance(fact, OrderRequested)]
    denied = [fact.symbol for fact in facts if isinstance(fact, OrderDenied)]
    assert (symbols, denied) in (([BTC], [ETH]), ([ETH], []))


@given(seed=st.integers(0, 2**32))
def test_of_two_writers_that_spend_the_same_cash_one_wins(seed: int) -> None:
    async def exercise() -> list[BotFact]:
        log = UnsteadyLog(await written(TWO_SYMBOLS), seed)
        return await both_enter([log, log])

    check_one_winner(asyncio.run(exercise()))


async def test_of_two_processes_that_spend_the_same_cash_one_wins(pool: asyncpg.Pool) -> None:
    logs = [PostgresEventLog(pool, Codec()) for _ in range(2)]
    await write(logs[0], TWO_SYMBOLS)

    check_one_winner(await both_enter(logs))


async def test_of_two_processes_that_withdraw_the_same_cash_one_wins(pool: asyncpg.Pool) -> None:
    logs = [PostgresEventLog(pool, Codec()) for _ in range(2)]
    await write(logs[0], running())
    known = await fold_stream(logs[0], DECIDER, STREAM)

    everything = WithdrawCapital(Decimal(10000))
    outcomes = await asyncio.gather(*(do(log, everything, known=known) for log in logs), return_exceptions=True)

    assert sorted(isinstance(outcome, CommandRefused) for outcome in outcomes) == [False, True]
    assert (await facts_in(logs[0]))[3:] == [CapitalWithdrawn(amount=Decimal(10000))]


async def test_many_writers_on_one_stream_all_get_through(pool: asyncpg.Pool) -> None:
    logs = [PostgresEventLog(pool, Codec()) for _ in range(4)]
    await write(logs[0], running())
    known = await fold_stream(logs[0], DECIDER, STREAM)

    await asyncio.gather(*(do(log, DepositCapital(Decimal(1)), known=known) for log in logs for _ in range(2)))

    folded = await fold_stream(logs[0], DECIDER, STREAM)
    assert (folded.version, folded.state.ledger.cash) == (11, Decimal(10008))


async def test_it_gives_up_after_so_many_lost_races_and_appends_nothing() -> None:
    inner = await written(running())

    async def intrude(number: int, events: Sequence[NewEvent]) -> None:
        del number, events
        await do(inner, DepositCapital(Decimal(1)))

    log = HookedLog(inner, before=intrude)
    with pytest.raises(WrongExpectedVersion):
        await do(log, WithdrawCapital(Decimal(5)))

    assert len(log.attempts) == ATTEMPTS_MAX
    assert (await facts_in(inner))[3:] == [CapitalDeposited(amount=Decimal(1))] * ATTEMPTS_MAX
    ids = [event.event_id for events in log.attempts for event in events]
    assert len(set(ids)) == len(ids)


async def test_a_commands_facts_are_stored_together_or_not_at_all() -> None:
    log = failing_log(MemoryEventLog(Codec()), refused=[1])

    with pytest.raises(LogUnavailable):
        await do(log, creation())
    assert await log.head() == 0
    assert (await do(log, creation())).version == 2
    assert await log.head() == 2


async def test_of_two_creations_at_once_one_is_stored_whole(pool: asyncpg.Pool) -> None:
    logs = [PostgresEventLog(pool, Codec()) for _ in range(2)]

    outcomes = await asyncio.gather(*(do(log, creation()) for log in logs), return_exceptions=True)

    assert sorted(isinstance(outcome, CommandRefused) for outcome in outcomes) == [False, True]
    assert [type(fact).__name__ for fact in await facts_in(logs[0])] == ["BotCreated", "CapitalDeposited"]
    assert (await do(logs[0], StartBot())).version == 3
    assert (await facts_in(logs[0]))[2] == BotStarted()


async def test_a_stream_that_has_ended_still_folds_and_takes_no_more_commands() -> None:
    """A21: the state is that of the facts before the end."""
    log = MemoryEventLog(Codec())
    await write(log, running(instrument(BTC), parameters=SMALL))
    before = await fold_stream(log, DECIDER, STREAM)
    end = NewEvent(event_id=new_event_id(), occurred_at=START, fact=StreamEnded(reason="archived"))
    await log.append(STREAM, [end], expected=before.version)
    assert await fold_stream(log, DECIDER, STREAM) == Folded(before.state, before.version + 1)
    with pytest.raises(StreamClosed):
        await do(log, DepositCapital(Decimal(1)))
