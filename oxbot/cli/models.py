"""``oxbot models``: which language models bots can ask, whether one answers as it must, and what they have cost."""

import asyncio
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated

import msgspec
import typer

from events.errors import OxbotError
from events.identifiers import ModelName, Symbol
from events.values import MarketReference
from oxbot.adapters.model_table import ModelKeys, read_model_table
from oxbot.adapters.model_transport import open_transport
from oxbot.adapters.synthetic_market import SyntheticMarket
from oxbot.app.clock import SystemClock
from oxbot.app.models.check import CANDLES, CallChecked, Checked, Probe, check_model, probe
from oxbot.app.models.known import KnownModel, ModelTable
from oxbot.cli.audit_words import printable
from oxbot.cli.columns import print_rows
from oxbot.cli.inputs import InvalidInput
from oxbot.cli.models_spend import spend
from oxbot.config import load_settings
from oxbot.core.money import text

app = typer.Typer(name="models", help="The language models that bots can ask.", no_args_is_help=True)
app.command()(spend)

FAILED = 1
CALLS_MAX = 20
LINE = ("name", "model", "address", "key", "calls/min", "usd per million", "answers", "cutoff", "fallbacks")
CALL = ("call", "fault", "opinions", "ms", "tokens in", "cached", "out", "usd", "model")
PROBED = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
BEGINS_AT = datetime(2024, 1, 1, tzinfo=UTC)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class ModelShown(msgspec.Struct, frozen=True, kw_only=True):
    """A model of the table as it is printed: where its key is, and never the key."""

    name: str
    provider_model: str
    base_url: str | None
    key: str
    calls_per_minute: int
    prices: str | None
    structured: str
    cutoff: str | None
    fallbacks: tuple[str, ...]


@app.command(name="list")
def list_models(as_json: _Json = False) -> None:
    """List the models of the file that OXBOT_MODELS names, and the one that is always there."""
    table = read_model_table(load_settings(os.environ).models)
    shown = [_shown(model, ModelKeys(table, os.environ)) for model in table.models.values()]
    if as_json:
        sys.stdout.write(msgspec.json.encode(shown).decode() + "\n")
    else:
        print_rows(LINE, [_line(model) for model in shown])


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="The model's name in the table.")],
    calls: Annotated[int, typer.Option(help="How many times to ask it.", min=1, max=CALLS_MAX)] = 1,
    as_json: _Json = False,
) -> None:
    """Ask a model about a made-up market, for money if it costs any; exit 1 if an answer is not as it must be.

    What it costs is paid beside every budget, and recorded nowhere.
    """
    table = read_model_table(load_settings(os.environ).models)
    model = table.get(ModelName(name))
    if model is None:
        raise InvalidInput(f"no model {printable(name)}; there is {', '.join(table.models)}")
    # Nothing is sent, and so nothing is checked, without the key.
    ModelKeys(table, os.environ).key(model.name)
    found = asyncio.run(_checked(model, os.environ, calls))
    _say(found, as_json=as_json)
    raise typer.Exit(0 if found.passed else FAILED)


async def _checked(model: KnownModel, environment: Mapping[str, str], calls: int) -> Checked:
    clock = SystemClock()
    # Of all the table only this one is spoken to, so litellm is imported for no other.
    alone = ModelTable([] if model.scripted else [msgspec.structs.replace(model, fallbacks=())])
    async with open_transport(alone, environment, clock=clock) as transport:
        return await check_model(model, transport, question=_question(), calls=calls, clock=clock)


def _question() -> Probe:
    market = SyntheticMarket(1, [Symbol(symbol) for symbol in PROBED], "5m", BEGINS_AT)
    reference = MarketReference(
        venue=market.venue, timeframe=market.timeframe, begins_at=BEGINS_AT, instruments=market.instruments
    )
    return probe(reference, islice(market.frames_after(None), CANDLES))


def _say(found: Checked, *, as_json: bool) -> None:
    if as_json:
        told = {**msgspec.to_builtins(found), "passed": found.passed}
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        return
    print_rows(CALL, [_call(number, call) for number, call in enumerate(found.calls, start=1)])
    cost = "unknown" if found.cost is None else f"{text(found.cost)} US dollars"
    lines = [
        f"{found.name}, {found.provider_model}: {found.compliant} of {len(found.calls)} answers as they must be",
        f"latency: {found.latency_ms_median} ms in the median, {found.latency_ms_max} ms at most; cost: {cost}",
        *(f"note: {note}" for note in found.notes),
    ]
    sys.stdout.write("".join(f"{printable(line)}\n" for line in lines))


def _call(number: int, call: CallChecked) -> tuple[str, ...]:
    used = (str(call.usage.input), str(call.usage.cached), str(call.usage.output))
    cost = "" if call.cost is None else text(call.cost)
    fields = (str(number), call.fault or "none", str(call.opinions), str(call.latency_ms), *used, cost)
    return tuple(printable(field) for field in (*fields, call.resolved_model))


def _shown(model: KnownModel, keys: ModelKeys) -> ModelShown:
    prices = model.prices
    return ModelShown(
        name=model.name,
        provider_model=model.provider_model,
        base_url=model.base_url,
        key=_key(model, keys),
        calls_per_minute=model.calls_per_minute,
        prices=None if prices is None else "/".join(map(text, (prices.input, prices.cached, prices.output))),
        structured=model.structured,
        cutoff=None if model.cutoff is None else model.cutoff.isoformat(),
        fallbacks=model.fallbacks,
    )


def _key(model: KnownModel, keys: ModelKeys) -> str:
    if not model.keyed:
        return "none"
    place = model.key_env or str(model.key_file)
    try:
        keys.key(model.name)
    except OxbotError as error:
        return f"missing: {error}"
    return place


def _line(model: ModelShown) -> tuple[str, ...]:
    fields = (
        model.name,
        model.provider_model,
        model.base_url or ("none" if model.provider_model.startswith("scripted/") else "the provider's own"),
        model.key,
        str(model.calls_per_minute),
        model.prices or "none: it is not asked",
        model.structured,
        model.cutoff or "unknown",
        ", ".join(model.fallbacks) or "none",
    )
    return tuple(printable(field) for field in fields)
