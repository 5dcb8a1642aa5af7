"""Reports of earnings: exact sums of recorded round trips, under freqtrade's names."""

import math
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from statistics import stdev

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.identifiers import BotId, Symbol
from oxbot.core.money import exact
from oxbot.views.report_shapes import Durations, Endings
from oxbot.views.reports import Held, Material, Traded, count, performance, periods, profit, stats, status
from oxbot.views.rows import PositionRow

BOT = BotId("bot-1")
BTC, ETH = Symbol("BTC/USDT"), Symbol("ETH/USDT")
MONDAY = datetime(2024, 1, 1, tzinfo=UTC)


def trade(
    net: str, *, cost: str = "100", day: float = 0, symbol: Symbol = BTC, reason: str = "stop_loss", hours: float = 1
) -> Traded:
    """A round trip that closed so many days after the first Monday of 2024."""
    closed = MONDAY + timedelta(days=day)
    return Traded(
        bot_id=BOT,
        symbol=symbol,
        side="long",
        opened_at=closed - timedelta(hours=hours),
        closed_at=closed,
        entry_cost=Decimal(cost),
        net=Decimal(net),
        reason=reason,
    )


def held(*, side: str = "long", entry: str = "100", quantity: str = "2", mark: str = "110") -> Held:
    """An open position at a mark."""
    cost = Decimal(entry) * Decimal(quantity)
    row = PositionRow(
        bot_id=BOT,
        symbol=ETH,
        side=side,  # type: ignore[arg-type]  # long or short
        quantity=quantity,
        entry_time=MONDAY,
        entry_price=entry,
        entry_cost=str(cost),
        fees="1",
        stop_price="90",
        target_price=None,
        setup="dip",
    )
    return Held(row, Decimal(mark))


def material(*trades: Traded, open_positions: tuple[Held, ...] = (), until: datetime = MONDAY) -> Material:
    """What a bot with 1000 has done."""
    return Material("USDT", Decimal(1000), trades, open_positions, MONDAY, MONDAY, until, 5)


def test_profit_is_the_sum_of_what_trades_added_to_cash_and_its_share_of_the_capital() -> None:
    found = profit(material(trade("10", cost="200"), trade("-4", day=1), trade("0", day=2), trade("2.5", symbol=ETH)))

    assert found.profit_closed_coin == "8.5"
    assert found.profit_closed_ratio == "0.0085"
    assert found.profit_closed_percent == "0.85"
    assert found.profit_closed_ratio_sum == "0.035"
    assert found.profit_closed_percent_mean == "0.875"
    assert (found.winning_trades, found.losing_trades, found.draw_trades, found.winrate) == (2, 1, 1, "0.5")
    assert (found.profit_factor, found.expectancy) == (3.125, "2.125")
    assert (found.best_pair, found.best_pair_profit_ratio, found.best_pair_profit_abs) == (ETH, "0.025", "2.5")
    assert (found.trade_count, found.closed_trade_count, found.avg_duration) == (4, 4, "1:00:00")
    assert found.first_trade_timestamp == 1704063600000
    assert found.profit_all_coin == found.profit_closed_coin


def test_open_positions_count_at_the_newest_close() -> None:
    found = profit(material(trade("10"), open_positions=(held(), held(side="short", quantity="1"))))

    # 2 * 10 - 1 for the long, -10 - 1 for the short.
    assert (found.profit_all_coin, found.profit_closed_coin) == ("18", "10")
    assert found.profit_all_ratio == "0.018"
    assert (found.trade_count, found.closed_trade_count) == (3, 1)


def test_the_drawdown_is_the_deepest_fall_of_capital_and_closed_trades() -> None:
    found = profit(
        material(trade("100"), trade("-55", day=1), trade("20", day=2), trade("-75", day=3), trade("50", day=4))
    )

    assert found.max_drawdown_abs == "110"
    assert found.max_drawdown == "0.1"
    assert (found.max_drawdown_start, found.max_drawdown_end) == (MONDAY, MONDAY + timedelta(days=3))
    assert (found.current_drawdown_abs, found.current_drawdown) == ("60", "0.054545454545")


def test_who_has_not_traded_has_earned_nothing_and_says_so_with_nulls() -> None:
    found = profit(material())

    assert (found.profit_closed_coin, found.profit_all_ratio_sum, found.max_drawdown) == ("0", "0", "0")
    assert (found.profit_all_ratio_mean, found.best_trade, found.worst_trade_abs) == (None, None, None)
    assert (found.winrate, found.best_pair, found.avg_duration, found.first_trade_date) == (None, None, None, None)
    assert (found.sharpe, found.sortino, found.calmar, found.cagr) == (None, None, None, None)
    assert (found.max_drawdown_start, found.max_drawdown_end, found.trading_days) == (None, None, 0)
    assert stats([]).exit_reasons == {}
    assert performance([]) == []


