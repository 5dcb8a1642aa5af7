"""How many requests an address, and whoever is signed in, may make."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from oxbot.api.headers import add_answer_header
from oxbot.api.problems import Problem, problem_response
from oxbot.api.tokens import SignedIn

WINDOW_SECONDS = 10.0
REMEMBERED_MAX = 10_000
NETWORK_BITS = 64
"""Whoever has an IPv6 address has all those that begin so."""

TRY_AGAIN_LATER = 1013
"""The code with which a WebSocket is closed that comes too often."""


class Verdict(NamedTuple):
    """Whether a request may pass, for how many more there is room, and the seconds until there is room for all.

    ``wait_seconds`` is how long one that may not pass should wait.
    """

    passes: bool
    remaining: int
    reset_seconds: float
    wait_seconds: float = 0.0


class RequestLimit:
    """Requests at a steady rate, with as many at once as there is room for in ``WINDOW_SECONDS``, kept in this process.

    The generic cell rate algorithm: of each one who asks, it knows the moment at which all his room is free again. Of
    more than ``REMEMBERED_MAX``, those heard of least recently are forgotten, and begin with all their room.
    """

    def __init__(self, per_second: float, now: Callable[[], float] = time.monotonic) -> None:
        self._spacing = 1.0 / per_second
        self.quota = max(1, int(per_second * WINDOW_SECONDS))
        self._room = self.quota * self._spacing
        self._now = now
        self._free_at: OrderedDict[str, float] = OrderedDict()

    def take(self, who: str) -> Verdict:
        """Count a request, unless there is no room for it."""
        now = self._now()
        free_at = max(self._free_at.get(who, now), now) + self._spacing
        excess = free_at - now - self._room
        if excess > self._spacing / 1000:
            return Verdict(passes=False, remaining=0, reset_seconds=free_at - self._spacing - now, wait_seconds=excess)
        self._free_at[who] = free_at
        self._free_at.move_to_end(who)
        if len(self._free_at) > REMEMBERED_MAX:
            self._free_at.popitem(last=False)
        return Verdict(passes=True, remaining=int(-excess / self._spacing + 0.001), reset_seconds=free_at - now)


class AddressLimit:
    """Lets so many requests of one address pass; comes before anything is looked up for them."""

    def __init__(self, app: ASGIApp, per_second: float) -> None:
        self._app = app
        self._limit = RequestLimit(per_second) if per_second else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it with 429."""
        if self._limit is None or scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        verdict = self._limit.take(network_of(client[0] if client else ""))
        if scope["type"] == "websocket":
            await (self._app(scope, receive, send) if verdict.passes else _close(send))
            return
        if await _counted(scope, receive, send, limit=self._limit, name="address", verdict=verdict):
            await self._app(scope, receive, send)


class UserLimit:
    """Lets so many requests of one account pass, whichever of its tokens they carry; strangers are not counted here."""

    def __init__(self, app: ASGIApp, per_second: float) -> None:
        self._app = app
        self._limit = RequestLimit(per_second) if per_second else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it with 429."""
        user: SignedIn | None = scope.get("state", {}).get("user")
        if self._limit is None or user is None or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        verdict = self._limit.take(user.user_id)
        if await _counted(scope, receive, send, limit=self._limit, name="user", verdict=verdict):
            await self._app(scope, receive, send)


def network_of(host: str) -> str:
    """Whose requests are counted together: an IPv4 address, or the network of an IPv6 one."""
    if ":" not in host:
        return host
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{int(address) >> (128 - NETWORK_BITS):x}/{NETWORK_BITS}"


async def _counted(
    scope: Scope, receive: Receive, send: Send, *, limit: RequestLimit, name: str, verdict: Verdict
) -> bool:
    """Say in the answer how much room is left; whether the request may pass, else it is answered."""
    add_answer_header(scope, "ratelimit-policy", f'"{name}";q={limit.quota};w={int(WINDOW_SECONDS)}')
    add_answer_header(scope, "ratelimit", f'"{name}";r={verdict.remaining};t={math.ceil(verdict.reset_seconds)}')
    if verdict.passes:
        return True
    retry = {"Retry-After": str(max(1, math.ceil(verdict.wait_seconds)))}
    refusal = problem_response(scope, Problem(429, "too many requests; wait before the next", headers=retry))
    await refusal(scope, receive, send)
    return False


async def _close(send: Send) -> None:
    await send({"type": "websocket.close", "code": TRY_AGAIN_LATER})
