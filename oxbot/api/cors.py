"""Which pages of other origins may call the API; none unless an installation names them."""

from collections.abc import Sequence

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from oxbot.api.headers import add_answer_header, asked
from oxbot.api.problems import Problem, problem_response

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
REQUEST_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID"
ANSWER_HEADERS = (
    "ETag, Location, Idempotency-Replayed, RateLimit, RateLimit-Policy, Retry-After, X-Lag, X-Position, X-Request-Id"
)
PREFLIGHT_SECONDS = 600


class Cors:
    """Answers preflights, and lets pages of the allowed origins read answers.

    Cookies are not for other origins: nothing allows credentials, so whoever calls from there sends a token of its own.
    """

    def __init__(self, app: ASGIApp, allowed_origins: Sequence[str]) -> None:
        self._app = app
        self._allowed = frozenset(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._allowed:
            add_answer_header(scope, "vary", "Origin")
        origin = next(iter(asked(scope, b"origin")), None)
        if origin is None:
            await self._app(scope, receive, send)
            return
        allowed = origin in self._allowed
        if allowed:
            add_answer_header(scope, "access-control-allow-origin", origin)
            add_answer_header(scope, "access-control-expose-headers", ANSWER_HEADERS)
        if _is_preflight(scope):
            await _preflight(scope, allowed=allowed)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_preflight(scope: Scope) -> bool:
    return scope["method"] == "OPTIONS" and bool(asked(scope, b"access-control-request-method"))


def _preflight(scope: Scope, *, allowed: bool) -> Response:
    if not allowed:
        return problem_response(scope, Problem(403, "pages of this origin may not call the API"))
    headers = {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": REQUEST_HEADERS,
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
    }
    return Response(status_code=204, headers=headers)
