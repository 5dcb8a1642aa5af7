"""A bot as a person at a terminal reads it: how it stands, the limits that hold, what it trades."""

import sys
from collections.abc import Iterator, Mapping

import msgspec

from events.identifiers import Symbol
from events.values import RiskLimits
from oxbot.app.failing import BotShown
from oxbot.app.fleet_report import BotResult
from oxbot.cli.audit_words import printable
from oxbot.cli.columns import print_rows
from oxbot.cli.owners import owner_words
from oxbot.core.risk import limits_table
from oxbot.core.risk_limits import value_text
from oxbot.views.setup import InForce, InstrumentInForce, LimitsInForce

FIELDS = ("field", "value")
LIMITS = ("limit", "value", "default", "unit", "meaning")
INSTRUMENTS = ("symbol", *InstrumentInForce.__struct_fields__)

_STANDING = (
    "bot_id", "fleet", "name", "status", "trading", "fleet_trading", "venue", "timeframe", "begins_at", "created_at",
    "quote",
)  # fmt: skip
_RESULT = ("capital", "cash", "equity", "fees", "max_drawdown")
_FAILING = ("failing_since", "error")


def print_bot(bot: BotShown, result: BotResult) -> None:
    """Print three tables; fields of what the bot was created with bear the names that ``--set`` takes."""
    print_rows(FIELDS, list(_fields(bot, result)))
    if bot.limits is not None:
        sys.stdout.write("\n")
        print_rows(LIMITS, limit_rows(bot.limits))
    sys.stdout.write("\n")
    print_rows(INSTRUMENTS, instrument_rows(bot.instruments))


def limit_rows(limits: LimitsInForce) -> list[tuple[str, ...]]:
    """Every limit that can be set, in the order in which its rule is asked: what holds, and what would by default."""
    held = msgspec.convert(msgspec.to_builtins(limits), RiskLimits)
    table = (row for row in limits_table() if row.limit)
    return [(row.limit, value_text(held, row.limit), row.default, row.unit, row.meaning) for row in table]


def instrument_rows(instruments: Mapping[Symbol, InstrumentInForce]) -> list[tuple[str, ...]]:
    """The terms of each symbol."""
    return [(symbol, *(value for _, value in _said(terms))) for symbol, terms in instruments.items()]


def _fields(bot: BotShown, result: BotResult) -> Iterator[tuple[str, str]]:
    names = _STANDING if bot.failing_since is None else (*_STANDING, *_FAILING)
    if bot.halted:
        names = (*names, "halted")
    for name in names:
        yield name, _text(getattr(bot, name))
    yield "owner", owner_words(bot.owner_id)
    for name in _RESULT:
        yield name, _text(getattr(result, name))
    yield "trades", str(len(result.trades))
    yield "open", str(len(result.open))
    yield "strategy", f"{bot.strategy}, version {bot.strategy_version}"
    for parameter in bot.parameters:
        yield f"parameters.{parameter.name}", printable(parameter.value)
    yield "leverage", bot.leverage
    for name in ("sizing", "paper", "fees"):
        part: InForce | None = getattr(bot, name)
        if part is not None:
            yield from _said(part, f"{name}.")


def _said(part: InForce, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name in part.__struct_fields__:
        yield f"{prefix}{name}", _text(getattr(part, name))


def _text(value: object) -> str:
    """What the field says in JSON, without quotes; none for null."""
    plain = msgspec.to_builtins(value)
    return "none" if plain is None else printable(str(plain))
