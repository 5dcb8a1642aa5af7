"""Any life of an exchange: random commands on random prices, with what must hold after every one of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from oxbot.core import money
from oxbot.exchange.accounts import required
from oxbot.exchange.commands import Command
from oxbot.exchange.engine import Exchange
from oxbot.exchange.model import (
    AccountSpec,
    AlgoType,
    AmendAlgo,
    AmendOrder,
    CancelAlgo,
    CancelOrder,
    MarginMode,
    PlaceAlgo,
    Placed,
    PlaceOrder,
    Refused,
    Settings,
    Side,
    TradeMode,
)
from oxbot.exchange.records import Bill, Fill, Order
from oxbot.exchange.state import Account, State
from tests.exchange.engine_scenario import KEY, SPOT, SPOT_PAIR, START, SWAP, SWAP_CONTRACT, candle

ZERO = Decimal(0)
ACCOUNTS = ("a", "b")
USUAL = 50_000
NAMES = st.sampled_from(ACCOUNTS)
SIDES = st.sampled_from(["buy", "sell"])
TYPES = st.sampled_from(["market", "limit", "limit", "limit", "post_only", "fok", "ioc"])
MODES = st.sampled_from(["isolated", "isolated", "cross"])
MOVES = st.integers(-30, 30) | st.integers(-5, 5) | st.integers(-600, 800)
"""In thousandths of the present price."""
COINS = st.integers(1, 400).map(lambda lots: lots * Decimal("0.0001"))
CONTRACTS = (st.integers(1, 50) | st.integers(1, 2000)).map(lambda lots: lots * Decimal("0.1"))
PICKS = st.integers(0, 5)
SETTINGS = st.builds(
    Settings,
    touch_fills=st.booleans(),
    participation=st.sampled_from([None, None, Decimal("0.1"), Decimal(1)]),
    spread_ticks=st.sampled_from([1, 2, 7]),
    funding_rate=st.sampled_from([Decimal("0.0001"), Decimal("-0.003"), Decimal("0.03")]),
    client_id_memory_ms=st.sampled_from([0, 60_000, 86_400_000]),
)


class ExchangeMachine(RuleBasedStateMachine):
    happened: ClassVar[Counter[str]] = Counter()

    @initialize(settings=SETTINGS, amount=st.integers(10, 20_000) | st.integers(5_000, 20_000))
    def begin(self, settings: Settings, amount: int) -> None:
        self.settings = settings
        self.recorded: list[Command] = []
        self.exchange = Exchange(settings, record=self.recorded.append)
        self.now = START
        self.amended: set[str] = set()
        self.exchange.list_instrument(SPOT_PAIR, self.now)
        self.exchange.list_instrument(SWAP_CONTRACT, self.now)
        for name in ACCOUNTS:
            self.exchange.open_account(AccountSpec(name=name, keys=(KEY,), leverage=Decimal(20)), self.now)
            self.exchange.deposit(name, "USDT", Decimal(amount), self.now)
        for inst_id in (SPOT, SWAP):
            self.exchange.set_price(inst_id, Decimal(USUAL), self.now, volume=Decimal(1))
        self.happened["lives"] += 1

    @rule(name=NAMES, amount=st.integers(-5000, 5000), currency=st.sampled_from(["USDT", "BTC"]))
    def pay(self, name: str, amount: int, currency: str) -> None:
        self.exchange.deposit(name, currency, Decimal(amount), self._tick())

    @rule(move=MOVES, volume=st.integers(0, 50))
    def price(self, move: int, volume: int) -> None:
        for inst_id in (SPOT, SWAP):
            self.exchange.set_price(inst_id, self._near(inst_id, move), self._tick(), volume=Decimal(volume) / 10)

    @rule(seconds=st.sampled_from([1, 30, 200, 30_000]))
    def wait(self, seconds: int) -> None:
        self.now += seconds * 1000
        self.exchange.advance(self.now)

    @rule(up=st.integers(0, 60), down=st.integers(0, 60))
    def candle(self, up: int, down: int) -> None:
        low, high = self._near(SWAP, -down), self._near(SWAP, up)
        minute = (self.now - START) // 60_000 + 1
        prices = f"{self._near(SWAP, 0)} {high} {low} {low}"
        self.exchange.feed(SWAP, candle(minute, prices), 60_000, self.now)
        self.now = START + (minute + 1) * 60_000
        self.exchange.advance(self.now)

    @rule(name=NAMES, side=SIDES, kind=TYPES, move=MOVES, size=COINS, quote=st.booleans())
    def spot(self, name: str, side: Side, kind: str, move: int, size: Decimal, *, quote: bool) -> None:
        in_quote = quote and kind == "market" and side == "buy"
        self._place(
            name,
            PlaceOrder(
                inst_id=SPOT,
                trade_mode="cash",
                side=side,
                order_type=kind,  # type: ignore[arg-type]  # drawn from the types
                size=size * 10_000 if in_quote else size,
                price=self._near(SPOT, move),
                size_unit="quote_ccy" if in_quote else "base_ccy",
            ),
        )

    @rule(name=NAMES, terms=st.tuples(SIDES, TYPES, MODES), move=MOVES, size=CONTRACTS, reduce=st.booleans())
    def swap(self, name: str, terms: tuple[Side, str, TradeMode], move: int, size: Decimal, *, reduce: bool) -> None:
        side, kind, mode = terms
        self._place(
            name,
            PlaceOrder(
                inst_id=SWAP,
                trade_mode=mode,
                side=side,
                order_type=kind,  # type: ignore[arg-type]  # drawn from the types
                size=size,
                price=self._near(SWAP, move),
                reduce_only=reduce,
            ),
        )

    @rule(name=NAMES, client_id=st.sampled_from(["one", "two"]), move=st.integers(-40, 40))
    def named(self, name: str, client_id: str, move: int) -> None:
        self._place(
            name,
            PlaceOrder(
                inst_id=SPOT,
                trade_mode="cash",
                side="buy",
                order_type="limit",
                size=Decimal("0.001"),
                price=self._near(SPOT, move),
                client_id=client_id,
            ),
        )

    @rule(name=NAMES, pick=PICKS, move=MOVES, size=CONTRACTS)
    def amend(self, name: str, pick: int, move: int, size: Decimal) -> None:
        order = self._picked(name, pick)
        if order is not None:
            wanted = AmendOrder(
                inst_id=order.inst_id,
                order_id=order.order_id,
                size=size,
                price=self._near(order.inst_id, move),
                cancel_on_fail=pick == 0,
            )
            self.amended.add(order.order_id)
            self._count("amended", self.exchange.amend(name, wanted, self._tick()))

    @rule(name=NAMES, pick=PICKS)
    def cancel(self, name: str, pick: int) -> None:
        order = self._picked(name, pick)
        if order is not None:
            self.exchange.cancel(name, CancelOrder(inst_id=order.inst_id, order_id=order.order_id), self._tick())

    @rule(
        name=NAMES,
        terms=st.tuples(SIDES, MODES, st.sampled_from(["conditional", "oco", "trigger", "move_order_stop"])),
        away=st.integers(1, 40),
        size=CONTRACTS,
        reduce=st.booleans(),
    )
    def algo(
        self, name: str, terms: tuple[Side, TradeMode, AlgoType], away: int, size: Decimal, *, reduce: bool
    ) -> None:
        side, mode, kind = terms
        above, below = self._near(SWAP, away), self._near(SWAP, -away)
        legs = kind in {"conditional", "oco"}
        request = PlaceAlgo(
            inst_id=SWAP,
            trade_mode=mode,
            side=side,
            algo_type=kind,
            size=size,
            reduce_only=reduce,
            cancel_on_close=away % 2 == 0,
            sl_trigger=(below if side == "sell" else above) if legs else None,
            sl_price=Decimal(-1) if legs else None,
            tp_trigger=(above if side == "sell" else below) if kind == "oco" else None,
            tp_price=above if kind == "oco" else None,
            trigger_price=above if kind == "trigger" else None,
            order_price=Decimal(-1) if kind == "trigger" else None,
            callback_ratio=Decimal("0.01") if kind == "move_order_stop" else None,
        )
        self._count("algos", self.exchange.place_algo(name, request, self._tick()))

    @rule(name=NAMES, pick=PICKS, move=st.integers(-40, 40))
    def amend_algo(self, name: str, pick: int, move: int) -> None:
        rows = self.exchange.algos(name, pending=True)
        if rows:
            algo_id = rows[pick % len(rows)].algo_id
            wanted = AmendAlgo(inst_id=SWAP, algo_id=algo_id, sl_trigger=self._near(SWAP, move))
            self.exchange.amend_algo(name, wanted, self._tick())

    @rule(name=NAMES, pick=PICKS)
    def cancel_algo(self, name: str, pick: int) -> None:
        rows = self.exchange.algos(name, pending=True)
        if rows:
            wanted = CancelAlgo(inst_id=SWAP, algo_id=rows[pick % len(rows)].algo_id)
            assert not isinstance(self.exchange.cancel_algo(name, wanted, self._tick()), Refused)

    @rule(name=NAMES, mode=MODES, times=st.sampled_from([1, 3, 20, 100]))
    def leverage(self, name: str, mode: MarginMode, times: int) -> None:
        self.exchange.set_leverage(name, SWAP, mode, Decimal(times), self._tick())

    @rule(name=NAMES, seconds=st.sampled_from([0, 5, 10, 60]), tag=st.sampled_from(["", "ours"]))
    def count_down(self, name: str, seconds: int, tag: str) -> None:
        self.exchange.cancel_all_after(name, seconds, self._tick(), tag=tag)

    @invariant()
    def books_balance(self) -> None:
        for account in self._state().accounts.values():
            with money.exact():
                check_cash(account, self._state().orders)

    @invariant()
    def orders_hold_what_is_frozen(self) -> None:
        state = self._state()
        for account in state.accounts.values():
            held: Counter[str] = Counter()
            with money.exact():
                for order_id in account.open_orders:
                    order = state.orders[order_id]
                    assert order.state in {"live", "partially_filled"}
                    assert order.frozen == required(account, state.instruments[order.inst_id], order, order.price)
                    held[order.frozen_currency] += order.frozen  # type: ignore[assignment]  # a count of money
            for currency, balance in account.balances.items():
                assert balance.order_frozen == held[currency]

    @invariant()
    def orders_equal_their_fills(self) -> None:
        state = self._state()
        fills: dict[str, list[Fill]] = {}
        for account in state.accounts.values():
            for fill in account.fills:
                fills.setdefault(fill.order_id, []).append(fill)
        for order in state.orders.values():
            check_order(
                order, fills.get(order.order_id, []), working=order.order_id in state.open_orders[order.inst_id]
            )
            if order.order_id not in self.amended:
                check_prices(order, fills.get(order.order_id, []))

    @invariant()
    def positions_equal_their_fills(self) -> None:
        for account in self._state().accounts.values():
            for mode in ("isolated", "cross"):
                with money.exact():
                    check_position(account, mode, self._state().orders)

    @invariant()
    def what_is_told_adds_up(self) -> None:
        for name in ACCOUNTS:
            for row in self.exchange.balances(name):
                cross = row.upl - row.isolated_upl
                assert row.available <= row.cash
                assert row.cash == row.available + row.frozen - min(ZERO, cross)

    def teardown(self) -> None:
        if not hasattr(self, "exchange"):
            return
        again = Exchange(self.settings)
        for command in self.recorded:
            again.execute(command, keep=True)
        assert again.digest() == self.exchange.digest()
        assert State.decoded(self.exchange.snapshot()).digest() == self.exchange.digest()
        for account in self._state().accounts.values():
            self.happened.update(f"bills {bill.type}" for bill in account.bills)
            self.happened.update(f"fills {fill.inst_type} {fill.exec_type}" for fill in account.fills)
        self.happened.update(f"orders {order.state}" for order in self._state().orders.values())
        self.happened.update(f"algos {algo.state}" for algo in self._state().algos.values())
        self.happened.update(
            f"partly filled, then {order.state}"
            for order in self._state().orders.values()
            if order.size_unit != "quote_ccy" and ZERO < order.filled < order.size
        )

    def _place(self, name: str, request: PlaceOrder) -> None:
        answer = self.exchange.place(name, request, self._tick())
        self._count("orders", answer)
        if isinstance(answer, Placed):
            assert self.exchange.order(name, client_id=request.client_id or "none", order_id=answer.order_id)

    def _count(self, what: str, answer: object) -> None:
        self.happened[f"{what} refused {answer.code}" if isinstance(answer, Refused) else f"{what} taken"] += 1

    def _picked(self, name: str, pick: int) -> Order | None:
        rows = self.exchange.orders_pending(name)
        return rows[pick % len(rows)] if rows else None

    def _near(self, inst_id: str, thousandths: int) -> Decimal:
        last = self.exchange.mark_price(inst_id) or Decimal(USUAL)
        return max(Decimal("0.1"), money.floor_to_step(last * (1000 + thousandths) / 1000, Decimal("0.1")))

    def _tick(self) -> int:
        self.now += 1
        return self.now

    def _state(self) -> State:
        return self.exchange.state


def check_cash(account: Account, orders: Mapping[str, Order]) -> None:
    """Payments, trades with their fees, funding and what liquidations took or gave: that is the cash, and no more."""
    for currency, balance in account.balances.items():
        bills = [bill for bill in account.bills if bill.currency == currency]
        assert balance.cash == sum((bill.change for bill in bills), ZERO)
        assert balance.cash >= 0
        assert balance.cash == _from_fills(account.fills, currency) + _beside_fills(bills)
    assert sum((order.fee for order in orders.values() if order.account == account.spec.name), ZERO) == sum(
        (fill.fee for fill in account.fills), ZERO
    )


def _from_fills(fills: Iterable[Fill], currency: str) -> Decimal:
    total = ZERO
    for fill in fills:
        sign = 1 if fill.side == "buy" else -1
        if fill.inst_type == "SPOT":
            total += sign * fill.size if currency == "BTC" else -sign * fill.size * fill.price
        elif currency == "USDT":
            total += fill.pnl
        total += fill.fee if fill.fee_currency == currency else ZERO
    return total


def _beside_fills(bills: Iterable[Bill]) -> Decimal:
    return sum((bill.change for bill in bills if not bill.trade_id), ZERO)


def check_order(order: Order, fills: list[Fill], *, working: bool) -> None:
    assert working == (order.state in {"live", "partially_filled"})
    assert order.filled == sum((fill.size for fill in fills), ZERO)
    assert order.pnl == sum((fill.pnl for fill in fills), ZERO)
    if order.size_unit == "quote_ccy":
        assert order.filled_value <= order.size
    else:
        assert order.filled <= order.size or order.state == "filled"
    if order.state == "filled":
        assert fills
    if not working:
        assert order.frozen == 0


def check_prices(order: Order, fills: list[Fill]) -> None:
    for fill in fills:
        assert order.price is None or (fill.price <= order.price if order.side == "buy" else fill.price >= order.price)


def check_position(account: Account, mode: str, orders: Mapping[str, Order]) -> None:
    """Contracts, and the profit that is realised, follow from the fills alone."""
    position = account.positions.get(f"{SWAP}|{mode}")
    contracts = flow = pnl = ZERO
    for fill in account.fills:
        if fill.inst_type == "SWAP" and orders[fill.order_id].trade_mode == mode:
            sign = 1 if fill.side == "buy" else -1
            if orders[fill.order_id].reduce_only:
                assert abs(contracts + sign * fill.size) == abs(contracts) - fill.size
            contracts += sign * fill.size
            flow -= sign * fill.size * SWAP_CONTRACT.contract_value * fill.price
            pnl += fill.pnl
    if position is None:
        assert (contracts, flow) == (ZERO, pnl)
        return
    assert position.contracts == contracts != 0
    assert position.cost > 0
    assert pnl == flow + (position.cost if contracts > 0 else -position.cost)
    assert position.margin >= 0 if mode == "isolated" else position.margin == 0
