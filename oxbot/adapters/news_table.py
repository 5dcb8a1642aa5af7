"""Reads the table of sources of news, a TOML file."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from events.errors import OxbotError
from oxbot.adapters.news_addresses import check_address
from oxbot.app.news.known import SOURCES_MAX, KnownSource, NewsTable
from oxbot.app.news.source import NewsUnavailable

FILE_MAX = 1_000_000

_Ticker = Annotated[str, msgspec.Meta(pattern="^[A-Z0-9]{1,16}$")]
_Name = Annotated[str, msgspec.Meta(min_length=3, max_length=64)]


class InvalidNewsTable(OxbotError):
    """The table of sources cannot be read or means nothing; the text says where."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sources: dict[str, dict[str, object]] = {}
    names: dict[_Ticker, tuple[_Name, ...]] = {}


def read_news_table(path: Path | None) -> NewsTable:
    """The sources of the file; none without a file. Raises ``InvalidNewsTable``."""
    if path is None:
        return NewsTable()
    try:
        with path.open("rb") as file:
            content = file.read(FILE_MAX + 1)
    except OSError as error:
        raise InvalidNewsTable(f"cannot read the table of news {path}: {error.strerror}") from error
    if len(content) > FILE_MAX:
        raise InvalidNewsTable(f"{path} is larger than {FILE_MAX} bytes; that is no table of news")
    return _parsed(content, path)


def _parsed(content: bytes, path: Path) -> NewsTable:
    try:
        table = msgspec.convert(tomllib.loads(content.decode()), _Table)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidNewsTable(f"{path} is no TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise InvalidNewsTable(f"{path}: {error}") from None
    if len(table.sources) > SOURCES_MAX:
        raise InvalidNewsTable(f"{path}: at most {SOURCES_MAX} sources are read")
    sources = tuple(_source(name, given, path) for name, given in table.sources.items())
    return NewsTable(sources=sources, names=table.names)


def _source(name: str, given: Mapping[str, object], path: Path) -> KnownSource:
    place = f"{path}: sources.{re.sub(r'[^A-Za-z0-9._-]', '?', name)[:64]}"
    if "name" in given:
        raise InvalidNewsTable(f"{place}: its name is what follows sources.")
    try:
        source = msgspec.convert({"name": name, **given}, KnownSource)
        if source.url is not None:
            check_address(source.url, private=source.private)
    except msgspec.ValidationError as error:
        raise InvalidNewsTable(f"{place}: {error}") from None
    except NewsUnavailable as unavailable:
        raise InvalidNewsTable(f"{place}: {unavailable.fault}") from None
    return source
