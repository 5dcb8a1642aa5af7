"""A server that answers as a test scripts it, so that real ccxt can be shown every reply an exchange may give."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiohttp import web

from oxbot.adapters.ccxt_urls import VenueAddresses
from oxbot.adapters.ccxt_venue import open_ccxt_venue
from oxbot.adapters.venue_credentials import VenueCredentials
from oxbot.app.clock import SystemClock
from oxbot.app.venue import Venue
from oxbot.config import Secret

SECRETS = ("planted-key-4be1", "planted-secret-77ac", "planted-pass-09d2")
CREDENTIALS = VenueCredentials(api_key=Secret(SECRETS[0]), secret=Secret(SECRETS[1]), password=Secret(SECRETS[2]))

INSTRUMENTS = {
    "SPOT": {"instId": "BTC-USDT", "baseCcy": "BTC", "quoteCcy": "USDT", "tickSz": "0.1", "lotSz": "0.00001"},
    "SWAP": {
        "instId": "BTC-USDT-SWAP",
        "instFamily": "BTC-USDT",
        "uly": "BTC-USDT",
        "settleCcy": "USDT",
        "ctVal": "0.01",
        "ctMult": "1",
        "ctValCcy": "BTC",
        "ctType": "linear",
        "tickSz": "0.1",
        "lotSz": "0.1",
    },
}


class Asked(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: object


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ScriptedOkx:
    """Answers in turn what was scripted for a path, the last of it for ever."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._script: dict[str, list[Answer]] = defaultdict(list)
        self.says("account/config", ok({"posMode": "net_mode", "acctLv": "2"}))

    def says(self, path: str, *answers: Answer) -> None:
        """From now on, answer so."""
        self._script[path] = list(answers)

    def sent(self, path: str) -> list[Asked]:
        """What arrived for a path."""
        return [asked for asked in self.asked if asked.path == path]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Note the request and answer it."""
        path = request.path.removeprefix("/api/v5/")
        text = await request.text()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(Asked(request.method, path, dict(request.query), headers, json.loads(text) if text else None))
        if path == "public/instruments":
            kind = request.query["instType"]
            return web.json_response({"code": "0", "msg": "", "data": [_instrument(kind)]})
        answers = self._script[path]
        if not answers:
            return web.Response(status=404, text="nothing was scripted")
        return await (answers.pop(0) if len(answers) > 1 else answers[0])(request)


def _instrument(kind: str) -> dict[str, str]:
    return {"instType": kind, "minSz": "0.00001", "state": "live", "lever": "10", "listTime": "1", **INSTRUMENTS[kind]}


def ok(*rows: Mapping[str, object]) -> Answer:
    """Yes, with these rows."""
    return reply({"code": "0", "msg": "", "data": [dict(row) for row in rows]})


def code(number: str, *, http: int = 200) -> Answer:
    """No, by the envelope."""
    return reply({"code": number, "msg": "no", "data": []}, http=http)


def scode(number: str) -> Answer:
    """No, by the row."""
    return reply({"code": "1", "msg": "", "data": [{"ordId": "", "clOrdId": "", "sCode": number, "sMsg": "no"}]})


def reply(content: object, *, http: int = 200) -> Answer:
    """A JSON reply."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(content, status=http)

    return answer


def html(http: int = 200) -> Answer:
    """What a proxy in between says; it repeats the request's headers, as some do."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=http, text=f"<html>{dict(request.headers)}</html>", content_type="text/html")

    return answer


def dropped() -> Answer:
    """The connection ends without a reply."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    return answer


def truncated() -> Answer:
    """The reply ends in the middle."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"code":"0","data":[')
        if request.transport is not None:
            request.transport.abort()
        return response

    return answer


def silent(released: asyncio.Event) -> Answer:
    """No reply comes."""

    async def answer(_: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    return answer


@asynccontextmanager
async def serving(okx: ScriptedOkx) -> AsyncIterator[VenueAddresses]:
    """Serve it on a free port of this machine."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", okx.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield VenueAddresses(rest=f"http://127.0.0.1:{port}", ws=f"ws://127.0.0.1:{port}")
    finally:
        await runner.cleanup()


@asynccontextmanager
async def opened(okx: ScriptedOkx, *, demo: bool = False, timeout_seconds: float = 5.0) -> AsyncIterator[Venue]:
    """Our account there."""
    async with (
        serving(okx) as addresses,
        open_ccxt_venue(
            "okx", CREDENTIALS, clock=SystemClock(), demo=demo, addresses=addresses, timeout_seconds=timeout_seconds
        ) as venue,
    ):
        yield venue
