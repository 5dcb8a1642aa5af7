"""The port to a venue's candles as they close, and the words for what it pushes."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from events.errors import OxbotError
from events.identifiers import Symbol
from oxbot.core.candles import Candle


class SourceUnavailable(OxbotError):
    """The venue did not answer, or not sensibly; asking again is always right."""


class SourceRefused(OxbotError):
    """The venue's definite no to a symbol or a timeframe; asking again soon will hardly help."""


class CandleClosed(NamedTuple):
    """The venue pushed a candle and says that it is final."""

    symbol: Symbol
    candle: Candle


class CandleBegun(NamedTuple):
    """The venue pushed the candle that opened then, which still forms: all before it have closed."""

    symbol: Symbol
    open_time: datetime


class CandlesHeard(NamedTuple):
    """The venue pushed something of the symbol, such as a candle that still forms: the way to it is open."""

    symbol: Symbol


class CandlesConnected(NamedTuple):
    """The symbol's subscription stands, for the first time or again; what closed before it may have been missed."""

    symbol: Symbol


class CandlesLost(NamedTuple):
    """The symbol's subscription broke; whoever pushes sees to it that it comes back."""

    symbol: Symbol
    reason: str


CandlePush = CandleClosed | CandleBegun | CandlesHeard | CandlesConnected | CandlesLost


class CandleSource(Protocol):
    """A venue's candles of some symbols in one timeframe."""

    def pushes(self) -> AsyncIterator[CandlePush]:
        """What the venue pushes, in any order, some of it twice or not at all; through every outage. Never ends."""
        ...

    async def history(self, symbol: Symbol, *, begins_at: datetime, ends_before: datetime) -> Sequence[Candle]:
        """One page of closed candles with open times in [begins_at, ends_before), oldest first.

        It begins with the first that there is; empty only if the venue has none of the first ``page`` moments.
        Raises ``SourceUnavailable`` or ``SourceRefused``.
        """
        ...

    @property
    def page(self) -> int:
        """The number of candles' moments that one page covers at least."""
        ...

    async def now(self) -> datetime:
        """The venue's own clock. Raises ``SourceUnavailable``, or ``SourceRefused`` if it will have none of this."""
        ...
