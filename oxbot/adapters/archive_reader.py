"""Reads what has left the database out of the archive's files: in order of position, or one stream alone."""

import asyncio
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

from events.archived import ArchiveDamaged, ArchiveMissing, RangeDamaged
from events.encoded import StoredEvent
from events.entry import leaf_of, raw_event
from events.identifiers import StreamId
from oxbot.adapters.archive_files import directory_name, read_chunk, read_index, read_manifest
from oxbot.adapters.archive_format import Chunk, Index, Manifest, decode_events
from oxbot.app.archive import Dropped, Range, check_manifest

CHUNKS_KEPT = 2
INDEXES_KEPT = 4

T = TypeVar("T")


class Catalogue(Protocol):
    """Knows which ranges have left the database."""

    async def dropped(self) -> list[Dropped]:
        """All of them, oldest first, each with the manifest that it was let go for."""
        ...


class _Volume(NamedTuple):
    """One range at hand."""

    directory: Path
    manifest: Manifest


class ArchiveReader:
    """An ``Archive`` over a directory of archives: exactly those that the database was emptied for."""

    def __init__(self, directory: Path, catalogue: Catalogue) -> None:
        self._directory = directory
        self._catalogue = catalogue
        self._dropped: list[Dropped] = []
        self._volumes: dict[Range, _Volume] = {}
        self._chunks = _Kept[Sequence[StoredEvent]](CHUNKS_KEPT)
        self._indexes = _Kept[Index](INDEXES_KEPT)

    async def read_all(
        self, *, after_position: int, up_to: int, limit: int, types: Sequence[str] | None = None
    ) -> Sequence[StoredEvent]:
        """See ``Archive.read_all``."""
        found: list[StoredEvent] = []
        for volume in await self._volumes_between(after_position, up_to):
            for chunk in volume.manifest.chunks:
                if chunk.last_position <= after_position:
                    continue
                if len(found) >= limit or chunk.first_position > up_to:
                    return found[:limit]
                if types is None or any(name in chunk.types for name in types):
                    events = await self._chunk(volume, chunk)
                    begins = max(after_position + 1 - chunk.first_position, 0)
                    wanted = events[begins : up_to + 1 - chunk.first_position]
                    found += wanted if types is None else [event for event in wanted if event.event_type in types]
        return found[:limit]

    async def read_stream(
        self, stream: StreamId, *, after_version: int, up_to: int, limit: int | None = None
    ) -> Sequence[StoredEvent]:
        """See ``Archive.read_stream``."""
        found: list[StoredEvent] = []
        version = after_version
        for volume in await self._volumes_between(0, up_to):
            index = await self._index(volume)
            place = index.streams.get(stream)
            if place is None or place.last_version <= version:
                continue
            for begins, ends in place.chunks:
                for number in range(begins, ends + 1):
                    if limit is not None and len(found) >= limit:
                        return found[:limit]
                    events = await asyncio.to_thread(_read_blocks, volume, index, number, stream)
                    wanted = [event for event in events if event.version > version and event.position <= up_to]
                    for event in wanted:
                        version += 1
                        if event.version != version:
                            raise ArchiveDamaged(f"version {version} of stream {stream} is missing from the archive")
                    found += wanted
        return found if limit is None else found[:limit]

    async def position_at(self, time: datetime, *, up_to: int) -> int:
        """See ``Archive.position_at``."""
        chunks = [
            (volume, chunk)
            for volume in await self._volumes_between(0, up_to)
            for chunk in volume.manifest.chunks
            if chunk.first_position <= up_to
        ]
        before = bisect_right(chunks, time, key=lambda found: found[1].recorded_at)
        if before == 0:
            return 0
        events = await self._chunk(*chunks[before - 1])
        number = bisect_right(events, time, key=lambda event: event.recorded_at)
        return min(events[max(number, 1) - 1].position, up_to)

    async def _volumes_between(self, after: int, up_to: int) -> Sequence[_Volume]:
        """The archives that hold any of the positions.

        Raises ``ArchiveMissing`` or ``RangeDamaged`` for one that is not here as it was when its range was dropped.
        """
        if not self._dropped or self._dropped[-1].range.last < up_to:
            self._dropped = await self._catalogue.dropped()
        asked = [dropped for dropped in self._dropped if dropped.range.last > after and dropped.range.first <= up_to]
        for dropped in asked:
            if dropped.range not in self._volumes:
                self._volumes[dropped.range] = self._open(dropped)
        return [self._volumes[dropped.range] for dropped in asked]

    def _open(self, dropped: Dropped) -> _Volume:
        directory = self._directory / directory_name(dropped.range)
        if not directory.exists():
            raise ArchiveMissing(dropped.range.first, dropped.range.last, str(self._directory))
        try:
            manifest, manifest_sha256 = read_manifest(directory)
            check_manifest(dropped, found=manifest_sha256, place=str(self._directory))
        except ArchiveDamaged as error:
            raise RangeDamaged(*dropped.range, str(error)) from error
        return _Volume(directory, manifest)

    async def _chunk(self, volume: _Volume, chunk: Chunk) -> Sequence[StoredEvent]:
        try:
            return await self._chunks.get(chunk.first_position, lambda: read_chunk(volume.directory, chunk))
        except ArchiveDamaged as error:
            raise RangeDamaged(chunk.first_position, chunk.last_position, str(error)) from error

    async def _index(self, volume: _Volume) -> Index:
        return await self._indexes.get(
            volume.manifest.first_position, lambda: read_index(volume.directory, volume.manifest)
        )


class _Kept(Generic[T]):
    """What was read last, so that page after page of one chunk reads it once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[int, T] = OrderedDict()

    async def get(self, key: int, read: Callable[[], T]) -> T:
        if key not in self._values:
            self._values[key] = await asyncio.to_thread(read)
        self._values.move_to_end(key)
        value = self._values[key]
        while len(self._values) > self._size:
            self._values.popitem(last=False)
        return value


def _read_blocks(volume: _Volume, index: Index, number: int, stream: StreamId) -> list[StoredEvent]:
    """The stream's events in one chunk, in order of version; each is what its leaf hash says, or ``ArchiveDamaged``.

    The manifest's hash is of the file whole, which is not read here.
    """
    path = volume.directory / volume.manifest.chunks[number].file
    begins, ends = index.span(number, stream)
    try:
        with path.open("rb") as file:
            file.seek(begins)
            content = file.read(-1 if ends is None else ends - begins)
    except OSError as error:
        raise ArchiveDamaged(f"{path} cannot be read: {error.strerror}") from error
    events = [event for event in decode_events(content, str(path)) if event.stream == stream]
    for event in events:
        if leaf_of(raw_event(event)) != event.leaf_hash:
            raise ArchiveDamaged(f"position {event.position}: the event in {path} does not have its leaf hash")
    return events
