"""What a bot remembers of its own closed trades, by setup and symbol."""

import re
from decimal import Decimal
from hashlib import sha256
from typing import Annotated

import msgspec
from starlette.responses import Response

from events.identifiers import BotId, Symbol
from oxbot.api.bodies import Nothing
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.paging import Page, PageQuery, page, read_cursor
from oxbot.api.problems import Problem
from oxbot.api.reading import PROBLEMS, from_views
from oxbot.app.bots import UnknownBot
from oxbot.app.views import RowReader, Snapshot
from oxbot.core.memory import NO_MEMORY, Memory, Record
from oxbot.core.money import ZERO, exact, text
from oxbot.views.amounts import Amount
from oxbot.views.remembered import remembered
from oxbot.views.rows import TradeRow

PAGE = 1000

_KEY = re.compile(r"(-?[0-9]{1,60}(?:\.[0-9]{1,60})?) ([0-9a-f]{32})")
_Entry = tuple[str, Symbol, Record]
_Symbol = Annotated[
    str, msgspec.Meta(max_length=100, description="Only records of this symbol, such as BTC/USDT; all unless given.")
]
_Setup = Annotated[str, msgspec.Meta(max_length=200, description="Only records of this setup; all unless given.")]


class MemoryQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which records of a bot's memory, and which page of them."""

    symbol: _Symbol | msgspec.UnsetType = msgspec.UNSET
    setup: _Setup | msgspec.UnsetType = msgspec.UNSET


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


async def show_memory(call: Call[MemoryQuery, Nothing], views: Snapshot) -> Response:
    """A page of what the bot remembers, the best expectancy first."""
    query = call.query
    if await views.row("bots", call.bot_id) is None:
        raise UnknownBot(f"there is no bot {call.bot_id}")
    listing = f"memory {call.bot_id} {_digest(repr(query.symbol), repr(query.setup))}"
    after = read_cursor(listing, query.cursor)
    memory = await _memory(call.bot_id, views)
    with exact():
        found = [
            entry
            for entry in memory.search()
            if query.setup in {msgspec.UNSET, entry[0]} and query.symbol in {msgspec.UNSET, entry[1]}
        ]
        following = _following(found, after)[: query.limit + 1]
        rows = [(_key(entry), msgspec.json.encode(_record(*entry))) for entry in following]
    return page(rows, limit=query.limit, listing=listing)


def _following(found: list[_Entry], after: str) -> list[_Entry]:
    """Those that come after the place that a key names, wherever its record has moved since."""
    if not after:
        return found
    key = _KEY.fullmatch(after)
    last = next((entry for entry in found if key is not None and _digest(entry[0], entry[1]) == key[2]), None)
    if key is None or last is None:
        raise Problem(400, "query: the cursor does not belong to this list and order")
    place = (-Decimal(key[1]), last[0], last[1])
    return [entry for entry in found if (-(entry[2].expectancy or ZERO), entry[0], entry[1]) > place]


def _key(entry: _Entry) -> str:
    """Where the record stands: its expectancy now, then a digest of its name, which may be any text."""
    setup, symbol, record = entry
    return f"{text(record.expectancy or ZERO)} {_digest(setup, symbol)}"


def _digest(*names: str) -> str:
    return sha256(repr(names).encode()).hexdigest()[:32]


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
        of="bot",
        summary="What a bot remembers of its closed trades, by setup and symbol, the best expectancy first.",
        query=MemoryQuery,
        body=Nothing,
        answer=Page[MemoryRecord],
        problems=PROBLEMS,
    ),
)
