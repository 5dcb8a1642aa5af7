"""What somebody should look at."""

import re
from typing import Annotated

import msgspec
from starlette.responses import Response

from oxbot.api.bodies import Nothing
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.paging import Page, PageQuery, page, read_cursor
from oxbot.api.problems import Problem
from oxbot.api.reading import PROBLEMS, from_views
from oxbot.app.alerts import audiences_of, read_alerts
from oxbot.app.views import Snapshot
from oxbot.views.alert_rows import AlertRow

_KEY = re.compile(r"[01]-[0-9]{19}")


class AlertQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which alerts: those that go on, or those that are over; all of them where it is not said."""

    open: Annotated[bool | None, msgspec.Meta(description="Only alerts that go on, or only those that are over.")] = (
        None
    )


async def list_alerts(call: Call[AlertQuery, Nothing], views: Snapshot) -> Response:
    """A page of what the caller may see: what goes on first, then the newest."""
    query = call.query
    listing = f"alerts {query.open}"
    cursor = read_cursor(listing, query.cursor)
    if cursor and not _KEY.fullmatch(cursor):
        raise Problem(400, "query: the cursor does not belong to this list and order")
    audiences = audiences_of(call.signed_in)
    rows = await read_alerts(views, audiences, after_key=cursor, going_on=query.open, limit=query.limit + 1)
    return page([(row.key, row.body) for row in rows], limit=query.limit, listing=listing)


OPERATIONS: tuple[Operation, ...] = (
    operation(
        from_views(list_alerts, "alerts"),
        name="list_alerts",
        method="GET",
        path=f"{PREFIX}/alerts",
        least="viewer",
        of="bots",
        summary="What somebody should look at, of what the caller may read: what goes on first, then the newest.",
        query=AlertQuery,
        body=Nothing,
        answer=Page[AlertRow],
        problems=PROBLEMS,
    ),
)
