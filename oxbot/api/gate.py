"""Nobody gets past here without a valid token, except to the few operations that are for anyone."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from oxbot.api.problems import Problem, problem_response
from oxbot.api.services import Services
from oxbot.api.tokens import InvalidToken, SignedIn


class Gate:
    """Finds out who makes a request, and refuses strangers before anything looks whether the path exists.

    ``open_to_anyone`` holds methods and exact paths. WebSockets are refused.
    """

    def __init__(self, app: ASGIApp, open_to_anyone: Collection[tuple[str, str]]) -> None:
        self._app = app
        self._open_to_anyone = frozenset(open_to_anyone)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it with 401."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        user = _identify(scope)
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if user is None and (method, scope["path"]) not in self._open_to_anyone:
            refusal = problem_response(scope, Problem(401, "sign in and send the access token as a bearer token"))
            await refusal(scope, receive, send)
            return
        scope["state"]["user"] = user
        await self._app(scope, receive, send)


def _identify(scope: Scope) -> SignedIn | None:
    services: Services = scope["app"].state.services
    given = Headers(scope=scope).getlist("authorization")
    if len(given) != 1:
        return None
    scheme, _, token = given[0].partition(" ")
    if scheme.lower() != "bearer":
        return None
    try:
        return services.tokens.verify(token.strip())
    except InvalidToken:
        return None
