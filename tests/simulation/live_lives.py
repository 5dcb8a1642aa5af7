"""Whole live lives under fire, from a seed, and what each came to."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from events.errors import LogUnavailable, WrongExpectedVersion
from events.identifiers import BotId, Symbol, VenueName
from events.values import Bracket, ScaleOut
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.app.bot_runner import BotRunner
from oxbot.app.clock import SystemClock
from oxbot.core.candles import Candle, Frame, Series
from tests.core.scenario import DECIDER
from tests.simulation.live_checks import counted
from tests.simulation.live_script import settled
from tests.simulation.live_strikes import STRIKES, strike
from tests.simulation.live_world import CANDLE, PRICES, Incarnation, LiveWorld

TICKS = 24
TICK_SECONDS = 0.35
ENDPOINTS = (
    "POST trade/order",
    "POST trade/order",
    "POST trade/order-algo",
    "POST trade/cancel-order",
    "POST trade/cancel-algos",
    "POST trade/amend-algos",
    "GET trade/order",
    "GET trade/order-algo",
    "GET trade/fills",
    "GET account/positions",
    "GET public/time",
    "*",
)


async def lived(world: LiveWorld) -> Counter[str]:
    """Live one life to its end; answers what there was of what. Raises ``Disagreement``."""
    chances, hosts = world.chances, Hosts(world)
    one = world.start()
    for _ in range(TICKS):
        await asyncio.sleep(TICK_SECONDS)
        if world.apart is not None and chances.random() < 0.08:
            await _kill_exchange(world)
        if chances.random() < 0.8:
            await _move(world)
        await _act(world)
        await hosts.show()
        if chances.random() < 0.15:
            hosts.restart(chances.choice(list(world.bots)))
        if chances.random() < 0.4:
            name = chances.choice(STRIKES)
            await strike(world, name, [chances.choice(ENDPOINTS)], count=chances.randint(1, 2))
            world.ended["strikes"] += 1
        one = _fate(world, one)
    if world.apart is not None:
        await _kill_exchange(world)
    await settled(world)
    return world.ended + await counted(world)


class Hosts:
    """The bots' own runners, which decide on candles of a second; they die and are begun anew."""

    def __init__(self, world: LiveWorld) -> None:
        self._world = world
        self._candles = MemoryCandleStore()
        self._frames: dict[Symbol, list[Frame]] = {symbol: [] for symbol in PRICES}
        self._runners: dict[BotId, BotRunner] = {}
        self._next = world.begun
        self._opened: Mapping[Symbol, Decimal] = dict(world.prices)

    async def show(self) -> None:
        """Let every bot live through the candles that have closed by now."""
        while self._next + CANDLE <= datetime.now(UTC):
            for symbol, price in self._world.prices.items():
                await self._keep(symbol, price)
            self._opened = dict(self._world.prices)
            self._next += CANDLE
        for bot_id, instrument in self._world.bots.items():
            try:
                await (await self._runner(bot_id)).observe(self._frames[instrument.symbol])
            except (LogUnavailable, WrongExpectedVersion):
                self.restart(bot_id)

    def restart(self, bot_id: BotId) -> None:
        """The bot's process dies; another takes its place at the next candle, and the old one learns of it."""
        self._runners.pop(bot_id, None)
        self._world.ended["runners restarted"] += 1

    async def _runner(self, bot_id: BotId) -> BotRunner:
        if bot_id not in self._runners:
            runner = BotRunner(
                bot_id,
                log=self._world.log,
                decider=DECIDER,
                candles=self._candles,
                clock=SystemClock(),
                holder=f"host-{self._world.ended['runners restarted']}",
            )
            await runner.claim()
            self._runners[bot_id] = runner
        return self._runners[bot_id]

    async def _keep(self, symbol: Symbol, price: Decimal) -> None:
        opened = self._opened[symbol]
        low, high = min(opened, price), max(opened, price)
        candle = Candle(self._next, opened, high, low, price, Decimal(1))
        await self._candles.add([(Series(VenueName("okx"), symbol, "1s"), [candle])])
        self._frames[symbol].append(Frame(self._next, ((symbol, candle),)))


async def _move(world: LiveWorld) -> None:
    """One step of every price, now and then with little to trade."""
    chances = world.chances
    for symbol, begun in PRICES.items():
        moved = world.prices[symbol] * (1 + Decimal(chances.randint(-90, 90)) / 10_000)
        price = min(max(moved, begun * 4 // 5), begun * 6 // 5) // Decimal("0.1") * Decimal("0.1")
        if chances.random() < 0.3:
            await world.price(symbol, price, volume=Decimal(chances.randint(0, 2500)) / begun)
        else:
            await world.price(symbol, price)


async def _act(world: LiveWorld) -> None:
    """Somebody wants what the strategies do not: entries that rest, their end, and the end of everything."""
    chances = world.chances
    for bot_id in world.bots:
        chance = chances.random()
        if chance < 0.15:
            stop, target = (Decimal(chances.randint(4, 25)) / 1000 for _ in range(2))
            steps = (ScaleOut(target_fraction=target / 2, share=Decimal("0.5")),) if chances.random() < 0.3 else ()
            bracket = Bracket(stop_fraction=stop, target_fraction=target, scale_out=steps)
            long = not str(bot_id).endswith("swap") or chances.random() < 0.5
            await world.enter(bot_id, bracket=bracket, limited=chances.random() < 0.7, long=long)
        elif chance < 0.2:
            await world.withdraw(bot_id)
        elif chance < 0.23:
            await world.leave(bot_id)


def _fate(world: LiveWorld, one: Incarnation) -> Incarnation:
    """Let the process die or stand still, now or at one of its next steps, and another take its place."""
    chances = world.chances
    if one.done:
        return world.start() if chances.random() < 0.7 else one
    chance = chances.random()
    if chance < 0.08:
        one.crash_at = one.points + chances.randint(1, 40)
    elif chance < 0.14:
        one.freeze_at = one.points + chances.randint(1, 40)
    elif chance < 0.17 or (one.frozen and chance < 0.5):
        world.ended["replaced"] += 1
        return world.start()
    for old in world.incarnations[:-1]:
        if old.frozen and chances.random() < 0.2:
            old.wake()
            world.ended["woken"] += 1
    return one


async def _kill_exchange(world: LiveWorld) -> None:
    assert world.apart is not None
    await world.apart.kill()
    world.ended["exchange killed"] += 1
    await asyncio.sleep(world.chances.choice((0.0, 0.5)))
    await world.apart.start()
