"""A venue's market as its process opens it: real ccxt.pro, real Postgres, the market's own role and one connection."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import time

import asyncpg
import msgspec
import pytest

from events.codec import Codec
from events.identifiers import Symbol, VenueName, venue_stream
from events.postgres import PostgresEventLog
from events.venue import MarketRecovered, MarketStale
from oxbot.adapters.ccxt_urls import VenueAddresses
from oxbot.adapters.postgres_candles import PostgresCandleStore
from oxbot.app.feed import FeedRequest
from oxbot.app.live_market_time import LiveTiming
from oxbot.app.market_runner import Market
from oxbot.config import Secret
from oxbot.core.candles import Frame, Series
from oxbot.wiring.market import MarketPlan, VenueMarket, open_market
from oxbot.wiring.stores import Database
from tests.app.fakes import at_work
from tests.exchange.running import Candles, exchange_inside

pytestmark = pytest.mark.anyio

SYMBOLS = (Symbol("BTC/USDT"), Symbol("BTC/USDT:USDT"))
NAME = VenueName("okx-here")
MINUTE = timedelta(minutes=1)
SPEED = 60.0
TIMING = LiveTiming(speed=SPEED, ask_after=30, stale_after=60, late_after=600, retry_least=0.2, time_every=1.0)


async def followed(market: Market, cursor: datetime, count: int) -> list[Frame]:
    """So many frames after the cursor."""
    frames: list[Frame] = []
    async with asyncio.timeout(60):
        while len(frames) < count:
            reply = await market.after(FeedRequest(follower="f", cursor=cursor, symbols=SYMBOLS))
            frames += reply.frames
            cursor = frames[-1].open_time if frames else cursor
    return frames


async def test_candles_and_incidents_reach_the_store_and_the_log_under_the_markets_own_role(
    tmp_path: Path, database: str, pool: asyncpg.Pool
) -> None:
    beginning = datetime.fromtimestamp(int(time()) // 60 * 60, UTC)
    rows = [(f"{50000 + n}", f"{50002 + n}", f"{49998 + n}", f"{50001 + n}", "1") for n in range(60)]
    start = int(beginning.timestamp() * 1000)
    async with exchange_inside(tmp_path, candles=Candles(beginning, rows), start_ms=start, speed=SPEED) as venue:
        plan = VenueMarket(
            venue="okx",
            stored_as=NAME,
            timeframe="1m",
            symbols=SYMBOLS,
            begins_at=beginning,
            addresses=VenueAddresses(rest=venue.rest_url, ws=venue.ws_url.removesuffix("/ws/v5")),
            clock_of="ticker",
            timing=TIMING,
        )
        instruments = await plan.read_instruments()
        decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=MarketPlan)
        async with open_market(decoded, Database(dsn=Secret(database))) as market, at_work(market.run()):
            frames = await followed(market, beginning - MINUTE, 2)
            await venue.admin.post("/outage", seconds=3)
            frames += await followed(market, frames[-1].open_time, 4)

    assert [one.symbol for one in instruments] == list(SYMBOLS)
    assert [frame.open_time for frame in frames] == [beginning + number * MINUTE for number in range(len(frames))]
    store = PostgresCandleStore(pool)
    for symbol in SYMBOLS:
        candles = await store.read(
            Series(NAME, symbol, "1m"), begins_at=beginning, ends_before=frames[-1].open_time + MINUTE
        )
        assert [one.close for one in candles] == [Decimal(50001 + number) for number in range(len(frames))]
    facts = [event.fact for event in await PostgresEventLog(pool, Codec()).read_stream(venue_stream(NAME))]
    assert {type(fact) for fact in facts} == {MarketStale, MarketRecovered}
