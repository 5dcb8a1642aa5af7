"""The keeper of an execution: a venue that cannot be opened is told of, and tried again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from events.account import AccountClaimed, AccountReconciled, AccountUnreconciled
from events.identifiers import account_stream
from oxbot.adapters.memory_venue import MemoryVenue
from oxbot.app.execution import ExecutionRunner
from oxbot.app.execution_books import AccountBook
from oxbot.app.execution_keeper import RETRY_SECONDS, ExecutionKeeper
from oxbot.app.venue import Venue, VenueRefused, VenueUnavailable
from tests.core.scenario import DECIDER
from tests.simulation.execution_world import ACCOUNT, World
from tests.simulation.virtual_time import run

WRONG_KEY = VenueRefused("50111: the key is not valid")


class Door:
    """A venue that refuses so many times to be opened, for these reasons."""

    def __init__(self, world: World, refusals: int, reasons: Sequence[Exception] = (WRONG_KEY,)) -> None:
        self._world = world
        self._refusals = [reasons[number % len(reasons)] for number in range(refusals)]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Venue]:
        if self._refusals:
            raise self._refusals.pop(0)
        yield MemoryVenue(self._world.books)


def keeper(world: World, door: Door, holder: str = "keeper") -> ExecutionKeeper:
    def runner(venue: Venue) -> ExecutionRunner:
        return ExecutionRunner(ACCOUNT, venue=venue, log=world.log, decider=DECIDER, clock=world.clock, holder=holder)

    def account() -> AccountBook:
        return AccountBook(ACCOUNT, log=world.log, clock=world.clock, holder=holder)

    return ExecutionKeeper(door.open, runner=runner, account=account, clock=world.clock)


async def facts(world: World) -> list[object]:
    return [event.fact for event in await world.log.read_stream(account_stream(ACCOUNT))]


def test_wrong_keys_are_told_of_on_the_accounts_stream_and_tried_again() -> None:
    async def play() -> None:
        world = World(1)
        await world.open()
        work = asyncio.ensure_future(keeper(world, Door(world, refusals=2)).run())
        await asyncio.sleep(RETRY_SECONDS / 2)
        told = [fact for fact in await facts(world) if isinstance(fact, AccountUnreconciled)]
        assert [fact.reason for fact in told] == ["50111: the key is not valid"]
        await asyncio.sleep(RETRY_SECONDS * 2)
        assert any(isinstance(fact, AccountReconciled) for fact in await facts(world))
        work.cancel()

    run(play())


def test_a_reason_that_stays_is_told_once_under_one_claim_and_another_one_is_told_as_well() -> None:
    async def play() -> None:
        world = World(1)
        await world.open()
        outages = [VenueUnavailable(f"no answer to request {number}") for number in range(2)]
        door = Door(world, 40, [WRONG_KEY, WRONG_KEY, *outages, VenueRefused("50102: the clock is off")])
        work = asyncio.ensure_future(keeper(world, door).run())
        await asyncio.sleep(RETRY_SECONDS * 35)
        said = [fact for fact in await facts(world) if isinstance(fact, AccountClaimed | AccountUnreconciled)]
        assert [getattr(fact, "reason", "claimed") for fact in said] == [
            "claimed", "50111: the key is not valid", "no answer to request 0", "50102: the clock is off"
        ]  # fmt: skip
        await asyncio.sleep(RETRY_SECONDS * 10)
        assert sum(isinstance(fact, AccountReconciled) for fact in await facts(world)) == 1
        work.cancel()

    run(play())


def test_whoever_was_superseded_at_a_closed_door_stays_away() -> None:
    async def play() -> None:
        world = World(1)
        await world.open()
        first = asyncio.ensure_future(keeper(world, Door(world, 100), "first").run())
        await asyncio.sleep(5)
        second = asyncio.ensure_future(keeper(world, Door(world, 100), "second").run())
        await asyncio.sleep(RETRY_SECONDS * 3)
        assert (first.done(), second.done()) == (True, False)
        second.cancel()

    run(play())


def test_whoever_was_superseded_stays_down() -> None:
    async def play() -> None:
        world = World(1)
        await world.open()
        first = asyncio.ensure_future(keeper(world, Door(world, refusals=0), "first").run())
        await asyncio.sleep(5)
        second = asyncio.ensure_future(keeper(world, Door(world, refusals=0), "second").run())
        await asyncio.sleep(RETRY_SECONDS * 3)
        claims = [fact.holder for fact in await facts(world) if isinstance(fact, AccountClaimed)]
        assert claims == ["first", "second"]
        assert first.done()
        assert not second.done()
        second.cancel()

    run(play())
