"""What can be asked of the engine, as it is kept in the journal; each at a time in Unix milliseconds."""

from decimal import Decimal
from typing import Literal

import msgspec

from oxbot.core.candles import Candle
from oxbot.exchange.model import (
    AccountSpec,
    AmendAlgo,
    AmendOrder,
    CancelAlgo,
    CancelOrder,
    Instrument,
    MarginMode,
    PlaceAlgo,
    PlaceOrder,
    PositionMode,
)
from oxbot.exchange.records import Step


class Advance(msgspec.Struct, frozen=True, tag="advance"):
    """Play what is due until then."""

    at: int


class ListInstrument(msgspec.Struct, frozen=True, tag="list"):
    """Begin to trade an instrument, or replace what is known of it."""

    at: int
    instrument: Instrument


class SetInstrumentState(msgspec.Struct, frozen=True, tag="instrument-state"):
    """Suspend an instrument, or let it trade again."""

    at: int
    inst_id: str
    state: Literal["live", "suspend"]


class OpenAccount(msgspec.Struct, frozen=True, tag="open-account"):
    """Open an account; with the name of one that exists: replace its keys."""

    at: int
    spec: AccountSpec


class Deposit(msgspec.Struct, frozen=True, tag="deposit"):
    """Pay in; an amount below 0 is paid out."""

    at: int
    account: str
    currency: str
    amount: Decimal


class Feed(msgspec.Struct, frozen=True, tag="feed"):
    """A candle to come: its steps are played as time passes."""

    at: int
    inst_id: str
    candle: Candle
    duration_ms: int


class Backfill(msgspec.Struct, frozen=True, tag="backfill"):
    """Candles of the past, that only the history shows."""

    at: int
    inst_id: str
    candles: tuple[Candle, ...]
    duration_ms: int


class AddSteps(msgspec.Struct, frozen=True, tag="steps"):
    """Price steps to come, played as time passes."""

    at: int
    inst_id: str
    steps: tuple[Step, ...]


class SetFundingRate(msgspec.Struct, frozen=True, tag="funding-rate"):
    """The rate that is paid from the next mark on."""

    at: int
    inst_id: str
    rate: Decimal


class Place(msgspec.Struct, frozen=True, tag="place"):
    """An order of an account."""

    at: int
    account: str
    request: PlaceOrder
    expires_at: int | None


class Amend(msgspec.Struct, frozen=True, tag="amend"):
    """A change of an order."""

    at: int
    account: str
    request: AmendOrder
    expires_at: int | None


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """The end of an order."""

    at: int
    account: str
    request: CancelOrder


class PlaceAlgoOrder(msgspec.Struct, frozen=True, tag="place-algo"):
    """An algo order of an account."""

    at: int
    account: str
    request: PlaceAlgo
    expires_at: int | None


class AmendAlgoOrder(msgspec.Struct, frozen=True, tag="amend-algo"):
    """A change of an algo order."""

    at: int
    account: str
    request: AmendAlgo
    expires_at: int | None


class CancelAlgoOrder(msgspec.Struct, frozen=True, tag="cancel-algo"):
    """The end of an algo order."""

    at: int
    account: str
    request: CancelAlgo


class CancelAllAfter(msgspec.Struct, frozen=True, tag="cancel-all-after"):
    """The dead man's switch: end the account's orders, or those with a tag, in so many seconds; 0 ends that."""

    at: int
    account: str
    seconds: int
    tag: str = ""


class SetLeverage(msgspec.Struct, frozen=True, tag="leverage"):
    """The leverage of an instrument in a margin mode."""

    at: int
    account: str
    inst_id: str
    margin_mode: MarginMode
    leverage: Decimal


class SetPositionMode(msgspec.Struct, frozen=True, tag="position-mode"):
    """Net or long/short."""

    at: int
    account: str
    mode: PositionMode


Command = (
    Advance
    | ListInstrument
    | SetInstrumentState
    | OpenAccount
    | Deposit
    | Feed
    | Backfill
    | AddSteps
    | SetFundingRate
    | Place
    | Amend
    | Cancel
    | PlaceAlgoOrder
    | AmendAlgoOrder
    | CancelAlgoOrder
    | CancelAllAfter
    | SetLeverage
    | SetPositionMode
)
