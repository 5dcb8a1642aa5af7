"""What every response has, and what the API says when something is wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
from starlette.types import Message
from structlog.testing import capture_logs

from events.archived import ArchiveMissing
from events.errors import BelowFloor, LogUnavailable
from oxbot.adapters.memory_views import MemorySnapshot, MemoryViews
from oxbot.app.readiness import Check
from tests.api.stage import Stage, json, problem, running

pytestmark = pytest.mark.anyio

BOTS = "/api/v1/bots"
PLAIN = {"Content-Type": "application/json"}


class BrokenViews(MemoryViews):
    """Views that fail as a test wants."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    @asynccontextmanager
    async def snapshot(self, projection: str = "") -> AsyncIterator[MemorySnapshot]:
        """Always fail."""
        del projection
        raise self._error
        yield


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/healthz"), ("GET", BOTS), ("GET", "/nothing"), ("PUT", BOTS), ("POST", BOTS)]
)
async def test_every_response_has_an_id_and_the_security_headers(stage: Stage, method: str, path: str) -> None:
    async with stage.client() as stranger, stage.client("admin") as admin:
        responses = [await client.request(method, path) for client in (stranger, admin, admin)]

    for response in responses:
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert len({response.headers["x-request-id"] for response in responses}) == 3


async def test_a_number_that_is_too_long_for_anything_is_refused_also_of_a_stranger(stage: Stage) -> None:
    """No integer of JSON may be more than what the reader of JSON can hold: it says so instead of breaking."""
    content = b'{"username": %s, "password": "a"}' % (b"9" * 5000)
    async with stage.client() as client:
        response = await client.post("/api/v1/sessions", content=content, headers={"content-type": "application/json"})

    assert problem(response, 422, "unprocessable-content")


async def test_a_bug_is_logged_with_its_traceback_and_shows_nothing_of_itself() -> None:
    stage = Stage()
    stage.views = BrokenViews(ZeroDivisionError("the secret inside"))
    async with running(stage), stage.client("viewer") as client:
        with capture_logs() as logs:
            response = await client.get(BOTS)

    assert problem(response, 500, "internal-server-error")
    for word in ("secret", "ZeroDivision", "Traceback", ".py"):
        assert word not in response.text
    assert response.headers["x-frame-options"] == "DENY"
    [failure] = [entry for entry in logs if entry["event"] == "request_failed"]
    assert isinstance(failure["exc_info"], ZeroDivisionError)
    assert failure["request_id"] == response.headers["x-request-id"]


async def test_an_unreachable_log_is_503_with_a_time_to_come_back_and_no_address() -> None:
    stage = Stage()
    stage.views = BrokenViews(LogUnavailable("no answer from 192.0.2.7"))
    async with running(stage), stage.client("viewer") as client:
        response = await client.get(BOTS)

    assert "192.0.2.7" not in problem(response, 503, "unavailable")
    assert response.headers["retry-after"] == "2"


async def test_each_request_leaves_one_line_in_the_log(stage: Stage) -> None:
    async with stage.client("trader") as client:
        with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
            response = await client.get("/api/v1/nothing%0Aforged")

    [line] = logs
    assert (line["event"], line["status"], line["user_id"]) == ("request_served", 404, "a-trader")
    assert line["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{'name': 1}",
        b"\xff",
        b'{"\xed\xa0\x80": 1}',
        b'{"name": "x", "symbols": ["BTC/USDT"], "parameters": {"a": NaN}}',
    ],
)
async def test_what_is_no_json_is_400(stage: Stage, content: bytes) -> None:
    async with stage.client("trader") as client:
        response = await client.post(BOTS, content=content, headers=PLAIN)

    assert problem(response, 400, "bad-request") == "the body is not valid JSON"


