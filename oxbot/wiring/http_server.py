"""The server under the API: TLS, and connections that must say what they want, and take the answer, in time."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import h11
import msgspec
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from events.errors import OxbotError

HEAD_SECONDS = 10.0
"""How long the head of a request may take to arrive."""

STALLED_SECONDS = 30.0
"""How long a client may take nothing of an answer that waits for it."""

KEEP_ALIVE_SECONDS = 15
CONNECTIONS_MAX = 2000
HEAD_BYTES_MAX = 32 * 1024
SOCKET_MESSAGE_BYTES_MAX = 64 * 1024
SOCKET_PING_SECONDS = 20.0
"""How often the client of a WebSocket is asked whether it is there, and how long it may take to say so."""

SHUTDOWN_SECONDS = 10
"""How long requests that are under way are waited for in the end."""


class CannotListen(OxbotError):
    """The address is taken, or not one of this machine, or must not be listened on as things are."""


class TlsFiles(NamedTuple):
    """A certificate with its chain, and its key, in PEM."""

    certificate: Path
    key: Path


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that waits for nobody without end; what is no HTTP is answered as a problem."""

    head_seconds = HEAD_SECONDS
    stalled_seconds = STALLED_SECONDS
    connections_max = CONNECTIONS_MAX
    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in what it overrides
        """Begin to wait for a request, unless there are too many who do."""
        super().connection_made(transport)
        if len(self.connections) > self.connections_max:
            transport.abort()
        else:
            self._await_head()

    def data_received(self, data: bytes) -> None:
        """Wait on for the rest of a head; a request has all the time that the application gives it."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._await_head()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        self._resumed()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client takes nothing more just now."""
        super().pause_writing()  # type: ignore[no-untyped-call,unused-ignore]  # untyped in some versions
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self.stalled_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()  # type: ignore[no-untyped-call,unused-ignore]  # untyped in some versions
        self._resumed()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(400, "Bad Request", msg)

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._give_up)

    def _give_up(self) -> None:
        self._head_timer = None
        self._refuse(408, "Request Timeout", f"no request arrived within {self.head_seconds:g} s")

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _resumed(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _refuse(self, status: int, title: str, detail: str) -> None:
        self._stop_waiting()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            kind = title.lower().replace(" ", "-")
            problem = {"type": f"urn:oxbot:problem:{kind}", "title": title, "status": status, "detail": detail}
            body = msgspec.json.encode(problem)
            headers = [
                (b"content-type", b"application/problem+json"),
                (b"content-length", str(len(body)).encode()),
                (b"cache-control", b"no-store"),
                (b"x-content-type-options", b"nosniff"),
                (b"connection", b"close"),
            ]
            for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class EndingServer(uvicorn.Server):
    """A server that says when it begins to end, so that answers that would go on for ever do not."""

    def __init__(self, config: uvicorn.Config, ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._ending = ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, once everybody who has to know does."""
        self._ending()
        await super().shutdown(sockets)


def http_server(
    app: Callable[..., Awaitable[None]],
    *,
    tls: TlsFiles | None,
    protocol: type[PatientProtocol] = PatientProtocol,
    ending: Callable[[], None] = lambda: None,
) -> uvicorn.Server:
    """A server of the application, which calls ``ending`` before it waits for answers that are under way.

    Raises ``CannotListen`` for a certificate or key that cannot be used.
    """
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="websockets-sansio",
        ws_max_size=SOCKET_MESSAGE_BYTES_MAX,
        ws_per_message_deflate=False,
        ws_ping_interval=SOCKET_PING_SECONDS,
        ws_ping_timeout=SOCKET_PING_SECONDS,
        log_level="error",
        access_log=False,
        server_header=False,
        # Who is believed about where a request comes from is the application's to say.
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        ssl_context_factory=None if tls is None else _tls(tls),
    )
    return EndingServer(config, ending)


def listen(host: str, port: int, *, plain: bool) -> socket.socket:
    """A socket that listens there; unless ``plain`` is allowed, on this machine only. Raises ``CannotListen``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    # Else the end of each answer waits 40 ms for the client to acknowledge its beginning. What is accepted inherits it;
    # asyncio would set it, but not on what comes from a socket that was made without naming its protocol.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    address = listener.getsockname()[0]
    if not plain and not ip_address(address).is_loopback:
        listener.close()
        raise CannotListen(
            f"will not listen on {address} without TLS, as others could read tokens and passwords: set "
            "OXBOT_API_TLS_CERT and OXBOT_API_TLS_KEY, or OXBOT_API_PLAIN_HTTP=true where a proxy in front has TLS"
        )
    return listener


def address_of(listener: socket.socket, *, tls: bool) -> str:
    """Where the socket is reached."""
    host, port = listener.getsockname()[:2]
    named = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{named}:{port}"


def _tls(files: TlsFiles) -> Callable[[uvicorn.Config, Callable[[], ssl.SSLContext]], ssl.SSLContext]:
    """What gives the context, which is made here and now, so that what is wrong with it is said first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if files.key.stat().st_mode & 0o007:
            raise CannotListen(f"everybody on this machine may read {files.key}: chmod 600 {files.key}")
        context.load_cert_chain(files.certificate, files.key)
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or error
        raise CannotListen(f"cannot use the certificate {files.certificate} with {files.key}: {reason}") from error
    return lambda _config, _default: context
