"""SWAP positions in net mode: what a fill does to one, what it is worth, and what it needs."""

from decimal import Decimal
from typing import NamedTuple

from oxbot.core.money import prorate
from oxbot.exchange.desk import Desk
from oxbot.exchange.model import ZERO, Instrument, MarginMode
from oxbot.exchange.records import Order, Position, PositionView
from oxbot.exchange.state import Account

ONE = Decimal(1)


class Totals(NamedTuple):
    """Of one settlement currency; ``upl``, ``initial``, ``maintenance`` are those of cross positions."""

    isolated: Decimal
    isolated_upl: Decimal
    initial: Decimal
    maintenance: Decimal
    upl: Decimal


def key(inst_id: str, margin_mode: str) -> str:
    """By which an account's positions and leverages are kept."""
    return f"{inst_id}|{margin_mode}"


def held(account: Account, inst_id: str, margin_mode: str) -> Decimal:
    """The signed contracts of a position; 0 if there is none."""
    position = account.positions.get(key(inst_id, margin_mode))
    return ZERO if position is None else position.contracts


def reducible(account: Account, order: Order) -> Decimal:
    """How many contracts the order would close before it opened any."""
    contracts = held(account, order.inst_id, order.trade_mode)
    opposite = contracts < 0 if order.side == "buy" else contracts > 0
    return abs(contracts) if opposite else ZERO


def book_fill(desk: Desk, account: Account, order: Order, size: Decimal, price: Decimal) -> Decimal:
    """Change the position by a fill and answer the profit or loss that it realises."""
    instrument = desk.state.instruments[order.inst_id]
    closing = min(size, reducible(account, order))
    pnl = ZERO
    position = account.positions.get(key(order.inst_id, order.trade_mode))
    if closing and position is not None:
        pnl = _close(instrument, position, closing, price)
    if size > closing:
        position = _opened(desk, account, order, position)
        notional = (size - closing) * instrument.contract_value * price
        position.cost += notional
        position.contracts += size - closing if order.side == "buy" else closing - size
        if position.margin_mode == "isolated":
            position.margin += prorate(notional, ONE, position.leverage)
    assert position is not None  # noqa: S101 - a fill closes or opens
    position.updated_at = desk.state.now
    desk.touch_position(account.spec.name, key(order.inst_id, order.trade_mode))
    return pnl


def worth(desk: Desk, position: Position) -> tuple[Decimal, Decimal]:
    """The notional at the mark price, and the unrealised profit or loss."""
    instrument = desk.state.instruments[position.inst_id]
    mark = desk.state.markets[position.inst_id].last or ZERO
    notional = abs(position.contracts) * instrument.contract_value * mark
    return notional, notional - position.cost if position.contracts > 0 else position.cost - notional


def maintenance(desk: Desk, account: Account, position: Position) -> Decimal:
    """The equity at or below which the position is taken: maintenance margin and the fee of closing."""
    instrument = desk.state.instruments[position.inst_id]
    notional, _ = worth(desk, position)
    return prorate(notional, instrument.maintenance_rate + account.spec.fees.swap_taker, ONE)


def totals(desk: Desk, account: Account, currency: str) -> Totals:
    """What the positions settled in this currency hold, need and are worth."""
    isolated = isolated_upl = initial = needed = upl = ZERO
    for position in account.positions.values():
        if not position.contracts or desk.state.instruments[position.inst_id].quote != currency:
            continue
        notional, profit = worth(desk, position)
        if position.margin_mode == "isolated":
            isolated += position.margin
            isolated_upl += profit
        else:
            initial += prorate(notional, ONE, position.leverage)
            needed += maintenance(desk, account, position)
            upl += profit
    return Totals(isolated, isolated_upl, initial, needed, upl)


def view(desk: Desk, account: Account, position: Position) -> PositionView:
    """The position with what follows from the present prices."""
    instrument = desk.state.instruments[position.inst_id]
    mark = desk.state.markets[position.inst_id].last or ZERO
    notional, upl = worth(desk, position)
    needed = maintenance(desk, account, position)
    backing = _backing(desk, account, instrument, position)
    size = abs(position.contracts)
    initial = prorate(notional, ONE, position.leverage)
    average = prorate(position.cost, ONE, size * instrument.contract_value) if size else None
    cross = position.margin_mode == "cross"
    return PositionView(
        position_id=position.position_id,
        account=position.account,
        inst_id=position.inst_id,
        currency=instrument.quote,
        margin_mode=position.margin_mode,
        leverage=position.leverage,
        contracts=position.contracts,
        available=size,
        average_price=average,
        mark_price=mark,
        last_price=mark,
        margin=position.margin,
        initial_margin=initial,
        maintenance_margin=prorate(notional, instrument.maintenance_rate, ONE),
        margin_ratio=prorate(backing + upl, ONE, needed) if needed else None,
        upl=upl,
        upl_ratio=prorate(upl, ONE, initial if cross else position.margin)
        if size and (cross or position.margin)
        else ZERO,
        notional=notional,
        liquidation_price=_liquidation_price(account, instrument, position, backing) if size else None,
        realised=position.realised,
        fee=position.fee,
        funding=position.funding,
        created_at=position.created_at,
        updated_at=position.updated_at,
        last_trade_id=position.last_trade_id,
    )


def _close(instrument: Instrument, position: Position, closing: Decimal, price: Decimal) -> Decimal:
    size = abs(position.contracts)
    cost, margin = position.cost, position.margin
    if closing < size:
        cost, margin = prorate(cost, closing, size), prorate(margin, closing, size)
    value = closing * instrument.contract_value * price
    long = position.contracts > 0
    pnl = value - cost if long else cost - value
    position.cost -= cost
    position.margin -= margin
    position.contracts += -closing if long else closing
    position.realised += pnl
    return pnl


def _opened(desk: Desk, account: Account, order: Order, position: Position | None) -> Position:
    """The position to add to; one that the same fill has just closed begins anew."""
    if position is not None and position.contracts:
        return position
    margin_mode: MarginMode = "isolated" if order.trade_mode == "isolated" else "cross"
    fresh = Position(
        position_id=desk.new_id(),
        account=account.spec.name,
        inst_id=order.inst_id,
        margin_mode=margin_mode,
        leverage=ONE if order.leverage is None else order.leverage,
        created_at=desk.state.now,
    )
    account.positions[key(order.inst_id, margin_mode)] = fresh
    return fresh


def _backing(desk: Desk, account: Account, instrument: Instrument, position: Position) -> Decimal:
    """What stands behind a position: its own margin, or all that the account has for its cross positions."""
    if position.margin_mode == "isolated":
        return position.margin
    balance = account.balances.get(instrument.quote)
    cash = ZERO if balance is None else balance.cash
    others = totals(desk, account, instrument.quote)
    _, upl = worth(desk, position)
    return cash - others.isolated + others.upl - upl - others.maintenance + maintenance(desk, account, position)


def _liquidation_price(
    account: Account, instrument: Instrument, position: Position, backing: Decimal
) -> Decimal | None:
    """Where backing + profit = maintenance: sign * (price * quantity - cost) + backing = price * quantity * rate."""
    rate = instrument.maintenance_rate + account.spec.fees.swap_taker
    quantity = abs(position.contracts) * instrument.contract_value
    sign = ONE if position.contracts > 0 else -ONE
    price = prorate(sign * position.cost - backing, ONE, quantity * (sign - rate))
    return price if price > 0 else None
