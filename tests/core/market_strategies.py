"""Hypothesis strategies of the core: candles that cross, gap and reach brackets, bots, and what people tell bots."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec
from hypothesis import strategies as st

from events.bot import BotFact, BotStarted
from events.identifiers import Symbol
from events.values import FeeSchedule, RiskLimits
from oxbot.core.bot import BotCommand, ClaimBot, DepositCapital, PauseBot, StartBot, StopBot, WithdrawCapital
from oxbot.core.candles import Candle, Frame
from tests.core.scenario import BTC, ETH, created, deposited, instrument, moment

UNITS = ("10", "0.01", "0.00001", "0.000001")
"""What one step of a random walk around 1,000 steps is worth: from a coin of 10,000 to one of 0.001."""

_FLOOR = 50
_REACH = (30, 60, 45, 45)
"""The largest gap, body, upper and lower wick in steps; a bracket lies 20 below and 40 above a fill at 1,000."""


def _walk(chances: bytes, unit: Decimal) -> list[Candle]:
    """One candle for every four bytes, of which smaller ones make smaller moves."""
    walk, price = [], 1000
    for number in range(len(chances) // 4):
        gap, body, above, below = (
            _signed(chance, reach) for chance, reach in zip(chances[4 * number :], _REACH, strict=False)
        )
        opened = max(price + gap, _FLOOR)
        closed = max(opened + body, _FLOOR)
        high, low = max(opened, closed) + abs(above), max(min(opened, closed) - abs(below), 1)
        walk.append(Candle(moment(number), opened * unit, high * unit, low * unit, closed * unit, Decimal(1)))
        price = closed
    return walk


def _signed(chance: int, reach: int) -> int:
    size = (chance >> 1) % (reach + 1)
    return -size if chance & 1 else size


@st.composite
def candles(draw: st.DrawFn, *, size_min: int = 5, size_max: int = 60) -> list[Candle]:
    """A random walk of candles numbered from 0."""
    unit = Decimal(draw(st.sampled_from(UNITS)))
    size = draw(st.integers(size_min, size_max))
    return _walk(draw(st.binary(min_size=4 * size, max_size=4 * size)), unit)


@st.composite
def frames(draw: st.DrawFn, symbols: Sequence[Symbol] = (BTC, ETH), *, size_max: int = 60) -> list[Frame]:
    """Random walks of all the symbols side by side."""
    size = draw(st.integers(5, size_max))
    walks = {symbol: draw(candles(size_min=size, size_max=size)) for symbol in sorted(symbols)}
    return [
        Frame(moment(number), tuple((symbol, walk[number]) for symbol, walk in walks.items())) for number in range(size)
    ]


@st.composite
def parameters(draw: st.DrawFn) -> Mapping[str, str]:
    """Parameters of ``ema_cross`` under which a short walk crosses often."""
    fast = draw(st.integers(2, 3))
    slow = draw(st.integers(fast + 1, 5))
    return {
        "fast": str(fast),
        "slow": str(slow),
        "lookback": str(draw(st.integers(slow, 8))),
        "size_fraction": draw(st.sampled_from(["0.05", "0.3333", "0.499", "0.999"])),
        "stop_fraction": draw(st.sampled_from(["0.02", "0.1", "0.6"])),
        "target_fraction": draw(st.sampled_from(["0.04", "0.3", "3"])),
    }


@st.composite
def bots(draw: st.DrawFn, symbols: Sequence[Symbol] = (BTC, ETH)) -> list[BotFact]:
    """A bot of the symbols that was created, funded and started, with limits that bite now and then."""
    steps = st.sampled_from(["1e-8", "0.001", "1"])
    minimum = draw(st.sampled_from(["0", "10"]))
    instruments = [instrument(symbol, lot=draw(steps), minimum=minimum) for symbol in symbols]
    taker = Decimal(draw(st.sampled_from(["0", "0.001", "0.0777"])))
    limits = RiskLimits(
        position_fraction_max=Decimal(1),
        positions_max=draw(st.integers(1, 2)),
        exposure_fraction_max=Decimal(draw(st.sampled_from(["0.6", "1"]))),
    )
    creation = created(
        *instruments, parameters=draw(parameters()), limits=limits, fees=FeeSchedule(maker=Decimal(0), taker=taker)
    )
    return [creation, deposited(draw(st.sampled_from(["100", "10000", "123456.789"]))), BotStarted()]


def amounts() -> st.SearchStrategy[Decimal]:
    """Quote currency between 0.01 and 20,000, in cents."""
    return st.integers(1, 2_000_000).map(lambda cents: Decimal(cents) / 100)


def commands() -> st.SearchStrategy[BotCommand]:
    """What a person or a new incarnation tells a bot, short of stopping it, which ends it all."""
    return st.one_of(
        st.builds(DepositCapital, amounts()),
        st.builds(WithdrawCapital, amounts()),
        st.just(WithdrawCapital(Decimal("0.01"))),
        st.just(PauseBot()),
        st.just(StartBot()),
        st.just(ClaimBot("another")),
    )


def dated(command: BotCommand, number: int | None) -> BotCommand:
    """A command to start, pause or stop that counts from candle ``number`` on; any other as it was."""
    if number is None or not isinstance(command, StartBot | PauseBot | StopBot):
        return command
    return msgspec.structs.replace(command, effective_at=moment(number))


@st.composite
def scripts(draw: st.DrawFn) -> list[Frame | BotCommand]:
    """Frames of two symbols with commands in between, sometimes one to stop; some count at once, some later."""
    market = draw(frames())
    places, numbers = st.integers(0, len(market)), st.none() | st.integers(0, len(market))
    spoken = draw(st.lists(st.tuples(places, st.builds(dated, commands(), numbers)), max_size=8))
    spoken += draw(st.lists(st.tuples(places, st.builds(dated, st.just(StopBot()), numbers)), max_size=1))
    script: list[Frame | BotCommand] = []
    for number, frame in enumerate(market):
        script.extend(command for place, command in spoken if place == number)
        script.append(frame)
    return script
