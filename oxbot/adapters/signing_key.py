"""The key that signs access tokens, in a file of the installation's home."""

from pathlib import Path

from oxbot.adapters import key_file

FILE_NAME = "signing.key"


def load_or_create(home: Path) -> bytes:
    """The key in ``home``, made if there is none. Raises ``KeyFileUnusable``."""
    return key_file.load_or_create(home / FILE_NAME)
