"""How a command ends that did not do what it was asked: one line, and whose fault it is as the exit status."""

import asyncpg
import pytest

from events.errors import LogUnavailable
from oxbot.cli.main import CRASHED, INTERRUPTED, REFUSED, end


class _Bug(Exception):
    """Nothing that anybody raises on purpose."""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (LogUnavailable("the log could not be reached"), "the log could not be reached"),
        (FileNotFoundError(2, "No such file or directory", "/home/x"), "cannot use /home/x: No such file or directory"),
        (ConnectionResetError("reset by peer"), "the database does not answer: reset by peer"),
        (asyncpg.AdminShutdownError("terminating\nfor good"), "the database does not answer: terminating"),
        (asyncpg.TooManyConnectionsError("too many"), "the database cannot do that just now: too many"),
        (asyncpg.InsufficientPrivilegeError("no"), "the database does not let this login do that: no"),
        (
            asyncpg.UndefinedTableError('relation "views.bots" does not exist'),
            'the database is not as its migrations made it: relation "views.bots" does not exist',
        ),
    ],
)
def test_what_the_operator_can_mend_is_said_in_a_line(
    capsys: pytest.CaptureFixture[str], error: Exception, line: str
) -> None:
    assert end(error, debug=True) == REFUSED == 2
    assert end(ExceptionGroup("several", [ExceptionGroup("tasks", [error]), _Bug()]), debug=False) == REFUSED
    assert capsys.readouterr() == ("", f"oxbot: {line}\n" * 2)


def test_a_fault_of_ours_is_neither_a_finding_nor_a_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    assert end(_Bug("something\nunforeseen"), debug=False) == CRASHED == 70
    said = capsys.readouterr().err
    assert said == "oxbot: a fault of oxbot itself: _Bug: something unforeseen (OXBOT_LOG_LEVEL=debug shows where)\n"


def test_where_a_fault_of_ours_is_is_shown_to_who_debugs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(_Bug) as raised:
        raise _Bug("here")
    assert end(raised.value, debug=True) == CRASHED
    said = capsys.readouterr().err
    assert said.startswith("oxbot: a fault of oxbot itself: _Bug: here")
    assert "Traceback" in said
    assert "test_where_a_fault_of_ours_is" in said


def test_an_interruption_is_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert end(KeyboardInterrupt(), debug=False) == INTERRUPTED == 130
    assert end(BaseExceptionGroup("", [KeyboardInterrupt()]), debug=False) == INTERRUPTED
    assert capsys.readouterr().err == ""
