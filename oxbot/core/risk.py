"""The one gate that every entry passes: each limit is a rule in one table, each refusal names rule, limit and value.

Exits never come here. What may pass in which trading state is in ``LETS_THROUGH``.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple, get_args

import msgspec

from events.bot import OrderReason, TradingState
from events.values import RiskLimits
from oxbot.core import risk_rules as size
from oxbot.core import risk_rules_bracket as bracket
from oxbot.core import risk_rules_history as history
from oxbot.core.money import exact
from oxbot.core.risk_context import EntryContext, Finding
from oxbot.core.risk_limits import LIMITS, InvalidLimits, check_limits, value_text
from oxbot.core.risk_rules_history import daily_loss, drawdown

__all__ = [
    "AFTER_FLEET", "LETS_THROUGH", "RULES", "Denial", "EntryContext", "InvalidLimits", "LimitRow", "Rule", "assess",
    "check_limits", "limits_table", "passed_loss_limits",
]  # fmt: skip


class Denial(NamedTuple):
    """Why an entry was refused: the rule, what it allows, and what was asked."""

    rule: str
    limit: Decimal
    value: Decimal


class Rule(NamedTuple):
    """What a rule computes, which limits it holds to, the unit of its findings, and what it demands, in words.

    It finds nothing (None) where its limit is not set or there is nothing to judge.
    """

    compute: Callable[[EntryContext], Finding | None]
    limits: tuple[str, ...]
    unit: str
    description: str


class LimitRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table of limits, all in words: ``limit`` is empty for a rule that nobody can set."""

    rule: str
    limit: str
    unit: str
    meaning: str
    default: str
    bounds: str


RULES: Mapping[str, Rule] = {
    "trading_state": Rule(size.trading_state, (), "state", "the bot and its fleet are active"),
    "live_arming": Rule(
        size.live_arming, (), "fault", "a bot that trades with real money is armed, and its account lets entries out"
    ),
    "data_quality": Rule(size.data_quality, (), "fault", "nothing is wrong with the symbol's data"),
    "short_selling": Rule(size.short_selling, (), "shorts", "only a perpetual is sold short"),
    "one_position_per_symbol": Rule(
        size.one_position_per_symbol, (), "positions", "the symbol has no position and no entry at work"
    ),
    "positions_max": Rule(
        size.positions_max, ("positions_max",), "positions", "most positions at once, entries at work included"
    ),
    "position_fraction_max": Rule(
        size.position_fraction_max, ("position_fraction_max",), "quote", "largest notional of one position"
    ),
    "exposure_fraction_max": Rule(
        size.exposure_fraction_max, ("exposure_fraction_max",), "quote", "largest notional of all positions together"
    ),
    "net_exposure_fraction_max": Rule(
        size.net_exposure_fraction_max,
        ("net_exposure_fraction_max",),
        "quote",
        "largest notional of longs less shorts, either way",
    ),
    "correlated_exposure_fraction_max": Rule(
        size.correlated_exposure_fraction_max,
        ("correlated_exposure_fraction_max", "correlation_min"),
        "quote",
        "largest notional of the entry and all positions that move with it",
    ),
    "leverage_max": Rule(
        size.leverage_max, ("leverage_max",), "times", "largest leverage; the venue's own limit holds as well"
    ),
    "free_cash": Rule(size.free_cash, (), "quote", "free cash pays for the entry, or its margin, and the taker fee"),
    "sizing": Rule(size.sizing, (), "quote", "the entry's size could be computed: it has the stop or range it needs"),
    "minimum_notional": Rule(size.minimum_notional, (), "quote", "at least the venue's smallest notional"),
    "notional_min": Rule(size.notional_min, ("notional_min",), "quote", "smallest notional of one position"),
    "bracket_geometry": Rule(
        bracket.bracket_geometry, (), "price", "stop below price below target; the other way round for a short"
    ),
    "tick_fits_bracket": Rule(
        bracket.tick_fits_bracket, (), "price", "the tick is no wider than the way to the stop or the target"
    ),
    "stop_distance_min": Rule(
        bracket.stop_distance_min, ("stop_distance_min",), "price", "nearest stop; an entry without one is refused"
    ),
    "stop_distance_max": Rule(
        bracket.stop_distance_max, ("stop_distance_max",), "price", "farthest stop; an entry without one is refused"
    ),
    "reward_risk_min": Rule(
        bracket.reward_risk_min, ("reward_risk_min",), "price", "smallest way to the target, in ways to the stop"
    ),
    "reward_fees_min": Rule(
        bracket.reward_fees_min,
        ("reward_fees_min",),
        "price",
        "smallest gain at the target, in round trips' taker fees",
    ),
    "liquidation_distance_min": Rule(
        bracket.liquidation_distance_min,
        ("liquidation_distance_min",),
        "price",
        "smallest way to the liquidation price, in ways to the stop",
    ),
    "confidence_min": Rule(
        bracket.confidence_min, ("confidence_min",), "confidence", "least confidence; an entry without one is refused"
    ),
    "drawdown_max": Rule(
        history.drawdown_max, ("drawdown_max",), "quote", "how far equity may be below its highest, deposits aside"
    ),
    "daily_loss_max": Rule(
        history.daily_loss_max, ("daily_loss_max",), "quote", "how far equity may have fallen since midnight (UTC)"
    ),
    "trades_per_day_max": Rule(
        history.trades_per_day_max, ("trades_per_day_max",), "entries", "most entries in one day (UTC)"
    ),
    "entries_per_cycle_max": Rule(
        history.entries_per_cycle_max, ("entries_per_cycle_max",), "entries", "most entries on one candle"
    ),
    "cooldown_candles": Rule(
        history.cooldown_candles, ("cooldown_candles",), "candles", "how long a symbol rests after each of its trades"
    ),
    "stop_guard": Rule(
        history.stop_guard, ("stop_guard",), "candles", "no entries for a while after too many losing stops"
    ),
    "profit_guard": Rule(
        history.profit_guard, ("profit_guard",), "candles", "no entries for a while in a symbol that earned too little"
    ),
    "fleet_exposure_max": Rule(
        size.fleet_exposure_max, ("fleet_exposure_max",), "quote", "largest notional of all the fleet's positions"
    ),
    "fleet_net_exposure_max": Rule(
        size.fleet_net_exposure_max,
        ("fleet_net_exposure_max",),
        "quote",
        "largest notional of the fleet's longs less its shorts, either way",
    ),
    "order_validity": Rule(size.order_validity, (), "faults", "the order and its exits are such as a venue can take"),
}
"""Every rule by name, in the order in which they are asked."""

