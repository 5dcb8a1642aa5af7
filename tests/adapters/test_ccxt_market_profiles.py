"""What each venue pushes of its candles, read exactly; what of its symbols can be traded, and in which steps."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from events.identifiers import Symbol
from oxbot.adapters.candle_profiles import PushedCandle, candle_profile
from oxbot.adapters.ccxt_instruments import instruments
from oxbot.app.live_market_source import SourceRefused
from oxbot.core.candles import Candle

OPENED = datetime(2023, 10, 4, 16, 25, tzinfo=UTC)
MILLISECONDS = int(OPENED.timestamp() * 1000)
PRICES = ("31334.10", "31340", "31330", "31335.00000000")
CANDLE = Candle(OPENED, *(Decimal(text) for text in (*PRICES, "0.0077")))
BINANCE_ROW = {"t": MILLISECONDS, "s": "BTCUSDT", "i": "5m", **dict(zip("ohlcv", (*PRICES, "0.0077"), strict=True))}
BYBIT_ROW = {
    "start": MILLISECONDS,
    **dict(zip(("open", "high", "low", "close", "volume"), (*PRICES, "0.0077"), strict=True)),
}


def read(venue: str, message: Mapping[str, object], address: str = "") -> list[PushedCandle]:
    return list(candle_profile(venue).read(message, address))


@pytest.mark.parametrize(("flag", "closed"), [("1", True), ("0", False)])
def test_okx_says_which_candles_are_final_and_counts_contracts_in_coins(flag: str, closed: bool) -> None:
    spot = [str(MILLISECONDS), *PRICES, "0.0077", "241.27", "241.27", flag]
    swap = [str(MILLISECONDS), *PRICES, "77", "0.0077", "241.27", flag]
    for name, row in (("BTC-USDT", spot), ("BTC-USDT-SWAP", swap)):
        message = {"arg": {"channel": "candle5m", "instId": name}, "data": [row]}
        assert read("okx", message) == [PushedCandle(name, None, OPENED, CANDLE, closed)]


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize(
    ("address", "spot"), [("wss://stream.binance.com:9443/ws", True), ("wss://fstream.binance.com/ws", False)]
)
def test_binance_says_which_candles_are_final_and_the_address_of_what(address: str, spot: bool, closed: bool) -> None:
    message = {"e": "kline", "k": {**BINANCE_ROW, "x": closed}}
    assert read("binance", message, address) == [PushedCandle("BTCUSDT", spot, OPENED, CANDLE, closed)]


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("kind", ["spot", "linear"])
def test_bybit_says_which_candles_are_final_and_the_address_of_what(kind: str, closed: bool) -> None:
    message = {"topic": "kline.5.BTCUSDT", "data": [{**BYBIT_ROW, "confirm": closed}]}
    pushed = read("bybit", message, f"wss://stream.bybit.com/v5/public/{kind}")
    assert pushed == [PushedCandle("BTCUSDT", kind == "spot", OPENED, CANDLE, closed)]


def test_of_krakens_inexact_numbers_only_the_time_is_taken() -> None:
    row = {"symbol": "BTC/USD", "open": 0.1, "close": 0.3, "interval_begin": "2023-10-04T16:25:00.000000000Z"}
    assert read("kraken", {"channel": "ohlc", "data": [row]}) == [
        PushedCandle("BTC/USD", None, OPENED, None, closed=False)
    ]
    assert not candle_profile("kraken").flagged


@pytest.mark.parametrize("venue", ["okx", "binance", "bybit", "kraken"])
@pytest.mark.parametrize("message", [{}, {"data": None, "k": None}, {"arg": {}, "data": []}])
def test_what_is_no_candle_is_passed_over(venue: str, message: Mapping[str, object]) -> None:
    assert read(venue, message) == []


def test_a_candle_that_cannot_be_is_none() -> None:
    message = {"e": "kline", "k": {**BINANCE_ROW, "l": "99999", "x": True}}
    assert read("binance", message)[0].candle is None


def market(**changes: object) -> Mapping[str, object]:
    return {
        "spot": True,
        "active": True,
        "precision": {"price": "0.1", "amount": "0.00000001"},
        "limits": {"amount": {"min": "0.00001"}, "cost": {"min": "5"}, "leverage": {"max": None}},
        **changes,
    }


def test_a_spot_pairs_quantities_are_multiples_of_its_least() -> None:
    (found,) = instruments({"BTC/USDT": market()}, [Symbol("BTC/USDT")])
    assert (found.kind, found.tick, found.lot, found.minimum_notional, found.leverage_max, found.contract_size) == (
        "spot",
        Decimal("0.1"),
        Decimal("0.00001"),
        Decimal(5),
        Decimal(1),
        Decimal(1),
    )


def test_a_perpetuals_quantities_are_in_coins() -> None:
    swap = market(
        spot=False,
        swap=True,
        linear=True,
        contractSize="0.01",
        precision={"price": "0.1", "amount": "0.1"},
        limits={"amount": {"min": "0.1"}, "leverage": {"max": "100"}},
    )
    (found,) = instruments({"BTC/USDT:USDT": swap}, [Symbol("BTC/USDT:USDT")])
    assert (found.kind, found.lot, found.contract_size, found.leverage_max) == (
        "perpetual",
        Decimal("0.001"),
        Decimal("0.01"),
        Decimal(100),
    )
    assert found.maintenance_fraction > 0


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "has no X/USDT"),
        (market(spot=False), "neither a spot pair nor a linear perpetual"),
        (market(spot=False, swap=True, linear=False), "neither a spot pair nor a linear perpetual"),
        (market(active=False), "is not being traded"),
        (market(precision={"price": None, "amount": "1"}), "in which steps"),
    ],
)
def test_what_cannot_be_traded_is_refused_in_words(found: Mapping[str, object] | None, words: str) -> None:
    markets = {} if found is None else {"X/USDT": found}
    with pytest.raises(SourceRefused, match=words):
        instruments(markets, [Symbol("X/USDT")])
