"""Acceptance tests of many who spend the same cash: one is let through, and no unit comes or goes."""

from decimal import Decimal

import pytest

from events.codec import Codec
from events.identifiers import Symbol
from events.memory import MemoryEventLog
from oxbot.app.handle import Folded, fold_stream, handle
from oxbot.core.bot import BotDecider, CommandRefused, ObserveFrame, WithdrawCapital
from oxbot.core.candles import Frame
from oxbot.core.market_view import MarketView
from oxbot.core.state import BotState
from oxbot.core.strategy import Strategies
from tests.app.fakes import STREAM, facts_in, write
from tests.core.lives import START, Life, Scripted, Wish, Wishes, candle, creation, denials, requests, spot

pytestmark = pytest.mark.anyio

OPENS = 100
SYMBOLS = [Symbol(f"C{number:02}/USDT") for number in range(OPENS)]
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


async def begun() -> tuple[MemoryEventLog, Folded[BotState]]:
    """The log of a bot of a hundred symbols that is about to see its first candle, and what all hundred know of it."""
    log = MemoryEventLog(Codec())
    await write(log, Life.of(creation(*map(spot, SYMBOLS)), PLAN).facts)
    return log, await fold_stream(log, BOT, STREAM)


async def test_of_100_opens_that_know_the_same_cash_exactly_one_is_accepted() -> None:
    log, known = await begun()

    for number in range(OPENS):
        assert requests(BOT.decide(opening(number), known.state))
        await handle(log, BOT, STREAM, opening(number), at=START, known=known)

    facts = (await facts_in(log))[known.version :]
    assert [request.symbol for request in requests(facts)] == SYMBOLS[:1]
    assert {(denial.symbol, denial.rule) for denial in denials(facts)} == {
        (symbol, "free_cash") for symbol in SYMBOLS[1:]
    }
    await check_books(log)


@pytest.mark.parametrize("stride", [1, 7, 33, 51, 99])
async def test_in_whatever_order_they_come_exactly_one_is_accepted(stride: int) -> None:
    """A candle that opened before one that was decided on is passed by."""
    log, known = await begun()
    order = [(number + 1) * stride % OPENS for number in range(OPENS)]
    assert len(set(order)) == OPENS

    for number in order:
        await handle(log, BOT, STREAM, opening(number), at=START, known=known)

    facts = (await facts_in(log))[known.version :]
    assert [request.symbol for request in requests(facts)] == [SYMBOLS[order[0]]]
    await check_books(log)


async def test_of_100_withdrawals_of_the_same_cash_exactly_one_is_accepted() -> None:
    log, known = await begun()
    refused = 0
    for _ in range(OPENS):
        try:
            await handle(log, BOT, STREAM, WithdrawCapital(Decimal(6000)), at=START, known=known)
        except CommandRefused:
            refused += 1
    after = await fold_stream(log, BOT, STREAM)
    assert (refused, after.version, after.state.ledger.cash) == (OPENS - 1, known.version + 1, Decimal(4000))


async def check_books(log: MemoryEventLog) -> None:
    """All there was is still there, of which the one order keeps its notional and its fee."""
    state = (await fold_stream(log, BOT, STREAM)).state
    assert (state.ledger.cash, state.ledger.imbalance()) == (Decimal(10000), Decimal(0))
    assert (len(state.orders), state.free) == (1, Decimal(10000) - 9000 * Decimal("1.0005"))
