"""Frames out of candles in any order: the first version stands, what was given up stays out, nobody is forgotten."""

from datetime import timedelta
from decimal import Decimal

from msgspec.structs import replace

from oxbot.app.live_market_book import CandleBook, Hole, late_faults
from oxbot.core.candles import Frame
from tests.core.scenario import BTC, ETH, START, STEP, candle, moment


def book() -> CandleBook:
    return CandleBook((ETH, BTC), STEP, head=START - STEP)


def other(number: int) -> Decimal:
    return candle(number, "1").close + 1


def test_the_first_version_of_a_candle_stands_before_and_after_its_frame_went() -> None:
    kept = book()
    changed = replace(candle(0, "1"), close=other(0), high=other(0))
    for symbol in (BTC, ETH):
        assert kept.take(symbol, candle(0, "1")) is None
    assert kept.take(BTC, candle(0, "1.0")) is None
    assert kept.take(BTC, changed) == (
        "seen as open 1 high 1 low 1 close 1 volume 1; now open 1 high 2 low 1 close 2 volume 1"
    )
    assert [ready.frame for ready in kept.ready(9)] == [Frame(START, ((BTC, candle(0, "1")), (ETH, candle(0, "1"))))]
    kept.handed_on(START)
    assert kept.take(BTC, candle(0, "1")) is None
    assert kept.take(BTC, changed) is not None
    assert kept.ready(9) == []


def test_what_was_given_up_stays_out_before_and_after_its_frame_went() -> None:
    kept = book()
    kept.take(BTC, candle(0, "1"))
    kept.give_up(ETH, START)
    assert kept.take(ETH, candle(0, "1")) is not None
    (ready,) = kept.ready(9)
    assert (ready.frame, ready.missing) == (Frame(START, ((BTC, candle(0, "1")),)), (ETH,))
    kept.handed_on(START)
    assert kept.take(ETH, candle(0, "1")) is not None
    kept.give_up(ETH, START)
    kept.take(ETH, candle(1, "1"))
    kept.take(BTC, candle(1, "1"))
    assert [len(ready.frame.candles) for ready in kept.ready(9)] == [2]


def test_a_candle_that_is_here_is_not_given_up() -> None:
    kept = book()
    kept.take(BTC, candle(0, "1"))
    kept.take(ETH, candle(0, "1"))
    kept.give_up(ETH, START)
    assert kept.ready(9)[0].missing == ()


def test_holes_end_where_candles_are_or_have_not_closed() -> None:
    kept = book()
    kept.take(BTC, candle(2, "1"))
    assert kept.hole(BTC, closed_before=moment(0)) is None
    assert kept.hole(BTC, closed_before=moment(1)) == Hole(moment(0), moment(1))
    assert kept.hole(BTC, closed_before=moment(9)) == Hole(moment(0), moment(2))
    assert kept.hole(ETH, closed_before=moment(9)) == Hole(moment(0), moment(9))
    kept.take(BTC, candle(0, "1"))
    assert kept.hole(BTC, closed_before=moment(9)) == Hole(moment(1), moment(2))
    assert not kept.lacks(BTC, moment(2))
    assert kept.lacks(BTC, moment(3))


def test_candles_are_waited_for_once_any_that_is_as_new_is_here() -> None:
    kept = book()
    assert not kept.waited_for(moment(0))
    kept.take(BTC, candle(1, "1"))
    assert kept.waited_for(moment(0))
    assert kept.waited_for(moment(1))
    assert not kept.waited_for(moment(2))


def test_moments_that_nobody_has_make_no_frame() -> None:
    kept = book()
    for symbol in (BTC, ETH):
        kept.give_up(symbol, moment(0))
        kept.take(symbol, candle(1, "1"))
    assert [ready.frame.open_time for ready in kept.ready(9)] == [moment(1)]


def test_faults_name_what_is_missing_and_what_is_late_at_this_moment() -> None:
    frames = [Frame(moment(number), ((BTC, candle(number, "1")),)) for number in range(2)]
    faults = late_faults(
        frames, (BTC, ETH), step=STEP, now=moment(2) + timedelta(seconds=30), bound=timedelta(seconds=30)
    )
    assert faults == {
        moment(0): {ETH: "the venue gave no candle", BTC: "the candle closed 330 s ago"},
        moment(1): {ETH: "the venue gave no candle"},
    }
