"""What any memory of the last signed checkpoint promises, and what the one in a file promises besides."""

from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pytest

from events.checkpoint import Checkpoint, SignerKey, read_unverified, sign_checkpoint
from oxbot.adapters.checkpoint_file import CheckpointFile, CheckpointFileUnusable
from oxbot.adapters.memory_seal import MemorySeal
from oxbot.app.checkpoints import SealMemory, TwoRoots

pytestmark = pytest.mark.anyio

KEY = SignerKey("oxbot/one", bytes(32))
OTHER = SignerKey("oxbot/other", bytes(32))


def note(size: int, root: int = 0, *, key: SignerKey = KEY) -> str:
    return sign_checkpoint(Checkpoint(key.verifier.name, size, bytes([root] * 32)), key)


@pytest.fixture(params=["memory", "file"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> SealMemory:
    makers: dict[str, Callable[[], SealMemory]] = {
        "memory": MemorySeal,
        "file": lambda: CheckpointFile(tmp_path / "home" / "checkpoint"),
    }
    return makers[request.param]()


async def test_nothing_is_remembered_at_first(memory: SealMemory) -> None:
    assert await memory.last() is None


async def test_the_largest_checkpoint_is_remembered(memory: SealMemory) -> None:
    for size in (3, 7, 5, 7):
        await memory.remember(note(size))

    assert await memory.last() == note(7)


async def test_a_second_root_for_the_remembered_size_is_refused(memory: SealMemory) -> None:
    await memory.remember(note(3, 1))

    with pytest.raises(TwoRoots, match="the first 3 events were signed before"):
        await memory.remember(note(3, 2))
    assert await memory.last() == note(3, 1)


async def test_a_checkpoint_of_another_log_is_refused(memory: SealMemory) -> None:
    await memory.remember(note(3))

    with pytest.raises(TwoRoots, match="of the log oxbot/one"):
        await memory.remember(note(9, key=OTHER))
    assert await memory.last() == note(3)


async def test_the_file_is_found_again_by_another_process(tmp_path: Path) -> None:
    await CheckpointFile(tmp_path / "checkpoint").remember(note(3))

    assert await CheckpointFile(tmp_path / "checkpoint").last() == note(3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "checkpoint.lock"]


def remember_many(path: Path, first: int) -> None:
    memory = CheckpointFile(path)
    for size in range(first, 200, 2):
        memory._remember(note(size))


async def test_processes_that_write_at_once_never_take_a_larger_one_back(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    context = get_context("spawn")
    writers = [context.Process(target=remember_many, args=(path, first)) for first in (1, 2)]
    for writer in writers:
        writer.start()
    seen = [0]
    while any(writer.is_alive() for writer in writers):
        held = await CheckpointFile(path).last()
        if held is not None:
            seen.append(read_unverified(held).size)
    for writer in writers:
        writer.join()

    assert seen == sorted(seen)
    assert await CheckpointFile(path).last() == note(199)


async def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()

    with pytest.raises(CheckpointFileUnusable, match=str(tmp_path / "checkpoint")):
        await CheckpointFile(tmp_path / "checkpoint").last()


async def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("in the way")

    with pytest.raises(CheckpointFileUnusable, match="cannot write the checkpoint"):
        await CheckpointFile(tmp_path / "home" / "checkpoint").remember(note(1))
