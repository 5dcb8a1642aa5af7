"""Candles over real ccxt.pro from the local exchange: closed ones only, exact, and none missed through an outage."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import time

import pytest

from events.codec import Codec
from events.identifiers import Symbol, VenueName, venue_stream
from events.memory import MemoryEventLog
from oxbot.adapters.ccxt_candles import CcxtCandleSource, open_candles
from oxbot.adapters.ccxt_instruments import instruments
from oxbot.adapters.ccxt_urls import VenueAddresses
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.app.clock import SystemClock
from oxbot.app.feed import FeedRequest
from oxbot.app.live_market import LiveVenueMarket
from oxbot.app.live_market_source import CandleClosed, CandlesConnected, SourceRefused, SourceUnavailable
from oxbot.app.live_market_time import LiveTiming
from oxbot.core.candles import Candle, Series
from tests.app.fakes import at_work
from tests.exchange.running import Candles, Venue, exchange_inside

pytestmark = pytest.mark.anyio

SPOT, SWAP = Symbol("BTC/USDT"), Symbol("BTC/USDT:USDT")
NAME = VenueName("okx")
MINUTE = timedelta(minutes=1)
PAST = 700
ROWS = [(f"{50000 + n}.1", f"{50002 + n}", f"{49998 + n}", f"{50001 + n}", f"{n + 1}") for n in range(PAST + 60)]
SPEED = 60.0
"""A candle closes every second."""


def begins_at(seconds: float = 0.0) -> datetime:
    """Where the candles begin so that ``PAST`` of them have closed by now."""
    now = int(time() - seconds) // 60 * 60
    return datetime.fromtimestamp(now, UTC) - PAST * MINUTE


def expected(symbol: Symbol, beginning: datetime, number: int) -> Candle:
    """The candle as the exchange shows it; contracts of a hundredth, so that the same row is less of the coin."""
    opened, high, low, closed, volume = map(Decimal, ROWS[number])
    share = Decimal("0.01") if symbol == SWAP else Decimal(1)
    return Candle(beginning + number * MINUTE, opened, high, low, closed, volume * share)


@asynccontextmanager
async def source_of(venue: Venue, *symbols: Symbol, timeframe: str = "1m") -> AsyncIterator[CcxtCandleSource]:
    """ccxt.pro pointed at the exchange; its market's clock is told by its ticker."""
    addresses = VenueAddresses(rest=venue.rest_url, ws=venue.ws_url.removesuffix("/ws/v5"))
    async with open_candles(
        "okx", symbols=symbols, timeframe=timeframe, clock=SystemClock(), addresses=addresses, clock_of="ticker"
    ) as source:
        await source.load()
        yield source


@asynccontextmanager
async def running(home: Path, beginning: datetime, *, speed: float = 0.0) -> AsyncIterator[Venue]:
    """An exchange at which ``PAST`` candles have closed and the next has just begun."""
    start = beginning + PAST * MINUTE
    async with exchange_inside(
        home, candles=Candles(beginning, ROWS), start_ms=int(start.timestamp() * 1000), speed=speed
    ) as venue:
        yield venue


