"""Compares a live bot with the same bot on paper: what each decided, and why their results differ, to the last unit."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from events.bot import BotFact, DecisionMade
from events.errors import OxbotError
from events.identifiers import BotId, Symbol, bot_stream
from events.log import EventLog
from events.system import StreamEnded
from events.values import Side
from oxbot.app.candle_store import CandleStore
from oxbot.app.parity_orders import Leg, Life, OrderKey, Traded, paired, traded
from oxbot.core.bot_state import BotState
from oxbot.core.candles import Series
from oxbot.core.money import ZERO, exact, prorate, text
from oxbot.core.state import fold

Cause = Literal["price", "quantity", "fee", "funding", "untraded"]

CAUSES: Mapping[Cause, str] = {
    "price": "traded at another price: spread, slippage, or what the price did until the order was there",
    "quantity": "traded another quantity: lots, another size, or part of an order",
    "fee": "paid another fee; what a venue bears of a liquidation counts as less of it",
    "funding": "received or paid other funding",
    "untraded": "traded on one side only: rejected, expired, cancelled, not asked for, or not yet traded",
}

_OWN = ("decision_id", "advice_id", "equity", "fleet_exposure", "fleet_net_exposure", "fleet_equity", "fleet_position")
"""What a decision says of the bot's name, its money and its fleet; all else two bots on the same candles share."""

COMPARED = tuple(name for name in DecisionMade.__struct_fields__ if name not in _OWN)


class Incomparable(OxbotError):
    """The two are not one bot live and on paper."""


class DecisionDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in which the decisions at the close of a candle differ, as text; "" where there is none.

    ``field`` is one of the decision's own, "decision" if only one bot made any, or "verdict" of the risk gate.
    """

    at: datetime
    symbol: Symbol
    field: str
    live: str
    paper: str


class OrderDifference(msgspec.Struct, frozen=True, kw_only=True):
    """The orders of one decision, or all the exits of one entry, on both sides, and what each cause comes to.

    ``amounts`` is quote currency, above 0 where live is better off. A quantity counts against the symbol's mark, so
    that the amounts of an entry and of its exits mean something together.
    """

    at: datetime
    symbol: Symbol
    side: Side
    live: Traded | None
    paper: Traded | None
    amounts: dict[Cause, Decimal]


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Of the live orders that were asked for at a candle's close: milliseconds from there to the first fill."""

    orders: int
    median_ms: int
    most_ms: int


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison. Results are quote currency: equity at the marks, less what came in and plus what went out.

    ``causes`` add up to ``difference``, which is the live result less the paper result; what they lack of it would be
    in ``unexplained``. ``setup`` names what the two were not created alike in.
    """

    live_bot: BotId
    paper_bot: BotId
    decisions: int
    decision_differences: list[DecisionDifference]
    setup: list[str]
    orders: list[OrderDifference]
    live_result: Decimal
    paper_result: Decimal
    difference: Decimal
    causes: dict[Cause, Decimal]
    unexplained: Decimal
    latency: Latency | None
    marks: dict[Symbol, Decimal]


def parity(live: Sequence[BotFact], paper: Sequence[BotFact], marks: Mapping[Symbol, Decimal]) -> Parity:
    """Compare the two streams. ``marks`` value what is held at the end; without one, the symbol's newest fill does.

    Raises ``Incomparable``.
    """
    one, other = fold(live), fold(paper)
    _check(one, other)
    with exact():
        return _compared(Life(live, one), Life(paper, other), marks)


async def compare_bots(live: BotId, paper: BotId, *, log: EventLog, candles: CandleStore) -> Parity:
    """Compare the two as the log has them, at the newest stored candles of the live bot's market.

    Raises ``Incomparable``.
    """
    one, other = await _facts(log, live), await _facts(log, paper)
    market = fold(one).configuration.market
    marks: dict[Symbol, Decimal] = {}
    for instrument in market.instruments:
        series = Series(market.venue, instrument.symbol, market.timeframe)
        extent = await candles.extent(series)
        if extent is not None:
            [newest] = await candles.window(series, last=extent.last, count=1)
            marks[instrument.symbol] = newest.close
    return parity(one, other, marks)


async def _facts(log: EventLog, bot_id: BotId) -> list[BotFact]:
    facts = [event.fact for event in await log.read_stream(bot_stream(bot_id))]
    if not facts:
        raise Incomparable(f"there is no bot {bot_id}")
    return [fact for fact in facts if not isinstance(fact, StreamEnded)]  # type: ignore[misc]  # a bot's stream holds a bot's facts


def _check(live: BotState, paper: BotState) -> None:
    if not live.live or paper.live:
        wrong = f"bot {paper.bot_id} is live" if live.live else f"bot {live.bot_id} is on paper"
        raise Incomparable(f"{wrong}; parity compares a live bot with one on paper, in this order")
    one, other = live.configuration.market, paper.configuration.market
    if one.timeframe != other.timeframe:
        raise Incomparable(f"one decides on candles of {one.timeframe} and the other on those of {other.timeframe}")


def _compared(live: Life, paper: Life, marks: Mapping[Symbol, Decimal]) -> Parity:
    known = {**live.prices, **paper.prices, **marks}
    pairs = paired(live.legs, paper.legs)
    orders = [_row(key, one, other, known.get(key.symbol, ZERO)) for key, one, other in pairs]
    causes: dict[Cause, Decimal] = dict.fromkeys(CAUSES, ZERO)
    causes["funding"] = live.funding - paper.funding
    for row in orders:
        for cause, amount in row.amounts.items():
            causes[cause] += amount
    results = live.result(known), paper.result(known)
    difference = results[0] - results[1]
    return Parity(
        live_bot=live.state.bot_id,
        paper_bot=paper.state.bot_id,
        decisions=len(live.decisions.keys() & paper.decisions.keys()),
        decision_differences=_decisions(live, paper),
        setup=_setup(live.state, paper.state),
        orders=orders,
        live_result=results[0],
        paper_result=results[1],
        difference=difference,
        causes=causes,
        unexplained=difference - sum(causes.values(), ZERO),
        latency=_latency(orders),
        marks={symbol: known[symbol] for symbol in sorted(known)},
    )


def _setup(live: BotState, paper: BotState) -> list[str]:
    """What they were not created alike in, of what decides or costs."""
    names = ("strategy", "limits", "sizing", "leverage", "fees", "quote")
    pairs = [(name, getattr(live.configuration, name), getattr(paper.configuration, name)) for name in names]
    one, other = live.configuration.market, paper.configuration.market
    pairs += [("venue", one.venue, other.venue), ("instruments", one.instruments, other.instruments)]
    return [line for name, mine, theirs in pairs for line in _unlike(name, mine, theirs)]


def _decisions(live: Life, paper: Life) -> list[DecisionDifference]:
    found: list[DecisionDifference] = []
    for at, symbol in sorted(live.decisions.keys() | paper.decisions.keys()):
        one, other = live.decisions.get((at, symbol)), paper.decisions.get((at, symbol))
        if one is None or other is None:
            pairs: list[tuple[str, str, str]] = [
                ("decision", "" if one is None else one.intent, "" if other is None else other.intent)
            ]
        else:
            pairs = [(name, _words(getattr(one, name)), _words(getattr(other, name))) for name in COMPARED]
            pairs.append(("verdict", _verdict(live, one), _verdict(paper, other)))
        found += [
            DecisionDifference(at=at, symbol=symbol, field=name, live=mine, paper=theirs)
            for name, mine, theirs in pairs
            if mine != theirs
        ]
    return found


def _verdict(life: Life, decision: DecisionMade) -> str:
    rule = life.verdicts.get(decision.decision_id)
    return "allowed" if rule is None else f"denied by {rule}"


def _row(key: OrderKey, live: Leg | None, paper: Leg | None, mark: Decimal) -> OrderDifference:
    one = live if traded(live) else None
    other = paper if traded(paper) else None
    return OrderDifference(
        at=min(leg.at for leg in (live, paper) if leg is not None),
        symbol=key.symbol,
        side=key.side,
        live=None if live is None else live.told(),
        paper=None if paper is None else paper.told(),
        amounts=_amounts(one, other, mark),
    )


def _amounts(live: Leg | None, paper: Leg | None, mark: Decimal) -> dict[Cause, Decimal]:
    """What each cause adds to the live result less the paper result; together exactly what the trades add to it.

    The price counts on the live quantity, against the average price on paper; what is left is the quantity's.
    """
    if live is None or paper is None:
        mine, theirs = (ZERO if leg is None else leg.worth(mark) - leg.fee for leg in (live, paper))
        return {"untraded": mine - theirs} if mine != theirs else {}
    same = live.quantity == paper.quantity
    value = paper.value if same else prorate(paper.value, live.quantity, paper.quantity)
    price = value - live.value if live.side == "buy" else live.value - value
    amounts: dict[Cause, Decimal] = {
        "price": price,
        "quantity": live.worth(mark) - paper.worth(mark) - price,
        "fee": paper.fee - live.fee,
    }
    return {cause: amount for cause, amount in amounts.items() if amount}


def _latency(orders: Iterable[OrderDifference]) -> Latency | None:
    known = sorted(row.live.latency_ms for row in orders if row.live is not None and row.live.latency_ms is not None)
    if not known:
        return None
    return Latency(orders=len(known), median_ms=known[(len(known) - 1) // 2], most_ms=known[-1])


def _unlike(name: str, live: object, paper: object) -> list[str]:
    if live == paper:
        return []
    if isinstance(live, msgspec.Struct) and type(live) is type(paper):
        inner = [(f"{name}.{field}", getattr(live, field), getattr(paper, field)) for field in live.__struct_fields__]
        return [line for pair in inner for line in _unlike(*pair)]
    return [f"{name}: live {_words(live) or 'none'}, paper {_words(paper) or 'none'}"]


def _words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return text(value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
