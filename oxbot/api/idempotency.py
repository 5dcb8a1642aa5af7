"""Requests that name themselves by an `Idempotency-Key`: done once, and answered the same however often they come."""

import hashlib
import math
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import UUID

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from events.errors import OxbotError, StoreUnavailable, WrongExpectedVersion
from events.log import EventLog
from oxbot.api.problems import Problem, answer_error
from oxbot.api.services import Services
from oxbot.app.deed_log import DeedLog, bot_of
from oxbot.app.idempotency import Answered, AnswerSeal, Claim, OtherContent, UnderWay
from oxbot.core.account import UserId

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"

_KEY = re.compile(r"[!-~]{1,128}")
_NOT_KEPT = frozenset({408, 425, 429})
_OF_EACH_ANSWER = frozenset({"content-length"})

_log = structlog.get_logger(__name__)

Doing = Callable[[Services], Awaitable[Response]]
_Doing = Callable[[Services, UUID], Awaitable[Response]]


async def once(request: Request, services: Services, do: Doing) -> Response:
    """What ``do`` answers; under a key of its maker's that was used before, what it answered then.

    Raises ``Problem`` 400 for what is no key, 409 for one that is of another request, or of one still under way.
    """
    key, user = _key(request), request.state.user
    if key is None or user is None:
        return await do(services)
    content: bytes = getattr(request.state, "body_digest", b"")

    async def do_it(services: Services, _: UUID) -> Response:
        return await do(services)

    return await _once(request, services, do_it, who=(user.user_id, key), content=content, seal=None)


async def once_sealed(
    request: Request,
    services: Services,
    do: Callable[[UUID | None], Awaitable[Response]],
    *,
    user_id: UserId,
    content: msgspec.Struct | str,
    guessable: bool,
) -> Response:
    """As ``once``, where content or answer are secret: for whom ``user_id`` is by now, and kept under a seal.

    ``do`` is told the deed that a key names: what it makes is named after it, so that a repeat after a crash finds it.
    ``guessable`` says that the content holds what people choose. Raises ``PasswordsBusy`` too.
    """
    key = _key(request)
    if key is None:
        return await do(None)
    text = msgspec.json.encode(content).decode()
    seal = await services.answer_seals.of(user_id, key, text, guessable=guessable)

    async def do_it(_: Services, deed: UUID) -> Response:
        return await do(deed)

    return await _once(request, services, do_it, who=(user_id, key), content=seal.fingerprint, seal=seal)


async def _once(
    request: Request, services: Services, do: _Doing, *, who: tuple[str, str], content: bytes, seal: AnswerSeal | None
) -> Response:
    claimed = await services.idempotency.claim(*who, _digest(request, content))
    if isinstance(claimed, OtherContent):
        raise Problem(409, f"this {HEADER} is that of another request", kind="idempotency-key-reused")
    if isinstance(claimed, UnderWay):
        retry = {"Retry-After": str(max(1, math.ceil(claimed.seconds)))}
        raise Problem(409, "the request of this key is under way", headers=retry, kind="request-under-way")
    if isinstance(claimed, Answered):
        return _again(claimed, seal)
    return await _do(request, services, do, who=who, claim=claimed, seal=seal)


async def _do(
    request: Request, services: Services, do: _Doing, *, who: tuple[str, str], claim: Claim, seal: AnswerSeal | None
) -> Response:
    failure: OxbotError | None = None
    try:
        response = await do(_recognising(services, claim), claim.deed)
    except OxbotError as error:
        # Raised again where it has no meaning over HTTP.
        failure, response = error, await answer_error(request, error)
    if response.status_code >= 500 or response.status_code in _NOT_KEPT or isinstance(failure, WrongExpectedVersion):  # noqa: PLR2004
        with suppress(StoreUnavailable):
            await services.idempotency.release(*who, claim.deed)
        return response
    try:
        await services.idempotency.keep(*who, claim.deed, _answered(response, seal))
    except StoreUnavailable:
        # It is done all the same. A repeat finds what was recorded.
        _log.warning("answer_not_kept", deed=str(claim.deed))
    return response


def _recognising(services: Services, claim: Claim) -> Services:
    """The services for one deed: what they record is recognised as its own, if they are asked for it again."""

    def log_of_deed(log: EventLog) -> EventLog:
        return DeedLog(log, claim.deed, resumed=claim.resumed)

    return services._replace(
        bots=services.bots.over(log_of_deed, new_bot=bot_of(claim.deed), cached=not claim.resumed),
        venue_accounts=services.venue_accounts.over(log_of_deed),
    )


def _key(request: Request) -> str | None:
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    if len(given) > 1 or _KEY.fullmatch(given[0]) is None:
        raise Problem(400, f"{HEADER} is 1 to 128 printable ASCII characters, given once")
    return given[0]


def _digest(request: Request, content: bytes) -> bytes:
    """What makes two requests the same."""
    named = (request.method, request.url.path, request.url.query, request.headers.get("if-match", ""))
    return hashlib.sha256(msgspec.json.encode(named) + content).digest()


def _answered(response: Response, seal: AnswerSeal | None) -> Answered:
    headers = tuple((name, value) for name, value in response.headers.items() if name.lower() not in _OF_EACH_ANSWER)
    body = bytes(response.body)
    if seal is None:
        return Answered(response.status_code, headers, body)
    return Answered(response.status_code, (), seal.close(msgspec.msgpack.encode((headers, body))))


def _again(answered: Answered, seal: AnswerSeal | None) -> Response:
    status, headers, body = answered
    if seal is not None:
        opened = None if body is None else seal.open(body)
        if opened is None:
            raise Problem(
                409, "this was done already, and the key that its answer was kept under is gone", kind="answer-not-kept"
            )
        headers, body = msgspec.msgpack.decode(opened, type=tuple[tuple[tuple[str, str], ...], bytes])
    return Response(body, status, {**dict(headers), REPLAYED: "true"})
