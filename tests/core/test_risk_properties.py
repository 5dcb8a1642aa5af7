"""What holds of the gate whatever the numbers: exactly at a limit passes, and loosening a limit never refuses more."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from events.values import ProfitGuard, RiskLimits, StopGuard
from oxbot.core.ledger import initial_margin
from oxbot.core.money import exact
from oxbot.core.risk import RULES, EntryContext, assess
from tests.core.risk_cases import BTC, ENTRY, ETH, NOW, PERPETUAL, SOL, SPOT, STEP, Trade, entry

At = Callable[[Decimal, Decimal, Decimal], EntryContext]
"""An entry that is so far beyond (or exactly at) the limit, for some other amount."""

AT: dict[str, At] = {
    "position_fraction_max": lambda limit, beyond, amount: entry(
        {"position_fraction_max": limit}, equity=amount, notional=limit * amount + beyond, free_cash=10**30
    ),
    "exposure_fraction_max": lambda limit, beyond, amount: entry(
        {"exposure_fraction_max": limit},
        equity=amount,
        notional=limit * amount / 2,
        exposures={ETH: -(limit * amount / 2 + beyond)},
        free_cash=10**30,
    ),
    "net_exposure_fraction_max": lambda limit, beyond, amount: entry(
        {"net_exposure_fraction_max": limit},
        equity=amount,
        notional=limit * amount / 2,
        exposures={ETH: limit * amount + beyond, SOL: -limit * amount / 2},
        free_cash=10**30,
    ),
    "correlated_exposure_fraction_max": lambda limit, beyond, amount: entry(
        {"correlated_exposure_fraction_max": limit},
        equity=amount,
        notional=limit * amount / 2,
        exposures={ETH: -(limit * amount / 2 + beyond), SOL: amount},
        correlations={ETH: -1.0, SOL: 0.0},
        free_cash=10**30,
    ),
    "leverage_max": lambda limit, beyond, _: entry({"leverage_max": limit}, leverage=limit + beyond),
    "free_cash": lambda limit, beyond, amount: entry(
        leverage=limit + 1,
        instrument=PERPETUAL,
        notional=amount,
        free_cash=initial_margin(amount, limit + 1) + amount * ENTRY.fees.taker - beyond,
        equity=10**30,
    ),
    "minimum_notional": lambda limit, beyond, _: entry(
        instrument=replace(SPOT, minimum_notional=limit + beyond), notional=limit
    ),
    "notional_min": lambda limit, beyond, _: entry({"notional_min": limit + beyond}, notional=limit),
    "tick_fits_bracket": lambda limit, beyond, amount: entry(
        mark=amount + limit, stop=amount, instrument=replace(SPOT, tick=limit + beyond)
    ),
    "stop_distance_min": lambda limit, beyond, amount: entry(
        {"stop_distance_min": limit}, mark=amount, stop=amount * (1 - limit) + beyond
    ),
    "stop_distance_max": lambda limit, beyond, amount: entry(
        {"stop_distance_max": limit}, side="short", mark=amount, stop=amount * (1 + limit) + beyond
    ),
    "reward_risk_min": lambda limit, beyond, amount: entry(
        {"reward_risk_min": limit}, mark=amount + 1, stop=amount, target=amount + 1 + limit - beyond
    ),
    "reward_fees_min": lambda limit, beyond, amount: entry(
        {"reward_fees_min": limit},
        fees=replace(ENTRY.fees, taker=Decimal("0.5")),
        side="short",
        free_cash=10**30,
        mark=amount * (1 + limit / 2),
        target=amount * (1 - limit / 2) + beyond,
    ),
    "liquidation_distance_min": lambda limit, beyond, amount: entry(
        {"liquidation_distance_min": limit},
        mark=amount,
        stop=amount * Decimal("0.5"),
        liquidation_price=amount - limit * amount * Decimal("0.5") + beyond,
    ),
    "confidence_min": lambda limit, beyond, _: entry({"confidence_min": limit}, confidence=limit - beyond),
    "drawdown_max": lambda limit, beyond, amount: entry(
        {"drawdown_max": limit}, high_water=amount, equity=amount * (1 - limit) - beyond
    ),
    "daily_loss_max": lambda limit, beyond, amount: entry(
        {"daily_loss_max": limit}, day_start_equity=amount, equity=amount * (1 - limit) - beyond
    ),
    "fleet_exposure_max": lambda limit, beyond, amount: entry(
        {"fleet_exposure_max": limit},
        fleet_equity=amount,
        fleet_exposure=limit * (amount + ENTRY.equity) - ENTRY.notional + beyond,
    ),
    "fleet_net_exposure_max": lambda limit, beyond, amount: entry(
        {"fleet_net_exposure_max": limit},
        fleet_equity=amount,
        fleet_net_exposure=-limit * (amount + ENTRY.equity) + ENTRY.notional - beyond,
        side="short",
    ),
}

FRACTIONS = st.decimals("0.0001", "0.9", places=6)
AMOUNTS = st.decimals("0.000021", 10**9, places=8)
BEYOND = st.sampled_from([Decimal(0), Decimal("1e-18"), Decimal("1e-9")])


@pytest.mark.parametrize("name", AT)
@settings(max_examples=30)
@given(limit=FRACTIONS, beyond=BEYOND, amount=AMOUNTS)
def test_a_rule_allows_its_limit_to_the_last_digit_and_nothing_beyond(
    name: str, limit: Decimal, beyond: Decimal, amount: Decimal
) -> None:
    with exact():
        context = AT[name](limit, beyond, amount)
    denial = assess(context, {name: RULES[name]})
    assert (denial is not None) == (beyond > 0), denial
    if denial is not None:
        assert denial.limit != denial.value


def test_every_limit_that_is_a_decimal_is_tried_to_the_last_digit() -> None:
    counted = {
        "trading_state", "live_arming", "data_quality", "short_selling", "order_validity", "one_position_per_symbol",
        "positions_max", "sizing",
        "bracket_geometry",
        "trades_per_day_max", "entries_per_cycle_max", "cooldown_candles", "stop_guard", "profit_guard",
    }  # fmt: skip
    assert set(AT) | counted == set(RULES)


PRICES = st.decimals("50", "150", places=2)
COUNTS = st.integers(1, 5)
SYMBOLS = st.sampled_from([BTC, ETH, SOL])
SIGNED = st.decimals(-20000, 20000, places=2)
TRADES = st.builds(
    Trade,
    symbol=SYMBOLS,
    net=st.integers(-200, 200).map(lambda tenths: Decimal(tenths) / 10),
    entry_cost=st.just(Decimal(500)),
    closed_at=st.integers(0, 8).map(lambda age: NOW - age * STEP),
    reason=st.sampled_from(["stop_loss", "take_profit"]),
)
GUARDS = st.builds(StopGuard, stops_max=COUNTS, lookback_candles=COUNTS, pause_candles=COUNTS, per_symbol=st.booleans())
PROFIT_GUARDS = st.builds(
    ProfitGuard,
    trades_min=COUNTS,
    lookback_candles=COUNTS,
    return_min=st.decimals("-0.03", "0.03", places=3),
    pause_candles=COUNTS,
)
RATIOS = st.decimals("0.001", "3", places=3)
LIMITS = st.builds(
    RiskLimits,
    **{
        name: {"stop_guard": st.none() | GUARDS, "profit_guard": st.none() | PROFIT_GUARDS}.get(
            name,
            (COUNTS if "positions" in name else RATIOS)
            if getattr(RiskLimits(), name) is not None
            else st.none() | (COUNTS if "_per_" in name or "candles" in name else RATIOS),
        )
        for name in RiskLimits.__struct_fields__
    },
)
CONTEXTS = st.builds(
    replace,
    st.just(ENTRY),
    limits=LIMITS,
    side=st.sampled_from(["long", "short"]),
    notional=st.decimals(1, 20000, places=2),
    leverage=RATIOS,
    stop=st.none() | PRICES,
    target=st.none() | PRICES,
    confidence=st.none() | FRACTIONS,
    exposures=st.dictionaries(st.sampled_from([ETH, SOL]), SIGNED),
    correlations=st.dictionaries(st.sampled_from([ETH, SOL]), st.floats(-1, 1)),
    high_water=st.none() | st.decimals(9000, 13000, places=2),
    day_start_equity=st.decimals(9000, 13000, places=2),
    trades=st.lists(TRADES, max_size=6),
    entries_today=st.integers(0, 5),
    entries_this_cycle=st.integers(0, 5),
    liquidation_price=st.none() | PRICES,
    fleet_exposure=st.none() | st.decimals(0, 20000, places=2),
    fleet_net_exposure=st.none() | SIGNED,
    fleet_equity=st.none() | st.decimals(0, 20000, places=2),
)

TIGHTER_WHEN_HIGHER = {
    "notional_min", "stop_distance_min", "reward_risk_min", "reward_fees_min", "liquidation_distance_min",
    "confidence_min", "cooldown_candles", "lookback_candles", "pause_candles", "return_min",
}  # fmt: skip
NO_DIRECTION = {("profit_guard", "lookback_candles")}
"""A longer lookback may find better trades as well as worse ones."""
NUMBERS = [
    *((name, "") for name in RiskLimits.__struct_fields__ if not name.endswith("_guard")),
    *(("stop_guard", name) for name in StopGuard.__struct_fields__),
    *(("profit_guard", name) for name in ProfitGuard.__struct_fields__),
]


def loosened(limits: RiskLimits, field: str, within: str, step: int) -> RiskLimits:
    """The limits with one of them looser by so much; not set where it was not."""
    held = getattr(limits, field)
    if held is None:
        return limits
    name, value = (within, getattr(held, within)) if within else (field, held)
    looser = value - min(step, value) if name in TIGHTER_WHEN_HIGHER and value > 0 else value + step
    if name in TIGHTER_WHEN_HIGHER and value <= 0:
        looser = value - step
    if name == "per_symbol":
        looser = True
    return replace(limits, **{field: replace(held, **{within: looser}) if within else looser})


@settings(max_examples=300)
@given(
    number=st.sampled_from([number for number in NUMBERS if number not in NO_DIRECTION]),
    context=CONTEXTS,
    step=st.sampled_from([1, 2, 10]),
)
def test_loosening_a_limit_never_refuses_what_was_allowed(
    number: tuple[str, str], context: EntryContext, step: int
) -> None:
    field, within = number
    assume(getattr(context.limits, field) is not None)
    rule = next(name for name, known in RULES.items() if field in known.limits)
    looser = replace(context, limits=loosened(context.limits, field, within, step))
    for rules in ({rule: RULES[rule]}, RULES):
        if assess(context, rules) is None:
            assert assess(looser, rules) is None


@given(field=st.sampled_from([name for name, value in asdict(RiskLimits()).items() if value is None]), context=CONTEXTS)
def test_a_limit_that_is_not_set_refuses_nothing(field: str, context: EntryContext) -> None:
    without = replace(context, limits=replace(context.limits, **{field: None}))
    rule = next(name for name, known in RULES.items() if field in known.limits)
    assert assess(without, {rule: RULES[rule]}) is None
    if assess(context) is None:
        assert assess(without) is None


@settings(max_examples=50)
@given(context=CONTEXTS)
def test_the_verdict_is_the_first_rule_that_refuses(context: EntryContext) -> None:
    alone = [assess(context, {name: rule}) for name, rule in RULES.items()]
    assert assess(context) == next((denial for denial in alone if denial is not None), None)


@settings(max_examples=50)
@given(context=CONTEXTS)
def test_the_order_of_the_trades_does_not_matter(context: EntryContext) -> None:
    assert assess(context) == assess(replace(context, trades=list(reversed(context.trades))))
