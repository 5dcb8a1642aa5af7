"""An installation in figures, for those who watch over it: gathered once for everybody who asks within a second."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

import msgspec

from events.bot import TradingState
from events.log import LogReader
from oxbot.app.account_report import AccountReader, AccountStanding
from oxbot.app.alerts import open_alerts
from oxbot.app.failing import FailingBots
from oxbot.app.market_quality import MarketQuality, VenueQuality
from oxbot.app.projections import Projections, ProjectionStatus
from oxbot.app.views import ViewReader
from oxbot.core.state import BotStatus
from oxbot.views.advice_rows import ModelDayRow, ModelRow
from oxbot.views.alert_rows import AlertRow
from oxbot.views.rows import ViewName

PAGE = 500
FRESH_SECONDS = 1.5
COUNTED_EVENTS_MAX = 1_000_000
"""So many events are counted in one go, at most; the next go counts on."""


class EventCounts(Protocol):
    """Counts events without reading what is in them."""

    async def by_type(self, *, after_position: int, up_to: int) -> Mapping[str, int]:
        """How many events of each type lie after one position, up to another. Raises ``StoreUnavailable``."""
        ...


class VitalSources(NamedTuple):
    """What the figures are gathered from."""

    log: LogReader
    counts: EventCounts
    views: ViewReader
    projections: Projections
    failing: FailingBots
    quality: MarketQuality
    accounts: AccountReader


class Vitals(NamedTuple):
    """The figures at a moment. ``events`` counts by type what came into the log since this process began to count."""

    head: int
    events: Mapping[str, int]
    projections: Sequence[ProjectionStatus]
    bots: Mapping[tuple[BotStatus, TradingState], int]
    failing: int
    model_days: Sequence[ModelDayRow]
    budget: Decimal
    models_closed: int
    venues: Sequence[VenueQuality]
    accounts: Sequence[AccountStanding]
    alerts: Sequence[AlertRow]
    at: datetime

    @property
    def spent(self) -> Decimal:
        """What models have cost today, in US dollars, and what is reserved for calls that have not ended."""
        return sum((Decimal(day.cost) + Decimal(day.reserved) for day in self.model_days), Decimal(0))


class _Standing(msgspec.Struct, frozen=True):
    status: BotStatus
    trading: TradingState = "active"


class VitalReader:
    """Gathers the figures, and gives away for a moment what it has gathered."""

    def __init__(self, sources: VitalSources, *, budget: Decimal, now: Callable[[], datetime]) -> None:
        """``budget``: what a fleet may spend on models in a day, in US dollars."""
        self._from = sources
        self._budget = budget
        self._now = now
        self._counted: int | None = None
        self._events: Counter[str] = Counter()
        self._kept: tuple[float, Vitals] | None = None
        self._reading = asyncio.Lock()

    async def begin(self) -> None:
        """Count events from here on, unless it has begun."""
        async with self._reading:
            if self._counted is None:
                self._counted = await self._from.log.head()

    async def read(self) -> Vitals:
        """The figures, of a moment ago at most. Raises ``LogUnavailable`` or ``StoreUnavailable``."""
        await self.begin()
        async with self._reading:
            kept = self._kept
            if kept is not None and time.monotonic() - kept[0] < FRESH_SECONDS:
                return kept[1]
            vitals = await self._gathered()
            self._kept = time.monotonic(), vitals
            return vitals

    async def _gathered(self) -> Vitals:
        sources = self._from
        head = await sources.log.head()
        await self._count(head)
        models = [msgspec.json.decode(body, type=ModelRow) for body in await self._all("models")]
        decoder = msgspec.json.Decoder(_Standing)
        standings = [decoder.decode(body) for body in await self._all("bots")]
        return Vitals(
            head=head,
            events=dict(self._events),
            projections=await sources.projections.statuses(),
            bots=Counter((bot.status, bot.trading) for bot in standings),
            failing=len(await sources.failing.all()),
            model_days=[day for model in models for day in await self._today(model)],
            budget=self._budget,
            models_closed=sum(1 for model in models if self._closed(model)),
            venues=await sources.quality.venues(),
            accounts=await sources.accounts.all(),
            alerts=await open_alerts(sources.views),
            at=self._now(),
        )

    async def _count(self, head: int) -> None:
        after = self._counted or 0
        up_to = min(head, after + COUNTED_EVENTS_MAX)
        if up_to > after:
            self._events.update(await self._from.counts.by_type(after_position=after, up_to=up_to))
            self._counted = up_to

    async def _today(self, model: ModelRow) -> list[ModelDayRow]:
        today = self._now().date().isoformat()
        body = await self._from.views.row("model_days", model.model, today)
        return [] if body is None else [msgspec.json.decode(body, type=ModelDayRow)]

    def _closed(self, model: ModelRow) -> bool:
        return any(route.until is None or route.until > self._now() for route in model.closed)

    async def _all(self, view: ViewName) -> list[bytes]:
        bodies: list[bytes] = []
        after = ""
        while page := await self._from.views.across(view, after_bot=after, limit=PAGE):
            bodies.extend(row.body for row in page)
            after = page[-1].owner
        return bodies
