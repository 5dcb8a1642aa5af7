"""How often one address may fail to sign in under one name."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable

ATTEMPTS_MAX = 10
PERIOD_SECONDS = 60.0
REMEMBERED_MAX = 10_000


class SignInLimit:
    """At most ``ATTEMPTS_MAX`` failures in ``PERIOD_SECONDS`` for each name and address, kept in this process.

    An attempt counts from its start until it succeeds, so that attempts at the same time cannot slip through together.
    Of more than ``REMEMBERED_MAX`` pairs, those heard of least recently are forgotten.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._attempts: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def claim(self, username: str, address: str) -> float:
        """Count an attempt and answer 0.0, or, counting nothing, the seconds to wait before there may be another."""
        now, pair = self._now(), (username.lower(), address)
        attempts = self._attempts.setdefault(pair, deque())
        self._attempts.move_to_end(pair)
        while attempts and attempts[0] <= now - PERIOD_SECONDS:
            attempts.popleft()
        if len(attempts) >= ATTEMPTS_MAX:
            return attempts[0] + PERIOD_SECONDS - now
        attempts.append(now)
        if len(self._attempts) > REMEMBERED_MAX:
            self._attempts.popitem(last=False)
        return 0.0

    def forget(self, username: str, address: str) -> None:
        """The pair has signed in."""
        self._attempts.pop((username.lower(), address), None)
