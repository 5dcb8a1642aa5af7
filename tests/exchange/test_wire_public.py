"""What everyone may ask of the local exchange, through unmodified ccxt: markets, prices, candles, funding."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.exchange.clients import SPOT, SWAP, picked, rest_client
from tests.exchange.running import LIVE, Candles, Venue, exchange_inside

pytestmark = pytest.mark.anyio

BEGINS_AT = datetime(2026, 3, 2, tzinfo=UTC)
BEGIN_MS = int(BEGINS_AT.timestamp() * 1000)
MINUTE_MS = 60_000
PAST = 700


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    """Prices stand still."""
    async with exchange_inside(tmp_path, frozen=True) as venue:
        yield venue


@pytest.fixture
async def with_history(tmp_path: Path) -> AsyncIterator[Venue]:
    """700 candles have closed, the next has just begun; minute n opens at 50000 + n and closes at 50001 + n."""
    rows = [(f"{50000 + n}", f"{50002 + n}", f"{49998 + n}", f"{50001 + n}", f"{n + 1}") for n in range(PAST + 20)]
    async with exchange_inside(
        tmp_path, candles=Candles(BEGINS_AT, rows), frozen=True, start_ms=BEGIN_MS + PAST * MINUTE_MS
    ) as venue:
        yield venue


async def test_markets_have_their_steps_and_contracts(venue: Venue) -> None:
    async with rest_client(venue) as client:
        markets = await client.load_markets()
    assert sorted(markets) == ["BTC/USDT", "BTC/USDT:USDT", "ETH/USDT", "ETH/USDT:USDT"]
    assert picked(markets[SPOT], "id", "type", "active", "precision", "contract") == {
        "id": "BTC-USDT",
        "type": "spot",
        "active": True,
        "precision": {"amount": "0.00001", "price": "0.1"},
        "contract": False,
    }
    assert picked(markets[SWAP], "id", "linear", "contractSize", "settle") == {
        "id": "BTC-USDT-SWAP",
        "linear": True,
        "contractSize": "0.01",
        "settle": "USDT",
    }
    assert markets[SWAP]["limits"]["amount"]["min"] == "0.01"


async def test_markets_of_all_types_load_without_options(venue: Venue) -> None:
    async with rest_client(venue, LIVE, options={}) as client:
        assert len(await client.load_markets()) == 4
        assert client.currencies["ETH"]["info"][0]["chain"] == "ETH-Local"


async def test_time_is_the_servers_with_its_skew(venue: Venue) -> None:
    async with rest_client(venue) as client:
        assert abs(await client.fetch_time() - time.time() * 1000) < 2000
        await venue.admin.post("/clock", skew_ms=-20_000)
        assert abs(await client.fetch_time() + 20_000 - time.time() * 1000) < 2000


async def test_status_is_ok(venue: Venue) -> None:
    async with rest_client(venue) as client:
        assert (await client.fetch_status())["status"] == "ok"


async def test_ticker_shows_the_price_that_was_set(venue: Venue) -> None:
    await venue.admin.price("BTC-USDT", "51000.5")
    async with rest_client(venue) as client:
        ticker = await client.fetch_ticker(SPOT)
        every = await client.fetch_tickers([SPOT, "ETH/USDT"])
    assert picked(ticker, "last", "bid", "ask", "high", "low") == {
        "last": "51000.5",
        "bid": "51000.5",
        "ask": "51000.6",
        "high": "51000.5",
        "low": "50000",
    }
    assert {symbol: row["last"] for symbol, row in every.items()} == {SPOT: "51000.5", "ETH/USDT": "2500"}


async def test_order_book_has_as_many_levels_as_asked_for_and_a_gap_of_one_tick(venue: Venue) -> None:
    async with rest_client(venue) as client:
        book = await client.fetch_order_book(SPOT, 20)
    assert (len(book["bids"]), len(book["asks"])) == (20, 20)
    assert (book["bids"][0][0], book["asks"][0][0]) == (50000.0, 50000.1)
    assert book["bids"] == sorted(book["bids"], reverse=True)


async def test_trades_are_the_steps_of_the_price(venue: Venue) -> None:
    await venue.admin.post("/price", instrument="BTC-USDT", price="50100", volume="0.5")
    async with rest_client(venue) as client:
        trades = await client.fetch_trades(SPOT, limit=5)
    assert picked(trades[-1], "price", "amount") == {"price": "50100", "amount": "0.5"}


async def test_candles_are_whole_and_newest_is_forming(with_history: Venue) -> None:
    async with rest_client(with_history) as client:
        candles = await client.fetch_ohlcv(SPOT, "1m", limit=300)
    assert len(candles) == 300
    last_closed = PAST - 1
    assert [row[0] for row in candles] == [BEGIN_MS + (PAST - 299 + n) * MINUTE_MS for n in range(300)]
    assert candles[-2][1:] == [
        f"{50000 + last_closed}",
        f"{50002 + last_closed}",
        f"{49998 + last_closed}",
        f"{50001 + last_closed}",
        f"{last_closed + 1}",
    ]
    assert candles[-1][1] == f"{50000 + PAST}"


@pytest.mark.parametrize(("limit", "rows"), [(None, 100), (1, 1), (300, 300), (1000, 300)])
async def test_no_more_than_300_candles_at_a_time(with_history: Venue, limit: int | None, rows: int) -> None:
    async with rest_client(with_history) as client:
        assert len(await client.fetch_ohlcv(SPOT, "1m", limit=limit)) == rows


async def test_candles_since_a_moment_are_paged_to_the_present_without_gap(with_history: Venue) -> None:
    async with rest_client(with_history) as client:
        since, found = BEGIN_MS, []
        while page := await client.fetch_ohlcv(SPOT, "1m", since=since, limit=300):
            found += page
            since = page[-1][0] + MINUTE_MS
    closed = [row[0] for row in found if row[0] < BEGIN_MS + PAST * MINUTE_MS]
    assert closed == [BEGIN_MS + n * MINUTE_MS for n in range(PAST)]


async def test_longer_candles_are_made_of_the_minutes(with_history: Venue) -> None:
    async with rest_client(with_history) as client:
        five = await client.fetch_ohlcv(SPOT, "5m", since=BEGIN_MS, limit=2)
        hours = await client.fetch_ohlcv(SPOT, "1h", since=BEGIN_MS, limit=1)
        day = await client.fetch_ohlcv(SPOT, "1d", limit=5)
    assert five[0] == [BEGIN_MS, "50000", "50006", "49998", "50005", "15"]
    assert hours[0][:5] == [BEGIN_MS, "50000", "50061", "49998", "50060"]
    assert day[0][0] == BEGIN_MS


async def test_closing_a_candle_is_confirmed_when_its_time_is_over(with_history: Venue) -> None:
    async with rest_client(with_history) as client:
        before = (await client.public_get_market_candles({"instId": "BTC-USDT", "limit": "1"}))["data"][0]
        await with_history.admin.post("/clock", advance_ms=MINUTE_MS)
        after = (await client.public_get_market_candles({"instId": "BTC-USDT", "limit": "2"}))["data"]
    assert before[8] == "0"
    assert [row[8] for row in after] == ["0", "1"]
    assert after[1][:5] == [
        str(BEGIN_MS + PAST * MINUTE_MS),
        *(str(price) for price in (50000 + PAST, 50002 + PAST, 49998 + PAST, 50001 + PAST)),
    ]


async def test_funding_is_paid_at_its_marks_and_kept(tmp_path: Path) -> None:
    async with exchange_inside(tmp_path, frozen=True, start_ms=BEGIN_MS) as venue, rest_client(venue) as client:
        await venue.admin.post("/funding", instrument="BTC-USDT-SWAP", rate="0.0003")
        rate = await client.fetch_funding_rate(SWAP)
        await venue.admin.post("/clock", advance_ms=8 * 3_600_000)
        paid = await client.fetch_funding_rate_history(SWAP)
    assert picked(rate, "fundingRate", "fundingTimestamp", "nextFundingTimestamp", "interval") == {
        "fundingRate": "0.0003",
        "fundingTimestamp": BEGIN_MS + 8 * 3_600_000,
        "nextFundingTimestamp": BEGIN_MS + 16 * 3_600_000,
        "interval": "8h",
    }
    assert [picked(row, "fundingRate", "timestamp") for row in paid] == [
        {"fundingRate": "0.0003", "timestamp": BEGIN_MS + 8 * 3_600_000}
    ]


async def test_mark_price_is_the_last(venue: Venue) -> None:
    await venue.admin.price("BTC-USDT-SWAP", "50123.4")
    async with rest_client(venue) as client:
        assert (await client.fetch_mark_price(SWAP))["markPrice"] == "50123.4"


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("market/ticker", {"instId": "NO-SUCH"}, "51001"),
        ("market/ticker", {}, "50014"),
        ("market/candles", {"instId": "BTC-USDT", "bar": "7m"}, "51000"),
        ("market/candles", {"instId": "BTC-USDT", "limit": "x"}, "51000"),
        ("market/books", {"instId": "BTC-USDT", "sz": "401"}, "51000"),
        ("public/instruments", {}, "50014"),
        ("public/instruments", {"instType": "BONDS"}, "51000"),
        ("public/funding-rate", {"instId": "BTC-USDT"}, "51000"),
    ],
)
async def test_wrong_parameters_are_refused_with_their_code(
    venue: Venue, path: str, params: dict[str, str], code: str
) -> None:
    async with rest_client(venue) as client:
        with pytest.raises(Exception, match=f'"code":"{code}"'):
            await client.request(path, ["public"], "GET", params)


async def test_an_unknown_path_is_a_page_that_says_so(venue: Venue) -> None:
    async with rest_client(venue) as client:
        with pytest.raises(Exception, match="404 Not Found"):
            await client.request("market/no-such", ["public"], "GET", {})
