"""Endpoints that everyone may ask: instruments, prices, books, candles, funding."""

from collections.abc import Mapping, Sequence

from oxbot.exchange.model import Instrument
from oxbot.exchange.rest import INST_TYPES, OTHER_TYPES, Ask, Endpoint, inst_type, limit
from oxbot.exchange.rows import (
    bar_row,
    book_row,
    funding_row,
    instrument_row,
    paid_funding_row,
    ticker_row,
    trade_row,
)
from oxbot.exchange.wire import ApiError, Params, Reply, Row, say

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
MONDAY_MS = 4 * DAY_MS
"""The first Monday after the epoch, from which weeks are counted."""
EAST_MS = -8 * HOUR_MS
"""Bars of six hours and more without "utc" in their name begin by Hong Kong's clock."""

_SHORT: Mapping[str, int] = {
    **{f"{count}m": count * MINUTE_MS for count in (1, 3, 5, 15, 30)},
    **{f"{count}H": count * HOUR_MS for count in (1, 2, 4)},
}
_LONG: Mapping[str, int] = {
    "6H": 6 * HOUR_MS,
    "12H": 12 * HOUR_MS,
    "1D": DAY_MS,
    "2D": 2 * DAY_MS,
    "3D": 3 * DAY_MS,
    "1W": 7 * DAY_MS,
}

BARS: Mapping[str, tuple[int, int]] = {
    **{name: (length, 0) for name, length in _SHORT.items()},
    **{name: (length, EAST_MS + (MONDAY_MS if name == "1W" else 0)) for name, length in _LONG.items()},
    **{f"{name}utc": (length, MONDAY_MS if name == "1W" else 0) for name, length in _LONG.items()},
}
"""Length and offset by OKX's name of the bar. Months are not kept."""


