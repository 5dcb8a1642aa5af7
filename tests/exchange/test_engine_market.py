"""The local exchange's market: the path made of candles, and the candles, books, tickers and trades that show it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxbot.core.candles import Candle
from oxbot.exchange.model import PathOrder, Refused, Settings
from oxbot.exchange.pushes import BarPushed, BookPushed, TickerPushed, TradePushed
from oxbot.exchange.records import Level, Step
from tests.exchange.engine_scenario import SPOT, START, SWAP, Scenario, candle, number

MINUTE = 60_000


def path(scene: Scenario) -> list[Decimal]:
    return [push.trade.price for push in scene.exchange.drain() if isinstance(push, TradePushed)]


@pytest.mark.parametrize(("order", "lows_place", "highs_place"), [("low_first", 2, 5), ("high_first", 5, 2)])
def test_the_price_goes_from_open_through_both_extremes_to_the_close(
    order: PathOrder, lows_place: int, highs_place: int
) -> None:
    scene = Scenario(settings=Settings(path_order=order))
    scene.exchange.feed(SPOT, candle(1, "50000 50900 49100 50500", "8"), MINUTE, scene.now)
    scene.exchange.advance(START + 2 * MINUTE)
    prices = path(scene)
    assert len(prices) == 8
    assert (prices[0], prices[lows_place], prices[highs_place], prices[-1]) == (
        number(50_000),
        number(49_100),
        number(50_900),
        number(50_500),
    )


@pytest.mark.parametrize(("side", "first"), [("buy", 49_100), ("sell", 50_900)])
def test_the_pessimistic_path_first_goes_against_the_position(side: str, first: int) -> None:
    scene = Scenario()
    scene.place(side, "1", inst_id=SWAP)
    scene.exchange.drain()
    scene.exchange.feed(SWAP, candle(1, "50000 50900 49100 50500"), MINUTE, scene.now)
    scene.exchange.advance(START + 2 * MINUTE)
    prices = path(scene)
    assert prices[2] == first


@given(
    points=st.tuples(*[st.integers(1, 20_000)] * 4),
    volume=st.integers(0, 10**6),
    minutes=st.sampled_from([1, 5, 60]),
    seed=st.integers(0, 5),
)
def test_a_candle_is_shown_again_exactly_as_it_was_fed(
    points: tuple[int, int, int, int], volume: int, minutes: int, seed: int
) -> None:
    prices = sorted(Decimal(point) / 10 for point in points)
    low, opened, closed, high = prices
    scene = Scenario(price=None, settings=Settings(seed=seed, path_order="seeded"))
    fed = candle(60, f"{opened} {high} {low} {closed}", str(Decimal(volume) / 10**5))
    assert scene.exchange.feed(SPOT, fed, minutes * MINUTE, scene.now) is None
    scene.exchange.advance(START + (60 + minutes) * MINUTE)
    (row,) = scene.exchange.bars(SPOT, minutes * MINUTE)
    assert (row.open, row.high, row.low, row.close, row.volume) == (opened, high, low, closed, fed.volume)
    assert row.confirmed
    for minute in scene.exchange.bars(SPOT, MINUTE):
        assert low <= minute.low <= minute.high <= high
        assert minute.close % Decimal("0.1") == 0


def test_the_forming_candle_is_told_apart_from_closed_ones() -> None:
    scene = Scenario(price=None)
    scene.exchange.feed(SPOT, candle(0, "50000 50900 49100 50500"), 5 * MINUTE, scene.now)
    scene.exchange.advance(START + 4 * MINUTE)
    assert [row.confirmed for row in scene.exchange.bars(SPOT, 5 * MINUTE)] == [False]
    scene.exchange.advance(START + 5 * MINUTE)
    assert [row.confirmed for row in scene.exchange.bars(SPOT, 5 * MINUTE)] == [True]


def test_a_minute_is_confirmed_when_it_is_over_even_if_nothing_follows() -> None:
    scene = Scenario(price=None)
    scene.exchange.feed(SPOT, candle(0, "50000 50900 49100 50500"), MINUTE, scene.now)
    scene.exchange.advance(START + MINUTE - 1)
    scene.exchange.drain()
    assert scene.exchange.next_due() == START + MINUTE
    scene.exchange.advance(START + MINUTE)
    (told,) = [push for push in scene.exchange.drain() if isinstance(push, BarPushed)]
    assert (told.bar.at, told.bar.confirmed, told.bar.close) == (START, True, number(50_500))


def test_candles_come_newest_first_between_the_bounds() -> None:
    scene = Scenario(price=None)
    for minute in range(10):
        prices = f"{50_000 + minute} {50_000 + minute} {50_000 + minute} {50_000 + minute}"
        scene.exchange.feed(SPOT, candle(minute, prices), MINUTE, scene.now)
    scene.exchange.advance(START + 10 * MINUTE)
    rows = scene.exchange.bars(SPOT, MINUTE, limit=3)
    assert [row.at for row in rows] == [START + minute * MINUTE for minute in (9, 8, 7)]
    rows = scene.exchange.bars(SPOT, MINUTE, before=START + 2 * MINUTE, after=START + 6 * MINUTE)
    assert [row.at for row in rows] == [START + minute * MINUTE for minute in (5, 4, 3)]
    (five,) = scene.exchange.bars(SPOT, 5 * MINUTE, after=START + 5 * MINUTE)
    assert (five.at, five.open, five.close, five.volume) == (START, number(50_000), number(50_004), number(60))
    bar = scene.exchange.bar_at(SPOT, 5 * MINUTE, START + 7 * MINUTE)
    assert bar is not None
    assert (bar.at, bar.open) == (START + 5 * MINUTE, number(50_005))


def test_minutes_without_a_step_are_flat() -> None:
    scene = Scenario(price=None)
    scene.price("50000")
    scene.wait(180)
    scene.price("51000")
    rows = scene.exchange.bars(SPOT, MINUTE)
    assert [(row.open, row.close, row.volume) for row in rows[1:3]] == [(number(50_000), number(50_000), number(0))] * 2
    assert len(rows) == 4


def test_history_is_shown_and_gives_the_first_price() -> None:
    scene = Scenario(price=None)
    early = [candle(minutes, "50000 50900 49100 50500") for minutes in (-10, -5)]
    assert scene.exchange.backfill(SPOT, early, 5 * MINUTE, scene.now) is None
    rows = scene.exchange.bars(SPOT, 5 * MINUTE)
    assert [(row.open, row.high, row.low, row.close, row.volume) for row in rows] == [
        (number(50_000), number(50_900), number(49_100), number(50_500), number(12))
    ] * 2
    assert all(row.confirmed for row in rows)
    ticker = scene.exchange.ticker(SPOT)
    assert ticker is not None
    assert ticker.last == 50_500
    assert isinstance(scene.exchange.backfill(SPOT, early, 5 * MINUTE, scene.now), Refused)


def test_candles_must_be_fed_in_order_and_be_possible() -> None:
    scene = Scenario(price=None)
    assert scene.exchange.feed(SPOT, candle(5, "50000 50900 49100 50500"), 5 * MINUTE, scene.now) is None
    assert scene.exchange.fed_until(SPOT) == START + 10 * MINUTE
    assert isinstance(scene.exchange.feed(SPOT, candle(9, "50000 50900 49100 50500"), MINUTE, scene.now), Refused)
    assert isinstance(scene.exchange.feed(SPOT, candle(10, "50000 49900 49100 50500"), MINUTE, scene.now), Refused)
    whole = candle(10, "50000 50900 49100 50500")
    odd = Candle(
        whole.open_time + timedelta(seconds=1), *[getattr(whole, name) for name in whole.__struct_fields__[1:]]
    )
    assert isinstance(scene.exchange.feed(SPOT, odd, MINUTE, scene.now), Refused)


def test_steps_are_played_at_their_times_among_those_of_a_candle() -> None:
    scene = Scenario(price=None)
    scene.exchange.feed(SPOT, candle(1, "50000 50900 49100 50500"), MINUTE, scene.now)
    steps = [Step(START + MINUTE + 100, number("40000"), Decimal(1)), Step(START + 10, number("45000"), Decimal(1))]
    assert scene.exchange.add_steps(SPOT, steps, scene.now) is None
    scene.exchange.advance(START + 10)
    assert scene.exchange.mark_price(SPOT) == 45_000
    scene.exchange.advance(START + MINUTE)
    assert scene.exchange.mark_price(SPOT) == 50_000
    scene.exchange.advance(START + MINUTE + 100)
    assert scene.exchange.mark_price(SPOT) == 40_000
    assert isinstance(scene.exchange.add_steps(SPOT, [Step(START, Decimal(1), Decimal(0))], START + 999), Refused)


@pytest.mark.parametrize(("ticks", "bid", "ask"), [(1, "50000", "50000.1"), (4, "49999.8", "50000.2")])
def test_the_spread_lies_around_the_last_price(ticks: int, bid: str, ask: str) -> None:
    scene = Scenario(settings=Settings(spread_ticks=ticks))
    ticker = scene.exchange.ticker(SPOT)
    assert ticker is not None
    assert (ticker.bid, ticker.ask) == (number(bid), number(ask))
    assert scene.order(scene.place("buy", "0.1")).average_price == number(ask)


@pytest.mark.parametrize("levels", [1, 5, 400])
def test_a_book_has_as_many_levels_as_asked_for_best_first(levels: int) -> None:
    book = Scenario().exchange.book(SPOT, levels)
    assert book is not None
    bids, asks = [row.price for row in book.bids], [row.price for row in book.asks]
    assert (len(bids), len(asks)) == (levels, levels)
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert all(row.size > 0 for row in (*book.bids, *book.asks))


def test_the_updates_of_a_book_make_the_next_book_of_the_last() -> None:
    scene = Scenario()
    book = scene.exchange.book(SPOT, 20)
    assert book is not None
    for price in ("50000.5", "49999.7", "51000", "51000"):
        scene.price(price, inst_id=SPOT)
        (push,) = [push for push in scene.exchange.drain() if isinstance(push, BookPushed)]
        update = scene.exchange.book_update(push.before, push.after, 20)
        following = scene.exchange.book(SPOT, 20)
        assert following is not None
        assert (update.previous, update.sequence) == (book.sequence, following.sequence)
        assert following.sequence == book.sequence + 1
        assert applied(book.bids, update.bids) == set(following.bids)
        assert applied(book.asks, update.asks) == set(following.asks)
        book = following


def applied(levels: tuple[Level, ...], changes: tuple[Level, ...]) -> set[Level]:
    by_price = {level.price: level for level in (*levels, *changes)}
    return {level for level in by_price.values() if level.size}


def test_the_ticker_knows_the_last_24_hours() -> None:
    scene = Scenario(price=None)
    scene.exchange.feed(SPOT, candle(0, "50000 60000 40000 50500", "5"), MINUTE, scene.now)
    scene.exchange.feed(SPOT, candle(60, "50500 50900 49100 50100", "7"), MINUTE, scene.now)
    scene.exchange.advance(START + 61 * MINUTE)
    ticker = scene.exchange.ticker(SPOT)
    assert ticker is not None
    assert (ticker.open_24h, ticker.high_24h, ticker.low_24h, ticker.volume_24h) == (
        number(50_000),
        number(60_000),
        number(40_000),
        number(12),
    )
    scene.exchange.feed(SPOT, candle(1460, "50100 50200 50000 50000", "1"), MINUTE, scene.now)
    scene.exchange.advance(START + 1461 * MINUTE)
    ticker = scene.exchange.ticker(SPOT)
    assert ticker is not None
    assert (ticker.high_24h, ticker.low_24h, ticker.volume_24h) == (number(50_900), number(49_100), number(8))
    told = [push.ticker for push in scene.exchange.drain() if isinstance(push, TickerPushed)]
    assert told[-1] == ticker


def test_trades_of_the_market_are_kept_newest_first_within_their_bound() -> None:
    scene = Scenario(settings=Settings(trades_kept=3))
    for price in ("50001", "50002", "50000", "50003"):
        scene.price(price, volume="1", inst_id=SPOT)
    rows = scene.exchange.trades(SPOT)
    assert [(row.price, row.side) for row in rows] == [
        (number(50_003), "buy"),
        (number(50_000), "sell"),
        (number(50_002), "buy"),
    ]


def test_a_market_without_a_price_shows_nothing() -> None:
    scene = Scenario(price=None)
    assert scene.exchange.ticker(SPOT) is None
    assert scene.exchange.book(SPOT) is None
    assert scene.exchange.bars(SPOT, MINUTE) == ()
    assert scene.exchange.ticker("NO-SUCH") is None


def test_time_never_goes_back() -> None:
    scene = Scenario()
    scene.wait(100)
    late, scene.now = scene.now, START
    assert scene.order(scene.place("buy", "0.1")).created_at == late
