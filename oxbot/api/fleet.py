"""The fleet at a glance, in one request."""

from datetime import datetime

import msgspec
from starlette.responses import Response

from oxbot.api.as_of import PAST_PROBLEMS, AsOfPageQuery, place_asked, place_cursor
from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.problems import Problem
from oxbot.api.reading import LAG_HEADER, POSITION_HEADER, placed, reach
from oxbot.app.access import owners_read_by
from oxbot.app.fleet_overview import Overview


class OverviewQuery(AsOfPageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From which position on, and whether archived bots are among them; limit and cursor are those of the past."""

    archived: bool = False


async def show_overview(call: Call[OverviewQuery, Nothing]) -> Response:
    """A line for every bot that the caller may read, of archived ones only if they are asked for."""
    if call.query.as_of is not msgspec.UNSET:
        return await _overview_then(call, call.query.as_of)
    if call.query.cursor:
        raise Problem(400, "query: only the past has pages; say `as_of` too")
    await reach(call)
    head = await call.services.projections.head()
    position, body = await call.services.reads.overview.of(
        owners_read_by(call.signed_in),
        head=head,
        min_position=call.query.min_position,
        archived=call.query.archived,
    )
    headers = {POSITION_HEADER: str(position), LAG_HEADER: str(max(0, head - position))}
    return Response(body, headers=headers, media_type="application/json")


async def _overview_then(call: Call[OverviewQuery, Nothing], asked: int | datetime) -> Response:
    """A page of the same, as of then."""
    query, reads = call.query, call.services.reads
    listing = "overview archived" if query.archived else "overview"
    position, after_bot = await place_asked(call, asked, listing)
    found = await reads.past_bots.page(
        position, of_owners=owners_read_by(call.signed_in), after_bot=after_bot, limit=query.limit
    )
    lines = await reads.past_overview.lines(found.bots, position, archived=query.archived)
    head = await call.services.projections.head()
    overview = Overview(
        position=position,
        lag_events=max(0, head - position),
        bots=len(lines),
        items=lines,
        next=place_cursor(asked, listing, position, found.after),
    )
    return await placed(call, answer(overview), position)


OPERATIONS: tuple[Operation, ...] = (
    operation(
        show_overview,
        name="show_overview",
        method="GET",
        path=f"{PREFIX}/overview",
        least="viewer",
        of="bots",
        summary="Every bot that the caller may read, at a glance: status, equity, return, drawdown, failures.",
        query=OverviewQuery,
        body=Nothing,
        answer=Overview,
        problems=(404, *PAST_PROBLEMS),
    ),
)
