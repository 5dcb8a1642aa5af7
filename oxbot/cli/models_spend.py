"""``oxbot models spend``: what calls to language models cost, by day and model, or by the bots that shared them."""

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated

import msgspec
import typer

from oxbot.app.projection import ProjectionRunner
from oxbot.app.views import RowReader, ViewReader
from oxbot.cli.audit_words import printable
from oxbot.cli.columns import print_rows
from oxbot.cli.installation import open_installation
from oxbot.config import load_settings
from oxbot.core.money import ZERO, exact, text
from oxbot.logs import configure_logs
from oxbot.views.advice_rows import ModelDayRow, ModelRow, SpendingRow
from oxbot.views.amounts import Amount
from oxbot.views.model_views import MODELS

DAYS = 30
DAYS_MAX = 3660
PAGE = 500
BY_MODEL = (
    "day", "model", "calls", "answered", "other ends", "open up to", "tokens in", "cached", "out", "late ms", "usd",
    "answered by", "prices",
)  # fmt: skip
BY_BOT = ("day", "bot", "model", "answers", "calls", "tokens in", "cached", "out", "usd")


class Spend(msgspec.Struct, frozen=True, kw_only=True, rename={"since": "from"}):
    """What was spent since that day of UTC: by model and day, or by bot, model and day; ``total`` in US dollars.

    ``reserved`` is the most that calls which have not ended can cost beside it; ``closed`` are models not asked now.
    """

    since: date
    models: list[ModelDayRow] = []
    bots: list[SpendingRow] = []
    total: Amount
    reserved: Amount = "0"
    closed: list[ModelRow] = []


def spend(
    days: Annotated[int, typer.Option(min=1, max=DAYS_MAX, help="So many days of UTC, today among them.")] = DAYS,
    by_bot: Annotated[bool, typer.Option("--bots", help="The share of each bot.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what calls to models cost by day, whoever was told of them, or with --bots what each bot was told of."""
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)
    since = datetime.now(UTC).date() - timedelta(days=days - 1)

    async def work() -> Spend:
        async with open_installation(settings, name="cli") as installation:
            stores = installation.stores
            await ProjectionRunner(stores.log, stores.views).catch_up()
            return await (spent_by_bots if by_bot else spent_by_models)(stores.views, since)

    say(asyncio.run(work()), by_bot=by_bot, as_json=as_json)


async def spent_by_models(views: ViewReader, since: date) -> Spend:
    """Each model's days from that one on, in order of day."""
    async with views.snapshot(MODELS.name) as snapshot:
        models = await _models(snapshot)
        found = [
            msgspec.json.decode(row.body, type=ModelDayRow)
            for model in models
            for row in await snapshot.rows("model_days", model.model, after_key=_before(since), limit=DAYS_MAX)
        ]
    found.sort(key=lambda row: (row.day, row.model))
    return Spend(
        since=since,
        models=found,
        total=_sum([row.cost for row in found]),
        reserved=_sum([row.reserved for row in found]),
        closed=[model for model in models if model.closed],
    )


async def spent_by_bots(views: ViewReader, since: date) -> Spend:
    """Each bot's days from that one on, in order of day."""
    found: list[SpendingRow] = []
    async with views.snapshot() as snapshot:
        after = ""
        while bots := await snapshot.across("bots", after_bot=after, limit=PAGE):
            for bot in bots:
                rows = await snapshot.rows("spending", bot.bot_id, after_key=_before(since), limit=DAYS_MAX * PAGE)
                found.extend(msgspec.json.decode(row.body, type=SpendingRow) for row in rows)
            after = bots[-1].owner
    found.sort(key=lambda row: (row.day, row.bot_id, row.model))
    return Spend(since=since, bots=found, total=_sum([row.cost for row in found]))


def say(found: Spend, *, by_bot: bool, as_json: bool) -> None:
    """Print what was found."""
    if as_json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    if by_bot:
        print_rows(BY_BOT, [_bot_cells(row) for row in found.bots])
    else:
        print_rows(BY_MODEL, [_model_cells(row) for row in found.models])
    sys.stdout.write(f"{found.total} US dollars since {found.since.isoformat()}\n")
    if Decimal(found.reserved):
        sys.stdout.write(f"calls that have not ended may cost up to {found.reserved} more\n")
    for model in found.closed:
        for route in model.closed:
            what = f"{model.model} is not asked" + (f" with template {route.template}" if route.template else "")
            until = "its settings are mended" if route.until is None else f"{route.until:%Y-%m-%dT%H:%M:%SZ}"
            sys.stdout.write(printable(f"{what} until {until}: {route.cause}, {route.detail}") + "\n")


async def _models(views: RowReader) -> list[ModelRow]:
    models: list[ModelRow] = []
    while page := await views.across("models", after_bot=models[-1].model if models else "", limit=PAGE):
        models.extend(msgspec.json.decode(row.body, type=ModelRow) for row in page)
    return models


def _before(day: date) -> str:
    """A key that sorts before all keys of the day and after those of the day before."""
    return f"{(day - timedelta(days=1)).isoformat()}~"


def _sum(amounts: Sequence[Amount]) -> Amount:
    with exact():
        return text(sum(map(Decimal, amounts), ZERO))


def _model_cells(row: ModelDayRow) -> tuple[str, ...]:
    ends = dict(row.outcomes)
    answered = ends.pop("answered", 0)
    texts = (
        row.day.isoformat(),
        row.model,
        str(row.calls),
        str(answered),
        _counts(tuple(ends.items())),
        row.reserved,
        str(row.input_tokens),
        str(row.cached_tokens),
        str(row.output_tokens),
        "" if row.late_ms is None else str(row.late_ms),
        row.cost,
        _counts(row.resolved),
        ", ".join(row.price_versions),
    )
    return tuple(printable(text) for text in texts)


def _bot_cells(row: SpendingRow) -> tuple[str, ...]:
    counts = (row.answers, row.calls, row.input_tokens, row.cached_tokens, row.output_tokens)
    return row.day.isoformat(), row.bot_id, printable(row.model), *map(str, counts), row.cost


def _counts(counts: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{name} x{count}" for name, count in counts)
