"""The money of accounts: cash and its bills, what orders hold, what is available, and the settings of an account."""

import re
import zlib
from collections.abc import Sequence
from decimal import Decimal
from typing import assert_never

import msgspec

from oxbot.core.money import fault, prorate
from oxbot.exchange import commands as c
from oxbot.exchange import positions
from oxbot.exchange.desk import Desk, Refusal
from oxbot.exchange.model import ZERO, AccountConfig, AccountSpec, Instrument, MarginMode
from oxbot.exchange.pushes import AccountPushed, PositionsPushed
from oxbot.exchange.records import BalanceView, Bill, Order, PositionView
from oxbot.exchange.state import Account, Balance

ONE = Decimal(1)
COUNTDOWN_SECONDS = (10, 120)
TAGGED_COUNTDOWNS_MAX = 20
TAG = re.compile(r"[A-Za-z0-9]{0,16}", re.ASCII)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What a bill says beside the amount."""

    type: str
    sub_type: str = ""
    inst_id: str = ""
    inst_type: str = ""
    margin_mode: str = ""
    order_id: str = ""
    client_id: str = ""
    trade_id: str = ""
    size: Decimal = ZERO
    price: Decimal | None = None
    pnl: Decimal = ZERO
    fee: Decimal = ZERO
    exec_type: str = ""


def apply(
    desk: Desk, command: c.OpenAccount | c.Deposit | c.SetLeverage | c.SetPositionMode | c.CancelAllAfter
) -> int | None:
    """Carry out a command that concerns an account's money or settings."""
    match command:
        case c.OpenAccount(_, spec):
            _open(desk, spec)
        case c.Deposit(_, name, currency, amount):
            _deposit(desk, desk.account(name), currency, amount)
        case c.SetLeverage(_, name, inst_id, margin_mode, times):
            _set_leverage(desk, desk.account(name), desk.instrument(inst_id), margin_mode, times)
        case c.SetPositionMode(_, name, mode):
            account = desk.account(name)
            if mode != account.position_mode and (account.positions or account.open_orders):
                raise Refusal("59000", "Setting failed. Cancel any open orders and close any positions first.")
            account.position_mode = mode
        case c.CancelAllAfter(_, name, seconds, tag):
            return _count_down(desk, desk.account(name), seconds, tag)
        case _:
            assert_never(command)
    return None


def book(desk: Desk, account: Account, currency: str, change: Decimal, entry: Entry) -> str:
    """Change the cash and write the bill; a loss beyond all cash is covered by the exchange with a bill of its own."""
    balance = account.balances.setdefault(currency, Balance())
    bill_id = _bill(desk, account, currency, change, entry)
    if balance.cash < 0:
        _bill(desk, account, currency, -balance.cash, Entry(type="9", sub_type="247", inst_id=entry.inst_id))
    return bill_id


def available(desk: Desk, account: Account, currency: str) -> Decimal:
    """Cash that no order and no margin holds, less the losses of cross positions."""
    balance = account.balances.get(currency)
    if balance is None:
        return ZERO
    margins = positions.totals(desk, account, currency)
    return balance.cash - balance.order_frozen - margins.isolated - margins.initial + min(ZERO, margins.upl)


def hold(desk: Desk, order: Order) -> None:
    """Let the order hold what it needs as it stands now; nothing once it has ended."""
    account = desk.state.accounts[order.account]
    instrument = desk.state.instruments[order.inst_id]
    needed = ZERO
    if order.state in {"live", "partially_filled"}:
        needed = required(account, instrument, order, order.price)
    if needed == order.frozen:
        return
    balance = account.balances.setdefault(order.frozen_currency, Balance())
    balance.order_frozen += needed - order.frozen
    order.frozen = needed
    desk.touch_balance(order.account, order.frozen_currency)


def required(account: Account, instrument: Instrument, order: Order, price: Decimal | None) -> Decimal:
    """What the rest of an order needs at this price: the spent currency, or margin and fee of what it would open."""
    if price is None:
        return ZERO
    rest = order.size - order.filled
    if instrument.inst_type == "SPOT":
        if order.side == "sell":
            return rest
        return rest if order.size_unit == "quote_ccy" else rest * price
    if order.reduce_only:
        return ZERO
    opening = max(ZERO, rest - positions.reducible(account, order))
    notional = opening * instrument.contract_value * price
    return prorate(notional, ONE, _times(order)) + prorate(notional, account.spec.fees.swap_taker, ONE)


def leverage(desk: Desk, name: str, inst_id: str, margin_mode: MarginMode) -> Decimal:
    """What is set for it, or the account's default, within what the instrument allows."""
    account = desk.state.accounts[name]
    instrument = desk.state.instruments[inst_id]
    return account.leverage.get(
        positions.key(inst_id, margin_mode), min(account.spec.leverage, instrument.leverage_max)
    )


def balances(desk: Desk, name: str, currencies: Sequence[str] | None = None) -> tuple[BalanceView, ...]:
    """Those named, or every currency the account has had."""
    account = desk.state.accounts[name]
    return tuple(
        _balance_view(desk, account, currency, account.balances[currency])
        for currency in (account.balances if currencies is None else currencies)
    )


def positions_of(desk: Desk, name: str, *, inst_id: str = "") -> tuple[PositionView, ...]:
    """Those that are not flat."""
    account = desk.state.accounts[name]
    return tuple(
        positions.view(desk, account, held)
        for held in account.positions.values()
        if held.contracts and inst_id in {"", held.inst_id}
    )


