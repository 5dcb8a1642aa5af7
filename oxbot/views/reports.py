"""Reports of what bots earned, out of their closed round trips and open positions: pure sums over recorded money."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Literal, NamedTuple

import msgspec

from events.identifiers import BotId, Symbol
from events.values import PositionSide
from oxbot.core.metrics import trade_metrics
from oxbot.core.money import ZERO, exact, ratio, text
from oxbot.views.amounts import Amount
from oxbot.views.balance import balances, milliseconds, of_balance, timestamp
from oxbot.views.equity import result_at
from oxbot.views.report_shapes import (
    Count,
    Durations,
    Endings,
    OpenTrade,
    PairPerformance,
    Period,
    Periods,
    Profit,
    Stats,
)
from oxbot.views.rows import PositionRow

Unit = Literal["days", "weeks", "months"]
Ending = Literal["wins", "losses", "draws"]

_EPOCH_DAY = date(1970, 1, 1)
_HUNDRED = Decimal(100)


class Traded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A closed round trip: those fields of its row that reports need; a ``RoundTrip`` of the metrics.

    Rows of programs that did not write what the entries cost say that it was nothing.
    """

    bot_id: BotId
    symbol: Symbol
    side: PositionSide
    opened_at: datetime = msgspec.field(name="entry_time")
    closed_at: datetime = msgspec.field(name="exit_time")
    entry_cost: Decimal = ZERO
    net: Decimal
    reason: str


class Held(NamedTuple):
    """An open position and the newest close of its symbol."""

    position: PositionRow
    mark: Decimal


class Material(NamedTuple):
    """What a report is made of: trades in any order, of one bot or of several with the same quote currency.

    ``capital`` is what was deposited less what was withdrawn; ``until`` is how far their market has come.
    ``positions_max`` is how many positions they may have at once, ``begins_at`` where their market began for them.
    """

    quote: str
    capital: Decimal
    trades: Sequence[Traded]
    held: Sequence[Held]
    begun_at: datetime | None
    begins_at: datetime
    until: datetime
    positions_max: int
    bots: int = 1
    left_out: int = 0


class _Sums(NamedTuple):
    """Money, and the ratios of so many of the trades: those whose cost is known."""

    money: Decimal
    ratios: Decimal
    known: int
    number: int


def profit(material: Material) -> Profit:
    """What was earned in all."""
    trades = material.trades
    with exact():
        closed = _sums((trade.net, trade.entry_cost) for trade in trades)
        opened = _sums((result, _cost(held)) for held, result in _open(material))
        every = _Sums(
            closed.money + opened.money,
            closed.ratios + opened.ratios,
            closed.known + opened.known,
            closed.number + opened.number,
        )
    metrics = trade_metrics(trades)
    nets = [trade.net for trade in trades]
    shares = [ratio(trade.net, trade.entry_cost) for trade in trades if trade.entry_cost > 0]
    entered = [trade.opened_at for trade in trades] + [held.position.entry_time for held in material.held]
    best = min(performance(trades), key=_better, default=None)
    return Profit(
        stake_currency=material.quote,
        capital=text(material.capital),
        profit_closed_coin=text(closed.money),
        **_shares("profit_closed", closed, material.capital),
        profit_all_coin=text(every.money),
        **_shares("profit_all", every, material.capital),
        trade_count=every.number,
        closed_trade_count=closed.number,
        first_trade_date=min(entered, default=None),
        first_trade_timestamp=timestamp(min(entered, default=None)),
        latest_trade_date=max(entered, default=None),
        latest_trade_timestamp=timestamp(max(entered, default=None)),
        avg_duration=None if metrics.holding_avg is None else str(metrics.holding_avg).partition(".")[0],
        avg_duration_seconds=None if metrics.holding_avg is None else metrics.holding_avg.total_seconds(),
        best_pair=best.pair if best else None,
        best_pair_profit_ratio=best.profit_ratio if best else None,
        best_pair_profit_abs=best.profit_abs if best else None,
        best_trade=_text(max(shares, default=None)),
        best_trade_abs=text(max(nets)) if nets else None,
        worst_trade=_text(min(shares, default=None)),
        worst_trade_abs=text(min(nets)) if nets else None,
        winning_trades=metrics.winning_trades,
        losing_trades=metrics.losing_trades,
        draw_trades=metrics.draw_trades,
        winrate=text(ratio(Decimal(metrics.winning_trades), Decimal(len(trades)))) if trades else None,
        profit_factor=metrics.profit_factor,
        expectancy=text(ratio(closed.money, Decimal(len(trades)))) if trades else None,
        expectancy_ratio=metrics.expectancy_ratio,
        sqn=metrics.sqn,
        **of_balance(balances(material.capital, trades, begins_at=material.begins_at, until=material.until)),
        trading_days=len({trade.closed_at.date() for trade in trades}),
        bot_start_date=material.begun_at,
        bot_start_timestamp=timestamp(material.begun_at),
        bots=material.bots,
        left_out=material.left_out,
    )


def performance(trades: Iterable[Traded]) -> list[PairPerformance]:
    """The closed trades by symbol, the symbol that earned most first."""
    by_pair: dict[Symbol, list[tuple[Decimal, Decimal]]] = defaultdict(list)
    for trade in trades:
        by_pair[trade.symbol].append((trade.net, trade.entry_cost))
    with exact():
        found = {pair: _sums(of) for pair, of in by_pair.items()}
    shown = [
        PairPerformance(
            pair=pair,
            profit_ratio=_text(_known(sums)),
            profit_pct=_percent(_known(sums)),
            profit_abs=text(sums.money),
            count=sums.number,
        )
        for pair, sums in found.items()
    ]
    return sorted(shown, key=lambda one: (-Decimal(one.profit_abs), one.pair))


