"""News that were recorded: a file of JSON lines, each with its time zone, as a source that is read once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec

from events.errors import OxbotError
from oxbot.app.news.source import NewsItem
from oxbot.core.news_text import NewsText

FILE_BYTES_MAX = 256 << 20
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class InvalidNewsFile(OxbotError):
    """A file of recorded news cannot be read; the text says which line, and no word of it."""


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    title: Annotated[str, msgspec.Meta(min_length=1)]
    published_at: _Moment
    received_at: _Moment | None = None
    summary: str = ""
    key: str = ""


class RecordedNews:
    """Implements ``NewsSource``. An item was there when it is said to have been received, else when published."""

    def __init__(self, name: str, items: Sequence[NewsItem]) -> None:
        self.name = name
        self._items = tuple(items)

    async def read(self) -> Sequence[NewsItem]:
        """See ``NewsSource.read``."""
        return self._items


def read_news_file(path: Path) -> Sequence[NewsItem]:
    """The items of a file. Raises ``InvalidNewsFile``."""
    try:
        size = path.stat().st_size
        if size > FILE_BYTES_MAX:
            raise InvalidNewsFile(f"{path} has {size} bytes; at most {FILE_BYTES_MAX} are read")
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InvalidNewsFile(f"cannot read {path}: {error.strerror}") from error
    return [_item(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]


def _item(line: bytes, place: str) -> NewsItem:
    try:
        read = msgspec.json.decode(line, type=_Line)
    except msgspec.ValidationError as error:
        raise InvalidNewsFile(f"{place}: {_path(error)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidNewsFile(f"{place} is no JSON") from None
    published = read.published_at.astimezone(UTC)
    received = published if read.received_at is None else read.received_at.astimezone(UTC)
    return NewsItem(NewsText(title=read.title, summary=read.summary, key=read.key), published, received)


def _path(error: msgspec.ValidationError) -> str:
    """Where it is wrong; what an unknown field is called would be text of the file's."""
    said = str(error)
    return "a field that is unknown" if "unknown field" in said else said
