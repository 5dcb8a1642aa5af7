"""The keys that sign access tokens, in files of the home: the current one, and those whose place it took."""

import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from oxbot.adapters import key_file

FILE_NAME = "signing.key"
RETIRED_FOR = timedelta(hours=25)
"""How long a retired key is kept: longer than any token that it signed, or any answer that it sealed, is good."""

_RETIRED = re.compile(r"signing-retired-(\d{1,12})-[0-9a-f]{8}\.key")


class Retired(NamedTuple):
    """A key that signs no more, and since when."""

    key: bytes
    at: datetime


class KeyFiles:
    """The keys in ``home``, read again whenever they were rotated. Raises ``KeyFileUnusable`` where they are made."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._file = str(home / FILE_NAME)
        self._current = load_or_create(home)
        self._retired = _retired(home)
        self._seen = self._mark()

    def read(self) -> tuple[bytes, tuple[Retired, ...]]:
        """The current key and the retired ones. Raises ``KeyFileUnusable`` if the files have become unusable."""
        mark = self._mark()
        if mark != self._seen:
            self._current, self._retired, self._seen = load_or_create(self._home), _retired(self._home), mark
        return self._current, self._retired

    def _mark(self) -> tuple[int, int]:
        try:
            # Asked of each request: a path as text costs a third of one that has to be made text first.
            found = os.stat(self._file)  # noqa: PTH116
        except OSError as error:
            raise key_file.KeyFileUnusable(f"cannot use the key {self._file}: {error.strerror}") from error
        return found.st_ino, found.st_mtime_ns


def load_or_create(home: Path) -> bytes:
    """The current key in ``home``, made if there is none. Raises ``KeyFileUnusable``."""
    return key_file.load_or_create(home / FILE_NAME)


def rotate(home: Path, *, at_once: bool) -> None:
    """Put a new key in place; with ``at_once`` nothing that was signed before is good any more.

    Killed at any moment it leaves a home with one current key; the old one may then stand among the retired as well.
    Raises ``KeyFileUnusable``.
    """
    current = home / FILE_NAME
    load_or_create(home)
    draft = home / f".{FILE_NAME}.{os.getpid()}.new"
    draft.unlink(missing_ok=True)
    key_file.load_or_create(draft)
    for path in home.glob("signing-retired-*.key"):
        if at_once or path not in _living(home):
            path.unlink(missing_ok=True)
    if not at_once:
        os.link(current, home / f"signing-retired-{int(time.time())}-{os.urandom(4).hex()}.key")
    draft.replace(current)


def _retired(home: Path) -> tuple[Retired, ...]:
    return tuple(Retired(key, at) for path, at in sorted(_living(home).items()) if (key := key_file.load(path)))


def _living(home: Path) -> dict[Path, datetime]:
    found = {path: match for path in home.glob("signing-retired-*.key") if (match := _RETIRED.fullmatch(path.name))}
    moments = {path: datetime.fromtimestamp(int(match[1]), UTC) for path, match in found.items()}
    return {path: at for path, at in moments.items() if datetime.now(UTC) - at < RETIRED_FOR}