def test_a_trade_whose_cost_is_not_on_record_counts_in_money_and_not_in_ratios() -> None:
    old = trade("-30", cost="0", hours=3)

    mixed, alone = profit(material(old, trade("10", cost="200"))), profit(material(old))

    assert (mixed.profit_closed_coin, mixed.closed_trade_count, mixed.losing_trades) == ("-20", 2, 1)
    assert (mixed.profit_closed_ratio_sum, mixed.profit_closed_ratio_mean) == ("0.05", "0.05")
    assert (mixed.best_trade, mixed.worst_trade, mixed.worst_trade_abs) == ("0.05", "0.05", "-30")
    assert (alone.profit_closed_ratio_sum, alone.profit_closed_percent_mean, alone.best_trade) == (None, None, None)
    assert (alone.best_pair, alone.best_pair_profit_ratio, alone.best_pair_profit_abs) == (BTC, None, "-30")
    assert (alone.profit_closed_ratio, alone.max_drawdown, alone.avg_duration_seconds) == ("-0.03", "0.03", 10_800)


def test_the_pair_whose_ratio_is_not_known_is_the_best_one_last() -> None:
    found = profit(material(trade("50", cost="0"), trade("-1", symbol=ETH)))

    assert (found.best_pair, found.best_pair_profit_ratio) == (ETH, "-0.01")


def test_the_figures_of_days_are_those_of_the_balance_of_closed_trades() -> None:
    """The balance is 1000, 1100, 990, 990 and 1188 at the midnights; worked out by hand."""
    found = profit(
        material(trade("100", day=0.5), trade("-110", day=1.5), trade("198", day=3.5), until=MONDAY + timedelta(days=4))
    )

    days = [0.1, -0.1, 0, 0.2]
    assert (found.days, found.trading_days) == (4, 3)
    assert found.sharpe == pytest.approx(0.05 / stdev(days) * math.sqrt(365))
    assert found.sortino == pytest.approx(0.05 / math.sqrt(0.01 / 4) * math.sqrt(365))
    assert found.cagr == pytest.approx(1.188 ** (365 / 4) - 1)
    assert found.calmar == pytest.approx((1.188 ** (365 / 4) - 1) / 0.1)
    assert (found.best_trade_abs, found.worst_trade_abs) == ("198", "-110")


def test_the_largest_fall_in_money_and_the_largest_share_may_be_two_falls() -> None:
    found = profit(material(trade("-500", day=1), trade("1500", day=2), trade("-600", day=3)))

    assert (found.max_drawdown_abs, found.max_drawdown, found.max_relative_drawdown) == ("600", "0.3", "0.5")
    assert found.max_drawdown_start == MONDAY + timedelta(days=2)


@pytest.mark.parametrize("capital", ["0", "-250"])
def test_without_capital_there_is_money_and_no_share_of_anything(capital: str) -> None:
    owing = material(trade("10", day=1), trade("-30", day=3), until=MONDAY + timedelta(days=5))

    found = profit(owing._replace(capital=Decimal(capital)))

    assert (found.profit_closed_coin, found.profit_closed_ratio, found.max_drawdown_abs) == ("-20", None, "30")
    assert (found.sharpe, found.sortino, found.calmar, found.cagr) == (None, None, None, None)
    assert found.max_relative_drawdown is None
    assert found.max_drawdown == ("3" if capital == "0" else None)
    [_, day] = periods(owing._replace(capital=Decimal(-250)), "days", 2).data
    assert day.rel_profit is None


def test_performance_is_by_symbol_and_the_best_earner_comes_first() -> None:
    found = performance([trade("5"), trade("1", symbol=ETH, cost="10"), trade("-1.5")])

    assert [(one.pair, one.profit_abs, one.profit_ratio, one.profit_pct, one.count) for one in found] == [
        (BTC, "3.5", "0.035", "3.5", 2),
        (ETH, "1", "0.1", "10", 1),
    ]


def test_stats_count_what_closed_trades_and_how_long_they_were_held() -> None:
    found = stats([trade("5", hours=2), trade("1", hours=4), trade("-1", reason="take_profit"), trade("0")])

    assert found.exit_reasons == {
        "stop_loss": Endings(wins=2, losses=0, draws=1),
        "take_profit": Endings(wins=0, losses=1, draws=0),
    }
    assert found.durations == Durations(wins=10_800.0, losses=3_600.0, draws=3_600.0)


