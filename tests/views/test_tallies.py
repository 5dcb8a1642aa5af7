"""Counts that stay small: durations in steps, names up to a number."""

from statistics import quantiles

from hypothesis import given
from hypothesis import strategies as st

from oxbot.views.tallies import NAMES_MAX, OTHERS, late, named, took, two_digits


def test_a_duration_is_rounded_up_to_two_digits() -> None:
    given_times = (-1, 0, 7, 99, 100, 101, 1234, 99_001)
    assert [two_digits(each) for each in given_times] == [0, 0, 7, 99, 100, 110, 1300, 100_000]


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=200))
def test_95_of_100_ended_within_what_is_said_and_it_is_at_most_a_tenth_too_much(times: list[int]) -> None:
    counts: dict[int, int] = {}
    for each in times:
        counts = took(counts, each)
    said = late(counts)
    assert said is not None
    assert sum(each <= said for each in times) >= 0.95 * len(times)
    exactly = sorted(times)[-(-len(times) * 95 // 100) - 1]
    assert exactly <= said <= max(exactly * 1.1, exactly + 1)


def test_nothing_took_no_time() -> None:
    assert late({}) is None
    assert late(dict.fromkeys(range(1, 101), 1)) == 95 == round(quantiles(range(1, 101), n=20)[-1]) - 1


@given(st.lists(st.text(max_size=3), max_size=200))
def test_every_name_is_counted_and_few_are_kept(names: list[str]) -> None:
    counts: dict[str, int] = {}
    for each in names:
        counts = named(counts, each)
    assert sum(counts.values()) == sum(bool(each) for each in names)
    assert len(counts) <= NAMES_MAX + 1
    assert len(counts) <= NAMES_MAX or OTHERS in counts


def test_a_long_name_is_cut() -> None:
    assert named({}, "x" * 5000) == {"x" * 100: 1}
