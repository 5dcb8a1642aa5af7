"""Answers that are sent only if they have changed, and commands that count only for the version they were meant for."""

import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from events.identifiers import BotId, bot_stream
from events.log import EventLog
from oxbot.api.headers import asked
from oxbot.api.problems import Problem
from oxbot.api.services import Services
from oxbot.app.pinned_log import PinnedLog

_VERSION = re.compile(r'"?([0-9]{1,18})"?')
_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_OF_CONTENT = ("content-length", "content-type", "content-encoding")


def unless_known(request: Request, response: Response) -> Response:
    """The answer to a GET with its tag; 304 without its content if the request names that one."""
    if response.status_code != 200 or isinstance(response, StreamingResponse):  # noqa: PLR2004
        return response
    tag = response.headers.get("etag")
    if tag is None:
        tag = f'"{hashlib.blake2b(response.body, digest_size=16).hexdigest()}"'
        response.headers["etag"] = tag
    if not _names(request, tag):
        return response
    headers = {name: value for name, value in response.headers.items() if name not in _OF_CONTENT}
    return Response(status_code=304, headers=headers)


def for_version(request: Request, services: Services, bot_id: BotId) -> Services:
    """The services for a command to a bot; with `If-Match`, for as long as the bot is at that version.

    Raises ``Problem`` 400 for what is neither a version of a bot, such as "12", nor *.
    """
    wanted = _version(request)
    if wanted is None:
        return services

    def pinned(log: EventLog) -> EventLog:
        return PinnedLog(log, bot_stream(bot_id), wanted)

    return services._replace(bots=services.bots.over(pinned))


def refuse_version(request: Request) -> None:
    """``Problem`` 400 for an `If-Match` where nothing has a version that could be compared."""
    if "if-match" in request.headers:
        raise Problem(400, "If-Match is for commands to a bot")


def _names(request: Request, tag: str) -> bool:
    given = ", ".join(asked(request.scope, b"if-none-match"))
    return given.strip() == "*" or tag in _TAG.findall(given)


def _version(request: Request) -> int | None:
    given = request.headers.getlist("if-match")
    if not given or given == ["*"]:
        return None
    match = _VERSION.fullmatch(given[0]) if len(given) == 1 else None
    if match is None:
        raise Problem(400, 'If-Match is a version of the bot in quotes, such as "12"')
    return int(match[1])
