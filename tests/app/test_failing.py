"""What a supervisor makes known of its bots' failures, and what of it is worth a line to whoever watches."""

from collections.abc import Collection, Mapping

import pytest

from events.errors import StoreUnavailable
from events.identifiers import BotId
from oxbot.adapters.memory_failing_bots import MemoryFailingBots
from oxbot.app.failing import Failures
from oxbot.app.failure_news import Failure, FailureNews
from oxbot.app.host_runner import BotEnd, BotPresence, HostStatus
from oxbot.app.supervisor_runner import HostReport
from tests.core.scenario import START

pytestmark = pytest.mark.anyio

A, B = BotId("a"), BotId("b")


class CountedStore(MemoryFailingBots):
    """Counts what is written, and is away as often as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.away = 0

    async def failed(self, errors: Mapping[BotId, str]) -> None:
        """Count."""
        self._come()
        await super().failed(errors)

    async def recovered(self, bot_ids: Collection[BotId]) -> None:
        """Count."""
        self._come()
        await super().recovered(bot_ids)

    def _come(self) -> None:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        self.writes += 1


async def test_only_what_changes_is_written() -> None:
    store = CountedStore()
    failures = Failures(store)
    for _ in range(3):
        failures.failed(A, "one")
        failures.well([B])
        await failures.tell()
    assert store.writes == 1
    failures.failed(A, "two")
    await failures.tell()
    failures.well([A, B])
    for _ in range(2):
        await failures.tell()

    assert store.writes == 3
    assert await store.all() == {}


async def test_what_could_not_be_written_is_written_next_time() -> None:
    store = CountedStore()
    store.away = 1
    failures = Failures(store)
    failures.failed(A, "one")
    with pytest.raises(StoreUnavailable):
        await failures.tell()
    await failures.tell()

    assert [failing.error for failing in (await store.all()).values()] == ["one"]


async def test_a_new_supervisor_clears_what_the_last_one_left_of_bots_that_live_and_of_no_others() -> None:
    store = MemoryFailingBots()
    await store.failed({A: "one", B: "of another fleet"})
    failures = Failures(store)
    await failures.tell()
    assert list(await store.all()) == [A, B]
    failures.well([A])
    await failures.tell()

    assert list(await store.all()) == [B]


def report(*living: BotId, host: str = "host-1", **errors: str) -> HostReport:
    """A host with these bots, and others that have left it."""
    ended = tuple(BotEnd(bot_id=BotId(bot), number=1, outcome="failed", error=text) for bot, text in errors.items())
    present = tuple(BotPresence(bot_id=bot, epoch=1, version=1, cursor=START) for bot in living)
    return HostReport(host=host, status=HostStatus(process_id=1, bots=present, ended=ended))


def test_a_failure_is_said_once_and_again_if_it_changes_or_comes_back() -> None:
    news = FailureNews()

    assert news.of([report(A, b="one")]) == [Failure("b", "failed", "one")]
    assert news.of([report(A, b="one")]) == []
    assert news.of([report(A, b="two")]) == [Failure("b", "failed", "two")]
    assert news.of([report(A, B, b="two")]) == []
    assert news.of([report(A, b="two")]) == [Failure("b", "failed", "two")]


def test_who_finished_or_was_followed_by_another_has_not_failed() -> None:
    ended = tuple(BotEnd(bot_id=A, number=1, outcome=outcome) for outcome in ("finished", "superseded"))
    status = HostStatus(process_id=1, bots=(), ended=ended)

    assert FailureNews().of([HostReport(host="host-1", status=status)]) == []


def test_a_host_that_does_not_answer_is_said_once_and_its_bots_are_not_said_again_after_it() -> None:
    news = FailureNews()
    silent = HostReport(host="host-1", status=None, error="no answer")
    assert news.of([report(a="one")]) == [Failure("a", "failed", "one")]

    assert news.of([silent]) == [Failure("host-1", "unavailable", "no answer")]
    assert news.of([silent]) == []
    assert news.of([report(a="one")]) == []
    assert news.of([silent]) == [Failure("host-1", "unavailable", "no answer")]
