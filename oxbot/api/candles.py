"""Closed candles as the bots see them, as far as their market has come."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from starlette.responses import Response

from events.identifiers import Symbol, VenueName
from events.values import Timestamp
from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.problems import Problem
from oxbot.app.access import ReadableRows
from oxbot.core.candles import Candle, Series, UnknownTimeframe, timeframe_duration
from oxbot.core.money import text
from oxbot.views.amounts import Amount

LIMIT_MAX = 5000
PAGE = 500
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = timedelta(microseconds=1)

_Symbol = Annotated[str, msgspec.Meta(min_length=1, max_length=60, description="Such as BTC/USDT.")]
_Timeframe = Annotated[str, msgspec.Meta(min_length=2, max_length=5, description="Such as 5m.")]
_Venue = Annotated[
    str, msgspec.Meta(max_length=100, description="Where it is traded; needed where that is not the only venue.")
]
_Limit = Annotated[
    int, msgspec.Meta(ge=1, le=LIMIT_MAX, description="How many: the first from `from` on, else the newest.")
]


class CandlesQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A series, and which of its candles by open time, the end not in it."""

    symbol: _Symbol
    timeframe: _Timeframe
    venue: _Venue = ""
    begins_at: Timestamp | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="from")
    ends_before: Timestamp | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="to")
    limit: _Limit = 500


class _Follower(msgspec.Struct, frozen=True):
    """Which symbols a bot trades, and where."""

    venue: VenueName
    symbols: tuple[Symbol, ...]


class CandleShown(msgspec.Struct, frozen=True, kw_only=True):
    """A closed candle: its open time, prices in quote currency, volume in base currency."""

    at: datetime
    open: Amount
    high: Amount
    low: Amount
    close: Amount
    volume: Amount


class CandleList(msgspec.Struct, frozen=True, kw_only=True):
    """Candles in order of time; ``complete``: there are no more in the range that was asked for.

    There are none yet of an instrument that the market or a bot trades and that has not closed any.
    """

    venue: VenueName
    symbol: Symbol
    timeframe: str
    items: list[CandleShown]
    complete: bool


async def list_candles(call: Call[CandlesQuery, Nothing]) -> Response:
    """Candles of one series."""
    query, reads = call.query, call.services.reads
    series = await _series(call)
    closed = await reads.market_time.closed_before(series.venue)
    end = closed if query.ends_before is msgspec.UNSET else min(closed, query.ends_before)
    wanted = query.limit + 1
    if query.begins_at is not msgspec.UNSET:
        found = await reads.candles.read(series, begins_at=query.begins_at, ends_before=end, limit=wanted)
        shown = found[: query.limit]
    else:
        found = await reads.candles.window(series, last=max(end, _FIRST) - _INSTANT, count=wanted)
        shown = found[-query.limit :]
    return answer(
        CandleList(
            venue=series.venue,
            symbol=series.symbol,
            timeframe=series.timeframe,
            items=[_shown(candle) for candle in shown],
            complete=len(found) < wanted,
        )
    )


async def _series(call: Call[CandlesQuery, Nothing]) -> Series:
    """The series that is asked for, if there are candles of it, or else if its instrument is known."""
    query = call.query
    held = await call.services.reads.candles.series()
    venues = {one.venue for one in held if (one.symbol, one.timeframe) == (query.symbol, query.timeframe)}
    venues = {venue for venue in venues if query.venue in ("", venue)}
    if not venues and _is_timeframe(query.timeframe):
        venues = {one.venue for one in held if one.symbol == query.symbol} | await _offered(call)
        venues = {venue for venue in venues if query.venue in ("", venue)}
    if not venues:
        raise Problem(404, "nobody knows of that venue, symbol and timeframe")
    if len(venues) > 1:
        raise Problem(409, f"say of which venue: {', '.join(sorted(venues))}")
    return Series(venues.pop(), Symbol(query.symbol), query.timeframe)


def _is_timeframe(text: str) -> bool:
    try:
        timeframe_duration(text)
    except UnknownTimeframe:
        return False
    return True


async def _offered(call: Call[CandlesQuery, Nothing]) -> set[VenueName]:
    """Where the symbol is traded by the market of new bots, and by the bots that the caller may read."""
    symbol, services = call.query.symbol, call.services
    market = services.bots.market
    found = {market.venue} if any(one.symbol == symbol for one in market.instruments) else set()
    async with services.views.snapshot() as views:
        readable = ReadableRows(views, call.signed_in, services.owners)
        after = ""
        while page := await readable.across("bots", after_bot=after, limit=PAGE):
            bots = [msgspec.json.decode(row.body, type=_Follower) for row in page]
            found.update(bot.venue for bot in bots if symbol in bot.symbols)
            after = page[-1].owner
    return found


def _shown(candle: Candle) -> CandleShown:
    return CandleShown(
        at=candle.open_time,
        open=text(candle.open),
        high=text(candle.high),
        low=text(candle.low),
        close=text(candle.close),
        volume=text(candle.volume),
    )


OPERATIONS: tuple[Operation, ...] = (
    operation(
        list_candles,
        name="list_candles",
        method="GET",
        path=f"{PREFIX}/candles",
        least="viewer",
        of="installation",
        summary="Closed candles of a symbol, in order of time, as far as the market has come.",
        query=CandlesQuery,
        body=Nothing,
        answer=CandleList,
        problems=(404, 409, 503),
    ),
)
