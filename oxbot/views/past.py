"""A bot as of a position of the log: what its projection remembered there, and those of its rows that may change yet.

The fold is the projection's own. A row that the fold will never change again is not kept here: whoever wants it finds
it in the views, which hold it for good.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

import msgspec

from events.envelope import RecordedEvent
from events.system import StreamEnded
from oxbot.core.money import exact
from oxbot.core.state import BotState
from oxbot.views.bot_rows import order_number
from oxbot.views.bot_views import BOTS, BotBooks
from oxbot.views.fold import Draft, row_change
from oxbot.views.rows import ViewName, moment_key, numbered

WHOLE: frozenset[ViewName] = frozenset({"bots", "portfolios", "positions", "arena"})
"""Of these every row may change, so all of them are kept."""

GROWING: frozenset[ViewName] = frozenset({"orders", "trades", "decisions", "holdings"})
"""Of these a row is final once others have followed: keys rise, and only the last few rows change."""

Rows = dict[ViewName, dict[str, bytes]]


class BotPast(msgspec.Struct, frozen=True, kw_only=True):
    """The books after some events, the rows that may change, by view and key, and the last key of each growing view.

    ``position`` is that of the last of the events.
    """

    position: int = 0
    books: BotBooks = BotBooks()
    rows: Rows = {}
    last: dict[ViewName, str] = {}

    @property
    def state(self) -> BotState:
        """The bot itself."""
        return self.books.state


NOTHING = BotPast()


class _Place(NamedTuple):
    view: ViewName
    key: str


def advance(past: BotPast, events: Iterable[RecordedEvent], *, skipped: Collection[int] = ()) -> BotPast:
    """The past after these events of the bot's stream, but for the positions skipped."""
    position, books, last = past.position, past.books, dict(past.last)
    drafts: dict[_Place, Draft] = {}
    for event in events:
        position = event.position
        if position in skipped or type(event.fact) is StreamEnded:
            continue
        books, changed = BOTS.project(books, event)
        for draft in changed:
            if draft.view in WHOLE or draft.view in GROWING:
                drafts[_Place(draft.view, draft.key)] = draft
            if draft.view in GROWING:
                last[draft.view] = max(draft.key, last.get(draft.view, ""))
    return BotPast(position=position, books=books, rows=_rows(past.rows, drafts, books), last=last)


def _rows(before: Rows, drafts: dict[_Place, Draft], books: BotBooks) -> Rows:
    """The rows that may change yet, as the drafts leave them."""
    rows: Rows = {view: dict(before.get(view, {})) for view in WHOLE}
    for view, keys in _changing(books).items():
        rows[view] = {key: body for key, body in before.get(view, {}).items() if key in keys}
        drafts = {place: draft for place, draft in drafts.items() if place.view != view or place.key in keys}
    with exact():
        for (view, key), draft in drafts.items():
            if draft.render is None:
                rows[view].pop(key, None)
                continue
            body = row_change(draft.render()).body
            if body is not None:
                rows[view][key] = body
    return rows


def _changing(books: BotBooks) -> dict[ViewName, frozenset[str]]:
    """The keys of the growing views' rows that an event may change after these books."""
    state = books.state
    return {
        # A late fill names an order that is still at hand; what is not can be named no more.
        "orders": frozenset(numbered(order_number(order_id)) for order_id in (*state.orders, *state.ended)),
        "trades": frozenset(),
        "decisions": frozenset({numbered(books.decision.number)} if books.decision else ()),
        "holdings": frozenset({moment_key(books.money_at)} if books.money_at else ()),
    }
