"""The key that signs the log's checkpoints, and the last one that it signed, in files of the installation's home."""

from pathlib import Path
from uuid import UUID

from events.checkpoint import SignerKey, origin_of
from oxbot.adapters import key_file
from oxbot.adapters.checkpoint_file import CheckpointFile

KEY_NAME = "checkpoint.key"


def signer_key(home: Path, log_id: UUID) -> SignerKey:
    """The key in ``home``, made if there is none, under the log's name. Raises ``KeyFileUnusable``."""
    return SignerKey(origin_of(log_id), key_file.load_or_create(home / KEY_NAME))


def existing_key(home: Path, log_id: UUID) -> SignerKey | None:
    """The key in ``home``, if there is one. Raises ``KeyFileUnusable``."""
    return signer_key(home, log_id) if (home / KEY_NAME).exists() else None


def last_checkpoint(home: Path, log_id: UUID) -> CheckpointFile:
    """Where the last signed checkpoint of this log is kept."""
    return CheckpointFile(home / f"checkpoint-{log_id}")
