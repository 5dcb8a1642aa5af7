"""A bot sees the newest closed candles of its symbols, and nothing else."""

from decimal import Decimal

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from oxbot.core.candles import Candle, Frame
from oxbot.core.market_view import CandleWindow, MarketView
from tests.core.market_strategies import candles
from tests.core.scenario import BTC, ETH, candle, flat_candles, moment


@forall(market=candles(size_max=90), capacity=st.integers(1, 9))
def test_a_window_holds_the_newest_candles_in_order(market: list[Candle], capacity: int) -> None:
    """Across every turn of its buffer, after every push."""
    window = CandleWindow(capacity)
    for number, each in enumerate(market, start=1):
        window.push(each)
        newest = market[max(0, number - capacity) : number]
        assert len(window) == len(newest)
        assert window.last is each
        for count in range(1, len(newest) + 1):
            assert window.candles(count) == newest[-count:]
            assert window.closes(count).tolist() == [float(held.close) for held in newest[-count:]]


def test_closes_are_contiguous_for_indicators() -> None:
    window = CandleWindow(3)
    for each in flat_candles(["1", "2", "3", "4"]):
        window.push(each)
    closes = window.closes(3)
    assert closes.flags["C_CONTIGUOUS"]
    assert closes.shape == (3,)


def test_a_frame_reaches_the_symbols_that_are_followed() -> None:
    view = MarketView([BTC], capacity=5)
    view.push(Frame(moment(0), ((BTC, candle(0, "100")), (ETH, candle(0, "7")))))
    assert view.mark(BTC) == Decimal(100)
    with pytest.raises(KeyError):
        view.mark(ETH)


def test_a_symbol_missing_from_a_frame_keeps_its_mark() -> None:
    view = MarketView([BTC, ETH], capacity=5)
    view.push(Frame(moment(0), ((BTC, candle(0, "100")), (ETH, candle(0, "7")))))
    view.push(Frame(moment(1), ((BTC, candle(1, "101")),)))
    assert (view.mark(BTC), view.mark(ETH)) == (Decimal(101), Decimal(7))
    assert (len(view[BTC]), len(view[ETH])) == (2, 1)


def test_warming_is_like_pushing_one_by_one() -> None:
    warmed, pushed = MarketView([BTC], capacity=3), MarketView([BTC], capacity=3)
    market = flat_candles(["1", "2", "3", "4", "5"])
    warmed.warm(BTC, market)
    for each in market:
        pushed.push(Frame(each.open_time, ((BTC, each),)))
    assert warmed[BTC].candles(3) == pushed[BTC].candles(3) == market[-3:]


def test_there_is_no_mark_before_the_first_candle() -> None:
    with pytest.raises(LookupError, match="no candle of BTC/USDT has closed yet"):
        MarketView([BTC], capacity=3).mark(BTC)
