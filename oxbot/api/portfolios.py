"""What bots own and what they have done: portfolios, positions, orders, trades, decisions."""

from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec
from starlette.responses import Response

from events.identifiers import BotId
from oxbot.api.as_of import (
    PAST_PROBLEMS,
    AsOf,
    AsOfHistoryQuery,
    AsOfPageQuery,
    AsOfQuery,
    from_then,
    place_asked,
    place_cursor,
)
from oxbot.api.bodies import Nothing
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.paging import HistoryQuery, Order, Page, PageQuery, page, part, read_cursor
from oxbot.api.reading import PROBLEMS, from_views, placed, row_now
from oxbot.app.access import owners_read_by
from oxbot.app.bots import UnknownBot
from oxbot.app.views import RowReader, Snapshot
from oxbot.views.rows import DecisionRow, OrderRow, PortfolioRow, PositionRow, Row, TradeRow


async def list_portfolios(call: Call[AsOfPageQuery, Nothing]) -> Response:
    """A page of the bots' money, in order of bot id, now or then."""
    asked = call.query.as_of
    return await (_portfolios_now(call) if asked is msgspec.UNSET else _portfolios_then(call, asked))


async def _portfolios_then(call: Call[AsOfPageQuery, Nothing], asked: int | datetime) -> Response:
    position, after_bot = await place_asked(call, asked, "portfolios")
    found = await call.services.reads.past_bots.page(
        position, of_owners=owners_read_by(call.signed_in), after_bot=after_bot, limit=call.query.limit
    )
    bodies = [await bot.rows.row("portfolios", bot.bot_id) for bot in found.bots]
    cursor = place_cursor(asked, "portfolios", position, found.after)
    return await placed(call, part([body for body in bodies if body is not None], cursor), position)


@from_views
async def _portfolios_now(call: Call[AsOfPageQuery, Nothing], views: Snapshot) -> Response:
    after = read_cursor("portfolios", call.query.cursor)
    rows = await views.across("portfolios", after_bot=after, limit=call.query.limit + 1)
    return page([(row.bot_id, row.body) for row in rows], limit=call.query.limit, listing="portfolios")


async def show_portfolio(call: Call[AsOfQuery, Nothing]) -> Response:
    """One bot's money, now or then."""
    return await (row_now(call, "portfolios") if call.query.as_of is msgspec.UNSET else _portfolio_then(call))


@from_then
async def _portfolio_then(call: Call[AsOfQuery, Nothing], views: RowReader) -> Response:
    body = await views.row("portfolios", call.bot_id)
    if body is None:
        raise UnknownBot(f"there is no bot {call.bot_id}")
    return Response(body, media_type="application/json")


async def list_positions(call: Call[AsOfPageQuery, Nothing], views: RowReader) -> Response:
    """A page of a bot's open positions, in order of symbol."""
    return await _bot_page(views, PositionRow, call.bot_id, call.query, order="asc", as_of=call.query.as_of)


def _history_then(kind: type[Row]) -> Callable[[Call[AsOfHistoryQuery, Nothing], RowReader], Awaitable[Response]]:
    async def list_history(call: Call[AsOfHistoryQuery, Nothing], views: RowReader) -> Response:
        query = call.query
        return await _bot_page(views, kind, call.bot_id, query, order=query.order, as_of=query.as_of)

    return list_history


def _history(kind: type[Row]) -> Callable[[Call[HistoryQuery, Nothing], Snapshot], Awaitable[Response]]:
    async def list_history(call: Call[HistoryQuery, Nothing], views: Snapshot) -> Response:
        return await _bot_page(views, kind, call.bot_id, call.query, order=call.query.order)

    return list_history


async def _bot_page(
    views: RowReader, kind: type[Row], bot_id: BotId, query: PageQuery, *, order: Order, as_of: AsOf = msgspec.UNSET
) -> Response:
    listing = f"{kind.view} {bot_id} {order}"
    if as_of is not msgspec.UNSET:
        listing += f" {as_of}"
    after = read_cursor(listing, query.cursor)
    rows = await views.rows(kind.view, bot_id, after_key=after, limit=query.limit + 1, descending=order == "desc")
    if not rows and await views.row("bots", bot_id) is None:
        raise UnknownBot(f"there is no bot {bot_id}")
    return page([(row.key, row.body) for row in rows], limit=query.limit, listing=listing)


def history_operation(kind: type[Row], answer: object, summary: str) -> Operation:
    """The operation that lists a bot's rows of that kind in pages, the newest first unless asked otherwise."""
    return operation(
        from_views(_history(kind)),
        name=f"list_{kind.view}",
        method="GET",
        path=f"{PREFIX}/bots/{{bot_id}}/{kind.view}",
        least="viewer",
        of="bot",
        summary=summary,
        query=HistoryQuery,
        body=Nothing,
        answer=answer,
        problems=PROBLEMS,
    )


def _past_operation(kind: type[Row], answer: object, summary: str) -> Operation:
    """The same, of what can also be asked about the past."""
    return operation(
        from_then(_history_then(kind)),
        name=f"list_{kind.view}",
        method="GET",
        path=f"{PREFIX}/bots/{{bot_id}}/{kind.view}",
        least="viewer",
        of="bot",
        summary=summary,
        query=AsOfHistoryQuery,
        body=Nothing,
        answer=answer,
        problems=PAST_PROBLEMS,
    )


OPERATIONS: tuple[Operation, ...] = (
    operation(
        list_portfolios,
        name="list_portfolios",
        method="GET",
        path=f"{PREFIX}/portfolios",
        least="viewer",
        of="bots",
        summary="The money of all bots that the caller may read, in order of bot id.",
        query=AsOfPageQuery,
        body=Nothing,
        answer=Page[PortfolioRow],
        problems=(404, *PAST_PROBLEMS),
    ),
    operation(
        show_portfolio,
        name="show_portfolio",
        method="GET",
        path=f"{PREFIX}/bots/{{bot_id}}/portfolio",
        least="viewer",
        of="bot",
        summary="A bot's money.",
        query=AsOfQuery,
        body=Nothing,
        answer=PortfolioRow,
        problems=PAST_PROBLEMS,
    ),
    operation(
        from_then(list_positions),
        name="list_positions",
        method="GET",
        path=f"{PREFIX}/bots/{{bot_id}}/positions",
        least="viewer",
        of="bot",
        summary="A bot's open positions, in order of symbol.",
        query=AsOfPageQuery,
        body=Nothing,
        answer=Page[PositionRow],
        problems=PAST_PROBLEMS,
    ),
    _past_operation(OrderRow, Page[OrderRow], "A bot's orders, newest first."),
    _past_operation(TradeRow, Page[TradeRow], "A bot's closed trades, newest first."),
    _past_operation(DecisionRow, Page[DecisionRow], "What a bot decided and why, newest first."),
)
