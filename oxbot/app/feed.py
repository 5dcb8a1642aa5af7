"""The port through which bots get candles: each follower asks for what comes after its own cursor."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from events.errors import OxbotError
from events.identifiers import Symbol
from oxbot.core.candles import Frame


class FeedUnavailable(OxbotError):
    """The market did not answer; asking again with the same cursor is always right."""


class FeedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A follower's question. Its cursor says that everything up to it is durably dealt with."""

    follower: str
    cursor: datetime
    symbols: tuple[Symbol, ...]


class FeedReply(msgspec.Struct, frozen=True, kw_only=True):
    """The next frames in order, none left out; empty if nothing closed in time. ``ended``: none will ever follow.

    ``faults`` says in words what is wrong with a symbol's candle, by the open time of its frame: no entry on that.
    ``patience_seconds`` is how long, between two of these frames, a bot may wait for advice that it has asked for: a
    market that is played as fast as its followers live waits for them.
    """

    frames: tuple[Frame, ...]
    ended: bool = False
    faults: Mapping[datetime, Mapping[Symbol, str]] = {}
    patience_seconds: float = 0.0


class CandleFeed(Protocol):
    """A market's closed candles, in order, as fast as the follower asks."""

    async def after(self, request: FeedRequest) -> FeedReply:
        """What follows the cursor; waits a bounded time for something to close. Raises ``FeedUnavailable``."""
        ...


class FrameSource(Protocol):
    """Where a market's frames come from, readable from any point again."""

    async def read(self, *, after: datetime | None, limit: int) -> Sequence[Frame]:
        """The next frames after a moment (None: from the beginning), oldest first; empty at the end."""
        ...
