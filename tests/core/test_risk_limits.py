"""Limits are checked field by field, and one table of them serves the gate, the API, the command line and the docs."""

from decimal import Decimal

import msgspec
import pytest
from msgspec.structs import replace

from events.values import ProfitGuard, RiskLimits, StopGuard
from oxbot.core.risk import RULES, InvalidLimits, LimitRow, check_limits, limits_table
from oxbot.core.risk_limits import LIMITS, value_of
from tests.core.risk_cases import LOOSE

STOP_GUARD = StopGuard(stops_max=1, lookback_candles=1, pause_candles=1)
PROFIT_GUARD = ProfitGuard(trades_min=1, lookback_candles=1, return_min=Decimal(0), pause_candles=1)
EVERY = replace(
    LOOSE,
    net_exposure_fraction_max=Decimal(1),
    correlated_exposure_fraction_max=Decimal(1),
    notional_min=Decimal(1),
    stop_distance_min=Decimal("0.01"),
    stop_distance_max=Decimal("0.5"),
    reward_risk_min=Decimal(1),
    reward_fees_min=Decimal(1),
    liquidation_distance_min=Decimal(1),
    confidence_min=Decimal("0.5"),
    drawdown_max=Decimal("0.5"),
    daily_loss_max=Decimal("0.5"),
    trades_per_day_max=1,
    entries_per_cycle_max=1,
    cooldown_candles=0,
    stop_guard=STOP_GUARD,
    profit_guard=PROFIT_GUARD,
    fleet_exposure_max=Decimal(1),
    fleet_net_exposure_max=Decimal(1),
)
"""Every limit there is, with leverage up to 100."""

GUARDS: dict[str, type[StopGuard] | type[ProfitGuard]] = {"stop_guard": StopGuard, "profit_guard": ProfitGuard}

OUTSIDE = {
    "position_fraction_max": ("0", "100.1"),
    "positions_max": (0,),
    "exposure_fraction_max": ("0", "100.1"),
    "net_exposure_fraction_max": ("0", "100.1"),
    "correlated_exposure_fraction_max": ("0", "100.1"),
    "correlation_min": ("-0.1", "1.1"),
    "leverage_max": ("0.9", "125.1"),
    "notional_min": ("0",),
    "stop_distance_min": ("0", "1"),
    "stop_distance_max": ("0", "1"),
    "reward_risk_min": ("0", "1000.1"),
    "reward_fees_min": ("0", "1000.1"),
    "liquidation_distance_min": ("0.9", "1000.1"),
    "confidence_min": ("0", "1.1"),
    "drawdown_max": ("0", "1.1"),
    "daily_loss_max": ("0", "1.1"),
    "trades_per_day_max": (0,),
    "entries_per_cycle_max": (0,),
    "cooldown_candles": (-1, 10_001),
    "stop_guard.stops_max": (0, 101),
    "stop_guard.lookback_candles": (0, 10_001),
    "stop_guard.pause_candles": (0, 10_001),
    "stop_guard.per_symbol": (),
    "profit_guard.trades_min": (0, 101),
    "profit_guard.lookback_candles": (0, 10_001),
    "profit_guard.return_min": ("-1.1", "10.1"),
    "profit_guard.pause_candles": (0, 10_001),
    "fleet_exposure_max": ("0", "125.1"),
    "fleet_net_exposure_max": ("0", "125.1"),
}


def having(path: str, value: str | int) -> RiskLimits:
    """``EVERY`` limit, one of them with another value; a text is a decimal."""
    number = Decimal(value) if isinstance(value, str) else value
    field, _, within = path.partition(".")
    return replace(EVERY, **{field: replace(getattr(EVERY, field), **{within: number}) if within else number})


def readme_table() -> str:
    """The table of limits as the README prints it."""
    lines = ["| Rule | Limit | Unit | Meaning | Default | Allowed |", "|---|---|---|---|---|---|"]
    for row in limits_table():
        limit = f"`{row.limit}`" if row.limit else "(always on)"
        lines.append(f"| `{row.rule}` | {limit} | {row.unit} | {row.meaning} | {row.default} | {row.bounds} |")
    return "\n".join(lines)


def paths(kind: type[msgspec.Struct], prefix: str = "") -> set[str]:
    """Every number of the limits, by path."""
    found = set()
    for field in msgspec.structs.fields(kind):
        guard = GUARDS.get(field.name)
        found |= paths(guard, f"{field.name}.") if guard else {f"{prefix}{field.name}"}
    return found


