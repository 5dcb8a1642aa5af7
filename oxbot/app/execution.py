"""Runs the orders of one account at a venue: follows the log, sends what it asks for, records what the venue says."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import NamedTuple

import structlog
from structlog.contextvars import bind_contextvars

from events.bot import BotArmed, BotCreated, ExitOrdered, OrderFact
from events.errors import OxbotError
from events.identifiers import BOT_STREAM_PREFIX, AccountName, BotId
from events.log import EventLog
from events.subscription import CaughtUp, subscribe
from oxbot.app.bot_runner import Superseded
from oxbot.app.clock import Clock
from oxbot.app.execution_books import FILLS_OVERLAP, AccountBook, BotBooks, FillBook, VenueTime
from oxbot.app.execution_desk import LOOKUP_SECONDS, OrderDesk
from oxbot.app.execution_kill import KillSwitch
from oxbot.app.execution_plan import Key, in_flight, key_of, step
from oxbot.app.execution_sending import Timing
from oxbot.app.handle import FoldCache
from oxbot.app.reconcile_runner import Compared, Reconciler
from oxbot.app.venue import Venue, VenueRefused, VenueUnavailable, VenueUnfit
from oxbot.core.bot import BotDecider
from oxbot.core.bot_state import BotState, BrokenStream
from oxbot.core.orders import IllegalTransition, Order
from oxbot.core.refused import CommandRefused
from oxbot.core.reports import ForceExit
from oxbot.core.venue_account import RecordUnreconciled

ENTRIES_AT_ONCE = 8
EXITS_AT_ONCE = 64
REFUSED_SECONDS = 30.0
FILLS_SINCE_MAX = timedelta(days=1)
SWITCH_SECONDS_MAX = 120
"""So long venues let a dead man's switch wait, at most."""
HEARTBEAT_LEAST = 1.0

ACCOUNT_TYPES = (
    "account.claimed", "account.armed", "account.disarmed", "account.reconciled", "account.unreconciled",
    "account.kill_requested",
)  # fmt: skip
ORDER_TYPES = tuple(str(kind.__struct_config__.tag) for kind in OrderFact.__args__)
FOLLOWED_TYPES = ("bot.created", "bot.armed", "exit.ordered", *ORDER_TYPES, *ACCOUNT_TYPES)

WORK_FAULTS = (VenueUnavailable, VenueRefused, VenueUnfit, CommandRefused, IllegalTransition, BrokenStream)
"""What may stand in the way of a step of one order, and is no reason to stop the others."""

logger = structlog.get_logger(__name__)


class Pace(NamedTuple):
    """How often things are done without cause, in seconds; ``switch`` is how long the dead man's switch waits."""

    sweep: float = 10.0
    sweep_least: float = 2.0
    grace: float = 20.0
    heartbeat: float = 15.0
    switch: int = 60
    kill: float = 60.0

    def at_speed(self, speed: float) -> "Pace":
        """With a dead man's switch that waits by the clock of a market which goes so many times as fast as ours.

        It hears of us four times before it acts. A market that is too fast for that, at a test venue, goes without.
        """
        switch = min(max(round(self.switch * speed), 1), SWITCH_SECONDS_MAX)
        heartbeat = min(self.heartbeat, switch / speed / 4)
        return (
            self._replace(switch=0)
            if heartbeat < HEARTBEAT_LEAST
            else self._replace(switch=switch, heartbeat=heartbeat)
        )


