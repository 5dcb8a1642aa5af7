"""That everything the dashboard shows has room: long names, many symbols and long numbers, at every width."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.page.installation import Installation
from tests.page.steps import assert_accessible, assert_fits, create_bot, panel, sign_in

WIDTHS = (1280, 1024, 768, 360)
LONG_NAME = "Momentum" * 25
SPACED_NAME = "a name of words " * 12
SYMBOLS = [f"{coin}/USDT" for coin in ("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "1000PEPE", "AVAX")]
PERPETUAL = "1000000MOGDOGE/USDT:USDT"
DECIMALS = "9894.257272985612345678"
LOSS = "-110.742727014412345678"
TINY = "0.000000000000012345"
OVERFLOWS = """() => [...document.querySelectorAll(".panel, .figures > div")].flatMap((card) => {
  const edge = card.getBoundingClientRect().right + 0.5;
  const beyond = [...card.querySelectorAll("*")].filter((one) => {
    const hidden = one.closest(".visually-hidden, thead, .plot, details:not([open]) > :not(summary)");
    return !hidden && one.getClientRects().length && one.getBoundingClientRect().right > edge;
  });
  return beyond.map((one) => `${card.textContent.slice(0, 12)}: ${one.outerHTML.slice(0, 99)}`);
})"""
CUT = """() => [...document.querySelectorAll("main *")].filter((one) =>
  getComputedStyle(one).overflowX !== "visible"
  && !one.closest(".visually-hidden, thead, .plot, input, select, progress")
  && one.scrollWidth > one.clientWidth + 1).map((one) => one.outerHTML.slice(0, 120))"""
HEADS = """() => [...document.querySelectorAll("main thead")]
  .filter((one) => getComputedStyle(one).position !== "absolute")
  .flatMap((one) => [...one.querySelectorAll("th")]).filter((one) =>
    one.getBoundingClientRect().right > one.closest(".panel").getBoundingClientRect().right)
  .map((one) => one.textContent)"""
BADGES = """(panel) => [...panel.querySelectorAll(".chip")].map((chip) => {
  const [inner, outer] = [chip.getBoundingClientRect(), panel.getBoundingClientRect()];
  return inner.width > 0 && outer.left <= inner.left && inner.right <= outer.right;
})"""


def fleet_line(name: str, **others: object) -> dict[str, object]:
    """A bot of the overview with all its digits."""
    line: dict[str, object] = {
        "bot_id": "0192" * 8, "name": name, "status": "running", "trading": "active", "failing_since": None,
        "error": "", "strategy": "mean_reversion", "symbols": SYMBOLS, "timeframe": "5m", "live": False,
        "quote": "USDT", "equity": DECIMALS, "pnl": LOSS, "total_return": "-0.0110742727014412",
        "max_drawdown": "0.0113", "open_positions": 8, "trades": 140,
    }  # fmt: skip
    return line | others


FLEET = {
    "items": [
        fleet_line("a2"),
        fleet_line(LONG_NAME, trading="reducing", open_positions=123),
        fleet_line(SPACED_NAME, equity="123456789.123456789012345678", pnl="-123456789.123456789012345678"),
        fleet_line("perpetual", symbols=[PERPETUAL, PERPETUAL], status="halted"),
        fleet_line("none", equity=None, pnl=None, total_return=None, max_drawdown=None),
    ]
}


def series(symbol: str, **others: object) -> dict[str, object]:
    """What is said of a symbol's candles."""
    line: dict[str, object] = {
        "symbol": symbol, "timeframe": "5m", "newest": "2024-01-07T13:25:00Z", "age_seconds": 91_324_800.0,
        "stale_since": None,
    }  # fmt: skip
    return line | others


VENUES = {
    "items": [
        {"venue": "synthetic-2e211b65f2a6", "clock": "own", "incidents": 0, "open": [],
         "series": [series(symbol, age_seconds=None) for symbol in SYMBOLS]},
        {"venue": "okx", "clock": "ours", "incidents": 0, "open": [],
         "series": [series(PERPETUAL, age_seconds=7200.0, stale_since="2026-11-24T04:00:00Z"),
                    series("BTC/USDT", age_seconds=-3600.0)]},
    ]
}  # fmt: skip
MODELS = {
    "items": [
        {"model": "provider/" + "m" * 100, "calls": 12345, "cost": "1234.567890123456789012", "closed": [],
         "last_called_at": "2026-11-24T04:00:00Z"},
    ],
    "next": None,
}  # fmt: skip
ACCOUNTS = {
    "items": [
        {"account": "a" * 64, "venue": "okx", "armed_until": "2026-11-24T04:00:00Z",
         "obstacles": ["it has no keys", "x" * 200]},
    ],
    "next": None,
}  # fmt: skip
ALERTS = {
    "items": [
        {"position": 7, "rule": "feed_late", "level": "failure", "subject": "s" * 120, "bot_id": None, "until": None,
         "words": "w" * 200, "since": "2026-11-24T04:00:00Z", "value": None, "threshold": None, "audience": ""},
    ],
    "next": None,
}  # fmt: skip


