"""A venue in memory, with exact books and faults that its caller programmes; what tests trade at."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple, TypeVar

from events.identifiers import Symbol
from oxbot.adapters.memory_venue_books import MemoryBooks
from oxbot.app.venue import (
    Refused,
    Sent,
    Unknown,
    VenueAmendment,
    VenueBalance,
    VenueFill,
    VenueFunding,
    VenueHint,
    VenueOrder,
    VenueOrderRef,
    VenuePosition,
    VenueRefused,
    VenueRequest,
    VenueUnavailable,
)

Step = Literal[
    "now", "place", "amend", "cancel", "lookup", "open_orders", "fills", "funding", "positions", "balances",
    "configure", "cancel_all_after", "identity",
]  # fmt: skip
Moment = Literal["before", "after"]
Effect = Literal["lost", "late", "refused", "hang"]

HINTS_MAX = 1000
PASSING = frozenset({"50011", "50036", "50061", "50102"})
"""The codes that only say that it was asked too often or too late."""

_Answer = TypeVar("_Answer")


class VenueFault(NamedTuple):
    """What happens to the next call of a step, before the venue hears of it or after it has done what was asked.

    "lost": no answer comes, as a dropped connection (``Unknown``, or ``VenueUnavailable`` of a question). "late": no
    answer comes, and the request arrives only at ``MemoryBooks.deliver``. "refused": the venue's definite no with
    ``code`` (``VenueRefused`` of a question). "hang": the call does not return; whoever waits must cancel it.
    """

    step: Step
    effect: Effect
    moment: Moment = "before"
    code: str = "50011"


async def _uninterrupted(_: Step, __: Moment) -> None:
    await asyncio.sleep(0)


class MemoryVenue:
    """One connection to ``MemoryBooks``: a ``Venue``. Of several, each has its own faults and hints.

    ``owner`` marks what is placed here, and what the dead man's switch that is set here ends.
    ``interrupt`` is awaited before and after each call reaches the books, and may raise or wait: a crash at any point.
    """

    def __init__(
        self,
        books: MemoryBooks,
        *,
        interrupt: Callable[[Step, Moment], Awaitable[None]] = _uninterrupted,
        owner: str = "oxbot",
    ) -> None:
        self.books = books
        self._owner = owner
        self.faults: list[VenueFault] = []
        self.calls: list[Step] = []
        self.muted = False
        self._interrupt = interrupt
        self._hints: asyncio.Queue[VenueHint] = asyncio.Queue(HINTS_MAX)
        books.listeners.append(self._heard)

    async def now(self) -> datetime:
        """See ``Venue.now``."""
        return await self._ask("now", self.books.now)

    async def market_now(self) -> datetime:
        """See ``Venue.market_now``: its market has no clock of its own."""
        return self.books.now()

    async def identity(self) -> str:
        """See ``Venue.identity``."""
        return await self._ask("identity", lambda: self.books.name)

    async def place(self, request: VenueRequest) -> Sent:
        """See ``Venue.place``."""
        return await self._send("place", lambda: self.books.place(request, owner=self._owner))

    async def amend(self, ref: VenueOrderRef, amendment: VenueAmendment, *, expires_at: datetime) -> Sent:
        """See ``Venue.amend``."""
        return await self._send("amend", lambda: self.books.amend(ref, amendment, expires_at))

    async def cancel(self, ref: VenueOrderRef) -> Sent:
        """See ``Venue.cancel``."""
        return await self._send("cancel", lambda: self.books.cancel(ref))

    async def lookup(self, ref: VenueOrderRef) -> VenueOrder | None:
        """See ``Venue.lookup``."""
        order = await self._ask("lookup", lambda: self.books.find(ref))
        return None if order is None else order.shown()

    async def open_orders(self) -> Sequence[VenueOrder]:
        """See ``Venue.open_orders``."""
        return await self._ask("open_orders", self.books.open_orders)

    async def fills(self, *, since: datetime) -> Sequence[VenueFill]:
        """See ``Venue.fills``."""
        return await self._ask("fills", lambda: self.books.fills(since))

    async def funding(self, *, since: datetime) -> Sequence[VenueFunding]:
        """See ``Venue.funding``."""
        return await self._ask("funding", lambda: self.books.funding(since))

    async def positions(self) -> Sequence[VenuePosition]:
        """See ``Venue.positions``."""
        return await self._ask("positions", self.books.wallet.positions)

    async def balances(self) -> Sequence[VenueBalance]:
        """See ``Venue.balances``."""
        return await self._ask("balances", self.books.balances)

    async def configure(self, symbol: Symbol, leverage: Decimal) -> Decimal:
        """See ``Venue.configure``."""

        def done() -> Decimal:
            self.books.check_leverage(symbol, leverage)
            self.books.wallet.leverages[symbol] = leverage
            return leverage

        return await self._ask("configure", done)

    async def cancel_all_after(self, seconds: int) -> None:
        """See ``Venue.cancel_all_after``."""
        await self._ask("cancel_all_after", lambda: self.books.cancel_all_after(seconds, owner=self._owner))

    async def hints(self) -> AsyncIterator[VenueHint]:
        """See ``Venue.hints``."""
        while True:
            yield await self._hints.get()

    def push(self, hint: VenueHint) -> None:
        """Say something again, late, in another order or without cause, as a venue's pushes do."""
        if self._hints.full():
            while not self._hints.empty():
                self._hints.get_nowait()
            hint = VenueHint()
        self._hints.put_nowait(hint)

    def reconnect(self) -> None:
        """The pushes were away and are back; what happened meanwhile was never pushed."""
        self.muted = False
        self.push(VenueHint(reconnected=True))

    def close(self) -> None:
        """Hear nothing more from the books."""
        self.books.listeners.remove(self._heard)

    def _heard(self, hint: VenueHint) -> None:
        if not self.muted:
            self.push(hint)

    async def _send(self, step: Step, act: Callable[[], Sent]) -> Sent:
        before, after = await self._begin(step)
        if before is not None:
            return await self._unsent(before, act)
        answer = act()
        await self._interrupt(step, "after")
        if after is not None:
            return await self._unsent(after, act)
        return answer

    async def _unsent(self, fault: VenueFault, act: Callable[[], Sent]) -> Sent:
        match fault.effect:
            case "hang":
                await asyncio.Event().wait()
            case "late" if fault.moment == "before":
                self.books.hold(act)
            case "refused" if fault.moment == "before":
                passing = fault.code in PASSING
                return Refused(fault.code, "refused by a programmed fault", passing=passing)
        return Unknown(f"no answer to {fault.step} came back")

    async def _ask(self, step: Step, act: Callable[[], _Answer]) -> _Answer:
        before, after = await self._begin(step)
        answer = act() if before is None else None
        if before is None:
            await self._interrupt(step, "after")
        fault = before or after
        if fault is None:
            return answer  # type: ignore[return-value]  # there is an answer if there was no fault before it
        if fault.effect == "hang":
            await asyncio.Event().wait()
        if fault.effect == "refused":
            raise VenueRefused(f"{fault.code}: refused by a programmed fault")
        raise VenueUnavailable(f"no answer to {step} came back")

    async def _begin(self, step: Step) -> tuple[VenueFault | None, VenueFault | None]:
        """The fault of this call before and after the books hear of it, if any."""
        self.calls.append(step)
        fault = next((fault for fault in self.faults if fault.step == step), None)
        if fault is not None:
            self.faults.remove(fault)
        await self._interrupt(step, "before")
        if fault is None:
            return None, None
        return (fault, None) if fault.moment == "before" else (None, fault)
