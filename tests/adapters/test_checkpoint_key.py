"""The installation's key for checkpoints, and where its last checkpoint is kept."""

from pathlib import Path
from uuid import UUID

import pytest

from events.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from oxbot.adapters.checkpoint_key import existing_key, last_checkpoint, signer_key

LOG = UUID("00000000-0000-4000-8000-000000000001")
OTHER = UUID("00000000-0000-4000-8000-000000000002")


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert existing_key(home, LOG) is None
    made = signer_key(home, LOG)

    assert signer_key(home, LOG).verifier == made.verifier
    assert (home / "checkpoint.key").stat().st_mode & 0o777 == 0o600
    again = existing_key(home, LOG)
    assert again is not None
    assert again.verifier == made.verifier


def test_a_key_signs_under_the_name_of_the_log(tmp_path: Path) -> None:
    key = signer_key(tmp_path, LOG)
    checkpoint = Checkpoint(f"oxbot/{LOG}", 3, bytes(32))

    assert open_checkpoint(sign_checkpoint(checkpoint, key), [key.verifier]) == checkpoint
    assert signer_key(tmp_path, OTHER).verifier != key.verifier


@pytest.mark.anyio
async def test_each_log_has_a_last_checkpoint_of_its_own(tmp_path: Path) -> None:
    key = signer_key(tmp_path, LOG)
    note = sign_checkpoint(Checkpoint(f"oxbot/{LOG}", 3, bytes(32)), key)
    await last_checkpoint(tmp_path, LOG).remember(note)

    assert await last_checkpoint(tmp_path, LOG).last() == note
    assert await last_checkpoint(tmp_path, OTHER).last() is None
