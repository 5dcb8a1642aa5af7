"""Bots as of any position of the log, folded from the nearest state kept on the way there: a cache that may be lost."""

import asyncio
import hashlib
from collections.abc import Awaitable, Collection, Sequence
from typing import Protocol

import msgspec
import structlog

from events.envelope import RecordedEvent
from events.errors import OxbotError, StoreUnavailable
from events.identifiers import BOT_STREAM_PREFIX, BotId, EventId, StreamId, bot_stream
from events.log import LogReader
from oxbot.app.bots import UnknownBot
from oxbot.app.clock import Clock
from oxbot.app.skips import Skips
from oxbot.app.snapshots import fold_fingerprint
from oxbot.views.bot_views import BOTS
from oxbot.views.fold import explain
from oxbot.views.past import NOTHING, BotPast, advance

EVERY = 1000
"""A state is kept at each multiple of so many versions, and so many events are folded at most from the nearest."""

KEEP_SECONDS = 30.0
PACKAGES = ("events", "oxbot.core", "oxbot.views")

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(BotPast)

logger = structlog.get_logger(__name__)


class KeptPast(msgspec.Struct, frozen=True, kw_only=True):
    """A bot's past as msgpack, folded through ``version``, whose event is ``event_id`` at ``position``.

    ``decisions`` counts those made by then, so that one of them is found without reading all that was before it.
    """

    stream: StreamId
    version: int
    position: int
    event_id: EventId
    fingerprint: str
    decisions: int
    state: bytes
    sha256: bytes


class BrokenPast(OxbotError):
    """The bot's stream cannot be folded up to there; its projection is stopped at the same event."""


class PastStore(Protocol):
    """Pasts of streams at some of their positions. May raise ``StoreUnavailable``."""

    async def before(self, stream: StreamId, position: int, fingerprint: str) -> KeptPast | None:
        """The newest up to the position that this program folded."""
        ...

    async def before_decision(self, stream: StreamId, number: int, fingerprint: str) -> KeptPast | None:
        """The newest in which less than that many decisions had been made, likewise."""
        ...

    async def keep(self, past: KeptPast) -> None:
        """Keep it in place of any other of its stream and position."""
        ...

    async def due(self, prefix: str, every: int, fingerprint: str) -> list[StreamId]:
        """Streams of that prefix that have come ``every`` versions or more since their newest past of this program."""
        ...


class BotHistory:
    """Any bot as of any position. What is wrong with a kept past costs a longer fold and nothing else."""

    def __init__(self, log: LogReader, store: PastStore, *, every: int = EVERY) -> None:
        self._log = log
        self._store = store
        self._skips = Skips(log)
        self._every = every
        self._program = fold_fingerprint(BotPast, PACKAGES)

    async def at(self, bot_id: BotId, position: int) -> BotPast:
        """The bot as of the position, which the log has reached. Raises ``UnknownBot`` before it was created."""
        past = await self._folded(bot_stream(bot_id), position)
        if past.state.created is None:
            raise UnknownBot(f"there was no bot {bot_id} at position {position}")
        return past

    async def keep_up(self) -> int:
        """Keep the pasts of all bots that have come far since their last; so many were behind."""
        fingerprint = self._fingerprint(await self._skips.of(BOTS.name))
        head = await self._log.head()
        streams = await self._store.due(BOT_STREAM_PREFIX, self._every, fingerprint)
        for stream in streams:
            try:
                await self._folded(stream, head)
            except BrokenPast as broken:
                logger.warning("past_not_kept", stream=stream, reason=str(broken))
        return len(streams)

    async def version_before(self, bot_id: BotId, decision: int) -> int:
        """A version of the bot's stream after which its decision of that number comes, as late as is known."""
        stream = bot_stream(bot_id)
        fingerprint = self._fingerprint(await self._skips.of(BOTS.name))
        kept = await self._found(self._store.before_decision(stream, decision, fingerprint))
        return 0 if kept is None or await self._checked(kept) is None else kept.version

    async def _folded(self, stream: StreamId, position: int) -> BotPast:
        skipped = await self._skips.of(BOTS.name)
        fingerprint = self._fingerprint(skipped)
        past, version = await self._begin(stream, position, fingerprint)
        while True:
            asked = self._every - version % self._every
            events = await self._log.read_stream(stream, after_version=version, limit=asked, up_to_position=position)
            if events:
                # So many events are tens of milliseconds of work, and others are waiting for their answers.
                past = await asyncio.to_thread(_advanced, past, events, skipped)
            if len(events) < asked:
                return past
            version = events[-1].version
            await self._keep(stream, past, events[-1], fingerprint)

    async def _begin(self, stream: StreamId, position: int, fingerprint: str) -> tuple[BotPast, int]:
        kept = await self._found(self._store.before(stream, position, fingerprint))
        if kept is None:
            return NOTHING, 0
        past = await self._checked(kept)
        return (NOTHING, 0) if past is None else (past, kept.version)

    async def _checked(self, kept: KeptPast) -> BotPast | None:
        """What was kept, if it is what was written, of the log that there is."""
        past: BotPast | None = None
        if hashlib.sha256(kept.state).digest() == kept.sha256:
            try:
                past = _DECODER.decode(kept.state)
            except (msgspec.MsgspecError, ValueError):
                past = None
        if past is not None:
            last = await self._log.read_stream(kept.stream, after_version=kept.version - 1, limit=1)
            if last and (last[0].position, last[0].event_id) == (kept.position, kept.event_id):
                return past
        logger.warning("past_ignored", stream=kept.stream, version=kept.version)
        return None

    async def _found(self, looked_up: Awaitable[KeptPast | None]) -> KeptPast | None:
        try:
            return await looked_up
        except StoreUnavailable as away:
            logger.warning("past_not_read", reason=str(away))
            return None

    async def _keep(self, stream: StreamId, past: BotPast, last: RecordedEvent, fingerprint: str) -> None:
        state = _ENCODER.encode(past)
        kept = KeptPast(
            stream=stream,
            version=last.version,
            position=last.position,
            event_id=last.event_id,
            fingerprint=fingerprint,
            decisions=past.state.decisions_made,
            state=state,
            sha256=hashlib.sha256(state).digest(),
        )
        try:
            await self._store.keep(kept)
        except StoreUnavailable as away:
            logger.warning("past_not_kept", stream=stream, reason=str(away))

    def _fingerprint(self, skipped: Collection[int]) -> str:
        """Which program folds, and what it was told to pass over: another of either folds other pasts."""
        if not skipped:
            return self._program
        return hashlib.sha256(f"{self._program} {sorted(skipped)}".encode()).hexdigest()


def _advanced(past: BotPast, events: Sequence[RecordedEvent], skipped: Collection[int]) -> BotPast:
    try:
        return advance(past, events, skipped=skipped)
    except Exception as error:
        span = f"positions {events[0].position} to {events[-1].position}"
        raise BrokenPast(f"stream {events[0].stream}, {span}: {explain(error)}") from error


class HistoryKeeper:
    """Keeps pasts of all bots while they live, so that nobody who asks for one waits for a long fold."""

    def __init__(self, history: BotHistory, clock: Clock) -> None:
        self._history = history
        self._clock = clock

    async def run(self) -> None:
        """Keep them until cancelled; what fails is tried again the next time."""
        while True:
            try:
                await self._history.keep_up()
            except OxbotError as error:
                logger.warning("history_waits", reason=str(error))
            await self._clock.sleep(KEEP_SECONDS)
