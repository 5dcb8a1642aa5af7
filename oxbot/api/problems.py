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
from events.errors import (
    Backpressure,
    BelowFloor,
    LogUnavailable,
    OxbotError,
    StoreUnavailable,
    StreamClosed,
    WrongExpectedVersion,
)
from oxbot.api.headers import response_headers
from oxbot.app.accounts import (
    CredentialsUnavailable,
    LastAdmin,
    PasswordsBusy,
    SignInRefused,
    UnknownUser,
    UsernameTaken,
    WeakPassword,
)
from oxbot.app.api_tokens import InvalidApiToken, UnknownApiToken
from oxbot.app.audit_proof import NotSealed, UnknownPosition
from oxbot.app.bodies import BodyMissing
from oxbot.app.bots import UnknownBot
from oxbot.app.evidence import UnknownRecord
from oxbot.app.fleet_switch import FleetIncomplete
from oxbot.app.live_stream import PositionAhead
from oxbot.app.log_pages import UnknownStream
from oxbot.app.new_bot import UnknownSymbol
from oxbot.app.past import BrokenPast
from oxbot.app.past_bots import TooManyBots
from oxbot.app.pinned_log import VersionMoved
from oxbot.app.projections import PositionNotReached
from oxbot.app.sessions import RefreshRefused
from oxbot.app.tree import TreeUnusable
from oxbot.app.venue import VenueUnfit
from oxbot.app.venue_accounts import InvalidAccount, KeysNotStored, UnknownAccount
from oxbot.core.account import AccountRefused, InvalidUsername
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
    """Why a request was not answered as asked; ``type`` is stable, ``detail`` is for people.

    ``actual_version`` is that of the bot, or other thing, that a command was refused for.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    actual_version: int | msgspec.UnsetType = msgspec.UNSET


class Problem(OxbotError):
    """A request that ends with an error; the text is shown to whoever made it. ``kind`` is in the problem's type."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        kind: str | None = None,
        actual_version: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})
        self.kind = kind
        self.actual_version = actual_version


class _Meaning(NamedTuple):
    status: int
    kind: str
    detail: str | None = None


_AWAY = "the database does not answer; try again in a moment"

_ARCHIVED = "this is archived, and the archive is not as it should be; the operator must look"

_MEANINGS: dict[type[OxbotError], _Meaning] = {
    UnknownBot: _Meaning(404, "unknown-bot"),
    UnknownAccount: _Meaning(404, "unknown-account"),
    UnknownStream: _Meaning(404, "unknown-stream"),
    UnknownPosition: _Meaning(404, "unknown-position"),
    UnknownRecord: _Meaning(404, "unknown-record"),
    BodyMissing: _Meaning(404, "unknown-record"),
    NotSealed: _Meaning(409, "not-sealed"),
    PositionAhead: _Meaning(409, "position-ahead"),
    BrokenPast: _Meaning(409, "broken-past"),
    TreeUnusable: _Meaning(409, "not-provable"),
    TooManyBots: _Meaning(422, "too-many-bots"),
    BelowFloor: _Meaning(410, "below-floor"),
    PositionNotReached: _Meaning(504, "position-not-reached"),
    CommandRefused: _Meaning(409, "command-refused"),
    VersionMoved: _Meaning(412, "version-moved"),
    WrongExpectedVersion: _Meaning(409, "conflict", "somebody else changed it at the same time; try again"),
    StreamClosed: _Meaning(409, "stream-closed"),
    Backpressure: _Meaning(503, "unavailable", "more is being recorded than the log takes just now; try again"),
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
    RefreshRefused: _Meaning(401, "session-over"),
    UnknownUser: _Meaning(404, "unknown-user"),
    UnknownApiToken: _Meaning(404, "unknown-api-token"),
    UsernameTaken: _Meaning(409, "username-taken"),
    LastAdmin: _Meaning(409, "last-admin"),
    AccountRefused: _Meaning(409, "account-refused"),
    InvalidUsername: _Meaning(422, "invalid-username"),
    WeakPassword: _Meaning(422, "weak-password"),
    InvalidApiToken: _Meaning(422, "invalid-api-token"),
    PasswordsBusy: _Meaning(503, "busy"),
    StoreUnavailable: _Meaning(503, "unavailable", _AWAY),
    LogUnavailable: _Meaning(503, "unavailable", _AWAY),
    CredentialsUnavailable: _Meaning(503, "unavailable", _AWAY),
    ArchiveMissing: _Meaning(503, "archive-unavailable", _ARCHIVED),
    ArchiveDamaged: _Meaning(503, "archive-unavailable", _ARCHIVED),
}
"""What the errors of the use cases are over HTTP; without a detail of its own, an error's text is shown."""


