import numpy as np
import pytest

from oxbot.core.indicators import FairValueGap, fair_value_gaps
from tests.core.indicators.candles import walk

QUIET = [(100.0, 100.5, 99.5, 100.0)] * 16
IMPULSE = [(100.0, 103.0, 100.0, 103.0), (103.0, 103.5, 102.0, 103.0)]
BEYOND = (103.0, 104.0, 102.5, 103.5)


def zones(
    *rows: tuple[float, float, float, float], down: bool = False, age_max: int = 50, impulse_min: float = 1.5
) -> tuple[FairValueGap, ...]:
    """After sixteen quiet candles, an impulse that leaves a zone from 100.5 to 102 (down: 98 to 99.5), and ``rows``."""
    candles = np.array([*QUIET, *IMPULSE, *rows])
    if down:
        candles = 200.0 - candles[:, [0, 2, 1, 3]]
    open_, high, low, close = (np.ascontiguousarray(column) for column in candles.T)
    return fair_value_gaps(open_, high, low, close, age_max=age_max, impulse_min=impulse_min)


@pytest.mark.parametrize("down", [False, True])
def test_an_impulse_leaves_a_fresh_zone_at_the_close_of_its_third_candle(down: bool) -> None:
    (zone,) = zones(down=down)
    side, low, high = ("bearish", 98.0, 99.5) if down else ("bullish", 100.5, 102.0)
    assert zone == FairValueGap(side, low, high, 0, 3.0, None, None)  # type: ignore[arg-type]  # one of two texts
    assert zone.middle == (low + high) / 2


@pytest.mark.parametrize("down", [False, True])
def test_any_later_candle_that_trades_in_the_zone_touches_it_for_good(down: bool) -> None:
    (zone,) = zones(BEYOND, (103.5, 104.0, 102.0, 103.0), BEYOND, BEYOND, down=down)
    assert (zone.age, zone.touched, zone.broken) == (4, 2, None)


@pytest.mark.parametrize("down", [False, True])
def test_a_touch_by_the_newest_candle_is_0_candles_ago(down: bool) -> None:
    assert zones(BEYOND, (103.5, 104.0, 101.0, 103.0), down=down)[0].touched == 0


@pytest.mark.parametrize("down", [False, True])
def test_a_close_beyond_the_far_edge_breaks_it_and_a_wick_does_not(down: bool) -> None:
    wick, through = (103.0, 103.0, 100.0, 100.5), (103.0, 103.0, 100.0, 100.4)
    assert zones(wick, down=down)[0].broken is None
    assert zones(wick, through, BEYOND, down=down)[0].broken == 1


@pytest.mark.parametrize(("age_max", "seen"), [(3, 1), (2, 0)])
def test_a_zone_is_forgotten_beyond_its_age(age_max: int, seen: int) -> None:
    assert len(zones(BEYOND, BEYOND, BEYOND, age_max=age_max)) == seen


@pytest.mark.parametrize(("impulse_min", "seen"), [(3.0, 1), (3.1, 0)])
def test_the_impulse_is_measured_by_the_ranges_before_it(impulse_min: float, seen: int) -> None:
    assert len(zones(impulse_min=impulse_min)) == seen


def test_a_gap_thinner_than_its_share_of_the_price_does_not_count() -> None:
    open_, high, low, close = np.array([*QUIET, *IMPULSE]).T.copy()
    assert fair_value_gaps(open_, high, low, close, gap_fraction_min=1.5 / 103)
    assert not fair_value_gaps(open_, high, low, close, gap_fraction_min=1.51 / 103)


def test_candles_that_only_meet_leave_no_gap() -> None:
    open_, high, low, close = np.array([*QUIET, IMPULSE[0], (103.0, 103.5, 100.5, 103.0)]).T.copy()
    assert not fair_value_gaps(open_, high, low, close, gap_fraction_min=0.0)


def test_without_a_range_before_it_an_impulse_cannot_be_measured() -> None:
    rows = [(100.0, 100.0, 100.0, 100.0)] * 16 + IMPULSE
    open_, high, low, close = np.array(rows).T.copy()
    assert not fair_value_gaps(open_, high, low, close)


def test_zones_oldest_first_only_age_and_remember_as_candles_come() -> None:
    candles = walk(3, 400)
    seen = 0
    before: tuple[FairValueGap, ...] = ()
    for count in range(1, 401):
        now = fair_value_gaps(*(array[:count] for array in candles[:4]), impulse_min=0.8)
        followed = [zone for zone in now if zone.age > 0]
        kept = [zone for zone in before if zone.age < 50]
        assert [zone._replace(touched=None, broken=None) for zone in followed] == [
            zone._replace(age=zone.age + 1, touched=None, broken=None) for zone in kept
        ]
        for was, then in zip(kept, followed, strict=True):
            assert then.touched in ((None, 0) if was.touched is None else (was.touched + 1,))
            assert then.broken in ((None, 0) if was.broken is None else (was.broken + 1,))
        assert [zone.age for zone in now] == sorted((zone.age for zone in now), reverse=True)
        seen += len(now) - len(followed)
        before = now
    assert seen > 10


def test_nothing_depends_on_candles_older_than_the_window_said_to_suffice() -> None:
    candles = walk(3, 400)
    for count in range(100, 401, 7):
        columns = [array[:count] for array in candles[:4]]
        enough = [array[-(14 + 50 + 3) :] for array in columns]
        assert fair_value_gaps(*columns, impulse_min=0.8) == fair_value_gaps(*enough, impulse_min=0.8)
