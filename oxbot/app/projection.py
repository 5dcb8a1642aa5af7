"""Follows the log and keeps the views: batches in order, each written together with its checkpoint."""

from collections.abc import Iterable, Sequence

import msgspec
import structlog

from events.envelope import RecordedEvent
from events.identifiers import BOT_STREAM_PREFIX, BotId
from events.log import EventLog
from oxbot.app.views import CheckpointMoved, RowChange, ViewStore
from oxbot.views.bot_views import BotBooks, Change, Removal, project

BATCH = 2000
WAIT_SECONDS = 1.0

logger = structlog.get_logger(__name__)

_encoder = msgspec.json.Encoder()
_books_encoder = msgspec.msgpack.Encoder()
_books_decoder = msgspec.msgpack.Decoder(BotBooks)


class Projection:
    """The fold over a run of events: remembers the books of the bots it has met and the last change of each row."""

    def __init__(self) -> None:
        self.books: dict[BotId, BotBooks] = {}

    def apply(self, events: Iterable[RecordedEvent]) -> tuple[list[RowChange], set[BotId]]:
        """The rows that the events change, each once and as the last of them left it, and the bots they are of."""
        latest: dict[tuple[str, str, str], Change] = {}
        touched: set[BotId] = set()
        for event in events:
            if not event.stream.startswith(BOT_STREAM_PREFIX):
                continue
            bot_id = BotId(event.stream[len(BOT_STREAM_PREFIX) :])
            touched.add(bot_id)
            self.books[bot_id], changes = project(self.books.get(bot_id, BotBooks()), event)
            for change in changes:
                latest[change.view, change.bot_id, change.key] = change
        return [row_change(change) for change in latest.values()], touched


def row_change(change: Change) -> RowChange:
    """The change with its row in canonical JSON: fields in order of definition, decimals as plain text."""
    body = None if isinstance(change, Removal) else _encoder.encode(change)
    return RowChange(change.view, change.bot_id, change.key, body)


def encode_books(books: BotBooks) -> bytes:
    """The books as bytes: equal books give equal bytes."""
    return _books_encoder.encode(books)


def decode_books(body: bytes) -> BotBooks:
    """The books from bytes."""
    return _books_decoder.decode(body)


class ProjectionRunner:
    """Keeps the stored views up with the log; killed at any moment it goes on from its checkpoint, nothing twice."""

    def __init__(self, log: EventLog, views: ViewStore) -> None:
        self._log = log
        self._views = views
        self._projection = Projection()
        self._position = 0

    @property
    def position(self) -> int:
        """The position up to which this runner has projected."""
        return self._position

    async def run(self) -> None:
        """Project until cancelled; where another projector was faster, begin again after what it did."""
        await self._begin()
        while True:
            try:
                moved = await self.step()
            except CheckpointMoved as moved_by_another:
                logger.warning("projection_overtaken", reason=str(moved_by_another))
                await self._begin()
                moved = False
            if not moved:
                await self._log.wait_beyond(self._position, timeout_seconds=WAIT_SECONDS)

    async def catch_up(self) -> None:
        """Project up to the log's present head, or see that somebody else does, and return."""
        head = await self._log.head()
        await self._begin()
        while self._position < head:
            try:
                await self.step()
            except CheckpointMoved:
                await self._begin()

    async def step(self) -> bool:
        """Project one batch; False if there was nothing new."""
        events = await self._log.read_all(after_position=self._position, limit=BATCH)
        if not events:
            return False
        await self._recall(events)
        changes, touched = self._projection.apply(events)
        books = {bot_id: encode_books(self._projection.books[bot_id]) for bot_id in touched}
        position = events[-1].position
        await self._views.commit(changes, books, after=self._position, position=position)
        self._position = position
        return True

    async def _begin(self) -> None:
        """Forget everything and go on from the stored checkpoint."""
        self._projection = Projection()
        self._position = await self._views.checkpoint()

    async def _recall(self, events: Sequence[RecordedEvent]) -> None:
        streams = {event.stream for event in events if event.stream.startswith(BOT_STREAM_PREFIX)}
        met = {BotId(stream[len(BOT_STREAM_PREFIX) :]) for stream in streams}
        strangers = sorted(met - self._projection.books.keys())
        if strangers:
            remembered = await self._views.books(strangers)
            if await self._views.checkpoint() != self._position:
                raise CheckpointMoved(f"the books are beyond position {self._position}; another projector is at work")
            self._projection.books.update({bot_id: decode_books(body) for bot_id, body in remembered.items()})
