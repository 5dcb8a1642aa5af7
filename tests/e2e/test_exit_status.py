"""Exit status: 1 is what a verification found, 2 one line about what was asked or given, 70 a fault of the program."""

import asyncio
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_bytes
from urllib.parse import urlsplit

import asyncpg
import pytest

from oxbot.adapters.checkpoint_key import last_checkpoint, signer_key
from oxbot.adapters.database import open_pool
from tests.app.sealed_log import SealedLog, lived_log, sealed_log
from tests.e2e.conftest import Oxbot

pytestmark = pytest.mark.anyio

Command = Callable[..., "subprocess.CompletedProcess[str]"]

READERS = [
    ["archive", "list"],
    ["archive", "create"],
    ["bots", "list"],
    ["bots", "show", "one"],
    ["projections", "status"],
    ["privacy", "show", "ann"],
    ["market", "import", "candles", "--timeframe", "5m", "--symbols", "BTC/USDT"],
    ["replay"],
    ["audit", "verify"],
    ["audit", "key"],
]


@pytest.fixture
def command(database: str, oxbot: Oxbot) -> Command:
    """Runs ``oxbot`` with these arguments against the test's database."""
    return lambda *arguments, **settings: oxbot(*map(str, arguments), **{"OXBOT_DATABASE_URL": database, **settings})


@pytest.fixture
async def log(pool: asyncpg.Pool, home: Path) -> SealedLog:
    """A log sealed at 5, 10 and 14 events of 17 by the installation's own sealer."""
    log_id = await (await sealed_log(pool)).checkpoints.log_id()
    own = SealedLog(pool, signer_key(home, log_id))
    return await lived_log(pool, key=own.key, memory=last_checkpoint(home, log_id))


@pytest.fixture
def nobody(database: str) -> Iterator[str]:
    """A login that may connect and nothing else."""
    asyncio.run(_execute(database, "CREATE ROLE nobody_at_all LOGIN PASSWORD 'open sesame'"))
    yield database.replace("//postgres@", "//nobody_at_all:open%20sesame@")
    asyncio.run(_execute(database, "DROP ROLE nobody_at_all"))


