"""Stops asking a model that does not answer, and a template whose answers are no use."""

from collections import deque
from datetime import datetime, timedelta

FAILURES_IN_A_ROW = 5
WINDOW = timedelta(seconds=60)
WINDOW_CALLS_MIN = 10
REST_MIN = timedelta(seconds=30)
REST_MAX = timedelta(minutes=10)

ANSWERS = 20
INVALID_SHARE_MAX = 0.3
QUALITY_REST = timedelta(minutes=30)


class Breaker:
    """Closed, calls go through. It opens on 5 failures in a row, or on more than half of at least 10 in 60 seconds.

    Open, none goes through until it has rested; then one does, and what becomes of that decides: it closes, or it
    rests twice as long as before, at most 10 minutes.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[datetime, bool]] = deque()
        self._in_a_row = 0
        self._rest = REST_MIN
        self.open_until: datetime | None = None
        self.probing = False

    def restore(self, until: datetime) -> None:
        """It was open when the last gateway ended."""
        self.open_until = until

    def begin(self) -> bool:
        """A call is made; whether it is the one that decides."""
        self.probing = self.open_until is not None
        return self.probing

    def succeed(self, at: datetime, *, probe: bool) -> bool:
        """A call was answered; whether that closed the breaker. One that was begun before it opened does not."""
        self._note(at, failed=False)
        self._in_a_row = 0
        if not probe:
            return False
        self._recent.clear()
        self._rest, self.open_until, self.probing = REST_MIN, None, False
        return True

    def fail(self, at: datetime, *, probe: bool) -> datetime | None:
        """A call failed; until when the breaker is open if that opened it, or opened it again."""
        self._note(at, failed=True)
        self._in_a_row += 1
        if probe:
            self._rest = min(self._rest * 2, REST_MAX)
            self.probing = False
        elif self.open_until is not None or not self._broken():
            return None
        self.open_until = at + self._rest
        return self.open_until

    def forgo(self, *, probe: bool) -> None:
        """A call came to nothing that says anything of the model."""
        if probe:
            self.probing = False

    def _broken(self) -> bool:
        failures = sum(failed for _, failed in self._recent)
        return self._in_a_row >= FAILURES_IN_A_ROW or (
            len(self._recent) >= WINDOW_CALLS_MIN and 2 * failures > len(self._recent)
        )

    def _note(self, at: datetime, *, failed: bool) -> None:
        self._recent.append((at, failed))
        while self._recent[0][0] <= at - WINDOW:
            self._recent.popleft()


class Quality:
    """Of one model under one version of a template: it rests once more than 30 % of its last 20 answers were no use."""

    def __init__(self) -> None:
        self._last: deque[bool] = deque(maxlen=ANSWERS)
        self.closed_until: datetime | None = None

    def restore(self, until: datetime) -> None:
        """It rested when the last gateway ended."""
        self.closed_until = until

    def note(self, at: datetime, *, valid: bool) -> datetime | None:
        """There was an answer; until when the template rests now, if that is news. Then its count begins anew."""
        self._last.append(valid)
        invalid = self._last.count(False)
        if len(self._last) < ANSWERS or invalid <= INVALID_SHARE_MAX * ANSWERS:
            return None
        self._last.clear()
        self.closed_until = at + QUALITY_REST
        return self.closed_until

    def over(self, at: datetime) -> bool:
        """Whether a rest has ended by then, which it has only once."""
        if self.closed_until is None or self.closed_until > at:
            return False
        self.closed_until = None
        return True

    @property
    def words(self) -> str:
        """Why it rests."""
        return f"more than {INVALID_SHARE_MAX:.0%} of the last {ANSWERS} answers were invalid"
