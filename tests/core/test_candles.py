"""Candles that cannot be are refused by field, and a digest tells any two windows apart."""

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from oxbot.core.candles import (
    Candle,
    InvalidCandle,
    UnknownTimeframe,
    aligned,
    check_candle,
    timeframe_duration,
    window_digest,
)
from tests.core.market_strategies import candles
from tests.core.scenario import candle, moment

FIELDS = ("open_time", "open", "high", "low", "close", "volume")


@pytest.mark.parametrize(
    ("timeframe", "duration"),
    [
        ("1s", timedelta(seconds=1)),
        ("5m", timedelta(minutes=5)),
        ("4h", timedelta(hours=4)),
        ("1d", timedelta(days=1)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_a_timeframe_is_a_count_and_a_unit(timeframe: str, duration: timedelta) -> None:
    assert timeframe_duration(timeframe) == duration


@pytest.mark.parametrize("timeframe", ["", "5", "m", "0m", "05m", "5M", "5 m", "-5m", "5mm", "1.5h", "99999m", "5m\n"])
def test_anything_else_is_no_timeframe(timeframe: str) -> None:
    with pytest.raises(UnknownTimeframe, match="is not a number followed by s, m, h, d or w"):
        timeframe_duration(timeframe)


@pytest.mark.parametrize(("shift", "fits"), [(0, True), (300, True), (299, False), (1, False)])
def test_candles_open_at_multiples_of_their_length(shift: int, fits: bool) -> None:
    assert aligned(moment(0) + timedelta(seconds=shift), "5m") is fits


@forall(market=candles())
def test_every_candle_of_the_walks_can_be(market: list[Candle]) -> None:
    for each in market:
        check_candle(each)


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("open", "0", "open is 0, but must be above 0"),
        ("close", "-1", "close is -1, but must be above 0"),
        ("high", "NaN", "high is NaN, not a number"),
        ("low", "Infinity", "low is Infinity, not a number"),
        ("volume", "-0.1", "volume is -0.1, but must be at least 0"),
        ("low", "100.01", "low 100.01 is above the open or the close"),
        ("high", "100.99", "high 100.99 is below the open or the close"),
    ],
)
def test_an_impossible_candle_is_refused_by_field(field: str, value: str, match: str) -> None:
    with pytest.raises(InvalidCandle, match=match):
        check_candle(msgspec.structs.replace(candle(0, "100 102 99 101"), **{field: Decimal(value)}))


def test_a_candle_without_trades_is_possible() -> None:
    check_candle(msgspec.structs.replace(candle(0, "100"), volume=Decimal(0)))


@forall(market=candles(), data=st.data())
def test_the_digest_changes_with_any_field_of_any_candle(market: list[Candle], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(market) - 1))
    field = data.draw(st.sampled_from(FIELDS))
    value = getattr(market[number], field)
    other = value + timedelta(seconds=1) if field == "open_time" else value + Decimal("1e-8")
    changed = [*market]
    changed[number] = msgspec.structs.replace(market[number], **{field: other})
    assert window_digest(changed) != window_digest(market)


def test_the_digest_is_the_same_for_the_same_candles_in_any_sequence_type() -> None:
    window = [candle(0, "100"), candle(1, "101")]
    assert window_digest(window) == window_digest(tuple(window))
    assert window_digest(window) != window_digest(window[::-1])


def test_the_digest_of_a_window_never_changes_between_programs() -> None:
    """Digests are in the log for ever; this one was written by version 1."""
    assert window_digest([candle(0, "100 102 99.50 101"), candle(1, "0.000021")]) == (
        "fb3665df24940e2b6309dd4fb03ef8ccb3bd365c9eae77dfc46a06faacacd4c2"
    )
