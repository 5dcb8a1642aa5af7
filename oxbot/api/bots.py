"""Bots: listing, creating, starting, pausing, stopping."""

from contextlib import suppress
from typing import Annotated

import msgspec
from starlette.responses import Response

from events.bot import StopPolicy, TradingState
from events.errors import LogUnavailable
from events.identifiers import HOUSE, OwnerId, Symbol
from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.paging import Page, PageQuery, page, read_cursor
from oxbot.api.problems import Problem
from oxbot.api.reading import POSITION_HEADER, PROBLEMS, ViewQuery, from_views
from oxbot.api.services import Services
from oxbot.app.bots import CommandResult, UnknownBot
from oxbot.app.failing import BotListed, BotShown, listed, shown
from oxbot.app.new_bot import NewBot, NewTerms
from oxbot.app.views import Snapshot
from oxbot.core.account import UserId

ReasonText = Annotated[
    str,
    msgspec.Meta(max_length=200, pattern=r"^(?![\s\S]*[\x00-\x1f\x7f])", description="Why, for the record."),
]


class Reason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why somebody pauses or stops a bot."""

    reason: ReasonText = ""


class BotsQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of the bots, and whether archived ones are among them."""

    archived: bool = False


class Stop(Reason, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why somebody stops a bot, and what becomes of what it holds: sold at the next open, or kept with its exits."""

    policy: StopPolicy = "close"


class Exit(Reason, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why somebody has a bot leave what it holds in these symbols; in all, if none is named."""

    symbols: Annotated[tuple[Symbol, ...], msgspec.Meta(max_length=100)] = ()


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


async def list_bots(call: Call[BotsQuery, Nothing], views: Snapshot) -> Response:
    """A page of the bots, in order of id, each with whether it fails."""
    after = read_cursor("bots", call.query.cursor)
    rows = await views.across("bots", after_bot=after, limit=call.query.limit + 1)
    failing = await call.services.failing.all()
    bots = [(row.bot_id, listed(row.body, failing.get(row.bot_id))) for row in rows]
    bodies = [
        (name, b"" if bot.archived and not call.query.archived else msgspec.json.encode(bot)) for name, bot in bots
    ]
    return page(bodies, limit=call.query.limit, listing="bots")


async def create_bot(call: Call[Nothing, NewBot]) -> Response:
    """A new bot, the caller's own unless an administrator says whose; it trades once it is started."""
    wanted = msgspec.structs.replace(call.body, owner=await _owner(call))
    granted_to = None if call.signed_in.role == "admin" else wanted.owner
    result = await call.services.bots.create(wanted, granted_to=granted_to, by=call.actor)
    return await told(call.services, result, 201, {"Location": f"{PREFIX}/bots/{result.bot_id}"})


async def show_bot(call: Call[ViewQuery, Nothing], views: Snapshot) -> Response:
    """One bot, all that it was created with, at which version it is, and whether it fails."""
    body = await views.row("bots", call.bot_id)
    if body is None:
        raise UnknownBot(f"there is no bot {call.bot_id}")
    failing = await call.services.failing.all()
    return answer(shown(body, failing.get(call.bot_id), version=await views.version_of(call.bot_id)))


async def start_bot(call: Call[Nothing, Nothing]) -> Response:
    """Let a bot trade."""
    return await told(call.services, await call.services.bots.start(call.bot_id, by=call.actor))


async def pause_bot(call: Call[Nothing, Reason]) -> Response:
    """No new entries."""
    return await told(call.services, await call.services.bots.pause(call.bot_id, call.body.reason, by=call.actor))


async def stop_bot(call: Call[Nothing, Stop]) -> Response:
    """Close or keep what is held, and end."""
    body = call.body
    result = await call.services.bots.stop(call.bot_id, body.reason, policy=body.policy, by=call.actor)
    return await told(call.services, result)


async def archive_bot(call: Call[Nothing, Reason]) -> Response:
    """Put a stopped bot away."""
    return await told(call.services, await call.services.bots.archive(call.bot_id, call.body.reason, by=call.actor))


async def force_exit(call: Call[Nothing, Exit]) -> Response:
    """Leave what is held."""
    body = call.body
    result = await call.services.bots.force_exit(call.bot_id, body.symbols, body.reason, by=call.actor)
    return await told(call.services, result)


async def configure_bot(call: Call[Nothing, NewTerms]) -> Response:
    """Other terms."""
    return await told(call.services, await call.services.bots.configure(call.bot_id, call.body, by=call.actor))


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


async def _owner(call: Call[Nothing, NewBot]) -> OwnerId:
    """Whose the new bot is to be."""
    user, wanted = call.signed_in, call.body.owner
    own = OwnerId(user.user_id)
    if wanted is None or wanted == own:
        return own
    if user.role != "admin":
        raise Problem(403, "only an administrator creates bots for others")
    if wanted != HOUSE and await call.services.accounts.find(UserId(wanted)) is None:
        raise Problem(422, "body: there is no user of that id - at `$.owner`")
    return wanted


OPERATIONS: tuple[Operation, ...] = (
    operation(
        from_views(list_bots),
        name="list_bots",
        method="GET",
        path=f"{PREFIX}/bots",
        least="viewer",
        of="bots",
        summary="All bots that the caller may read, in order of id.",
        query=BotsQuery,
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
        of="bots",
        summary="Create a bot, one's own. It trades once it is started, and is listed once it is projected.",
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
        of="bot",
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
        of="bot",
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
        of="bot",
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
        of="bot",
        summary="End for good; what the bot holds is sold at the next open or kept with its exits, as the note says.",
        query=Nothing,
        body=Stop,
        body_required=False,
        answer=BotStanding,
        problems=(409, 503),
    ),
    operation(
        start_bot,
        name="resume_bot",
        method="POST",
        path=f"{PREFIX}/bots/{{bot_id}}/resume",
        least="trader",
        of="bot",
        summary="End a pause; the same as starting it.",
        query=Nothing,
        body=Nothing,
        answer=BotStanding,
        problems=(409, 503),
    ),
    operation(
        archive_bot,
        name="archive_bot",
        method="POST",
        path=f"{PREFIX}/bots/{{bot_id}}/archive",
        least="trader",
        of="bot",
        summary="Put a stopped bot away that holds nothing: lists leave it out, everything else still shows it.",
        query=Nothing,
        body=Reason,
        body_required=False,
        answer=BotStanding,
        problems=(409, 503),
    ),
    operation(
        force_exit,
        name="force_exit",
        method="POST",
        path=f"{PREFIX}/bots/{{bot_id}}/forceexit",
        least="trader",
        of="bot",
        summary="Leave what the bot holds in the symbols, or in all: on paper at the next open, at a venue at once.",
        query=Nothing,
        body=Exit,
        body_required=False,
        answer=BotStanding,
        problems=(409, 503),
    ),
    operation(
        configure_bot,
        name="configure_bot",
        method="PUT",
        path=f"{PREFIX}/bots/{{bot_id}}/terms",
        least="trader",
        of="bot",
        summary="Give the bot another name, parameters, limits or sizing, from the next candle on that it decides on.",
        query=Nothing,
        body=NewTerms,
        answer=BotStanding,
        problems=(409, 503),
    ),
)
