"""Keeps the calls of one model within its provider's limit, in any minute and not on average."""

from datetime import UTC, datetime, timedelta

MINUTE = timedelta(minutes=1)
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Limiter:
    """A generic cell rate algorithm: of ``per_minute`` calls, at most ``burst`` come at once.

    Between calls is so much time that in no 60 seconds, wherever they begin, there are more than ``per_minute``: a
    burst is not on top of the rate but out of it, since no provider gives more than its limit.
    """

    def __init__(self, per_minute: int, burst: int) -> None:
        self._burst = min(burst, per_minute)
        # Rounded up to whole microseconds, in which all times are told.
        self._interval = -(-(MINUTE // timedelta(microseconds=1)) // (per_minute - self._burst + 1))
        self._due = NEVER
        self._frozen_until = NEVER

    @property
    def interval(self) -> timedelta:
        """The time between calls that come one after the other."""
        return timedelta(microseconds=self._interval)

    @property
    def frozen_until(self) -> datetime:
        """When the provider wants calls again; long ago, if it never said that it did not."""
        return self._frozen_until

    def opens(self) -> datetime:
        """From when on one more call may be made."""
        return max(self._due - self.interval * (self._burst - 1), self._frozen_until)

    def take(self, at: datetime) -> None:
        """A call is made then, which must not be before ``opens``."""
        self._due = max(self._due, at) + self.interval

    def freeze(self, until: datetime) -> None:
        """The provider wants nothing before then."""
        self._frozen_until = max(self._frozen_until, until)
