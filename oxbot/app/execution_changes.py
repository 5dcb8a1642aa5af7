"""What somebody else has changed of our orders at the venue, and how they are asked back as they should be."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from events.bot import OrderAmendRequested
from events.identifiers import OrderId
from oxbot.app.execution_plan import Line
from oxbot.app.execution_report import Look, Said, earlier, line_in
from oxbot.app.venue import VenueOrder
from oxbot.core.bot_state import BotState
from oxbot.core.money import text
from oxbot.core.orders import CLOSED, TRIGGERED_KINDS, Order

ASKED_BACK_MAX = 3
"""So many times in a row one order is asked back; a venue that makes it otherwise itself is not argued with."""


class Change(NamedTuple):
    """What of an order is otherwise at the venue than it should be; ``wanted`` is None where there should be none."""

    what: str
    there: Decimal
    wanted: Decimal | None

    @property
    def amendable(self) -> bool:
        """Whether the order can be amended to be as it should."""
        return self.wanted is not None and self.what != "trailing distance"

    def __str__(self) -> str:
        should = "none" if self.wanted is None else text(self.wanted)
        return f"a {self.what} of {text(self.there)} at the venue, and should have {should}"


def changes(order: Order, there: VenueOrder, *, quantity: Decimal | None = None) -> list[Change]:
    """In what an order that waits is otherwise than the log has it, where the venue tells it.

    ``quantity`` is what the order has in all by the venue's word, under earlier client ids too. What is being changed,
    or has not been taken yet, is a matter of its own.
    """
    settled = order.accepted_at is not None and order.amending is None and order.cancel_requested_at is None
    if not settled or order.status in CLOSED or order.triggered_at is not None or order.kind == "market":
        return []
    if there.status != "open" or there.at_trigger != (order.kind in TRIGGERED_KINDS):
        return []
    found = [*_prices(order, there)]
    if quantity is not None and order.quantity is not None and quantity != order.quantity:
        found.append(Change("quantity", quantity, order.quantity))
    return found


def words(order: Order, found: Sequence[Change]) -> str:
    """All of it as a sentence."""
    return f"{order.order_id} has {' and '.join(map(str, found))}"


class ChangedOrders:
    """Remembers what was seen to be otherwise: what a second look shows as well is asked back."""

    def __init__(self) -> None:
        self._seen: dict[OrderId, tuple[str, int]] = {}

    def asked_back(self, line: Line, look: Look) -> Said | None:
        """What is to be recorded after a look; None where all is as it should be, or a second look is needed."""
        name = line.lead.order_id
        if any(order.amending is not None for order in line.open):
            return None
        found = "; ".join(words(order, each) for order, each in _changed(line, look))
        if not found:
            self._seen.pop(name, None)
            return None
        before, asked = self._seen.get(name, ("", 0))
        again = before == found and asked < ASKED_BACK_MAX
        self._seen[name] = (found, asked + again)
        return _asked_back(line, look) if again else None


def _prices(order: Order, there: VenueOrder) -> Iterator[Change]:
    if order.kind == "trailing_stop":
        # Where it triggers moves with the market.
        if there.trailing_fraction is not None and there.trailing_fraction != order.trailing_fraction:
            yield Change("trailing distance", there.trailing_fraction, order.trailing_fraction)
        return
    paired = order.kind == "take_profit" and there.target_price is not None
    trigger = there.target_price if paired else there.trigger_price
    if trigger is not None and trigger != order.trigger_price:
        yield Change("trigger", trigger, order.trigger_price)
    if there.limit_price is not None and there.limit_price != order.limit_price:
        yield Change("limit", there.limit_price, order.limit_price)


def _changed(line: Line, look: Look) -> Iterator[tuple[Order, list[Change]]]:
    if look.order is None or not look.complete:
        return
    for order in line.orders:
        found = changes(order, look.order, quantity=look.order.quantity + earlier(order, look.fills))
        if found:
            yield order, found


def _asked_back(line: Line, look: Look) -> Said:
    def said(state: BotState) -> Sequence[OrderAmendRequested]:
        now = line_in(state, line)
        pairs = [] if now is None else list(_changed(now, look))
        if not all(change.amendable for _, found in pairs for change in found):
            return ()
        return [_request(order, found, look) for order, found in pairs]

    return said


def _request(order: Order, found: Sequence[Change], look: Look) -> OrderAmendRequested:
    wanted = {change.what: change.wanted for change in found}
    return OrderAmendRequested(
        order_id=order.order_id,
        at=look.at,
        reason=f"somebody else changed it: {words(order, found)}",
        quantity=wanted.get("quantity"),
        limit_price=wanted.get("limit"),
        trigger_price=wanted.get("trigger"),
    )
