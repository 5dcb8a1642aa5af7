"""Alerts as they are read: those that somebody may see, those that go on first, then the newest."""

from collections.abc import Sequence

import msgspec

from oxbot.app.access import Person
from oxbot.app.views import RowReader, StoredRow
from oxbot.views.alert_rows import ALL, EVERYBODY, AlertRow, alert_key

_OPEN = alert_key(0, going_on=True)[:2]
_OVER = alert_key(0, going_on=False)[:2]


def audiences_of(user: Person | None) -> tuple[str, ...]:
    """Whose alerts somebody may see; None is whoever has the machine itself."""
    return (ALL,) if user is None or user.role == "admin" else (EVERYBODY, user.user_id)


async def read_alerts(
    views: RowReader, audiences: Sequence[str], *, after_key: str = "", going_on: bool | None = None, limit: int
) -> list[StoredRow]:
    """Alerts after a key; only those that go on, or are over, if it is said."""
    # Keys are read backwards, and those of alerts that go on begin with what is greater.
    start = after_key or (_OPEN if going_on is False else "")
    found: list[StoredRow] = []
    for audience in audiences:
        found += await views.rows("alerts", audience, after_key=start, limit=limit, descending=True)
    prefix = "" if going_on is None else _OPEN if going_on else _OVER
    wanted = [row for row in found if row.key.startswith(prefix)]
    return sorted(wanted, key=lambda row: row.key, reverse=True)[:limit]


async def open_alerts(views: RowReader, *, limit: int = 1000) -> list[AlertRow]:
    """Those that go on, of everybody."""
    rows = await read_alerts(views, (ALL,), going_on=True, limit=limit)
    return [msgspec.json.decode(row.body, type=AlertRow) for row in rows]
