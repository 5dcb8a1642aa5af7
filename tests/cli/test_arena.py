"""The arena as people read it: every column, nothing that could steer a terminal, and why somebody is not ranked."""

import json
from datetime import timedelta

import msgspec
import pytest

from events.identifiers import BotId
from oxbot.app.arena import ArenaBoard
from oxbot.cli.arena import COLUMNS, cells, say
from oxbot.views.arena import ranked
from tests.core.scenario import START
from tests.views.test_arena import line, row


def test_a_line_has_a_text_for_every_column() -> None:
    [found] = ranked([line()])
    assert dict(zip(COLUMNS, cells(found), strict=True)) == {
        "contest": "1",
        "rank": "1",
        "bot": "Bot 1",
        "strategy": "ema_cross",
        "model": "deep",
        "answered by": "deep-3.2 x8",
        "capital": "10000",
        "equity": "10100.00",
        "return": "1.00%",
        "P&L": "100.00",
        "fees": "1.50",
        "model cost": "3.5000",
        "net P&L": "96.50",
        "net return": "0.96%",
        "drawdown": "",
        "trades": "4",
        "coverage": "45.00%",
        "calls": "12",
        "abstained": "20.00%",
        "invalid": "10.00%",
        "stale": "20.00%",
        "late ms": "1300",
        "contaminated": "unknown",
    }


def test_what_models_call_themselves_cannot_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    found = msgspec.structs.replace(line(), resolved=(("deep\x1b[2J\nrank", 1),), name="a\rb")
    say(ArenaBoard(position=1, bots=1, items=[found]), as_json=False)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\r" not in printed
    assert len(printed.splitlines()) == 2


def test_who_is_not_ranked_and_how_many_are_not_shown_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    moved = line(row(capital="1"), bot_id=BotId("bot-7"), begins_at=START + timedelta(days=1))
    say(ArenaBoard(position=1, bots=9, items=ranked([moved])), as_json=False)
    assert capsys.readouterr().out.splitlines()[2:] == [
        "bot-7 is not ranked: capital came or went since it began",
        "1 of 9 bots; --limit shows up to 200",
    ]


def test_json_is_the_board(capsys: pytest.CaptureFixture[str]) -> None:
    board = ArenaBoard(position=1, bots=1, items=ranked([line()]))
    say(board, as_json=True)
    assert json.loads(capsys.readouterr().out) == json.loads(msgspec.json.encode(board))