def instrument(ask: Ask) -> Instrument:
    """The instrument that is asked for; 51001 if there is none."""
    name = ask.params.needed("instId")
    found = ask.exchange.instrument(name)
    if found is None:
        raise ApiError("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
    return found


def _time(ask: Ask) -> Reply:
    return Reply([{"ts": str(ask.server_ms)}])


def _status(ask: Ask) -> Reply:
    del ask
    return Reply([])


def _instruments(ask: Ask) -> Reply:
    kind = ask.params.one_of("instType", (*INST_TYPES, *OTHER_TYPES))
    wanted = ask.params.text("instId")
    found = [row for row in ask.exchange.instruments() if row.inst_type == kind and wanted in ("", row.inst_id)]
    if wanted and not found:
        raise ApiError("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
    return Reply([instrument_row(row) for row in found])


def _ticker(ask: Ask) -> Reply:
    ticker = ask.exchange.ticker(instrument(ask).inst_id)
    return Reply([] if ticker is None else [ticker_row(ticker)])


def _tickers(ask: Ask) -> Reply:
    kind = ask.params.one_of("instType", (*INST_TYPES, *OTHER_TYPES))
    found = [ask.exchange.ticker(row.inst_id) for row in ask.exchange.instruments() if row.inst_type == kind]
    return Reply([ticker_row(ticker) for ticker in found if ticker is not None])


def _books(ask: Ask) -> Reply:
    levels = ask.params.whole("sz") or 1
    if not 1 <= levels <= 400:  # noqa: PLR2004 - as OKX says
        raise ApiError("51000", "Parameter sz error")
    book = ask.exchange.book(instrument(ask).inst_id, levels)
    return Reply([] if book is None else [book_row(book)])


def _trades(ask: Ask) -> Reply:
    return Reply([trade_row(trade) for trade in ask.exchange.trades(instrument(ask).inst_id, ask.params.limit(500))])


def bar_length(name: str) -> tuple[int, int]:
    """Length and offset in ms; 51000 for a bar that is not kept."""
    try:
        return BARS[name]
    except KeyError:
        raise ApiError("51000", "Parameter bar error") from None


def _bars(ask: Ask, maximum: int) -> Sequence[Sequence[str]]:
    of = instrument(ask)
    length, offset = bar_length(ask.params.text("bar", "1m"))
    found = ask.exchange.bars(
        of.inst_id,
        length,
        before=ask.params.whole("before"),
        after=ask.params.whole("after"),
        limit=ask.params.limit(maximum),
        offset_ms=offset,
    )
    return [bar_row(bar, of) for bar in found]


def _candles(ask: Ask) -> Reply:
    return Reply(_bars(ask, 300))


def _history_candles(ask: Ask) -> Reply:
    """Only closed ones."""
    return Reply([row for row in _bars(ask, 300) if row[-1] == "1"])


def _mark_candles(ask: Ask) -> Reply:
    return Reply([[*row[:5], row[-1]] for row in _bars(ask, 100)])


def _mark_price(ask: Ask) -> Reply:
    kind = ask.params.text("instType")
    wanted = ask.params.text("instId")
    found = [
        row
        for row in ask.exchange.instruments()
        if kind in ("", row.inst_type) and wanted in ("", row.inst_id) and row.inst_type == "SWAP"
    ]
    priced = [(row, ask.exchange.mark_price(row.inst_id)) for row in found]
    return Reply([mark_row(row, say(price), ask.now) for row, price in priced if price is not None])


def mark_row(of: Instrument, price: str, at: int) -> Row:
    """As /public/mark-price and the channel mark-price show it."""
    return {"instType": of.inst_type, "instId": of.inst_id, "markPx": price, "ts": str(at)}


def _funding_rate(ask: Ask) -> Reply:
    if ask.params.text("instId") == "ANY":
        names = [row.inst_id for row in ask.exchange.instruments("SWAP")]
    else:
        names = [_swap(ask).inst_id]
    rates = [ask.exchange.funding_rate(name) for name in names]
    return Reply([funding_row(rate) for rate in rates if rate is not None])


def _funding_history(ask: Ask) -> Reply:
    before, after = ask.params.whole("before"), ask.params.whole("after")
    paid = [
        rate
        for rate in ask.exchange.funding_history(_swap(ask).inst_id, limit=1_000_000)
        if (before is None or rate.funding_time > before) and (after is None or rate.funding_time < after)
    ]
    return Reply([paid_funding_row(rate) for rate in paid[: ask.params.limit(400)]])


def _swap(ask: Ask) -> Instrument:
    found = instrument(ask)
    if found.inst_type != "SWAP":
        raise ApiError("51000", "Parameter instId error")
    return found


def _price_limit(ask: Ask) -> Reply:
    of = instrument(ask)
    price = ask.exchange.mark_price(of.inst_id)
    if price is None:
        return Reply([])
    row: Row = {
        "instType": of.inst_type,
        "instId": of.inst_id,
        "buyLmt": say(price * 2 // of.tick * of.tick),
        "sellLmt": say(max(of.tick, price / 2 // of.tick * of.tick)),
        "ts": str(ask.now),
        "enabled": True,
    }
    return Reply([row])


def _position_tiers(ask: Ask) -> Reply:
    """One tier for everything."""
    kind = inst_type(ask.params, needed=True)
    family = ask.params.text("instFamily") or ask.params.text("uly")
    found = [row for row in ask.exchange.instruments(kind) if f"{row.base}-{row.quote}" in family.split(",")]
    return Reply([_tier_row(row) for row in found])


def _tier_row(of: Instrument) -> Row:
    return {
        "instFamily": f"{of.base}-{of.quote}",
        "uly": f"{of.base}-{of.quote}",
        "instId": of.inst_id,
        "tier": "1",
        "minSz": "0",
        "maxSz": say(of.max_limit),
        "mmr": say(of.maintenance_rate),
        "imr": say(1 / of.leverage_max),
        "maxLever": say(of.leverage_max),
        "optMgnFactor": "0",
        "quoteMaxLoan": "",
        "baseMaxLoan": "",
    }


ENDPOINTS: Sequence[Endpoint] = (
    Endpoint("GET", "public/time", _time, limit("time", 10, "ip")),
    Endpoint("GET", "system/status", _status, limit("status", 1, "ip", window_ms=5000)),
    Endpoint("GET", "public/instruments", _instruments, limit("instruments", 20, "ip")),
    Endpoint("GET", "market/ticker", _ticker, limit("ticker", 20, "ip")),
    Endpoint("GET", "market/tickers", _tickers, limit("tickers", 20, "ip")),
    Endpoint("GET", "market/books", _books, limit("books", 40, "ip")),
    Endpoint("GET", "market/trades", _trades, limit("trades", 100, "ip")),
    Endpoint("GET", "market/candles", _candles, limit("candles", 40, "ip")),
    Endpoint("GET", "market/history-candles", _history_candles, limit("history-candles", 20, "ip")),
    Endpoint("GET", "market/mark-price-candles", _mark_candles, limit("mark-price-candles", 20, "ip")),
    Endpoint("GET", "public/mark-price", _mark_price, limit("mark-price", 10, "ip+inst")),
    Endpoint("GET", "public/funding-rate", _funding_rate, limit("funding-rate", 10, "ip+inst")),
    Endpoint("GET", "public/funding-rate-history", _funding_history, limit("funding-rate-history", 10, "ip+inst")),
    Endpoint("GET", "public/price-limit", _price_limit, limit("price-limit", 20, "ip")),
    Endpoint("GET", "public/position-tiers", _position_tiers, limit("position-tiers", 10, "ip")),
)


def params_of(values: Mapping[str, str]) -> Params:
    """The parameters of a GET."""
    return Params(dict(values))