PROBLEM_KINDS = tuple(
    sorted(
        {meaning.kind for meaning in _MEANINGS.values()}
        | {"answer-not-kept", "idempotency-key-reused", "request-under-way", "took-too-long"}
        | {
            "bad-request", "unauthorized", "forbidden", "not-found", "method-not-allowed", "request-timeout",
            "content-too-large", "uri-too-long", "unsupported-media-type", "unprocessable-content", "too-many-requests",
            "internal-server-error",
        }
    )
)  # fmt: skip
"""What a problem's type may end in."""


def problem_response(scope: Scope, problem: Problem, *, kind: str | None = None) -> Response:
    """The problem as a response to the request of this scope."""
    title = TITLES.get(problem.status) or HTTPStatus(problem.status).phrase
    details = ProblemDetails(
        type=f"urn:oxbot:problem:{kind or problem.kind or title.lower().replace(' ', '-')}",
        title=title,
        status=problem.status,
        detail=str(problem),
        instance=quote(scope["path"]),
        request_id=scope["state"]["request_id"],
        actual_version=msgspec.UNSET if problem.actual_version is None else problem.actual_version,
    )
    return Response(msgspec.json.encode(details), problem.status, _headers(problem), MEDIA_TYPE)


async def answer_error(request: Request, error: Exception) -> Response:
    """The response to an error that has a meaning over HTTP; any other is raised again, as the bug it is."""
    if isinstance(error, Problem):
        return problem_response(request.scope, error)
    if isinstance(error, HTTPException):
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            return _other_method(request, error)
        detail = _HTTP_DETAILS.get(error.status_code, error.detail)
        return problem_response(request.scope, Problem(error.status_code, detail, headers=error.headers))
    problem = problem_of(error) if isinstance(error, OxbotError) else None
    if problem is None:
        raise error
    return problem_response(request.scope, problem)


def problem_of(error: OxbotError) -> Problem | None:
    """What an error of the use cases is to whoever made the request; None for one that is a bug."""
    if isinstance(error, Problem):
        return error
    meaning = next((_MEANINGS[kind] for kind in type(error).__mro__ if kind in _MEANINGS), None)
    if meaning is None:
        return None
    version = getattr(error, "actual", None)
    return Problem(meaning.status, meaning.detail or str(error), kind=meaning.kind, actual_version=version)


async def answer_bug(request: Request, error: Exception) -> Response:
    """The response to an error that nothing expected: logged with its traceback, shown without anything of it."""
    request_id = request.scope.setdefault("state", {}).setdefault("request_id", "")
    _log.error("request_failed", request_id=request_id, method=request.method, exc_info=error)
    problem = Problem(500, "something went wrong here; the log has it under this request id")
    response = problem_response(request.scope, problem)
    # This answers outside of all other middleware, so the headers that every response has are set here.
    response.headers.update(response_headers(request.scope))
    return response


def _other_method(request: Request, error: HTTPException) -> Response:
    """OPTIONS answers what there is; another method that is not there is told so."""
    allowed = {"Allow": ", ".join(sorted({*(error.headers or {}).get("Allow", "").split(", "), "OPTIONS"} - {""}))}
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=allowed)
    return problem_response(request.scope, Problem(error.status_code, _HTTP_DETAILS[405], headers=allowed))


# Python's own phrases for these changed between versions.
TITLES = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}
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