def config(account: Account) -> AccountConfig:
    """What the account is set to."""
    spec = account.spec
    uid = str(10**14 + zlib.crc32(spec.name.encode()))
    return AccountConfig(uid, spec.name, spec.level, account.position_mode, spec.demo, spec.fees)


def settle(desk: Desk) -> None:
    """Tell the balances and positions that changed, once each; positions that were closed are forgotten then."""
    moved, desk.touched_positions = desk.touched_positions, {}
    for name, keys in moved.items():
        account = desk.state.accounts[name]
        rows = tuple(positions.view(desk, account, account.positions[key]) for key in keys if key in account.positions)
        desk.pushes.append(
            PositionsPushed(sequence=desk.new_sequence(), account=name, positions=rows, at=desk.state.now)
        )
        for key in keys:
            if key in account.positions and not account.positions[key].contracts:
                del account.positions[key]
    changed, desk.touched_balances = desk.touched_balances, {}
    for name, currencies in changed.items():
        told = balances(desk, name, tuple(currencies))
        desk.pushes.append(AccountPushed(sequence=desk.new_sequence(), account=name, balances=told, at=desk.state.now))


def _open(desk: Desk, spec: AccountSpec) -> None:
    known = desk.state.accounts.get(spec.name)
    if known is None:
        desk.state.accounts[spec.name] = Account(spec=spec, position_mode=spec.position_mode)
    else:
        known.spec = msgspec.structs.replace(known.spec, keys=spec.keys)


def _deposit(desk: Desk, account: Account, currency: str, amount: Decimal) -> None:
    if fault(amount) is not None or not currency:
        raise Refusal("51000", "Parameter amt error")
    if amount < 0 and available(desk, account, currency) + amount < 0:
        raise Refusal("58350", "Insufficient balance.")
    sub_type = "11" if amount >= 0 else "12"
    book(desk, account, currency, amount, Entry(type="1", sub_type=sub_type, size=abs(amount)))


def _set_leverage(
    desk: Desk, account: Account, instrument: Instrument, margin_mode: MarginMode, times: Decimal
) -> None:
    if instrument.inst_type != "SWAP" or not times.is_finite() or times < 1:
        raise Refusal("51000", "Parameter lever error")
    if times > instrument.leverage_max:
        raise Refusal("59102", "Leverage exceeds the maximum limit. Please lower the leverage.")
    inst_id = instrument.inst_id
    if times != leverage(desk, account.spec.name, inst_id, margin_mode) and _used(desk, account, inst_id, margin_mode):
        raise Refusal("59000", "Setting failed. Cancel any open orders and close any positions first.")
    account.leverage[positions.key(inst_id, margin_mode)] = times


def _used(desk: Desk, account: Account, inst_id: str, margin_mode: MarginMode) -> bool:
    if positions.key(inst_id, margin_mode) in account.positions:
        return True
    orders = (desk.state.orders[order_id] for order_id in account.open_orders)
    return any(order.inst_id == inst_id and order.trade_mode == margin_mode for order in orders)


def _count_down(desk: Desk, account: Account, seconds: int, tag: str) -> int:
    shortest, longest = COUNTDOWN_SECONDS
    if seconds != 0 and not shortest <= seconds <= longest:
        raise Refusal("51000", "Parameter timeOut error")
    if TAG.fullmatch(tag) is None:
        raise Refusal("51000", "Parameter tag error")
    at = desk.state.now + seconds * 1000 if seconds else 0
    if not tag:
        account.cancel_all_at = at or None
    elif not at:
        account.cancel_tagged_at.pop(tag, None)
    elif tag not in account.cancel_tagged_at and len(account.cancel_tagged_at) >= TAGGED_COUNTDOWNS_MAX:
        raise Refusal("51071", "You've reached the maximum limit for tag level cancel all after timers.")
    else:
        account.cancel_tagged_at[tag] = at
    return at


def _bill(desk: Desk, account: Account, currency: str, change: Decimal, entry: Entry) -> str:
    balance = account.balances[currency]
    balance.cash += change
    balance.updated_at = desk.state.now
    bill_id = desk.new_id()
    account.bills.append(
        Bill(
            bill_id=bill_id,
            account=account.spec.name,
            currency=currency,
            type=entry.type,
            sub_type=entry.sub_type,
            change=change,
            balance=balance.cash,
            inst_id=entry.inst_id,
            inst_type=entry.inst_type,
            margin_mode=entry.margin_mode,
            order_id=entry.order_id,
            client_id=entry.client_id,
            trade_id=entry.trade_id,
            size=entry.size,
            price=entry.price,
            pnl=entry.pnl,
            fee=entry.fee,
            exec_type=entry.exec_type,
            at=desk.state.now,
        )
    )
    desk.touch_balance(account.spec.name, currency)
    return bill_id


def _balance_view(desk: Desk, account: Account, currency: str, balance: Balance) -> BalanceView:
    margins = positions.totals(desk, account, currency)
    frozen = balance.order_frozen + margins.isolated + margins.initial
    return BalanceView(
        currency=currency,
        cash=balance.cash,
        equity=balance.cash + margins.upl + margins.isolated_upl,
        available=balance.cash - frozen + min(ZERO, margins.upl),
        frozen=frozen,
        order_frozen=balance.order_frozen,
        isolated_equity=margins.isolated + margins.isolated_upl,
        upl=margins.upl + margins.isolated_upl,
        isolated_upl=margins.isolated_upl,
        initial_margin=margins.initial,
        maintenance_margin=margins.maintenance,
        updated_at=balance.updated_at,
    )


def _times(order: Order) -> Decimal:
    return ONE if order.leverage is None else order.leverage
