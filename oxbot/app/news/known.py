"""What an installation knows of its sources of news: the entries of its table."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from oxbot.app.news.source import MADE_UP

SourceName = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,31}$")]
SOURCES_MAX = 32
WORDS = "words"


class KnownSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A source: a feed at a ``url``, or a made-up one with a ``seed``, and what reads its items.

    ``extractor`` is "words" or the name of a model. ``private`` allows a feed on a private network, without TLS.
    """

    name: SourceName
    url: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)] | None = None
    seed: Annotated[int, msgspec.Meta(ge=0)] | None = None
    extractor: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9._-]{1,64}$")] = WORDS
    every_seconds: Annotated[int, msgspec.Meta(ge=30, le=86_400)] = 300
    private: bool = False

    def __post_init__(self) -> None:
        if (self.url is None) == (self.seed is None):
            raise ValueError("a source has either a url or a seed")
        if self.name.startswith(MADE_UP) != (self.seed is not None):
            raise ValueError(f"a source with a seed, and no other, has a name that begins with {MADE_UP}")
        if self.private and self.url is None:
            raise ValueError("private is for a source with a url")


class NewsTable(msgspec.Struct, frozen=True, kw_only=True):
    """The sources, and by ticker what coins are called beside what everybody calls them."""

    sources: tuple[KnownSource, ...] = ()
    names: Mapping[str, tuple[str, ...]] = {}
