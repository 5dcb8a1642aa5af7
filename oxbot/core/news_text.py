"""Texts of news as they are looked at, without markup, addresses or hidden characters; and how alike two are."""

import html
import re
import unicodedata
from collections.abc import Set as AbstractSet

import msgspec

TITLE_LETTERS_MAX = 300
SUMMARY_LETTERS_MAX = 1_000
KEY_LETTERS_MAX = 500

_MARKUP = re.compile(r"<[^<>]*>")
_ADDRESS = re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)
_WORD = re.compile(r"[a-z0-9]{3,}")


class NewsText(msgspec.Struct, frozen=True, kw_only=True):
    """What a source said, as it is stored: nobody trusts a letter of it. ``key`` is the source's own name for it."""

    title: str
    summary: str = ""
    key: str = ""

    @property
    def body(self) -> bytes:
        """How it is stored; the same text always comes to the same bytes."""
        return msgspec.json.encode(self)

    @classmethod
    def of(cls, body: bytes) -> "NewsText":
        """What was stored."""
        return msgspec.json.decode(body, type=cls)


def cleaned(text: str, *, letters_max: int = TITLE_LETTERS_MAX) -> str:
    """The text in one line, in plain letters, no longer than this.

    Whatever is not seen is not there: control characters, zero widths, turns of direction, tags, private letters.
    """
    plain = _MARKUP.sub(" ", html.unescape(text[: 8 * letters_max]))
    plain = unicodedata.normalize("NFKC", plain)
    plain = "".join(" " if letter.isspace() else letter for letter in plain if _seen(letter))
    return " ".join(_ADDRESS.sub(" ", plain).split())[:letters_max].rstrip()


def words(text: str) -> frozenset[str]:
    """What a text is made of, to be compared with others."""
    return frozenset(_WORD.findall(cleaned(text).lower()))


def likeness(one: AbstractSet[str], other: AbstractSet[str]) -> float:
    """How alike two texts are, from 0 to 1: the share of their words that both have."""
    either = one | other
    return len(one & other) / len(either) if either else 1.0


def _seen(letter: str) -> bool:
    return letter.isspace() or unicodedata.category(letter)[0] != "C"
