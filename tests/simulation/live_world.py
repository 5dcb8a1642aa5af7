"""A world of real things for the execution: Postgres, ccxt, the local exchange, and processes that die or freeze."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import asyncpg
from msgspec.structs import replace

from events.account import AccountArmed, AccountOpened
from events.bot import (
    BotArmed,
    BotFact,
    BotStarted,
    CapitalDeposited,
    OrderCancelRequested,
    OrderRequested,
)
from events.codec import Codec
from events.envelope import Fact, NewEvent
from events.errors import LogUnavailable, WrongExpectedVersion
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
from events.log import ANY_VERSION
from events.postgres import PostgresEventLog
from events.values import Bracket, Instrument, MarketReference
from oxbot.adapters.database import open_pool
from oxbot.app.execution import ExecutionRunner, Pace
from oxbot.app.execution_books import AccountBook
from oxbot.app.execution_keeper import ExecutionKeeper
from oxbot.app.execution_sending import Timing
from oxbot.app.handle import Folded, fold_stream, handle
from oxbot.app.venue import Venue
from oxbot.core.bot_state import BotState
from oxbot.core.money import text
from oxbot.core.reports import ForceExit
from tests.contracts.venue_stages import opened_at
from tests.core.scenario import DECIDER, created
from tests.exchange.running import Apart
from tests.exchange.running import Venue as Exchange
from tests.simulation.execution_world import StandingLog, decision
from tests.simulation.live_venue import PointedVenue

SPOT = Instrument(symbol=Symbol("BTC/USDT"), tick=Decimal("0.1"), lot=Decimal("0.00001"))
SWAP = Instrument(
    symbol=Symbol("ETH/USDT:USDT"),
    tick=Decimal("0.01"),
    lot=Decimal("0.001"),
    kind="perpetual",
    contract_size=Decimal("0.1"),
    leverage_max=Decimal(50),
)
NAMES = {SPOT.symbol: "BTC-USDT", SWAP.symbol: "ETH-USDT-SWAP"}
PRICES = {SPOT.symbol: Decimal(50_000), SWAP.symbol: Decimal(2_500)}
PLENTY = Decimal(1_000_000)
CAPITAL = Decimal(10_000)
LEVERAGE = Decimal(3)
CANDLE = timedelta(seconds=1)
HURRY = 0.25
SLEEP_SECONDS_MAX = 2.0
TIMING = Timing(window=2.0, margin=0.5, answer=2.5)
PACE = Pace(sweep=4.0, sweep_least=1.0, grace=2.0, heartbeat=8.0)
CCXT_SECONDS = 1.0
CONNECTIONS = 3

TERMINATE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = $1 AND pid <> pg_backend_pid()
"""

Attempt = Callable[[BotState], Sequence[BotFact]]


class HurriedClock:
    """The machine's clock, whose sleepers are woken early."""

    def now(self) -> datetime:
        """The time of day."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Return after a part of it."""
        await asyncio.sleep(min(seconds * HURRY, SLEEP_SECONDS_MAX))


