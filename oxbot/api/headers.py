"""The headers of every response, and the identity of every request."""

import time
from collections.abc import Collection, Mapping
from functools import cache
from uuid import UUID

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid7

from oxbot.app.correlation import correlated

POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The content security policy of answers that are data: nothing in them may be loaded or run."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's: what this server sends, and nothing inline."""

POLICIES: Mapping[str, str] = {"/": PAGE_POLICY, "/page/": PAGE_POLICY}
"""By path; one that ends in a slash, other than the root, is that of all that begins with it."""

SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

TRANSPORT_SECURITY = "max-age=31536000"
"""Sent over TLS only: a year in which a browser comes back by nothing else."""

PATH_LOGGED_MAX = 200

_log = structlog.get_logger(__name__)


class RequestEnvelope:
    """Gives each request an id, each response its headers, and the log one line about both."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation_id = UUID(bytes=uuid7().bytes)
        request_id = correlation_id.hex
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        started, status = time.perf_counter(), 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = message.get("headers", ())
                message["headers"] = [*own, *_headers({name.lower() for name, _ in own}, scope)]
            await send(message)

        with correlated(correlation_id, request_id=request_id):
            try:
                await self._app(scope, receive, send_with_headers)
            finally:
                _log_request(scope, status, time.perf_counter() - started)


def response_headers(scope: Scope) -> dict[str, str]:
    """What every response to a request of this scope has, unless it says otherwise itself."""
    return {name.decode(): value.decode("latin-1") for name, value in _headers((), scope)}


def asked(scope: Scope, name: bytes) -> list[str]:
    """All values of a header of the request, ``name`` in lower case."""
    return [value.decode("latin-1") for found, value in scope["headers"] if found == name]


def add_answer_header(scope: Scope, name: str, value: str) -> None:
    """Have the response to this request carry a header, whoever answers it; ``name`` in lower case."""
    scope["state"].setdefault("answer_headers", {})[name] = value


def _headers(said: Collection[bytes], scope: Scope) -> list[tuple[bytes, bytes]]:
    """All that is not said already: what every response has, under what this one was given to carry."""
    state = scope["state"]
    added: dict[str, str] = {"x-request-id": state["request_id"], **state.get("answer_headers", {})}
    wanted = dict(_same_for_all(_policy(scope["path"]), secure=scope.get("scheme") == "https"))
    for name, value in added.items():
        wanted[name.encode()] = value.encode("latin-1")
    return [header for header in wanted.items() if header[0] not in said]


@cache
def _same_for_all(policy: str | None, *, secure: bool) -> Mapping[bytes, bytes]:
    """Encoded once: it is most of what is sent."""
    headers = SECURITY_HEADERS if policy is None else {**SECURITY_HEADERS, "content-security-policy": policy}
    if secure:
        headers = {**headers, "strict-transport-security": TRANSPORT_SECURITY}
    return {name.encode(): value.encode("latin-1") for name, value in headers.items()}


def _policy(path: str) -> str | None:
    exact = POLICIES.get(path)
    if exact is not None:
        return exact
    return next((policy for begin, policy in POLICIES.items() if len(begin) > 1 and path.startswith(begin)), None)


def _log_request(scope: Scope, status: int, seconds: float) -> None:
    user = scope["state"].get("user")
    _log.info(
        "request_served",
        method=scope["method"],
        path=scope["path"][:PATH_LOGGED_MAX],
        status=status,
        duration_ms=round(seconds * 1000, 3),
        user_id=user.user_id if user else None,
    )
