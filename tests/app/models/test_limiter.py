"""The limiter: in no minute more than the limit, whatever is asked and however it is frozen."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from oxbot.app.models.limiter import MINUTE, Limiter
from tests.core.scenario import START

pauses = st.lists(st.integers(0, 90_000), min_size=1, max_size=200)


@given(per_minute=st.integers(1, 100), burst=st.integers(1, 100), pauses=pauses)
def test_no_minute_holds_more_calls_than_the_limit(per_minute: int, burst: int, pauses: list[int]) -> None:
    limiter, now, taken = Limiter(per_minute, burst), START, []
    for pause in pauses:
        now = max(now + timedelta(milliseconds=pause), limiter.opens())
        limiter.take(now)
        taken.append(now)
    for first in taken:
        assert sum(first <= at < first + MINUTE for at in taken) <= per_minute


def test_a_full_minute_holds_nearly_as_many_as_the_limit() -> None:
    limiter, now, taken = Limiter(50, 3), START, 0
    while now < START + 10 * MINUTE:
        now = max(now, limiter.opens())
        limiter.take(now)
        taken += 1
    assert 10 * 48 <= taken <= 10 * 48 + 3


def test_a_burst_goes_at_once_and_the_next_one_waits() -> None:
    limiter = Limiter(50, 3)
    for _ in range(3):
        assert limiter.opens() <= START
        limiter.take(START)
    assert limiter.opens() == START + limiter.interval


def test_nothing_goes_while_the_provider_wants_nothing() -> None:
    limiter = Limiter(50, 3)
    limiter.freeze(START + MINUTE)
    limiter.freeze(START)
    assert limiter.opens() == START + MINUTE
