"""Brings a venue's past candles into the store, page by page: killed at any moment, it goes on where it was."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar

from events.identifiers import Symbol
from oxbot.app.candle_store import CandleStore
from oxbot.app.clock import Clock
from oxbot.app.live_market_source import CandleSource, SourceUnavailable
from oxbot.core.candles import Series, timeframe_duration, window_digest
from oxbot.core.venue_market import Gap

ATTEMPTS_MAX = 6
RETRY_SECONDS = 1.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AnswerT = TypeVar("_AnswerT")


class Downloaded(NamedTuple):
    """What the store holds of the range afterwards, how much of it is new, what is missing, and its digest."""

    symbol: Symbol
    candles: int
    added: int
    gaps: tuple[Gap, ...]
    digest: str


async def download_candles(
    source: CandleSource,
    store: CandleStore,
    series: Series,
    *,
    begins_at: datetime,
    ends_before: datetime,
    clock: Clock,
    left_out: Sequence[Gap] = (),
    moved: Callable[[datetime], None] = lambda _: None,
) -> Downloaded:
    """Ask for what the store lacks of the candles that opened in [begins_at, ends_before) and have closed.

    What a live market has ``left_out`` stays out, since bots decided without it. ``moved`` is told up to where all is
    done. Raises ``SourceRefused``, ``SourceUnavailable`` if the venue stays silent, or ``CandleConflict``.
    """
    step = timeframe_duration(series.timeframe)
    first, beyond = _aligned(begins_at, step), _aligned(ends_before, step)
    added = 0
    stored = {candle.open_time for candle in await store.read(series, begins_at=first, ends_before=beyond)}
    for hole in _missing(first, beyond, step, lambda opened: opened in stored or _within(opened, left_out)):
        opened = hole.first
        moved(opened)
        while opened <= hole.last:
            ask = partial(source.history, series.symbol, begins_at=opened, ends_before=hole.last + step)
            page = await _answered(ask, clock)
            added += await store.add([(series, [one for one in page if not _within(one.open_time, left_out)])])
            opened = page[-1].open_time + step if page else opened + source.page * step
            moved(min(opened, hole.last + step))
    moved(beyond)
    candles = await store.read(series, begins_at=first, ends_before=beyond)
    held = {candle.open_time for candle in candles}
    gaps = tuple(_missing(first, min(beyond, (await _answered(source.now, clock)) - step), step, held.__contains__))
    return Downloaded(series.symbol, len(candles), added, gaps, window_digest(candles))


async def _answered(ask: Callable[[], Awaitable[_AnswerT]], clock: Clock) -> _AnswerT:
    attempt = 1
    while True:
        try:
            return await ask()
        except SourceUnavailable:
            if attempt == ATTEMPTS_MAX:
                raise
        await clock.sleep(RETRY_SECONDS * 2.0 ** (attempt - 1))
        attempt += 1


def _missing(first: datetime, beyond: datetime, step: timedelta, known: Callable[[datetime], bool]) -> list[Gap]:
    """The runs of open times in [first, beyond) that are not known."""
    runs: list[Gap] = []
    opened = first
    while opened < beyond:
        if not known(opened):
            if runs and runs[-1].last + step == opened:
                runs[-1] = Gap(runs[-1].first, opened)
            else:
                runs.append(Gap(opened, opened))
        opened += step
    return runs


def _within(opened: datetime, gaps: Sequence[Gap]) -> bool:
    return any(gap.first <= opened <= gap.last for gap in gaps)


def _aligned(moment: datetime, step: timedelta) -> datetime:
    """The first moment from this one on at which a candle can open."""
    return moment + (_EPOCH - moment) % step