async def until(condition: Callable[[], bool], *, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


async def test_pages_of_the_past_are_exact_and_hold_only_closed_candles(tmp_path: Path) -> None:
    beginning = begins_at()
    async with running(tmp_path, beginning) as venue, source_of(venue, SPOT, SWAP) as source:
        for symbol in (SPOT, SWAP):
            page = await source.history(symbol, begins_at=beginning, ends_before=beginning + (PAST + 9) * MINUTE)
            assert list(page) == [expected(symbol, beginning, number) for number in range(source.page)]
            late = await source.history(
                symbol, begins_at=beginning + (PAST - 2) * MINUTE, ends_before=beginning + (PAST + 9) * MINUTE
            )
            assert [one.open_time for one in late] == [beginning + number * MINUTE for number in (PAST - 2, PAST - 1)]
        assert await source.history(SPOT, begins_at=beginning - 400 * MINUTE, ends_before=beginning - MINUTE) == []


async def test_numbers_keep_their_last_digit(tmp_path: Path) -> None:
    beginning = begins_at()
    async with running(tmp_path, beginning) as venue, source_of(venue, SPOT) as source:
        page = await source.history(SPOT, begins_at=beginning, ends_before=beginning + MINUTE)
    assert [str(value) for value in (page[0].open, page[0].close, page[0].volume)] == ["50000.1", "50001", "1"]


async def test_long_candles_open_at_midnight_in_utc(tmp_path: Path) -> None:
    beginning = datetime(2026, 3, 2, tzinfo=UTC)
    async with running(tmp_path, beginning) as venue, source_of(venue, SPOT, timeframe="6h") as source:
        page = await source.history(SPOT, begins_at=beginning, ends_before=beginning + timedelta(days=1))
        await venue.admin.delete("/requests")
        async with aclosing(source.pushes()) as pushes:
            following = asyncio.ensure_future(anext(pushes))
            await until(lambda: bool(venue.running.hub.sessions), seconds=5)
            await asyncio.sleep(0.5)
            sockets = await venue.admin.get("/sockets")
            following.cancel()
            await asyncio.wait([following])
    assert [one.open_time for one in page] == [beginning]
    assert (page[0].open, page[0].close) == (Decimal("50000.1"), Decimal(50360))
    assert sockets[0]["subscriptions"] == [{"channel": "candle6Hutc", "instId": "BTC-USDT"}]


async def test_closed_candles_are_pushed_once_final_and_exact(tmp_path: Path) -> None:
    beginning = begins_at()
    closed: list[CandleClosed] = []
    async with (
        asyncio.timeout(30),
        running(tmp_path, beginning, speed=SPEED) as venue,
        source_of(venue, SPOT, SWAP) as source,
        aclosing(source.pushes()) as pushes,
    ):
        async for push in pushes:
            if isinstance(push, CandleClosed):
                closed.append(push)
            if len(closed) == 4:
                break
    for symbol in (SPOT, SWAP):
        candles = [push.candle for push in closed if push.symbol == symbol]
        assert candles == [expected(symbol, beginning, number) for number in range(PAST, PAST + len(candles))]


async def test_a_kicked_subscription_comes_back(tmp_path: Path) -> None:
    connected = 0
    async with (
        asyncio.timeout(30),
        running(tmp_path, begins_at(), speed=SPEED) as venue,
        source_of(venue, SPOT) as source,
        aclosing(source.pushes()) as pushes,
    ):
        async for push in pushes:
            if isinstance(push, CandlesConnected):
                connected += 1
                if connected == 2:
                    break
                await venue.admin.post("/sockets/kick")
    assert connected == 2


async def test_what_the_venue_has_not_is_refused_in_words(tmp_path: Path) -> None:
    async with running(tmp_path, begins_at()) as venue:
        with pytest.raises(SourceRefused, match="okx has no NO/USDT"):
            async with source_of(venue, Symbol("NO/USDT")):
                pass
        with pytest.raises(SourceRefused, match="okx has no candles of 7m; there is 1m, 3m"):
            async with source_of(venue, SPOT, timeframe="7m"):
                pass


@pytest.mark.parametrize("fault", ["http", "html", "drop", "truncate", "code"])
async def test_answers_that_are_none_are_told_apart_from_refusals(tmp_path: Path, fault: str) -> None:
    beginning = begins_at()
    async with running(tmp_path, beginning) as venue, source_of(venue, SPOT) as source:
        more = {"status": 503} if fault == "http" else {}
        await venue.admin.post("/faults", kind=fault, endpoint="*candles*", count=None, **more)
        with pytest.raises(SourceUnavailable):
            await source.history(SPOT, begins_at=beginning, ends_before=beginning + MINUTE)


async def test_instruments_say_the_venues_steps(tmp_path: Path) -> None:
    async with running(tmp_path, begins_at()) as venue, source_of(venue, SPOT) as source:
        spot, swap = instruments(source.markets(), [SWAP, SPOT])
    assert (spot.kind, spot.tick, spot.lot, spot.contract_size) == (
        "spot",
        Decimal("0.1"),
        Decimal("0.00001"),
        Decimal(1),
    )
    assert (swap.kind, swap.tick, swap.lot, swap.contract_size) == (
        "perpetual",
        Decimal("0.1"),
        Decimal("0.0001"),
        Decimal("0.01"),
    )
    assert swap.leverage_max > 1


class Live:
    """A live market over the exchange, candles of a minute that take a second."""

    def __init__(self, source: CcxtCandleSource, beginning: datetime) -> None:
        self.store = MemoryCandleStore()
        self.log = MemoryEventLog(Codec())
        self.beginning = beginning + PAST * MINUTE
        self.market = LiveVenueMarket(
            source,
            venue=NAME,
            timeframe="1m",
            symbols=(SPOT, SWAP),
            begins_at=self.beginning,
            store=self.store,
            log=self.log,
            clock=SystemClock(),
            timing=LiveTiming(
                speed=SPEED, ask_after=30, stale_after=60, give_up_after=600, late_after=120, retry_least=0.2,
                retry_most=1.0, time_every=1.0,
            ),
        )  # fmt: skip

    def candles(self) -> int:
        """How many have gone out."""
        head = self.market.progress().head
        return 0 if head is None else (head - self.beginning) // MINUTE + 1

    async def stored(self, symbol: Symbol) -> list[Candle]:
        return await self.store.read(
            Series(NAME, symbol, "1m"), begins_at=self.beginning, ends_before=self.beginning + 60 * MINUTE
        )

    async def kinds(self) -> set[str]:
        return {type(event.fact).__name__ for event in await self.log.read_stream(venue_stream(NAME))}


async def test_an_outage_of_three_candles_costs_none_of_them(tmp_path: Path) -> None:
    beginning = begins_at()
    async with running(tmp_path, beginning, speed=SPEED) as venue, source_of(venue, SPOT, SWAP) as source:
        live = Live(source, beginning)
        async with at_work(live.market.run()):
            await until(lambda: live.candles() >= 2, seconds=20)
            await venue.admin.post("/outage", seconds=3)
            before = live.candles()
            await until(lambda: live.candles() >= before + 6, seconds=40)
        for symbol in (SPOT, SWAP):
            stored = await live.stored(symbol)
            assert len(stored) >= before + 6
            assert stored == [expected(symbol, beginning, PAST + number) for number in range(len(stored))]
        assert await live.kinds() == {"MarketStale", "MarketRecovered"}


async def test_a_muted_subscription_is_made_up_for_by_questions(tmp_path: Path) -> None:
    beginning = begins_at()
    async with running(tmp_path, beginning, speed=SPEED) as venue, source_of(venue, SPOT, SWAP) as source:
        live = Live(source, beginning)
        async with at_work(live.market.run()):
            await until(lambda: live.candles() >= 1, seconds=20)
            await venue.admin.post("/sockets/mute", seconds=60)
            before = live.candles()
            await until(lambda: live.candles() >= before + 3, seconds=20)
        stored = await live.stored(SPOT)
    assert stored == [expected(SPOT, beginning, PAST + number) for number in range(len(stored))]


async def test_two_hundred_followers_cost_the_venue_what_one_does(tmp_path: Path) -> None:
    one, many = await asyncio.gather(asked_by(tmp_path / "one", 1), asked_by(tmp_path / "many", 200))
    assert one == many


async def asked_by(home: Path, followers: int) -> dict[str, int]:
    """How often a venue of their own was asked for candles while so many followed them."""
    beginning = begins_at()
    async with running(home, beginning, speed=SPEED) as venue, source_of(venue, SPOT, SWAP) as source:
        live = Live(source, beginning)
        async with at_work(live.market.run()), asyncio.TaskGroup() as group:
            await venue.admin.delete("/requests")
            for number in range(followers):
                group.create_task(follow(live, f"f{number}", 4))
        report = await venue.admin.get("/requests")
        sockets = await venue.admin.get("/sockets")
    assert [len(socket["subscriptions"]) for socket in sockets] == [2]
    return {name: count for name, count in report["requests"].items() if "candles" in name}


async def follow(live: Live, name: str, count: int) -> None:
    """Ask until so many frames have come."""
    cursor = live.beginning - MINUTE
    while count > 0:
        reply = await live.market.after(FeedRequest(follower=name, cursor=cursor, symbols=(SPOT, SWAP)))
        count -= len(reply.frames)
        cursor = reply.frames[-1].open_time if reply.frames else cursor
