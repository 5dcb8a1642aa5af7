"""Watches over what no fact says: projections that lag, bots that fail, late feeds, slow cycles, doubts that last."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import structlog

from events.alerts import ALERTS_STREAM, AlertCleared, AlertFact, AlertRaised, WatchedRule
from events.bot import BotCreated
from events.envelope import Metadata, NewEvent
from events.errors import OxbotError, WrongExpectedVersion
from events.identifiers import HOUSE, BotId, OwnerId, bot_stream, new_event_id
from events.log import EventLog
from oxbot.app.alerts import open_alerts
from oxbot.app.clock import Clock
from oxbot.app.failing import FailingBots
from oxbot.app.projections import Projections, ProjectionStatus
from oxbot.app.venue_checks import VenueChecks
from oxbot.app.views import ViewReader

LOOK_SECONDS = 10.0
COOL_DOWN = timedelta(minutes=15)
"""A rule speaks no more often than this of the same subject."""

WELL_FOR = timedelta(minutes=1)
"""So long something must have been well before that is said."""

LAG_SECONDS_MAX = 60.0
FAILING_SECONDS_MAX = 60.0
DOUBT_SECONDS_MAX = 120.0
CYCLE_SECONDS_MAX = 10.0
RAISED_MAX = 100
"""So many alerts are raised in one look, at most: what strikes a thousand bots at once is one matter."""

WORDS_LENGTH_MAX = 300
PAGE = 1000

logger = structlog.get_logger(__name__)


class Ill(NamedTuple):
    """Something that is not as it should be; ``owner`` as in ``AlertRaised``."""

    rule: WatchedRule
    subject: str
    words: str
    value: float | None = None
    threshold: float | None = None
    owner: OwnerId | None = HOUSE


class Watched(NamedTuple):
    """What the watch looks at; ``cycles`` gives for each host how long its slowest cycle of late took, in seconds."""

    log: EventLog
    views: ViewReader
    projections: Projections
    failing: FailingBots
    venues: VenueChecks
    cycles: Callable[[], Mapping[str, float]]


Place = tuple[WatchedRule, str]


class AlertWatch:
    """Looks again and again, and appends what began and what is over. Of two that watch at once, the log takes one."""

    def __init__(self, watched: Watched, clock: Clock) -> None:
        self._watched = watched
        self._clock = clock
        self._version = 0
        self._open: dict[Place, OwnerId | None] = {}
        self._raised: dict[Place, datetime] = {}
        self._ill_at: dict[Place, datetime] = {}
        self._owners: dict[BotId, OwnerId] = {}

    async def run(self) -> None:
        """Look until cancelled: whatever a look fails of is logged, and ends nobody's work."""
        while True:
            try:
                await self.look()
            except OxbotError as error:
                logger.warning("alerts_not_watched", error=str(error))
            except Exception:
                logger.exception("alert_watch_failed")
            await self._clock.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Measure once and say what has changed. Raises what the log and the stores raise; ask again."""
        await self._learn()
        ill = {(one.rule, one.subject): one for one in await self._measured()}
        now = self._clock.now()
        self._ill_at |= dict.fromkeys(ill, now)
        facts: list[AlertFact] = [
            AlertCleared(at=now, rule=rule, subject=subject, owner=self._open[rule, subject])
            for rule, subject in sorted(self._open.keys() - ill.keys())
            if now - self._ill_at.setdefault((rule, subject), now) >= WELL_FOR
        ]
        fresh = [one for place, one in ill.items() if place not in self._open and self._may_speak(place, now)]
        facts += [_raised(one, now) for one in fresh[:RAISED_MAX]]
        if facts:
            await self._append(facts, now)

    def _may_speak(self, place: Place, now: datetime) -> bool:
        last = self._raised.get(place)
        return last is None or now - last >= COOL_DOWN

    async def _append(self, facts: Sequence[AlertFact], now: datetime) -> None:
        metadata = Metadata(actor="watch")
        events = [NewEvent(event_id=new_event_id(), occurred_at=now, fact=fact, metadata=metadata) for fact in facts]
        try:
            await self._watched.log.append(ALERTS_STREAM, events, expected=self._version)
        except WrongExpectedVersion:
            logger.info("alerts_watched_by_another")
        await self._learn()

    async def _learn(self) -> None:
        """What this stream says by now, whoever has said it."""
        log = self._watched.log
        while page := await log.read_stream(ALERTS_STREAM, after_version=self._version, limit=PAGE):
            for event in page:
                match event.fact:
                    case AlertRaised() as fact:
                        self._open[fact.rule, fact.subject] = fact.owner
                        self._raised[fact.rule, fact.subject] = fact.at
                    case AlertCleared() as fact:
                        self._open.pop((fact.rule, fact.subject), None)
                        self._ill_at.pop((fact.rule, fact.subject), None)
            self._version = page[-1].version
        horizon = self._clock.now() - COOL_DOWN
        self._raised = {place: at for place, at in self._raised.items() if at > horizon or place in self._open}

    async def _measured(self) -> list[Ill]:
        statuses = await self._watched.projections.statuses()
        found = [ill for status in statuses if (ill := _of_projection(status)) is not None]
        for host, seconds in self._watched.cycles().items():
            if seconds > CYCLE_SECONDS_MAX:
                said = f"a bot of {host} took {seconds:.1f} s to decide on a candle"
                found.append(Ill("slow_cycle", host, said, seconds, CYCLE_SECONDS_MAX))
        found += [
            Ill("feed_late", f"{late.venue} {late.symbol}", late.words, late.age_seconds, late.limit_seconds)
            for late in await self._watched.venues.late()
        ]
        return found + await self._failing() + await self._doubts()

    async def _failing(self) -> list[Ill]:
        now = self._clock.now()
        found = []
        for bot_id, failing in (await self._watched.failing.all()).items():
            seconds = (now - failing.failing_since).total_seconds()
            if seconds > FAILING_SECONDS_MAX:
                owner = await self._owner(bot_id)
                subject = bot_stream(bot_id)
                found.append(Ill("bot_failing", subject, failing.error, seconds, FAILING_SECONDS_MAX, owner))
        return found

    async def _doubts(self) -> list[Ill]:
        """Bots with an order in doubt for long, each once, of the oldest."""
        now = self._clock.now()
        oldest: dict[BotId, Ill] = {}
        for alert in await open_alerts(self._watched.views):
            seconds = (now - alert.since).total_seconds()
            bot_id = alert.bot_id
            if alert.rule == "order_in_doubt" and bot_id is not None and seconds > DOUBT_SECONDS_MAX:
                owner = await self._owner(bot_id)
                subject = bot_stream(bot_id)
                oldest[bot_id] = Ill("doubt_lasts", subject, alert.words, seconds, DOUBT_SECONDS_MAX, owner)
        return list(oldest.values())

    async def _owner(self, bot_id: BotId) -> OwnerId | None:
        if bot_id not in self._owners:
            for first in await self._watched.log.read_stream(bot_stream(bot_id), limit=1):
                if isinstance(first.fact, BotCreated):
                    self._owners[bot_id] = first.fact.owner
        return self._owners.get(bot_id)


def _of_projection(status: ProjectionStatus) -> Ill | None:
    stopped = status.stopped
    if status.state in ("stopped", "ahead"):
        said = f"stopped at position {stopped.position}: {stopped.error}" if stopped else "it is ahead of the log"
        return Ill("projection_stopped", status.name, said, owner=None)
    lag = status.serving.lag_seconds
    if lag > LAG_SECONDS_MAX:
        said = f"{status.lag_events} events behind, the oldest of them {lag:.0f} s old"
        return Ill("projection_lag", status.name, said, lag, LAG_SECONDS_MAX)
    return None


def _raised(ill: Ill, now: datetime) -> AlertRaised:
    return AlertRaised(
        at=now,
        rule=ill.rule,
        subject=ill.subject,
        value=_measure(ill.value),
        threshold=_measure(ill.threshold),
        words=ill.words[:WORDS_LENGTH_MAX],
        owner=ill.owner,
    )


def _measure(seconds: float | None) -> Decimal | None:
    return None if seconds is None else round(Decimal(seconds), 1)
