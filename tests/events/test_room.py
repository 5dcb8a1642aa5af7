"""Places are taken at once while there are any, then in line, and none is lost however a wait ends."""

import asyncio

import pytest

from events.room import Room

pytestmark = pytest.mark.anyio


async def turns() -> None:
    """Let every other task go on to where it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_places_are_taken_at_once_until_there_are_none() -> None:
    room = Room(2)
    assert [room.enter_at_once() for _ in range(3)] == [True, True, False]


async def test_a_place_that_is_left_goes_to_who_has_waited_longest() -> None:
    room, entered = Room(1), list[int]()

    async def enter(number: int) -> None:
        await room.enter()
        entered.append(number)

    await enter(0)
    async with asyncio.TaskGroup() as tasks:
        for number in (1, 2):
            tasks.create_task(enter(number))
        await turns()
        room.leave()
        assert not room.enter_at_once()
        await turns()
        assert entered == [0, 1]
        room.leave()
    assert entered == [0, 1, 2]


async def test_whoever_gives_up_waiting_takes_no_place() -> None:
    room = Room(1)
    await room.enter()
    gone = asyncio.create_task(room.enter())
    await turns()
    gone.cancel()
    await asyncio.wait([gone])
    room.leave()
    assert room.enter_at_once()


async def test_a_place_given_to_one_who_is_cancelled_goes_on_to_the_next() -> None:
    room = Room(1)
    await room.enter()
    gone, next_one = asyncio.create_task(room.enter()), asyncio.create_task(room.enter())
    await turns()
    room.leave()
    gone.cancel()
    await asyncio.wait([gone])
    async with asyncio.timeout(20):
        await next_one


async def test_of_two_who_wait_the_cancelled_one_is_passed_over() -> None:
    room = Room(1)
    await room.enter()
    gone, next_one = asyncio.create_task(room.enter()), asyncio.create_task(room.enter())
    await turns()
    gone.cancel()
    room.leave()
    async with asyncio.timeout(20):
        await next_one
    assert gone.cancelled()
