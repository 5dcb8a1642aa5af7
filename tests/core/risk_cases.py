"""Entries for the tests of the risk gate: one that every rule allows, and for each rule one that it alone refuses."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from events.identifiers import Symbol
from events.values import FeeSchedule, Instrument, PositionSide, ProfitGuard, RiskLimits, StopGuard
from oxbot.core.risk import RULES, Denial, EntryContext, assess

BTC = Symbol("BTC/USDT")
ETH = Symbol("ETH/USDT")
SOL = Symbol("SOL/USDT")
NOW = datetime(2024, 5, 6, 12, tzinfo=UTC)
STEP = timedelta(minutes=5)
LOOSE = RiskLimits(
    position_fraction_max=Decimal(100),
    positions_max=100,
    exposure_fraction_max=Decimal(100),
    leverage_max=Decimal(100),
)
SPOT = Instrument(symbol=BTC, tick=Decimal("0.01"), lot=Decimal("1e-8"), leverage_max=Decimal(100))
PERPETUAL = replace(SPOT, kind="perpetual")

ENTRY = EntryContext(
    symbol=BTC,
    side="long",
    instrument=SPOT,
    notional=Decimal(500),
    mark=Decimal(100),
    at=NOW,
    timeframe=STEP,
    equity=Decimal(10000),
    free_cash=Decimal(10000),
    fees=FeeSchedule(maker=Decimal("0.0005"), taker=Decimal("0.001")),
    limits=LOOSE,
    exposures={},
    day_start_equity=Decimal(10000),
    high_water=Decimal(10000),
)
"""500 of BTC at 100, by a bot of 10,000 that holds nothing and has no limit that matters."""


class Trade(NamedTuple):
    """A closed trade as the gate looks at it."""

    symbol: Symbol = BTC
    net: Decimal = Decimal(-10)
    entry_cost: Decimal = Decimal(500)
    closed_at: datetime = NOW
    reason: str = "stop_loss"


def closed(*ages: int, net: str = "-10", symbol: Symbol = BTC, reason: str = "stop_loss") -> tuple[Trade, ...]:
    """Trades that closed so many candles ago."""
    return tuple(Trade(symbol, Decimal(net), Decimal(500), NOW - age * STEP, reason) for age in ages)


def entry(
    limits: Mapping[str, object] | None = None, *, side: PositionSide = "long", **changes: object
) -> EntryContext:
    """``ENTRY`` with other limits and other circumstances; texts become decimals. A short is of a perpetual."""
    if side == "short":
        changes = {"instrument": replace(ENTRY.instrument, kind="perpetual"), **changes}
    decimals = {name: _exactly(value) for name, value in changes.items()}
    wanted = {name: _exactly(value) for name, value in (limits or {}).items()}
    return replace(ENTRY, side=side, limits=replace(LOOSE, **wanted), **decimals)


def refusing(context: EntryContext) -> set[str]:
    """Every rule, asked by itself, that refuses the entry."""
    return {name for name, rule in RULES.items() if assess(context, {name: rule}) is not None}


def only_refusal(context: EntryContext) -> Denial:
    """Why the gate refuses the entry, for which there is exactly one reason."""
    denial = assess(context)
    assert denial is not None
    assert refusing(context) == {denial.rule}
    return denial


class Case(NamedTuple):
    """An entry exactly at a rule's limit, one beyond it, and the limit and value that the refusal names."""

    rule: str
    at_limit: EntryContext
    beyond: EntryContext
    limit: str
    value: str


def _exactly(value: object) -> object:
    if isinstance(value, str) and value[:1] in "-0123456789":
        return Decimal(value)
    if isinstance(value, dict):
        return {name: _exactly(each) for name, each in value.items()}
    return value


_GUARD = StopGuard(stops_max=2, lookback_candles=3, pause_candles=5)
_PROFIT = ProfitGuard(trades_min=2, lookback_candles=10, return_min=Decimal("0.01"), pause_candles=5)

