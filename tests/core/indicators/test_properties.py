"""What holds for every indicator: no look-ahead, warm-up and memory as stated, no value out of nothing, no unit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxbot.core.indicators import Floats
from tests.core.indicators.candles import Candles, flat, missing, walk, walks
from tests.core.indicators.cases import CASES, NAMES, Case, Outputs

every_case = pytest.mark.parametrize("case", CASES, ids=NAMES)


def assert_same(given: Outputs, expected: Outputs) -> None:
    assert len(given) == len(expected)
    for one, other in zip(given, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def assert_undefined(values: Floats) -> None:
    """NaN, or for flags and events none."""
    assert not np.nan_to_num(values).any()


def cut(outputs: Outputs, begin: int, end: int | None = None) -> Outputs:
    return tuple(output[begin:end] for output in outputs)


@every_case
@given(walks(), st.integers(0, 160))
@settings(max_examples=25, deadline=None)
def test_a_value_is_the_same_bit_for_bit_whether_or_not_later_candles_exist(
    case: Case, candles: Candles, at: int
) -> None:
    assert_same(case.outputs(candles.part(0, at)), cut(case.outputs(candles), 0, at))


@every_case
@given(st.integers(0, 99), st.integers(60, 160), st.sampled_from([1e-3, 1e3]))
@settings(max_examples=10, deadline=None)
def test_other_later_candles_change_nothing_before_them(case: Case, seed: int, at: int, crash: float) -> None:
    past, future = walk(seed, 200).part(0, at), walk(seed, 200).part(at)
    other = past.then(future.scaled(crash, 50.0))
    assert_same(cut(case.outputs(other), 0, at), cut(case.outputs(past.then(future)), 0, at))


@every_case
def test_the_first_value_stands_where_the_docstring_says(case: Case) -> None:
    outputs = case.outputs(walk(1, 300))
    assert tuple(int(np.isfinite(output).argmax()) for output in outputs) == case.first
    for output, first in zip(outputs, case.first, strict=True):
        assert np.isfinite(output[first:]).all()


@every_case
def test_a_window_that_is_too_short_is_undefined_throughout(case: Case) -> None:
    for count in range(max(case.first) + 1):
        for output, first in zip(case.outputs(walk(1, count)), case.first, strict=True):
            assert output.shape == (count,)
            if count <= first:
                assert_undefined(output)


@every_case
def test_a_value_forgets_where_the_window_began_as_the_docstring_says(case: Case) -> None:
    if case.forgets is None:
        return
    candles = walk(5, 1_400)
    for begin in (1, 333, 700):
        late, whole = case.outputs(candles.part(begin)), cut(case.outputs(candles), begin)
        for one, other in zip(cut(late, case.forgets), cut(whole, case.forgets), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


@every_case
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_ends_the_series(case: Case, bad: float) -> None:
    whole = walk(2, 200)
    expected = case.outputs(whole)
    for letter in case.reads:
        outputs = case.outputs(whole.spoilt("ohlcv".index(letter), 150, bad))
        before = 0 if case.name.startswith("fair_value_gaps") else 150
        assert_same(cut(outputs, 0, before), cut(expected, 0, before))
        for output in outputs:
            assert_undefined(output[before:])


@every_case
def test_candles_missing_at_the_beginning_only_delay(case: Case) -> None:
    candles = walk(4, 200)
    outputs, expected = case.outputs(missing(30).then(candles)), case.outputs(candles)
    assert_same(cut(outputs, 30), expected)
    for output in outputs:
        assert_undefined(output[:30])


@every_case
def test_nothing_but_missing_candles_is_undefined_throughout(case: Case) -> None:
    for output in case.outputs(missing(100)):
        assert_undefined(output)


@every_case
def test_candles_that_never_move_read_as_the_docstring_says(case: Case) -> None:
    np.testing.assert_allclose([output[-1] for output in case.outputs(flat(200))], case.flat, atol=1e-9)


@every_case
@given(st.integers(0, 99), st.integers(-30, 12), st.integers(-12, 12))
@settings(max_examples=10, deadline=None)
def test_the_unit_of_prices_and_volumes_does_not_matter(case: Case, seed: int, price: int, volume: int) -> None:
    """Powers of two, under which floats scale without rounding: from 1e-7 for a coin to 400,000."""
    candles = walk(seed, 150)
    scaled = case.outputs(candles.scaled(2.0**price, 2.0**volume))
    for output, expected, power in zip(scaled, case.outputs(candles), case.price_powers, strict=True):
        np.testing.assert_array_equal(output, expected * 2.0 ** (price * power + volume * case.volume_power))


@every_case
def test_the_same_candles_give_the_same_values_again(case: Case) -> None:
    candles = walk(8, 200, quiet=0.2)
    assert_same(case.outputs(candles), case.outputs(candles))
