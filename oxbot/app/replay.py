"""Rebuilds every view from the log and compares it, byte for byte, with what is served."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from events.envelope import RecordedEvent
from events.log import EventLog
from oxbot.app.projection import BATCH, Projection
from oxbot.app.views import RowChange, StoredRow, ViewReader
from oxbot.views.rows import VIEWS, ViewName


class ViewComparison(NamedTuple):
    """One view as it is served and as the log rebuilds it; the first row that differs, if one does."""

    view: ViewName
    rows: int
    first_difference: str | None


class Rebuilt(NamedTuple):
    """All views compared at one position."""

    position: int
    views: tuple[ViewComparison, ...]


async def rebuild_views(log: EventLog, served: ViewReader) -> Rebuilt:
    """Fold the log from its first event up to the served checkpoint and compare every row byte for byte."""
    position, stored = await served.everything()
    rebuilt: dict[tuple[str, str, str], bytes] = {}
    projection = Projection()
    async for page in pages(log, up_to=position):
        changes, _ = projection.apply(page)
        for change in changes:
            _apply(rebuilt, change)
    comparisons = tuple(_compare(view, stored[view], rebuilt) for view in VIEWS)
    return Rebuilt(position, comparisons)


async def pages(log: EventLog, *, up_to: int) -> AsyncIterator[Sequence[RecordedEvent]]:
    """The log from its beginning to a position, in batches."""
    position = 0
    while position < up_to:
        page = await log.read_all(after_position=position, limit=min(BATCH, up_to - position))
        if not page:
            return
        yield page
        position = page[-1].position


def _apply(rows: dict[tuple[str, str, str], bytes], change: RowChange) -> None:
    key = (change.view, change.bot_id, change.key)
    if change.body is None:
        rows.pop(key, None)
    else:
        rows[key] = change.body


def _compare(view: ViewName, stored: Sequence[StoredRow], rebuilt: dict[tuple[str, str, str], bytes]) -> ViewComparison:
    served: dict[tuple[str, str, str], bytes] = {(view, row.bot_id, row.key): row.body for row in stored}
    expected = {key: body for key, body in rebuilt.items() if key[0] == view}
    for key in sorted(served.keys() | expected.keys()):
        if served.get(key) != expected.get(key):
            return ViewComparison(view, len(served), f"bot {key[1]} row {key[2] or '(only)'}")
    return ViewComparison(view, len(served), None)
