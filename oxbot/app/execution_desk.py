"""Works one line of orders at the venue, a step at a time: never ahead of the log, and never twice."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from events.bot import (
    OrderAccepted,
    OrderCancelled,
    OrderCancelRejected,
    OrderExpired,
    OrderInDoubt,
    OrderProgress,
    OrderRejected,
)
from events.identifiers import BotId, Symbol
from oxbot.app.execution_books import FILLS_OVERLAP, AccountBook, BotBooks, FillBook, VenueTime
from oxbot.app.execution_changes import ChangedOrders
from oxbot.app.execution_gate import CANCELS_MAX, Gate
from oxbot.app.execution_plan import (
    Key,
    Line,
    client_id,
    client_ids,
    rival,
    step,
    unwelcome,
)
from oxbot.app.execution_report import ENDED, Look, line_in, replaceable, seen, unchanged
from oxbot.app.execution_sending import Submission, Timing, VenueCalls, amended, amendment
from oxbot.app.venue import (
    Refused,
    Sent,
    Taken,
    Unknown,
    Venue,
    VenueOrder,
    VenueOrderRef,
)
from oxbot.core.bot_state import BotState
from oxbot.core.orders import Order

T = TypeVar("T")

LOOKUP_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
ENTRY_SUBMISSIONS_MAX = 3
EXIT_SUBMISSIONS_MAX = 10
WAIT_SECONDS = 1.0

logger = structlog.get_logger(__name__)


class OrderDesk:
    """Does for a line what the log wants next, and says after how many seconds to come back; None: when there is news.

    It raises ``Superseded`` before it sends anything that a newer incarnation might send as well, ``VenueUnavailable``
    and ``VenueRefused`` where a question is not answered, and ``CommandRefused`` for what the log cannot take.
    """

    def __init__(
        self,
        venue: Venue,
        *,
        account: AccountBook,
        bots: BotBooks,
        time: VenueTime,
        fills: FillBook,
        timing: Timing = Timing(),  # noqa: B008 - immutable
    ) -> None:
        self._venue = venue
        self._account = account
        self._bots = bots
        self._time = time
        self._fills = fills
        self._timing = timing
        self._calls = VenueCalls(timing.answer)
        self._changed = ChangedOrders()
        self._looks: dict[str, int] = {}
        self._cancels: dict[str, int] = {}
        self._refused: dict[str, tuple[int, datetime]] = {}
        self._gate = Gate(venue, account=account, bots=bots, time=time, calls=self._calls)
        self._locks: dict[Symbol, asyncio.Lock] = {}

    async def work(self, key: Key, *, look: bool) -> float | None:
        """Take one step for each line of the key; with ``look``, first ask the venue about those that it has."""
        pauses: list[float] = []
        for line in self._bots.lines(key):
            if look and line.lead.attempts:
                await self.look(key.bot_id, line)
                line = self._again(key.bot_id, line)  # noqa: PLW2901 - as it is by now
            pause = await self._work(key.bot_id, line) if line.open else None
            if pause is not None:
                pauses.append(pause)
        return min(pauses, default=None)

    async def look(self, bot_id: BotId, line: Line) -> Look:
        """Ask the venue about the line and record what is new."""
        order = await self._calls.asked(self._venue.lookup(line.ref))
        ids = set().union(*(client_ids(each) for each in line.orders))
        look = Look(line.lead.client_id, self._time.market_now(), order, self._fills.of(ids))
        if order is None or not look.complete:
            await self._calls.asked(self._fills.refresh())
            look = look._replace(fills=self._fills.of(ids))
        if not look.complete and line.lead.submitted_at is not None:
            await self._calls.asked(self._fills.refresh(since=line.lead.submitted_at - FILLS_OVERLAP))
            look = look._replace(fills=self._fills.of(ids))
        await self._bots.tell(bot_id, seen(line, look))
        if (asked_back := self._changed.asked_back(self._again(bot_id, line), look)) is not None:
            await self._bots.tell(bot_id, asked_back)
        return look

    async def _work(self, bot_id: BotId, line: Line) -> float | None:
        match step(line):
            case "withdraw":
                await self._tell(bot_id, line, "it was withdrawn before it was sent", kind=OrderCancelled)
            case "submit":
                return await self._submit(bot_id, line)
            case "resolve":
                return await self._resolve(bot_id, line)
            case "cancel":
                return await self._cancel(bot_id, line)
            case "amend":
                return await self._amend(bot_id, line)
            case "watch":
                look = await self.look(bot_id, line)
                return None if look.over else self._later(line)
        return None

    # Sending.

    async def _submit(self, bot_id: BotId, line: Line) -> float | None:
        bot = await self._bots.refresh(bot_id)
        account = await self._account.refresh()
        order, now = line.lead, self._time.now()
        late = self._gate.too_late(order, bot)
        if late is not None:
            await self._tell(bot_id, line, late, kind=OrderExpired)
            return None
        fault = unwelcome(order, bot, account, now=now)
        unknown = fault is not None and not account.reconciled and not account.unreconciled
        if unknown or (fault is None and self._must_wait(order)):
            return WAIT_SECONDS
        fault = fault or await self._gate.leverage_fault(order)
        if fault is not None:
            await self._tell(bot_id, line, fault, kind=OrderRejected)
            return None
        if await self._gate.must_wait(bot_id, order, bot):
            return LOOKUP_SECONDS[0]
        if order.reduce_only or order.funds.kind == "spot":
            return await self._send(bot_id, line, client_id=line.lead.client_id or client_id(line.lead.order_id))
        async with self._locks.setdefault(order.symbol, asyncio.Lock()):
            fault = rival(bot_id, order, self._bots.states)
            if fault is None:
                return await self._send(bot_id, line, client_id=line.lead.client_id or client_id(line.lead.order_id))
        await self._tell(bot_id, line, fault, kind=OrderRejected)
        return None

    async def _send(self, bot_id: BotId, line: Line, *, client_id: str) -> float | None:
        """Submit the line, then place it; whoever has submitted it meanwhile places it, and not this one."""
        if not self._time.known:
            # Its deadline is told on the venue's clock, and so is how late it is.
            await self._calls.asked(self._time.ask())
        expires_at = self._time.now() + timedelta(seconds=self._timing.window)
        submission = Submission(line, client_id, at=self._time.market_now(), expires_at=expires_at)
        after = await self._bots.tell(bot_id, submission.said)
        if submission.fault is not None:
            kind = OrderRejected if line.lead.attempts == 0 else OrderCancelled
            await self._tell(bot_id, line, submission.fault, kind=kind)
        if not submission.agreed:
            return LOOKUP_SECONDS[0] if submission.fault is None else None
        sent = Line(*(after.orders[order.order_id] for order in line.orders))
        fault = await self._gate.fault(bot_id, sent)
        if fault is not None:
            # Nobody else sends this submission: it is certain that the venue never hears of it.
            await self._tell(bot_id, sent, fault, kind=OrderCancelled)
            return None
        self._looks.pop(client_id, None)
        self._refused.pop(client_id, None)
        answer = await self._calls.answered(self._venue.place(submission.request(sent)))
        return await self._answer(bot_id, sent, answer)

    async def _answer(self, bot_id: BotId, line: Line, answer: Sent) -> float | None:
        """Record the answer to a submission, unless the order was submitted again meanwhile."""
        now = self._time.now()
        expires_at = line.lead.submission_expires_at
        if isinstance(answer, Refused) and answer.passing:
            # No verdict on the order, and it is certain that the venue does not have it: it is sent again.
            pause = LOOKUP_SECONDS[min(line.lead.attempts, len(LOOKUP_SECONDS) - 1)]
            self._refused[line.lead.client_id] = (line.lead.attempts, now + timedelta(seconds=pause))
            answer = Unknown(f"{answer.code}: {answer.reason}")
        elif isinstance(answer, Refused) and expires_at is not None and now > expires_at:
            # The venue refused it for coming late, or might have; a lookup tells, and then it is sent again.
            answer = Unknown(f"{answer.code}: {answer.reason}")
        match answer:
            case Taken(venue_order_id, at):
                await self._tell_each(
                    bot_id,
                    line,
                    [
                        OrderAccepted(order_id=order.order_id, at=at, venue_order_id=venue_order_id)
                        for order in line.orders
                    ],
                )
                return self._later(line)
            case Refused(code, reason):
                await self._tell(bot_id, line, f"{code}: {reason}", kind=OrderRejected)
                return None
            case Unknown(reason):
                await self._tell(bot_id, line, reason, kind=OrderInDoubt)
                return self._later(line)

    # Doubt.

    async def _resolve(self, bot_id: BotId, line: Line) -> float | None:
        refused, again_at = self._refused.get(line.lead.client_id, (0, self._time.now()))
        if refused == line.lead.attempts:
            wait = (again_at - self._time.now()).total_seconds()
            return wait if wait > 0 else await self._not_there(bot_id, line)
        asked_at = await self._calls.asked(self._time.ask())
        look = await self.look(bot_id, line)
        if look.order is not None:
            settled = step(line_in(self._bots.states[bot_id], line) or line) != "resolve"
            return 0.0 if settled else self._later(line)
        if not self._is_past(line, asked_at):
            return self._later(line)
        if any(fill.client_id == line.lead.client_id for fill in look.fills):
            # It was there, and nothing may ever be sent under its name again; what is still wanted is asked for anew.
            await self._tell(bot_id, line, "the venue shows trades of it and no order", kind=OrderExpired)
            return None
        return await self._not_there(bot_id, line)

    async def _not_there(self, bot_id: BotId, line: Line) -> float | None:
        """The venue never had this submission and never will: send it again if it is still wanted."""
        bot, account = await self._bots.refresh(bot_id), await self._account.refresh()
        order, now = line.lead, self._time.now()
        if any(each.cancel_requested_at is not None for each in line.open):
            await self._tell(bot_id, line, "the venue never had it", kind=OrderCancelled)
            return None
        fault = self._gate.too_late(order, bot) or unwelcome(order, bot, account, now=now)
        if fault is None and order.attempts >= (EXIT_SUBMISSIONS_MAX if order.reduce_only else ENTRY_SUBMISSIONS_MAX):
            fault = f"it was submitted {order.attempts} times and never reached the venue"
        if fault is not None:
            await self._tell(bot_id, line, fault, kind=OrderExpired)
            return None
        if self._must_wait(order):
            return WAIT_SECONDS
        return await self._send(bot_id, line, client_id=line.lead.client_id or client_id(line.lead.order_id))

    # Cancelling and amending.

    async def _cancel(self, bot_id: BotId, line: Line) -> float | None:
        look = await self.look(bot_id, line)
        found = look.order
        if found is None:
            return await self._vanished(bot_id, line)
        if found.status in ENDED:
            return None if look.over else self._later(line)
        await self._account.refresh()
        answer = await self._calls.answered(self._venue.cancel(_named(line, found)))
        if isinstance(answer, Refused) and answer.passing:
            return self._later(line)
        after = await self.look(bot_id, line)
        if after.over:
            self._cancels.pop(line.lead.client_id, None)
            return None
        tries = self._cancels[line.lead.client_id] = self._cancels.get(line.lead.client_id, 0) + 1
        if isinstance(answer, Refused) and tries >= CANCELS_MAX:
            self._cancels.pop(line.lead.client_id)
            await self._tell(bot_id, line, f"{answer.code}: {answer.reason}", kind=OrderCancelRejected)
            return None
        return self._later(line)

    async def _amend(self, bot_id: BotId, line: Line) -> float | None:
        look = await self.look(bot_id, line)
        now = line_in(await self._bots.refresh(bot_id), line)
        if now is None or step(now) != "amend":
            return 0.0
        found, order = look.order, now.lead
        if found is None or found.status in ENDED:
            return await self._replace(bot_id, now, look)
        change = amendment(now, look)
        if change is None:
            return await self._dissolve(bot_id, now, found)
        await self._account.refresh()
        expires_at = self._time.now() + timedelta(seconds=self._timing.window)
        answer = await self._calls.answered(self._venue.amend(_named(now, found), change, expires_at=expires_at))
        if isinstance(answer, Taken):
            await self._tell_each(bot_id, now, [amended(each, answer) for each in now.orders], as_asked=True)
        elif isinstance(answer, Refused) and not answer.passing:
            after = await self.look(bot_id, now)
            if after.order is not None and after.order.status == "open":
                logger.info("amend_refused", order_id=order.order_id, code=answer.code, reason=answer.reason)
                return await self._dissolve(bot_id, now, after.order)
        return self._later(line)

    async def _replace(self, bot_id: BotId, line: Line, look: Look) -> float | None:
        """The venue's order has ended and is wanted otherwise: place it anew, under another client id."""
        if look.order is None and (not replaceable(line) or not self._is_past(line, self._time.now())):
            return await self._vanished(bot_id, line)
        if not replaceable(line):
            return None if look.over else self._later(line)
        if not look.complete:
            return self._later(line)
        return await self._send(bot_id, line, client_id=client_id(line.lead.order_id, line.lead.attempts + 1))

    async def _dissolve(self, bot_id: BotId, line: Line, found: VenueOrder) -> float | None:
        """Take the venue's order off, since it cannot be changed; what is still wanted follows once it is gone."""
        await self._account.refresh()
        answer = await self._calls.answered(self._venue.cancel(_named(line, found)))
        await self.look(bot_id, line)
        return self._later(line) if isinstance(answer, Refused) and answer.passing else 0.0

    async def _vanished(self, bot_id: BotId, line: Line) -> float | None:
        """The venue took the order and does not find it: that is believed once its submission is long past."""
        if not self._is_past(line, self._time.now()):
            return self._later(line)
        await self._tell(bot_id, line, "the venue does not know it any more", kind=OrderCancelled)
        return None

    def _is_past(self, line: Line, now: datetime) -> bool:
        """Whether the venue would refuse the line's submission by then, and shows what it did with it."""
        expires_at = line.lead.submission_expires_at
        return expires_at is None or now > expires_at + timedelta(seconds=self._timing.margin)

    # The log.

    async def _tell(
        self,
        bot_id: BotId,
        line: Line,
        reason: str,
        *,
        kind: type[OrderCancelled]
        | type[OrderExpired]
        | type[OrderRejected]
        | type[OrderInDoubt]
        | type[OrderCancelRejected],
    ) -> None:
        """Record the same of every order of the line that has not ended."""
        now = self._time.market_now()
        facts = [kind(order_id=order.order_id, at=now, reason=reason) for order in line.open]
        await self._tell_each(bot_id, line, facts)

    async def _tell_each(
        self, bot_id: BotId, line: Line, facts: Sequence[OrderProgress], *, as_asked: bool = False
    ) -> None:
        """Record the facts unless somebody has sent the orders again: then they are about a submission of the past.

        With ``as_asked``, they are about an amendment, which must be the one that is asked for still.
        """

        def said(state: BotState) -> Sequence[OrderProgress]:
            now = [state.orders.get(order.order_id) for order in line.orders] if as_asked else line.orders
            pairs = zip(now, line.orders, strict=True)
            same = all(found is not None and found.amending == order.amending for found, order in pairs)
            return facts if same and unchanged(state, line) else ()

        await self._bots.tell(bot_id, said)

    def _must_wait(self, order: Order) -> bool:
        return bool(self._account.waiting) and not order.reduce_only

    def _again(self, bot_id: BotId, line: Line) -> Line:
        return line_in(self._bots.states[bot_id], line) or line

    def _later(self, line: Line) -> float:
        """How long to wait before the next look: longer each time."""
        number = self._looks.get(line.lead.client_id, 0)
        self._looks[line.lead.client_id] = number + 1
        return LOOKUP_SECONDS[min(number, len(LOOKUP_SECONDS) - 1)]


def _named(line: Line, found: VenueOrder) -> VenueOrderRef:
    """The very order that was found, by the venue's own name: a request that comes late can meet no other.

    Where its trigger was reached, what works is what it became.
    """
    became = found.status == "triggered" and bool(found.child_id)
    return VenueOrderRef(
        client_id=line.lead.client_id,
        symbol=line.lead.symbol,
        at_trigger=line.at_trigger and not became,
        venue_order_id=found.child_id if became else found.venue_order_id,
    )
