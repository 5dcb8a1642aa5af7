"""Reads RSS and Atom: no document type, no entities of its own, nothing deep, nothing long; dates with zones only."""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from xml.parsers import expat

from oxbot.app.news.source import NewsItem, NewsUnavailable
from oxbot.core.news_text import NewsText

ITEMS_MAX = 200
DEPTH_MAX = 32
TEXT_LETTERS_MAX = 4_000

_ITEMS = frozenset({"item", "entry"})
_FIELDS = {
    "title": "title", "description": "summary", "summary": "summary", "content": "summary", "encoded": "summary",
    "guid": "key", "id": "key", "link": "link", "pubdate": "published", "published": "published", "date": "published",
    "updated": "updated",
}  # fmt: skip


class _Refused(Exception):
    """The document is not read to its end; the text says why."""


class _Full(Exception):
    """Enough items were read."""


def read_feed(content: bytes) -> Sequence[NewsItem]:
    """The items of a feed. Raises ``NewsUnavailable`` for what is none."""
    reader = _Reader()
    try:
        reader.parse(content)
    except _Full:
        pass
    except _Refused as refused:
        raise NewsUnavailable(f"a feed that is refused: {refused}") from None
    except (expat.ExpatError, LookupError, ValueError):
        raise NewsUnavailable("an answer that is no XML") from None
    if not reader.is_feed:
        raise NewsUnavailable("an answer that is no feed")
    return reader.items


class _Reader:
    """Collects the items of one document."""

    def __init__(self) -> None:
        self.items: list[NewsItem] = []
        self.is_feed = False
        self._path: list[str] = []
        self._item_depth = 0
        self._fields: dict[str, str] = {}
        self._field: str | None = None
        self._texts: list[str] = []
        self._letters = 0

    def parse(self, content: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._letters_come
        parser.Parse(content, True)  # noqa: FBT003 - the parser takes it by place

    def _doctype(self, *_: object) -> None:
        raise _Refused("it has a document type")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2].lower()
        self._path.append(local)
        if len(self._path) > DEPTH_MAX:
            raise _Refused("it is nested too deeply")
        if len(self._path) == 1:
            self.is_feed = local in {"rss", "feed", "rdf"}
        elif local in _ITEMS and not self._item_depth:
            self._item_depth, self._fields = len(self._path), {}
        elif self._item_depth and len(self._path) == self._item_depth + 1:
            self._field, self._texts, self._letters = _FIELDS.get(local), [], 0
            if local == "link" and attributes.get("href"):
                self._fields.setdefault("link", attributes["href"])

    def _end(self, name: str) -> None:
        depth = len(self._path)
        self._path.pop()
        if self._item_depth and depth == self._item_depth:
            self._item_depth = 0
            self._close_item()
        elif self._field is not None and depth == self._item_depth + 1:
            said = "".join(self._texts).strip()[:TEXT_LETTERS_MAX]
            if said:
                self._fields.setdefault(self._field, said)
            self._field = None
        del name

    def _letters_come(self, letters: str) -> None:
        if self._field is not None and self._letters <= TEXT_LETTERS_MAX:
            self._texts.append(letters)
            self._letters += len(letters)

    def _close_item(self) -> None:
        fields = self._fields
        title = fields.get("title", "")
        if title:
            key = fields.get("key") or fields.get("link") or ""
            text = NewsText(title=title, summary=fields.get("summary", ""), key=key)
            published = moment(fields.get("published", "")) or moment(fields.get("updated", ""))
            self.items.append(NewsItem(text, published))
        if len(self.items) >= ITEMS_MAX:
            raise _Full


def moment(said: str) -> datetime | None:
    """The moment in UTC that a feed's date names; None for none, or for one without a time zone, which is a guess."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(said.strip())
            if found.tzinfo is not None:
                return found.astimezone(UTC)
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None
