"""A venue that passes a point before and after each call, at which whoever calls it can die or stand still."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from events.identifiers import Symbol
from oxbot.app.venue import (
    Sent,
    Venue,
    VenueAmendment,
    VenueBalance,
    VenueFill,
    VenueFunding,
    VenueHint,
    VenueOrder,
    VenueOrderRef,
    VenuePosition,
    VenueRequest,
)

T = TypeVar("T")


class PointedVenue:
    """The inner venue's answers, between two points each."""

    def __init__(self, inner: Venue, point: Callable[[], Awaitable[None]]) -> None:
        self._inner = inner
        self._point = point

    async def now(self) -> datetime:
        """See ``Venue.now``."""
        return await self._passed(self._inner.now)

    async def market_now(self) -> datetime:
        """See ``Venue.market_now``."""
        return await self._inner.market_now()

    async def identity(self) -> str:
        """See ``Venue.identity``."""
        return await self._passed(self._inner.identity)

    async def place(self, request: VenueRequest) -> Sent:
        """See ``Venue.place``."""
        return await self._passed(lambda: self._inner.place(request))

    async def amend(self, ref: VenueOrderRef, amendment: VenueAmendment, *, expires_at: datetime) -> Sent:
        """See ``Venue.amend``."""
        return await self._passed(lambda: self._inner.amend(ref, amendment, expires_at=expires_at))

    async def cancel(self, ref: VenueOrderRef) -> Sent:
        """See ``Venue.cancel``."""
        return await self._passed(lambda: self._inner.cancel(ref))

    async def lookup(self, ref: VenueOrderRef) -> VenueOrder | None:
        """See ``Venue.lookup``."""
        return await self._passed(lambda: self._inner.lookup(ref))

    async def open_orders(self) -> Sequence[VenueOrder]:
        """See ``Venue.open_orders``."""
        return await self._passed(self._inner.open_orders)

    async def fills(self, *, since: datetime) -> Sequence[VenueFill]:
        """See ``Venue.fills``."""
        return await self._passed(lambda: self._inner.fills(since=since))

    async def funding(self, *, since: datetime) -> Sequence[VenueFunding]:
        """See ``Venue.funding``."""
        return await self._passed(lambda: self._inner.funding(since=since))

    async def positions(self) -> Sequence[VenuePosition]:
        """See ``Venue.positions``."""
        return await self._passed(self._inner.positions)

    async def balances(self) -> Sequence[VenueBalance]:
        """See ``Venue.balances``."""
        return await self._passed(self._inner.balances)

    async def configure(self, symbol: Symbol, leverage: Decimal) -> Decimal:
        """See ``Venue.configure``."""
        return await self._passed(lambda: self._inner.configure(symbol, leverage))

    async def cancel_all_after(self, seconds: int) -> None:
        """See ``Venue.cancel_all_after``."""
        await self._passed(lambda: self._inner.cancel_all_after(seconds))

    def hints(self) -> AsyncIterator[VenueHint]:
        """See ``Venue.hints``."""
        return self._inner.hints()

    async def _passed(self, ask: Callable[[], Awaitable[T]]) -> T:
        await self._point()
        answer = await ask()
        await self._point()
        return answer
