"""A bot's rows after some facts, and ways to look at them."""

from collections.abc import Iterable, Sequence

from events.bot import BotFact
from events.envelope import Metadata, RecordedEvent
from events.identifiers import bot_stream, new_event_id
from oxbot.core.money import exact
from oxbot.views.bot_views import BotBooks, project
from oxbot.views.fold import Draft
from oxbot.views.rows import Row, ViewName
from tests.core.scenario import BOT, START, STEP

Rows = dict[tuple[ViewName, str], Row]


def recorded(facts: Iterable[BotFact]) -> list[RecordedEvent]:
    """The facts as a log holds them; facts without a candle occurred an hour before the market."""
    return [
        RecordedEvent(
            position=number,
            stream=bot_stream(BOT),
            version=number,
            event_id=new_event_id(),
            event_type="",
            occurred_at=getattr(fact, "at", None) or START - 12 * STEP,
            recorded_at=START,
            fact=fact,
            metadata=Metadata(),
        )
        for number, fact in enumerate(facts, start=1)
    ]


def apply(rows: Rows, drafts: Sequence[Draft]) -> None:
    """Keep each row as its last change leaves it; a draft must name the row that it renders."""
    for draft in drafts:
        if draft.render is None:
            del rows[draft.view, draft.key]
            continue
        with exact():
            row = draft.render()
        assert (row.view, row.owner, row.key) == (draft.view, draft.owner, draft.key)
        rows[draft.view, draft.key] = row


def rows_after(facts: Iterable[BotFact]) -> Rows:
    """All rows of a bot with this life."""
    books, rows = BotBooks(), Rows()
    for event in recorded(facts):
        books, changes = project(books, event)
        apply(rows, changes)
    return rows


def of(rows: Rows, view: ViewName) -> list[Row]:
    """A view's rows in order of key."""
    return [row for (name, _), row in sorted(rows.items()) if name == view]


def row(rows: Rows, kind: type[Row], key: str = "") -> Row:
    """One row, of that kind."""
    found = rows[kind.view, key]
    assert type(found) is kind
    return found


def fields(rows: Rows, kind: type[Row], key: str, *names: str) -> tuple[object, ...]:
    """Some fields of one row."""
    return tuple(getattr(row(rows, kind, key), name) for name in names)
