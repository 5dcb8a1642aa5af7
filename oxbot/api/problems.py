"""The one shape in which the API says that something went wrong: RFC 9457 problem details."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from events.archived import ArchiveDamaged, ArchiveMissing
from events.errors import BelowFloor, LogUnavailable, OxbotError, StoreUnavailable, WrongExpectedVersion
from oxbot.api.headers import SECURITY_HEADERS
from oxbot.app.accounts import CredentialsUnavailable, PasswordsBusy, SignInRefused
from oxbot.app.audit_proof import NotSealed, UnknownPosition
from oxbot.app.bots import UnknownBot
from oxbot.app.fleet_switch import FleetIncomplete
from oxbot.app.new_bot import UnknownSymbol
from oxbot.app.projections import PositionNotReached
from oxbot.app.tree import TreeUnusable
from oxbot.app.venue import VenueUnfit
from oxbot.app.venue_accounts import InvalidAccount, KeysNotStored, UnknownAccount
from oxbot.core.bot import CommandRefused
from oxbot.core.candles import UnknownTimeframe
from oxbot.core.creation import InvalidCommand
from oxbot.core.risk import InvalidLimits
from oxbot.core.sizing import InvalidSizing
from oxbot.core.strategy import InvalidParameter, UnknownStrategy

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2

_log = structlog.get_logger(__name__)


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was not answered as asked; ``type`` is stable, ``detail`` is for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str


class Problem(OxbotError):
    """A request that ends with an error; the text is shown to whoever made it."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})


class _Meaning(NamedTuple):
    status: int
    kind: str
    detail: str | None = None


_AWAY = "the database does not answer; try again in a moment"

_ARCHIVED = "this is archived, and the archive is not as it should be; the operator must look"

_MEANINGS: dict[type[OxbotError], _Meaning] = {
    UnknownBot: _Meaning(404, "unknown-bot"),
    UnknownAccount: _Meaning(404, "unknown-account"),
    UnknownPosition: _Meaning(404, "unknown-position"),
    NotSealed: _Meaning(409, "not-sealed"),
    TreeUnusable: _Meaning(409, "not-provable"),
    BelowFloor: _Meaning(410, "below-floor"),
    PositionNotReached: _Meaning(504, "position-not-reached"),
    CommandRefused: _Meaning(409, "command-refused"),
    WrongExpectedVersion: _Meaning(409, "conflict", "somebody else changed it at the same time; try again"),
    KeysNotStored: _Meaning(503, "keys-not-stored"),
    InvalidAccount: _Meaning(422, "invalid-account"),
    VenueUnfit: _Meaning(422, "unfit-venue"),
    InvalidCommand: _Meaning(422, "invalid-command"),
    InvalidLimits: _Meaning(422, "invalid-limits"),
    InvalidSizing: _Meaning(422, "invalid-sizing"),
    InvalidParameter: _Meaning(422, "invalid-parameter"),
    UnknownStrategy: _Meaning(422, "unknown-strategy"),
    UnknownSymbol: _Meaning(422, "unknown-symbol"),
    UnknownTimeframe: _Meaning(422, "unknown-timeframe"),
    FleetIncomplete: _Meaning(503, "fleet-incomplete"),
    SignInRefused: _Meaning(401, "sign-in-refused"),
    PasswordsBusy: _Meaning(503, "busy"),
    StoreUnavailable: _Meaning(503, "unavailable", _AWAY),
    LogUnavailable: _Meaning(503, "unavailable", _AWAY),
    CredentialsUnavailable: _Meaning(503, "unavailable", _AWAY),
    ArchiveMissing: _Meaning(503, "archive-unavailable", _ARCHIVED),
    ArchiveDamaged: _Meaning(503, "archive-unavailable", _ARCHIVED),
}
"""What the errors of the use cases are over HTTP; without a detail of its own, an error's text is shown."""


def problem_response(scope: Scope, problem: Problem, *, kind: str | None = None) -> Response:
    """The problem as a response to the request of this scope."""
    title = _TITLES.get(problem.status) or HTTPStatus(problem.status).phrase
    details = ProblemDetails(
        type=f"urn:oxbot:problem:{kind or title.lower().replace(' ', '-')}",
        title=title,
        status=problem.status,
        detail=str(problem),
        instance=quote(scope["path"]),
        request_id=scope["state"]["request_id"],
    )
    return Response(msgspec.json.encode(details), problem.status, _headers(problem), MEDIA_TYPE)


async def answer_error(request: Request, error: Exception) -> Response:
    """The response to an error that has a meaning over HTTP; any other is raised again, as the bug it is."""
    if isinstance(error, Problem):
        return problem_response(request.scope, error)
    if isinstance(error, HTTPException):
        detail = _HTTP_DETAILS.get(error.status_code, error.detail)
        return problem_response(request.scope, Problem(error.status_code, detail, headers=error.headers))
    if isinstance(error, OxbotError):
        meaning = next((_MEANINGS[kind] for kind in type(error).__mro__ if kind in _MEANINGS), None)
        if meaning is not None:
            return problem_response(
                request.scope, Problem(meaning.status, meaning.detail or str(error)), kind=meaning.kind
            )
    raise error


async def answer_bug(request: Request, error: Exception) -> Response:
    """The response to an error that nothing expected: logged with its traceback, shown without anything of it."""
    request_id = request.scope.setdefault("state", {}).setdefault("request_id", "")
    _log.error("request_failed", request_id=request_id, method=request.method, exc_info=error)
    problem = Problem(500, "something went wrong here; the log has it under this request id")
    response = problem_response(request.scope, problem)
    # This answers outside of all other middleware, so the headers that every response has are set here.
    response.headers.update({**SECURITY_HEADERS, "x-request-id": request_id})
    return response


# Python's own phrases for these changed between versions.
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
_HTTP_DETAILS = {
    404: "there is nothing at this path",
    405: "this path does not take that method",
}


def _headers(problem: Problem) -> dict[str, str]:
    headers = dict(problem.headers)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers.setdefault("WWW-Authenticate", "Bearer")
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("Retry-After", str(RETRY_SECONDS))
    return headers
