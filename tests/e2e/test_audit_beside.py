"""``oxbot audit verify`` where not the events are changed, but what is kept beside them, or the archive's files."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import asyncpg
import pytest

from tests.adapters.archives import archive_and_drop, begun
from tests.app.sealed_log import lived_log, sealed_log
from tests.e2e.conftest import run_oxbot

pytestmark = pytest.mark.anyio

Verify = Callable[[], "CompletedProcess[str]"]


@pytest.fixture
def verify(database: str, home: Path) -> Verify:
    """Runs ``oxbot audit verify`` against the test's database."""
    return lambda: run_oxbot(home, ["audit", "verify"], {"OXBOT_DATABASE_URL": database})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DELETE FROM log.identity", "log.identity is empty: nothing tells which log this is"),
        ("DELETE FROM log.partitions", "log.partitions does not name the partition from (1) to (50331649)"),
    ],
)
async def test_what_is_wrong_at_no_position_is_told_in_words_with_status_one(
    pool: asyncpg.Pool, verify: Verify, change: str, said: str
) -> None:
    await (await lived_log(pool)).attack(change)
    verified = verify()

    assert (verified.returncode, verified.stderr) == (1, "")
    assert f"\n{said}" in verified.stdout
    assert "\nNOT VERIFIED: no event is bad, but what is kept beside them is\n" in verified.stdout
    assert "\nposition " not in verified.stdout


async def test_an_emptied_cache_is_told_and_is_no_problem(pool: asyncpg.Pool, verify: Verify) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1", 600)
    await log.sealer().seal()
    await log.attack("DELETE FROM log.subtrees")
    verified = verify()

    assert (verified.returncode, verified.stderr) == (0, "")
    assert "log.subtrees lacks 2 of the inner nodes that proofs need" in verified.stdout


async def test_a_cut_tail_is_told_at_the_first_missing_position(pool: asyncpg.Pool, verify: Verify) -> None:
    await (await lived_log(pool)).attack("DELETE FROM log.events WHERE position > 12")

    assert "NOT VERIFIED: the first bad position is 13\n" in verify().stdout


async def test_a_changed_file_of_the_archive_is_told_by_its_positions_with_status_one(
    pool: asyncpg.Pool, home: Path, verify: Verify
) -> None:
    await begun(pool, 250)
    await archive_and_drop(pool, home / "archive")
    directory = home / "archive" / "000000000000101-000000000000200"
    directory.chmod(0o700)
    chunk = directory / "events-000000000000117.ndjson.gz"
    chunk.chmod(0o600)
    chunk.write_bytes(chunk.read_bytes() + b"\n")
    verified = verify()

    assert (verified.returncode, verified.stderr) == (1, "")
    assert f"\nposition 117: positions 117 to 132: {chunk} is not the file that the manifest names" in verified.stdout
    assert "NOT VERIFIED: the first bad position is 117\n" in verified.stdout
