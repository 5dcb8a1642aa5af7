"""A bot's tables: the limits that hold beside their defaults, and everything else it was created with."""

from decimal import Decimal

import msgspec
import pytest

from events.values import PaperModel, RiskLimits, StopGuard
from oxbot.app.failing import BotShown
from oxbot.app.fleet_report import BotResult
from oxbot.cli.bot_tables import limit_rows, print_bot
from oxbot.core.risk import limits_table
from oxbot.core.state import INITIAL, evolve
from oxbot.views.bot_rows import bot_row
from oxbot.views.setup import LimitsInForce, in_force
from tests.core.scenario import BTC, START, created, instrument

GUARD = StopGuard(stops_max=3, lookback_candles=288, pause_candles=24, per_symbol=True)
GIVEN = msgspec.structs.replace(
    created(instrument(minimum="10"), limits=RiskLimits(drawdown_max=Decimal("0.15"), stop_guard=GUARD)),
    name="one\x1b[31m",
    paper=PaperModel(half_spread=Decimal("0.0002")),
)
RESULT = BotResult(
    name="one",
    strategy="ema_cross",
    symbols=(BTC,),
    capital="10000",
    cash="9500",
    equity="10100",
    fees="1.5",
    max_drawdown="0.02",
    trades=(),
    open=(),
)


def shown(**changes: object) -> BotShown:
    """The bot, with these fields instead."""
    row = bot_row(evolve(INITIAL, GIVEN), START)
    return msgspec.structs.replace(msgspec.convert(msgspec.to_builtins(row), BotShown), **changes)


def sections(bot: BotShown, capsys: pytest.CaptureFixture[str]) -> list[dict[str, list[str]]]:
    """What is printed: of each table its lines by their first field."""
    print_bot(bot, RESULT)
    tables = capsys.readouterr().out.split("\n\n")
    return [{line.split("\t")[0]: line.split("\t")[1:] for line in table.splitlines()} for table in tables]


def test_every_limit_has_a_line_with_what_holds_and_the_default() -> None:
    rows = {
        limit: (value, default) for limit, value, default, _, _ in limit_rows(in_force(GIVEN.limits, LimitsInForce))
    }
    table = {row.limit: row.default for row in limits_table() if row.limit}

    assert list(rows) == list(table)
    changed = {limit: value for limit, (value, default) in rows.items() if value != default}
    assert changed == {
        "drawdown_max": "0.15",
        "stop_guard.stops_max": "3",
        "stop_guard.lookback_candles": "288",
        "stop_guard.pause_candles": "24",
        "stop_guard.per_symbol": "yes",
    }
    assert {limit: default for limit, (_, default) in rows.items()} == table
    assert (rows["positions_max"], rows["daily_loss_max"]) == (("5", "5"), ("none", "none"))


def test_a_bot_is_printed_with_what_it_was_created_with(capsys: pytest.CaptureFixture[str]) -> None:
    fields, limits, instruments = sections(shown(), capsys)

    assert (fields["name"], fields["status"], fields["equity"]) == (["one?[31m"], ["created"], ["10100"])
    assert (fields["begins_at"], fields["trades"]) == (["2024-01-01T00:00:00Z"], ["0"])
    assert fields["parameters.size_fraction"] == ["0.05"]
    assert (fields["leverage"], fields["sizing.method"], fields["paper.half_spread"]) == (
        ["1"],
        ["fraction"],
        ["0.0002"],
    )
    assert (fields["paper.participation_max"], fields["fees.taker"]) == (["none"], ["0.001"])
    assert limits["drawdown_max"][:2] == ["0.15", "none"]
    assert instruments[BTC][:4] == ["0.00000001", "0.00000001", "10", "spot"]
    assert "error" not in fields


def test_a_bot_that_fails_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    fields, *_ = sections(shown(failing_since=START, error="gone"), capsys)

    assert (fields["failing_since"], fields["error"]) == (["2024-01-01T00:00:00Z"], ["gone"])


def test_a_row_of_an_older_program_is_printed_without_limits(capsys: pytest.CaptureFixture[str]) -> None:
    older = shown(limits=None, sizing=None, paper=None, fees=None, instruments={})
    fields, instruments = sections(older, capsys)

    assert fields["status"] == ["created"]
    assert "sizing.method" not in fields
    assert list(instruments) == ["symbol"]


def test_a_halted_bot_is_printed_with_the_rule_and_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert "halted" not in sections(shown(), capsys)[0]
    fields = sections(
        shown(status="halted", halted="strategy_failed: ValueError: no", fleet_trading="reducing"), capsys
    )[0]
    assert (fields["status"], fields["halted"]) == (["halted"], ["strategy_failed: ValueError: no"])
    assert fields["fleet_trading"] == ["reducing"]
