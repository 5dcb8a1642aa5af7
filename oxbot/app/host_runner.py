"""Hosts a list of bots in one process: one pull of frames for all, each bot with its own stream and its own failure."""

import asyncio
import time
from collections.abc import Awaitable, Collection, Sequence
from datetime import datetime

import msgspec
import structlog

from events.errors import OxbotError
from events.identifiers import BotId
from events.log import EventLog
from oxbot.app.account_watch import AccountWatch
from oxbot.app.bot_runner import BotRunner, Superseded
from oxbot.app.candle_store import CandleStore
from oxbot.app.clock import Clock
from oxbot.app.feed import CandleFeed, FeedReply, FeedRequest, FeedUnavailable
from oxbot.app.fleet_book import FleetBook
from oxbot.app.handle import FoldCache
from oxbot.app.news.book import NewsBook
from oxbot.core.bot import BotDecider
from oxbot.core.candle_series import SharedSeries
from oxbot.core.state import BotState

IDLE_SECONDS = 1.0

logger = structlog.get_logger(__name__)


class BotPresence(msgspec.Struct, frozen=True, kw_only=True):
    """A bot that lives here, and how far it is."""

    bot_id: BotId
    epoch: int
    version: int
    cursor: datetime


class BotEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A bot that no longer lives here: finished for good, superseded, or failed; ``number`` counts its ends here."""

    bot_id: BotId
    number: int
    outcome: str
    error: str = ""


class HostStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Who lives in a host and who has left it since it started.

    ``slowest_seconds``: the longest that a bot took for one candle since this was last asked.
    """

    process_id: int
    bots: tuple[BotPresence, ...]
    ended: tuple[BotEnd, ...]
    slowest_seconds: float = 0.0


class HostRunner:
    """The bots of one process. A bot that fails leaves; the others go on."""

    def __init__(
        self,
        name: str,
        *,
        log: EventLog,
        decider: BotDecider,
        feed: CandleFeed,
        candles: CandleStore,
        clock: Clock,
        cache: FoldCache[BotState] | None = None,
    ) -> None:
        self._name = name
        self._log = log
        self._decider = decider
        self._feed = feed
        self._candles = candles
        self._clock = clock
        self._cache = cache
        self._shared = SharedSeries()
        self._fleets = FleetBook(log)
        self._news = NewsBook(log)
        self._accounts = AccountWatch(log, clock)
        self._bots: dict[BotId, BotRunner] = {}
        self._ended: dict[BotId, BotEnd] = {}
        self._seen: datetime | None = None
        self._slowest_seconds = 0.0
        self._placing = asyncio.Lock()
        self._wake = asyncio.Event()

    async def place(self, bot_ids: Sequence[BotId]) -> None:
        """Claim these bots and let them live here; those that already do are left alone."""
        async with self._placing:
            for bot_id in bot_ids:
                if bot_id not in self._bots:
                    await self._guarded(bot_id, self._claim(bot_id))
        self._wake.set()

    async def refresh(self, bot_ids: Sequence[BotId]) -> None:
        """Let these bots learn what others appended to their streams."""
        for bot_id in bot_ids:
            runner = self._bots.get(bot_id)
            if runner is not None:
                await self._guarded(bot_id, runner.refresh(), runner)

    async def run(self) -> None:
        """Pull frames and show them to the bots until cancelled.

        A host whose bots have all finished goes on pulling, for nobody, because the market waits for every follower.
        """
        while True:
            try:
                nothing_left = await self._pull()
            except FeedUnavailable as unavailable:
                logger.warning("feed_unavailable", host=self._name, error=str(unavailable))
                nothing_left = True
            if nothing_left:
                await self._rest()

    def status(self, process_id: int) -> HostStatus:
        """Who is here."""
        present = tuple(
            BotPresence(bot_id=bot_id, epoch=runner.state.epoch, version=runner.version, cursor=runner.cursor)
            for bot_id, runner in self._bots.items()
        )
        slowest, self._slowest_seconds = self._slowest_seconds, 0.0
        ended = tuple(self._ended.values())
        return HostStatus(process_id=process_id, bots=present, ended=ended, slowest_seconds=slowest)

    async def _claim(self, bot_id: BotId) -> None:
        runner = BotRunner(
            bot_id,
            log=self._log,
            decider=self._decider,
            candles=self._candles,
            clock=self._clock,
            holder=self._name,
            cache=self._cache,
            shared=self._shared,
            fleets=self._fleets,
            news=self._news,
            accounts=self._accounts,
        )
        await runner.claim()
        self._bots[bot_id] = runner

    async def _pull(self) -> bool:
        """One round with the feed; whether there is nothing left to ask for."""
        bots = dict(self._bots)
        symbols = {symbol for runner in bots.values() for symbol in runner.symbols}
        cursor = self._least_cursor(bots.values())
        if cursor is None:
            return True
        request = FeedRequest(follower=self._name, cursor=cursor, symbols=tuple(sorted(symbols)))
        reply = await self._feed.after(request)
        if reply.frames:
            async with asyncio.TaskGroup() as group:
                for bot_id, runner in bots.items():
                    group.create_task(self._live(bot_id, runner, reply))
            self._seen = reply.frames[-1].open_time
        return reply.ended

    def _least_cursor(self, runners: Collection[BotRunner]) -> datetime | None:
        if runners:
            return min(runner.cursor for runner in runners)
        return self._seen if all(end.outcome == "finished" for end in self._ended.values()) else None

    async def _live(self, bot_id: BotId, runner: BotRunner, reply: FeedReply) -> None:
        if self._bots.get(bot_id) is not runner:
            return
        begun = time.monotonic()
        await self._guarded(
            bot_id, runner.observe(reply.frames, reply.faults, patience_seconds=reply.patience_seconds), runner
        )
        took = (time.monotonic() - begun - reply.patience_seconds) / len(reply.frames)
        self._slowest_seconds = max(self._slowest_seconds, took)
        if self._bots.get(bot_id) is runner and runner.finished:
            self._leave(bot_id, runner, "finished")

    async def _guarded(self, bot_id: BotId, step: Awaitable[None], runner: BotRunner | None = None) -> None:
        """The top of a bot's own loop: whatever stops this bot is recorded, and stops no other."""
        try:
            await step
        except Superseded as superseded:
            logger.warning("bot_superseded", bot_id=bot_id, reason=str(superseded))
            self._leave(bot_id, runner, "superseded", str(superseded))
        except OxbotError as failure:
            logger.warning("bot_failed", bot_id=bot_id, error=str(failure))
            self._leave(bot_id, runner, "failed", str(failure))
        except Exception as failure:
            logger.exception("bot_crashed", bot_id=bot_id)
            self._leave(bot_id, runner, "crashed", f"{type(failure).__name__}: {failure}")

    def _leave(self, bot_id: BotId, runner: BotRunner | None, outcome: str, error: str = "") -> None:
        """Record an end; that of an incarnation which has left already, or was followed by another here, is none."""
        if runner is not None and self._bots.get(bot_id) is not runner:
            return
        self._bots.pop(bot_id, None)
        earlier = self._ended.get(bot_id)
        number = earlier.number + 1 if earlier else 1
        self._ended[bot_id] = BotEnd(bot_id=bot_id, number=number, outcome=outcome, error=error)

    async def _rest(self) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return
