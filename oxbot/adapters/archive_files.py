"""Keeps archives as directories of files, one per range, which get their name only once all of them is on the disk."""

import asyncio
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from events.archived import ArchiveDamaged
from events.encoded import StoredEvent
from events.errors import OxbotError
from oxbot.adapters.archive_format import (
    CHUNK_EVENTS,
    INDEX,
    MANIFEST,
    Chunk,
    File,
    Index,
    Manifest,
    decode_events,
    decode_index,
    decode_manifest,
    describe_chunk,
    describe_file,
    encode_chunk,
    encode_index,
    encode_manifest,
)
from oxbot.app.archive import Archived, Range

NAME = re.compile(r"(\d{15})-(\d{15})")
DRAFT_PREFIX = ".draft-"
LOCK = ".lock"


class ArchiveBusy(OxbotError):
    """Another process writes to the archive just now."""


class ArchiveUnusable(OxbotError):
    """The archive's directory cannot be written or read; the operator must look."""


class ArchiveFiles:
    """An ``ArchiveStore`` in a directory; of no effect on it until something is written."""

    def __init__(self, directory: Path, *, chunk_events: int = CHUNK_EVENTS) -> None:
        self._directory = directory
        self._chunk_events = chunk_events

    @property
    def place(self) -> str:
        """The directory."""
        return str(self._directory)

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """See ``ArchiveStore.exclusive``. The lock ends with the process, and drafts that it left are removed here."""
        with _usable(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self._directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ArchiveBusy(f"another process writes to the archive {self._directory} just now") from error
            for left in self._directory.glob(f"{DRAFT_PREFIX}*"):
                await asyncio.to_thread(shutil.rmtree, left)
            yield
        finally:
            os.close(handle)

    async def archived(self) -> list[Archived]:
        """See ``ArchiveStore.archived``."""
        if not self._directory.exists():
            return []
        with _usable(self._directory):
            names = sorted(entry.name for entry in self._directory.iterdir() if NAME.fullmatch(entry.name))
        return [described(*read_manifest(self._directory / name)) for name in names]

    @asynccontextmanager
    async def draft(self, positions: Range, log_id: UUID) -> AsyncIterator["FileDraft"]:
        """See ``ArchiveStore.draft``."""
        with _usable(self._directory):
            directory = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=self._directory))
        try:
            yield FileDraft(directory, positions, log_id, chunk_events=self._chunk_events)
        finally:
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)

    async def pages(self, archived: Archived) -> AsyncIterator[Sequence[StoredEvent]]:
        """See ``ArchiveStore.pages``; a page is a chunk."""
        async for page in _pages(self._directory / directory_name(archived.range)):
            yield page


