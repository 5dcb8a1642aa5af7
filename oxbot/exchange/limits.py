"""How often each endpoint may be asked, as OKX documents it, and how often each was."""

from collections import Counter, deque
from collections.abc import Mapping
from typing import Literal, NamedTuple

Scope = Literal["ip", "ip+inst", "account", "account+inst"]

_KEYS_MAX = 10_000
_MINUTES_KEPT = 240


class Limit(NamedTuple):
    """At most ``most`` in any ``window_ms``, counted apart for each of what ``scope`` says."""

    name: str
    most: int
    window_ms: int
    scope: Scope


ORDERS_OF_ACCOUNT = Limit("orders of an account", 1000, 2000, "account")
"""New and amended orders of a sub-account over all endpoints; refused with 50061."""


class Limiter:
    """Counts in sliding windows, so that no window of that length has more. What is refused is not counted."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], deque[int]] = {}

    def take(self, limit: Limit, key: str, *, now_ms: int, weight: int = 1) -> bool:
        """Whether there was room, which is then taken."""
        taken = self._taken.get((limit.name, key))
        if taken is None:
            self._forget(now_ms)
            taken = self._taken[limit.name, key] = deque()
        while taken and taken[0] <= now_ms - limit.window_ms:
            taken.popleft()
        if len(taken) + weight > limit.most:
            return False
        taken.extend([now_ms] * weight)
        return True

    def _forget(self, now_ms: int) -> None:
        if len(self._taken) >= _KEYS_MAX:
            self._taken = {key: taken for key, taken in self._taken.items() if taken and taken[-1] > now_ms - 60_000}


class Counters:
    """Requests by endpoint and by minute of the server's clock, and answers by code; what the tests count."""

    def __init__(self) -> None:
        self._requests: Counter[str] = Counter()
        self._minutes: dict[int, Counter[str]] = {}
        self._codes: dict[str, Counter[str]] = {}

    def asked(self, endpoint: str, *, now_ms: int) -> None:
        """A request came."""
        minute = now_ms // 60_000
        self._requests[endpoint] += 1
        self._minutes.setdefault(minute, Counter())[endpoint] += 1
        while len(self._minutes) > _MINUTES_KEPT:
            del self._minutes[min(self._minutes)]

    def answered(self, endpoint: str, code: str) -> None:
        """It was answered with this code; of a batch each row's code counts."""
        self._codes.setdefault(endpoint, Counter())[code] += 1

    def clear(self) -> None:
        """Begin at nothing."""
        self._requests.clear()
        self._minutes.clear()
        self._codes.clear()

    def report(self) -> Mapping[str, object]:
        """Everything, as JSON has it; minutes are those of the Unix clock."""
        totals: Counter[str] = sum(self._codes.values(), Counter())
        return {
            "requests": dict(self._requests),
            "per_minute": {str(minute): dict(counted) for minute, counted in self._minutes.items()},
            "codes": {endpoint: dict(counted) for endpoint, counted in self._codes.items()},
            "code_totals": dict(totals),
            "too_many_requests": totals["50011"],
        }
