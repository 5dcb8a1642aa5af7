"""The rules of the risk gate about an entry's stop and target: sides, distances, what is won against what is lost."""

from decimal import Decimal

from oxbot.core.money import ZERO
from oxbot.core.risk_context import EntryContext, Finding, at_least, at_most


def bracket_geometry(entry: EntryContext) -> Finding | None:
    """The level that is on the wrong side of the price (stop < price < target for a long), against the price.

    So must the liquidation price be where the stop is: what the venue would end at once is never entered.
    """
    for level, distance in ((entry.stop, entry.risk), (entry.target, entry.reward)):
        if level is not None and distance is not None and (distance <= 0 or level < 0):
            return Finding(entry.price, level, kept=False)
    ends = entry.liquidation_price
    if ends is not None and entry.directed(entry.price - ends) <= 0:
        return Finding(entry.price, ends, kept=False)
    return None


def tick_fits_bracket(entry: EntryContext) -> Finding | None:
    """The tick: one wider than the way to the stop or the target could put them on the wrong side of the price."""
    distances = [distance for distance in (entry.risk, entry.reward) if distance is not None]
    return at_most(min(distances), entry.instrument.tick) if distances else None


def stop_distance_min(entry: EntryContext) -> Finding | None:
    """The way to the stop; an entry without one has none to show."""
    limit = entry.limits.stop_distance_min
    return None if limit is None else at_least(limit * entry.price, ZERO if entry.risk is None else entry.risk)


def stop_distance_max(entry: EntryContext) -> Finding | None:
    """The way to the stop; without one the whole price can be lost."""
    limit = entry.limits.stop_distance_max
    return None if limit is None else at_most(limit * entry.price, _risk(entry))


def reward_risk_min(entry: EntryContext) -> Finding | None:
    """The way to the target, against the way to the stop; before fees, compared as products."""
    limit = entry.limits.reward_risk_min
    return None if limit is None else at_least(limit * _risk(entry), ZERO if entry.reward is None else entry.reward)


def reward_fees_min(entry: EntryContext) -> Finding | None:
    """What the target earns on one unit, against the taker fees of entering here and leaving there."""
    limit = entry.limits.reward_fees_min
    if limit is None:
        return None
    fees = entry.fees.taker * (entry.price + (entry.price if entry.target is None else entry.target))
    return at_least(limit * fees, ZERO if entry.reward is None else entry.reward)


def liquidation_distance_min(entry: EntryContext) -> Finding | None:
    """The way to the liquidation price, against the way to the stop. What cannot be liquidated is far enough."""
    limit = entry.limits.liquidation_distance_min
    if limit is None or entry.liquidation_price is None:
        return None
    return at_least(limit * _risk(entry), entry.directed(entry.price - entry.liquidation_price))


def confidence_min(entry: EntryContext) -> Finding | None:
    """The strategy's confidence; none at all is none."""
    limit = entry.limits.confidence_min
    return None if limit is None else at_least(limit, ZERO if entry.confidence is None else entry.confidence)


def _risk(entry: EntryContext) -> Decimal:
    """The way to the stop, none if that is on the wrong side; without a stop the whole price."""
    return entry.price if entry.risk is None else max(ZERO, entry.risk)
