"""A world for the execution: bots that ask, a venue in memory, incarnations that crash, freeze and wake, and faults."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from events.account import AccountArmed, AccountOpened
from events.bot import BotArmed, BotStarted, CapitalDeposited, DecisionMade, OrderCancelRequested, OrderRequested
from events.codec import Codec
from events.envelope import Fact, NewEvent, RecordedEvent
from events.identifiers import (
    AccountName,
    BotId,
    DecisionId,
    OrderId,
    StreamId,
    Symbol,
    VenueName,
    account_stream,
    bot_stream,
    new_event_id,
)
from events.log import ANY_VERSION, EventLog
from events.memory import MemoryEventLog
from events.values import Bracket, Instrument, ScaleOut
from oxbot.adapters.memory_venue import Effect, MemoryVenue, Moment, Step, VenueFault
from oxbot.adapters.memory_venue_books import MemoryBooks
from oxbot.app.bot_runner import Superseded
from oxbot.app.execution import ExecutionRunner, Pace
from oxbot.app.execution_sending import Timing
from oxbot.app.handle import fold_stream, handle
from oxbot.core.bot_state import BotState
from oxbot.core.reports import ForceExit
from tests.app.fakes import Hook, HookedLog, nothing
from tests.core.scenario import DECIDER, START, created
from tests.simulation.virtual_time import LoopClock

ACCOUNT = AccountName("main")
SPOT = Instrument(symbol=Symbol("BTC/USDT"), tick=Decimal("0.1"), lot=Decimal("0.0001"), minimum_notional=Decimal(1))
SWAP = Instrument(
    symbol=Symbol("ETH/USDT:USDT"),
    tick=Decimal("0.01"),
    lot=Decimal("0.01"),
    kind="perpetual",
    contract_size=Decimal("0.01"),
    leverage_max=Decimal(50),
    maintenance_fraction=Decimal("0.005"),
)
MONEY = {"USDT": Decimal(100_000)}
PRICES = {SPOT.symbol: Decimal(40_000), SWAP.symbol: Decimal(2_000)}
CAPITAL = Decimal(10_000)
CANDLE = timedelta(minutes=5)


class Crash(Exception):
    """The process died here."""


class StandingLog(HookedLog):
    """A log whose reader stands still whenever its process does."""

    def __init__(
        self, inner: EventLog, stand: Callable[[], Awaitable[None]], *, before: Hook = nothing, after: Hook = nothing
    ) -> None:
        super().__init__(inner, before=before, after=after)
        self._stand = stand

    async def read_all(
        self,
        *,
        after_position: int = 0,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        up_to: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """What is asked for, once the process is awake."""
        await self._stand()
        events = await super().read_all(after_position=after_position, limit=limit, types=types, up_to=up_to)
        await self._stand()
        return events


class Incarnation:
    """One process of the execution: its own connection to the venue, and a moment at which it dies or stands still."""

    def __init__(self, world: "World", number: int, *, timing: Timing, pace: Pace) -> None:
        self.world = world
        self.points = 0
        self.crash_at = 0
        self.freeze_at = 0
        self.freeze_after: type | None = None
        self.crash_after_fault = 0
        self._planned = 0
        self.thawed = asyncio.Event()
        self.frozen = False
        self.venue = MemoryVenue(world.books, interrupt=self._at_venue)
        self.runner = ExecutionRunner(
            ACCOUNT,
            venue=self.venue,
            log=StandingLog(world.log, self.stand, before=self._at_log, after=self._appended),
            decider=DECIDER,
            clock=world.clock,
            holder=f"execution-{number}",
            timing=timing,
            pace=pace,
        )
        self.task: asyncio.Task[None] | None = None

    async def _at_venue(self, step: Step, moment: Moment) -> None:
        del step, moment
        planned = len(self.venue.faults)
        if self.crash_after_fault and planned < self._planned:
            self.crash_at, self.crash_after_fault = self.points + self.crash_after_fault, 0
        self._planned = planned
        await self._point()

    async def _at_log(self, number: int, events: Sequence[NewEvent]) -> None:
        del number, events
        await self._point()

    async def _appended(self, number: int, events: Sequence[NewEvent]) -> None:
        if self.freeze_after is not None and any(isinstance(event.fact, self.freeze_after) for event in events):
            self.frozen, self.freeze_after = True, None
        await self._at_log(number, events)

    async def _point(self) -> None:
        self.points += 1
        if self.points == self.crash_at:
            raise Crash
        if self.points == self.freeze_at:
            self.frozen = True
        await self.stand()
        await asyncio.sleep(0)

    async def stand(self) -> None:
        """Wait until the process is awake."""
        if self.frozen:
            await self.thawed.wait()


class World:
    """The log, the venue and the bots of one account; all chance comes from a seed."""

    def __init__(self, seed: int, *, spot_bots: int = 2, swap_bots: int = 1) -> None:
        self.chances = random.Random(seed)  # noqa: S311 - a test's chance, not a secret
        self.clock = LoopClock()
        self.log = MemoryEventLog(Codec())
        self.books = MemoryBooks(clock=self.clock, instruments=[SPOT, SWAP], balances=MONEY)
        self.prices = dict(PRICES)
        self.bots = {BotId(f"spot-{n}"): SPOT for n in range(spot_bots)}
        self.bots |= {BotId(f"swap-{n}"): SWAP for n in range(swap_bots)}
        self.incarnations: list[Incarnation] = []
        self.ended: Counter[str] = Counter()
        self.begun = START
        self.timing = Timing()
        self.pace = Pace()

    async def open(self) -> None:
        """An armed account with armed bots, and a market."""
        until = START + timedelta(days=30)
        opened: list[Fact] = [AccountOpened(account=ACCOUNT, venue=VenueName("test")), AccountArmed(until=until)]
        await self.append(account_stream(ACCOUNT), opened)
        for bot_id, instrument in self.bots.items():
            creation = replace(created(instrument), bot_id=bot_id, account=ACCOUNT, leverage=Decimal(3))
            deposit = CapitalDeposited(amount=CAPITAL)
            await self.append(bot_stream(bot_id), [creation, deposit, BotStarted(), BotArmed(until=until)])
        for symbol, price in self.prices.items():
            self.books.set_price(symbol, price)

    async def append(self, stream: StreamId, facts: Sequence[Fact]) -> None:
        """Append as another process would."""
        events = [NewEvent(event_id=new_event_id(), occurred_at=self.clock.now(), fact=fact) for fact in facts]
        await self.log.append(stream, events, expected=ANY_VERSION)

    async def state(self, bot_id: BotId) -> BotState:
        """The bot as its stream says."""
        return (await fold_stream(self.log, DECIDER, bot_stream(bot_id))).state

    # The market.

    def move(self) -> None:
        """One step of every price, now and then with little to trade."""
        for symbol, price in list(self.prices.items()):
            tick = SPOT.tick if symbol == SPOT.symbol else SWAP.tick
            moved = price * (1 + Decimal(self.chances.randint(-80, 80)) / 10_000)
            start = PRICES[symbol]
            self.prices[symbol] = min(max(moved // tick * tick, start * 3 // 4), start * 5 // 4)
            little = self.chances.random() < 0.3
            volume = Decimal(self.chances.randint(0, 20)) * (SPOT.lot if symbol == SPOT.symbol else SWAP.lot) * 10
            self.books.set_price(symbol, self.prices[symbol], volume=volume if little else None)

    def calm(self) -> None:
        """Enough to trade for everybody, at prices that stay."""
        for symbol, price in self.prices.items():
            self.books.set_price(symbol, price)

    # The bots.

    async def act(self, bot_id: BotId) -> None:
        """Let a bot want something: an entry while it is flat, the end of a waiting entry, or of its position."""
        state, symbol = await self.state(bot_id), self.bots[bot_id].symbol
        working = state.working(symbol)
        entries = [order for order in working if not order.reduce_only and order.cancel_requested_at is None]
        if entries and self.chances.random() < 0.5:
            await self.withdraw(bot_id, entries[0].order_id)
        elif symbol in state.ledger.positions and self.chances.random() < 0.4:
            await self.leave(bot_id)
        elif symbol not in state.ledger.positions and not working:
            await self.enter(bot_id)

    async def withdraw(self, bot_id: BotId, order_id: OrderId) -> None:
        """Ask for the end of an order."""
        asked = OrderCancelRequested(order_id=order_id, at=self._candle(), reason="a whim", at_close=True)
        await self.append(bot_stream(bot_id), [asked])

    async def leave(self, bot_id: BotId) -> None:
        """Ask for the end of everything that the bot has."""
        await handle(self.log, DECIDER, bot_stream(bot_id), ForceExit(self.clock.now()), at=self.clock.now())

    async def enter(
        self, bot_id: BotId, *, limit: bool | None = None, bracket: Bracket | None = None, short: bool | None = None
    ) -> None:
        """Decide to enter, and ask for it; what is not said is left to chance."""
        state = await self.state(bot_id)
        instrument = self.bots[bot_id]
        swap, price, at = instrument.kind == "perpetual", self.prices[instrument.symbol], self._candle()
        long = not swap or (self.chances.random() < 0.5 if short is None else not short)
        decided = decision(DecisionId(f"{bot_id}-d{state.decisions_made + 1}"), instrument.symbol, price, at)
        limited = self.chances.random() < 0.4 if limit is None else limit
        level = price * (Decimal("0.997") if long else Decimal("1.003"))
        tick = instrument.tick
        order = OrderRequested(
            order_id=OrderId(f"{bot_id}-{state.orders_requested + 1}"),
            at=at,
            symbol=instrument.symbol,
            side="buy" if long else "sell",
            kind="limit" if limited else "market",
            reason="entry",
            notional=Decimal(self.chances.choice((900, 2000, 3500))),
            bracket=bracket or self._bracket(swap=swap),
            decision_id=decided.decision_id,
            limit_price=level // tick * tick if limited else None,
            leverage=Decimal(3) if swap else None,
            at_close=True,
        )
        await self.append(bot_stream(bot_id), [decided, order])

    def _bracket(self, *, swap: bool) -> Bracket | None:
        if self.chances.random() < 0.1:
            return None
        stop, target = (Decimal(self.chances.randint(5, 30)) / 1000 for _ in range(2))
        kind = self.chances.random()
        if kind < (0.2 if swap else 0.1):
            return Bracket(stop_fraction=Decimal(0), target_fraction=target, trailing_fraction=stop)
        steps = (ScaleOut(target_fraction=target / 2, share=Decimal("0.5")),) if kind < 0.4 else ()
        return Bracket(stop_fraction=stop, target_fraction=target, scale_out=steps)

    def _candle(self) -> datetime:
        """The open time of the candle that has closed now."""
        return self.clock.now() - CANDLE

    # The processes.

    def start(self) -> Incarnation:
        """A new incarnation of the execution."""
        for old in self.incarnations:
            old.venue.muted = True
        one = Incarnation(self, len(self.incarnations) + 1, timing=self.timing, pace=self.pace)
        self.incarnations.append(one)
        one.task = asyncio.ensure_future(self._live(one))
        return one

    async def _live(self, one: Incarnation) -> None:
        try:
            await one.runner.run()
        except Superseded:
            self.ended["superseded"] += 1
        except Crash:
            self.ended["crashed"] += 1
        finally:
            with suppress(ValueError):
                one.venue.close()

    async def stop(self) -> None:
        """End every process that still lives; one that failed otherwise than by design fails the test."""
        for one in self.incarnations:
            one.thawed.set()
            if one.task is not None:
                one.task.cancel()
                with suppress(asyncio.CancelledError):
                    await one.task

    def fault(self, one: Incarnation) -> None:
        """Something goes wrong with one of the next calls, or with what is pushed."""
        chance = self.chances.random()
        if chance < 0.75:
            sending: tuple[Step, ...] = ("place", "place", "cancel", "cancel", "amend")
            steps: tuple[Step, ...] = (*sending, "lookup", "fills", "now", "positions")
            effects: tuple[Effect, ...] = ("lost", "late", "refused", "hang")
            step = self.chances.choice(steps)
            effect = self.chances.choice(effects if step in sending else ("lost", "hang"))
            one.venue.faults.append(VenueFault(step, effect, self.chances.choice(("before", "after"))))
        elif chance < 0.85:
            one.venue.muted = not one.venue.muted
        elif chance < 0.95:
            one.venue.reconnect()
        else:
            shown = self.books.fills_shown_max
            self.books.fills_shown_max = len(self.books.fills(START)) if shown is None else None


def decision(decision_id: DecisionId, symbol: Symbol, price: Decimal, at: datetime) -> DecisionMade:
    """A decision to enter at that price, which is all that matters of it here."""
    return DecisionMade(
        decision_id=decision_id,
        at=at,
        venue=VenueName("test"),
        symbol=symbol,
        timeframe="5m",
        window=1,
        window_digest="",
        strategy="ema_cross",
        strategy_version=1,
        measurements=(),
        intent="enter_long",
        mark=price,
        equity=CAPITAL,
    )


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float) -> bool:
    """Wait for it, at most so long; whether it came."""
    for _ in range(int(seconds)):
        if await condition():
            return True
        await asyncio.sleep(1)
    return await condition()
