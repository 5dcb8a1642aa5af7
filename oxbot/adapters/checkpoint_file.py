"""The last checkpoint that was signed, in a file beside the key: no restored or rewritten database changes it."""

import asyncio
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from events.checkpoint import read_unverified
from events.errors import OxbotError
from oxbot.app.checkpoints import check_successor


class CheckpointFileUnusable(OxbotError):
    """The file cannot be read or written; the operator must look."""


class CheckpointFile:
    """Implements ``SealMemory``; several processes of one home may use it at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def last(self) -> str | None:
        """See ``SealMemory.last``."""
        return await asyncio.to_thread(self._read)

    async def remember(self, note: str) -> None:
        """See ``SealMemory.remember``."""
        await asyncio.to_thread(self._remember, note)

    def _remember(self, note: str) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._locked():
                held = self._read()
                if held is None or check_successor(read_unverified(note), of=read_unverified(held)):
                    self._replace(note)
        except OSError as error:
            raise CheckpointFileUnusable(f"cannot write the checkpoint to {self._path}: {error.strerror}") from error

    def _read(self) -> str | None:
        try:
            return self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointFileUnusable(f"cannot read the checkpoint in {self._path}: {error}") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time; the lock goes with the process that dies."""
        handle = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _replace(self, note: str) -> None:
        """Write it beside its place and move it there: the name holds the old note or the new one, whole."""
        handle, draft = tempfile.mkstemp(prefix=self._path.name, dir=self._path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(note)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(self._path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
