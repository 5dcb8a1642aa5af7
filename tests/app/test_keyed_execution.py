"""An execution that is begun anew with the keys that its account was given, and with nothing else."""

import asyncio
from collections.abc import Callable

import pytest

from events.account import AccountArmed, AccountKeysSet
from events.codec import Codec
from events.identifiers import AccountName
from events.memory import MemoryEventLog
from oxbot.app.keyed_execution import LOOK_SECONDS, KeyedExecution
from tests.app.accounts import happened, open_account
from tests.core.scenario import START, STEP
from tests.simulation.virtual_time import LoopClock, run

MAIN, OTHER = AccountName("main"), AccountName("other")
KEYS = AccountKeysSet(fingerprint="f")


class Begun:
    """An execution that works until it is cancelled, or fails or returns when the test says so."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.error: Exception | None = None
        self.cancelled = False

    async def run(self) -> None:
        """Work."""
        try:
            await self.ended.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.error is not None:
            raise self.error


class Stage:
    """An account, and every execution of it that was begun."""

    def __init__(self) -> None:
        self.log = MemoryEventLog(Codec())
        self.begun: list[Begun] = []
        begin: Callable[[], Begun] = self._begin
        self.execution = KeyedExecution(MAIN, log=self.log, begin=begin, clock=LoopClock())

    def _begin(self) -> Begun:
        self.begun.append(Begun())
        return self.begun[-1]

    async def open(self) -> asyncio.Task[None]:
        """Both accounts have keys, and the execution of one is at work."""
        for account in (MAIN, OTHER):
            await open_account(self.log, account, "okx", more=[KEYS])
        task = asyncio.create_task(self.execution.run())
        await asyncio.sleep(LOOK_SECONDS * 3)
        return task


def test_other_keys_of_this_account_begin_a_new_execution_after_the_old_one_has_ended() -> None:
    async def play() -> None:
        stage = Stage()
        task = await stage.open()
        await happened(stage.log, OTHER, [KEYS])
        await happened(stage.log, MAIN, [AccountArmed(until=START + STEP)])
        await asyncio.sleep(LOOK_SECONDS * 3)
        assert len(stage.begun) == 1
        for number in (2, 3):
            await happened(stage.log, MAIN, [KEYS])
            await asyncio.sleep(LOOK_SECONDS * 2)
            assert len(stage.begun) == number
            assert [each.cancelled for each in stage.begun] == [True] * (number - 1) + [False]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert stage.begun[-1].cancelled

    run(play())


def test_one_that_was_superseded_is_not_begun_again() -> None:
    async def play() -> None:
        stage = Stage()
        task = await stage.open()
        stage.begun[0].ended.set()
        await task
        assert len(stage.begun) == 1

    run(play())


def test_one_that_failed_fails_whoever_runs_it() -> None:
    async def play() -> None:
        stage = Stage()
        task = await stage.open()
        stage.begun[0].error = RuntimeError("a bug")
        stage.begun[0].ended.set()
        with pytest.raises(RuntimeError, match="a bug"):
            await task

    run(play())
