"""The one table of everything the API does, and the routes made from it."""

from collections import defaultdict
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oxbot.api import (
    advice,
    arena,
    bots,
    capital,
    equity,
    health,
    log,
    memory,
    models,
    openapi,
    portfolios,
    projections,
    risk,
    sessions,
    strategies,
    trading_state,
    venue_accounts,
)
from oxbot.api.operations import Operation

OPERATIONS: tuple[Operation, ...] = (
    *health.OPERATIONS,
    *openapi.OPERATIONS,
    *sessions.OPERATIONS,
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
    *risk.OPERATIONS,
    *strategies.OPERATIONS,
    *log.OPERATIONS,
    *projections.OPERATIONS,
)


def open_to_anyone() -> set[tuple[str, str]]:
    """Methods and paths that need no token."""
    return {(one.method, one.path) for one in OPERATIONS if one.least == "anyone"}


def routes() -> list[Route]:
    """One route per path, which answers every method that the table has for it."""
    by_path: dict[str, dict[str, Operation]] = defaultdict(dict)
    for one in OPERATIONS:
        by_path[one.path][one.method] = one
    return [
        Route(path, _endpoint(by_method), methods=sorted(by_method), name=path) for path, by_method in by_path.items()
    ]


def _endpoint(by_method: dict[str, Operation]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await by_method[method].run(request)

    return endpoint
