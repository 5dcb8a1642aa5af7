"""Lists in pages: a limit, an opaque cursor, and the stored rows passed on as they are."""

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from starlette.responses import Response

from oxbot.api.problems import Problem
from oxbot.api.reading import ViewQuery

ItemT = TypeVar("ItemT")

Order = Literal["asc", "desc"]

KEY_LENGTH_MAX = 200

_Limit = Annotated[int, msgspec.Meta(ge=1, le=500, description="How many items at most.")]
_Cursor = Annotated[
    str, msgspec.Meta(max_length=1024, description="The `next` of the page before; leave it out for the first page.")
]
_Order = Annotated[Order, msgspec.Meta(description="Newest first (desc) or oldest first (asc).")]


class LogPageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of a list that is read from the log itself, so that there is no view to wait for."""

    limit: _Limit = 100
    cursor: _Cursor = ""


class PageQuery(ViewQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of a list."""

    limit: _Limit = 100
    cursor: _Cursor = ""


class HistoryQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of a history, and from which end."""

    order: _Order = "desc"


class Page(msgspec.Struct, Generic[ItemT], frozen=True, kw_only=True):
    """Some items, and the cursor of those that follow; null on the last page."""

    items: list[ItemT]
    next: str | None


def page(found: Sequence[tuple[str, bytes]], *, limit: int, listing: str) -> Response:
    """A page of keys and stored JSON bodies, of which up to ``limit + 1`` were looked for to know if more follow.

    One whose body is empty is left out of its page. ``listing`` names the list and its order, so that a cursor is
    refused anywhere else.
    """
    shown = found[:limit]
    cursor = write_cursor(listing, shown[-1][0]) if len(found) > limit else None
    return part([body for _, body in shown if body], cursor)


def part(bodies: Iterable[bytes], cursor: str | None) -> Response:
    """A page of JSON bodies, and the cursor of what follows."""
    items = b",".join(bodies)
    content = b'{"items":[' + items + b'],"next":' + msgspec.json.encode(cursor) + b"}"
    return Response(content, media_type="application/json")


def write_cursor(listing: str, key: str) -> str:
    """The cursor of what follows ``key``."""
    return base64.urlsafe_b64encode(f"{listing}\n{key}".encode()).rstrip(b"=").decode()


def read_cursor(listing: str, cursor: str) -> str:
    """The key after which to go on, empty for no cursor. ``Problem`` 400 for one that this listing did not give."""
    if not cursor:
        return ""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        given, _, key = base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition("\n")
    except (binascii.Error, ValueError) as error:
        raise Problem(400, "query: the cursor is malformed") from error
    if given != listing or not (key and key.isprintable() and len(key) <= KEY_LENGTH_MAX):
        raise Problem(400, "query: the cursor does not belong to this list and order")
    return key
