"""The command ``oxbot``."""

import os
import signal
import sys
import traceback
from collections.abc import Iterable
from importlib import import_module
from uuid import uuid4

import typer

from events.errors import OxbotError
from oxbot.adapters.database import explained
from oxbot.app.correlation import correlated

COMMANDS = {
    "accounts": "oxbot.cli.accounts",
    "alerts": "oxbot.cli.alerts",
    "archive": "oxbot.cli.archive",
    "audit": "oxbot.cli.audit",
    "bots": "oxbot.cli.bots",
    "market": "oxbot.cli.market",
    "models": "oxbot.cli.models",
    "news": "oxbot.cli.news",
    "db": "oxbot.cli.database",
    "privacy": "oxbot.cli.privacy",
    "projections": "oxbot.cli.projections",
    "risk": "oxbot.cli.risk",
    "strategies": "oxbot.cli.strategies",
    "tokens": "oxbot.cli.tokens",
    "trace": "oxbot.cli.trace",
    "users": "oxbot.cli.users",
    "arena": "oxbot.cli.arena",
    "compare": "oxbot.cli.compare",
    "doctor": "oxbot.cli.doctor",
    "exchange": "oxbot.cli.exchange",
    "parity": "oxbot.cli.parity",
    "replay": "oxbot.cli.replay",
    "demo": "oxbot.cli.demo",
    "up": "oxbot.cli.up",
    "api": "oxbot.cli.api",
}
"""Where each command is: its module is imported when it is asked for, all of them take a second."""

REFUSED = 2
"""What was asked or found is wrong; 1 is left to verifications that find something."""

CRASHED = 70
INTERRUPTED = 130


def application(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(oxbot)
    for name in names:
        app.add_typer(import_module(COMMANDS[name]).app)
    return app


def oxbot() -> None:
    """An event-sourced fleet of crypto trading bots."""


def main() -> None:
    """Run the command line: whatever goes wrong is one line on standard error and a status that says whose fault.

    Whoever asks it to terminate interrupts it, so that it ends in order: seals, and stops what it has started.
    """
    # What a script starts in the background begins with interrupts ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        named = COMMANDS.keys() & sys.argv[1:2]
        with correlated(uuid4()):
            application(named or COMMANDS)(standalone_mode=True)
    except (Exception, BaseExceptionGroup, KeyboardInterrupt) as error:  # noqa: BLE001  # the last to be asked
        raise SystemExit(end(error, debug=os.environ.get("OXBOT_LOG_LEVEL") == "debug")) from None


def end(error: BaseException, *, debug: bool) -> int:
    """Say why the command ended: its exit status. Where a fault of ours was raised is told to who debugs."""
    cause = _first(error)
    if isinstance(cause, KeyboardInterrupt):
        return INTERRUPTED
    known = _known(cause)
    if known is not None:
        sys.stderr.write(f"oxbot: {known}\n")
        return REFUSED
    what = " ".join(f"{type(cause).__name__}: {cause}".split())
    sys.stderr.write(f"oxbot: a fault of oxbot itself: {what} (OXBOT_LOG_LEVEL=debug shows where)\n")
    if debug:
        traceback.print_exception(error)
    return CRASHED


def _known(cause: BaseException) -> OxbotError | None:
    """The error if it is one for the operator, who is told so; None for a fault of ours."""
    if isinstance(cause, OxbotError):
        return cause
    if isinstance(cause, OSError) and isinstance(cause.filename, str | bytes):
        return OxbotError(f"cannot use {os.fsdecode(cause.filename)}: {cause.strerror}")
    return explained(cause)


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
