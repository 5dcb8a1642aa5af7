"""The exchange's memory: a journal of commands and, now and then, the whole state; what is on disk is what it did.

A directory holds ``snapshot-N`` (the state) and ``journal-N`` (the commands after it). A record is its length, its
CRC-32 and its msgpack; what follows the last whole record of the newest journal is the end of a write that was cut
off, and is dropped at the start.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

from events.errors import OxbotError
from oxbot.exchange.commands import Command
from oxbot.exchange.durable import write_whole
from oxbot.exchange.engine import Exchange
from oxbot.exchange.model import Settings
from oxbot.exchange.state import State

_HEAD = struct.Struct(">II")
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Command)
_SETTINGS = "settings.json"
_DRAIN_EVERY = 1000


class UnfitJournal(OxbotError):
    """A directory that was written with other settings, or whose snapshot is damaged."""


class Journal:
    """The exchange of a directory. ``flush`` before an answer leaves: then a crash forgets nothing that was told.

    Raises ``UnfitJournal`` if the directory was begun with other settings.
    """

    def __init__(self, directory: Path, settings: Settings, *, snapshot_every: int = 20_000) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._snapshot_every = snapshot_every
        self._waiting: list[bytes] = []
        _check_settings(directory, settings)
        self._number, state = _newest_snapshot(directory)
        self.exchange = Exchange(settings, state=state, record=self._record)
        path = self._path("journal", self._number)
        self.cut_bytes = _cut_tail(path)
        self._since_snapshot = self._replay(path)
        self._file = path.open("ab")
        _sync_directory(directory)
        self._remove_older()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def dirty(self) -> bool:
        """Whether there is something to flush."""
        return bool(self._waiting)

    def flush(self) -> None:
        """Make everything recorded so far durable; many commands can share one flush."""
        if not self._waiting:
            return
        written, self._waiting = b"".join(self._waiting), []
        self._file.write(written)
        self._file.flush()
        os.fdatasync(self._file.fileno())
        if self._since_snapshot >= self._snapshot_every:
            self._begin_anew()

    def close(self) -> None:
        """Flush and let go of the file."""
        self.flush()
        self._file.close()

    def _record(self, command: Command) -> None:
        payload = _ENCODER.encode(command)
        self._waiting.append(_HEAD.pack(len(payload), zlib.crc32(payload)) + payload)
        self._since_snapshot += 1

    def _replay(self, path: Path) -> int:
        """Run the journal's commands on the snapshot's state; nothing is recorded a second time."""
        replaying = Exchange(self.exchange.settings, state=self.exchange.state)
        count = 0
        for count, payload in enumerate(_records(path), 1):
            replaying.execute(_DECODER.decode(payload), keep=True)
            if count % _DRAIN_EVERY == 0:
                replaying.drain()
        return count

    def _begin_anew(self) -> None:
        """Write the state and start an empty journal; the ones before are needed until both are durable."""
        number = self._number + 1
        state = self.exchange.snapshot()
        write_whole(self._path("snapshot", number), _HEAD.pack(len(state), zlib.crc32(state)) + state)
        self._file.close()
        self._file = self._path("journal", number).open("ab")
        _sync_directory(self._directory)
        self._number = number
        self._since_snapshot = 0
        self._remove_older()

    def _remove_older(self) -> None:
        for path in (*self._directory.glob("snapshot-*"), *self._directory.glob("journal-*")):
            number = path.name.partition(".")[0].rpartition("-")[2]
            if int(number) < self._number or path.suffix:
                path.unlink()

    def _path(self, kind: str, number: int) -> Path:
        return self._directory / f"{kind}-{number:08d}"


def _check_settings(directory: Path, settings: Settings) -> None:
    path = directory / _SETTINGS
    if not path.exists():
        write_whole(path, msgspec.json.encode(settings))
        return
    known = msgspec.json.decode(path.read_bytes(), type=Settings)
    if known != settings:
        raise UnfitJournal(f"{directory} was begun with other settings: {msgspec.json.encode(known).decode()}")


def _newest_snapshot(directory: Path) -> tuple[int, State]:
    paths = sorted(path for path in directory.glob("snapshot-*") if path.suffix == "")
    if not paths:
        return 0, State()
    written = paths[-1].read_bytes()
    state = written[_HEAD.size :]
    if written[: _HEAD.size] != _HEAD.pack(len(state), zlib.crc32(state)):
        raise UnfitJournal(f"{paths[-1]} is damaged")
    return int(paths[-1].name.rpartition("-")[2]), State.decoded(state)


def _records(path: Path) -> Iterator[bytes]:
    """The whole records at the beginning of the file."""
    if not path.exists():
        return
    written = path.read_bytes()
    at = 0
    while at + _HEAD.size <= len(written):
        length, checksum = _HEAD.unpack_from(written, at)
        payload = written[at + _HEAD.size : at + _HEAD.size + length]
        # A length of 0 is what a file system may leave where a write never came.
        if length == 0 or len(payload) < length or zlib.crc32(payload) != checksum:
            return
        yield payload
        at += _HEAD.size + length


def _cut_tail(path: Path) -> int:
    """Drop what is no whole record; how many bytes that were."""
    if not path.exists():
        return 0
    whole = sum(_HEAD.size + len(payload) for payload in _records(path))
    torn = path.stat().st_size - whole
    if torn:
        with path.open("r+b") as file:
            file.truncate(whole)
            os.fsync(file.fileno())
    return torn


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
