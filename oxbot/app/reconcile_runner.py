"""Asks a venue for an account's books, takes over what the log misses, and says whether the two agree."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import structlog

from events.account import StrangerKind
from events.log import EventLog
from oxbot.app.execution_books import AccountBook, BotBooks, FillBook, VenueTime
from oxbot.app.execution_history import OldOrders
from oxbot.app.execution_plan import Key
from oxbot.app.execution_report import funded, liquidated
from oxbot.app.execution_sending import VenueCalls
from oxbot.app.execution_twin import Twin
from oxbot.app.reconcile import (
    Books,
    Stranger,
    differences,
    lacking,
    liquidations,
    missing_fills,
    payee,
    strangers,
    unsettled,
)
from oxbot.app.venue import Venue, VenueRefused, VenueUnavailable
from oxbot.core.money import ZERO, text
from oxbot.core.refused import CommandRefused
from oxbot.core.venue_account import LASTING, RecordReconciled, RecordStranger

FUNDING_OVERLAP = timedelta(days=1)
FUNDING = "funding "
"""How the reference of a stranger's funding payment begins."""

logger = structlog.get_logger(__name__)


class Compared(NamedTuple):
    """What a comparison came to: the orders to look at, and what cannot be explained yet, in words.

    ``held`` is what of that is about positions and money; ``answered``: whether the venue told its books at all.
    """

    keys: frozenset[Key] = frozenset()
    reasons: tuple[str, ...] = ()
    orders: int = 0
    position: int = 0
    lacks: str = ""
    held: tuple[str, ...] = ()
    answered: bool = True

    @property
    def agrees(self) -> bool:
        """Whether venue and log say the same."""
        return not self.reasons


class Reconciler:
    """Compares, over and over; what it counts as taken over it counts from one agreement to the next."""

    def __init__(
        self,
        venue: Venue,
        *,
        log: EventLog,
        account: AccountBook,
        bots: BotBooks,
        time: VenueTime,
        fills: FillBook,
        answer_seconds: float,
        since: datetime,
    ) -> None:
        self._venue = venue
        self._log = log
        self._account = account
        self._bots = bots
        self._time = time
        self._fills = fills
        self._calls = VenueCalls(answer_seconds)
        self._funding_since = since
        self._adopted: set[str] = set()
        self._twin = Twin(venue, log=log, account=account, time=time, calls=self._calls)
        self._old = OldOrders(log)
        self._lasting: dict[tuple[StrangerKind, str], Decimal] | None = None

    async def compare(self) -> Compared:
        """Ask for everything and hold it against the log."""
        try:
            await self._calls.asked(self._time.ask())
            if twin := await self._twin.fault():
                return Compared(reasons=(twin,), held=(twin,))
            books = await self._books()
        except (VenueUnavailable, VenueRefused) as error:
            return Compared(reasons=(str(error),), answered=False)
        position = await self._log.head()
        for bot_id in list(self._bots.states):
            await self._bots.refresh(bot_id)
        await self._take_liquidations(books)
        forgotten = await self._report_strangers(books)
        await self._take_funding(books)
        bots = self._bots.states
        missing = missing_fills(books, bots)
        self._adopted |= {fill.fill_id for fill, _ in missing}
        otherwise = unsettled(books, bots)
        keys = {*otherwise, *(owned.key for _, owned in missing)}
        reasons = [f"the log misses the trade {fill.fill_id} of {owned.order.order_id}" for fill, owned in missing]
        reasons += [otherwise[key] for key in sorted(otherwise)]
        lacks = lacking(books, bots)
        held = (*differences(books, bots), *lacks)
        reasons += [*forgotten, *held]
        return Compared(frozenset(keys), tuple(reasons), len(books.orders), position, "; ".join(lacks), held)

    async def agree(self, compared: Compared) -> None:
        """Record the agreement, where it is news."""
        taken = 0 if self._account.state.reconciled else len(self._adopted)
        self._adopted.clear()
        self._funding_since = max(self._funding_since, self._time.market_now() - FUNDING_OVERLAP)
        await self._account.record(
            RecordReconciled(
                epoch=self._account.epoch,
                at=self._time.now(),
                position=compared.position,
                orders=compared.orders,
                fills_adopted=taken,
            )
        )

    async def _books(self) -> Books:
        venue = self._venue
        return Books(
            orders=await self._calls.asked(venue.open_orders()),
            fills=await self._calls.asked(self._fills.refresh()),
            funding=await self._calls.asked(venue.funding(since=self._funding_since)),
            positions=await self._calls.asked(venue.positions()),
            balances=await self._calls.asked(venue.balances()),
        )

    async def _report_strangers(self, books: Books) -> list[str]:
        """Report what is none of ours; answers what is of an order of ours that ended too long ago to be mended."""
        found, known = list(strangers(books, self._bots.states)), self._account.state.strangers
        named = [each for each in found if each.client_id and (each.kind, each.reference) not in known]
        if any(not self._old.sent(each.client_id) for each in named):
            await self._old.learn(list(self._bots.states))
        forgotten = []
        for stranger in self._certain(found):
            if not (stranger.client_id and self._old.sent(stranger.client_id)):
                await self._report(stranger)
            elif not (stranger.fill_id and self._old.booked(stranger.fill_id)):
                forgotten.append(f"of an order that ended long ago there is {stranger.words}")
        return forgotten

    def _certain(self, found: Sequence[Stranger]) -> list[Stranger]:
        """Those to tell of: of positions and balances, what two comparisons in a row showed, or missed, alike.

        What is on its way to the log would be taken for a stranger's otherwise.
        """
        before, lasting = self._lasting, [each for each in found if each.kind in LASTING]
        self._lasting = {(each.kind, each.reference): each.quantity for each in lasting}
        certain = [each for each in found if each.kind not in LASTING]
        if before is None:
            return certain
        certain += [each for each in lasting if before.get((each.kind, each.reference)) == each.quantity]
        for kind, name in self._account.state.strangers:
            gone = (kind, name) not in self._lasting and (kind, name) not in before
            if kind in LASTING and gone and not name.startswith(FUNDING):
                words = f"a stranger's {kind} at the venue is gone: {name}"
                certain.append(Stranger(kind, name, None, ZERO, words))
        return certain

    async def _report(self, stranger: Stranger) -> None:
        await self._account.record(
            RecordStranger(
                epoch=self._account.epoch,
                at=self._time.now(),
                kind=stranger.kind,
                reference=stranger.reference,
                symbol=stranger.symbol,
                quantity=stranger.quantity,
                words=stranger.words,
            )
        )

    async def _take_liquidations(self, books: Books) -> None:
        """Book what the venue closed by itself to the bots that held it, oldest first."""
        for trade, bot_id in liquidations(books, self._bots.states):
            try:
                await self._bots.tell(bot_id, liquidated(trade))
            except CommandRefused as refused:
                logger.warning("liquidation_not_booked", bot_id=bot_id, error=str(refused))

    async def _take_funding(self, books: Books) -> None:
        """Book the funding payments to the bots that held the positions; one that nobody held is a stranger's."""
        for payment in books.funding:
            bot_id = payee(payment, self._bots.states)
            if bot_id is None:
                words = f"funding of {text(payment.amount)} for {payment.symbol}, which no bot held alone"
                reference = f"{FUNDING}{payment.funding_id}"
                await self._report(Stranger("balance", reference, payment.symbol, payment.amount, words))
                continue
            try:
                await self._bots.tell(bot_id, funded(payment))
            except CommandRefused as refused:
                logger.warning("funding_not_booked", bot_id=bot_id, error=str(refused))