def test_days_go_back_from_the_markets_time_and_each_begins_with_what_there_was() -> None:
    found = periods(
        material(trade("5"), trade("-2", day=1.5), trade("7", day=1.9), until=MONDAY + timedelta(days=2)), "days", 4
    )

    assert [(day.date, day.abs_profit, day.starting_balance, day.trade_count) for day in found.data] == [
        (date(2024, 1, 3), "0", "1010", 0),
        (date(2024, 1, 2), "5", "1005", 2),
        (date(2024, 1, 1), "5", "1000", 1),
        (date(2023, 12, 31), "0", "1000", 0),
    ]
    assert found.data[1].rel_profit == "0.004975124378"


def test_weeks_begin_on_mondays_and_months_on_their_first() -> None:
    earned = material(trade("1", day=6.9), trade("2", day=7), trade("4", day=31), until=MONDAY + timedelta(days=32))

    weeks, months = periods(earned, "weeks", 6), periods(earned, "months", 2)

    assert [(week.date.day, week.abs_profit) for week in weeks.data] == [
        (29, "4"), (22, "0"), (15, "0"), (8, "2"), (1, "1"), (25, "0"),
    ]  # fmt: skip
    assert [(month.date, month.abs_profit) for month in months.data] == [
        (date(2024, 2, 1), "4"),
        (date(2024, 1, 1), "3"),
    ]


def test_open_trades_are_shown_as_freqtrade_shows_them() -> None:
    [found] = status(material(open_positions=(held(),)))

    assert (found.pair, found.is_open, found.is_short, found.amount, found.stake_amount) == (
        ETH,
        True,
        False,
        "2",
        "200",
    )
    assert (found.open_rate, found.current_rate, found.profit_abs, found.profit_ratio) == ("100", "110", "19", "0.095")
    assert (found.stop_loss_abs, found.enter_tag, found.open_timestamp) == ("90", "dip", 1704067200000)
    counted = count(material(open_positions=(held(),)))
    assert (counted.current, counted.max, counted.total_stake) == (1, 5, "200")


@given(nets=st.lists(st.decimals("-50", "50", places=18), max_size=30), days=st.integers(1, 40))
def test_the_periods_and_the_pairs_add_up_to_the_profit_to_the_last_unit(nets: list[Decimal], days: int) -> None:
    trades = [
        trade(str(net), day=(number * 7 % days) / 2, symbol=BTC if number % 3 else ETH)
        for number, net in enumerate(nets)
    ]
    earned = material(*trades, until=MONDAY + timedelta(days=days))

    found = profit(earned)

    with exact():
        by_day = sum(Decimal(day.abs_profit) for day in periods(earned, "days", 60).data)
        by_pair = sum(Decimal(pair.profit_abs) for pair in performance(trades))
        assert by_day == by_pair == Decimal(found.profit_closed_coin) == sum(nets, Decimal(0))
    reasons = stats(trades).exit_reasons.values()
    counted = Counter({name: sum(getattr(one, name) for one in reasons) for name in ("wins", "losses", "draws")})
    assert (counted["wins"], counted["losses"], counted["draws"]) == (
        found.winning_trades,
        found.losing_trades,
        found.draw_trades,
    )


LIVES = st.lists(
    st.builds(
        lambda net, cost, hour, lasted: trade(net, cost=cost, day=hour / 24, hours=lasted),
        st.decimals("-60", "60", places=2).map(str),
        st.sampled_from(["0", "50", "333.25"]),
        st.integers(0, 300),
        st.integers(0, 48),
    ),
    max_size=25,
)


@given(trades=LIVES, days=st.integers(0, 15), capital=st.sampled_from(["1000", "20000.5", "75"]))
def test_every_figure_is_what_a_second_naive_computation_comes_to(
    trades: list[Traded], days: int, capital: str
) -> None:
    """Day by day and trade by trade in fractions, sharing nothing with ours."""
    until = MONDAY + timedelta(days=days)

    found = profit(material(*trades, until=until)._replace(capital=Decimal(capital)))

    expected = naive_figures(trades, Fraction(capital), until)
    for name, value in expected.items():
        shown = getattr(found, name)
        assert (shown is None) == (value is None), (name, shown, value)
        assert value is None or float(shown) == pytest.approx(float(value), rel=1e-6, abs=1e-9), name
    assert (found.max_drawdown_start is None) == (found.max_drawdown_abs == "0") == (found.max_drawdown_end is None)
    numbers = [value for value in msgspec.structs.asdict(found).values() if isinstance(value, float)]
    assert all(map(math.isfinite, numbers))


