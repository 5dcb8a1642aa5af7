"""Starts the processes of one fleet and tells how far they are."""

import asyncio
import os
import signal

import msgspec
import structlog

from actors import options
from actors.calls import ActorUnavailable, Handle, answer, find, spawn
from actors.executions import Executions
from actors.market import MarketActor
from actors.model import ModelActor
from actors.nodes import alive_nodes, this_node
from actors.notifier import NotifierActor
from actors.projector import ProjectorActor
from actors.sealer import SealerActor
from actors.supervisor import SupervisorActor, SupervisorPlan
from actors.victims import Victim
from events.errors import LogUnavailable, StoreUnavailable
from events.identifiers import BotId, FleetName
from oxbot.app.failure_news import FailureNews
from oxbot.app.market_runner import MarketProgress
from oxbot.app.sealer import SealerState
from oxbot.app.supervisor_runner import HostReport
from oxbot.config import Settings
from oxbot.wiring.connections import share_out
from oxbot.wiring.market import MarketPlan, moving_of
from oxbot.wiring.models import ModelsPlan
from oxbot.wiring.stores import Database

TEND_SECONDS = 2.0
SEAL_SECONDS = 10.0

logger = structlog.get_logger(__name__)


class FleetProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a fleet is."""

    market: MarketProgress
    hosts: tuple[HostReport, ...]
    projected: int

    @property
    def bots(self) -> set[BotId]:
        """The bots that live."""
        return {bot.bot_id for report in self.hosts if report.status for bot in report.status.bots}


class Fleet:
    """Market, projector, sealer and supervisor of a fleet; the supervisor starts the hosts of its bots.

    ``executions`` are those of its market's accounts, for ``accounts`` of which connections are kept. With ``models``,
    one process more asks language models for its bots.
    """

    def __init__(
        self,
        fleet: FleetName,
        database: Database,
        settings: Settings,
        plan: MarketPlan,
        *,
        executions: Executions | None = None,
        accounts: int = 0,
        models: ModelsPlan | None = None,
    ) -> None:
        level = settings.log_level
        targets = settings.notify_targets
        connections = share_out(
            settings.connections_max,
            alive_nodes(),
            executions=accounts,
            notifier=bool(targets),
            models=models is not None,
        )
        self._fleet = fleet
        self._executions = executions
        encoded = msgspec.msgpack.encode(plan)
        self._market: Handle = spawn(
            MarketActor, options.resident(options.market_name(fleet)), encoded, database, level
        )
        self._projector: Handle = spawn(
            ProjectorActor, options.resident(options.projector_name(fleet)), database, level
        )
        self._sealer: Handle = spawn(
            SealerActor,
            options.pinned(options.sealer_name(fleet), this_node()),
            settings.home,
            database,
            level,
            settings.seal_interval_seconds,
        )
        if targets:
            notifier = options.resident(options.notifier_name(fleet))
            spawn(NotifierActor, notifier, targets, database, level)
        if models is not None:
            name = options.models_name(fleet)
            how = options.pinned(name, this_node()) if models.pinned else options.resident(name)
            spawn(ModelActor, how, name, models, database, level)
        self._supervisor: Handle = spawn(
            SupervisorActor,
            options.resident(options.supervisor_name(fleet)),
            fleet,
            database,
            level,
            SupervisorPlan(settings.bots_per_actor, connections, None if executions is None else moving_of(plan)),
        )

    async def progress(self) -> FleetProgress:
        """Where market, bots and views are. Raises ``ActorUnavailable`` while one of the processes restarts."""
        market: MarketProgress = await answer(self._market.progress.remote(), of="the market")
        hosts: tuple[HostReport, ...] = await answer(self._supervisor.reports.remote(), of="the supervisor")
        projected: int = await answer(self._projector.position.remote(), of="the projector")
        return FleetProgress(market=market, hosts=hosts, projected=projected)

    async def tend(self) -> None:
        """Keep the supervisor at work, also after Ray has restarted it, until cancelled; it tends to all the others."""
        news = FailureNews()
        while True:
            try:
                await answer(self._supervisor.wake.remote(), of="the supervisor")
                await self._tell_failures(news)
            except ActorUnavailable as error:
                logger.warning("supervisor_unavailable", error=str(error))
            if self._executions is not None:
                try:
                    await self._executions.tend()
                except (LogUnavailable, StoreUnavailable) as error:
                    logger.warning("accounts_unknown", error=str(error))
            await asyncio.sleep(TEND_SECONDS)

    async def _tell_failures(self, news: FailureNews) -> None:
        """Say here which bots fail: what their hosts log stays in Ray's files."""
        reports: tuple[HostReport, ...] = await answer(self._supervisor.reports.remote(), of="the supervisor")
        for failure in news.of(reports):
            logger.warning("failing", who=failure.who, outcome=failure.outcome, error=failure.error)

    async def seal(self) -> None:
        """Seal the log as it is, as the last thing before an orderly end; what cannot be sealed now is next time."""
        try:
            state: SealerState = await answer(self._sealer.seal.remote(), of="the sealer", seconds=SEAL_SECONDS)
        except ActorUnavailable as error:
            logger.warning("not_sealed", error=str(error))
        else:
            if state.refusal is not None:
                logger.error("not_sealed", error=state.refusal)

    async def kill(self, victim: Victim) -> int:
        """Kill a process with SIGKILL, as a crash would; of the bots' hosts the first. Answers its process id."""
        process_id = await self._process_id(victim)
        os.kill(process_id, signal.SIGKILL)
        return process_id

    async def _process_id(self, victim: Victim) -> int:
        if victim == "bot":
            reports: tuple[HostReport, ...] = await answer(self._supervisor.reports.remote(), of="the supervisor")
            return next(report.status.process_id for report in reports if report.status is not None)
        if victim == "models":
            handle = find(options.models_name(self._fleet))
        else:
            handle = {"projector": self._projector, "market": self._market, "supervisor": self._supervisor}[victim]
        process_id: int = await answer(handle.wake.remote(), of=f"the {victim}")
        return process_id
