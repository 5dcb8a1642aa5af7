"""Hypothesis strategies for whole lives: bots, markets with gaps and holes, wishes of every kind, commands."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from hypothesis import strategies as st
from msgspec.structs import replace

from events.identifiers import Symbol
from events.values import Bracket, FeeSchedule, Instrument, PaperModel, RiskLimits, ScaleOut, Sizing
from oxbot.core.bot import (
    BotCommand,
    ClaimBot,
    DepositCapital,
    PauseBot,
    SetTradingState,
    StartBot,
    StopBot,
    WithdrawCapital,
)
from oxbot.core.candles import Candle, Frame, timeframe_duration
from oxbot.core.creation import CreateBot
from tests.core.lives import START, Wish, Wishes, creation, perpetual, spot

ZERO = Decimal(0)
MEME, COARSE, BITCOIN = Symbol("MEME/USDT"), Symbol("COARSE/USDT"), Symbol("BTC/USDT")
DOGE, FUTURE = Symbol("DOGE/USDT:USDT"), Symbol("BTC/USDT:USDT")
TICKS = {MEME: 21_000, COARSE: 21, BITCOIN: 10_000_000, DOGE: 13_201, FUTURE: 1_000_000}
"""The usual price in ticks: 0.000021 twice, once with a wide tick; 100,000 twice, and 0.13201."""

_REACH = (200, 120, 80, 80)
"""The largest gap, body, upper and lower wick, in thousandths of the price; small ones are far more common."""
_BYTES = 6
_VOLUMES = (10**7, 10**5, 3000, 10, 0)


def chosen(*values: str) -> st.SearchStrategy[Decimal]:
    """One of these numbers; the first is the simplest."""
    return st.sampled_from([Decimal(value) for value in values])


EVERYTHING = WithdrawCapital(Decimal(10) ** 14)
"""Stands for taking out all that is free, which depends on the life."""


class Script(NamedTuple):
    """A bot, what its strategy wants, and what happens: frames, and before some of them what people say."""

    command: CreateBot
    plan: dict[tuple[Symbol, datetime], Wishes]
    events: list[Frame | BotCommand]


@st.composite
def instruments(draw: st.DrawFn) -> tuple[Instrument, ...]:
    """One or two symbols, in alphabetical order."""
    minimum = draw(st.sampled_from(["0", "10"]))
    margins = draw(st.sampled_from([("0.005", "0.005"), ("0.004", "0.0125"), ("0.001", "0"), ("0.1", "0.05")]))
    hours = draw(st.sampled_from([8, 1]))
    known = {
        MEME: spot(MEME, tick="1e-9", lot="1", minimum=minimum),
        COARSE: spot(COARSE, tick="1e-6", lot="1000", minimum=minimum),
        BITCOIN: spot(BITCOIN, tick="0.01", lot=draw(st.sampled_from(["1e-5", "0.01"])), minimum=minimum),
        DOGE: perpetual(DOGE, tick="1e-5", lot="1", maintenance=margins[0], fee=margins[1], hours=hours),
        FUTURE: perpetual(FUTURE, tick="0.1", lot="0.001", maintenance=margins[0], fee=margins[1], hours=hours),
    }
    picked = draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=2, unique=True))
    return tuple(known[symbol] for symbol in sorted(picked))


@st.composite
def papers(draw: st.DrawFn) -> PaperModel:
    """How the paper venue trades."""
    return PaperModel(
        half_spread=draw(chosen("0", "0.0005", "0.01")),
        slippage_factor=draw(chosen("0", "0.1", "1")),
        slippage_max=draw(chosen("0", "0.005", "0.02")),
        slippage_jitter=draw(chosen("0", "0.5")),
        participation_max=draw(st.sampled_from([None, Decimal("0.3"), Decimal("0.01")])),
        latency_candles=draw(st.sampled_from([0, 0, 1, 2])),
        latency_milliseconds=draw(st.sampled_from([0, 0, 250])),
        funding_rate=draw(chosen("0", "0.0001", "-0.0001", "0.01", "-0.01")),
        seed=draw(st.integers(0, 3)),
    )


@st.composite
def limits(draw: st.DrawFn) -> RiskLimits:
    """Limits that let most through; losses trip some."""
    return RiskLimits(
        position_fraction_max=Decimal(50),
        positions_max=draw(st.sampled_from([2, 1])),
        exposure_fraction_max=Decimal(100),
        leverage_max=Decimal(125),
        correlated_exposure_fraction_max=draw(st.sampled_from([None, Decimal(60)])),
        drawdown_max=draw(st.sampled_from([None, None, Decimal("0.2")])),
        daily_loss_max=draw(st.sampled_from([None, None, Decimal("0.1")])),
        cooldown_candles=draw(st.sampled_from([None, None, 2])),
    )


@st.composite
def bots(draw: st.DrawFn) -> CreateBot:
    """A bot of any market, with costs from none to absurd."""
    market = draw(instruments())
    least = min(
        (each.maintenance_fraction + each.liquidation_fee for each in market if each.kind == "perpetual"), default=1
    )
    takers = [fee for fee in ("0.0005", "0", "0.001", "0.0777") if Decimal(fee) <= least]
    taker = Decimal(draw(st.sampled_from(takers)))
    margins = any(each.kind == "perpetual" for each in market)
    kept = max(each.maintenance_fraction + each.liquidation_fee for each in market)
    paper, leverages = draw(papers()), [each for each in ("1", "3", "20", "50") if margins and int(each) * kept < 1]
    return creation(
        *market,
        capital=draw(st.sampled_from(["10000", "150", "123456.789"])),
        timeframe=draw(st.sampled_from(["4h", "1h", "1d"])),
        fees=FeeSchedule(
            maker=taker * draw(chosen("0.5", "0", "1")),
            taker=taker,
            buys_pay_in=draw(st.sampled_from(["quote", "base"])),
        ),
        limits=draw(limits()),
        paper=paper if margins else replace(paper, funding_rate=Decimal(0)),
        leverage=draw(st.sampled_from(leverages or ["1"])),
        sizing=draw(
            st.sampled_from(
                [
                    *[Sizing()] * 5,
                    Sizing(method="risk"),
                    Sizing(method="volatility"),
                    Sizing(method="kelly", kelly_trades_min=10),
                ]
            )
        ),
    )


@st.composite
def brackets(draw: st.DrawFn) -> Bracket:
    """A bracket of any kind."""
    first = draw(chosen("0.3", "0.5", "1"))
    steps = [
        ScaleOut(target_fraction=draw(chosen("0.01", "0.03", "0.1")), share=share)
        for share in (first, (1 - first) / 2)[: draw(st.integers(0, 2))]
        if share
    ]
    return Bracket(
        stop_fraction=draw(chosen("0.02", "0", "0.005", "0.1", "0.6")),
        target_fraction=draw(chosen("0.04", "0", "0.005", "0.3", "3")),
        trailing_fraction=draw(st.sampled_from([None, None, Decimal("0.02"), Decimal("0.1")])),
        trailing_activation=draw(chosen("0", "0.01", "0.05", "1.5")),
        candles_max=draw(st.sampled_from([None, None, 1, 3, 8])),
        scale_out=tuple(steps),
    )


@st.composite
def entries(draw: st.DrawFn, *, shorts: bool) -> Wish:
    """An entry, long or short, at market or limit, sized and left in any way."""
    long = not (shorts and draw(st.booleans()))
    away = [
        Decimal(1) + (-1 if long else 1) * Decimal(value)
        for value in ("0.02", "0.002", "0.0071", "0.3", "0.0001", "-0.01")
    ]
    profit = [
        Decimal(1) - (-1 if long else 1) * Decimal(value)
        for value in ("0.03", "0.0071", "0.002", "0.5", "0.1", "-0.01")
    ]
    return Wish(
        intent="enter_long" if long else "enter_short",
        size_fraction=draw(chosen("0.1", "0.3", "0.3333", "0.6", "0.98", "0.9995", "3", "18")),
        limit=draw(st.sampled_from([None, None, Decimal(1), Decimal("0.997"), Decimal("1.003"), Decimal("0.98")])),
        stop=draw(st.none() | st.sampled_from(away)),
        target=draw(st.none() | st.sampled_from(profit)),
        bracket=draw(st.none() | brackets()),
        setup=draw(st.sampled_from(["wish", ""])),
        trigger=draw(st.sampled_from([None, None, None, Decimal("1.004"), Decimal("0.996"), Decimal("1.03")])),
        time_in_force=draw(st.sampled_from(["gtc", "gtc", "gtc", "ioc", "fok"])),
        post_only=draw(st.sampled_from([False, False, False, True])),
    )


def leavings() -> st.SearchStrategy[Wish]:
    """Leave, or take a part off."""
    parts = chosen("0.5", "0.1", "0.333333333", "0.999999", "1", "1.5", "1e-9")
    return st.just(Wish("exit")) | parts.map(lambda part: Wish("reduce", reduce_fraction=part))


def commands(market: CreateBot, size: int) -> st.SearchStrategy[BotCommand]:
    """What a person or a new incarnation tells a bot; some of it counts from a later or an earlier candle on."""
    step = timeframe_duration(market.market.timeframe)
    when = st.none() | st.none() | st.integers(0, size).map(lambda number: START + number * step)
    amounts = chosen("100", "0.01", "5000", "77.777777777777777777")
    dated = st.one_of(
        st.builds(PauseBot, effective_at=when),
        st.builds(StartBot, effective_at=when),
        st.builds(
            SetTradingState,
            st.sampled_from(["active", "reducing", "halted"]),
            scope=st.sampled_from(["bot", "bot", "fleet"]),
            effective_at=when,
        ),
    )
    return st.one_of(
        dated,
        dated,
        st.builds(DepositCapital, amounts),
        st.builds(WithdrawCapital, amounts),
        st.sampled_from([EVERYTHING, EVERYTHING, ClaimBot("another")]),
    )


def _moved(chance: int, reach: int) -> Decimal:
    """A signed fraction of the price, up to ``reach`` thousandths; most of the bytes make a small one."""
    size = Decimal((chance >> 1) ** 3) * reach / (127**3 * 1000)
    return -size if chance & 1 else size


def walk(instrument: Instrument, chances: bytes, command: CreateBot) -> list[Candle | None]:
    """One candle for every six bytes, or none where the feed has a hole."""
    step, usual = timeframe_duration(command.market.timeframe), TICKS[instrument.symbol]
    price, seen = usual, list[Candle | None]()
    for number in range(len(chances) // _BYTES):
        *moves, volume, hole = chances[_BYTES * number : _BYTES * (number + 1)]
        gap, body, above, below = (int(_moved(move, reach) * price) for move, reach in zip(moves, _REACH, strict=True))
        opened = min(max(price + gap, 3), usual * 20)
        closed = max(opened + body, 2)
        high, low = max(opened, closed) + abs(above), max(min(opened, closed) - abs(below), 1)
        first, top, bottom, last = (Decimal(ticks) * instrument.tick for ticks in (opened, high, low, closed))
        lots = Decimal(_VOLUMES[volume % len(_VOLUMES)]) // (first * instrument.lot)
        made = Candle(START + number * step, first, top, bottom, last, lots * instrument.lot)
        seen.append(None if hole >= 244 else made)
        price = closed
    return seen


@st.composite
def markets(draw: st.DrawFn, command: CreateBot, size: int) -> list[Frame]:
    """Walks of all the symbols side by side; a frame without a candle is none."""
    walks = [
        (each.symbol, walk(each, draw(st.binary(min_size=_BYTES * size, max_size=_BYTES * size)), command))
        for each in command.market.instruments
    ]
    frames = []
    for number in range(size):
        candles = [(symbol, candle) for symbol, walked in walks if (candle := walked[number]) is not None]
        if candles:
            frames.append(Frame(candles[0][1].open_time, tuple(candles)))
    return frames


def planned(
    frames: Sequence[Frame], chances: bytes, flat: Sequence[Wish], held: Sequence[Wish]
) -> dict[tuple[Symbol, datetime], Wishes]:
    """Which wish comes at which candle: an entry at most of them, something else now and then."""
    plan = dict[tuple[Symbol, datetime], Wishes]()
    looks = [(symbol, frame.open_time) for frame in frames for symbol, _ in frame.candles]
    for look, chance in zip(looks, chances, strict=False):
        entry = flat[chance % len(flat)] if chance < 200 else None
        leaving = held[chance % len(held)] if held and chance % 4 == 0 else None
        plan[look] = Wishes(entry, leaving)
    return plan


@st.composite
def scripts(draw: st.DrawFn, *, size_max: int = 30) -> Script:
    """A whole life."""
    command = draw(bots())
    size = draw(st.integers(4, size_max))
    frames = draw(markets(command, size))
    shorts = any(each.kind == "perpetual" for each in command.market.instruments)
    flat = draw(st.lists(entries(shorts=shorts), min_size=1, max_size=4))
    held = draw(st.lists(leavings(), max_size=3))
    chances = draw(st.binary(min_size=2 * size, max_size=2 * size))
    places = st.integers(0, size)
    spoken = draw(st.lists(st.tuples(places, commands(command, size)), max_size=6))
    if draw(st.integers(0, 3)) == 3:
        spoken.append((draw(st.integers(size // 2, size - 1)), StopBot()))
    events = list[Frame | BotCommand]()
    for number, frame in enumerate(frames):
        events.extend(said for place, said in spoken if place == number)
        events.append(frame)
    return Script(command, planned(frames, chances, flat, held), events)
