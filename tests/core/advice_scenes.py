"""Markets and bots for the tests of prompts: seeded walks of candles, and a bot that looks at them."""

import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from events.identifiers import Symbol
from oxbot.core.advice_snapshot import WINDOW, Snapshot, snapshot
from oxbot.core.candles import Candle
from oxbot.core.creation import CreateBot
from oxbot.core.market_view import MarketView
from oxbot.core.state import BotState
from tests.core.lives import BTC, START, Life, creation

FIVE_MINUTES = timedelta(minutes=5)


def walk(
    count: int = WINDOW,
    *,
    seed: int = 1,
    price: float = 100.0,
    step: timedelta = FIVE_MINUTES,
    begins: datetime = START,
    places: int = 4,
) -> list[Candle]:
    """A random walk of closed candles from a moment on; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - candles, not secrets
    found = []
    for number in range(count):
        opened = price
        price = opened * (1 + chance.gauss(0, 0.002))
        high = max(opened, price) * (1 + abs(chance.gauss(0, 0.001)))
        low = min(opened, price) * (1 - abs(chance.gauss(0, 0.001)))
        first, most, least, last = (Decimal(f"{level:.{places}f}") for level in (opened, high, low, price))
        volume = Decimal(f"{chance.random() * 100:.2f}")
        found.append(Candle(begins + number * step, first, most, least, last, volume))
    return found


def flat(
    count: int = WINDOW, price: str = "100", *, step: timedelta = FIVE_MINUTES, volume: str = "10"
) -> list[Candle]:
    """Candles that do not move."""
    level = Decimal(price)
    return [Candle(START + number * step, level, level, level, level, Decimal(volume)) for number in range(count)]


def bot(command: CreateBot | None = None) -> BotState:
    """A bot that was created and started, of five-minute candles if nothing else is said."""
    return Life.of(command or creation(timeframe="5m"), {}).state


def seen(state: BotState, candles: Mapping[Symbol, Iterable[Candle]], *, capacity: int = WINDOW) -> MarketView:
    """The view of a bot's market once these candles have closed."""
    view = MarketView.of(state.configuration.market, capacity=capacity)
    for symbol, closed in candles.items():
        view.warm(symbol, closed)
    return view


def shown(candles: Sequence[Candle], *, timeframe: str = "5m", template: str = "market") -> Snapshot:
    """The snapshot of a bot that follows one symbol and holds nothing."""
    state = bot(creation(timeframe=timeframe))
    return snapshot(state, seen(state, {BTC: candles}), [BTC], template)