def naive_figures(trades: list[Traded], capital: Fraction, until: datetime) -> dict[str, Fraction | float | None]:
    """What a person would work out with pencil and paper."""
    nets = [Fraction(one.net) for one in trades]
    wins, losses = [net for net in nets if net > 0], [-net for net in nets if net < 0]
    shares = [Fraction(one.net) / Fraction(one.entry_cost) for one in trades if one.entry_cost]
    begin = min([MONDAY, *(one.opened_at for one in trades)])
    end = max([until, *(one.closed_at for one in trades)])

    def balance(moment: datetime) -> Fraction:
        return capital + sum((Fraction(one.net) for one in trades if one.closed_at <= moment), Fraction(0))

    falls = naive_falls([capital, *(balance(moment) for moment in sorted({one.closed_at for one in trades}))])
    midnights = [MONDAY + timedelta(days=day) for day in range(-4, 20)]
    at_midnight = [balance(moment) for moment in midnights if begin <= moment <= end]
    if 0 in at_midnight or min(at_midnight) < 0 or min(balance(one.closed_at) for one in trades or [nobody()]) <= 0:
        return {"max_drawdown_abs": falls[0]}
    returns = [later / earlier - 1 for earlier, later in pairwise(at_midnight)]
    mean = sum(returns, Fraction(0)) / len(returns) if returns else Fraction(0)
    downside = math.sqrt(sum(min(day, Fraction(0)) ** 2 for day in returns) / len(returns)) if len(returns) > 1 else 0
    spread = math.sqrt(sum((day - mean) ** 2 for day in returns) / (len(returns) - 1)) if len(returns) > 1 else 0
    years = (end - begin) / timedelta(days=365)
    growth = float(balance(end) / capital) ** (1 / years) - 1 if end - begin >= timedelta(days=2) else None
    root = math.sqrt(365)
    return {
        "days": float(len(returns)),
        "trading_days": float(len({one.closed_at.strftime("%Y-%m-%d") for one in trades})),
        "winrate": Fraction(len(wins), len(nets)) if nets else None,
        "profit_factor": sum(wins) / sum(losses) if losses else None,
        "expectancy": sum(nets) / len(nets) if nets else None,
        "expectancy_ratio": (sum(wins) * len(losses) / sum(losses) + len(wins)) / len(nets) - 1 if losses else None,
        "best_trade": max(shares, default=None),
        "worst_trade": min(shares, default=None),
        "best_trade_abs": max(nets, default=None),
        "worst_trade_abs": min(nets, default=None),
        "profit_closed_ratio_mean": sum(shares) / len(shares) if shares else None,
        "sharpe": float(mean) / spread * root if spread > 1e-12 else None,
        "sortino": float(mean) / downside * root if downside > 1e-12 else None,
        "cagr": growth,
        "max_drawdown_abs": falls[0],
        "max_relative_drawdown": falls[1],
        "calmar": growth / float(falls[1]) if growth is not None and falls[1] > 1e-12 else None,
    }


def naive_falls(values: list[Fraction]) -> tuple[Fraction, Fraction]:
    """The largest fall from any value to any later one, in money and as a share of the former."""
    pairs = [(high, low) for place, high in enumerate(values) for low in values[place:]]
    return max(high - low for high, low in pairs), max(
        1 - low / high if high > 0 else Fraction(0) for high, low in pairs
    )


def nobody() -> Traded:
    """A trade of nothing."""
    return trade("0")


def test_a_trade_is_read_out_of_its_row() -> None:
    row = b'{"bot_id":"bot-1","symbol":"BTC/USDT","side":"long","entry_time":"2024-01-01T00:00:00Z","number":3,'
    row += b'"exit_time":"2024-01-01T01:00:00Z","entry_cost":"100.5","net":"-1.25","reason":"stop_loss","fees":"1"}'

    found = msgspec.json.decode(row, type=Traded)

    assert (found.entry_cost, found.net) == (Decimal("100.5"), Decimal("-1.25"))
    assert found.closed_at - found.opened_at == timedelta(hours=1)

    older = msgspec.json.decode(row.replace(b'"entry_cost":"100.5",', b""), type=Traded)
    assert (older.entry_cost, older.net) == (Decimal(0), Decimal("-1.25"))
