"""The control loop of a fleet: whom it places where, when again, and what it passes on."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from events.bot import BotCreated
from events.codec import Codec
from events.identifiers import BotId, FleetName, bot_stream
from events.log import EventLog
from events.memory import MemoryEventLog
from oxbot.adapters.memory_failing_bots import MemoryFailingBots
from oxbot.app.host_runner import BotEnd, BotPresence, HostStatus
from oxbot.app.supervisor_runner import PERIOD_SECONDS, HostUnavailable, SupervisorRunner
from oxbot.core.bot import PauseBot, StartBot, StopBot
from tests.app.fakes import SteppingClock, at_work, eventually, funded, tell, write
from tests.core.scenario import START

pytestmark = pytest.mark.anyio

FLEET = FleetName("fleet-1")
A, B, C, D = (BotId(name) for name in "abcd")


class Host:
    """A host process as the supervisor sees it."""

    def __init__(self, process_id: int) -> None:
        self.process_id = process_id
        self.bots: list[BotId] = []
        self.ended: dict[BotId, BotEnd] = {}
        self.refreshed: list[BotId] = []

    def end(self, bot_id: BotId, outcome: str, error: str = "") -> None:
        """Let a bot leave."""
        self.bots.remove(bot_id)
        number = self.ended[bot_id].number + 1 if bot_id in self.ended else 1
        self.ended[bot_id] = BotEnd(bot_id=bot_id, number=number, outcome=outcome, error=error)


class GivenHosts:
    """``Hosts`` whose processes a test kills and silences, and whose bots it ends."""

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self.placed: list[tuple[str, list[BotId]]] = []
        self.silent: set[str] = set()
        self.woken = 0
        self.wakes = True
        self._processes = 0

    def kill(self, host: str) -> None:
        """Lose the process with everybody in it."""
        del self.hosts[host]

    def bots(self) -> dict[str, list[BotId]]:
        """Who lives where."""
        return {name: host.bots for name, host in self.hosts.items()}

    async def ensure(self, host: str) -> None:
        """Start a process unless there is one."""
        if host not in self.hosts:
            self._processes += 1
            self.hosts[host] = Host(self._processes)

    async def status(self, host: str) -> HostStatus:
        """Who lives there."""
        found = self._answering(host)
        present = tuple(BotPresence(bot_id=bot_id, epoch=1, version=1, cursor=START) for bot_id in found.bots)
        return HostStatus(process_id=found.process_id, bots=present, ended=tuple(found.ended.values()))

    async def place(self, host: str, bot_ids: Sequence[BotId]) -> None:
        """Let them live there."""
        self.placed.append((host, list(bot_ids)))
        self._answering(host).bots.extend(bot_ids)

    async def refresh(self, host: str, bot_ids: Sequence[BotId]) -> None:
        """Note who was told."""
        self._answering(host).refreshed.extend(bot_ids)

    async def wake(self) -> None:
        """Count."""
        self.woken += 1
        if not self.wakes:
            raise HostUnavailable("the market does not answer")

    def _answering(self, host: str) -> Host:
        if host in self.silent:
            raise HostUnavailable(f"{host} does not answer")
        return self.hosts[host]


class Fleet:
    """A supervisor over a log and hosts."""

    def __init__(self, *, bots_per_actor: int = 1) -> None:
        self.log: EventLog = MemoryEventLog(Codec())
        self.hosts = GivenHosts()
        self.failing = MemoryFailingBots()
        self.clock = SteppingClock()
        self._bots_per_actor = bots_per_actor
        self.supervisor = self.another()

    def another(self) -> SupervisorRunner:
        """A new supervisor that knows nothing yet."""
        return SupervisorRunner(
            FLEET,
            log=self.log,
            hosts=self.hosts,
            failing=self.failing,
            clock=self.clock,
            bots_per_actor=self._bots_per_actor,
        )

    async def create(self, *bot_ids: BotId, started: bool = True, fleet: FleetName = FLEET) -> None:
        """Put bots into the log."""
        for bot_id in bot_ids:
            creation, *rest = funded(bot_id)
            assert isinstance(creation, BotCreated)
            facts = [msgspec.structs.replace(creation, fleet=fleet), *(rest if started else rest[:1])]
            await write(self.log, facts, bot_stream(bot_id))

    async def tell(self, bot_id: BotId, command: StartBot | PauseBot | StopBot) -> None:
        """Let a person tell a bot something."""
        await tell(self.log, command, bot_stream(bot_id))

    async def look(self, times: int = 1) -> None:
        """So many passes at one moment."""
        for _ in range(times):
            await self.supervisor.reconcile()


async def test_it_places_the_started_bots_of_its_fleet_and_no_others() -> None:
    fleet = Fleet()
    await fleet.create(A)
    await fleet.create(B, started=False)
    await fleet.create(C, fleet=FleetName("fleet-2"))
    await fleet.create(D)

    await fleet.look(3)

    assert fleet.hosts.bots() == {"fleet-1-host-1": [A], "fleet-1-host-3": [D]}
    await fleet.tell(B, StartBot())
    await fleet.look(2)
    assert fleet.hosts.bots()["fleet-1-host-2"] == [B]
    assert len(fleet.hosts.placed) == 3


async def test_bots_of_a_lost_host_are_placed_again_at_once() -> None:
    fleet = Fleet()
    await fleet.create(A, B)
    await fleet.look()
    fleet.hosts.kill("fleet-1-host-1")

    await fleet.look(2)

    assert fleet.hosts.bots() == {"fleet-1-host-1": [A], "fleet-1-host-2": [B]}
    assert fleet.hosts.placed.count(("fleet-1-host-1", [A])) == 2


async def test_a_bot_that_keeps_failing_is_placed_again_after_1_2_4_seconds_and_so_on_to_a_minute() -> None:
    fleet = Fleet()
    await fleet.create(A)
    await fleet.look()
    waited: list[float] = []
    for _ in range(8):
        fleet.hosts.hosts["fleet-1-host-1"].end(A, "failed")
        begun, placed = fleet.clock.now(), len(fleet.hosts.placed)
        await fleet.look()
        while len(fleet.hosts.placed) == placed:
            fleet.clock.advance(0.5)
            await fleet.look()
        waited.append((fleet.clock.now() - begun).total_seconds())

    assert waited == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_a_bot_that_fails_for_days_does_not_end_the_supervisor() -> None:
    """A thousand doublings of a second are more than a float can hold."""
    fleet = Fleet()
    await fleet.create(A)
    await fleet.look()
    for _ in range(1100):
        fleet.hosts.hosts["fleet-1-host-1"].end(A, "crashed")
        await fleet.look()
        fleet.clock.advance(60)
        await fleet.look()

    assert fleet.hosts.bots() == {"fleet-1-host-1": [A]}


async def test_one_failure_is_counted_once_however_often_it_is_seen() -> None:
    fleet = Fleet(bots_per_actor=2)
    await fleet.create(A, B)
    await fleet.look()
    fleet.hosts.hosts["fleet-1-host-1"].end(A, "superseded")

    await fleet.look(5)
    assert fleet.hosts.bots() == {"fleet-1-host-1": [B]}
    fleet.clock.advance(1)
    await fleet.look(5)

    assert fleet.hosts.bots() == {"fleet-1-host-1": [B, A]}


async def test_a_finished_bot_is_forgotten_also_when_its_host_is_lost() -> None:
    fleet = Fleet()
    await fleet.create(A, B)
    await fleet.look()
    fleet.hosts.hosts["fleet-1-host-1"].end(A, "finished")
    await fleet.look(2)
    fleet.clock.advance(100)
    fleet.hosts.kill("fleet-1-host-1")

    await fleet.look(2)

    assert fleet.hosts.bots() == {"fleet-1-host-2": [B]}
    assert fleet.hosts.placed == [("fleet-1-host-1", [A]), ("fleet-1-host-2", [B])]


async def test_what_others_said_to_a_bot_is_passed_on_once() -> None:
    fleet = Fleet()
    await fleet.create(A, B)
    await fleet.look()
    for host in fleet.hosts.hosts.values():
        host.refreshed.clear()
    await fleet.look()
    assert [host.refreshed for host in fleet.hosts.hosts.values()] == [[], []]

    await fleet.tell(A, PauseBot())
    await fleet.look(3)
    await fleet.tell(A, StopBot())
    await fleet.look(3)

    assert [host.refreshed for host in fleet.hosts.hosts.values()] == [[A, A], []]


async def test_what_could_not_be_passed_on_is_passed_on_later() -> None:
    fleet = Fleet()
    await fleet.create(A, B)
    await fleet.look()
    first = fleet.hosts.hosts["fleet-1-host-1"]
    first.refreshed.clear()
    fleet.hosts.silent = {"fleet-1-host-1"}
    await fleet.tell(A, PauseBot())
    await fleet.look(2)
    assert first.refreshed == []

    fleet.hosts.silent = set()
    await fleet.look(2)

    assert first.refreshed == [A]


async def test_a_silent_host_keeps_nobody_else_waiting_and_is_reported() -> None:
    fleet = Fleet()
    fleet.hosts.silent = {"fleet-1-host-1"}
    fleet.hosts.wakes = False
    await fleet.create(A, B)

    await fleet.look()

    assert fleet.hosts.bots() == {"fleet-1-host-1": [], "fleet-1-host-2": [B]}
    silent, answering = fleet.supervisor.reports()
    assert (silent.host, silent.status, silent.error) == ("fleet-1-host-1", None, "fleet-1-host-1 does not answer")
    assert answering.status is not None
    assert (answering.host, answering.status.process_id, answering.error) == ("fleet-1-host-2", 2, "")
    fleet.hosts.silent = set()
    await fleet.look()
    assert fleet.hosts.bots()["fleet-1-host-1"] == [A]
    assert all(report.status is not None for report in fleet.supervisor.reports())


async def test_bots_share_hosts_in_order_of_creation_and_keep_their_place_over_restarts() -> None:
    fleet = Fleet(bots_per_actor=2)
    await fleet.create(C, A)
    await fleet.create(B, started=False)
    await fleet.create(D)
    await fleet.look()
    assert fleet.hosts.bots() == {"fleet-1-host-1": [C, A], "fleet-1-host-2": [D]}

    fleet.hosts.hosts["fleet-1-host-1"].end(C, "finished")
    await fleet.look()
    await fleet.tell(B, StartBot())
    fleet.hosts.hosts["fleet-1-host-1"].ended.clear()
    fleet.supervisor = fleet.another()
    await fleet.look(2)
    assert fleet.hosts.bots() == {"fleet-1-host-1": [A, C], "fleet-1-host-2": [D, B]}


async def test_a_new_supervisor_places_nobody_who_lives_already() -> None:
    fleet = Fleet(bots_per_actor=2)
    await fleet.create(A, B, C)
    await fleet.look()
    placed = list(fleet.hosts.placed)

    fleet.supervisor = fleet.another()
    await fleet.look(2)

    assert fleet.hosts.placed == placed


async def test_it_learns_a_log_of_several_pages() -> None:
    """More lifecycle facts than one page holds, among others of no interest."""
    fleet = Fleet(bots_per_actor=1000)
    bot_ids = [BotId(f"bot-{number}") for number in range(501)]
    await fleet.create(*bot_ids)

    await fleet.look()

    assert fleet.hosts.bots() == {"fleet-1-host-1": bot_ids}


async def test_it_looks_once_a_period_and_wakes_what_hosts_depend_on() -> None:
    fleet = Fleet()
    async with at_work(fleet.supervisor.run()):
        await eventually(lambda: fleet.hosts.woken == 1)
        await fleet.create(A)
        await asyncio.sleep(0.01)
        assert fleet.hosts.placed == []
        fleet.clock.advance(PERIOD_SECONDS)
        await eventually(lambda: fleet.hosts.bots() == {"fleet-1-host-1": [A]})
        assert fleet.hosts.woken == 2

    assert set(fleet.clock.slept_seconds) == {PERIOD_SECONDS}


async def failing(fleet: Fleet) -> dict[BotId, str]:
    """Who is known to fail of what."""
    return {bot_id: known.error for bot_id, known in (await fleet.failing.all()).items()}


async def test_a_bot_that_fails_is_known_to_until_it_lives_again() -> None:
    fleet = Fleet(bots_per_actor=2)
    await fleet.create(A, B)
    await fleet.look(2)
    host = fleet.hosts.hosts["fleet-1-host-1"]
    host.end(A, "crashed", "ZeroDivisionError: oops")
    host.end(B, "superseded", "epoch 3 has taken over")
    await fleet.look()
    assert await failing(fleet) == {A: "ZeroDivisionError: oops"}
    fleet.clock.advance(2)
    await fleet.look(2)

    assert await failing(fleet) == {}


async def test_the_bots_of_a_host_that_does_not_answer_are_known_to_fail() -> None:
    fleet = Fleet()
    await fleet.create(A, B)
    await fleet.look(2)
    fleet.hosts.silent.add("fleet-1-host-2")
    await fleet.look()
    assert await failing(fleet) == {B: "fleet-1-host-2 does not answer"}
    fleet.hosts.silent.clear()
    await fleet.look()

    assert await failing(fleet) == {}
