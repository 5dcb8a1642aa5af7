"""Reads what OKX v5 answers: orders, algo orders, fills, positions, balances, bills."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

import msgspec

from events.values import Side
from oxbot.adapters.ccxt_wire import Rows
from oxbot.adapters.okx_markets import OkxMarkets, Steps, number
from oxbot.app.venue import (
    VenueBalance,
    VenueFill,
    VenueFunding,
    VenueOrder,
    VenueOrderStatus,
    VenuePosition,
    VenueUnavailable,
    VenueUnfit,
)
from oxbot.core.money import exact

_ORDER_STATES: dict[str, VenueOrderStatus] = {
    "live": "open",
    "partially_filled": "open",
    "filled": "filled",
    "canceled": "cancelled",
    "mmp_canceled": "cancelled",
}
_ALGO_STATES: dict[str, VenueOrderStatus] = {
    "live": "open",
    "pause": "open",
    "effective": "triggered",
    "partially_effective": "triggered",
    "canceled": "cancelled",
    "order_failed": "rejected",
    "partially_failed": "rejected",
}

_Row = TypeVar("_Row", bound=msgspec.Struct)


class OrderRow(msgspec.Struct, rename="camel", kw_only=True):
    """An order; every number is text, and empty where there is none."""

    inst_id: str
    ord_id: str
    cl_ord_id: str = ""
    side: Side
    sz: str
    px: str = ""
    state: str
    acc_fill_sz: str = ""
    reduce_only: str = ""
    c_time: str
    u_time: str
    algo_id: str = ""
    algo_cl_ord_id: str = ""
    cancel_source_reason: str = ""
    category: str = ""

    @property
    def is_the_venues_own(self) -> bool:
        """Whether OKX placed it itself to close a position."""
        return self.category in {"full_liquidation", "partial_liquidation", "adl"}


class AlgoRow(msgspec.Struct, rename="camel", kw_only=True):
    """An algo order; ``ord_id_list`` names what it became."""

    inst_id: str
    algo_id: str
    algo_cl_ord_id: str = ""
    ord_type: str
    side: Side
    sz: str
    state: str
    ord_id: str = ""
    ord_id_list: list[str] = []
    actual_side: str = ""
    fail_code: str = ""
    reduce_only: str = ""
    sl_trigger_px: str = ""
    sl_ord_px: str = ""
    tp_trigger_px: str = ""
    tp_ord_px: str = ""
    callback_ratio: str = ""
    c_time: str
    u_time: str = ""

    @property
    def children(self) -> list[str]:
        """The ids of the orders that its trigger made."""
        named = [child for child in self.ord_id_list if child]
        return named or ([self.ord_id] if self.ord_id else [])

    @property
    def only_target(self) -> bool:
        """Whether it has a target and no stop."""
        return bool(number(self.tp_trigger_px)) and not number(self.sl_trigger_px)


class FillRow(msgspec.Struct, rename="camel", kw_only=True):
    """A trade; the fee is below 0 when paid."""

    inst_id: str
    trade_id: str
    ord_id: str
    cl_ord_id: str = ""
    bill_id: str = ""
    side: Side
    fill_px: str
    fill_sz: str
    fee: str = ""
    fee_ccy: str = ""
    exec_type: str = ""
    ts: str


class BillRow(msgspec.Struct, rename="camel", kw_only=True):
    """A line of the account's statement; of isolated margin what a position paid is in ``pos_bal_chg`` or ``pnl``."""

    bill_id: str
    inst_id: str = ""
    bal_chg: str = ""
    pos_bal_chg: str = ""
    pnl: str = ""
    px: str = ""
    sz: str = ""
    ts: str


class PositionRow(msgspec.Struct, rename="camel", kw_only=True):
    """A position; in net mode ``pos`` is below 0 for a short."""

    inst_id: str
    inst_type: str = ""
    pos: str
    pos_side: str
    avg_px: str = ""
    lever: str = ""


class DetailRow(msgspec.Struct, rename="camel", kw_only=True):
    """One currency of the account."""

    ccy: str
    cash_bal: str = ""
    eq: str = ""
    upl: str = ""
    iso_eq: str = ""
    avail_bal: str = ""
    avail_eq: str = ""


class BalanceRow(msgspec.Struct, rename="camel", kw_only=True):
    """The account's money."""

    details: list[DetailRow]


_MILLISECONDS_MAX = 10**13
"""Beyond the year 2280."""


def rows_of(kind: type[_Row], rows: Rows) -> list[_Row]:
    """The rows as what they are. Raises ``VenueUnavailable`` for what cannot be read."""
    try:
        return msgspec.convert(rows, list[kind], strict=False)  # type: ignore[valid-type]  # a type passed as a value
    except msgspec.ValidationError as error:
        raise VenueUnavailable(f"okx answered what cannot be read: {error}") from None


def moment(milliseconds: str) -> datetime:
    """A time as OKX writes it, in milliseconds. Raises ``VenueUnavailable`` for what is no time of this age."""
    written = number(milliseconds)
    if not 0 < written < _MILLISECONDS_MAX:
        raise VenueUnavailable("okx answered with something that should be a time and is none")
    return datetime.fromtimestamp(int(written) / 1000, UTC)


def _size(steps: Steps, written: str) -> Decimal:
    """The base quantity of an order's size, which has no sign."""
    quantity = steps.quantity(written)
    if quantity < 0:
        raise VenueUnavailable("okx answered with an order of less than nothing")
    return quantity


