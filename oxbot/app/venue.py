"""The port to a venue at which real orders are placed, and the words for what it answers."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple, Protocol

import msgspec

from events.errors import OxbotError
from events.identifiers import Symbol
from events.values import OrderKind, PositionSide, Side, TimeInForce

VenueOrderStatus = Literal["open", "triggered", "filled", "cancelled", "rejected", "expired"]
VenueOrderKind = OrderKind | Literal["oco"]


class VenueUnavailable(OxbotError):
    """The venue did not answer, or not sensibly; a question may be asked again, an order may have been taken."""


class VenueRefused(OxbotError):
    """The venue's definite no to the whole account: wrong keys, missing rights, a clock too far off."""


class VenueUnfit(OxbotError):
    """A venue, or a symbol of it, that live orders cannot be trusted to, such as one without client ids."""


class VenueRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it is sent: base quantity and prices already on the venue's steps.

    An "oco" has the stop's trigger in ``trigger_price`` and the target's in ``target_price``; whichever is reached
    first ends the other. The venue itself refuses what reaches it after ``expires_at``.
    """

    client_id: str
    symbol: Symbol
    side: Side
    kind: VenueOrderKind
    quantity: Decimal
    expires_at: datetime
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    target_price: Decimal | None = None
    trailing_fraction: Decimal | None = None
    activation_price: Decimal | None = None
    reduce_only: bool = False
    post_only: bool = False
    time_in_force: TimeInForce = "gtc"


class VenueAmendment(msgspec.Struct, frozen=True, kw_only=True):
    """How a working order is to stand from now on; what is None stays as it is."""

    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    target_price: Decimal | None = None


class VenueOrderRef(msgspec.Struct, frozen=True, kw_only=True):
    """Which order is meant. ``at_trigger``: it waits for a trigger, which venues keep in another book."""

    client_id: str
    symbol: Symbol
    at_trigger: bool
    venue_order_id: str = ""


class Taken(NamedTuple):
    """The venue has the order, the cancel or the amendment."""

    venue_order_id: str
    at: datetime


class Refused(NamedTuple):
    """A definite no, parsed from the venue's own code: nothing was done.

    ``passing``: not for what was asked for, but because the venue was asked too often, or too late, or could not be
    asked; the same may be sent again.
    """

    code: str
    reason: str
    passing: bool = False


class Unknown(NamedTuple):
    """Whether it was done cannot be told from what came back; only a lookup can."""

    reason: str


Sent = Taken | Refused | Unknown


class VenueOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue says of an order; ``leg``: which trigger of an "oco" was reached, ``child_id``: what it became.

    Of an order whose trigger was reached, ``filled`` is what came of that; it is "triggered" while that works, then
    "filled", or "cancelled" if it did not trade in full. What it became is shown under the same client id, not at a
    trigger.

    The prices are as in ``VenueRequest``, each None where there is none or the venue does not tell it; of a trailing
    stop ``trigger_price`` says nothing.
    """

    client_id: str
    venue_order_id: str
    symbol: Symbol
    side: Side
    status: VenueOrderStatus
    quantity: Decimal
    filled: Decimal
    at_trigger: bool
    updated_at: datetime
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    target_price: Decimal | None = None
    trailing_fraction: Decimal | None = None
    reduce_only: bool = False
    leg: Literal["stop", "target", ""] = ""
    child_id: str = ""
    reason: str = ""


class VenueFill(msgspec.Struct, frozen=True, kw_only=True):
    """One trade of the account; the fee is positive when paid.

    Of a ``liquidation`` the order was the venue's own: it closed a position, or a part of one, by itself.
    """

    fill_id: str
    venue_order_id: str
    client_id: str
    symbol: Symbol
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    liquidity: Literal["maker", "taker"]
    at: datetime
    liquidation: bool = False


class VenueFunding(msgspec.Struct, frozen=True, kw_only=True):
    """A funding payment; ``amount`` in the settlement currency is above 0 if received.

    ``rate``, ``mark`` and the ``quantity`` of the position then, without a sign, are None where the venue does not tell
    them.
    """

    funding_id: str
    symbol: Symbol
    amount: Decimal
    at: datetime
    rate: Decimal | None = None
    mark: Decimal | None = None
    quantity: Decimal | None = None


class VenuePosition(msgspec.Struct, frozen=True, kw_only=True):
    """A perpetual position in base currency."""

    symbol: Symbol
    side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    leverage: Decimal


class VenueBalance(msgspec.Struct, frozen=True, kw_only=True):
    """A currency of the account, isolated margin included and unrealised results not.

    ``free`` is what no order and no margin holds.
    """

    currency: str
    total: Decimal
    free: Decimal


class VenueHint(NamedTuple):
    """Something may have changed there; empty fields mean anything at all. Never more than a reason to look."""

    client_id: str = ""
    symbol: Symbol | None = None
    reconnected: bool = False


class Venue(Protocol):
    """One account at a venue. Questions raise ``VenueUnavailable`` or ``VenueRefused``; orders answer ``Sent``."""

    async def now(self) -> datetime:
        """The venue's own clock."""
        ...

    async def market_now(self) -> datetime:
        """The clock that its orders, trades and prices go by; another than ``now`` only at a test venue."""
        ...

    async def identity(self) -> str:
        """The venue's own name for the account, whichever of its keys is used; "" if it tells none."""
        ...

    async def place(self, request: VenueRequest) -> Sent:
        """Send the order once. Never raises for what the venue or the way to it does."""
        ...

    async def amend(self, ref: VenueOrderRef, amendment: VenueAmendment, *, expires_at: datetime) -> Sent:
        """Change a working order once."""
        ...

    async def cancel(self, ref: VenueOrderRef) -> Sent:
        """Ask for the end of an order; ``Refused`` also where it has ended already, which a lookup tells apart."""
        ...

    async def lookup(self, ref: VenueOrderRef) -> VenueOrder | None:
        """What the venue says of the order; None if it says that there is none."""
        ...

    async def open_orders(self) -> Sequence[VenueOrder]:
        """Every working order of the account, whoever placed it, also those that wait for a trigger."""
        ...

    async def fills(self, *, since: datetime) -> Sequence[VenueFill]:
        """Every trade since then, oldest first, none left out."""
        ...

    async def funding(self, *, since: datetime) -> Sequence[VenueFunding]:
        """Every funding payment since then, oldest first."""
        ...

    async def positions(self) -> Sequence[VenuePosition]:
        """The perpetual positions that are not flat."""
        ...

    async def balances(self) -> Sequence[VenueBalance]:
        """The currencies of which there is any."""
        ...

    async def configure(self, symbol: Symbol, leverage: Decimal) -> Decimal:
        """Set isolated margin and this leverage for a perpetual, and answer the leverage that is read back.

        Raises ``VenueUnfit`` for a definite no, with the venue's words.
        """
        ...

    async def cancel_all_after(self, seconds: int) -> None:
        """Let the venue cancel our resting entries unless it hears this again in time; 0 ends it.

        Exits and what others placed in the account stay.
        """
        ...

    def hints(self) -> AsyncIterator[VenueHint]:
        """What the venue pushes, as reasons to look; after every reconnect one with ``reconnected``. Never ends."""
        ...
