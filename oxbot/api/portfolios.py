"""What bots own and what they have done: portfolios, positions, orders, trades, decisions."""

from collections.abc import Awaitable, Callable

from starlette.responses import Response

from events.identifiers import BotId
from oxbot.api.bodies import Nothing
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.paging import HistoryQuery, Order, Page, PageQuery, page, read_cursor
from oxbot.api.reading import PROBLEMS, ViewQuery, from_views
from oxbot.app.bots import UnknownBot
from oxbot.app.views import RowReader, Snapshot
from oxbot.views.rows import DecisionRow, OrderRow, PortfolioRow, PositionRow, Row, TradeRow


async def list_portfolios(call: Call[PageQuery, Nothing], views: Snapshot) -> Response:
    """A page of all bots' money, in order of bot id."""
    after = read_cursor("portfolios", call.query.cursor)
    rows = await views.across("portfolios", after_bot=after, limit=call.query.limit + 1)
    return page([(row.bot_id, row.body) for row in rows], limit=call.query.limit, listing="portfolios")


async def show_portfolio(call: Call[ViewQuery, Nothing], views: Snapshot) -> Response:
    """One bot's money."""
    body = await views.row("portfolios", call.bot_id)
    if body is None:
        raise UnknownBot(f"there is no bot {call.bot_id}")
    return Response(body, media_type="application/json")


async def list_positions(call: Call[PageQuery, Nothing], views: Snapshot) -> Response:
    """A page of a bot's open positions, in order of symbol."""
    return await _bot_page(views, PositionRow, call.bot_id, call.query, order="asc")


def _history(kind: type[Row]) -> Callable[[Call[HistoryQuery, Nothing], Snapshot], Awaitable[Response]]:
    async def list_history(call: Call[HistoryQuery, Nothing], views: Snapshot) -> Response:
        return await _bot_page(views, kind, call.bot_id, call.query, order=call.query.order)

    return list_history


async def _bot_page(views: RowReader, kind: type[Row], bot_id: BotId, query: PageQuery, *, order: Order) -> Response:
    listing = f"{kind.view} {bot_id} {order}"
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
        summary=summary,
        query=HistoryQuery,
        body=Nothing,
        answer=answer,
        problems=PROBLEMS,
    )


OPERATIONS: tuple[Operation, ...] = (
    operation(
        from_views(list_portfolios),
        name="list_portfolios",
        method="GET",
        path=f"{PREFIX}/portfolios",
        least="viewer",
        summary="The money of all bots, in order of bot id.",
        query=PageQuery,
        body=Nothing,
        answer=Page[PortfolioRow],
        problems=PROBLEMS,
    ),
    operation(
        from_views(show_portfolio),
        name="show_portfolio",
        method="GET",
        path=f"{PREFIX}/bots/{{bot_id}}/portfolio",
        least="viewer",
        summary="A bot's money.",
        query=ViewQuery,
        body=Nothing,
        answer=PortfolioRow,
        problems=PROBLEMS,
    ),
    operation(
        from_views(list_positions),
        name="list_positions",
        method="GET",
        path=f"{PREFIX}/bots/{{bot_id}}/positions",
        least="viewer",
        summary="A bot's open positions, in order of symbol.",
        query=PageQuery,
        body=Nothing,
        answer=Page[PositionRow],
        problems=PROBLEMS,
    ),
    history_operation(OrderRow, Page[OrderRow], "A bot's orders, newest first."),
    history_operation(TradeRow, Page[TradeRow], "A bot's closed trades, newest first."),
    history_operation(DecisionRow, Page[DecisionRow], "What a bot decided and why, newest first."),
)
