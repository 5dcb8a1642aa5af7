"""What is worth a line to whoever watches a fleet: a bot that fails, a host that does not answer."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from oxbot.app.failing import FAILURES
from oxbot.app.supervisor_runner import HostReport


class Failure(NamedTuple):
    """Who fails, how, and of what."""

    who: str
    outcome: str
    error: str


class FailureNews:
    """Says of each failure once that there is one, and again only if its reason changes or it was over meanwhile."""

    def __init__(self) -> None:
        self._said: dict[str, Failure] = {}

    def of(self, reports: Sequence[HostReport]) -> list[Failure]:
        """What fails by these reports and was not said yet."""
        failures = {failure.who: failure for report in reports for failure in _failures(report)}
        news = [failure for who, failure in failures.items() if self._said.get(who) != failure]
        unseen = {report.host for report in reports if report.status is None}
        if not unseen:
            self._said = {}
        self._said |= failures
        return news


def _failures(report: HostReport) -> Iterator[Failure]:
    if report.status is None:
        yield Failure(report.host, "unavailable", report.error)
        return
    living = {present.bot_id for present in report.status.bots}
    for end in report.status.ended:
        if end.outcome in FAILURES and end.bot_id not in living:
            yield Failure(end.bot_id, end.outcome, end.error)
