"""Folded states kept aside so that the next fold of a long stream begins near its end: a cache that may be lost."""

import asyncio
import hashlib
from collections import Counter
from functools import cache
from importlib.resources import files
from types import TracebackType
from typing import Generic, Literal, Protocol, Self, TypeVar

import msgspec
import structlog

from events.errors import OxbotError
from events.identifiers import EventId, StreamId
from events.log import EventLog
from oxbot.app.handle import Folded

StateT = TypeVar("StateT")
Fault = Literal["other_program", "damaged", "not_of_this_stream", "unreadable"]

EVERY = 500
FOLD_PACKAGES = ("events", "oxbot.core")

logger = structlog.get_logger(__name__)


class FoldCodeMissing(OxbotError):
    """The program's own source cannot be read, so nothing can tell which program folded a state."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A stream's state as msgpack, folded through ``version``, whose event is ``event_id``."""

    stream: StreamId
    version: int
    event_id: EventId
    fingerprint: str
    state: bytes
    sha256: bytes


class SnapshotStore(Protocol):
    """One snapshot per stream. May raise ``StoreUnavailable``."""

    async def find(self, stream: StreamId) -> Snapshot | None:
        """The one kept last."""
        ...

    async def keep(self, snapshot: Snapshot) -> None:
        """Keep it in place of any other of the stream."""
        ...


class Snapshots(Generic[StateT]):
    """The snapshots of one kind of stream, a ``FoldCache``. Nothing that is wrong with them is more than a full fold.

    A snapshot is used only if this program's code folded it, its bytes are what was written, and the stream holds its
    event at its version; any other is ignored, counted in ``ignored`` and logged. One is written each time a fold
    passes a multiple of ``every`` versions, beside the work and never in its way.
    """

    def __init__(self, store: SnapshotStore, kind: type[StateT], *, every: int = EVERY) -> None:
        self._store = store
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(kind)
        folded: type = kind
        self._fingerprint = fold_fingerprint(folded)
        self._every = every
        self._waiting: dict[StreamId, tuple[Folded[StateT], EventId]] = {}
        self._writing: asyncio.Task[None] | None = None
        self.ignored: Counter[Fault] = Counter()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.settle()

    async def begin(self, log: EventLog, stream: StreamId) -> Folded[StateT] | None:
        """Where the stream's fold may begin, None for its first event."""
        try:
            snapshot = await self._store.find(stream)
        except Exception:
            logger.exception("snapshot_not_read", stream=stream)
            self.ignored["unreadable"] += 1
            return None
        if snapshot is None:
            return None
        state = self._checked(snapshot)
        if isinstance(state, str):
            self._ignore(snapshot, state)
            return None
        last = await log.read_stream(stream, after_version=snapshot.version - 1, limit=1)
        if not last or (last[0].version, last[0].event_id) != (snapshot.version, snapshot.event_id):
            self._ignore(snapshot, "not_of_this_stream")
            return None
        return Folded(state[0], snapshot.version)

    def folded(self, stream: StreamId, folded: Folded[StateT], *, since: int, last: EventId) -> None:
        """The stream was folded from version ``since`` on; ``last`` is the newest of its events."""
        if since // self._every == folded.version // self._every:
            return
        self._waiting[stream] = (folded, last)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def settle(self) -> None:
        """Return once everything that was to be written is."""
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        while self._waiting:
            stream, (folded, last) = self._waiting.popitem()
            state = self._encoder.encode(folded.state)
            snapshot = Snapshot(
                stream=stream,
                version=folded.version,
                event_id=last,
                fingerprint=self._fingerprint,
                state=state,
                sha256=hashlib.sha256(state).digest(),
            )
            try:
                await self._store.keep(snapshot)
            except Exception:
                logger.exception("snapshot_not_kept", stream=stream)

    def _checked(self, snapshot: Snapshot) -> tuple[StateT] | Fault:
        """The state in a tuple of its own, or what is wrong with the snapshot."""
        if snapshot.fingerprint != self._fingerprint:
            return "other_program"
        if hashlib.sha256(snapshot.state).digest() != snapshot.sha256 or snapshot.version < 1:
            return "damaged"
        try:
            return (self._decoder.decode(snapshot.state),)
        except (msgspec.MsgspecError, ValueError):
            return "damaged"

    def _ignore(self, snapshot: Snapshot, fault: Fault) -> None:
        self.ignored[fault] += 1
        say = logger.info if fault == "other_program" else logger.warning
        say("snapshot_ignored", stream=snapshot.stream, version=snapshot.version, fault=fault)


@cache
def fold_fingerprint(kind: type, packages: tuple[str, ...] = FOLD_PACKAGES) -> str:
    """A digest of the state's schema and of all code that facts go through on their way into it, read but once.

    Any change there makes every older snapshot another program's: a fold that has changed without anybody noting it
    must not go on from what it would not have folded itself.
    """
    digest = hashlib.sha256(msgspec.json.encode(msgspec.json.schema(kind), order="deterministic"))
    for package in packages:
        sources = sorted((file for file in files(package).iterdir() if file.name.endswith(".py")), key=lambda f: f.name)
        if not sources:
            raise FoldCodeMissing(f"the source of {package} is not there")
        for file in sources:
            content = file.read_bytes()
            digest.update(f"\n{package}/{file.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()
