"""The public side of the exchange: REST under /api/v5 and WebSockets under /ws/v5, over aiohttp."""

import asyncio
import time
from collections.abc import Mapping, Sequence

import msgspec
from aiohttp import WSMsgType, web

from oxbot.exchange import rest_account, rest_algo, rest_public, rest_trade
from oxbot.exchange.auth import Caller, SignedRequest, caller_of_request
from oxbot.exchange.calls import Calls, Outcome, Request
from oxbot.exchange.faults import HTML, Fault
from oxbot.exchange.operations import Operations
from oxbot.exchange.rest import Endpoint
from oxbot.exchange.sessions import Close, Hub, Session
from oxbot.exchange.wire import ApiError, Params, Reply, decoded_body, many, one

BODY_BYTES_MAX = 1_000_000
JSON = "application/json"
PATHS = ("public", "private", "business")

ENDPOINTS: Mapping[tuple[str, str], Endpoint] = {
    (row.method, row.path): row
    for row in (*rest_public.ENDPOINTS, *rest_account.ENDPOINTS, *rest_trade.ENDPOINTS, *rest_algo.ENDPOINTS)
}

_ENCODER = msgspec.json.Encoder()


class PublicSide:
    """Handlers of the two kinds of requests. A session that is silent for ``silence_seconds`` is dropped."""

    def __init__(self, calls: Calls, hub: Hub, operations: Operations, *, silence_seconds: float) -> None:
        self._calls = calls
        self._hub = hub
        self._operations = operations
        self._silence_seconds = silence_seconds

    def application(self) -> web.Application:
        """To be served."""
        application = web.Application(client_max_size=BODY_BYTES_MAX)
        application.router.add_route("*", "/api/v5/{path:.+}", self.rest)
        application.router.add_get("/ws/v5/{path}", self.socket)
        return application

    async def rest(self, request: web.Request) -> web.StreamResponse:
        """One REST request."""
        came = time.time_ns() // 1000
        if self._calls.out:
            return _dropped(request)
        path = request.match_info["path"]
        endpoint = ENDPOINTS.get((request.method, path))
        name = f"{request.method} {path}"
        self._calls.counters.asked(name, now_ms=self._calls.clocks.server_ms())
        if endpoint is None:
            return _page(404, "404 Not Found")
        try:
            wanted = await self._understood(request, endpoint)
        except ApiError as error:
            reply = Reply([], error.code, error.message, error.status)
            self._calls.count(name, reply)
            return _json(reply, came)
        return await self._sent(request, await self._calls.answer(wanted), came)

    async def _understood(self, request: web.Request, endpoint: Endpoint) -> Request:
        """Who asks, and for what."""
        body = await request.read()
        caller: Caller | None = None
        if endpoint.permission is not None:
            caller = caller_of_request(
                self._calls.floor.exchange,
                request.headers,
                SignedRequest(request.method, request.raw_path, body),
                server_ms=self._calls.clocks.server_ms(),
            )
        rows: Sequence[Params]
        if endpoint.method == "GET":
            rows = [rest_public.params_of(request.query)]
        elif endpoint.rows_max:
            rows = many(decoded_body(body))
            if not 1 <= len(rows) <= endpoint.rows_max:
                raise ApiError("51111", f"Maximum {endpoint.rows_max} orders can be placed in bulk")
        else:
            rows = [one(decoded_body(body))]
        expires = Params({"expTime": request.headers.get("expTime", "")}).whole("expTime")
        return Request(endpoint.name, endpoint, rows[0], rows, caller, request.remote or "", expires)

    async def _sent(self, request: web.Request, outcome: Outcome, came: int) -> web.StreamResponse:
        if outcome.fault is None:
            return _dropped(request) if outcome.reply is None else _json(outcome.reply, came)
        return await self._spoilt(request, outcome.fault, outcome.reply, came)

    async def _spoilt(self, request: web.Request, fault: Fault, reply: Reply | None, came: int) -> web.StreamResponse:
        match fault.kind:
            case "http":
                status = fault.status or 502
                return _page(status, f"{status} from a fault")
            case "html":
                return _page(200, "Please wait")
            case "hang":
                await self._calls.wait(fault.seconds)
            case "truncate":
                return await _truncated(request, _json(reply or Reply([]), came))
            case _:
                pass
        return _dropped(request)

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """One WebSocket connection, from its beginning to its end."""
        path = request.match_info["path"]
        if path not in PATHS:
            return _page(404, "404 Not Found")
        if self._calls.out:
            return _dropped(request)
        self._calls.counters.asked(f"WS /{path}", now_ms=self._calls.clocks.server_ms())
        demo = request.query.get("brokerId") == "9999" or request.headers.get("x-simulated-trading") == "1"
        socket = web.WebSocketResponse(autoping=True, max_msg_size=BODY_BYTES_MAX)
        await socket.prepare(request)
        session = Session(path, address=request.remote or "", demo=demo, push_faults=self._calls.push_faults)
        self._hub.add(session)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._drop_silent(session), name="silence")
                writer = tasks.create_task(_write(request, socket, session), name="writer")
                reader = tasks.create_task(self._read(socket, session), name="reader")
                await asyncio.wait([writer, reader], return_when=asyncio.FIRST_COMPLETED)
                raise _SocketEnded
        except* (_SocketEnded, ConnectionError):
            pass
        finally:
            self._hub.remove(session)
        return socket

    async def _read(self, socket: web.WebSocketResponse, session: Session) -> None:
        """Messages are begun in the order in which they come; orders, which wait for the journal, beside each other."""
        async with asyncio.TaskGroup() as heard:
            async for message in socket:
                session.last_active = asyncio.get_running_loop().time()
                if message.type is WSMsgType.TEXT:
                    heard.create_task(self._operations.hear(session, message.data))

    async def _drop_silent(self, session: Session) -> None:
        loop = asyncio.get_running_loop()
        while True:
            left = session.last_active + self._silence_seconds - loop.time()
            if left <= 0:
                session.close(4004, f"No data received in {self._silence_seconds:g}s")
                return
            await asyncio.sleep(left)


class _SocketEnded(Exception):
    """Either side of a connection has ended, so the other has to."""


async def _write(request: web.Request, socket: web.WebSocketResponse, session: Session) -> None:
    while True:
        message = await session.outbox.get()
        if isinstance(message, Close):
            if message.code is None:
                _abort(request)
            else:
                await socket.close(code=message.code, message=message.reason.encode())
            return
        await socket.send_str(message)


def _json(reply: Reply, came: int) -> web.Response:
    body: dict[str, object] = {"code": reply.code, "msg": reply.message, "data": reply.data}
    if reply.timed:
        body |= {"inTime": str(came), "outTime": str(time.time_ns() // 1000)}
    return web.Response(body=_ENCODER.encode(body), status=reply.status, content_type=JSON)


def _page(status: int, title: str) -> web.Response:
    return web.Response(text=HTML.format(title), status=status, content_type="text/html")


async def _truncated(request: web.Request, whole: web.Response) -> web.StreamResponse:
    body = bytes(whole.body) if isinstance(whole.body, bytes | bytearray) else b""
    half = web.StreamResponse(headers={"Content-Type": JSON, "Content-Length": str(len(body))})
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half


def _dropped(request: web.Request) -> web.Response:
    _abort(request)
    return web.Response()


def _abort(request: web.Request) -> None:
    transport = request.transport
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