AFTER_FLEET = frozenset(RULES) - frozenset(tuple(RULES)[: tuple(RULES).index("fleet_net_exposure_max") + 1])
"""The rules that are asked only of an entry for which the fleet's limits have room."""

LETS_THROUGH: Mapping[TradingState, frozenset[OrderReason]] = {
    "active": frozenset(get_args(OrderReason)),
    "reducing": frozenset(get_args(OrderReason)) - {"entry"},
    "halted": frozenset(get_args(OrderReason)) - {"entry", "exit_signal"},
}
"""Which orders may be requested in each trading state: when halted, protective exits and what a person asks for."""


def assess(context: EntryContext, rules: Mapping[str, Rule] = RULES) -> Denial | None:
    """The first rule that refuses the entry, or None if all allow it. A value exactly at its limit passes."""
    with exact():
        for name, rule in rules.items():
            finding = rule.compute(context)
            if finding is not None and not finding.kept:
                return Denial(name, finding.limit, finding.value)
    return None


def passed_loss_limits(
    limits: RiskLimits, *, equity: Decimal, high_water: Decimal | None, day_start_equity: Decimal
) -> list[Denial]:
    """The loss limits that equity is past, asked without an entry, so that a bot can be tripped; at one is not past."""
    with exact():
        findings: dict[str, Finding] = {}
        if limits.drawdown_max is not None and high_water is not None:
            findings["drawdown_max"] = drawdown(limits.drawdown_max, equity=equity, high_water=high_water)
        if limits.daily_loss_max is not None:
            findings["daily_loss_max"] = daily_loss(
                limits.daily_loss_max, equity=equity, day_start_equity=day_start_equity
            )
    return [Denial(name, found.limit, found.value) for name, found in findings.items() if not found.kept]


def limits_table() -> list[LimitRow]:
    """The rules in their order with every limit that can be set, for the API, the command line and the documents."""
    return [row for name, rule in RULES.items() for row in _rows(name, rule)]


def _rows(name: str, rule: Rule) -> Iterator[LimitRow]:
    paths = [path for path in LIMITS if path.split(".")[0] in rule.limits]
    if not paths:
        yield LimitRow(rule=name, limit="", unit="", meaning=rule.description, default="", bounds="")
    for path in paths:
        limit = LIMITS[path]
        yield LimitRow(
            rule=name,
            limit=path,
            unit=limit.unit,
            meaning=limit.meaning or rule.description,
            default=value_text(RiskLimits(), path),
            bounds=limit.bounds_text,
        )
