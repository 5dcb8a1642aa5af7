"""Who may do what: every operation as every role, and everything else as a stranger."""

from typing import get_args

import pytest
from starlette.routing import Route, WebSocketRoute

from events.user import Role
from oxbot.api.operations import Access
from oxbot.api.routes import OPERATIONS, RouteIndex
from tests.api.stage import BOT, Stage, problem

pytestmark = pytest.mark.anyio

RULES: dict[tuple[str, str], Access] = {
    ("GET", "/healthz"): "anyone",
    ("GET", "/readyz"): "anyone",
    ("GET", "/openapi.json"): "viewer",
    ("POST", "/api/v1/sessions"): "anyone",
    ("GET", "/api/v1/me"): "viewer",
    ("GET", "/api/v1/bots"): "viewer",
    ("POST", "/api/v1/bots"): "trader",
    ("GET", "/api/v1/bots/{bot_id}"): "viewer",
    ("POST", "/api/v1/bots/{bot_id}/start"): "trader",
    ("POST", "/api/v1/bots/{bot_id}/pause"): "trader",
    ("POST", "/api/v1/bots/{bot_id}/stop"): "trader",
    ("POST", "/api/v1/bots/{bot_id}/arm"): "admin",
    ("POST", "/api/v1/bots/{bot_id}/disarm"): "admin",
    ("GET", "/api/v1/offered-accounts"): "trader",
    ("GET", "/api/v1/venue-accounts"): "admin",
    ("POST", "/api/v1/venue-accounts"): "admin",
    ("GET", "/api/v1/venue-accounts/{account}"): "admin",
    ("PUT", "/api/v1/venue-accounts/{account}/keys"): "admin",
    ("POST", "/api/v1/venue-accounts/{account}/grant"): "admin",
    ("POST", "/api/v1/venue-accounts/{account}/arm"): "admin",
    ("POST", "/api/v1/venue-accounts/{account}/disarm"): "admin",
    ("POST", "/api/v1/venue-accounts/{account}/kill"): "admin",
    ("POST", "/api/v1/bots/{bot_id}/trading-state"): "trader",
    ("POST", "/api/v1/bots/{bot_id}/deposits"): "trader",
    ("POST", "/api/v1/bots/{bot_id}/withdrawals"): "trader",
    ("POST", "/api/v1/fleet/trading-state"): "admin",
    ("GET", "/api/v1/risk/limits"): "viewer",
    ("GET", "/api/v1/strategies"): "viewer",
    ("GET", "/api/v1/strategies/{strategy}"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/memory"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/portfolio"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/positions"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/orders"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/trades"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/decisions"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/equity"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/advice"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/spending"): "viewer",
    ("GET", "/api/v1/models"): "admin",
    ("GET", "/api/v1/models/{model}/days"): "admin",
    ("GET", "/api/v1/arena"): "viewer",
    ("GET", "/api/v1/portfolios"): "viewer",
    ("GET", "/api/v1/projections"): "viewer",
    ("GET", "/api/v1/stream"): "viewer",
    ("GET", "/api/v1/log/checkpoints"): "viewer",
    ("GET", "/api/v1/log/checkpoints/latest"): "viewer",
    ("GET", "/api/v1/log/events/{position}"): "admin",
    ("GET", "/api/v1/log/events/{position}/proof"): "admin",
    ("GET", "/api/v1/log/events"): "admin",
    ("GET", "/api/v1/log/streams/{stream}"): "admin",
    ("GET", "/api/v1/log/streams/{stream}/events"): "admin",
    ("GET", "/api/v1/sessions"): "viewer",
    ("DELETE", "/api/v1/sessions"): "viewer",
    ("POST", "/api/v1/sessions/refresh"): "anyone",
    ("DELETE", "/api/v1/sessions/current"): "viewer",
    ("DELETE", "/api/v1/sessions/{session_id}"): "viewer",
    ("POST", "/api/v1/me/password"): "viewer",
    ("GET", "/api/v1/tokens"): "viewer",
    ("POST", "/api/v1/tokens"): "viewer",
    ("DELETE", "/api/v1/tokens/{token_id}"): "viewer",
    ("GET", "/api/v1/users"): "admin",
    ("POST", "/api/v1/users"): "admin",
    ("GET", "/api/v1/users/{user_id}"): "admin",
    ("PATCH", "/api/v1/users/{user_id}"): "admin",
    ("PUT", "/api/v1/users/{user_id}/password"): "admin",
    ("POST", "/api/v1/users/{user_id}/erase"): "admin",
    ("GET", "/api/v1/users/{user_id}/sessions"): "admin",
    ("DELETE", "/api/v1/users/{user_id}/sessions"): "admin",
    ("DELETE", "/api/v1/users/{user_id}/sessions/{user_session}"): "admin",
    ("GET", "/api/v1/users/{user_id}/tokens"): "admin",
    ("DELETE", "/api/v1/users/{user_id}/tokens/{user_token}"): "admin",
    ("GET", "/api/v1/bots/{bot_id}/profit"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/performance"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/stats"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/daily"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/weekly"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/monthly"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/count"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/status"): "viewer",
    ("GET", "/api/v1/profit"): "viewer",
    ("GET", "/api/v1/performance"): "viewer",
    ("GET", "/api/v1/stats"): "viewer",
    ("GET", "/api/v1/daily"): "viewer",
    ("GET", "/api/v1/weekly"): "viewer",
    ("GET", "/api/v1/monthly"): "viewer",
    ("GET", "/api/v1/count"): "viewer",
    ("GET", "/api/v1/status"): "viewer",
    ("GET", "/api/v1/overview"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/decisions/{decision_id}"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/advice/{advice_id}/prompt"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/advice/{advice_id}/answer"): "viewer",
    ("GET", "/api/v1/candles"): "viewer",
    ("GET", "/api/v1/venues"): "viewer",
    ("GET", "/api/v1/venues/{venue}/incidents"): "viewer",
    ("GET", "/api/v1/bots/{bot_id}/risk"): "viewer",
    ("GET", "/metrics"): "admin",
    ("POST", "/api/v1/bots/{bot_id}/resume"): "trader",
    ("POST", "/api/v1/bots/{bot_id}/archive"): "trader",
    ("POST", "/api/v1/bots/{bot_id}/forceexit"): "trader",
    ("PUT", "/api/v1/bots/{bot_id}/terms"): "trader",
    ("GET", "/api/v1/alerts"): "viewer",
}
"""Written by hand, so that a change of the table of operations has to be made twice."""

ENDLESS = frozenset({"/api/v1/stream"})
"""What answers without an end has tests of its own of what it answers."""

RANKS: dict[str, int] = {"anyone": 0, "viewer": 1, "trader": 2, "admin": 3}


async def test_every_route_of_the_application_has_a_rule(stage: Stage) -> None:
    routes = [route for route in stage.app.routes if isinstance(route, Route)]
    served = {(method, route.path) for route in routes for method in route.methods or () if method != "HEAD"}

    index, *_, socket = stage.app.routes
    assert [route for route in stage.app.routes if route not in routes] == [index, socket]
    assert isinstance(index, RouteIndex)
    assert isinstance(socket, WebSocketRoute)
    assert socket.path == "/api/v1/stream/ws"
    assert served == set(RULES)
    assert {(one.method, one.path): one.least for one in OPERATIONS} == RULES


@pytest.mark.parametrize("role", [None, *get_args(Role)])
@pytest.mark.parametrize(("method", "path"), RULES)
async def test_every_operation_is_open_to_exactly_those_roles_that_its_rule_names(
    stage: Stage, method: str, path: str, role: Role | None
) -> None:
    needed = RULES[method, path]
    if path in ENDLESS and RANKS[role or "anyone"] >= RANKS[needed]:
        return
    async with stage.client(role) as client:
        response = await client.request(method, path.replace("{bot_id}", BOT), json=None if method == "GET" else {})

    if RANKS[role or "anyone"] >= RANKS[needed]:
        assert response.status_code not in (405, 500)
        assert "needs the role" not in response.text
        assert response.status_code != 401 or RULES[method, path] == "anyone" or path == "/api/v1/me"
    elif role is None:
        assert problem(response, 401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"
    else:
        assert f"needs the role {needed}; yours is {role}" in problem(response, 403, "forbidden")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/docs",
        "/healthz/",
        "/api//v1/bots",
        "/api/v1/sessions/",
        "/api/v1/sessions/x",
        "/api/v1/bots/%2e%2e/sessions",
        "/healthz%2f..%2fapi%2fv1%2fbots",
        "/HEALTHZ",
    ],
)
async def test_a_stranger_learns_nothing_of_any_other_path_or_method(stage: Stage, method: str, path: str) -> None:
    async with stage.client() as client:
        response = await client.request(method, path)

    assert response.status_code == 401


@pytest.mark.parametrize(("method", "path"), [("POST", "/healthz"), ("PUT", "/api/v1/sessions")])
async def test_a_public_path_is_public_for_its_own_method_only(stage: Stage, method: str, path: str) -> None:
    async with stage.client() as stranger, stage.client("viewer") as viewer:
        assert (await stranger.request(method, path)).status_code == 401
        assert problem(await viewer.request(method, path), 405, "method-not-allowed")


async def test_somebody_who_is_signed_in_sees_that_a_path_does_not_exist(stage: Stage) -> None:
    async with stage.client("viewer") as client:
        assert problem(await client.get("/api/v1/nothing"), 404, "not-found") == "there is nothing at this path"


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic YWRtaW46YWRtaW4=", "Bearer x.y.z", "Bearer é", "Bearer " + "a" * 5000],
)
async def test_a_header_that_holds_no_token_is_a_stranger(stage: Stage, authorization: str) -> None:
    async with stage.client() as client:
        response = await client.get("/api/v1/bots", headers={b"Authorization": authorization.encode()})

    assert problem(response, 401, "unauthorized")


async def test_two_authorization_headers_are_a_stranger(stage: Stage) -> None:
    async with stage.client("admin") as client:
        given = client.headers["authorization"]
        response = await client.get("/api/v1/bots", headers=[("Authorization", given), ("Authorization", "Bearer x")])

    assert problem(response, 401, "unauthorized")
