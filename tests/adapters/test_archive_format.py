"""The archive's files: every field comes back, one stream is found by its blocks, what is damaged says so."""

import gzip
import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.archived import ArchiveDamaged
from events.encoded import StoredEvent
from events.identifiers import EventId, StreamId
from oxbot.adapters.archive_format import (
    Chunk,
    File,
    Index,
    Manifest,
    decode_events,
    decode_index,
    decode_manifest,
    describe_chunk,
    encode_chunk,
    encode_index,
    encode_manifest,
)

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8)
TIMES = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001  # Hypothesis wants it without
BYTES = st.binary(max_size=40)


def stored(position: int, stream: str, version: int, *, payload: bytes = b"fact") -> StoredEvent:
    """An event as the log holds it, with hashes that are none."""
    moment = datetime(2026, 1, 1, 12, 0, 0, position % 1_000_000, tzinfo=UTC)
    identifier = EventId(UUID(int=position))
    kind = "even" if position % 2 == 0 else "odd"
    return StoredEvent(
        position, StreamId(stream), version, identifier, kind, 1, moment, moment, payload, b"", b"\x01", b"\x02"
    )


def chunk_of(streams: list[str], *, first: int = 1, payload: bytes = b"fact") -> list[StoredEvent]:
    """Events in order of position, one for each name."""
    versions: dict[str, int] = {}
    events = []
    for position, stream in enumerate(streams, start=first):
        versions[stream] = versions.get(stream, 0) + 1
        events.append(stored(position, stream, versions[stream], payload=payload))
    return events


@given(st.lists(st.builds(
    StoredEvent, st.integers(1, 2**62), NAMES, st.integers(1, 2**62), st.uuids(), NAMES, st.integers(1, 32767),
    TIMES, TIMES, BYTES, BYTES, BYTES, BYTES,
), max_size=6))  # fmt: skip
def test_every_field_of_an_event_comes_back(events: list[StoredEvent]) -> None:
    content, _ = encode_chunk(events)
    assert sorted(decode_events(content, "a file")) == sorted(events)


def test_a_chunk_is_lines_of_json_for_any_program() -> None:
    content, _ = encode_chunk(chunk_of(["bot-2", "bot-1", "bot-2"]))
    lines = [json.loads(line) for line in gzip.decompress(content).splitlines()]
    assert [(line["stream"], line["version"], line["position"]) for line in lines] == [
        ("bot-1", 1, 2),
        ("bot-2", 1, 1),
        ("bot-2", 2, 3),
    ]
    assert lines[0]["payload"] == "ZmFjdA=="


def test_the_same_events_give_the_same_bytes() -> None:
    events = chunk_of(["bot-1", "bot-2"] * 50)
    assert encode_chunk(events) == encode_chunk(list(reversed(events)))


@pytest.mark.parametrize("size", [10, 2_000, 200_000])
@given(st.lists(st.sampled_from(["a", "ab", "b", "c", "z"]), min_size=1, max_size=8))
def test_a_stream_is_found_whole_in_its_blocks(size: int, streams: list[str]) -> None:
    """Whether a block holds one event, some, or all of them."""
    events = chunk_of(streams, payload=bytes(size))
    content, blocks = encode_chunk(events)
    index = Index(streams={}, blocks=[])
    index.add(events, blocks)
    for stream in set(streams):
        begins, ends = index.span(0, stream)
        found = [event for event in decode_events(content[begins:ends], "a file") if event.stream == stream]
        assert found == [event for event in events if event.stream == stream]


def test_one_stream_is_read_without_the_blocks_of_the_others() -> None:
    events = chunk_of([f"bot-{number:02}" for number in range(10)] * 4, payload=bytes(50_000))
    content, blocks = encode_chunk(events)
    index = Index(streams={}, blocks=[])
    index.add(events, blocks)
    begins, ends = index.span(0, "bot-05")
    assert ends is not None
    assert ends - begins < len(content) / 3


def test_the_index_says_in_which_chunks_a_stream_is() -> None:
    index = Index(streams={}, blocks=[])
    for number, streams in enumerate([["a", "b"], ["a"], ["c"], ["a", "a"]]):
        events = chunk_of(streams, first=number * 10 + 1)
        index.add(events, encode_chunk(events)[1])
    read = decode_index(encode_index(index), "the index")
    assert read == index
    assert {name: place.chunks for name, place in read.streams.items()} == {
        "a": [(0, 1), (3, 3)],
        "b": [(0, 0)],
        "c": [(2, 2)],
    }


def _chunk(first: int, last: int) -> Chunk:
    events = chunk_of(["a"] * (last - first + 1), first=first)
    return describe_chunk(events, encode_chunk(events)[0])


def _manifest(*chunks: Chunk, first: int = 1, last: int = 20) -> Manifest:
    index = File(file="streams.json.gz", sha256="", bytes=0)
    return Manifest(
        log_id=uuid4(), first_position=first, last_position=last, root=b"r", checkpoint=None, index=index, chunks=chunks
    )


def test_a_manifest_comes_back() -> None:
    manifest = _manifest(_chunk(1, 10), _chunk(11, 20))
    assert decode_manifest(encode_manifest(manifest), "a manifest") == manifest
    assert manifest.chunks[1].types == {"even": 5, "odd": 5}


@pytest.mark.parametrize(
    ("chunks", "missing"),
    [
        ((), 1),
        ((_chunk(1, 10),), 11),
        ((_chunk(1, 10), _chunk(12, 20)), 11),
        ((_chunk(2, 20),), 1),
        ((_chunk(1, 10), _chunk(10, 20)), 11),
    ],
)
def test_a_manifest_with_a_hole_is_refused(chunks: tuple[Chunk, ...], missing: int) -> None:
    with pytest.raises(ArchiveDamaged, match=f"position {missing} is in no file"):
        decode_manifest(encode_manifest(_manifest(*chunks)), "a manifest")


def test_a_manifest_may_name_files_of_its_own_directory_only() -> None:
    outside = msgspec.structs.replace(_chunk(1, 20), file="../../etc/passwd")
    with pytest.raises(ArchiveDamaged, match="cannot be read"):
        decode_manifest(encode_manifest(_manifest(outside)), "a manifest")


def test_a_manifest_of_a_later_format_is_refused() -> None:
    later = msgspec.structs.replace(_manifest(_chunk(1, 20)), format="oxbot-archive/2")
    with pytest.raises(ArchiveDamaged, match="oxbot-archive/2"):
        decode_manifest(encode_manifest(later), "a manifest")


@pytest.mark.parametrize(("begins", "put", "goes_on"), [(20, b"\x00", 21), (0, b"{", 10**6), (-9, b"", 10**6)])
def test_what_cannot_be_read_names_the_file(begins: int, put: bytes, goes_on: int) -> None:
    """A byte that is another, a file that is another, an end that is missing."""
    events, index = encode_chunk(chunk_of(["a"] * 9))[0], encode_index(Index(streams={}, blocks=[]))
    for decode, content in ((decode_events, events), (decode_index, index)):
        with pytest.raises(ArchiveDamaged, match="that file"):
            decode(content[:begins] + put + content[goes_on:], "that file")
