"""The limits' counting against a naive one, over any sequence of requests."""

from hypothesis import given
from hypothesis import strategies as st

from oxbot.exchange.limits import Counters, Limit, Limiter

LIMIT = Limit("orders", 5, 100, "account")


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 3), st.sampled_from("ab")), max_size=80))
def test_no_window_holds_more_than_the_limit_and_nothing_is_refused_that_would_fit(
    steps: list[tuple[int, int, str]],
) -> None:
    limiter, now = Limiter(), 0
    taken: list[tuple[int, str]] = []
    for later, weight, key in steps:
        now += later
        there = sum(1 for at, of in taken if of == key and at > now - LIMIT.window_ms)
        fits = there + weight <= LIMIT.most
        assert limiter.take(LIMIT, key, now_ms=now, weight=weight) is fits
        if fits:
            taken += [(now, key)] * weight


def test_counters_tell_minutes_and_codes_apart_and_forget_when_told() -> None:
    counters = Counters()
    for now_ms in (0, 59_999, 60_000):
        counters.asked("GET x", now_ms=now_ms)
    counters.answered("GET x", "0")
    counters.answered("GET x", "50011")
    report = counters.report()
    assert report["per_minute"] == {"0": {"GET x": 2}, "1": {"GET x": 1}}
    assert (report["codes"], report["too_many_requests"]) == ({"GET x": {"0": 1, "50011": 1}}, 1)
    counters.clear()
    assert counters.report()["requests"] == {}
