"""``oxbot audit`` as an auditor uses it: exit status, the first bad position, proofs without a database, exports."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import asyncpg
import pytest

from events.checkpoint import SignerKey, VerifierKey, open_checkpoint
from oxbot.adapters.checkpoint_key import last_checkpoint, signer_key
from tests.app.sealed_log import SealedLog, lived_log, sealed_log
from tests.e2e.conftest import run_oxbot

pytestmark = pytest.mark.anyio

Audit = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def audit(database: str, home: Path) -> Audit:
    """Runs ``oxbot audit`` with these arguments against the test's database."""
    return lambda *arguments: run_oxbot(
        home, ["audit", *(str(argument) for argument in arguments)], {"OXBOT_DATABASE_URL": database}
    )


@pytest.fixture
async def log(pool: asyncpg.Pool, home: Path) -> SealedLog:
    """A log sealed at 5, 10 and 14 events of 17 by the installation's own sealer."""
    log_id = await (await sealed_log(pool)).checkpoints.log_id()
    own = SealedLog(pool, signer_key(home, log_id))
    return await lived_log(pool, key=own.key, memory=last_checkpoint(home, log_id))


async def test_a_log_is_verified_and_what_that_does_not_prove_is_said(log: SealedLog, audit: Audit) -> None:
    verified = audit("verify")

    assert (verified.returncode, verified.stderr) == (0, "")
    assert "events: 17, positions 1 to 17, of 4 streams" in verified.stdout
    assert "checkpoints: 3 recorded, signatures checked; they hold for 14 events" in verified.stdout
    assert "kept outside of the database: a checkpoint that holds for 14 events" in verified.stdout
    assert "verified: no problem found" in verified.stdout
    assert "not proven: that the events after position 14 were never cut off" in verified.stdout
    assert "not proven: the honesty of whoever holds the signing key" in verified.stdout
    assert json.loads(audit("verify", "--json").stdout)["root"] == (await log.verify()).root


async def test_a_changed_event_fails_with_status_one_and_its_position(log: SealedLog, audit: Audit) -> None:
    await log.attack("UPDATE log.events SET payload = set_byte(payload, 12, 0) WHERE position = 4")
    verified = audit("verify")

    assert (verified.returncode, verified.stderr) == (1, "")
    assert "position 4: bot.paused of stream bot-2: its content does not have the hash" in verified.stdout
    assert "NOT VERIFIED: the first bad position is 4" in verified.stdout


async def test_a_cut_tail_is_missed_by_the_checkpoint_in_the_home(log: SealedLog, audit: Audit) -> None:
    await log.attack(
        "DELETE FROM log.events WHERE position > 5",
        "DELETE FROM log.event_ids WHERE position > 5",
        "DELETE FROM log.streams WHERE stream_id IN ('bot-3', 'system')",
    )
    await log.remake_hashes()
    verified = audit("verify")

    assert verified.returncode == 1
    assert "position 6: a trusted checkpoint covers 14 events, but the log ends at 5" in verified.stdout


async def test_a_log_rewritten_with_its_hashes_contradicts_an_exported_checkpoint(
    log: SealedLog, audit: Audit, home: Path, tmp_path: Path
) -> None:
    assert audit("checkpoints", "--export", tmp_path / "kept").stdout == (
        f"exported 3 new checkpoints to {tmp_path / 'kept'}\n"
    )
    await log.attack("UPDATE log.events SET metadata = '\\x81' WHERE position = 8")
    await log.remake_hashes()
    for kept_at_home in home.glob("checkpoint-*"):
        kept_at_home.unlink()
    anchors = [("--checkpoint", path) for path in sorted((tmp_path / "kept").iterdir())]
    verified = audit("verify", *(word for anchor in anchors for word in anchor))

    assert len(anchors) == 3
    assert verified.returncode == 1
    assert "position 6: the events at positions 6 to 10 are not those" in verified.stdout


async def test_from_a_kept_checkpoint_only_the_rest_is_read(log: SealedLog, audit: Audit, tmp_path: Path) -> None:
    audit("checkpoints", "--export", tmp_path)
    verified = audit("verify", "--from-checkpoint", tmp_path / f"{10:020}.checkpoint")

    assert verified.returncode == 0
    assert "events: 7, positions 11 to 17" in verified.stdout
    assert "not proven: anything about the events up to position 10, which were not read" in verified.stdout
    assert (await log.newest()).size == 14


async def test_an_event_is_proven_and_the_proof_checked_without_a_database(
    log: SealedLog, audit: Audit, home: Path, tmp_path: Path
) -> None:
    proof = tmp_path / "proof.json"
    assert audit("prove", 4, "--out", proof).returncode == 0
    key = audit("key").stdout.strip()
    elsewhere = {"OXBOT_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}

    def check(name: Path, key: str) -> "CompletedProcess[str]":
        return run_oxbot(home, ["audit", "check-proof", str(name), "--key", key], elsewhere)

    checked = check(proof, key)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert f"position 4 of {log.key.verifier.name} is bot.paused, version 2 of stream bot-2" in checked.stdout
    assert "proven under the checkpoint of 14 events" in checked.stdout

    forged = tmp_path / "forged.json"
    forged.write_text(proof.read_text().replace('"version": 2', '"version": 3'))
    assert check(forged, key).returncode == 2
    stranger = SignerKey(log.key.verifier.name, bytes(32)).verifier
    assert check(proof, str(stranger)).returncode == 2


async def test_checkpoints_are_listed_exported_once_and_never_overwritten(
    log: SealedLog, audit: Audit, tmp_path: Path
) -> None:
    """V12: what was exported before stays, and a log that says otherwise is not believed."""
    kept = tmp_path / "kept"
    listed = audit("checkpoints", "--limit", 2).stdout.splitlines()
    assert [line.partition(",")[0] for line in listed] == ["14 events", "10 events"]
    audit("checkpoints", "--export", kept)
    files = sorted(kept.iterdir())
    key = VerifierKey.parse(audit("key").stdout)
    assert [open_checkpoint(path.read_text(), [key]).size for path in files] == [5, 10, 14]

    await log.append("bot-1")
    await log.sealer().seal()
    assert audit("checkpoints", "--export", kept).stdout == f"exported 1 new checkpoints to {kept}\n"
    files[0].write_text(files[1].read_text())
    refused = audit("checkpoints", "--export", kept)
    assert refused.returncode == 2
    assert "another checkpoint of 5 events" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "--checkpoint", "missing"], "cannot read missing"),
        (["verify", "--key", "nonsense"], "no verifier key"),
        (["prove", "99"], "no event at position 99"),
        (["prove", "17"], "covers 14 events, but not yet position 17"),
    ],
)
async def test_what_was_asked_wrong_is_said_in_a_line_with_status_two(
    log: SealedLog, audit: Audit, arguments: list[str], said: str
) -> None:
    answered = audit(*arguments)

    assert (answered.returncode, answered.stdout) == (2, "")
    assert said in answered.stderr
    assert len(answered.stderr.splitlines()) == 1
    assert (await log.newest()).size == 14
