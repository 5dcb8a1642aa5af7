"""What bots earned, in the shapes and under the names that freqtrade's REST answers have where they mean the same.

Money is text in quote currency, net of fees and funding, out of round trips as they are recorded. A ratio is a fraction
(0.1 is 10 %), a percent is a hundred times that, and both are text too; figures of statistics are numbers. A trade's
ratio is its net over what its entries cost; where that is not on record, as in rows of programs that did not write it,
the ratio is not known, and every mean, sum, best and worst of ratios is of the others. A trade of exactly 0 is a draw,
neither won nor lost. What cannot be said is null, never 0 or infinity.
"""

from datetime import date, datetime

import msgspec

from events.identifiers import BotId, Symbol
from events.values import InstrumentKind
from oxbot.views.amounts import Amount


class Profit(msgspec.Struct, frozen=True, kw_only=True):
    """All trades together; those of ``profit_all`` with the open ones at the newest close.

    ``profit_closed_ratio`` and ``profit_all_ratio`` are of the capital, ``_mean`` and ``_sum`` are of the trades' own
    ratios, null where none of them is known. ``best_trade`` and ``worst_trade`` are ratios, ``_abs`` money.

    Drawdowns, growth and the figures of days are all of one curve, the balance: the capital of now, and what each trade
    added to it as it closed. ``max_drawdown_abs`` is its largest fall in money and ``max_drawdown`` which share of the
    high before that it was; ``max_relative_drawdown`` is the largest share, which another fall may be of. ``cagr`` is
    the yearly growth (365 days), ``calmar`` that over ``max_relative_drawdown``. ``sharpe`` and ``sortino`` are those
    of the balance's returns over ``days``, the whole days of UTC since the market began, times the root of 365, without
    a riskless rate. ``trading_days`` are days on which a trade closed.

    ``profit_factor`` is what was won over what was lost, ``expectancy`` the mean of a trade in money, and
    ``expectancy_ratio`` that per unit of the mean loss: (1 + mean win / mean loss) * winrate - 1.
    """

    stake_currency: str
    capital: Amount
    profit_closed_coin: Amount
    profit_closed_percent_mean: Amount | None
    profit_closed_ratio_mean: Amount | None
    profit_closed_percent_sum: Amount | None
    profit_closed_ratio_sum: Amount | None
    profit_closed_percent: Amount | None
    profit_closed_ratio: Amount | None
    profit_all_coin: Amount
    profit_all_percent_mean: Amount | None
    profit_all_ratio_mean: Amount | None
    profit_all_percent_sum: Amount | None
    profit_all_ratio_sum: Amount | None
    profit_all_percent: Amount | None
    profit_all_ratio: Amount | None
    trade_count: int
    closed_trade_count: int
    first_trade_date: datetime | None
    first_trade_timestamp: int | None
    latest_trade_date: datetime | None
    latest_trade_timestamp: int | None
    avg_duration: str | None
    avg_duration_seconds: float | None
    best_pair: str | None
    best_pair_profit_ratio: Amount | None
    best_pair_profit_abs: Amount | None
    best_trade: Amount | None
    best_trade_abs: Amount | None
    worst_trade: Amount | None
    worst_trade_abs: Amount | None
    winning_trades: int
    losing_trades: int
    draw_trades: int
    winrate: Amount | None
    profit_factor: float | None
    expectancy: Amount | None
    expectancy_ratio: float | None
    sqn: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    cagr: float | None
    days: int
    trading_days: int
    max_drawdown: Amount | None
    max_drawdown_abs: Amount
    max_drawdown_start: datetime | None
    max_drawdown_start_timestamp: int | None
    max_drawdown_end: datetime | None
    max_drawdown_end_timestamp: int | None
    max_relative_drawdown: Amount | None
    current_drawdown: Amount | None
    current_drawdown_abs: Amount
    bot_start_date: datetime | None
    bot_start_timestamp: int | None
    bots: int
    left_out: int


class PairPerformance(msgspec.Struct, frozen=True, kw_only=True):
    """The closed trades of one symbol: ``profit_ratio`` is the sum of theirs, null where none of them is known."""

    pair: Symbol
    profit_ratio: Amount | None
    profit_pct: Amount | None
    profit_abs: Amount
    count: int


class Endings(msgspec.Struct, frozen=True, kw_only=True):
    """How many trades won, lost and did neither."""

    wins: int = 0
    losses: int = 0
    draws: int = 0


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """How long trades were held on average, in seconds."""

    wins: float | None = None
    losses: float | None = None
    draws: float | None = None


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """Closed trades by what closed them, and how long they were held."""

    exit_reasons: dict[str, Endings]
    durations: Durations


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """The trades that closed in a day, week or month of UTC that began on ``date``.

    ``starting_balance`` is the capital of now and what all trades before had added to it; ``rel_profit`` is of that,
    null where nothing was left.
    """

    date: date
    abs_profit: Amount
    rel_profit: Amount | None
    starting_balance: Amount
    trade_count: int


class Periods(msgspec.Struct, frozen=True, kw_only=True):
    """The newest period first."""

    data: list[Period]
    stake_currency: str


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How many positions are open, how many may be, and what their entries cost."""

    current: int
    max: int
    total_stake: Amount
    stake_currency: str


class OpenTrade(msgspec.Struct, frozen=True, kw_only=True):
    """An open position at the newest close, as an open trade: ``profit_abs`` is what it would come to if closed there.

    That is net of the fees and funding paid so far, with what was sold of it; ``stake_amount`` is what its entries
    cost, for a perpetual its margin.
    """

    bot_id: BotId
    pair: Symbol
    is_open: bool = True
    is_short: bool
    trading_mode: InstrumentKind
    amount: Amount
    stake_amount: Amount
    open_date: datetime
    open_timestamp: int
    open_rate: Amount
    open_trade_value: Amount
    current_rate: Amount
    profit_abs: Amount
    profit_ratio: Amount | None
    profit_pct: Amount | None
    stop_loss_abs: Amount | None
    take_profit_abs: Amount | None
    liquidation_price: Amount | None
    leverage: Amount
    fees: Amount
    funding_fees: Amount
    enter_tag: str
