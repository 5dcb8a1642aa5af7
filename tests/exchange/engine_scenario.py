"""An exchange with two instruments and an account, and short words for what a test does to it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from oxbot.core.candles import Candle
from oxbot.exchange.commands import Command
from oxbot.exchange.engine import Exchange
from oxbot.exchange.model import (
    AccountSpec,
    AlgoPlaced,
    ApiKey,
    Instrument,
    PlaceAlgo,
    Placed,
    PlaceOrder,
    Refused,
    Settings,
)
from oxbot.exchange.records import AlgoOrder, BalanceView, Order, PositionView

START = 1_700_006_400_000
"""2023-11-15 00:00:00 UTC, on a funding mark."""
SPOT, SWAP = "BTC-USDT", "BTC-USDT-SWAP"
SPOT_PAIR = Instrument(
    inst_id=SPOT,
    inst_type="SPOT",
    base="BTC",
    quote="USDT",
    tick=Decimal("0.1"),
    lot=Decimal("0.00001"),
    minimum=Decimal("0.0001"),
)
SWAP_CONTRACT = Instrument(
    inst_id=SWAP,
    inst_type="SWAP",
    base="BTC",
    quote="USDT",
    tick=Decimal("0.1"),
    lot=Decimal("0.1"),
    minimum=Decimal("0.1"),
    contract_value=Decimal("0.01"),
)
KEY = ApiKey(key="key-1", secret="secret-1", passphrase="pass-1")  # noqa: S106 - of a made-up account


def number(written: str | int) -> Decimal:
    return Decimal(written)


class Scenario:
    """Time goes on by a millisecond with every word."""

    def __init__(self, *, price: str | None = "50000", usdt: str = "10000", settings: Settings | None = None) -> None:
        self.recorded: list[Command] = []
        self.now = START
        self.exchange = Exchange(settings or Settings(), record=self.recorded.append)
        for instrument in (SPOT_PAIR, SWAP_CONTRACT):
            self.exchange.list_instrument(instrument, self.now)
        self.exchange.open_account(AccountSpec(name="a", keys=(KEY,)), self.now)
        self.exchange.deposit("a", "USDT", number(usdt), self.now)
        if price is not None:
            self.price(price)
        self.exchange.drain()

    def tick(self, milliseconds: int = 1) -> int:
        self.now += milliseconds
        return self.now

    def wait(self, seconds: float) -> None:
        self.exchange.advance(self.tick(round(seconds * 1000)))

    def price(self, price: str, *, volume: str = "0", inst_id: str = "") -> None:
        for known in (inst_id,) if inst_id else (SPOT, SWAP):
            assert self.exchange.set_price(known, number(price), self.tick(), volume=number(volume)) is None

    def place(self, side: str, size: str, **given: Any) -> str:
        """The order's id; the order must be taken."""
        answer = self.try_place(side, size, **given)
        assert isinstance(answer, Placed), answer
        return answer.order_id

    def refusal(self, side: str, size: str, **given: Any) -> str:
        answer = self.try_place(side, size, **given)
        assert isinstance(answer, Refused), answer
        return answer.code

    def try_place(self, side: str, size: str, *, expires_at: int | None = None, **given: Any) -> Placed | Refused:
        inst_id = given.pop("inst_id", SPOT)
        price = given.pop("price", None)
        given.setdefault("trade_mode", "cash" if inst_id == SPOT else "isolated")
        given.setdefault("order_type", "market" if price is None else "limit")
        if inst_id == SPOT and price is None:
            given.setdefault("size_unit", "base_ccy")
        request = PlaceOrder(
            inst_id=inst_id,
            side=side,  # type: ignore[arg-type]  # a word of the test's own
            size=number(size),
            price=None if price is None else number(price),
            **given,
        )
        return self.exchange.place("a", request, self.tick(), expires_at=expires_at)

    def place_algo(self, side: str, size: str, algo_type: str, **given: Any) -> str:
        answer = self.try_algo(side, size, algo_type, **given)
        assert isinstance(answer, AlgoPlaced), answer
        return answer.algo_id

    def algo_refusal(self, side: str, size: str, algo_type: str, **given: Any) -> str:
        answer = self.try_algo(side, size, algo_type, **given)
        assert isinstance(answer, Refused), answer
        return answer.code

    def try_algo(self, side: str, size: str, algo_type: str, **given: Any) -> AlgoPlaced | Refused:
        inst_id = given.pop("inst_id", SWAP)
        given.setdefault("trade_mode", "cash" if inst_id == SPOT else "isolated")
        for name, value in given.items():
            if isinstance(value, str) and (name.endswith(("_trigger", "_price")) or name.startswith("callback")):
                given[name] = number(value)
        request = PlaceAlgo(
            inst_id=inst_id,
            side=side,  # type: ignore[arg-type]  # a word of the test's own
            algo_type=algo_type,  # type: ignore[arg-type]  # a word of the test's own
            size=number(size),
            **given,
        )
        return self.exchange.place_algo("a", request, self.tick())

    def order(self, order_id: str) -> Order:
        found = self.exchange.order("a", order_id=order_id)
        assert found is not None
        return found

    def algo(self, algo_id: str) -> AlgoOrder:
        found = self.exchange.algo("a", algo_id=algo_id)
        assert found is not None
        return found

    def balance(self, currency: str = "USDT") -> BalanceView:
        return next(row for row in self.exchange.balances("a") if row.currency == currency)

    def position(self) -> PositionView:
        (row,) = self.exchange.positions("a")
        return row


def candle(minutes: int, prices: str, volume: str = "12") -> Candle:
    """A candle that opens so many minutes after the start; its prices are open, high, low, close."""
    opened, high, low, closed = (Decimal(price) for price in prices.split())
    at = datetime.fromtimestamp(START / 1000 + minutes * 60, UTC)
    return Candle(at, opened, high, low, closed, Decimal(volume))