def stats(trades: Iterable[Traded]) -> Stats:
    """The closed trades by what closed them."""
    reasons: dict[str, dict[Ending, int]] = defaultdict(lambda: {"wins": 0, "losses": 0, "draws": 0})
    held: dict[Ending, list[float]] = {"wins": [], "losses": [], "draws": []}
    for trade in trades:
        ending = _ending(trade)
        reasons[trade.reason][ending] += 1
        held[ending].append((trade.closed_at - trade.opened_at).total_seconds())
    means = {ending: sum(seconds) / len(seconds) for ending, seconds in held.items() if seconds}
    return Stats(
        exit_reasons={reason: Endings(**reasons[reason]) for reason in sorted(reasons)}, durations=Durations(**means)
    )


def periods(material: Material, unit: Unit, timescale: int) -> Periods:
    """So many periods up to that in which the market is now."""
    by_period: dict[date, list[Decimal]] = defaultdict(list)
    for trade in material.trades:
        by_period[_begin(trade.closed_at.date(), unit)].append(trade.net)
    newest = max([_begin(material.until.date(), unit), *by_period])
    found: list[Period] = []
    with exact():
        balance = material.capital + sum((trade.net for trade in material.trades), ZERO)
        for begin in _back_from(newest, unit, timescale):
            earned = sum(by_period.get(begin, ()), ZERO)
            balance -= earned
            found.append(
                Period(
                    date=begin,
                    abs_profit=text(earned),
                    rel_profit=_text(_share(earned, balance)),
                    starting_balance=text(balance),
                    trade_count=len(by_period.get(begin, ())),
                )
            )
    return Periods(data=found, stake_currency=material.quote)


def count(material: Material) -> Count:
    """How many positions there are."""
    with exact():
        stake = sum((Decimal(held.position.entry_cost) for held in material.held), ZERO)
    return Count(
        current=len(material.held),
        max=material.positions_max,
        total_stake=text(stake),
        stake_currency=material.quote,
    )


def status(material: Material) -> list[OpenTrade]:
    """The open positions, the oldest first."""
    found = [_open_trade(held, result) for held, result in _open(material)]
    return sorted(found, key=attrgetter("open_date", "bot_id", "pair"))


def _open(material: Material) -> list[tuple[Held, Decimal]]:
    return [(held, result_at(held.position, held.mark)) for held in material.held]


def _open_trade(held: Held, result: Decimal) -> OpenTrade:
    position, share = held.position, _share(result, _cost(held))
    return OpenTrade(
        bot_id=position.bot_id,
        pair=position.symbol,
        is_short=position.side == "short",
        trading_mode=position.kind,
        amount=position.quantity,
        stake_amount=position.margin if position.kind == "perpetual" else position.entry_cost,
        open_date=position.entry_time,
        open_timestamp=milliseconds(position.entry_time),
        open_rate=position.entry_price,
        open_trade_value=position.entry_cost,
        current_rate=text(held.mark),
        profit_abs=text(result),
        profit_ratio=_text(share),
        profit_pct=_percent(share),
        stop_loss_abs=position.stop_price,
        take_profit_abs=position.target_price,
        liquidation_price=position.liquidation_price,
        leverage=position.leverage,
        fees=position.fees,
        funding_fees=position.funding,
        enter_tag=position.setup,
    )


def _cost(held: Held) -> Decimal:
    return Decimal(held.position.entry_cost)


def _sums(of: Iterable[tuple[Decimal, Decimal]]) -> _Sums:
    money = ratios = ZERO
    known = number = 0
    for net, cost in of:
        money += net
        number += 1
        if cost > 0:
            ratios += ratio(net, cost)
            known += 1
    return _Sums(money, ratios, known, number)


def _known(sums: _Sums) -> Decimal | None:
    """The sum of the ratios; None if there are trades and of none of them it is known."""
    return sums.ratios if sums.known or not sums.number else None


def _shares(name: str, sums: _Sums, capital: Decimal) -> dict[str, Amount | None]:
    """The fields that closed trades and all trades have alike, beside the money."""
    shares = {
        "ratio_mean": _share(sums.ratios, Decimal(sums.known)),
        "ratio_sum": _known(sums),
        "ratio": _share(sums.money, capital),
    }
    fields: dict[str, Amount | None] = {}
    for field, share in shares.items():
        fields[f"{name}_{field}"] = _text(share)
        fields[f"{name}_{field.replace('ratio', 'percent')}"] = _percent(share)
    return fields


def _share(part: Decimal, whole: Decimal) -> Decimal | None:
    return ratio(part, whole) if whole > 0 else None


def _text(share: Decimal | None) -> Amount | None:
    return None if share is None else text(share)


def _percent(share: Decimal | None) -> Amount | None:
    return None if share is None else text(share * _HUNDRED)


def _ending(trade: Traded) -> Ending:
    return "wins" if trade.net > 0 else "losses" if trade.net < 0 else "draws"


def _better(one: PairPerformance) -> tuple[bool, Decimal, Symbol]:
    """Freqtrade's best pair is that of the largest sum of ratios; those without come last."""
    return one.profit_ratio is None, -Decimal(one.profit_ratio or 0), one.pair


def _begin(day: date, unit: Unit) -> date:
    """The first day of the period that the day lies in; weeks begin on Mondays."""
    if unit == "days":
        return day
    return day - timedelta(days=day.weekday()) if unit == "weeks" else day.replace(day=1)


def _back_from(newest: date, unit: Unit, number: int) -> Iterable[date]:
    begin = newest
    for _ in range(number):
        yield begin
        if begin <= _EPOCH_DAY:
            return
        begin = _begin(begin - timedelta(days=1), unit)
