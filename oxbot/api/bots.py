"""Bots: listing, creating, starting, pausing, stopping."""

from contextlib import suppress
from typing import Annotated

import msgspec
from starlette.responses import Response

from events.bot import TradingState
from events.errors import LogUnavailable
from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.paging import Page, PageQuery, page, read_cursor
from oxbot.api.reading import POSITION_HEADER, PROBLEMS, ViewQuery, from_views
from oxbot.api.services import Services
from oxbot.app.bots import CommandResult, UnknownBot
from oxbot.app.failing import BotListed, BotShown, listed, shown
from oxbot.app.new_bot import NewBot
from oxbot.app.views import Snapshot

ReasonText = Annotated[
    str,
    msgspec.Meta(max_length=200, pattern=r"^(?![\s\S]*[\x00-\x1f\x7f])", description="Why, for the record."),
]


class Reason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why somebody pauses or stops a bot."""

    reason: ReasonText = ""


class BotStanding(msgspec.Struct, frozen=True, kw_only=True):
    """Where a bot stands after a command; ``version`` counts the events of its stream.

    ``trading`` is what its risk gate lets through; ``note`` says what becomes of what a stopped bot holds, or why the
    gate lets less through than was asked for.
    """

    bot_id: str
    version: int
    status: str
    trading: TradingState = "active"
    note: str = ""


async def list_bots(call: Call[PageQuery, Nothing], views: Snapshot) -> Response:
    """A page of all bots, in order of id, each with whether it fails."""
    after = read_cursor("bots", call.query.cursor)
    rows = await views.across("bots", after_bot=after, limit=call.query.limit + 1)
    failing = await call.services.failing.all()
    bots = [(row.bot_id, msgspec.json.encode(listed(row.body, failing.get(row.bot_id)))) for row in rows]
    return page(bots, limit=call.query.limit, listing="bots")


async def create_bot(call: Call[Nothing, NewBot]) -> Response:
    """A new bot; it trades once it is started."""
    result = await call.services.bots.create(call.body, by=call.actor)
    return await told(call.services, result, 201, {"Location": f"{PREFIX}/bots/{result.bot_id}"})


async def show_bot(call: Call[ViewQuery, Nothing], views: Snapshot) -> Response:
    """One bot, all that it was created with, and whether it fails."""
    body = await views.row("bots", call.bot_id)
    if body is None:
        raise UnknownBot(f"there is no bot {call.bot_id}")
    failing = await call.services.failing.all()
    return answer(shown(body, failing.get(call.bot_id)))


async def start_bot(call: Call[Nothing, Nothing]) -> Response:
    """Let a bot trade."""
    return await told(call.services, await call.services.bots.start(call.bot_id, by=call.actor))


async def pause_bot(call: Call[Nothing, Reason]) -> Response:
    """No new entries."""
    return await told(call.services, await call.services.bots.pause(call.bot_id, call.body.reason, by=call.actor))


async def stop_bot(call: Call[Nothing, Reason]) -> Response:
    """Close everything and end."""
    return await told(call.services, await call.services.bots.stop(call.bot_id, call.body.reason, by=call.actor))


async def told(
    services: Services, result: CommandResult, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """The answer to a command to a bot."""
    return await recorded(services, answer(msgspec.convert(result._asdict(), BotStanding), status, headers))


async def recorded(services: Services, answered: Response) -> Response:
    """The answer to a command, with a position of the log by which all that the command recorded is in it."""
    # The command is recorded, so a log that has gone away since must not make its answer a failure.
    with suppress(LogUnavailable):
        answered.headers[POSITION_HEADER] = str(await services.projections.head())
    return answered


OPERATIONS: tuple[Operation, ...] = (
    operation(
        from_views(list_bots),
        name="list_bots",
        method="GET",
        path=f"{PREFIX}/bots",
        least="viewer",
        summary="All bots, in order of id.",
        query=PageQuery,
        body=Nothing,
        answer=Page[BotListed],
        problems=PROBLEMS,
    ),
    operation(
        create_bot,
        name="create_bot",
        method="POST",
        path=f"{PREFIX}/bots",
        least="trader",
        summary="Create a bot. It trades once it is started, and is listed once it is projected.",
        query=Nothing,
        body=NewBot,
        answer=BotStanding,
        status=201,
        problems=(409, 503),
    ),
    operation(
        from_views(show_bot),
        name="show_bot",
        method="GET",
        path=f"{PREFIX}/bots/{{bot_id}}",
        least="viewer",
        summary="A bot, all that it was created with and holds to, and since when and of what it fails, if it does.",
        query=ViewQuery,
        body=Nothing,
        answer=BotShown,
        problems=PROBLEMS,
    ),
    operation(
        start_bot,
        name="start_bot",
        method="POST",
        path=f"{PREFIX}/bots/{{bot_id}}/start",
        least="trader",
        summary="Let the bot trade; also ends a pause.",
        query=Nothing,
        body=Nothing,
        answer=BotStanding,
        problems=(409, 503),
    ),
    operation(
        pause_bot,
        name="pause_bot",
        method="POST",
        path=f"{PREFIX}/bots/{{bot_id}}/pause",
        least="trader",
        summary="No new entries; exits go on.",
        query=Nothing,
        body=Reason,
        body_required=False,
        answer=BotStanding,
        problems=(409, 503),
    ),
    operation(
        stop_bot,
        name="stop_bot",
        method="POST",
        path=f"{PREFIX}/bots/{{bot_id}}/stop",
        least="trader",
        summary="End for good; what the bot holds is sold at the next open, as the answer's note says.",
        query=Nothing,
        body=Reason,
        body_required=False,
        answer=BotStanding,
        problems=(409, 503),
    ),
)
