"""``oxbot news``: the sources of news, and news that were recorded elsewhere."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from events.identifiers import news_stream
from oxbot.adapters.news_recorded import RecordedNews, read_news_file
from oxbot.adapters.news_table import read_news_table
from oxbot.adapters.postgres_bodies import PostgresBodies
from oxbot.app.clock import SystemClock
from oxbot.app.handle import fold_stream
from oxbot.app.news.desk import NewsDesk, Watched
from oxbot.app.news.extraction import WordExtractor
from oxbot.app.news.known import WORDS, KnownSource, SourceName
from oxbot.cli.audit_words import printable
from oxbot.cli.columns import print_rows
from oxbot.cli.inputs import InvalidInput, parse_symbols
from oxbot.cli.installation import open_installation
from oxbot.config import Settings, load_settings
from oxbot.core.news import NewsDecider, NewsState
from oxbot.core.news_words import followed

app = typer.Typer(name="news", no_args_is_help=True, help="What sources of news say of symbols.")

LINE = ("source", "kind", "read by", "every", "items", "read", "not read", "pending", "state")


class SourceShown(msgspec.Struct, frozen=True, kw_only=True):
    """A source as it is printed; of what it said, only how much there is."""

    name: str
    kind: str
    extractor: str
    every_seconds: int | None
    received: int
    extracted: int
    refused: int
    pending: int
    failing: str | None
    failing_since: str | None


@app.command(name="list")
def list_news(
    names: Annotated[list[str] | None, typer.Argument(help="Others to list, such as imported ones.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the sources of the file that OXBOT_NEWS names, and how they are doing."""
    settings = load_settings(os.environ)
    known: dict[str, KnownSource | None] = {_name(name): None for name in names or ()}
    known |= {source.name: source for source in read_news_table(settings.news).sources}
    shown = asyncio.run(_listed(known, settings))
    if as_json:
        sys.stdout.write(msgspec.json.encode(shown).decode() + "\n")
    else:
        print_rows(LINE, [_line(source) for source in shown])


@app.command("import")
def import_news(
    file: Annotated[Path, typer.Argument(help="JSON lines: title, published_at and, if known, received_at.")],
    source: Annotated[str, typer.Option(help="The source that published them.")],
    symbols: Annotated[str, typer.Option(help="The symbols to look for, separated by commas.")],
) -> None:
    """Record news as if they had been read when they were received, or published; an item that is known is left out."""
    name = _name(source)
    settings = load_settings(os.environ)
    names = read_news_table(settings.news).names
    items = read_news_file(file)
    extractor = WordExtractor(followed(parse_symbols(symbols), names))
    before, after = asyncio.run(_imported(RecordedNews(name, items), extractor, settings))
    sys.stdout.write(
        f"{name}: {len(items)} items, {after.received - before.received} of them new; "
        f"{after.extracted - before.extracted} say something, {after.refused - before.refused} do not\n"
    )


async def _imported(source: RecordedNews, extractor: WordExtractor, settings: Settings) -> tuple[NewsState, NewsState]:
    async with open_installation(settings, name="news") as installation:
        stores = installation.stores
        before = await fold_stream(stores.log, NewsDecider(), news_stream(source.name))
        desk = NewsDesk(
            [Watched(source, extractor, was_recorded=True)],
            log=stores.log,
            bodies=PostgresBodies(stores.pool),
            clock=SystemClock(),
            holder="oxbot news import",
        )
        await desk.read_once()
        return before.state, desk.state(source.name)


async def _listed(known: Mapping[str, KnownSource | None], settings: Settings) -> list[SourceShown]:
    async with open_installation(settings, name="news") as installation:
        log, shown = installation.stores.log, []
        for name, source in known.items():
            state = (await fold_stream(log, NewsDecider(), news_stream(name))).state
            shown.append(_shown(name, source, state))
        return shown


def _shown(name: str, source: KnownSource | None, state: NewsState) -> SourceShown:
    return SourceShown(
        name=name,
        kind="imported" if source is None else "made up" if source.url is None else "feed",
        extractor=WORDS if source is None else source.extractor,
        every_seconds=None if source is None else source.every_seconds,
        received=state.received,
        extracted=state.extracted,
        refused=state.refused,
        pending=len(state.pending),
        failing=state.failing,
        failing_since=None if state.failing_since is None else f"{state.failing_since:%Y-%m-%dT%H:%M:%SZ}",
    )


def _line(source: SourceShown) -> tuple[str, ...]:
    counts = (source.received, source.extracted, source.refused, source.pending)
    failing = f"failing since {source.failing_since}: {source.failing}"
    state = "never read" if not source.received else "well"
    fields = (
        source.name,
        source.kind,
        source.extractor,
        "" if source.every_seconds is None else f"{source.every_seconds} s",
        *map(str, counts),
        state if source.failing is None else failing,
    )
    return tuple(printable(field) for field in fields)


def _name(text: str) -> str:
    try:
        return msgspec.convert(text, SourceName)
    except msgspec.ValidationError:
        raise InvalidInput(f"{printable(text)} is no source: small letters, digits and hyphens are") from None
