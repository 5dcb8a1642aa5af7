"""The API as it is served, against clients that mean harm: slow and long content, tricks with requests, injection."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import msgspec
import pytest
import structlog
from structlog.testing import capture_logs

from oxbot.api.bodies import BODY_BYTES_MAX
from oxbot.api.options import ApiOptions
from oxbot.api.routes import OPERATIONS
from tests.wiring.served import all_of, connected, raw
from tests.wiring.served_api import served_api, signed_in

pytestmark = pytest.mark.anyio

UNLIMITED = ApiOptions(user_requests_per_second=0, address_requests_per_second=0, body_seconds=0.3)
JSON = b"Content-Type: application/json\r\n"


def request(method: str, path: str, token: str, more: bytes = b"") -> bytes:
    """The head of a request, whatever the path is."""
    head = f"{method} {path} HTTP/1.1\r\nHost: oxbot\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
    return head.encode() + more + b"\r\n"


def status(answered: bytes) -> int:
    return int(answered.split(b" ", 2)[1])


async def test_slow_and_oversized_content_is_refused_and_holds_nobody_up(database: str, tmp_path: Path) -> None:
    async with (
        served_api(database, tmp_path, UNLIMITED) as (port, password),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        token = await signed_in(client, password)
        begun = request("POST", "/api/v1/bots", token, JSON + b"Content-Length: 100\r\n") + b"{"
        chunked = request("POST", "/api/v1/bots", token, JSON + b"Transfer-Encoding: chunked\r\n") + b"1\r\n{\r\n"

        async def trickle() -> bytes:
            async with connected(port) as (reader, writer):
                writer.write(chunked)
                answered = asyncio.create_task(all_of(reader))
                while not answered.done():
                    writer.write(b"1\r\n \r\n")
                    await asyncio.sleep(0.02)
                return await answered

        slow = [asyncio.create_task(raw(port, begun)) for _ in range(20)]
        slow += [asyncio.create_task(trickle()) for _ in range(3)]
        assert (await client.get("/api/v1/me")).status_code == 200
        assert [status(answered) for answered in await asyncio.gather(*slow)] == [408] * 23

        announced = JSON + f"Content-Length: {BODY_BYTES_MAX + 1}\r\n".encode()
        part = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
        oversized = [
            request("POST", "/api/v1/bots", token, announced),
            request("POST", "/api/v1/bots", token, JSON + b"Transfer-Encoding: chunked\r\n") + part * 3,
            request("POST", "/api/v1/bots/x/start", token, b"Content-Length: 99999999999999999999\r\n"),
        ]
        assert [status(await raw(port, sent)) for sent in oversized] == [413, 413, 404]
        # Nobody has to have signed in for it.
        stranger = b"POST /api/v1/sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + announced + b"\r\n"
        assert status(await raw(port, stranger)) == 413


async def test_a_request_means_one_thing_whoever_reads_it(database: str, tmp_path: Path) -> None:
    async with (
        served_api(database, tmp_path, UNLIMITED) as (port, password),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        token = await signed_in(client, password)
        me = "/api/v1/me"
        assert status(await raw(port, request("GET", me, token))) == 200
        for path in (
            "/api/v1/./me", "/api/v1/x/../me", "/api/v1//me", "/api/v1/%2e/me", "/api/v1%2fme", "/api/v1/me%00",
            "/api/v1\\me", "/api/v1/me;x=1", "/..%2f..%2fetc/passwd", "/page/..%2f..%2fapp.py", "/page/../app.py",
            "/page/%2e%2e/app.py", "/page//etc/passwd",
        ):  # fmt: skip
            assert status(await raw(port, request("GET", path, token))) in (400, 404), path
        for target in ("http://elsewhere/api/v1/me", "*", "api/v1/me"):
            assert status(await raw(port, request("GET", target, token))) in (400, 401, 404), target
        for more in (
            b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            b"Content-Length: +3\r\n",
            b"Content-Length: 3\r\nContent-Length: 4\r\n",
            b"Transfer-Encoding: gzip, chunked\r\n",
            b"X-A : b\r\n",
        ):
            smuggled = request("POST", "/api/v1/bots", token, JSON + more) + b"0\r\n\r\nGET /api/v1/me HTTP/1.1\r\n\r\n"
            answered = await raw(port, smuggled)
            assert answered.count(b"HTTP/1.1 ") == 1, more
            assert status(answered) in (400, 413, 501), more
        head = await raw(port, request("HEAD", me, token))
        assert status(head) == 200
        assert head.endswith(b"\r\n\r\n")
        forwarded = b"X-Forwarded-Proto: https\r\nX-Forwarded-For: 203.0.113.9\r\n"
        assert b"strict-transport-security" not in await raw(port, request("GET", me, token, forwarded))


NASTY = (
    "'; DROP TABLE accounts.credentials; --",
    "' OR '1'='1",
    "$1; SELECT pg_sleep(10)",
    "%' UNION SELECT password_hash FROM accounts.credentials --",
    '\\"}\n{"event": "forged", "level": "info"}',
    "a\r\nSet-Cookie: x=y\r\n\r\n<html>",
    "\x1b[2J\x1b]0;forged\x07",
    "{0.__class__}${jndi:ldap://x}{{7*7}}%s%n",
    "\u202eforged\u2028\u2029\ufeff",
    "\U0001f4a3" * 20,
    "../../../../etc/passwd",
    "<script>alert(1)</script>",
    "\x00",
)
UNTIL = (datetime.now(UTC) + timedelta(days=1)).isoformat()
GOOD: dict[str, dict[str, object]] = {
    "/api/v1/sessions": {"username": "admin", "password": "wrong"},
    "/api/v1/sessions/refresh": {"refresh_token": "x"},
    "/api/v1/me/password": {"old_password": "x" * 20, "new_password": "y" * 20},
    "/api/v1/tokens": {"name": "script", "scopes": ["read"], "expires_at": UNTIL},
    "/api/v1/users": {"username": "somebody", "password": "a-Password-8213", "role": "viewer"},
    "/api/v1/bots": {"name": "one", "symbols": ["BTC/USDT"], "strategy": "ema_cross", "account": "main", "owner": "x"},
    "/api/v1/venue-accounts": {
        "account": "main",
        "venue": "okx",
        "rest": "http://127.0.0.1:1",
        "ws": "ws://127.0.0.1:1",
    },
}
"""Content with every field of text that there is, in which one after the other is replaced."""


def bodies(path: str, kind: type[msgspec.Struct]) -> list[dict[str, object]]:
    """Content for the operation, each with one nasty text in one place."""
    good = GOOD.get(path, {})
    names = {*good, *kind.__struct_fields__} & {
        *good, "reason", "reference", "name", "owner", "symbols", "parameters", "account", "username", "policy", "state"
    }  # fmt: skip
    base = good or {"amount": "1", "reference": "r", "state": "active", "until": UNTIL, "owner": "x"}
    fitting = {name: value for name, value in base.items() if name in kind.__struct_fields__}
    found = []
    for name in sorted(names):
        # Passwords are slow to check, on purpose.
        for text in NASTY[:: 6 if "password" in good else 1]:
            wrapped: object = {"list": [text], "parameters": {text: text}}.get(name, text)
            found.append({**fitting, name: [text] if name in ("symbols", "scopes") else wrapped})
    return found


async def attacks(client: httpx.AsyncClient, bot: str) -> AsyncIterator[httpx.Response]:
    """What is answered to every text in every place that takes one."""
    for one in OPERATIONS:
        path = one.path.replace("{bot_id}", bot).replace("{account}", "main")
        if one.method == "GET":
            names = [name for name in one.query.__struct_fields__ if name != "limit"]
            for number, name in enumerate(names):
                # Each parameter is there in many operations, so that each text comes to each in one of them.
                for text in (NASTY[(number + len(one.path)) % len(NASTY)], NASTY[-1]):
                    yield await client.get(_filled(path, "none"), params={name: text})
        if "{" in one.path:
            for text in (*NASTY[:2], NASTY[-1]):
                quoted = httpx.URL("/", params={"q": text}).query.decode()[2:]
                yield await client.request(one.method, _filled(one.path, quoted), json={})
        elif (
            one.method != "GET"
            and one.name != "change_password"
            and one.body.__struct_fields__
            and one.least != "anyone"
        ):
            for body in bodies(one.path, one.body):
                yield await client.request(one.method, path, json=body)
    for path in (f"/api/v1/bots/{bot}/pause", f"/api/v1/bots/{bot}/deposits", f"/api/v1/bots/{bot}/trading-state"):
        for text in NASTY:
            yield await client.post(path, json={"reason": text})
            yield await client.post(path, json={"amount": "1", "reference": text})
            yield await client.post(path, json={"state": "active", "reason": text})
    for name in ("Idempotency-Key", "If-Match", "If-None-Match", "X-Request-Id", "User-Agent", "Accept", "Origin"):
        for text in NASTY:
            value = text.encode().replace(b"\r", b"").replace(b"\n", b"").replace(b"\x00", b"")
            yield await client.post(f"/api/v1/bots/{bot}/start", headers=[(name.encode(), value)])


def _filled(path: str, text: str) -> str:
    while "{" in path:
        begin, _, rest = path.partition("{")
        path = f"{begin}{text}{rest.partition('}')[2]}"
    return path


async def test_no_text_in_any_place_is_anything_but_text(database: str, tmp_path: Path) -> None:
    statuses: dict[int, int] = {}
    async with (
        served_api(database, tmp_path, UNLIMITED) as (port, password),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        await signed_in(client, password)
        made = await client.post("/api/v1/bots", json={"name": "one", "symbols": ["BTC/USDT"]})
        with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
            async for answered in attacks(client, made.json()["bot_id"]):
                statuses[answered.status_code] = statuses.get(answered.status_code, 0) + 1
                assert answered.status_code < 500 or answered.status_code == 504, answered.text
                assert answered.headers["content-type"].startswith(("application/", "text/plain", "text/event-stream"))
                assert "set-cookie" not in answered.headers
    connection = await asyncpg.connect(database)
    users = await connection.fetchval("SELECT count(*) FROM accounts.credentials WHERE username = 'admin'")
    await connection.close()

    assert users == 1
    assert statuses[200] + statuses[201] > 20
    assert statuses[400] + statuses[404] + statuses[422] > 500
    render = structlog.processors.JSONRenderer()
    for entry in logs:
        assert entry["event"] != "forged"
        line = str(render(None, "info", dict(entry)))
        assert line.isprintable()
        assert line.isascii()
