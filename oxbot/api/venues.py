"""Venues and the quality of their data: how old candles are, and what went wrong with them."""

import re

import msgspec
from starlette.responses import Response

from events.identifiers import VenueName
from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.paging import LogPageQuery, Page, page, read_cursor
from oxbot.api.problems import Problem
from oxbot.app.market_quality import Incident, VenueQuality

_POSITION = re.compile(r"[1-9][0-9]{0,17}")


class VenueList(msgspec.Struct, frozen=True, kw_only=True):
    """In order of name."""

    items: list[VenueQuality]


async def list_venues(call: Call[Nothing, Nothing]) -> Response:
    """Every venue of which there are candles."""
    return answer(VenueList(items=await call.services.reads.quality.venues()))


async def list_incidents(call: Call[LogPageQuery, Nothing]) -> Response:
    """A page of a venue's incidents, the newest first."""
    venue = VenueName(call.request.path_params["venue"])
    if venue not in {series.venue for series in await call.services.reads.candles.series()}:
        raise Problem(404, "there are no candles of such a venue")
    listing = f"incidents {venue}"
    cursor = read_cursor(listing, call.query.cursor)
    if cursor and not _POSITION.fullmatch(cursor):
        raise Problem(400, "query: the cursor does not belong to this list and order")
    found = await call.services.reads.quality.incidents(
        venue, before=int(cursor) if cursor else None, limit=call.query.limit + 1
    )
    rows = [(str(one.position), msgspec.json.encode(one)) for one in found]
    return page(rows, limit=call.query.limit, listing=listing)


OPERATIONS: tuple[Operation, ...] = (
    operation(
        list_venues,
        name="list_venues",
        method="GET",
        path=f"{PREFIX}/venues",
        least="viewer",
        of="installation",
        summary="Venues: how old the newest candle of each symbol is, and which incidents go on.",
        query=Nothing,
        body=Nothing,
        answer=VenueList,
        problems=(410, 503),
    ),
    operation(
        list_incidents,
        name="list_incidents",
        method="GET",
        path=f"{PREFIX}/venues/{{venue}}/incidents",
        least="viewer",
        of="installation",
        summary="What went wrong with a venue's candles, and what still does, the newest first.",
        query=LogPageQuery,
        body=Nothing,
        answer=Page[Incident],
        problems=(410, 503),
    ),
)
