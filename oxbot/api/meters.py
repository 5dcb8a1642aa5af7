"""What one process of the API counts of itself: requests and how long they took, clients of its stream, its own use."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NO_OPERATION = "none"
"""The label of requests that reach no operation, so that nobody outside can make up labels."""

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


Transport = Literal["sse", "websocket"]


class Meters:
    """Counters in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "oxbot_api_requests",
            "Requests by operation, method and status.",
            ("operation", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "oxbot_api_request_seconds",
            "Seconds until an answer began.",
            ("operation",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._clients = Gauge(
            "oxbot_stream_clients", "Clients of the live stream just now.", ("kind",), registry=self.registry
        )
        for kind in ("sse", "websocket"):
            self._clients.labels(kind)
        # Looking up a child by its labels costs more than counting with it, and there are as many as operations.
        self._counted = cache(lambda name, method, status: self._requests.labels(name, method, str(status)))
        self._timed = cache(self._seconds.labels)

    def served(self, scope: Scope, status: int, seconds: float) -> None:
        """A request was answered."""
        name = scope.get("state", {}).get("operation", NO_OPERATION)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._counted(name, method, status).inc()
        self._timed(name).observe(seconds)

    @contextmanager
    def streaming(self, kind: Transport) -> Iterator[None]:
        """A client of the stream is there, until it has left or was sent away."""
        with self._clients.labels(kind).track_inprogress():
            yield


class Metered:
    """Counts every request and its answer."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        started, begun, status = time.perf_counter(), None, 500

        async def send_counted(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], time.perf_counter()
            await send(message)

        try:
            await self._app(scope, receive, send_counted)
        finally:
            self._meters.served(scope, status, (begun or time.perf_counter()) - started)
