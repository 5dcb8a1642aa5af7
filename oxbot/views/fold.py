"""The one way in which every projection folds events into rows: pure, and exact about the event that it cannot take."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from events.envelope import Fact, RecordedEvent
from events.identifiers import StreamId
from events.system import StreamEnded
from oxbot.core.money import exact
from oxbot.views.rows import Row, ViewName

ERROR_LENGTH_MAX = 300

BooksT = TypeVar("BooksT", bound=msgspec.Struct)

_rows = msgspec.json.Encoder()
_books = msgspec.msgpack.Encoder()


class Draft(NamedTuple):
    """A row as an event leaves it, written out only if no later event changes it again; None: it is no more."""

    view: ViewName
    owner: str
    key: str
    render: Callable[[], Row] | None


class RowChange(NamedTuple):
    """A row as its canonical JSON, or None where it is to go."""

    view: ViewName
    owner: str
    key: str
    body: bytes | None


class Poison(NamedTuple):
    """An event that a projection cannot apply, and why."""

    position: int
    event_type: str
    error: str


class Folded(NamedTuple):
    """The rows that events changed, each once and as the last of them left it, and the books of those they are of.

    With a ``poison``, all of it is as the events before that one left it.
    """

    changes: list[RowChange]
    books: dict[str, bytes]
    poison: Poison | None


class Projection(NamedTuple, Generic[BooksT]):
    """How one group of views is made of the log.

    ``owner`` says whose books a stream's events go into, None for a stream of no interest; ``project`` is the pure
    step from books and an event to books and rows. ``version`` must rise with whatever makes the same log give other
    rows or other books: a stored projection of another version is folded again from the first event. ``kinds``: the
    facts that matter, all others are passed over without a look; None for all of them.
    """

    name: str
    version: int
    views: tuple[ViewName, ...]
    owner: Callable[[StreamId], str | None]
    books: type[BooksT]
    project: Callable[[BooksT, RecordedEvent], tuple[BooksT, Sequence[Draft]]]
    kinds: frozenset[type[Fact]] | None = None

    def fold(self) -> "Fold[BooksT]":
        """The projection's fold at its beginning."""
        return Fold(self)


class Fold(Generic[BooksT]):
    """A projection over a run of events: remembers the books of whomever it has met."""

    def __init__(self, projection: Projection[BooksT]) -> None:
        self._projection = projection
        self._decoder = msgspec.msgpack.Decoder(projection.books)
        self._books: dict[str, BooksT] = {}

    def strangers(self, events: Iterable[RecordedEvent]) -> list[str]:
        """Owners that the events are of and whose books are not at hand."""
        kinds = self._projection.kinds
        streams = {event.stream for event in events if kinds is None or type(event.fact) in kinds}
        owners = {self._projection.owner(stream) for stream in streams}
        return sorted(owner for owner in owners if owner is not None and owner not in self._books)

    def recall(self, books: Mapping[str, bytes]) -> None:
        """Take books up again as they were once folded."""
        self._books.update((owner, self._decoder.decode(body)) for owner, body in books.items())

    def apply(self, events: Sequence[RecordedEvent], *, skipped: Collection[int] = ()) -> Folded:
        """Fold the events in order but for the positions skipped, up to the first that cannot be applied."""
        poison: Poison | None = None
        while True:
            books, drafts, failed = self._project(events, skipped)
            changes, unwritable = _written(drafts.values())
            poison = failed or poison
            if unwritable is None:
                self._books.update(books)
                return Folded(changes, {owner: _books.encode(book) for owner, book in books.items()}, poison)
            # A row that cannot be written belongs to the event that left it so: fold again up to there.
            poison = unwritable
            events = [event for event in events if event.position < unwritable.position]

    def _project(
        self, events: Iterable[RecordedEvent], skipped: Collection[int]
    ) -> tuple[dict[str, BooksT], dict[tuple[str, str, str], tuple[Draft, RecordedEvent]], Poison | None]:
        books: dict[str, BooksT] = {}
        latest: dict[tuple[str, str, str], tuple[Draft, RecordedEvent]] = {}
        owner_of, project, kinds = self._projection.owner, self._projection.project, self._projection.kinds
        for event in events:
            if kinds is not None and type(event.fact) not in kinds:
                continue
            owner = owner_of(event.stream)
            if owner is None or event.position in skipped or type(event.fact) is StreamEnded:
                continue
            before = books.get(owner) or self._books.get(owner) or self._projection.books()
            try:
                after, drafts = project(before, event)
            except Exception as error:  # noqa: BLE001 - whatever a fold raises is that event's fault, and shown as such
                return books, latest, _poison(event, error)
            books[owner] = after
            for draft in drafts:
                latest[draft.view, draft.owner, draft.key] = draft, event
        return books, latest, None


def row_change(row: Row) -> RowChange:
    """The row in canonical JSON: fields in order of definition, decimals as plain text."""
    return RowChange(row.view, row.owner, row.key, _rows.encode(row))


def explain(error: Exception) -> str:
    """The error's kind and text in one short line."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:ERROR_LENGTH_MAX]


def _written(drafts: Iterable[tuple[Draft, RecordedEvent]]) -> tuple[list[RowChange], Poison | None]:
    """The drafts as rows; or the first event, in order of position, whose row cannot be written."""
    changes: list[RowChange] = []
    refused: list[Poison] = []
    encode = _rows.encode
    with exact():
        for (view, owner, key, render), event in drafts:
            try:
                changes.append(RowChange(view, owner, key, None if render is None else encode(render())))
            except Exception as error:  # noqa: BLE001 - as above
                refused.append(_poison(event, error))
    return changes, min(refused, default=None)


def _poison(event: RecordedEvent, error: Exception) -> Poison:
    return Poison(event.position, event.event_type, explain(error))
