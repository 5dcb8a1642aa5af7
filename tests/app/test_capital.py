"""Capital comes and goes at any moment, each flow once for its reference, and never more than is free."""

import asyncio
from decimal import Decimal

import asyncpg
import pytest

from events.bot import BotPaused, CapitalDeposited, CapitalWithdrawn
from events.codec import Codec
from events.errors import OxbotError
from events.identifiers import BotId, bot_stream
from events.log import EventLog
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from oxbot.app.bots import BotCommands, NewBot, UnknownBot
from oxbot.app.capital import BookedFlow
from oxbot.app.handle import fold_stream
from oxbot.core.bot import CommandRefused
from oxbot.core.creation import InvalidCommand
from tests.app.fakes import UnsteadyLog, facts_in
from tests.app.test_bots import NOW, commands
from tests.core.scenario import BTC, DECIDER

pytestmark = pytest.mark.anyio

A = BotId("a")


async def a_bot(log: EventLog) -> BotCommands:
    """The commands to a fleet with one bot of 1,000."""
    bots = commands(log)
    await bots.create(NewBot(name="b", symbols=(BTC,), capital=Decimal(1000)), bot_id=A)
    return bots


@pytest.fixture
def log() -> MemoryEventLog:
    """An empty log."""
    return MemoryEventLog(Codec())


async def free(log: EventLog) -> Decimal:
    """What the bot has free."""
    return (await fold_stream(log, DECIDER, bot_stream(A))).state.free


async def test_money_comes_and_goes_under_the_references_that_are_given(log: MemoryEventLog) -> None:
    bots = await a_bot(log)

    came = await bots.deposit(A, Decimal("250.5"), reference="wire 7", by="somebody")
    went = await bots.withdraw(A, Decimal("1250.5"), reference="wire 8")

    assert came == BookedFlow("deposit", Decimal("250.5"), "wire 7", 3)
    assert went == BookedFlow("withdrawal", Decimal("1250.5"), "wire 8", 4)
    assert (await facts_in(log, bot_stream(A)))[2:] == [
        CapitalDeposited(amount=Decimal("250.5"), reference="wire 7"),
        CapitalWithdrawn(amount=Decimal("1250.5"), reference="wire 8"),
    ]
    events = await log.read_stream(bot_stream(A), after_version=2)
    assert [(event.occurred_at, event.metadata.actor) for event in events] == [(NOW, "somebody"), (NOW, "operator")]
    assert await free(log) == 0


async def test_a_request_again_answers_the_same_and_books_nothing_whatever_came_between(log: MemoryEventLog) -> None:
    bots = await a_bot(log)
    first = await bots.deposit(A, Decimal(5), reference="r")
    out = await bots.withdraw(A, Decimal(1005), reference="all")
    await bots.start(A)
    await bots.pause(A)

    assert await bots.deposit(A, Decimal("5.00"), reference="r") == first
    assert await bots.withdraw(A, Decimal(1005), reference="all") == out
    assert isinstance((await facts_in(log, bot_stream(A)))[-1], BotPaused)


@pytest.mark.parametrize(("kind", "amount"), [("deposit", "6"), ("withdraw", "5")])
async def test_a_reference_of_another_flow_is_refused_and_that_flow_named(
    log: MemoryEventLog, kind: str, amount: str
) -> None:
    bots = await a_bot(log)
    await bots.deposit(A, Decimal(5), reference="r")
    again = bots.deposit if kind == "deposit" else bots.withdraw
    with pytest.raises(CommandRefused, match="reference 'r' is that of a deposit of 5 already"):
        await again(A, Decimal(amount), reference="r")
    assert await log.head() == 3


@pytest.mark.parametrize(
    ("amount", "reference", "error", "words"),
    [
        ("1000.01", "r", CommandRefused, "bot a has 1000 free, less than 1000.01"),
        ("0", "r", InvalidCommand, "amount must be above 0, not 0"),
        ("-1", "r", InvalidCommand, "amount must be above 0"),
        ("NaN", "r", InvalidCommand, "amount must be above 0, not NaN"),
        ("1E-19", "r", InvalidCommand, "at most 18 decimals"),
        ("1000", "initial capital", InvalidCommand, "reference 'initial capital' is that of the bot's creation"),
    ],
)
async def test_what_cannot_be_taken_out_leaves_nothing(
    log: MemoryEventLog, amount: str, reference: str, error: type[OxbotError], words: str
) -> None:
    bots = await a_bot(log)
    with pytest.raises(error, match=words):
        await bots.withdraw(A, Decimal(amount), reference=reference)
    assert await log.head() == 2


async def test_the_first_capital_is_nobodys_deposit(log: MemoryEventLog) -> None:
    bots = await a_bot(log)
    with pytest.raises(InvalidCommand, match="creation"):
        await bots.deposit(A, Decimal(1000), reference="initial capital")


async def test_there_must_be_a_bot(log: MemoryEventLog) -> None:
    for flow in (commands(log).deposit, commands(log).withdraw):
        with pytest.raises(UnknownBot, match="there is no bot a"):
            await flow(A, Decimal(1), reference="r")
    assert await log.head() == 0


async def test_of_requests_at_once_under_one_reference_one_is_booked(log: MemoryEventLog) -> None:
    await a_bot(log)
    both = [commands(UnsteadyLog(log, seed)) for seed in range(6)]

    answers = await asyncio.gather(*(bots.deposit(A, Decimal(5), reference="r") for bots in both))

    assert set(answers) == {BookedFlow("deposit", Decimal(5), "r", 3)}
    assert await log.head() == 3


async def test_processes_that_withdraw_at_once_take_each_reference_once_and_no_more_than_there_is(
    pool: asyncpg.Pool,
) -> None:
    logs = [PostgresEventLog(pool, Codec()) for _ in range(2)]
    await a_bot(logs[0])
    asked = [commands(log).withdraw(A, Decimal(400), reference=f"r{number % 4}") for number in range(8) for log in logs]

    outcomes = await asyncio.gather(*asked, return_exceptions=True)

    booked = {outcome for outcome in outcomes if isinstance(outcome, BookedFlow)}
    assert len({flow.reference for flow in booked}) == len(booked) == 2
    assert {type(outcome) for outcome in outcomes} == {BookedFlow, CommandRefused}
    assert await free(logs[0]) == 200
