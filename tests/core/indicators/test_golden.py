"""Each indicator against its plain twin."""

import numpy as np
import pytest
from hypothesis import given, settings

from oxbot.core.indicators import rsi
from tests.core.indicators.candles import Candles, walk, walks
from tests.core.indicators.cases import CASES, NAMES, Case

UNTIED = [case for case in CASES if not case.ties]


def assert_equals_twin(case: Case, candles: Candles) -> None:
    outputs, rows = case.outputs(candles), case.twin(candles)
    for output, row, power in zip(outputs, rows, case.price_powers, strict=True):
        expected = np.array(row, dtype=np.float64)
        # Differences of large numbers are as exact as the large numbers: relative to the price or the volume.
        scale = float(candles.close.max(initial=0.0)) if power else 100.0
        scale = float(candles.volume.max(initial=0.0)) * 20 if case.volume_power else scale
        np.testing.assert_allclose(output, expected, rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
@pytest.mark.parametrize("seed", range(4))
def test_equals_its_plain_twin_on_long_walks(case: Case, seed: int) -> None:
    assert_equals_twin(case, walk(seed, 400, quiet=seed / 5))


@pytest.mark.parametrize("case", UNTIED, ids=[case.name for case in UNTIED])
@given(walks(120))
@settings(max_examples=15, deadline=None)
def test_equals_its_plain_twin_on_any_walk(case: Case, candles: Candles) -> None:
    assert_equals_twin(case, candles)


def test_each_case_finds_something_on_a_long_walk() -> None:
    for case in CASES:
        for output in case.outputs(walk(3, 400)):
            values = output[np.isfinite(output)]
            assert len(np.unique(values)) > 1, case.name


def test_rsi_equals_the_published_worked_example() -> None:
    """Wilder's RSI as worked through in StockCharts' ChartSchool, which rounds to two places."""
    close = np.array(
        [
            44.3389,
            44.0902,
            44.1497,
            43.6124,
            44.3278,
            44.8264,
            45.0955,
            45.4245,
            45.8433,
            46.0826,
            45.8931,
            46.0328,
            45.614,
            46.282,
            46.282,
            46.0028,
            46.0328,
            46.4116,
            46.2222,
            45.6439,
            46.2122,
            46.2521,
            45.7137,
            46.4515,
            45.7835,
            45.3548,
            44.0288,
            44.1783,
            44.2181,
            44.5672,
            43.4205,
            42.6628,
            43.1314,
        ]
    )
    published = [70.53, 66.32, 66.55, 69.41, 66.36, 57.97, 62.93, 63.26, 56.06, 62.38, 54.71, 50.42, 39.99, 41.46]
    published += [41.87, 45.46, 37.30, 33.08, 37.77]
    np.testing.assert_allclose(rsi(close, 14)[14:], published, atol=0.006)
