"""Starts a process for every account of a fleet's market, and says which of them are in trouble."""

from typing import TYPE_CHECKING

import structlog

from actors import options
from actors.calls import spawn
from actors.execution import ExecutionActor
from actors.nodes import this_node
from events.identifiers import AccountName, FleetName, VenueName
from oxbot.app.account_directory import AccountDirectory, KnownAccount
from oxbot.config import Settings
from oxbot.wiring.connections import accounts_that_fit, too_few
from oxbot.wiring.execution import ExecutionPlan

if TYPE_CHECKING:
    from oxbot.wiring.stores import Database

logger = structlog.get_logger(__name__)


class Executions:
    """The executions of the accounts of one market; at most so many as there are connections for."""

    def __init__(
        self,
        fleet: FleetName,
        database: "Database",
        settings: Settings,
        *,
        accounts: AccountDirectory,
        market: VenueName,
        speed: float = 1.0,
    ) -> None:
        """``speed`` is that of the clock of a local exchange's market."""
        self._fleet = fleet
        self._database = database
        self._settings = settings
        self._accounts = accounts
        self._market = market
        self._speed = speed
        self._room = 0
        self._short = False
        self._begun: set[AccountName] = set()
        self._said: dict[AccountName, str] = {}

    async def reserve(self) -> int:
        """For how many accounts connections are kept: those that there are, and at least one, while there are any."""
        known = await self._accounts.refresh()
        wanted = max(1, sum(one.market == self._market for one in known.values()))
        fitting = accounts_that_fit(self._settings.connections_max, notifier=bool(self._settings.notify_targets))
        self._room, self._short = min(wanted, fitting), wanted > fitting
        return self._room

    async def tend(self) -> None:
        """Start what is missing, and say once what is wrong with an account, and again when it is something else."""
        for known in (await self._accounts.refresh()).values():
            trouble = self._begin(known)
            if trouble and self._said.get(known.name) != trouble:
                logger.warning("account_lets_nothing_enter", account=known.name, reason=trouble)
            self._said[known.name] = trouble

    def _begin(self, known: KnownAccount) -> str:
        """What is wrong with the account, or nothing."""
        if known.market != self._market:
            return f"it trades {known.market}, and this fleet's market is {self._market}"
        if not known.state.fingerprint:
            return ""
        if known.name not in self._begun:
            if len(self._begun) >= self._room:
                if self._short:
                    return too_few(self._settings.connections_max, self._room)
                return "no connections to Postgres are kept for it; they are when oxbot up is started again"
            self._spawn(known)
            self._begun.add(known.name)
        return known.state.unreconciled

    def _spawn(self, known: KnownAccount) -> None:
        """The supervisor wakes it, now and whenever Ray has started it again."""
        name = options.execution_name(self._fleet, known.name)
        key = self._settings.venue_key
        # The key's file is on this machine alone.
        how = options.resident(name) if key is not None else options.pinned(name, this_node())
        plan = ExecutionPlan(
            account=known.name,
            venue=known.opened.venue,
            home=self._settings.home,
            demo=known.opened.demo,
            rest=known.opened.rest,
            ws=known.opened.ws,
            key=key,
            speed=self._speed,
        )
        spawn(ExecutionActor, how, name, plan, self._database, self._settings.log_level)
