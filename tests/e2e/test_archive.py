"""``oxbot archive`` and ``oxbot db backup`` as an operator meets them."""

import asyncio
from pathlib import Path

import pytest

from oxbot.adapters.database import open_pool
from tests.adapters.archives import begun, whole_log
from tests.e2e.conftest import Oxbot

FIRST = "positions 1 to 100"
SECOND = "positions 101 to 200"


async def _begin(database: str) -> None:
    async with await open_pool(database, size=2, application_name="tests") as pool:
        await begun(pool, 250)


async def _behind(database: str) -> None:
    async with await open_pool(database, size=1, application_name="tests") as pool:
        await pool.execute("UPDATE views.projections SET position = 150 WHERE name = 'bots'")


async def _positions(database: str, directory: Path) -> list[int]:
    async with await open_pool(database, size=2, application_name="tests") as pool:
        return [event.position for event in await whole_log(pool, directory).read_all()]


class Operator:
    """Somebody who types commands to an installation over this database."""

    def __init__(self, oxbot: Oxbot, database: str, home: Path) -> None:
        self._oxbot = oxbot
        self._database = database
        self.home = home

    def types(self, *arguments: str, **settings: str) -> tuple[int, str]:
        """The command's status and all that it says."""
        done = self._oxbot(*arguments, **{"OXBOT_DATABASE_URL": self._database, **settings})
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def operator(oxbot: Oxbot, database: str, home: Path) -> Operator:
    """Somebody with a database of small partitions, two of them full."""
    asyncio.run(_begin(database))
    return Operator(oxbot, database, home)


def test_an_archive_is_made_listed_dropped_and_verified(operator: Operator, database: str) -> None:
    status, said = operator.types("archive", "list")
    assert (status, said) == (
        0,
        f"{FIRST}: in the database, not archived\n{SECOND}: in the database, not archived\n",
    )
    status, said = operator.types("archive", "create")
    assert status == 0
    assert [line.split(", manifest")[0] for line in said.splitlines()] == [
        f"{FIRST}: archived and compared",
        f"{SECOND}: archived and compared",
    ]
    asyncio.run(_behind(database))
    status, said = operator.types("archive", "create", "--drop")
    assert status == 0
    assert [line.split(", manifest")[0] for line in said.splitlines()] == [
        "no partition is full that is not archived",
        f"{FIRST}: dropped from the database",
    ]
    status, said = operator.types("archive", "drop")
    assert (status, said) == (
        2,
        f"oxbot: {SECOND} stay in the database: projection bots is only at position 150\n",
    )
    assert operator.types("archive", "list") == (0, f"{FIRST}: archived\n{SECOND}: in the database, and archived\n")
    status, said = operator.types("archive", "verify")
    assert status == 0
    assert said.splitlines()[-1].startswith("200 archived events are what was archived")
    assert asyncio.run(_positions(database, operator.home / "archive")) == list(range(1, 253))


def test_files_that_are_gone_are_said_to_be_missing(operator: Operator, tmp_path: Path) -> None:
    elsewhere = str(tmp_path / "elsewhere")
    assert operator.types("archive", "create", "--drop", OXBOT_ARCHIVE_DIRECTORY=elsewhere)[0] == 0
    status, said = operator.types("archive", "list")
    missing = "MISSING: neither in the database nor in the archive"
    assert (status, said) == (1, f"{FIRST}: {missing}\n{SECOND}: {missing}\n")
    status, said = operator.types("archive", "verify")
    assert (status, said) == (
        2,
        f"oxbot: {FIRST} are archived, but their files are not in {operator.home / 'archive'}\n",
    )
    assert operator.types("archive", "verify", OXBOT_ARCHIVE_DIRECTORY=elsewhere)[0] == 0


def test_a_backup_is_restored_into_a_database_of_its_own(
    operator: Operator, empty_database: str, database: str, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    status, said = operator.types("db", "backup", str(file))
    assert status == 0
    assert str(operator.home) in said
    assert operator.types("db", "restore", str(file)) == (
        2,
        "oxbot: the database is not empty: a backup is only restored into one that holds nothing of ours\n",
    )
    assert operator.types("db", "restore", str(file), OXBOT_DATABASE_URL=empty_database)[0] == 0
    assert operator.types("db", "migrate", OXBOT_DATABASE_URL=empty_database) == (
        0,
        "nothing to apply: the database is at head\n",
    )
    copied = asyncio.run(_positions(empty_database, operator.home / "archive"))
    assert copied == asyncio.run(_positions(database, operator.home / "archive"))
