"""Bots compared: who is ranked beside whom, by what, and which lines are labelled."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.identifiers import BotId, ModelName, VenueName
from oxbot.adapters.synthetic_market import SyntheticMarket
from oxbot.core.state import fold
from oxbot.views.advice_rows import AdviceTotals, ArenaRow, ModelAsked
from oxbot.views.arena import ArenaLine, arena_line, contaminated, ranked
from oxbot.views.bot_rows import bot_row
from oxbot.views.rows import BotLine
from tests.core.scenario import BTC, START, running

LINE = msgspec.convert(msgspec.to_builtins(bot_row(fold(running()), START)), BotLine)
ASKED = ModelAsked(model=ModelName("deep"), requests=10, first_at=START, last_at=START + timedelta(days=3))
TOTALS = AdviceTotals(
    pending=1, answered=1, advised=5, abstained=2, stale=1, lapsed=1, invalid=1, asked_symbols=20, opinions=9, calls=12,
    cost="3.5", late_ms=1300, models=(ASKED,), resolved=(("deep-3.2", 8),), templates=("market/1",),
)  # fmt: skip


def nobody_knows(name: ModelName) -> Sequence[date | None]:
    del name
    return [None]


def row(**changes: Any) -> ArenaRow:
    """A bot that bought for 1,000 what is worth 100 apiece now."""
    known = ArenaRow(
        bot_id=LINE.bot_id,
        initial_capital="10000",
        capital="10000",
        since=START,
        cash="9000",
        owed="0",
        quantities=((BTC, "11"),),
        fees="1.5",
        funding="0",
        trades=4,
        advice=TOTALS,
    )
    return msgspec.structs.replace(known, **changes)


def line(found: ArenaRow | None = None, **bot: Any) -> ArenaLine:
    return arena_line(msgspec.structs.replace(LINE, **bot), found or row(), {BTC: Decimal(100)}, nobody_knows)


def test_a_line_is_after_fees_and_then_after_what_the_models_cost() -> None:
    found = line()
    assert (found.equity, found.pnl, found.total_return, found.fees) == ("10100", "100", "0.01", "1.5")
    assert (found.model_cost, found.pnl_net, found.return_net) == ("3.5", "96.5", "0.00965")
    assert (found.models, found.resolved, found.templates) == (("deep",), (("deep-3.2", 8),), ("market/1",))


def test_shares_are_of_the_requests_that_are_not_pending() -> None:
    found = line()
    assert (found.requests, found.calls, found.trades, found.late_ms) == (11, 12, 4, 1300)
    assert (found.coverage, found.abstained, found.invalid, found.stale) == ("0.45", "0.2", "0.1", "0.2")


def test_a_bot_that_asks_nobody_has_costs_of_nothing_and_no_shares() -> None:
    found = line(row(advice=None))
    assert (found.model_cost, found.pnl_net, found.contaminated) == ("0", "100", False)
    assert (found.coverage, found.abstained, found.invalid, found.stale, found.late_ms) == (None,) * 5


def test_a_short_is_owed_what_it_was_sold_for() -> None:
    short = row(cash="10000", owed="-1200", quantities=((BTC, "-11"),))
    assert line(short).equity == "10100"


@pytest.mark.parametrize(
    ("changes", "quote", "why"),
    [
        ({"capital": "10500"}, "USDT", "capital came or went since it began"),
        ({"initial_capital": "0"}, "USDT", "it began without capital"),
        ({}, "EUR", "its models are paid in US dollars, and its money is none"),
        ({"advice": None}, "EUR", ""),
        ({}, "USDT", ""),
    ],
)
def test_who_cannot_be_compared_is_not_ranked_and_told_why(changes: dict[str, Any], quote: str, why: str) -> None:
    found = line(row(**changes), quote=quote)
    assert found.unranked == why
    assert ranked([found])[0].rank == (None if why else 1)
    assert (found.pnl_net is None) == (quote == "EUR" and found.model_cost != "0")


@pytest.mark.parametrize(
    ("cutoffs", "label"),
    [
        ([date(2024, 1, 1)], True),
        ([date(2023, 12, 31)], False),
        ([None], None),
        ([date(2023, 12, 31), date(2025, 1, 1)], True),
        ([None, date(2025, 1, 1)], True),
        ([date(2023, 12, 31), None], None),
        ([date.min], False),
    ],
)
def test_a_candle_that_the_training_had_seen_is_labelled(cutoffs: Sequence[date | None], label: bool | None) -> None:
    assert contaminated([ASKED], lambda _: cutoffs, venue="recorded-1") is label


def test_no_training_saw_a_market_that_was_made_up() -> None:
    venue = SyntheticMarket(1, [BTC], "5m", START).venue
    assert contaminated([ASKED], lambda _: [date(2030, 1, 1)], venue=venue) is False


@pytest.mark.parametrize(
    "other",
    [
        {"quote": "USDC"},
        {"timeframe": "1h"},
        {"venue": VenueName("other")},
        {"symbols": ("ETH/USDT",)},
        {"begins_at": START + timedelta(days=1)},
        {"account": "main"},
    ],
)
def test_only_bots_of_the_same_market_and_day_are_ranked_together(other: dict[str, Any]) -> None:
    two = [line(), line(bot_id=BotId("bot-2"), **other)]
    assert [(found.contest, found.rank) for found in ranked(two)] == [(1, 1), (2, 1)]
    assert line(row(initial_capital="5000", capital="5000")).contest == 0
    same = ranked([line(), line(bot_id=BotId("bot-2"), begins_at=START + timedelta(hours=23))])
    assert [(found.contest, found.rank) for found in same] == [(1, 1), (1, 1)]


def test_bots_with_another_capital_are_in_another_contest() -> None:
    two = [line(), line(row(initial_capital="5000", capital="5000"), bot_id=BotId("bot-2"))]
    assert sorted(found.contest for found in ranked(two)) == [1, 2]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(8900, 9100), st.booleans()), max_size=30))
def test_ranks_follow_net_returns_and_no_bot_is_lost(given_bots: list[tuple[int, int, bool]]) -> None:
    lines = [
        line(
            row(cash=str(cash), capital="9999" if moved else "10000"),
            bot_id=BotId(f"bot-{number}"),
            begins_at=START + timedelta(days=group),
        )
        for number, (group, cash, moved) in enumerate(given_bots)
    ]
    found = ranked(lines)
    assert sorted(each.bot_id for each in found) == sorted(each.bot_id for each in lines)
    for one in found:
        for other in found:
            if one.contest == other.contest and one.rank is not None and other.rank is not None:
                assert one.begins_at == other.begins_at
                better = Decimal(one.return_net or 0) > Decimal(other.return_net or 0)
                assert (one.rank < other.rank) == better
    places = [(each.contest, each.rank is None, each.rank or 0) for each in found]
    assert places == sorted(places)
    sizes = [sum(each.contest == number for each in found) for number in sorted({each.contest for each in found})]
    assert sizes == sorted(sizes, reverse=True)
