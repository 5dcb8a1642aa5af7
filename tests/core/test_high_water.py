"""Drawdown is measured from the highest equity at any close, to the last digit."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from events.bot import HighWaterRaised, TradingStateTripped
from events.values import FeeSchedule
from oxbot.core.money import ZERO
from tests.core.lives import LOOSE, Life, Wish, at, candle, creation

FREE = FeeSchedule(maker=ZERO, taker=ZERO)
HALF = at(0, Wish(size_fraction=Decimal("0.5")))


def held(*closes: str, limit: str | None = "0.05") -> Life:
    """A bot that put 5,000 of 10,000 into BTC at 100, without fees, and saw these closes."""
    limits = LOOSE if limit is None else replace(LOOSE, drawdown_max=Decimal(limit))
    life = Life.of(creation(fees=FREE, limits=limits), HALF)
    life.see_candles([candle(number, close) for number, close in enumerate(closes)])
    return life


def highs(life: Life) -> list[Decimal]:
    return [fact.equity for fact in life.facts if isinstance(fact, HighWaterRaised)]


def trips(life: Life) -> list[TradingStateTripped]:
    return [fact for fact in life.facts if isinstance(fact, TradingStateTripped)]


def test_a_limit_is_no_softer_by_a_high_that_was_barely_one() -> None:
    """10,009.50 at the high, 9,505 in the end: 504.50 below it, where 500.475 are allowed."""
    [trip] = trips(held("100", "100", "100.19", "90.1"))
    assert trip.at == candle(3, "1").open_time
    assert (trip.rule, trip.limit, trip.value) == ("drawdown_max", Decimal("500.475"), Decimal("504.50"))


@pytest.mark.parametrize(("close", "tripped"), [("90.1805", False), ("90.1804", True)])
def test_exactly_at_the_limit_nothing_trips_and_beyond_it_it_does(close: str, *, tripped: bool) -> None:
    """9,509.025 is 95 % of 10,009.50."""
    assert bool(trips(held("100", "100", "100.19", close))) is tripped


def test_every_new_high_at_a_close_is_recorded_and_nothing_else() -> None:
    life = held("100", "100", "100.01", "100.01", "100", "100.02", "99")
    assert highs(life) == [Decimal(10_000), Decimal("10000.5"), Decimal(10_001)]
    assert life.state.high_water == Decimal(10_001)


def test_a_bot_without_the_limit_records_no_high() -> None:
    assert highs(held("100", "100", "110", "120", limit=None)) == []