def _steps(instrument_id: str, markets: OkxMarkets) -> Steps:
    """The steps of an order's instrument, which every order has."""
    if not instrument_id:
        raise VenueUnavailable("okx answered with an order of no instrument")
    return markets.named(instrument_id)


def order(row: OrderRow, markets: OkxMarkets) -> VenueOrder:
    """What OKX says of an order; of what a trigger made, the client id is that of the order that waited."""
    steps = _steps(row.inst_id, markets)
    return VenueOrder(
        client_id=row.cl_ord_id or row.algo_cl_ord_id,
        venue_order_id=row.ord_id,
        symbol=steps.symbol,
        side=row.side,
        status=_known(_ORDER_STATES, row.state),
        quantity=_size(steps, row.sz),
        filled=_size(steps, row.acc_fill_sz),
        at_trigger=False,
        updated_at=moment(row.u_time),
        limit_price=number(row.px) or None,
        reduce_only=row.reduce_only == "true",
        reason=row.cancel_source_reason,
    )


def algo(row: AlgoRow, children: Sequence[OrderRow], markets: OkxMarkets) -> VenueOrder:
    """What OKX says of an algo order and of the orders that it became.

    "triggered" while one of them works, "filled" once they have traded all of it, "cancelled" if they ended before.
    """
    steps = _steps(row.inst_id, markets)
    status = _known(_ALGO_STATES, row.state)
    filled = sum((_size(steps, child.acc_fill_sz) for child in children), Decimal(0))
    reason = f"okx failed it with {row.fail_code}" if status == "rejected" and row.fail_code else ""
    if children:
        states = {_known(_ORDER_STATES, child.state) for child in children}
        status = "triggered" if "open" in states else "cancelled" if "cancelled" in states else "filled"
        reason = next((child.cancel_source_reason for child in children if child.cancel_source_reason), reason)
    return VenueOrder(
        client_id=row.algo_cl_ord_id,
        venue_order_id=row.algo_id,
        symbol=steps.symbol,
        side=row.side,
        status=status,
        quantity=_size(steps, row.sz),
        filled=filled,
        at_trigger=True,
        updated_at=max([moment(row.u_time or row.c_time), *(moment(child.u_time) for child in children)]),
        limit_price=next((limit for price in (row.sl_ord_px, row.tp_ord_px) if (limit := number(price)) > 0), None),
        trigger_price=number(row.tp_trigger_px if row.only_target else row.sl_trigger_px) or None,
        target_price=None if row.only_target else number(row.tp_trigger_px) or None,
        trailing_fraction=number(row.callback_ratio) or None,
        reduce_only=row.reduce_only == "true",
        leg="target" if row.actual_side == "tp" else "stop" if row.actual_side == "sl" else "",
        child_id=row.children[0] if row.children else "",
        reason=reason,
    )


def fill(row: FillRow, client_id: str, markets: OkxMarkets, *, liquidation: bool = False) -> VenueFill:
    """A trade, booked to that client id. OKX's trade ids are its instruments' own, so the order's is part of ours."""
    steps = markets.named(row.inst_id)
    return VenueFill(
        fill_id=f"{row.inst_id}:{row.trade_id}:{row.ord_id}",
        venue_order_id=row.ord_id,
        client_id=client_id,
        symbol=steps.symbol,
        side=row.side,
        quantity=steps.quantity(row.fill_sz),
        price=number(row.fill_px),
        fee=-number(row.fee),
        fee_currency=row.fee_ccy,
        liquidity="maker" if row.exec_type == "M" else "taker",
        at=moment(row.ts),
        liquidation=liquidation,
    )


def funding(row: BillRow, markets: OkxMarkets) -> VenueFunding:
    """A funding payment; the price of its bill is the mark, and the rate is told elsewhere."""
    amounts = [number(text) for text in (row.pnl, row.bal_chg, row.pos_bal_chg)]
    steps = markets.named(row.inst_id)
    return VenueFunding(
        funding_id=row.bill_id,
        symbol=steps.symbol,
        amount=next((amount for amount in amounts if amount), Decimal(0)),
        at=moment(row.ts),
        mark=number(row.px) or None,
        quantity=abs(steps.quantity(row.sz)) or None,
    )


def position(row: PositionRow, markets: OkxMarkets) -> VenuePosition | None:
    """A position, None if it is flat. Raises ``VenueUnfit`` for one of an account in long/short mode."""
    if row.pos_side != "net":
        raise VenueUnfit("the account is in long/short mode; set its position mode to net")
    steps = markets.named(row.inst_id)
    quantity = steps.quantity(row.pos)
    if not quantity:
        return None
    return VenuePosition(
        symbol=steps.symbol,
        side="long" if quantity > 0 else "short",
        quantity=abs(quantity),
        entry_price=number(row.avg_px),
        leverage=number(row.lever) or Decimal(1),
    )


def balance(row: DetailRow) -> VenueBalance | None:
    """A currency, None if there is none of it; its total is the cash, without what open positions would bring.

    Isolated margin, which may be left out of the cash, is part of it; the equity holds both, and what is unrealised.
    """
    with exact():
        total, free = number(row.cash_bal or row.eq), number(row.avail_bal or row.avail_eq)
        if row.upl and number(row.iso_eq):
            total = max(total, number(row.eq) - number(row.upl))
    return VenueBalance(currency=row.ccy, total=total, free=free) if total else None


def _known(states: dict[str, VenueOrderStatus], state: str) -> VenueOrderStatus:
    if state not in states:
        raise VenueUnavailable(f"okx answered an order state that is not known: {state[:40]}")
    return states[state]