def test_every_limit_there_is_is_used_by_exactly_one_rule() -> None:
    used = [name for rule in RULES.values() for name in rule.limits]
    assert sorted(used) == sorted(field.name for field in msgspec.structs.fields(RiskLimits))


def test_every_limit_there_is_has_a_unit_and_bounds() -> None:
    assert set(LIMITS) == paths(RiskLimits)
    assert set(OUTSIDE) == set(LIMITS)


def test_limits_within_their_bounds_are_allowed() -> None:
    check_limits(RiskLimits())
    check_limits(EVERY)


@pytest.mark.parametrize(("path", "value"), [(path, value) for path in OUTSIDE for value in OUTSIDE[path]])
def test_a_limit_out_of_bounds_is_refused_by_name(path: str, value: str | int) -> None:
    with pytest.raises(
        InvalidLimits, match=rf"(^|; )limit {path} must be (above|at least) [^;]*, not {value}"
    ) as refusal:
        check_limits(having(path, value))
    others = set(OUTSIDE) - {path}
    named = {other for other in others if f"limit {other} must be" in str(refusal.value)}
    assert named <= ({"stop_distance_max"} if path == "stop_distance_min" else set()) | (
        {name for name in others if LIMITS[name].leveraged} if path == "leverage_max" else set()
    )


def test_every_bad_limit_is_named() -> None:
    with pytest.raises(InvalidLimits, match=r"^limit positions_max .*; limit confidence_min "):
        check_limits(replace(EVERY, positions_max=0, confidence_min=Decimal(2)))


def test_a_limit_finer_than_money_is_refused() -> None:
    with pytest.raises(InvalidLimits, match=r"^limit drawdown_max is 1E-19, but may have at most 18 decimals$"):
        check_limits(replace(EVERY, drawdown_max=Decimal("1e-19")))


@pytest.mark.parametrize("name", ["position_fraction_max", "exposure_fraction_max"])
def test_without_leverage_no_more_than_equity_may_be_held(name: str) -> None:
    check_limits(replace(RiskLimits(), **{name: Decimal(1)}))
    with pytest.raises(InvalidLimits, match=f"limit {name} must be above 0 and at most 1, not 1.0001"):
        check_limits(replace(RiskLimits(), **{name: Decimal("1.0001")}))
    check_limits(replace(RiskLimits(), leverage_max=Decimal(2), **{name: Decimal(2)}))


def test_the_farthest_stop_cannot_be_nearer_than_the_nearest() -> None:
    check_limits(replace(EVERY, stop_distance_min=Decimal("0.1"), stop_distance_max=Decimal("0.1")))
    with pytest.raises(InvalidLimits, match=r"stop_distance_max must be at least stop_distance_min, 0\.2, not 0\.1"):
        check_limits(replace(EVERY, stop_distance_min=Decimal("0.2"), stop_distance_max=Decimal("0.1")))


def test_a_limit_is_found_by_its_path() -> None:
    assert value_of(EVERY, "stop_guard.pause_candles") == 1
    assert value_of(RiskLimits(), "stop_guard.pause_candles") is None
    assert value_of(RiskLimits(), "positions_max") == 5


def test_the_table_has_a_row_for_every_rule_and_every_limit() -> None:
    rows = limits_table()
    assert list(dict.fromkeys(row.rule for row in rows)) == list(RULES)
    assert sorted(row.limit for row in rows if row.limit) == sorted(LIMITS)
    assert all(row.meaning for row in rows)
    assert len({row.meaning for row in rows}) == len(rows)


def test_a_row_says_unit_meaning_default_and_bounds() -> None:
    rows = {row.limit: row for row in limits_table()}
    assert rows["position_fraction_max"] == LimitRow(
        rule="position_fraction_max",
        limit="position_fraction_max",
        unit="fraction of equity",
        meaning="largest notional of one position",
        default="0.25",
        bounds="above 0 and at most leverage_max",
    )
    assert (rows["drawdown_max"].default, rows["drawdown_max"].bounds) == ("none", "above 0 and at most 1")
    assert rows["stop_guard.per_symbol"].bounds == "yes or no"


def test_the_table_can_be_printed() -> None:
    lines = readme_table().splitlines()
    assert len(lines) == 2 + len(limits_table())
    assert {line.count("|") for line in lines} == {7}
    assert "| `free_cash` | (always on) |" in readme_table()
    assert "| `stop_guard` | `stop_guard.stops_max` | trades |" in readme_table()
