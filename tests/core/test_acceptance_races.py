"""Acceptance tests of many who spend the same cash: one is let through, and no unit comes or goes."""

import asyncio
import random
from collections.abc import Sequence
from decimal import Decimal

import asyncpg
import pytest

from events.bot import OrderRequested
from events.codec import Codec
from events.envelope import NewEvent
from events.identifiers import Symbol
from events.log import EventLog
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from oxbot.app.handle import Folded, fold_stream, handle
from oxbot.core.bot import BotCommand, BotDecider, CommandRefused, ObserveFrame, WithdrawCapital
from oxbot.core.candles import Frame
from oxbot.core.market_view import MarketView
from oxbot.core.state import BotState
from oxbot.core.strategy import Strategies
from tests.app.fakes import STREAM, HookedLog, facts_in, write
from tests.core.lives import START, Life, Scripted, Wish, Wishes, candle, creation, denials, requests, spot

pytestmark = pytest.mark.anyio

RACERS = 100
SYMBOLS = [Symbol(f"C{number:02}/USDT") for number in range(RACERS)]
ALL_IN = Wish(size_fraction=Decimal("0.9"))
"""What each of them wants: 9,000 of 10,000."""

PLAN = {(symbol, candle(number, "1").open_time): Wishes(ALL_IN) for number, symbol in enumerate(SYMBOLS)}
BOT = BotDecider(Strategies(Scripted(PLAN)))


def opening(number: int) -> ObserveFrame:
    """The candle of one symbol alone, on which the bot wants to enter that symbol."""
    shown = candle(number, "100")
    view = MarketView(SYMBOLS, capacity=3)
    view.warm(SYMBOLS[number], [shown])
    return ObserveFrame(epoch=0, frame=Frame(shown.open_time, ((SYMBOLS[number], shown),)), view=view)


async def begun(log: EventLog) -> Folded[BotState]:
    """A bot of a hundred symbols that is about to see its first candle, and what all hundred know of it."""
    await write(log, Life.of(creation(*map(spot, SYMBOLS)), PLAN).facts)
    return await fold_stream(log, BOT, STREAM)


class Race:
    """A hundred tasks that append at once: none before all of them have decided on what they knew at the start."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._line = asyncio.Barrier(RACERS)
        self.log = HookedLog(PostgresEventLog(pool, Codec()), before=self._wait, after=self._count)
        self.stored = 0

    async def run(self, commands: Sequence[BotCommand], known: Folded[BotState]) -> Sequence[object]:
        """What each of them came to: the bot after its command, or the error."""
        racers = (handle(self.log, BOT, STREAM, command, at=START, known=known) for command in commands)
        return await asyncio.wait_for(asyncio.gather(*racers, return_exceptions=True), timeout=120)

    async def _wait(self, number: int, events: Sequence[NewEvent]) -> None:
        del events
        if number <= RACERS:
            await self._line.wait()

    async def _count(self, number: int, events: Sequence[NewEvent]) -> None:
        del number, events
        self.stored += 1


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_acceptance_02_of_100_opens_at_once_against_cash_for_one_exactly_one_is_accepted(
    pool: asyncpg.Pool, seed: int
) -> None:
    """Whoever loses decides again: an older candle than the winner's is passed by, a newer one is refused."""
    race = Race(pool)
    known = await begun(PostgresEventLog(pool, Codec()))
    racers = list(range(RACERS))
    random.Random(seed).shuffle(racers)  # noqa: S311 - a test's chance, not a secret

    outcomes = await race.run([opening(number) for number in racers], known)

    assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    first = race.log.attempts[:RACERS]
    assert all(isinstance(events[-1].fact, OrderRequested) for events in first)
    assert len(race.log.attempts) - race.stored >= RACERS - 1
    facts = (await facts_in(race.log))[known.version :]
    [accepted] = requests(facts)
    refused = [(denial.symbol, denial.rule) for denial in denials(facts)]
    assert {rule for _, rule in refused} <= {"free_cash"}
    assert bool(refused) == (accepted.symbol != SYMBOLS[-1])
    await check_books(race.log)


async def test_acceptance_02_of_100_withdrawals_at_once_of_the_same_cash_exactly_one_is_accepted(
    pool: asyncpg.Pool,
) -> None:
    race = Race(pool)
    known = await begun(PostgresEventLog(pool, Codec()))

    outcomes = await race.run([WithdrawCapital(Decimal(6000))] * RACERS, known)

    assert sum(isinstance(outcome, CommandRefused) for outcome in outcomes) == RACERS - 1
    assert (race.stored, len(race.log.attempts)) == (1, RACERS)
    after = await fold_stream(race.log, BOT, STREAM)
    assert (after.version, after.state.ledger.cash) == (known.version + 1, Decimal(4000))


@pytest.mark.parametrize("stride", [1, 7, 33, 51, 99])
async def test_acceptance_02_one_after_another_in_whatever_order_exactly_one_is_accepted(stride: int) -> None:
    """A candle that opened before one that was decided on is passed by; every other is refused for want of cash."""
    log = MemoryEventLog(Codec())
    known = await begun(log)
    order = [(number + 1) * stride % RACERS for number in range(RACERS)]
    assert len(set(order)) == RACERS

    for number in order:
        await handle(log, BOT, STREAM, opening(number), at=START, known=known)

    facts = (await facts_in(log))[known.version :]
    assert [request.symbol for request in requests(facts)] == [SYMBOLS[order[0]]]
    newest, refused = order[0], list[Symbol]()
    for number in order[1:]:
        if number > newest:
            newest = number
            refused.append(SYMBOLS[number])
    assert [(denial.symbol, denial.rule) for denial in denials(facts)] == [(symbol, "free_cash") for symbol in refused]
    await check_books(log)


async def check_books(log: EventLog) -> None:
    """All there was is still there, of which the one order keeps its notional and its fee."""
    state = (await fold_stream(log, BOT, STREAM)).state
    assert (state.ledger.cash, state.ledger.imbalance()) == (Decimal(10000), Decimal(0))
    assert (len(state.orders), state.free) == (1, Decimal(10000) - 9000 * Decimal("1.0005"))
