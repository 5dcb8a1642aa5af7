"""Nobody gets past here without a valid token, except to the few operations that are for anyone."""

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from oxbot.api.headers import asked
from oxbot.api.problems import Problem, problem_response
from oxbot.api.services import Services
from oxbot.api.tokens import InvalidToken, SignedIn
from oxbot.app.api_tokens import PREFIX, Bearer


class Gate:
    """Finds out who makes a request, and refuses strangers before anything looks whether the path exists.

    ``open_to_anyone`` holds methods and exact paths. A WebSocket is refused unless its path is there under the method
    ``WEBSOCKET``: what answers there asks for a token itself.
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
            if ("WEBSOCKET", scope["path"]) in self._open_to_anyone:
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        user = await identify(scope)
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if user is None and (method, scope["path"]) not in self._open_to_anyone:
            refusal = problem_response(scope, Problem(401, "sign in and send the access token as a bearer token"))
            await refusal(scope, receive, send)
            return
        scope["state"]["user"] = user
        await self._app(scope, receive, send)


async def identify(scope: Scope) -> SignedIn | None:
    """Who makes the request: by an access token that was not called back, or by an API token; None for a stranger.

    Raises ``CredentialsUnavailable`` or ``LogUnavailable`` if nobody can say just now what an API token is good for.
    """
    given = asked(scope, b"authorization")
    if len(given) != 1:
        return None
    scheme, _, token = given[0].partition(" ")
    if scheme.lower() != "bearer":
        return None
    return await bearer(scope["app"].state.services, token.strip())


async def bearer(services: Services, token: str) -> SignedIn | None:
    """Who the token is of, if it is good. Raises as ``identify``."""
    if token.startswith(PREFIX):
        found = await services.api_tokens.verify(token)
        return None if found is None else _by_api_token(found)
    try:
        user = services.tokens.verify(token)
    except InvalidToken:
        return None
    return user if services.revocations.allows(user.user_id, user.version, user.means) else None


def _by_api_token(found: Bearer) -> SignedIn:
    return SignedIn(
        found.user_id,
        found.role,
        version=found.version,
        scopes=found.scopes,
        token_id=found.token_id,
        expires_at=found.expires_at,
    )