class ExecutionRunner:
    """One incarnation of the execution of one account. All it knows is folded from the log or asked of the venue.

    It stops with ``Superseded`` as soon as it learns of a newer claim, before it sends anything else.
    """

    def __init__(
        self,
        account: AccountName,
        *,
        venue: Venue,
        log: EventLog,
        decider: BotDecider,
        clock: Clock,
        holder: str,
        cache: FoldCache[BotState] | None = None,
        timing: Timing = Timing(),  # noqa: B008 - immutable
        pace: Pace = Pace(),  # noqa: B008 - immutable
    ) -> None:
        self._venue = venue
        self._log = log
        self._clock = clock
        self._pace = pace if timing.speed is None else pace.at_speed(timing.speed)
        self._timing = timing
        self.account = AccountBook(account, log=log, clock=clock, holder=holder)
        self.bots = BotBooks(account, log=log, decider=decider, clock=clock, holder=holder, cache=cache)
        self._time = VenueTime(venue, clock, speed=timing.speed)
        self._kill = KillSwitch(self.account, self.bots, self._time, clock=clock, seconds=pace.kill)
        self._news: dict[Key, asyncio.Event] = {}
        self._looks: set[Key] = set()
        self._killed = asyncio.Event()
        self._sweep_wanted = asyncio.Event()
        self._reconnects = 0
        self._gates = {"entry": asyncio.Semaphore(ENTRIES_AT_ONCE), "exit": asyncio.Semaphore(EXITS_AT_ONCE)}
        self._desk: OrderDesk
        self._reconciler: Reconciler
        self._group: asyncio.TaskGroup

    @property
    def busy(self) -> tuple[Key, ...]:
        """The orders that something is being done about."""
        return tuple(self._news)

    @property
    def idle(self) -> bool:
        """Whether no order needs anything just now."""
        return not self._news

    async def run(self) -> None:
        """Claim the account and work until cancelled, superseded or failed."""
        position = await self._begin()
        loops: list[Callable[[], Coroutine[None, None, None]]] = [
            lambda: self._follow(position), self._hear, self._sweep, self._beat, self._switch_off,
        ]  # fmt: skip
        try:
            async with asyncio.TaskGroup() as self._group:
                for loop in loops:
                    self._group.create_task(loop())
                for bot_id in list(self.bots.states):
                    await self._leave(bot_id)
                    self._schedule(bot_id)
        except BaseExceptionGroup as group:
            raise _foremost(group) from group

    async def _begin(self) -> int:
        """Claim, and fold what there is; answers the position up to which that is."""
        await self.account.claim()
        position = await self._log.head()
        await self.bots.learn(up_to=position)
        try:
            async with asyncio.timeout(self._timing.answer):
                await self._time.ask()
        except (VenueUnavailable, VenueRefused, TimeoutError) as error:
            logger.warning("venue_time_unknown", account=self.account.name, error=str(error))
        now = self._time.market_now()
        sent = [order.submitted_at for state in self.bots.states.values() for order in _remembered(state)]
        since = min((at for at in sent if at is not None and at > now - FILLS_SINCE_MAX), default=now)
        working = [order.submitted_at for _, order in self.bots.working() if order.submitted_at is not None]
        held = [each.opened_at for state in self.bots.states.values() for each in state.ledger.positions.values()]
        # The venue's clock may be ahead now, or have been when an order was sent: what comes next may be before that.
        since = min([since, *working]) - FILLS_OVERLAP
        fills = FillBook(self._venue, since=since)
        self._desk = OrderDesk(
            self._venue, account=self.account, bots=self.bots, time=self._time, fills=fills, timing=self._timing
        )
        self._reconciler = Reconciler(
            self._venue,
            log=self._log,
            account=self.account,
            bots=self.bots,
            time=self._time,
            fills=fills,
            answer_seconds=self._timing.answer,
            since=min([since, *held]),
        )
        if self.account.state.kill is not None:
            self._killed.set()
        return position

    async def _follow(self, position: int) -> None:
        """Learn what others append, and what this incarnation appends itself."""
        async for item in subscribe(self._log, after_position=position, types=FOLLOWED_TYPES):
            if isinstance(item, CaughtUp):
                continue
            if item.stream == self.account.stream:
                if (await self.account.refresh()).kill is not None:
                    self._killed.set()
                continue
            if not item.stream.startswith(BOT_STREAM_PREFIX):
                continue
            bot_id = BotId(item.stream.removeprefix(BOT_STREAM_PREFIX))
            ours = isinstance(item.fact, BotCreated) and item.fact.account == self.account.name
            if bot_id not in self.bots and not ours:
                continue
            if ours or self.bots.version(bot_id) < item.version:
                await self.bots.refresh(bot_id)
            if isinstance(item.fact, ExitOrdered):
                await self._leave(bot_id)
            self._schedule(bot_id)
            if isinstance(item.fact, BotArmed):
                self._sweep_wanted.set()

    async def _leave(self, bot_id: BotId) -> None:
        """Ask for the exits that somebody ordered, before the bot's next candle does."""
        if leaving := self.bots.states[bot_id].leaving:
            await self.bots.tell(bot_id, ForceExit(self._time.market_now(), "somebody ordered its exit", leaving))

    async def _hear(self) -> None:
        """Look at what the venue hints at; a hint is never believed."""
        while True:
            async for hint in self._venue.hints():
                key = self.bots.owners.get(hint.client_id)
                if key is not None:
                    self._poke(key, look=True)
                if hint.reconnected:
                    self._reconnects += 1
                    self.account.waiting = "the connection to the venue was lost"
                if hint.reconnected or key is None:
                    self._sweep_wanted.set()
            await self._clock.sleep(1.0)

    async def _sweep(self) -> None:
        """Compare everything, at first and again and again."""
        started, before = self._clock.now(), Compared()
        pauses = iter(LOOKUP_SECONDS)
        while True:
            self._sweep_wanted.clear()
            reconnects = self._reconnects
            compared = await self._reconciler.compare()
            if compared.answered and reconnects == self._reconnects:
                self.account.waiting = "" if compared.keys else "; ".join(compared.held)
            for key in sorted(compared.keys):
                self._poke(key, look=True)
            now = self._clock.now()
            if compared.agrees:
                await self._reconciler.agree(compared)
            elif now - started >= timedelta(seconds=self._pace.grace) or self._is_certain(compared, before):
                reason = "; ".join(compared.reasons)
                await self.account.record(
                    RecordUnreconciled(
                        epoch=self.account.epoch, at=self._time.now(), reason=reason, lacks=compared.lacks
                    )
                )
            before = compared
            if compared.agrees:
                await self._either(self._sweep_wanted, self._pace.sweep, least=self._pace.sweep_least)
                started, pauses = self._clock.now(), iter(LOOKUP_SECONDS)
            else:
                await self._clock.sleep(next(pauses, LOOKUP_SECONDS[-1]))

    def _is_certain(self, compared: Compared, before: Compared) -> bool:
        """Whether positions or money differ, and no order or trade that is on its way could be why."""
        again = bool(compared.held) and compared.held == before.held
        return again and not compared.keys and not in_flight(order for _, order in self.bots.working())

    async def _beat(self) -> None:
        """While entries rest, let the venue cancel them should nobody be here to do so."""
        on = True
        while True:
            resting = any(not order.reduce_only and order.accepted_at is not None for _, order in self.bots.working())
            if resting or on:
                on = not await self._set_switch(self._pace.switch if resting else 0) or resting
            await self._clock.sleep(self._pace.heartbeat)

    async def _set_switch(self, seconds: int) -> bool:
        await self.account.refresh()
        try:
            async with asyncio.timeout(self._timing.answer):
                await self._venue.cancel_all_after(seconds)
        except (VenueUnavailable, VenueRefused, TimeoutError) as error:
            logger.warning("dead_mans_switch_not_set", account=self.account.name, error=str(error))
            return False
        return True

    async def _switch_off(self) -> None:
        """Do what the kill switch asks for, whenever it was thrown."""
        while True:
            await self._killed.wait()
            self._killed.clear()
            await self._kill.carry_out()

    def _schedule(self, bot_id: BotId) -> None:
        """Let whatever of the bot's orders needs something be worked on."""
        keys = {key_of(bot_id, order) for order in self.bots.states[bot_id].orders.values()}
        for key in sorted(keys):
            if any(step(line) != "none" for line in self.bots.lines(key)):
                self._poke(key)

    def _poke(self, key: Key, *, look: bool = False) -> None:
        if look:
            self._looks.add(key)
        if key in self._news:
            self._news[key].set()
        else:
            self._news[key] = asyncio.Event()
            self._group.create_task(self._work(key))

    async def _work(self, key: Key) -> None:
        """The one task that works on the key's orders, until none of them needs anything."""
        news, failures = self._news[key], 0
        while True:
            news.clear()
            look = key in self._looks
            self._looks.discard(key)
            try:
                async with self._gates["exit" if self._is_urgent(key) else "entry"]:
                    bind_contextvars(account=self.account.name, bot_id=key.bot_id, orders=key.group)
                    pause, failures = await self._desk.work(key, look=look), 0
            except WORK_FAULTS as error:
                pause = await self._failed(key, error, failures)
                failures += 1
                self._looks.update({key} if look else ())
            if pause is None and not news.is_set():
                del self._news[key]
                return
            if pause:
                await self._either(news, pause)

    async def _failed(self, key: Key, error: OxbotError, failures: int) -> float:
        """Say what stopped an order's step, and after how many seconds to take it again."""
        logger.warning("order_not_worked", bot_id=key.bot_id, orders=key.group, error=str(error))
        if isinstance(error, VenueUnfit):
            # The venue has no such symbol any more, or not for live orders: that order alone has to wait.
            return REFUSED_SECONDS
        if isinstance(error, VenueRefused):
            await self.account.record(
                RecordUnreconciled(epoch=self.account.epoch, at=self._time.now(), reason=str(error))
            )
            self._sweep_wanted.set()
            return REFUSED_SECONDS
        return LOOKUP_SECONDS[min(failures, len(LOOKUP_SECONDS) - 1)]

    def _is_urgent(self, key: Key) -> bool:
        """Whether it makes the account's risk smaller: exits, and the withdrawal of anything."""
        orders = [order for line in self.bots.lines(key) for order in line.open]
        return any(order.reduce_only or order.cancel_requested_at is not None for order in orders)

    async def _either(self, news: asyncio.Event, seconds: float, *, least: float = 0.0) -> None:
        """Return on news, but not before ``least`` seconds, or after these many seconds."""
        await self._clock.sleep(least)
        waiting = [asyncio.ensure_future(self._clock.sleep(seconds - least)), asyncio.ensure_future(news.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()


def _remembered(state: BotState) -> list[Order]:
    return [*state.ended.values(), *state.orders.values()]


def _foremost(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure that is told of several: that another incarnation has taken over, if it is among them."""
    failures = [_foremost(each) if isinstance(each, BaseExceptionGroup) else each for each in group.exceptions]
    return next((failure for failure in failures if isinstance(failure, Superseded)), failures[0])
