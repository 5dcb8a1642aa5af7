"""Whether candles come from the markets that should move, and whether accounts at venues agree with the log."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from events.identifiers import Symbol, VenueName
from oxbot.app.account_directory import AccountDirectory, KnownAccount
from oxbot.app.candle_store import CandleLibrary
from oxbot.app.readiness import Check
from oxbot.core.candles import Series, timeframe_duration

LATE_CANDLES = 3
LATE_SECONDS = 60.0
TROUBLE_SECONDS = 60.0
"""So long an account may be out of step with its venue before that counts: an execution that starts compares first."""

NAMED_MAX = 5


class MovingMarket(NamedTuple):
    """Symbols whose candles should come by the clock of this machine."""

    venue: VenueName
    symbols: tuple[Symbol, ...]
    timeframe: str


class LateFeed(NamedTuple):
    """A symbol of which no candle came for longer than it may be; ``age_seconds`` is None where there is none."""

    venue: VenueName
    symbol: Symbol
    age_seconds: float | None
    limit_seconds: float

    @property
    def words(self) -> str:
        """In one short line."""
        if self.age_seconds is None:
            return f"{self.venue} {self.symbol}: no candle"
        return f"{self.venue} {self.symbol}: its newest candle closed {self.age_seconds:.0f} s ago"


class VenueChecks:
    """Looks at candles and accounts. ``moving`` says which markets should move now; played and made ones do not."""

    def __init__(
        self,
        candles: CandleLibrary,
        directory: AccountDirectory,
        *,
        moving: Callable[[], Sequence[MovingMarket]],
        now: Callable[[], datetime],
    ) -> None:
        self._candles = candles
        self._directory = directory
        self._moving = moving
        self._now = now

    async def feeds(self) -> Check:
        """The check ``feed``."""
        late = await self.late()
        if late:
            return Check("feed", ok=False, detail=_listed([feed.words for feed in late]))
        return Check("feed", ok=True, detail="candles come" if self._moving() else "no market moves by the clock")

    async def late(self) -> list[LateFeed]:
        """Every symbol whose candles are overdue."""
        now = self._now()
        found = []
        for market in self._moving():
            step = timeframe_duration(market.timeframe)
            limit = (LATE_CANDLES * step).total_seconds() + LATE_SECONDS
            for symbol in market.symbols:
                extent = await self._candles.extent(Series(market.venue, symbol, market.timeframe))
                age = None if extent is None else (now - extent.last - step).total_seconds()
                if age is None or age > limit:
                    found.append(LateFeed(market.venue, symbol, age, limit))
        return found

    async def accounts(self) -> Check:
        """The check ``accounts``: of those that an execution has taken up."""
        ill = [f"{known.name}: {known.state.unreconciled}" for known in await self._in_trouble()]
        if ill:
            return Check("accounts", ok=False, detail=_listed(ill))
        return Check("accounts", ok=True, detail="venues and log agree")

    async def _in_trouble(self) -> list[KnownAccount]:
        since = self._now() - timedelta(seconds=TROUBLE_SECONDS)
        known = (await self._directory.refresh()).values()
        return [one for one in known if one.trouble_since is not None and one.trouble_since <= since]


def _listed(words: Sequence[str]) -> str:
    more = f", and {len(words) - NAMED_MAX} more" if len(words) > NAMED_MAX else ""
    return "; ".join(words[:NAMED_MAX]) + more
