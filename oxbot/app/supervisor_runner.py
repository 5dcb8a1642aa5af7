"""The control loop of a fleet: compares the bots that the log wants with the bots that live, and closes the gap."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
import structlog

from events.bot import LIFECYCLE_TYPES, BotCreated, BotStarted
from events.envelope import RecordedEvent
from events.errors import OxbotError, StoreUnavailable
from events.identifiers import BOT_STREAM_PREFIX, BotId, FleetName
from events.log import EventLog
from oxbot.app.clock import Clock
from oxbot.app.failing import FAILURES, FailingBots, Failures
from oxbot.app.host_runner import BotEnd, HostStatus

PERIOD_SECONDS = 0.5
BACKOFF_SECONDS_MAX = 60.0
DOUBLINGS_MAX = 6
PAGE = 1000

logger = structlog.get_logger(__name__)


class HostUnavailable(OxbotError):
    """A host did not answer in time, or its process has just died; it may or may not have done what it was asked."""


class Hosts(Protocol):
    """The host processes of a fleet, by name. Every call is idempotent and raises ``HostUnavailable`` on failure."""

    async def ensure(self, host: str) -> None:
        """Make sure that the host exists."""
        ...

    async def status(self, host: str) -> HostStatus:
        """Who lives in the host."""
        ...

    async def place(self, host: str, bot_ids: Sequence[BotId]) -> None:
        """Let the bots live in the host."""
        ...

    async def refresh(self, host: str, bot_ids: Sequence[BotId]) -> None:
        """Tell the bots that others appended to their streams."""
        ...

    async def wake(self) -> None:
        """Make sure that the processes the hosts depend on are at work."""
        ...


class HostReport(msgspec.Struct, frozen=True, kw_only=True):
    """A host as the supervisor last saw it."""

    host: str
    status: HostStatus | None
    error: str = ""


class _Backoff:
    """When a bot that keeps failing may be placed again: 1 s after the first failure, doubling to a minute."""

    def __init__(self) -> None:
        self._failures: dict[BotId, int] = {}
        self._not_before: dict[BotId, datetime] = {}

    def failed(self, bot_id: BotId, now: datetime) -> None:
        failures = self._failures.get(bot_id, 0) + 1
        self._failures[bot_id] = failures
        seconds = min(2 ** min(failures - 1, DOUBLINGS_MAX), BACKOFF_SECONDS_MAX)
        self._not_before[bot_id] = now + timedelta(seconds=seconds)

    def allows(self, bot_id: BotId, now: datetime) -> bool:
        return now >= self._not_before.get(bot_id, now)


class SupervisorRunner:
    """Places every bot of one fleet that the log wants on a host, again and again until it lives there.

    It keeps nothing that the log does not say: a new one, started at any moment, reaches the same placement.
    """

    def __init__(
        self,
        fleet: FleetName,
        *,
        log: EventLog,
        hosts: Hosts,
        failing: FailingBots,
        clock: Clock,
        bots_per_actor: int,
    ) -> None:
        self._fleet = fleet
        self._log = log
        self._hosts = hosts
        self._clock = clock
        self._bots_per_actor = bots_per_actor
        self._position = 0
        self._fleet_bots: list[BotId] = []
        self._started: set[BotId] = set()
        self._finished: set[BotId] = set()
        self._changed: set[BotId] = set()
        self._seen_ends: set[tuple[int, BotId, int]] = set()
        self._backoff = _Backoff()
        self._failures = Failures(failing)
        self._reports: dict[str, HostReport] = {}
        self._slowest: dict[str, float] = {}

    async def run(self) -> None:
        """Reconcile once a period until cancelled."""
        while True:
            await self.reconcile()
            await self._clock.sleep(PERIOD_SECONDS)

    async def reconcile(self) -> None:
        """One pass: learn what the log wants, look who lives, place who is missing."""
        await self._learn()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._wake())
            for host, bot_ids in self._placement().items():
                group.create_task(self._tend(host, bot_ids))
        try:
            await self._failures.tell()
        except StoreUnavailable as away:
            logger.warning("failures_not_told", error=str(away))

    async def _wake(self) -> None:
        try:
            await self._hosts.wake()
        except HostUnavailable as unavailable:
            logger.warning("process_unavailable", error=str(unavailable))

    def slowest(self) -> dict[str, float]:
        """For each host how long its slowest cycle took since this was last asked, in seconds."""
        slowest, self._slowest = self._slowest, {}
        return slowest

    def reports(self) -> tuple[HostReport, ...]:
        """Every host as it was last seen."""
        return tuple(self._reports[host] for host in sorted(self._reports))

    async def _learn(self) -> None:
        head = await self._log.head()
        while events := await self._log.read_all(after_position=self._position, limit=PAGE, types=LIFECYCLE_TYPES):
            for event in events:
                self._note(event)
        self._position = max(self._position, head)

    def _note(self, event: RecordedEvent) -> None:
        bot_id = BotId(event.stream[len(BOT_STREAM_PREFIX) :])
        self._position = event.position
        match event.fact:
            case BotCreated(fleet=fleet) if fleet == self._fleet:
                self._fleet_bots.append(bot_id)
            case BotStarted():
                self._started.add(bot_id)
                self._changed.add(bot_id)
            case _:
                self._changed.add(bot_id)

    def _placement(self) -> dict[str, list[BotId]]:
        """Which bots belong on which host: in order of creation, ``bots_per_actor`` to each."""
        placement: dict[str, list[BotId]] = {}
        for index, bot_id in enumerate(self._fleet_bots):
            if bot_id in self._started and bot_id not in self._finished:
                host = f"{self._fleet}-host-{index // self._bots_per_actor + 1}"
                placement.setdefault(host, []).append(bot_id)
        return placement

    async def _tend(self, host: str, bot_ids: Sequence[BotId]) -> None:
        try:
            await self._reconcile_host(host, bot_ids)
        except HostUnavailable as unavailable:
            logger.warning("host_unavailable", host=host, error=str(unavailable))
            self._reports[host] = HostReport(host=host, status=None, error=str(unavailable))
            for bot_id in bot_ids:
                self._failures.failed(bot_id, str(unavailable))

    async def _reconcile_host(self, host: str, bot_ids: Sequence[BotId]) -> None:
        await self._hosts.ensure(host)
        status = await self._hosts.status(host)
        self._reports[host] = HostReport(host=host, status=status)
        self._slowest[host] = max(self._slowest.get(host, 0.0), status.slowest_seconds)
        for end in status.ended:
            self._note_end(status.process_id, end)
        present = {presence.bot_id for presence in status.bots}
        self._failures.well(present)
        now = self._clock.now()
        missing = [
            bot_id
            for bot_id in bot_ids
            if bot_id not in present and bot_id not in self._finished and self._backoff.allows(bot_id, now)
        ]
        if missing:
            await self._hosts.place(host, missing)
        changed = [bot_id for bot_id in bot_ids if bot_id in self._changed]
        if changed:
            await self._hosts.refresh(host, changed)
            self._changed.difference_update(changed)

    def _note_end(self, process_id: int, end: BotEnd) -> None:
        if end.outcome == "finished":
            self._finished.add(end.bot_id)
            self._failures.well([end.bot_id])
        elif (process_id, end.bot_id, end.number) not in self._seen_ends:
            self._seen_ends.add((process_id, end.bot_id, end.number))
            self._backoff.failed(end.bot_id, self._clock.now())
            if end.outcome in FAILURES:
                self._failures.failed(end.bot_id, end.error)
            logger.warning("bot_ended", bot_id=end.bot_id, outcome=end.outcome, error=end.error, host_pid=process_id)
