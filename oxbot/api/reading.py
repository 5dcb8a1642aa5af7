"""Answers out of the views: each from one position, which it names, and not before the position that was asked for."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import msgspec
from starlette.responses import Response

from oxbot.api.bodies import Nothing
from oxbot.api.operations import Call
from oxbot.app.views import SERVING, Snapshot

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
    """The handler, given the views at one position; its answer says which, and how many events behind the log."""

    async def read(call: Call[QueryT, Nothing]) -> Response:
        await reach(call, projection)
        async with call.services.views.snapshot(projection) as views:
            response = await handler(call, views)
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
