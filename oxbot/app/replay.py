"""Rebuilds every view from the log and compares it, byte for byte; decides every bot again for whom that can be."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from traceback import extract_tb
from typing import NamedTuple

from events.errors import OxbotError
from events.identifiers import BotId
from events.log import EventLog, LogReader
from oxbot.app.candle_store import CandleStore
from oxbot.app.follower import BATCH, OtherVersion, ProjectionStopped, read_page
from oxbot.app.redecide import Redecided, redecide
from oxbot.app.skips import Skips
from oxbot.app.views import StoredRow, ViewReader
from oxbot.core.bot import BotDecider
from oxbot.core.strategy import InvalidParameter, UnknownStrategy
from oxbot.views.bot_views import BOTS
from oxbot.views.fold import RowChange
from oxbot.views.projections import AnyProjection
from oxbot.views.rows import ViewName

Rows = dict[tuple[str, str, str], bytes]


class ViewComparison(NamedTuple):
    """One view as it is served and as the log rebuilds it; the first row that differs, if one does."""

    view: ViewName
    rows: int
    first_difference: str | None


class Rebuilt(NamedTuple):
    """All views of a projection compared at one position."""

    position: int
    views: tuple[ViewComparison, ...]


class Undecided(NamedTuple):
    """A bot that this program cannot decide again, and why: its strategy is missing, broken, or another version."""

    bot_id: BotId
    reason: str


async def redecide_or_say(
    bot_id: BotId, *, log: EventLog, candles: CandleStore, decider: BotDecider
) -> Redecided | Undecided:
    """The bot's recorded life decided again, or why that cannot be done; no other bot depends on it."""
    try:
        return await redecide(bot_id, log=log, candles=candles, decider=decider)
    except (UnknownStrategy, InvalidParameter) as error:
        return Undecided(bot_id, str(error))
    except OxbotError:
        raise
    except Exception as error:  # noqa: BLE001 - a strategy may be anybody's, and can fail in any way
        at = extract_tb(error.__traceback__)[-1]
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return Undecided(bot_id, f"its strategy failed: {what} ({Path(at.filename).name}:{at.lineno})")


async def rebuild_views(log: LogReader, served: ViewReader, projection: AnyProjection = BOTS) -> Rebuilt:
    """Fold the log from its first event up to the served checkpoint and compare every row byte for byte.

    Raises ``OtherVersion`` if another version built what is served, and ``ProjectionStopped`` at an event within it
    that cannot be applied and that nobody had skipped.
    """
    async with served.snapshot(projection.name) as snapshot:
        position, version, stored = snapshot.position, snapshot.version, await snapshot.everything()
    if position and version != projection.version:
        raise OtherVersion(projection.name, stored=version, ours=projection.version)
    rebuilt = await fold_rows(log, projection, up_to=position)
    return Rebuilt(position, tuple(_compare(view, stored[view], rebuilt) for view in projection.views))


async def fold_rows(log: LogReader, projection: AnyProjection, *, up_to: int) -> Rows:
    """Every row, by view, owner and key, that the log's events up to a position lead to."""
    skipped = await Skips(log).of(projection.name)
    fold, rows, position = projection.fold(), Rows(), 0
    while position < up_to:
        page = await read_page(log, after=position, limit=min(BATCH, up_to - position))
        if page.empty:
            return rows
        folded = fold.apply(page.events, skipped=skipped)
        for change in folded.changes:
            _apply(rows, change)
        position, poison = page.reached(projection, folded, skipped)
        if poison is not None:
            raise ProjectionStopped(projection.name, poison)
    return rows


def _apply(rows: Rows, change: RowChange) -> None:
    key = (change.view, change.owner, change.key)
    if change.body is None:
        rows.pop(key, None)
    else:
        rows[key] = change.body


def _compare(
    view: ViewName, stored: Sequence[StoredRow], rebuilt: Mapping[tuple[str, str, str], bytes]
) -> ViewComparison:
    served: Rows = {(view, row.owner, row.key): row.body for row in stored}
    expected = {key: body for key, body in rebuilt.items() if key[0] == view}
    for key in sorted(served.keys() | expected.keys()):
        if served.get(key) != expected.get(key):
            return ViewComparison(view, len(served), f"{key[1]} row {key[2] or '(only)'}")
    return ViewComparison(view, len(served), None)