class Incarnation:
    """One process of the execution: its own ccxt client, and a moment at which it dies or stands still."""

    def __init__(self, world: "LiveWorld", number: int) -> None:
        self.world = world
        self.holder = f"{world.account}-{number}"
        self.points = 0
        self.crash_at = 0
        self.freeze_at = 0
        self.frozen = False
        self.dying = False
        self.thawed = asyncio.Event()
        self.runner: ExecutionRunner | None = None
        self.task: asyncio.Task[None] = asyncio.ensure_future(self._live())

    @property
    def done(self) -> bool:
        """Whether it has ended, one way or the other, or is about to."""
        return self.dying or self.task.done()

    @property
    def quiet(self) -> bool:
        """Whether it runs, agrees with the venue, and has nothing to do."""
        runner = self.runner
        return runner is not None and not self.done and runner.idle and runner.account.state.reconciled

    def die(self) -> None:
        """End at whatever it waits for."""
        self.world.ended["crashes"] += 1
        self.dying = True
        self.task.cancel()

    def wake(self) -> None:
        """Stand still no more."""
        self.frozen, self.freeze_at = False, 0
        self.thawed.set()

    async def point(self) -> None:
        """Pass one of the places at which a process can die, or stand still for a while."""
        self.points += 1
        if self.points == self.crash_at:
            self.die()
            await asyncio.Event().wait()
        if self.points == self.freeze_at:
            self.world.ended["freezes"] += 1
            self.frozen = True
        await self.stand()
        await asyncio.sleep(0)

    async def stand(self) -> None:
        """Wait until the process is awake."""
        if self.frozen:
            await self.thawed.wait()

    async def _live(self) -> None:
        log = StandingLog(self.world.log, self.stand, before=self._at_log, after=self._at_log)
        clock = HurriedClock()

        def runner(venue: Venue) -> ExecutionRunner:
            self.runner = ExecutionRunner(
                self.world.account,
                venue=venue,
                log=log,
                decider=DECIDER,
                clock=clock,
                holder=self.holder,
                timing=TIMING,
                pace=PACE,
            )
            return self.runner

        keeper = ExecutionKeeper(
            self._opened,
            runner=runner,
            account=lambda: AccountBook(self.world.account, log=log, clock=clock, holder=self.holder),
            clock=clock,
        )
        try:
            await keeper.run()
            self.world.ended["superseded"] += 1
        except LogUnavailable:
            self.world.ended["logs lost"] += 1

    async def _at_log(self, number: int, events: Sequence[NewEvent]) -> None:
        del number, events
        await self.point()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Venue]:
        async with opened_at(self.world.exchange, timeout_seconds=CCXT_SECONDS) as venue:
            yield PointedVenue(venue, self.point)


class Parts(NamedTuple):
    """What a world is made of that others own."""

    exchange: Exchange
    database: str
    apart: Apart | None = None


