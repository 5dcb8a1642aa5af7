"""What a bot remembers of its own closed trades, by setup and symbol."""

import msgspec
from starlette.responses import Response

from events.identifiers import BotId
from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.reading import PROBLEMS, ViewQuery, from_views
from oxbot.app.bots import UnknownBot
from oxbot.app.views import RowReader, Snapshot
from oxbot.core.memory import NO_MEMORY, Memory, Record
from oxbot.core.money import exact, text
from oxbot.views.amounts import Amount
from oxbot.views.remembered import remembered
from oxbot.views.rows import TradeRow

PAGE = 1000


class MemoryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The closed trades of one setup in one symbol. Money is quote currency, after fees and funding.

    ``won`` is what the winning trades earned, ``win_rate`` their share, ``expectancy`` the net result per entry cost.
    """

    setup: str
    symbol: str
    trades: int
    wins: int
    net: Amount
    won: Amount
    entry_cost: Amount
    win_rate: Amount | None
    expectancy: Amount | None


class MemoryRecords(msgspec.Struct, frozen=True, kw_only=True):
    """All records, the best expectancy first."""

    items: list[MemoryRecord]


async def show_memory(call: Call[ViewQuery, Nothing], views: Snapshot) -> Response:
    """All that the bot remembers."""
    if await views.row("bots", call.bot_id) is None:
        raise UnknownBot(f"there is no bot {call.bot_id}")
    memory = await _memory(call.bot_id, views)
    with exact():
        items = [_record(setup, symbol, record) for setup, symbol, record in memory.search()]
    return answer(MemoryRecords(items=items))


async def _memory(bot_id: BotId, views: RowReader) -> Memory:
    memory, after = NO_MEMORY, ""
    while rows := await views.rows("trades", bot_id, after_key=after, limit=PAGE):
        memory = remembered((msgspec.json.decode(row.body, type=TradeRow) for row in rows), memory)
        after = rows[-1].key
    return memory


def _record(setup: str, symbol: str, record: Record) -> MemoryRecord:
    win_rate, expectancy = record.win_rate, record.expectancy
    return MemoryRecord(
        setup=setup,
        symbol=symbol,
        trades=record.trades,
        wins=record.wins,
        net=text(record.net),
        won=text(record.won),
        entry_cost=text(record.cost),
        win_rate=None if win_rate is None else text(win_rate),
        expectancy=None if expectancy is None else text(expectancy),
    )


OPERATIONS: tuple[Operation, ...] = (
    operation(
        from_views(show_memory),
        name="show_memory",
        method="GET",
        path=f"{PREFIX}/bots/{{bot_id}}/memory",
        least="viewer",
        summary="What a bot remembers of its closed trades, by setup and symbol.",
        query=ViewQuery,
        body=Nothing,
        answer=MemoryRecords,
        problems=PROBLEMS,
    ),
)
