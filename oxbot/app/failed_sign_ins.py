"""Counts wrong passwords by account, so that whoever guesses for days does not write the account's stream full."""

import time
from collections.abc import Callable
from typing import NamedTuple

from oxbot.core.account import UserId

AT_ONCE = 3
"""So many of an account are told one by one, as they come; somebody who mistypes is seen at once."""

PERIOD_SECONDS = 600.0
"""What comes after them within this time is told together."""


class _Tally(NamedTuple):
    since: float
    told: int
    untold: int


class FailedSignIns:
    """Wrong passwords that the log has not been told of yet, in this process."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._tallies: dict[UserId, _Tally] = {}

    def count(self, user_id: UserId) -> int:
        """Count one; how many are to be told of now, which is none for most of an attack."""
        now = self._now()
        tally = self._tallies.get(user_id)
        if tally is None or now >= tally.since + PERIOD_SECONDS:
            self._tallies[user_id] = _Tally(now, 1, 0)
            return 1 + (tally.untold if tally else 0)
        if tally.told < AT_ONCE:
            self._tallies[user_id] = tally._replace(told=tally.told + 1)
            return 1
        self._tallies[user_id] = tally._replace(untold=tally.untold + 1)
        return 0

    def take(self, user_id: UserId) -> int:
        """How many are untold, to be told of now; the account's count begins again."""
        tally = self._tallies.pop(user_id, None)
        return tally.untold if tally else 0

    def due(self, *, all_of_them: bool = False) -> dict[UserId, int]:
        """What is untold and has waited long enough, or all of it, to be told of now."""
        now = self._now()
        over = [
            user_id for user_id, tally in self._tallies.items() if all_of_them or now >= tally.since + PERIOD_SECONDS
        ]
        return {user_id: untold for user_id in over if (untold := self.take(user_id))}
