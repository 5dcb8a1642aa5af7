"""What a venue pushes over its WebSockets, as reasons to look, through every loss of a connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

import structlog

from events.identifiers import Symbol
from oxbot.adapters.ccxt_loading import error_kind
from oxbot.adapters.ccxt_wire import Ended, uncancelled
from oxbot.app.clock import Clock
from oxbot.app.venue import VenueHint

HINTS_MAX = 1000
BACK_OFF_SECONDS = (0.5, 30.0)
SETTLED_SECONDS = 1.0
"""How long after a connection stands its subscription is taken to stand too: ccxt does not say when it does."""

Step = Callable[[], Awaitable[object]]


class Stream(NamedTuple):
    """What ccxt.pro pushes: ``ready`` returns once its connection stands, ``watch`` with what is pushed next."""

    ready: Step
    watch: Step


logger = structlog.get_logger(__name__)


class CcxtHints:
    """Follows streams of ccxt.pro, each in a task of its own, and hands out hints from one queue.

    Each (re)connection is told of once its subscription stands. If the queue is full, everything in it becomes one hint
    that anything may have changed.
    """

    def __init__(
        self,
        streams: Mapping[str, Stream],
        *,
        clock: Clock,
        redact: Callable[[str], str],
    ) -> None:
        self._streams = streams
        self._clock = clock
        self._redact = redact
        self._queue: asyncio.Queue[VenueHint] = asyncio.Queue(HINTS_MAX)
        self._followers: list[asyncio.Task[None]] = []
        self._broken: Exception | None = None
        self._error = error_kind("BaseError")

    async def hints(self) -> AsyncIterator[VenueHint]:
        """See ``Venue.hints``. Raises what a follower could not expect: an error of ours."""
        if not self._followers:
            self._followers = [asyncio.create_task(self._keep(name, stream)) for name, stream in self._streams.items()]
        while self._broken is None:
            yield await self._queue.get()
        raise self._broken

    async def stop(self) -> None:
        """End the followers; the queue stays as it is."""
        for follower in self._followers:
            follower.cancel()
        await asyncio.gather(*self._followers, return_exceptions=True)

    async def _keep(self, name: str, stream: Stream) -> None:
        try:
            await self._follow(name, stream)
        except Exception as error:
            logger.exception("venue_stream_broken", stream=name)
            self._broken = error
            self._put([VenueHint()])
            raise

    async def _follow(self, name: str, stream: Stream) -> None:
        failures = 0
        while True:
            announcing: asyncio.Task[None] | None = None
            try:
                await uncancelled(stream.ready())
                announcing = asyncio.create_task(self._announce())
                while True:
                    self._put(_hints_of(await uncancelled(stream.watch())))
                    failures = 0
            except (self._error, OSError, TimeoutError, Ended) as error:
                logger.warning(
                    "venue_stream_lost", stream=name, kind=type(error).__name__, reason=self._redact(str(error))
                )
            finally:
                if announcing is not None:
                    announcing.cancel()
            least, most = BACK_OFF_SECONDS
            await self._clock.sleep(min(most, least * 2 ** min(failures, 10)))
            failures += 1

    async def _announce(self) -> None:
        await self._clock.sleep(SETTLED_SECONDS)
        self._put([VenueHint(reconnected=True)])

    def _put(self, hints: Sequence[VenueHint]) -> None:
        for hint in hints:
            if self._queue.full():
                while not self._queue.empty():
                    self._queue.get_nowait()
                self._queue.put_nowait(VenueHint(reconnected=True))
            self._queue.put_nowait(hint)


def _hints_of(rows: object) -> list[VenueHint]:
    if not isinstance(rows, list):
        return [VenueHint()]
    return [_hint(row) for row in rows if isinstance(row, Mapping)] or [VenueHint()]


def _hint(row: Mapping[str, object]) -> VenueHint:
    info = row.get("info")
    told = info if isinstance(info, Mapping) else {}
    client_id = told.get("algoClOrdId") or told.get("clOrdId") or row.get("clientOrderId") or ""
    symbol = row.get("symbol")
    return VenueHint(client_id=str(client_id), symbol=Symbol(str(symbol)) if symbol else None)