CASES: dict[str, Case] = {
    "trading_state": Case("trading_state", entry(), entry(trading_state="reducing"), "0", "1"),
    "trading_state, halted": Case("trading_state", entry(), entry(trading_state="halted"), "0", "2"),
    "live_arming": Case("live_arming", entry(), entry(armed=False), "0", "1"),
    "data_quality": Case("data_quality", entry(), entry(data_ok=False), "0", "1"),
    "short_selling": Case(
        "short_selling",
        entry(side="short"),
        entry(side="short", instrument=ENTRY.instrument),
        "0",
        "1",
    ),
    "order_validity": Case("order_validity", entry(), entry(order_fault="it cannot be"), "0", "1"),
    "one_position_per_symbol": Case(
        "one_position_per_symbol", entry(exposures={ETH: "1"}), entry(exposures={BTC: "0"}), "1", "2"
    ),
    "positions_max": Case(
        "positions_max",
        entry({"positions_max": 2}, exposures={ETH: "1"}),
        entry({"positions_max": 2}, exposures={ETH: "1", SOL: "-1"}),
        "2",
        "3",
    ),
    "position_fraction_max": Case(
        "position_fraction_max",
        entry({"position_fraction_max": "0.05"}),
        entry({"position_fraction_max": "0.0499999"}),
        "499.999",
        "500",
    ),
    "exposure_fraction_max": Case(
        "exposure_fraction_max",
        entry({"exposure_fraction_max": "0.2"}, exposures={ETH: "1000", SOL: "-500"}),
        entry({"exposure_fraction_max": "0.2"}, exposures={ETH: "1000", SOL: "-500.01"}),
        "2000",
        "2000.01",
    ),
    "net_exposure_fraction_max": Case(
        "net_exposure_fraction_max",
        entry({"net_exposure_fraction_max": "0.1"}, exposures={ETH: "1000", SOL: "-500"}),
        entry({"net_exposure_fraction_max": "0.1"}, exposures={ETH: "1000", SOL: "-499.99"}),
        "1000",
        "1000.01",
    ),
    "net_exposure_fraction_max, short": Case(
        "net_exposure_fraction_max",
        entry({"net_exposure_fraction_max": "0.1"}, side="short", exposures={ETH: "-500"}),
        entry({"net_exposure_fraction_max": "0.1"}, side="short", exposures={ETH: "-500.01"}),
        "1000",
        "1000.01",
    ),
    "correlated_exposure_fraction_max": Case(
        "correlated_exposure_fraction_max",
        entry({"correlated_exposure_fraction_max": "0.1"}, exposures={ETH: "500"}, correlations={ETH: 0.7}),
        entry({"correlated_exposure_fraction_max": "0.1"}, exposures={ETH: "500.01"}, correlations={ETH: 0.7}),
        "1000",
        "1000.01",
    ),
    "correlation_min": Case(
        "correlated_exposure_fraction_max",
        entry({"correlated_exposure_fraction_max": "0.1"}, exposures={ETH: "501"}, correlations={ETH: 0.69}),
        entry({"correlated_exposure_fraction_max": "0.1"}, exposures={ETH: "501"}, correlations={ETH: 0.7}),
        "1000",
        "1001",
    ),
    "leverage_max": Case(
        "leverage_max", entry({"leverage_max": "3"}, leverage="3"), entry({"leverage_max": "3"}, leverage="4"), "3", "4"
    ),
    "leverage_max, the venue's": Case(
        "leverage_max",
        entry(leverage="100"),
        entry(leverage="2", instrument=replace(SPOT, leverage_max=Decimal(1))),
        "1",
        "2",
    ),
    "free_cash": Case("free_cash", entry(free_cash="500.5"), entry(free_cash="500.49"), "500.49", "500.5"),
    "free_cash, margin": Case(
        "free_cash",
        entry(instrument=PERPETUAL, leverage="5", free_cash="100.5"),
        entry(instrument=PERPETUAL, leverage="5", free_cash="100.499"),
        "100.499",
        "100.5",
    ),
    "sizing": Case("sizing", entry(notional="1e-8"), entry(notional="0"), "0", "0"),
    "minimum_notional": Case(
        "minimum_notional",
        entry(instrument=replace(SPOT, minimum_notional=Decimal(500))),
        entry(instrument=replace(SPOT, minimum_notional=Decimal("500.01"))),
        "500.01",
        "500",
    ),
    "notional_min": Case(
        "notional_min", entry({"notional_min": "500"}), entry({"notional_min": "500.01"}), "500.01", "500"
    ),
    "bracket_geometry, stop": Case(
        "bracket_geometry",
        entry(stop="99.99", target="100.01"),
        entry(stop="100", target="101", instrument=replace(SPOT, tick=Decimal(0))),
        "100",
        "100",
    ),
    "bracket_geometry, target": Case(
        "bracket_geometry",
        entry(side="short", stop="100.01", target="99.99"),
        entry(side="short", stop="101", target="100", instrument=replace(SPOT, kind="perpetual", tick=Decimal(0))),
        "100",
        "100",
    ),
    "bracket_geometry, below nothing": Case("bracket_geometry", entry(stop="0"), entry(stop="-1"), "100", "-1"),
    "tick_fits_bracket": Case(
        "tick_fits_bracket",
        entry(stop="98", target="104", instrument=replace(SPOT, tick=Decimal(2))),
        entry(stop="98", target="104", instrument=replace(SPOT, tick=Decimal("2.01"))),
        "2",
        "2.01",
    ),
    "stop_distance_min": Case(
        "stop_distance_min",
        entry({"stop_distance_min": "0.015"}, stop="98.5"),
        entry({"stop_distance_min": "0.015"}, stop="98.51"),
        "1.5",
        "1.49",
    ),
    "stop_distance_min, no stop": Case(
        "stop_distance_min",
        entry({"stop_distance_min": "0.015"}, stop="98.5"),
        entry({"stop_distance_min": "0.015"}),
        "1.5",
        "0",
    ),
    "stop_distance_max": Case(
        "stop_distance_max",
        entry({"stop_distance_max": "0.1"}, side="short", stop="110"),
        entry({"stop_distance_max": "0.1"}, side="short", stop="110.01"),
        "10",
        "10.01",
    ),
    "stop_distance_max, no stop": Case(
        "stop_distance_max",
        entry({"stop_distance_max": "0.1"}, stop="90"),
        entry({"stop_distance_max": "0.1"}),
        "10",
        "100",
    ),
    "reward_risk_min": Case(
        "reward_risk_min",
        entry({"reward_risk_min": "1.3"}, mark="0.3", stop="0.2", target="0.43"),
        entry({"reward_risk_min": "1.3"}, mark="0.3", stop="0.2", target="0.42999"),
        "0.13",
        "0.12999",
    ),
    "reward_risk_min, no target": Case(
        "reward_risk_min",
        entry({"reward_risk_min": "1.3"}, stop="99", target="101.3"),
        entry({"reward_risk_min": "1.3"}, stop="99"),
        "1.3",
        "0",
    ),
    "reward_fees_min": Case(
        "reward_fees_min",
        entry({"reward_fees_min": "3"}, side="short", entry_price="1003", mark="1000", target="997"),
        entry({"reward_fees_min": "3"}, side="short", entry_price="1003", mark="1000", target="998"),
        "6.003",
        "5",
    ),
    "liquidation_distance_min": Case(
        "liquidation_distance_min",
        entry({"liquidation_distance_min": "2"}, stop="95", liquidation_price="90"),
        entry({"liquidation_distance_min": "2"}, stop="95", liquidation_price="90.01"),
        "10",
        "9.99",
    ),
    "liquidation_distance_min, no stop": Case(
        "liquidation_distance_min",
        entry({"liquidation_distance_min": "1"}),
        entry({"liquidation_distance_min": "1"}, side="short", liquidation_price="199"),
        "100",
        "99",
    ),
    "confidence_min": Case(
        "confidence_min",
        entry({"confidence_min": "0.65"}, confidence="0.65"),
        entry({"confidence_min": "0.65"}, confidence="0.6499"),
        "0.65",
        "0.6499",
    ),
    "confidence_min, none": Case(
        "confidence_min",
        entry({"confidence_min": "0.01"}, confidence="0.01"),
        entry({"confidence_min": "0.01"}),
        "0.01",
        "0",
    ),
    "drawdown_max": Case(
        "drawdown_max",
        entry({"drawdown_max": "0.2"}, high_water="12500"),
        entry({"drawdown_max": "0.2"}, high_water="12501"),
        "2500.2",
        "2501",
    ),
    "daily_loss_max": Case(
        "daily_loss_max",
        entry({"daily_loss_max": "0.2"}, day_start_equity="12500"),
        entry({"daily_loss_max": "0.2"}, day_start_equity="12501"),
        "2500.2",
        "2501",
    ),
    "trades_per_day_max": Case(
        "trades_per_day_max",
        entry({"trades_per_day_max": 3}, entries_today=2),
        entry({"trades_per_day_max": 3}, entries_today=3),
        "3",
        "4",
    ),
    "entries_per_cycle_max": Case(
        "entries_per_cycle_max",
        entry({"entries_per_cycle_max": 1}),
        entry({"entries_per_cycle_max": 1}, entries_this_cycle=1),
        "1",
        "2",
    ),
    "cooldown_candles": Case(
        "cooldown_candles",
        entry({"cooldown_candles": 3}, trades=[*closed(3), *closed(0, symbol=ETH)]),
        entry({"cooldown_candles": 3}, trades=[*closed(9), *closed(2, net="10", reason="take_profit")]),
        "3",
        "2",
    ),
    "stop_guard": Case(
        "stop_guard",
        entry({"stop_guard": _GUARD}, trades=closed(7, 5)),
        entry({"stop_guard": _GUARD}, trades=[*closed(4), *closed(6, symbol=ETH, reason="trailing_stop")]),
        "5",
        "4",
    ),
    "profit_guard": Case(
        "profit_guard",
        entry({"profit_guard": _PROFIT}, trades=[*closed(9, 1, net="5"), *closed(0, symbol=ETH)]),
        entry({"profit_guard": _PROFIT}, trades=[*closed(9, net="5"), *closed(4, net="4.99")]),
        "5",
        "4",
    ),
    "fleet_exposure_max": Case(
        "fleet_exposure_max",
        entry({"fleet_exposure_max": "0.5"}, fleet_exposure="9400", fleet_equity="10000", exposures={ETH: "-100"}),
        entry({"fleet_exposure_max": "0.5"}, fleet_exposure="9400", fleet_equity="10000", exposures={ETH: "-101"}),
        "10000",
        "10001",
    ),
    "fleet_exposure_max, not known": Case(
        "fleet_exposure_max",
        entry({"fleet_exposure_max": "0.5"}, fleet_exposure="0", fleet_equity="0"),
        entry({"fleet_exposure_max": "0.5"}, fleet_equity="0"),
        "0",
        "500",
    ),
    "fleet_net_exposure_max": Case(
        "fleet_net_exposure_max",
        entry(
            {"fleet_net_exposure_max": "0.5"}, fleet_net_exposure="9600", fleet_equity="10000", exposures={ETH: "-100"}
        ),
        entry(
            {"fleet_net_exposure_max": "0.5"}, fleet_net_exposure="9600", fleet_equity="10000", exposures={ETH: "-99"}
        ),
        "10000",
        "10001",
    ),
    "fleet_net_exposure_max, not known": Case(
        "fleet_net_exposure_max",
        entry({"fleet_net_exposure_max": "0.5"}, fleet_net_exposure="0", fleet_equity="0"),
        entry({"fleet_net_exposure_max": "0.5"}, fleet_net_exposure="0"),
        "0",
        "500",
    ),
}
"""For each rule at least one; every one of them is refused for a single reason."""
