"""What the API tells other origins, browsers and proxies, which paths and methods it takes, and how long it waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from structlog.testing import capture_logs

from oxbot.adapters.memory_views import MemorySnapshot, MemoryViews
from oxbot.api.app import create_app
from oxbot.api.headers import PAGE_POLICY, POLICY
from oxbot.api.options import ApiOptions
from tests.api.stage import Stage, problem, running

pytestmark = pytest.mark.anyio

BOTS = "/api/v1/bots"
DESK = "https://desk.example.com"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


def with_options(options: ApiOptions) -> Stage:
    """The API of an installation with these."""
    stage = Stage()
    stage.app = create_app(stage.open_services, options)
    return stage


@pytest.fixture
async def desk() -> AsyncIterator[Stage]:
    """An installation whose API the pages of one other origin may call."""
    async with running(with_options(ApiOptions(allowed_origins=(DESK,)))) as stage:
        yield stage


def cors_headers(response: httpx.Response) -> set[str]:
    return {name for name in response.headers if name.startswith("access-control-")}


async def test_a_page_of_an_allowed_origin_may_ask_and_read(desk: Stage) -> None:
    async with desk.client() as stranger, desk.client("viewer") as viewer:
        preflight = await stranger.options(BOTS, headers={"Origin": DESK, **PREFLIGHT})
        answer = await viewer.get(BOTS, headers={"Origin": DESK})
        refused = await stranger.get(BOTS, headers={"Origin": DESK})

    assert (preflight.status_code, preflight.content) == (204, b"")
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert int(preflight.headers["access-control-max-age"]) > 0
    for response in (preflight, answer, refused):
        assert response.headers["access-control-allow-origin"] == DESK
        assert "access-control-allow-credentials" not in response.headers
        assert "Origin" in response.headers["vary"]
    assert "ETag" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        f"{DESK}.evil.example",
        "http://desk.example.com",
        f"{DESK}:444",
        DESK.upper(),
        "",
    ],
)
async def test_a_page_of_a_strange_origin_is_told_nothing(desk: Stage, origin: str) -> None:
    async with desk.client() as stranger, desk.client("viewer") as viewer:
        preflight = await stranger.options(BOTS, headers={"Origin": origin, **PREFLIGHT})
        answer = await viewer.get(BOTS, headers={"Origin": origin})

    assert problem(preflight, 403, "forbidden")
    assert cors_headers(preflight) == cors_headers(answer) == set()
    assert "Origin" in answer.headers["vary"]


async def test_no_origin_is_allowed_unless_it_is_set(stage: Stage) -> None:
    async with stage.client("viewer") as client:
        preflight = await client.options(BOTS, headers={"Origin": "http://oxbot.test", **PREFLIGHT})
        answer = await client.get(BOTS, headers={"Origin": DESK})

    assert cors_headers(preflight) == cors_headers(answer) == set()


async def test_a_bug_is_readable_to_an_allowed_origin_and_has_all_headers(desk: Stage) -> None:
    desk.views.snapshot = None  # type: ignore[assignment,method-assign]  # whatever: a bug
    async with desk.client("viewer") as client:
        response = await client.get(BOTS, headers={"Origin": DESK})

    assert problem(response, 500, "internal-server-error")
    assert response.headers["access-control-allow-origin"] == DESK
    assert response.headers["content-security-policy"] == POLICY


async def test_options_says_what_a_path_takes(stage: Stage) -> None:
    async with stage.client("viewer") as client:
        there, nowhere = await client.options(BOTS), await client.options("/api/v1/nothing")
        other = await client.request("DELETE", BOTS)

    assert (there.status_code, there.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    assert problem(nowhere, 404, "not-found")
    assert problem(other, 405, "method-not-allowed")
    assert other.headers["allow"] == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"])
async def test_no_header_and_no_query_makes_another_method_of_one(stage: Stage, name: str) -> None:
    async with stage.client("trader") as client:
        by_header = await client.get(f"{BOTS}/x/start", headers={name: "POST"})
        by_query = await client.get(BOTS, params={name: "POST"})

    assert by_header.status_code == 405
    assert by_query.status_code == 400


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "PROPFIND", "get", "X" * 100])
async def test_methods_that_there_are_not_are_405(stage: Stage, method: str) -> None:
    async with stage.client("admin") as client:
        assert problem(await client.request(method.encode(), BOTS), 405, "method-not-allowed")  # type: ignore[arg-type]


TRICKS = [
    b"//api/v1/bots",
    b"/api//v1/bots",
    b"/api/v1/bots/",
    b"/api/v1/%2e%2e/v1/bots",
    b"/api/v1/bots%2f",
    b"/api/v1%2Fbots",
    b"/api/v1/bots%5c",
    b"/api/v1/bots\\x",
    b"/api/v1/bots%00",
    b"/api/v1/bots;admin",
    b"/api/v1/bots%252f..",
    b"/api/v1/BOTS",
    b"/api/v1/bots%20",
    b"/API/v1/bots",
    b"/openapi.json/",
    b"/readyz/..%2fopenapi.json",
]


@pytest.mark.parametrize("path", TRICKS)
async def test_a_path_has_one_spelling(stage: Stage, path: bytes) -> None:
    for role, status in (("admin", 404), (None, 401)):
        async with stage.client(role) as client:  # type: ignore[arg-type]  # as it iterates
            request = client.build_request("GET", "/")
            request.url = request.url.copy_with(raw_path=path)
            assert (await client.send(request)).status_code == status


async def test_an_overlong_target_is_414(stage: Stage) -> None:
    async with stage.client("admin") as client:
        assert problem(await client.get(f"/{'a' * 9000}"), 414, "uri-too-long")
        assert problem(await client.get(BOTS, params={"cursor": "a" * 9000}), 414, "uri-too-long")


async def test_over_tls_browsers_are_told_to_come_back_by_nothing_else(stage: Stage) -> None:
    async with stage.client("viewer") as client:
        plain = await client.get(BOTS)
        over_tls = await client.get(f"https://oxbot.test{BOTS}")

    assert "strict-transport-security" not in plain.headers
    assert over_tls.headers["strict-transport-security"] == "max-age=31536000"


async def test_the_policy_of_the_page_is_not_that_of_data(stage: Stage) -> None:
    async with stage.client("viewer") as client:
        policies = {
            path: (await client.get(path)).headers["content-security-policy"]
            for path in ("/", "/page/none.js", "/page", "/paged", BOTS, "/healthz")
        }

    page = {policies.pop("/"), policies.pop("/page/none.js")}
    assert set(policies.values()) == {POLICY}
    for policy in page:
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert policy.startswith(PAGE_POLICY)


@pytest.mark.parametrize(
    ("trusted", "forwarded", "counted"),
    [
        ((), "203.0.113.9", "192.0.2.1"),
        (("192.0.2.1",), "203.0.113.9", "203.0.113.9"),
        (("192.0.2.0/24",), "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        (("192.0.2.0/24", "198.51.100.0/24"), "1.1.1.1, 203.0.113.9, 198.51.100.7", "203.0.113.9"),
        (("198.51.100.0/24",), "203.0.113.9", "192.0.2.1"),
    ],
)
async def test_a_proxys_word_counts_only_if_the_proxy_is_named(
    trusted: tuple[str, ...], forwarded: str, counted: str
) -> None:
    stage = with_options(ApiOptions(trusted_proxies=trusted, address_requests_per_second=0.1))
    async with running(stage), stage.client() as client:
        first = await client.get("/healthz", headers={"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https"})
        again = await client.get("/healthz", headers={"X-Forwarded-For": counted})
        other = await client.get("/healthz", headers={"X-Forwarded-For": "203.0.113.77"})

    believed = counted != "192.0.2.1"
    assert ("strict-transport-security" in first.headers) is believed
    assert (first.status_code, again.status_code) == (200, 429)
    assert other.status_code == (200 if believed else 429)


class StuckViews(MemoryViews):
    """Views that never answer."""

    @asynccontextmanager
    async def snapshot(self, projection: str = "") -> AsyncIterator[MemorySnapshot]:
        """Wait without end."""
        async with super().snapshot(projection) as views:
            await asyncio.Event().wait()
            yield views


async def test_a_request_that_takes_too_long_is_503_with_a_time_to_come_back() -> None:
    stage = with_options(ApiOptions(request_seconds=0.05))
    stage.views = StuckViews(stage.log)
    async with running(stage), stage.client("viewer") as client:
        with capture_logs() as logs:
            response = await client.get(BOTS)

    assert problem(response, 503, "took-too-long")
    assert response.headers["retry-after"] == "2"
    assert [entry["event"] for entry in logs] == ["request_served"]