@pytest.mark.parametrize("arguments", READERS, ids=" ".join)
async def test_a_command_refuses_a_database_that_is_not_migrated_and_leaves_it_so(
    oxbot: Oxbot, empty_database: str, market_file: Path, arguments: list[str]
) -> None:
    del market_file
    _assert_refused(oxbot(*arguments, OXBOT_DATABASE_URL=empty_database), "lacks", "run oxbot db migrate")
    connection = await asyncpg.connect(empty_database)
    assert await connection.fetchval("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == 0
    await connection.close()


@pytest.fixture
def market_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder ``candles`` in the directory that the command is run in."""
    folder = tmp_path / "candles"
    folder.mkdir()
    rows = [f"2024-03-01T00:{minute:02}:00Z,1,2,1,1,5" for minute in range(0, 60, 5)]
    header = "open_time,open,high,low,close,volume"
    (folder / "BTC-USDT_5m.csv").write_text("\n".join([header, *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_fresh_home_is_told_to_be_migrated(oxbot: Oxbot) -> None:
    _assert_refused(oxbot("bots", "list"), "lacks the role oxbot_operator; run oxbot db migrate")


@pytest.mark.parametrize("beneath", ["", "further/down"])
def test_a_home_that_cannot_be_is_named(oxbot: Oxbot, tmp_path: Path, beneath: str) -> None:
    (tmp_path / "file").write_text("")
    home = str(tmp_path / "file" / beneath)
    for arguments in (["bots", "list"], ["audit", "verify"], ["demo", "--exit"], ["up"], ["db", "migrate"]):
        _assert_refused(oxbot(*arguments, OXBOT_HOME=home), home, "OXBOT_HOME")


@pytest.mark.parametrize("address", ["garbage", "localhost:5432/oxbot", "mysql://host/oxbot"])
def test_an_address_that_is_no_url_is_named_as_the_setting_it_is(oxbot: Oxbot, address: str) -> None:
    refused = oxbot("bots", "list", OXBOT_DATABASE_URL=address)
    _assert_refused(refused, "OXBOT_DATABASE_URL is no URL such as postgresql://")
    assert address not in refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [["db", "migrate"], ["projections", "status"], ["bots", "list"], ["archive", "list"], ["audit", "verify"]],
    ids=" ".join,
)
def test_a_login_without_rights_is_refused_in_a_line(oxbot: Oxbot, nobody: str, arguments: list[str]) -> None:
    refused = oxbot(*arguments, OXBOT_DATABASE_URL=nobody)
    _assert_refused(refused, "permission denied")
    assert "sesame" not in refused.stderr


def test_a_restore_by_a_login_without_rights_is_refused_in_a_line(
    command: Command, oxbot: Oxbot, nobody: str, empty_database: str, tmp_path: Path
) -> None:
    assert command("db", "backup", tmp_path / "backup").returncode == 0
    into = urlsplit(nobody)._replace(path=urlsplit(empty_database).path).geturl()
    refused = oxbot("db", "restore", str(tmp_path / "backup"), OXBOT_DATABASE_URL=into)
    _assert_refused(refused, "permission denied")


@pytest.mark.parametrize("table", ["events", "streams", "subtrees"])
async def test_a_table_of_the_log_that_is_gone_is_what_a_verification_finds(
    log: SealedLog, command: Command, table: str
) -> None:
    await log.attack(f"DROP TABLE log.{table} CASCADE")
    found = command("audit", "verify")

    assert (found.returncode, found.stderr) == (1, "")
    assert found.stdout == (
        f"position 1: the log's table log.{table} is missing\nNOT VERIFIED: the first bad position is 1\n"
    )
    assert json.loads(command("audit", "verify", "--json").stdout) == {
        "problems": [[1, f"the log's table log.{table} is missing"]]
    }


async def test_other_commands_over_a_log_without_its_table_say_so_in_a_line(log: SealedLog, command: Command) -> None:
    await log.attack("DROP TABLE log.events CASCADE")
    _assert_refused(command("audit", "prove", 3), "the log's table log.events is missing")
    _assert_refused(command("bots", "list"), "log.events")


@pytest.mark.parametrize("time", ["infinity", "20000-01-01"])
async def test_an_event_at_no_time_is_not_proven(log: SealedLog, command: Command, time: str) -> None:
    await log.attack(f"UPDATE log.events SET occurred_at = '{time}' WHERE position = 4")
    _assert_refused(command("audit", "prove", 4), "position 4 bears a time that no event can have")
    verified = command("audit", "verify")
    assert verified.returncode == 1
    assert "the first bad position is 4" in verified.stdout


async def test_a_checkpoint_at_no_time_is_refused_in_a_line(log: SealedLog, command: Command) -> None:
    await log.attack("UPDATE log.events SET recorded_at = '20000-01-01' WHERE event_type = 'checkpoint.signed'")
    _assert_refused(command("audit", "checkpoints"), "a time in the log is one that no event can have")


@pytest.mark.parametrize("position", [18, 1 << 63, 1 << 70])
async def test_a_position_beyond_the_log_holds_no_event_however_large(
    log: SealedLog, command: Command, position: int
) -> None:
    assert (await log.newest()).size == 14
    _assert_refused(command("audit", "prove", position), f"the log has no event at position {position}")


async def test_the_key_is_shown_and_never_made(log: SealedLog, command: Command, home: Path) -> None:
    assert command("audit", "key").stdout == f"{log.key.verifier}\n"
    (home / "checkpoint.key").unlink()
    _assert_refused(command("audit", "key"), "there is no key", "oxbot up makes one")
    assert not (home / "checkpoint.key").exists()


async def test_a_key_that_never_signed_this_log_says_nothing_about_it(
    log: SealedLog, command: Command, tmp_path: Path
) -> None:
    """Somebody verifies the log of others from a home of his own: his key is no reason to distrust theirs."""
    own = tmp_path / "own"
    signer_key(own, await log.checkpoints.log_id())
    verified = command("audit", "verify", OXBOT_HOME=str(own))

    assert (verified.returncode, verified.stderr) == (0, "")
    assert "not proven: who signed the checkpoints: no key was given" in verified.stdout


async def test_a_log_signed_anew_by_another_key_is_found_by_the_home_that_signed_it(
    log: SealedLog, command: Command, home: Path
) -> None:
    (home / "checkpoint.key").write_bytes(token_bytes(32))
    verified = command("audit", "verify")

    assert verified.returncode == 1
    assert "which is no trusted key" in verified.stdout
    assert (await log.newest()).size == 14


async def test_a_kept_checkpoint_that_is_none_is_named(log: SealedLog, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "kept.checkpoint"
    file.write_text("rubbish\n")
    for option in ("--checkpoint", "--from-checkpoint"):
        _assert_refused(command("audit", "verify", option, file), f"{file}: a signed note is")
    assert (await log.newest()).size == 14


async def test_a_proof_replaces_no_file_makes_no_directory_and_leaves_nothing_else(
    log: SealedLog, command: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "proofs"
    folder.mkdir()
    proof = folder / "4.json"
    assert command("audit", "prove", 4, "--out", proof).returncode == 0
    kept = proof.read_bytes()

    _assert_refused(command("audit", "prove", 5, "--out", proof), f"{proof} is there already")
    _assert_refused(command("audit", "prove", 5, "--out", folder / "none" / "5.json"), f"no directory {folder}/none")
    assert proof.read_bytes() == kept
    assert list(folder.iterdir()) == [proof]
    assert (await log.newest()).size == 14


async def test_a_proof_with_an_unknown_field_in_its_event_is_none(
    log: SealedLog, command: Command, tmp_path: Path
) -> None:
    proof = json.loads(command("audit", "prove", 4).stdout)
    proof["event"]["amount"] = "1000"
    forged = tmp_path / "forged.json"
    forged.write_text(json.dumps(proof))
    _assert_refused(command("audit", "check-proof", forged, "--key", log.key.verifier), "is no proof", "amount")


def test_a_skip_needs_a_reason(command: Command) -> None:
    for reason in ("", " \t"):
        _assert_refused(command("projections", "skip", "bots", 1, "--reason", reason), "--reason must say why")


def _assert_refused(finished: "subprocess.CompletedProcess[str]", *words: str) -> None:
    complaints = [line for line in finished.stderr.splitlines() if not line.startswith("oxbot: starting")]
    assert finished.returncode == 2, finished.stderr
    assert len(complaints) == 1, finished.stderr
    assert finished.stdout == ""
    for word in words:
        assert word in complaints[0]


async def _execute(dsn: str, statement: str) -> None:
    async with await open_pool(dsn, size=1, application_name="tests") as pool:
        await pool.execute(statement)
