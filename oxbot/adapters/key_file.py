"""A secret of 32 random bytes, made once and kept in a file that only its owner can read."""

import os
import secrets
import tempfile
from pathlib import Path

from events.errors import OxbotError
from oxbot.weak_secrets import key_weakness

KEY_BYTES = 32


class KeyFileUnusable(OxbotError):
    """A key's file is open to others, cut short, or not to be read; the operator must look."""


def load_or_create(path: Path) -> bytes:
    """The key in the file, made if there is none; the same for processes that ask at once.

    Raises ``KeyFileUnusable`` for a file that others can read, or that does not hold exactly 32 random bytes.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _create(path)
        return _load(path)
    except OSError as error:
        raise KeyFileUnusable(f"cannot use the key {path}: {error.strerror}") from error


def load(path: Path) -> bytes | None:
    """The key in the file, None if there is none. Raises ``KeyFileUnusable``."""
    try:
        return _load(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileUnusable(f"cannot use the key {path}: {error.strerror}") from error


def _create(path: Path) -> None:
    """Write it beside its place and link it there: the name appears with the whole key in it, or not at all."""
    handle, draft = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        _link(draft, path)
    finally:
        Path(draft).unlink()
    _keep_entry(path.parent)


def _link(draft: str, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return  # Another process was first; its key is the one.


def _keep_entry(directory: Path) -> None:
    """A key that something is encrypted under must not vanish with the power: its name is written out too."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _load(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(handle, "rb") as file:
        mode = os.fstat(handle).st_mode & 0o777
        if mode & 0o077:
            raise KeyFileUnusable(f"{path} has mode {mode:o}; others must not read it: chmod 600 {path}")
        key = file.read(KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise KeyFileUnusable(
            f"{path} does not hold exactly {KEY_BYTES} bytes; put the right file back, or remove it for a new key"
        )
    weakness = key_weakness(key)
    if weakness is not None:
        raise KeyFileUnusable(f"the key in {path} could be guessed: {weakness}")
    return key
