"""What the exchange is asked about its accounts: rows newest first, paged by their ids."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import NamedTuple, TypeVar

from oxbot.core.money import ZERO, floor_to_step
from oxbot.exchange import accounts, prices
from oxbot.exchange.desk import Desk
from oxbot.exchange.ending import is_open
from oxbot.exchange.model import AccountConfig, ApiKey, InstType
from oxbot.exchange.records import AlgoOrder, Bill, Fill, Order

ROWS_MAX = 100
Row = TypeVar("Row")


class Page(NamedTuple):
    """OKX's paging: ids newer than ``before``, older than ``after`` (empty: no bound), at most ``limit`` rows."""

    before: str = ""
    after: str = ""
    limit: int = ROWS_MAX


class Times(NamedTuple):
    """From ``begin`` to ``end``, both included, in Unix ms; None: no bound."""

    begin: int | None = None
    end: int | None = None

    def hold(self, at: int) -> bool:
        """Whether the moment is between them."""
        return (self.begin is None or at >= self.begin) and (self.end is None or at <= self.end)


class Which(NamedTuple):
    """Of one type of instrument, or of one instrument; None and empty: any."""

    inst_type: InstType | None = None
    inst_id: str = ""

    def hold(self, inst_type: str, inst_id: str) -> bool:
        """Whether the instrument is meant."""
        return self.inst_type in {None, inst_type} and self.inst_id in {"", inst_id}


ALL = Page()
EVER = Times()
ANY = Which()


def api_key(desk: Desk, key: str) -> tuple[AccountConfig, ApiKey] | None:
    """The account and the secrets that belong to a key."""
    for account in desk.state.accounts.values():
        for known in account.spec.keys:
            if known.key == key:
                return accounts.config(account), known
    return None


def orders(desk: Desk, name: str, *, ended: bool, which: Which, page: Page) -> tuple[Order, ...]:
    """Those that work, or those that have ended."""
    account = desk.state.accounts[name]
    ids: Iterable[str] = reversed(account.order_ids if ended else list(account.open_orders))
    rows = (desk.state.orders[order_id] for order_id in ids)
    found = (row for row in rows if is_open(row) is not ended and which.hold(row.inst_type, row.inst_id))
    return _paged(found, page, _order_id)


def fills(desk: Desk, name: str, *, which: Which, times: Times, order_id: str, page: Page) -> tuple[Fill, ...]:
    """Trades, paged by bill id."""
    rows = reversed(desk.state.accounts[name].fills)
    found = (
        row
        for row in rows
        if which.hold(row.inst_type, row.inst_id) and times.hold(row.at) and order_id in {"", row.order_id}
    )
    return _paged(found, page, _fill_bill)


def bills(
    desk: Desk, name: str, *, currency: str, bill_type: str, which: Which, times: Times, page: Page
) -> tuple[Bill, ...]:
    """Changes of cash."""
    rows = reversed(desk.state.accounts[name].bills)
    found = (
        row
        for row in rows
        if which.hold(row.inst_type, row.inst_id)
        and times.hold(row.at)
        and currency in {"", row.currency}
        and bill_type in {"", row.type}
    )
    return _paged(found, page, _bill_id)


def algos(
    desk: Desk, name: str, *, pending: bool, types: Sequence[str], which: Which, page: Page
) -> tuple[AlgoOrder, ...]:
    """Those that wait, or those that have ended."""
    rows = (desk.state.algos[algo_id] for algo_id in reversed(desk.state.accounts[name].algo_ids))
    found = (
        row
        for row in rows
        if (row.state == "live") is pending
        and which.hold(row.inst_type, row.request.inst_id)
        and (not types or row.request.algo_type in types)
    )
    return _paged(found, page, _algo_id)


def max_size(desk: Desk, name: str, inst_id: str, trade_mode: str, price: Decimal | None) -> tuple[Decimal, Decimal]:
    """How much could be bought and how much sold now with what is available; in base for SPOT, contracts for SWAP."""
    account = desk.state.accounts[name]
    instrument = desk.instrument(inst_id)
    bid, ask = prices.best(desk, instrument, desk.last(inst_id))
    quote = max(ZERO, accounts.available(desk, account, instrument.quote))
    if instrument.inst_type == "SPOT":
        base = max(ZERO, accounts.available(desk, account, instrument.base))
        return quote // ((price or ask) * instrument.lot) * instrument.lot, floor_to_step(base, instrument.lot)
    times = accounts.leverage(desk, name, inst_id, "cross" if trade_mode == "cross" else "isolated")
    # What one lot needs, times the leverage, so that nothing is rounded before the division.
    lot = instrument.lot * instrument.contract_value * (1 + times * account.spec.fees.swap_taker)
    buys, sells = (quote * times // (lot * (price or at)) * instrument.lot for at in (ask, bid))
    return buys, sells


def _paged(rows: Iterable[Row], page: Page, row_id: Callable[[Row], str]) -> tuple[Row, ...]:
    return tuple(islice(_between(rows, page, row_id), max(0, min(page.limit, ROWS_MAX))))


def _between(rows: Iterable[Row], page: Page, row_id: Callable[[Row], str]) -> Iterator[Row]:
    """Ids are numbers that only grow, so newest first is largest first."""
    newer = int(page.before) if page.before else None
    older = int(page.after) if page.after else None
    for row in rows:
        number = int(row_id(row))
        if newer is not None and number <= newer:
            return
        if older is None or number < older:
            yield row


def _order_id(order: Order) -> str:
    return order.order_id


def _fill_bill(fill: Fill) -> str:
    return fill.bill_id


def _bill_id(bill: Bill) -> str:
    return bill.bill_id


def _algo_id(algo: AlgoOrder) -> str:
    return algo.algo_id