def answer(page: Page, path: str, body: object) -> None:
    """Let the API say this where it is asked for that."""

    def said(route: Route) -> None:
        route.fulfill(content_type="application/json", body=json.dumps(body))

    page.route(lambda url: url.partition("?")[0].endswith(f"/api/v1{path}"), said)


def each_width(page: Page) -> Iterator[int]:
    """The page at each width, after it has been laid out."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        yield width


def assert_room(page: Page) -> None:
    """Nothing stands beyond its card, or is cut off, or has to be scrolled to."""
    for width in each_width(page):
        assert page.evaluate(OVERFLOWS) == [], width
        assert page.evaluate(CUT) == [], width
        assert page.evaluate(HEADS) == [], width
        assert_fits(page)


def test_the_fleet_has_room_for_its_bots(page: Page, installation: Installation) -> None:
    answer(page, "/overview", FLEET)
    answer(page, "/alerts", ALERTS)
    sign_in(page, installation)
    expect(panel(page, "Bots").get_by_role("row")).to_have_count(6)
    assert_room(page)
    assert_accessible(page)
    # Every digit is there still, and a share is rounded.
    cells = page.get_by_role("row", name="a2").get_by_role("cell")
    expect(cells.nth(1)).to_contain_text("9,894.257272985612345678")
    expect(cells.nth(2)).to_have_text("\u2212110.742727014412345678 \u22121.11\u2009%")


def test_the_system_has_room_and_says_of_every_feed_how_it_is(page: Page, installation: Installation) -> None:
    for path, body in (
        ("/venues", VENUES), ("/models", MODELS), ("/venue-accounts", ACCOUNTS), ("/alerts", ALERTS),
    ):  # fmt: skip
        answer(page, path, body)
    sign_in(page, installation)
    page.get_by_role("link", name="System").click()
    venues = panel(page, "Venues")
    expect(venues.get_by_role("row")).to_have_count(11)
    assert_room(page)
    assert_accessible(page)
    for width in each_width(page):
        assert venues.evaluate(BADGES) == [True] * 10, width


def test_a_market_that_is_played_is_said_to_be_and_no_age_is_negative(page: Page, installation: Installation) -> None:
    sign_in(page, installation)
    page.get_by_role("link", name="System").click()
    own = panel(page, "Venues").get_by_role("row").nth(1)
    expect(own).to_contain_text(installation.market)
    expect(own.get_by_role("cell").nth(1)).to_have_text("played, its own time")
    answer(page, "/venues", VENUES)
    page.get_by_role("link", name="Fleet").first.click()
    page.get_by_role("link", name="System").click()
    rows = panel(page, "Venues").get_by_role("row")
    expect(rows.nth(9).get_by_role("cell").nth(1)).to_have_text("2 h")
    expect(rows.nth(10).get_by_role("cell").nth(1)).to_have_text("0 s")


@pytest.mark.parametrize("symbol", ["BTC/USDT", PERPETUAL])
def test_a_bots_positions_trades_and_orders_have_room(page: Page, installation: Installation, symbol: str) -> None:
    sign_in(page, installation)
    bot_id = create_bot(page, f"Holds {symbol[:3]}")
    at = "2026-11-24T04:00:00Z"
    position = {
        "symbol": symbol, "kind": "perpetual", "leverage": "3", "side": "long", "quantity": TINY,
        "entry_price": DECIMALS, "stop_price": TINY, "target_price": DECIMALS, "entry_time": at,
    }  # fmt: skip
    trade = {
        "number": 1, "exit_time": at, "entry_time": at, "symbol": symbol, "side": "long", "quantity": DECIMALS,
        "entry_price": DECIMALS, "exit_price": TINY, "net": LOSS, "reason": "take_profit",
    }  # fmt: skip
    order = {
        "order_id": "o-1", "number": 123456, "requested_at": at, "symbol": symbol, "side": "buy", "kind": "stop_market",
        "reason": "liquidation", "quantity": DECIMALS, "average_price": DECIMALS, "limit_price": None,
        "trigger_price": None, "note": "", "status": "partially_filled",
    }  # fmt: skip
    for part, row in (("positions", position), ("trades", trade), ("orders", order)):
        answer(page, f"/bots/{bot_id}/{part}", {"items": [row, row], "next": None})
    spent = {"day": "2026-11-24", "model": "provider/" + "m" * 90, "calls": 12345, "cost": DECIMALS}
    answer(page, f"/bots/{bot_id}/spending", {"items": [spent], "next": None})
    page.reload()
    for title in ("Open positions", "Closed trades", "Orders"):
        expect(panel(page, title).get_by_role("row")).to_have_count(3)
    expect(panel(page, "Model spend").get_by_role("row")).to_have_count(2)
    assert_room(page)
    assert_accessible(page)