class FileDraft:
    """A ``Draft`` in a directory of its own."""

    def __init__(self, directory: Path, positions: Range, log_id: UUID, *, chunk_events: int) -> None:
        self._directory = directory
        self._positions = positions
        self._log_id = log_id
        self._chunk_events = chunk_events
        self._waiting: list[StoredEvent] = []
        self._chunks: list[Chunk] = []
        self._index = Index(streams={}, blocks=[])

    async def add(self, events: Sequence[StoredEvent]) -> None:
        """See ``Draft.add``."""
        self._waiting += events
        while len(self._waiting) >= self._chunk_events:
            await asyncio.to_thread(self._write_chunk, self._waiting[: self._chunk_events])
            del self._waiting[: self._chunk_events]

    async def finish(self, *, root: bytes, checkpoint: str | None) -> None:
        """See ``Draft.finish``."""
        if self._waiting:
            await asyncio.to_thread(self._write_chunk, self._waiting)
            self._waiting = []
        index = encode_index(self._index)
        manifest = Manifest(
            log_id=self._log_id,
            first_position=self._positions.first,
            last_position=self._positions.last,
            root=root,
            checkpoint=checkpoint,
            index=describe_file(INDEX, index),
            chunks=tuple(self._chunks),
        )
        await asyncio.to_thread(self._write, INDEX, index)
        await asyncio.to_thread(self._write, MANIFEST, encode_manifest(manifest))
        _sync_directory(self._directory)

    async def pages(self) -> AsyncIterator[Sequence[StoredEvent]]:
        """See ``Draft.pages``."""
        async for page in _pages(self._directory):
            yield page

    async def publish(self) -> Archived:
        """See ``Draft.publish``."""
        place = self._directory.parent / directory_name(self._positions)
        with _usable(place):
            self._directory.rename(place)
            # Only now: a draft that was left read-only could not be removed.
            place.chmod(0o500)
            _sync_directory(place.parent)
        return described(*read_manifest(place))

    def _write_chunk(self, events: Sequence[StoredEvent]) -> None:
        content, blocks = encode_chunk(events)
        chunk = describe_chunk(events, content)
        self._write(chunk.file, content)
        self._index.add(events, blocks)
        self._chunks.append(chunk)

    def _write(self, name: str, content: bytes) -> None:
        with _usable(self._directory):
            handle = os.open(self._directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(handle)


def directory_name(positions: Range) -> str:
    """The name of a range's directory: names sort as positions do."""
    return f"{positions.first:015d}-{positions.last:015d}"


def described(manifest: Manifest, manifest_sha256: str) -> Archived:
    """What the manifest says, for those who need no files."""
    return Archived(
        range=Range(manifest.first_position, manifest.last_position),
        log_id=manifest.log_id,
        root=manifest.root,
        checkpoint=manifest.checkpoint,
        manifest_sha256=manifest_sha256,
    )


def read_manifest(directory: Path) -> tuple[Manifest, str]:
    """The manifest in a range's directory, and its SHA-256. Raises ``ArchiveDamaged``."""
    path = directory / MANIFEST
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArchiveDamaged(f"{path} cannot be read: {error.strerror}") from error
    manifest = decode_manifest(content, str(path))
    named = NAME.fullmatch(directory.name)
    if named is not None and (int(named[1]), int(named[2])) != (manifest.first_position, manifest.last_position):
        raise ArchiveDamaged(
            f"{path} is of the positions {manifest.first_position} to {manifest.last_position}, not of its directory's"
        )
    return manifest, sha256(content).hexdigest()


def read_index(directory: Path, manifest: Manifest) -> Index:
    """The index of a range. Raises ``ArchiveDamaged``."""
    return decode_index(read_file(directory, manifest.index), str(directory / manifest.index.file))


def read_chunk(directory: Path, chunk: Chunk) -> list[StoredEvent]:
    """All events of a chunk, in order of position. Raises ``ArchiveDamaged``."""
    name = str(directory / chunk.file)
    events = sorted(decode_events(read_file(directory, chunk), name), key=lambda event: event.position)
    expected = range(chunk.first_position, chunk.last_position + 1)
    if [event.position for event in events] != list(expected):
        raise ArchiveDamaged(f"{name} does not hold exactly the positions {expected.start} to {expected.stop - 1}")
    return events


async def _pages(directory: Path) -> AsyncIterator[list[StoredEvent]]:
    """The events of an archive, a chunk at a time, once its index is known to be whole."""
    manifest, _ = read_manifest(directory)
    await asyncio.to_thread(read_file, directory, manifest.index)
    for chunk in manifest.chunks:
        yield await asyncio.to_thread(read_chunk, directory, chunk)


def read_file(directory: Path, file: File) -> bytes:
    """The file's bytes, exactly those that the manifest names. Raises ``ArchiveDamaged``."""
    path = directory / file.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArchiveDamaged(f"{path} cannot be read: {error.strerror}") from error
    if sha256(content).hexdigest() != file.sha256:
        raise ArchiveDamaged(f"{path} is not the file that the manifest names")
    return content


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveUnusable(f"cannot use {path}: {error.strerror or error}") from error


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