@pytest.mark.parametrize("content", [b'{"zz":' + b"[" * 20_000, b'{"parameters":' + b"[" * 20_000, b"[" * 60_000])
async def test_json_that_is_nested_deeply_is_refused(stage: Stage, content: bytes) -> None:
    async with stage.client("trader") as client:
        response = await client.post(BOTS, content=content, headers=PLAIN)

    assert response.status_code in (400, 422)


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
async def test_a_body_of_another_type_is_415(stage: Stage, media_type: str | None) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    async with stage.client("trader") as client:
        response = await client.post(BOTS, content=b"{}", headers=headers)

    assert problem(response, 415, "unsupported-media-type")


async def test_a_charset_beside_the_type_is_fine(stage: Stage) -> None:
    async with stage.client("trader") as client:
        response = await client.post(BOTS, content=b"{}", headers={"Content-Type": "Application/JSON; charset=utf-8"})

    assert problem(response, 422, "unprocessable-content")


async def _chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * 1024


async def test_a_long_body_is_413_announced_or_not(stage: Stage) -> None:
    async with stage.client("trader") as client:
        announced = await client.post(BOTS, content=b" " * (64 * 1024 + 1), headers=PLAIN)
        streamed = await client.post(BOTS, content=_chunks(65), headers=PLAIN)
        longest = await client.post(BOTS, content=_chunks(64), headers=PLAIN)
        lying = await client.post(BOTS, content=b"{}", headers={**PLAIN, "Content-Length": "9" * 5000})

    assert problem(announced, 413, "content-too-large")
    assert problem(streamed, 413, "content-too-large")
    assert problem(longest, 400, "bad-request")
    assert problem(lying, 413, "content-too-large")


async def test_a_client_that_goes_away_in_the_middle_of_its_body_is_no_bug(stage: Stage) -> None:
    sent: list[Message] = []
    coming: list[Message] = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        return coming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/api/v1/sessions", "query_string": b"", "headers": []}
    with capture_logs() as logs:
        await stage.app(scope, receive, send)

    assert sent[0]["status"] == 400
    assert [entry["event"] for entry in logs] == ["request_served"]


async def test_the_instance_of_a_problem_is_the_path_in_its_safe_form(stage: Stage) -> None:
    async with stage.client("viewer") as client:
        response = await client.get("/api/v1/%3Cscript%3E%0A?token=secret")

    assert json(response)["instance"] == "/api/v1/%3Cscript%3E%0A"


async def test_a_process_is_alive_whatever_is_wrong(stage: Stage) -> None:
    stage.readiness.checks = [Check("database", ok=False, detail="gone")]
    async with stage.client() as client:
        assert (await client.get("/healthz")).status_code == 200


async def test_readiness_follows_its_checks_and_tells_strangers_no_details(stage: Stage) -> None:
    async with stage.client() as stranger, stage.client("viewer") as viewer:
        ready = await stranger.get("/readyz")
        stage.readiness.checks.append(Check("schema", ok=False, detail="lacks 0009"))
        to_stranger, to_viewer = await stranger.get("/readyz"), await viewer.get("/readyz")

    assert (ready.status_code, to_stranger.status_code) == (200, 503)
    assert to_stranger.headers["retry-after"] == "2"
    assert json(to_stranger)["checks"] == [{"name": "database", "ok": True}, {"name": "schema", "ok": False}]
    assert "lacks 0009" in to_viewer.text


async def test_what_the_application_opened_is_closed_when_it_ends() -> None:
    stage = Stage()
    async with running(stage):
        assert not stage.closed

    assert stage.closed


async def test_what_is_archived_is_gone_and_the_floor_is_named() -> None:
    """R17."""
    stage = Stage()
    stage.views = BrokenViews(BelowFloor(3, 50_000_001))
    async with running(stage), stage.client("viewer") as client:
        response = await client.get(BOTS)

    assert "from position 50000001 on" in problem(response, 410, "below-floor")


async def test_an_archive_that_is_away_is_said_to_be_without_its_place() -> None:
    stage = Stage()
    stage.views = BrokenViews(ArchiveMissing(1, 100, "/secret/place"))
    async with running(stage), stage.client("viewer") as client:
        response = await client.get(BOTS)

    assert "the operator must look" in problem(response, 503, "archive-unavailable")
    assert "/secret/place" not in response.text
