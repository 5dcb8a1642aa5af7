"""What goes out to a venue, in the terms that the log then holds, and how long an answer is waited for."""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeVar

from events.bot import OrderAmended, OrderSubmitted
from oxbot.app.execution_plan import Line, Terms, request, terms
from oxbot.app.execution_report import Look, earlier, unchanged
from oxbot.app.venue import (
    Refused,
    Sent,
    Taken,
    Unknown,
    VenueAmendment,
    VenueRefused,
    VenueRequest,
    VenueUnavailable,
    VenueUnfit,
)
from oxbot.core.bot_state import BotState
from oxbot.core.money import ZERO
from oxbot.core.orders import Order

T = TypeVar("T")


class Timing(NamedTuple):
    """The bounds of what is done with a venue, in seconds.

    ``window``: the venue refuses an order that reaches it later than this; ``margin``: so much later still a lookup
    that finds nothing is believed. ``answer``: so long an answer is waited for. ``speed``: how many times as fast as
    ours a test venue's market goes by a clock of its own; None where it goes by the venue's.
    """

    window: float = 10.0
    margin: float = 2.0
    answer: float = 8.0
    speed: float | None = None


class VenueCalls:
    """Calls of the venue that end in time."""

    def __init__(self, answer_seconds: float) -> None:
        self._answer_seconds = answer_seconds

    async def asked(self, answer: Awaitable[T]) -> T:
        """A question's answer. Raises ``VenueUnavailable``, also where none comes in time, or ``VenueRefused``."""
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await answer
        except TimeoutError as late:
            raise VenueUnavailable(f"no answer within {self._answer_seconds} s") from late

    async def answered(self, answer: Awaitable[Sent]) -> Sent:
        """What became of something that was sent; unknown where no answer comes in time."""
        try:
            return await self.asked(answer)
        except VenueUnfit as unfit:
            return Refused("unfit", str(unfit))
        except (VenueUnavailable, VenueRefused) as error:
            return Unknown(str(error))


class Submission:
    """One attempt to send a line, in terms told of the state in which it is recorded; without them it is not ours."""

    def __init__(self, line: Line, client_id: str, *, at: datetime, expires_at: datetime) -> None:
        """``at`` is told on the market's clock, and when it expires on the venue's."""
        self._line = line
        self._client_id = client_id
        self._at = at
        self.expires_at = expires_at
        self.agreed: list[Terms] = []
        self.fault: str | None = None

    def said(self, state: BotState) -> Sequence[OrderSubmitted]:
        """The submission, unless somebody was quicker, it is not wanted any more, or it cannot be sent so."""
        self.agreed, self.fault = [], None
        orders = [state.orders.get(order.order_id) for order in self._line.orders]
        wanted = [order for order in orders if order is not None and order.cancel_requested_at is None]
        if len(wanted) < len(orders) or not unchanged(state, self._line):
            return ()
        agreed: list[Terms] = []
        for order in wanted:
            held = state.ledger.positions.get(order.symbol)
            found = terms(order, state.instrument(order.symbol), held=held.quantity if held else ZERO)
            if isinstance(found, str):
                self.fault = found
                return ()
            agreed.append(found)
        if len({each.rest for each in agreed}) > 1:
            return ()
        self.agreed = agreed
        return [self._submitted(order, each) for order, each in zip(wanted, agreed, strict=True)]

    def request(self, line: Line) -> VenueRequest:
        """What is sent for the line as it was submitted."""
        return request(line, self.agreed, expires_at=self.expires_at)

    def _submitted(self, order: Order, agreed: Terms) -> OrderSubmitted:
        return OrderSubmitted(
            order_id=order.order_id,
            at=self._at,
            client_id=self._client_id,
            expires_at=self.expires_at,
            quantity=agreed.quantity,
            limit_price=agreed.limit_price,
            trigger_price=agreed.trigger_price,
            attempt=order.attempts + 1,
        )


def amendment(line: Line, look: Look) -> VenueAmendment | None:
    """How the venue's order is to stand; None if one order cannot stand for the whole line any more."""
    wanted = [(order.quantity_wanted or ZERO) - earlier(order, look.fills) for order in line.orders]
    if len(set(wanted)) > 1 or wanted[0] <= (look.order.filled if look.order is not None else ZERO):
        return None
    changed: Decimal | None = wanted[0]
    if look.order is not None and look.order.quantity == wanted[0]:
        changed = None
    lead, target = line.lead.amending, line.target.amending if line.target is not None else None
    return VenueAmendment(
        quantity=changed,
        limit_price=lead.limit_price if lead else None,
        trigger_price=lead.trigger_price if lead else None,
        target_price=target.trigger_price if target else None,
    )


def amended(order: Order, taken: Taken) -> OrderAmended:
    """That the venue has taken the amendment as it was asked for."""
    asked = order.amending
    return OrderAmended(
        order_id=order.order_id,
        at=taken.at,
        reason="as it was asked",
        quantity=asked.quantity if asked else None,
        limit_price=asked.limit_price if asked else None,
        trigger_price=asked.trigger_price if asked else None,
    )
