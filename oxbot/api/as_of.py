"""Answers about the past of bots: as of a position of the log, or of a moment, folded from the log."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, NamedTuple, TypeVar

import msgspec
from starlette.responses import Response

from events.identifiers import BotId
from events.values import Timestamp
from oxbot.api.bodies import Nothing
from oxbot.api.operations import Call
from oxbot.api.paging import HistoryQuery, PageQuery, read_cursor, write_cursor
from oxbot.api.problems import Problem
from oxbot.api.reading import POSITION_MAX, Handler, ViewQuery, placed, reach
from oxbot.api.services import Services
from oxbot.app.audit_proof import UnknownPosition
from oxbot.app.past_rows import PastRows
from oxbot.app.projections import PositionNotReached
from oxbot.app.views import SERVING, RowReader
from oxbot.views.past import BotPast

PAST_PROBLEMS = (410, 503, 504)
POSITION_DIGITS = len(str(POSITION_MAX))

_AsOfPosition = Annotated[
    int,
    msgspec.Meta(
        ge=0,
        le=POSITION_MAX,
        description="A position of the log: the answer is that of then; `X-Position` says of which position.",
    ),
]
AsOf = _AsOfPosition | Timestamp | msgspec.UnsetType
"""When a question is about: a position, or a moment, which is the last position by then; now, unless given."""


class AsOfQuery(ViewQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The query of what can be asked about the past."""

    as_of: AsOf = msgspec.UNSET


class AsOfPageQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of a list, as of when."""

    as_of: AsOf = msgspec.UNSET


class AsOfHistoryQuery(HistoryQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of a history, from which end, as of when."""

    as_of: AsOf = msgspec.UNSET


AsOfQueries = AsOfQuery | AsOfPageQuery | AsOfHistoryQuery
QueryT = TypeVar("QueryT", bound=AsOfQueries)
FleetQueryT = TypeVar("FleetQueryT", bound=PageQuery)


class Place(NamedTuple):
    """Where a page of bots of the past begins: as of which position, and behind which bot."""

    position: int
    after_bot: str


class Then(NamedTuple):
    """A bot's rows, and the position that they are as of; ``past`` is None for now."""

    rows: RowReader
    position: int
    past: BotPast | None


def from_then(
    handler: Callable[[Call[QueryT, Nothing], RowReader], Awaitable[Response]],
) -> Handler[QueryT]:
    """The handler, given the bot's rows as of when the query asks for; its answer says which position that is."""

    async def read(call: Call[QueryT, Nothing]) -> Response:
        async with then(call) as found:
            response = await handler(call, found.rows)
        return await placed(call, response, found.position)

    return read


@asynccontextmanager
async def then(call: Call[QueryT, Nothing]) -> AsyncIterator[Then]:
    """The rows of the bot that the path names, as of when the query asks for.

    Raises ``UnknownPosition`` for what is beyond the log, ``UnknownBot`` for what is before the bot, and
    ``PositionNotReached`` if the views have not come to there in time.
    """
    await reach(call)
    asked = call.query.as_of
    if asked is msgspec.UNSET:
        async with call.services.views.snapshot() as views:
            yield Then(views, views.position, None)
        return
    position = await position_asked(call.services, asked)
    past = await call.services.reads.history.at(call.bot_id, position)
    # What has become final by then is read from the views, so they must have come to the bot's last event by then.
    await call.services.projections.reach(past.position)
    async with call.services.views.snapshot() as views:
        if views.position < past.position:
            head = await call.services.projections.head()
            raise PositionNotReached(SERVING, asked=past.position, reached=views.position, head=head)
        yield Then(PastRows(call.bot_id, past, views, position), position, past)


async def place_asked(call: Call[FleetQueryT, Nothing], asked: int | datetime, listing: str) -> Place:
    """Where a page of bots of the past begins; the views are built up to its position.

    All pages of a list are as of the position of the first. Raises as ``then`` does, but for ``UnknownBot``.
    """
    await reach(call)
    key = read_cursor(f"{listing} {asked}", call.query.cursor)
    digits, _, after_bot = key.partition(" ")
    if key and not (digits.isascii() and digits.isdecimal() and len(digits) <= POSITION_DIGITS):
        raise Problem(400, "query: the cursor is malformed")
    position = await position_asked(call.services, int(digits) if key else asked)
    await call.services.projections.reach(position)
    return Place(position, after_bot)


def place_cursor(asked: int | datetime, listing: str, position: int, after: BotId | None) -> str | None:
    """The cursor of the page that follows; None for no more."""
    return None if after is None else write_cursor(f"{listing} {asked}", f"{position} {after}")


async def position_asked(services: Services, asked: int | datetime) -> int:
    """The position that is meant, which the log has reached. Raises ``UnknownPosition``."""
    if isinstance(asked, datetime):
        return await services.projections.position_at(asked)
    head = await services.projections.head()
    if asked > head:
        raise UnknownPosition(f"the log ends at position {head}, so nothing is as of {asked}")
    return asked