class LiveWorld:
    """The log, the exchange and the bots of one account; all chance comes from a seed."""

    def __init__(self, parts: Parts, pool: asyncpg.Pool, *, name: str, seed: int) -> None:
        self.chances = random.Random(seed)  # noqa: S311 - a test's chance, not a secret
        self.exchange = parts.exchange
        self.apart = parts.apart
        self.admin = parts.exchange.admin
        self._database = parts.database
        self.account = AccountName(name)
        self.log = PostgresEventLog(pool, Codec())
        self.prices = dict(PRICES)
        self.bots = {BotId(f"{name}-spot-{n}"): SPOT for n in range(2)} | {BotId(f"{name}-swap"): SWAP}
        self.incarnations: list[Incarnation] = []
        self.ended: Counter[str] = Counter()
        self.begun = datetime.now(UTC).replace(microsecond=0)

    async def open(self) -> None:
        """An armed account with armed bots that have as much money as their limits allow, and a market."""
        until = self.begun + timedelta(days=1)
        rest, ws = self.exchange.rest_url, self.exchange.ws_url.removesuffix("/ws/v5")
        opened = AccountOpened(account=self.account, venue=VenueName("okx"), demo=True, rest=rest, ws=ws)
        await self._append(account_stream(self.account), [opened, AccountArmed(until=until)])
        for bot_id, instrument in self.bots.items():
            creation = created(instrument)
            market = MarketReference(
                venue=VenueName("okx"), timeframe="1s", begins_at=self.begun, instruments=(instrument,)
            )
            creation = replace(creation, bot_id=bot_id, account=self.account, leverage=LEVERAGE, market=market)
            deposit = CapitalDeposited(amount=CAPITAL)
            await self._append(bot_stream(bot_id), [creation, deposit, BotStarted(), BotArmed(until=until)])
        await self.calm()

    # The market.

    async def price(self, symbol: Symbol, price: Decimal, *, volume: Decimal = PLENTY) -> None:
        """The market trades so much at this price."""
        self.prices[symbol] = price
        await self.admin.post("/price", instrument=NAMES[symbol], price=text(price), volume=text(volume))

    async def calm(self) -> None:
        """Enough to trade for everybody, at prices that stay."""
        for symbol, price in self.prices.items():
            await self.price(symbol, price)

    # The bots.

    async def state(self, bot_id: BotId) -> BotState:
        """The bot as its stream says."""
        return (await self._folded(bot_id)).state

    async def leave(self, bot_id: BotId) -> None:
        """Ask for the end of everything that the bot has."""
        now = datetime.now(UTC)
        with suppress(WrongExpectedVersion):
            await handle(self.log, DECIDER, bot_stream(bot_id), ForceExit(now), at=now)

    async def withdraw(self, bot_id: BotId) -> None:
        """Ask for the end of the bot's entries."""

        def asked(state: BotState) -> Sequence[BotFact]:
            entries = [order for order in state.orders.values() if not order.reduce_only]
            return [
                OrderCancelRequested(order_id=order.order_id, at=candle_now(), reason="a whim", at_close=True)
                for order in entries
                if order.cancel_requested_at is None
            ]

        await self._ask(bot_id, asked)

    async def enter(self, bot_id: BotId, *, bracket: Bracket, limited: bool, long: bool = True) -> None:
        """Decide to enter and ask for it, at the market or a little beside it; unless the bot is in it already."""
        instrument, price = self.bots[bot_id], self.prices[self.bots[bot_id].symbol]
        symbol, at = instrument.symbol, candle_now()
        swap = instrument.kind == "perpetual"
        level = price * (Decimal("0.999") if long else Decimal("1.001")) // instrument.tick * instrument.tick

        def asked(state: BotState) -> Sequence[BotFact]:
            if state.working(symbol) or symbol in state.ledger.positions:
                return []
            decided = decision(DecisionId(f"{bot_id}-x{state.decisions_made + 1}"), symbol, price, at)
            order = OrderRequested(
                order_id=OrderId(f"{bot_id}-{state.orders_requested + 1}"),
                at=at,
                symbol=symbol,
                side="buy" if long else "sell",
                kind="limit" if limited else "market",
                reason="entry",
                notional=Decimal(2_500),
                bracket=bracket,
                decision_id=decided.decision_id,
                limit_price=level if limited else None,
                leverage=LEVERAGE if swap else None,
                at_close=True,
            )
            return [decided, order]

        await self._ask(bot_id, asked)

    # The processes.

    def start(self) -> Incarnation:
        """A new incarnation of the execution."""
        one = Incarnation(self, len(self.incarnations) + 1)
        self.incarnations.append(one)
        return one

    async def stop(self) -> None:
        """End every process that still lives; one that failed otherwise than by design fails the test."""
        for one in self.incarnations:
            one.wake()
            one.task.cancel()
        for one in self.incarnations:
            with suppress(asyncio.CancelledError):
                await one.task

    async def end_sessions(self) -> None:
        """Terminate every session with Postgres that this world has, also those that wait for news."""
        connection = await asyncpg.connect(self._database)
        try:
            self.ended["sessions ended"] += await connection.fetchval(TERMINATE, str(self.account))
        finally:
            await connection.close()

    async def _ask(self, bot_id: BotId, attempt: Attempt) -> None:
        while True:
            folded = await self._folded(bot_id)
            facts = attempt(folded.state)
            if not facts:
                return
            with suppress(WrongExpectedVersion):
                await self._append(bot_stream(bot_id), facts, expected=folded.version)
                return

    async def _append(self, stream: StreamId, facts: Sequence[Fact], *, expected: int = ANY_VERSION) -> None:
        now = datetime.now(UTC)
        events = [NewEvent(event_id=new_event_id(), occurred_at=now, fact=fact) for fact in facts]
        await self.log.append(stream, events, expected=expected)

    async def _folded(self, bot_id: BotId) -> Folded[BotState]:
        return await fold_stream(self.log, DECIDER, bot_stream(bot_id))


@asynccontextmanager
async def live_world(parts: Parts, *, name: str, seed: int) -> AsyncIterator[LiveWorld]:
    """A world with an open account, and no process of its execution yet; every process is ended at the end."""
    async with AsyncExitStack() as stack:
        pool = await open_pool(parts.database, size=CONNECTIONS, application_name=name)
        stack.push_async_callback(_closed, pool)
        world = LiveWorld(parts, pool, name=name, seed=seed)
        await world.open()
        stack.push_async_callback(world.stop)
        yield world


def candle_now() -> datetime:
    """The open time of the candle that has closed now."""
    return datetime.now(UTC).replace(microsecond=0) - CANDLE


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float) -> bool:
    """Wait for it, at most so long; whether it came."""
    ends_at = asyncio.get_running_loop().time() + seconds
    while not await condition():
        if asyncio.get_running_loop().time() > ends_at:
            return False
        await asyncio.sleep(0.1)
    return True


async def _closed(pool: asyncpg.Pool) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            await pool.close()
            return
    pool.terminate()
