"""What an archive's files hold: events as lines of JSON in gzip blocks, an index of streams, a manifest over all of it.

A chunk is one file, with the events of a run of positions. Within it they are in order of stream and version, and every
block is a gzip member of its own, so that one stream is read from its few blocks; ``zcat`` reads the file whole.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Annotated, NamedTuple
from uuid import UUID

import msgspec

from events.archived import ArchiveDamaged
from events.encoded import StoredEvent
from events.identifiers import EventId, StreamId

FORMAT = "oxbot-archive/1"
MANIFEST = "manifest.json"
INDEX = "streams.json.gz"
CHUNK_EVENTS = 20_000
BLOCK_BYTES = 128 << 10
LEVEL = 6

_FileName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]*$")]


class Line(msgspec.Struct, frozen=True):
    """One event, each field as the log holds it; bytes are base64."""

    position: int
    stream: StreamId
    version: int
    event_id: EventId
    event_type: str
    schema_version: int
    occurred_at: datetime
    recorded_at: datetime
    payload: bytes
    metadata: bytes
    prev_hash: bytes
    leaf_hash: bytes


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the archive."""

    file: _FileName
    sha256: str
    bytes: int


class Chunk(File, frozen=True, kw_only=True):
    """One file of events; ``recorded_at`` is that of the first of them, ``types`` counts them by type."""

    first_position: int
    last_position: int
    recorded_at: datetime
    types: dict[str, int]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All that there is to an archive: whoever has its SHA-256 can tell whether every byte is the right one."""

    format: str = FORMAT
    log_id: UUID
    first_position: int
    last_position: int
    root: bytes
    checkpoint: str | None
    index: File
    chunks: tuple[Chunk, ...]


class StreamPlace(msgspec.Struct, array_like=True):
    """Where in the range a stream is: its versions, and runs of chunks that hold some of them, ends included."""

    first_version: int
    last_version: int
    chunks: list[tuple[int, int]]


class Block(NamedTuple):
    """Where in its chunk's file a block begins, and with which stream."""

    offset: int
    stream: str


class Index(msgspec.Struct, frozen=True):
    """Every stream of the range, and every block of every chunk."""

    streams: dict[str, StreamPlace]
    blocks: list[list[Block]]

    def add(self, events: Sequence[StoredEvent], blocks: list[Block]) -> None:
        """Take in the next chunk."""
        number = len(self.blocks)
        self.blocks.append(blocks)
        for event in events:
            place = self.streams.get(event.stream)
            if place is None:
                self.streams[event.stream] = StreamPlace(event.version, event.version, [(number, number)])
                continue
            place.last_version = max(place.last_version, event.version)
            begins, ends = place.chunks[-1]
            if ends == number - 1:
                place.chunks[-1] = begins, number
            elif ends < number:
                place.chunks.append((number, number))

    def span(self, chunk: int, stream: str) -> tuple[int, int | None]:
        """The bytes of a chunk's file that hold all of a stream: from the one to before the other, or to the end."""
        blocks = self.blocks[chunk]
        beyond = next((n for n, block in enumerate(blocks) if block.stream > stream), len(blocks))
        first = next(n for n in range(beyond - 1, -1, -1) if n == 0 or blocks[n].stream < stream)
        return blocks[first].offset, blocks[beyond].offset if beyond < len(blocks) else None


_encoder = msgspec.json.Encoder()
_line_decoder = msgspec.json.Decoder(Line)
_manifest_decoder = msgspec.json.Decoder(Manifest)
_index_decoder = msgspec.json.Decoder(Index)


def encode_chunk(events: Sequence[StoredEvent]) -> tuple[bytes, list[Block]]:
    """The file's bytes and its blocks. The same events always give the same bytes, with the same zlib."""
    blocks: list[Block] = []
    parts: list[bytes] = []
    size = 0
    for first, lines in _blocks(sorted(events, key=lambda event: (event.stream, event.version))):
        blocks.append(Block(size, first))
        parts.append(gzip.compress(lines, LEVEL, mtime=0))
        size += len(parts[-1])
    return b"".join(parts), blocks


def describe_chunk(events: Sequence[StoredEvent], content: bytes) -> Chunk:
    """The manifest's entry for a chunk of these events, in order of position."""
    described = describe_file(f"events-{events[0].position:015d}.ndjson.gz", content)
    return Chunk(
        file=described.file,
        sha256=described.sha256,
        bytes=described.bytes,
        first_position=events[0].position,
        last_position=events[-1].position,
        recorded_at=events[0].recorded_at,
        types=dict(sorted(Counter(event.event_type for event in events).items())),
    )


def describe_file(name: str, content: bytes) -> File:
    """The manifest's entry for a file."""
    return File(file=name, sha256=sha256(content).hexdigest(), bytes=len(content))


def decode_events(content: bytes, name: str) -> list[StoredEvent]:
    """The events of a chunk, or of some of its blocks, as they stand. Raises ``ArchiveDamaged``."""
    try:
        lines = _line_decoder.decode_lines(gzip.decompress(content))
    except (OSError, EOFError, zlib.error, msgspec.DecodeError) as error:
        raise ArchiveDamaged(f"{name} cannot be read: {error}") from error
    return [StoredEvent(*msgspec.structs.astuple(line)) for line in lines]


def encode_index(index: Index) -> bytes:
    """The index file's bytes."""
    return gzip.compress(_encoder.encode(index), LEVEL, mtime=0)


def decode_index(content: bytes, name: str) -> Index:
    """The index. Raises ``ArchiveDamaged``."""
    try:
        return _index_decoder.decode(gzip.decompress(content))
    except (OSError, EOFError, zlib.error, msgspec.DecodeError) as error:
        raise ArchiveDamaged(f"{name} cannot be read: {error}") from error


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest's bytes, laid out for people."""
    return msgspec.json.format(_encoder.encode(manifest), indent=1) + b"\n"


def decode_manifest(content: bytes, name: str) -> Manifest:
    """The manifest, its chunks one after the other. Raises ``ArchiveDamaged``."""
    try:
        manifest = _manifest_decoder.decode(content)
    except msgspec.DecodeError as error:
        raise ArchiveDamaged(f"{name} cannot be read: {error}") from error
    if manifest.format != FORMAT:
        raise ArchiveDamaged(f"{name} is of the format {manifest.format!r}; this program reads {FORMAT!r}")
    due = manifest.first_position
    for chunk in manifest.chunks:
        if chunk.first_position != due or chunk.last_position < due:
            raise ArchiveDamaged(f"{name}: position {due} is in no file")
        due = chunk.last_position + 1
    if due != manifest.last_position + 1:
        raise ArchiveDamaged(f"{name}: position {due} is in no file")
    return manifest


def _blocks(events: Sequence[StoredEvent]) -> Iterator[tuple[str, bytes]]:
    """The first stream and the lines of each block."""
    lines: list[bytes] = []
    first, size = "", 0
    for event in events:
        if not lines:
            first = event.stream
        lines.append(_encoder.encode(Line(*event)) + b"\n")
        size += len(lines[-1])
        if size >= BLOCK_BYTES:
            yield first, b"".join(lines)
            lines, size = [], 0
    if lines:
        yield first, b"".join(lines)
