"""The one table of everything the API does, and the routes made from it."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from oxbot.api import (
    advice,
    alerts,
    api_tokens,
    arena,
    bots,
    candles,
    capital,
    equity,
    evidence,
    fleet,
    health,
    log,
    log_pages,
    memory,
    metrics,
    models,
    openapi,
    portfolios,
    projections,
    reports,
    risk,
    sessions,
    strategies,
    stream,
    trading_state,
    users,
    venue_accounts,
    venues,
)
from oxbot.api.operations import Operation
from oxbot.api.stream_socket import SOCKET_PATH, StreamSockets

OPERATIONS: tuple[Operation, ...] = (
    *health.OPERATIONS,
    *metrics.OPERATIONS,
    *openapi.OPERATIONS,
    *sessions.OPERATIONS,
    *api_tokens.OPERATIONS,
    *users.OPERATIONS,
    *bots.OPERATIONS,
    *trading_state.OPERATIONS,
    *venue_accounts.OPERATIONS,
    *capital.OPERATIONS,
    *portfolios.OPERATIONS,
    *memory.OPERATIONS,
    *advice.OPERATIONS,
    *models.OPERATIONS,
    *arena.OPERATIONS,
    *equity.OPERATIONS,
    *reports.OPERATIONS,
    *fleet.OPERATIONS,
    *evidence.OPERATIONS,
    *candles.OPERATIONS,
    *venues.OPERATIONS,
    *risk.OPERATIONS,
    *strategies.OPERATIONS,
    *log.OPERATIONS,
    *log_pages.OPERATIONS,
    *stream.OPERATIONS,
    *projections.OPERATIONS,
    *alerts.OPERATIONS,
)


def open_to_anyone() -> set[tuple[str, str]]:
    """Methods and paths that need no token, or ask for it themselves."""
    return {(one.method, one.path) for one in OPERATIONS if one.least == "anyone"} | {("WEBSOCKET", SOCKET_PATH)}


def routes() -> list[BaseRoute]:
    """One route per path, which answers every method that the table has for it, and one for the WebSocket."""
    by_path: dict[str, dict[str, Operation]] = defaultdict(dict)
    for one in OPERATIONS:
        by_path[one.path][one.method] = one
    found = [
        Route(path, _endpoint(by_method), methods=sorted(by_method), name=path) for path, by_method in by_path.items()
    ]
    return [RouteIndex(found), *found, WebSocketRoute(SOCKET_PATH, StreamSockets().serve, name=SOCKET_PATH)]


class RouteIndex(BaseRoute):
    """Finds the route of a path by its length and its last segment, where all of them would be tried in turn.

    What it finds nothing for is left to the routes behind it.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._by_end: dict[tuple[int, str], list[Route]] = defaultdict(list)
        for route in routes:
            segments = route.path.split("/")
            self._by_end[len(segments), "" if "{" in segments[-1] else segments[-1]].append(route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """The route whose path and method the request has."""
        if scope["type"] == "http":
            segments = scope["path"].split("/")
            for end in (segments[-1], ""):
                for route in self._by_end.get((len(segments), end), ()):
                    match, child = route.matches(scope)
                    if match is Match.FULL:
                        return match, {**child, "route_found": route}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the route that was found answer."""
        found: Route = scope["route_found"]
        await found.handle(scope, receive, send)


def _endpoint(by_method: dict[str, Operation]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        one = by_method["GET" if request.method == "HEAD" else request.method]
        request.state.operation = one.name
        response = await one.run(request)
        if request.method != "HEAD":
            return response
        return Response(status_code=response.status_code, headers=dict(response.headers))

    return endpoint
