"""Answers out of the views: each from one position, which it names, and not before the position that was asked for."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import msgspec
from starlette.responses import Response

from oxbot.api.bodies import Nothing
from oxbot.api.operations import Call
from oxbot.app.access import ReadableRows
from oxbot.app.bots import UnknownBot
from oxbot.app.views import SERVING, Snapshot
from oxbot.views.rows import ViewName

POSITION_MAX = 2**63 - 1
POSITION_HEADER = "X-Position"
LAG_HEADER = "X-Lag"
PROBLEMS = (503, 504)

_Position = Annotated[
    int,
    msgspec.Meta(
        ge=0,
        le=POSITION_MAX,
        description="Wait until the views are built up to this position, such as the `X-Position` of a command.",
    ),
]


class ViewQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The query of whatever reads views."""

    min_position: _Position = 0


QueryT = TypeVar("QueryT", bound=ViewQuery)
Handler = Callable[[Call[QueryT, Nothing]], Awaitable[Response]]


def from_views(
    handler: Callable[[Call[QueryT, Nothing], Snapshot], Awaitable[Response]], projection: str = SERVING
) -> Handler[QueryT]:
    """The handler, given what the caller may read of the views at one position.

    Its answer says which position, and how many events behind the log.
    """

    async def read(call: Call[QueryT, Nothing]) -> Response:
        await reach(call, projection)
        async with call.services.views.snapshot(projection) as views:
            readable = ReadableRows(views, call.signed_in, call.services.owners)
            response = await handler(call, readable)
        return await placed(call, response, views.position)

    return read


async def reach(call: Call[QueryT, Nothing], projection: str = SERVING) -> None:
    """Wait for the position that the query asks for. Raises ``PositionNotReached``."""
    if call.query.min_position:
        await call.services.projections.reach(call.query.min_position, projection=projection)


async def placed(call: Call[QueryT, Nothing], response: Response, position: int) -> Response:
    """The response with the position that it was read at."""
    head = await call.services.projections.head()
    response.headers[POSITION_HEADER] = str(position)
    response.headers[LAG_HEADER] = str(max(0, head - position))
    return response


async def row_now(call: Call[QueryT, Nothing], view: ViewName) -> Response:
    """The one row that a view has of the bot that the path names, which the caller may read. Raises ``UnknownBot``."""
    await reach(call)
    found = await call.services.views.found(view, call.bot_id)
    if found.body is None:
        raise UnknownBot(f"there is no bot {call.bot_id}")
    headers = {POSITION_HEADER: str(found.position), LAG_HEADER: str(max(0, found.head - found.position))}
    return Response(found.body, headers=headers, media_type="application/json")
