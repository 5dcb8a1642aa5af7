"""The breakers: when they open, for how long, and what closes them."""

from datetime import datetime, timedelta

from oxbot.app.models.breaker import ANSWERS, QUALITY_REST, REST_MIN, Breaker, Quality
from tests.core.scenario import START


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_the_fifth_failure_in_a_row_opens_it() -> None:
    breaker = Breaker()
    assert [breaker.fail(at(100 * n), probe=breaker.begin()) for n in range(4)] == [None] * 4
    assert breaker.fail(at(400), probe=breaker.begin()) == at(400) + REST_MIN


def test_an_answer_between_failures_begins_the_row_anew() -> None:
    breaker = Breaker()
    for n in range(20):
        assert breaker.fail(at(100 * n), probe=False) is None
        if n % 4 == 3:
            breaker.succeed(at(100 * n), probe=False)


def test_more_than_half_of_ten_failures_in_a_minute_open_it() -> None:
    breaker = Breaker()
    steps = [False, True, False, True, False, True, False, True, False]
    for second, good in enumerate(steps):
        if good:
            breaker.succeed(at(second), probe=False)
        else:
            assert breaker.fail(at(second), probe=False) is None
    assert breaker.fail(at(10), probe=False) == at(10) + REST_MIN


def test_half_of_them_do_not_and_neither_do_failures_of_another_minute() -> None:
    breaker = Breaker()
    for second in range(0, 40, 4):
        breaker.succeed(at(second), probe=False)
        assert breaker.fail(at(second + 1), probe=False) is None
    late = Breaker()
    for second in range(0, 800, 40):
        assert late.fail(at(second), probe=False) is None
        assert late.fail(at(second + 1), probe=False) is None
        late.succeed(at(second + 2), probe=False)


def test_it_rests_twice_as_long_after_each_probe_that_failed_up_to_ten_minutes() -> None:
    breaker, now, rests = Breaker(), START, []
    while breaker.open_until is None:
        breaker.fail(now, probe=breaker.begin())
    for _ in range(7):
        now = breaker.open_until
        assert breaker.begin()
        breaker.fail(now, probe=True)
        rests.append((breaker.open_until - now).total_seconds())
    assert rests == [60, 120, 240, 480, 600, 600, 600]


def test_only_the_probe_closes_it_and_then_it_is_as_new() -> None:
    breaker = Breaker()
    for _ in range(5):
        breaker.fail(START, probe=False)
    assert not breaker.succeed(START, probe=False)
    assert breaker.open_until is not None
    assert breaker.succeed(at(60), probe=breaker.begin())
    assert not breaker.probing
    assert breaker.fail(at(61), probe=breaker.begin()) is None


def test_a_probe_that_says_nothing_lets_another_one_go() -> None:
    breaker = Breaker()
    breaker.restore(at(30))
    assert breaker.begin()
    assert breaker.probing
    breaker.forgo(probe=True)
    assert (breaker.probing, breaker.open_until) == (False, at(30))


def test_a_template_rests_after_seven_useless_answers_of_twenty_and_begins_anew() -> None:
    quality = Quality()
    for number in range(ANSWERS - 1):
        assert quality.note(START, valid=number >= 6) is None
    assert quality.note(START, valid=True) is None
    seventh = Quality()
    for number in range(ANSWERS - 1):
        assert seventh.note(START, valid=number >= 6) is None
    assert seventh.note(START, valid=False) == START + QUALITY_REST
    assert not seventh.over(START)
    assert seventh.over(START + QUALITY_REST)
    assert not seventh.over(START + QUALITY_REST)
    assert seventh.note(START, valid=False) is None
