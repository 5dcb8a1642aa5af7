"""How bots compare: what each earned after what its models cost, beside those with the same capital and market."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec

from events.identifiers import BotId, ModelName, Symbol
from oxbot.core.money import ZERO, exact, ratio, text
from oxbot.core.state import BotStatus
from oxbot.views.advice_rows import AdviceTotals, ArenaRow, ModelAsked
from oxbot.views.amounts import Amount
from oxbot.views.rows import BotLine

DOLLARS = frozenset({"USD", "USDT", "USDC", "USDE", "USDD", "FDUSD", "PYUSD", "TUSD", "DAI", "BUSD"})
"""Quote currencies that are taken to be worth a US dollar, in which models are paid."""

Cutoffs = Callable[[ModelName], Sequence[date | None]]
"""The last day that the training of a model saw, and of each that may answer in its stead; None where nobody knows."""


MADE_UP = "synthetic-"
"""How the venue of a market begins whose candles are computed."""


class ArenaLine(msgspec.Struct, frozen=True, kw_only=True):
    """A bot in the arena. ``rank`` counts within its ``contest``; None where ``unranked`` says why it is not compared.

    Money is in ``quote``, after fees and funding; ``model_cost`` is in US dollars, and ``pnl_net`` and ``return_net``
    are after it: null where the quote currency is no dollar. Shares are fractions: ``coverage`` of the symbols asked
    about on which there was an opinion, ``abstained``, ``invalid`` (among these: a model answered, and it was no
    answer) and ``stale`` (too late, or not in time) of the requests that are not pending. ``late_ms`` is the 95th
    percentile of how long answers took. ``contaminated``: it was advised on a candle that the training of a model had
    seen, null if nobody knows. ``max_drawdown`` is null in lines that no curve was made for.
    """

    contest: int = 0
    rank: int | None = None
    unranked: str = ""
    bot_id: BotId
    name: str
    fleet: str
    status: BotStatus
    strategy: str
    strategy_version: int
    live: bool
    venue: str
    timeframe: str
    symbols: tuple[Symbol, ...]
    begins_at: datetime
    quote: str
    capital: Amount
    equity: Amount
    pnl: Amount
    total_return: Amount
    fees: Amount
    model_cost: Amount
    pnl_net: Amount | None
    return_net: Amount | None
    max_drawdown: Amount | None = None
    trades: int
    models: tuple[ModelName, ...]
    resolved: tuple[tuple[str, int], ...]
    templates: tuple[str, ...]
    requests: int
    calls: int
    coverage: Amount | None
    abstained: Amount | None
    invalid: Amount | None
    stale: Amount | None
    late_ms: int | None
    contaminated: bool | None


class _Contest(NamedTuple):
    """What bots must have in common to be ranked together: their money, their market, and the day they began on."""

    capital: Decimal
    quote: str
    venue: str
    timeframe: str
    symbols: tuple[Symbol, ...]
    began_on: date
    live: bool


def arena_line(bot: BotLine, row: ArenaRow, marks: Mapping[Symbol, Decimal], cutoffs: Cutoffs) -> ArenaLine:
    """A bot's line, not ranked yet; every symbol that it holds needs a mark."""
    totals = row.advice or AdviceTotals()
    closed = totals.requests - totals.pending
    with exact():
        held = sum((Decimal(quantity) * marks[symbol] for symbol, quantity in row.quantities), ZERO)
        equity = Decimal(row.cash) - Decimal(row.owed) + held
        capital, cost = Decimal(row.capital), Decimal(totals.cost)
        pnl = equity - capital
        net = pnl - cost if bot.quote in DOLLARS or cost == 0 else None
    return ArenaLine(
        bot_id=bot.bot_id,
        name=bot.name,
        fleet=bot.fleet,
        status=bot.status,
        strategy=bot.strategy,
        strategy_version=bot.strategy_version,
        live=bot.account is not None,
        venue=bot.venue,
        timeframe=bot.timeframe,
        symbols=tuple(sorted(bot.symbols)),
        begins_at=bot.begins_at,
        quote=bot.quote,
        unranked=_unranked(row, net),
        capital=row.capital,
        equity=text(equity),
        pnl=text(pnl),
        total_return=text(ratio(pnl, capital)),
        fees=row.fees,
        model_cost=totals.cost,
        pnl_net=None if net is None else text(net),
        return_net=None if net is None else text(ratio(net, capital)),
        trades=row.trades,
        models=tuple(asked.model for asked in totals.models),
        resolved=totals.resolved,
        templates=totals.templates,
        requests=totals.requests,
        calls=totals.calls,
        coverage=_share(totals.opinions, totals.asked_symbols),
        abstained=_share(totals.abstained, closed),
        invalid=_share(totals.invalid, closed),
        stale=_share(totals.stale + totals.lapsed, closed),
        late_ms=totals.late_ms,
        contaminated=contaminated(totals.models, cutoffs, venue=bot.venue),
    )


def ranked(lines: Iterable[ArenaLine]) -> list[ArenaLine]:
    """The lines with their contests, the largest first, and their ranks: by return after what models cost.

    Equal returns have an equal rank; who is not ranked comes last in its contest.
    """
    found = sorted(lines, key=lambda line: line.bot_id)
    sizes = Counter(_contest(line) for line in found)
    numbers = {contest: number for number, (contest, _) in enumerate(sizes.most_common(), start=1)}
    contests: dict[int, list[ArenaLine]] = {number: [] for number in numbers.values()}
    for line in found:
        contests[numbers[_contest(line)]].append(line)
    return [line for number, members in contests.items() for line in _ranks(number, members)]


def contaminated(models: Sequence[ModelAsked], cutoffs: Cutoffs, *, venue: str) -> bool | None:
    """Whether any of the models was asked about a candle up to the last day that its training, or its stand-in's, saw.

    None if that cannot be said: nobody knows the cutoff of one, and no other was. No training saw a market that was
    made up.
    """
    if venue.startswith(MADE_UP):
        return False
    days = [(asked.first_at.date(), cutoff) for asked in models for cutoff in cutoffs(asked.model)]
    if any(cutoff is not None and first <= cutoff for first, cutoff in days):
        return True
    return None if any(cutoff is None for _, cutoff in days) else False


def _ranks(number: int, members: Sequence[ArenaLine]) -> list[ArenaLine]:
    returns = [_return(line) for line in members if not line.unranked]
    placed = [
        msgspec.structs.replace(
            line,
            contest=number,
            rank=None if line.unranked else 1 + sum(other > _return(line) for other in returns),
        )
        for line in members
    ]
    return sorted(placed, key=lambda line: (line.rank is None, line.rank or 0, line.bot_id))


def _return(line: ArenaLine) -> Decimal:
    return Decimal(line.return_net or 0)


def _contest(line: ArenaLine) -> _Contest:
    return _Contest(
        capital=Decimal(line.capital),
        quote=line.quote,
        venue=line.venue,
        timeframe=line.timeframe,
        symbols=line.symbols,
        began_on=line.begins_at.date(),
        live=line.live,
    )


def _unranked(row: ArenaRow, net: Decimal | None) -> str:
    if Decimal(row.initial_capital) <= 0:
        return "it began without capital"
    if Decimal(row.initial_capital) != Decimal(row.capital):
        return "capital came or went since it began"
    return "its models are paid in US dollars, and its money is none" if net is None else ""


def _share(part: int, whole: int) -> Amount | None:
    return text(ratio(Decimal(part), Decimal(whole))) if whole else None
