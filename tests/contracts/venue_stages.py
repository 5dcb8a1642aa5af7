"""Where the contract of a venue is played: a venue, its market in the test's hand, and its time."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, Protocol

from events.identifiers import Symbol
from events.values import Instrument
from oxbot.adapters.ccxt_urls import VenueAddresses
from oxbot.adapters.ccxt_venue import open_ccxt_venue
from oxbot.adapters.memory_venue import MemoryVenue
from oxbot.adapters.memory_venue_books import MemoryBooks
from oxbot.adapters.venue_credentials import VenueCredentials
from oxbot.app.clock import SystemClock
from oxbot.app.venue import Taken, Venue, VenueRequest
from oxbot.config import Secret
from oxbot.core.money import text
from oxbot.exchange.model import Placed, PlaceOrder
from tests.app.fakes import SteppingClock
from tests.exchange.running import DEMO, exchange_inside, key_of
from tests.exchange.running import Venue as Exchange

SPOT, PERPETUAL = Symbol("BTC/USDT"), Symbol("BTC/USDT:USDT")
PRICE = Decimal(50_000)
FUNDING_MS = 8 * 3_600_000


class Terms(NamedTuple):
    """A symbol of the stage, the quantity to trade there and a price step."""

    symbol: Symbol
    quantity: Decimal
    tick: Decimal


class Stage(Protocol):
    """A venue with an account that holds plenty of USDT and one BTC, at a price of ``PRICE``."""

    venue: Venue
    spot: Terms
    perpetual: Terms

    async def move(self, symbol: Symbol, price: Decimal) -> None:
        """The market trades at this price."""
        ...

    async def wait(self, seconds: float) -> None:
        """The venue's time passes."""
        ...

    async def pay_funding(self) -> None:
        """The perpetual's funding is settled."""
        ...

    async def lose_connection(self) -> None:
        """The pushes are lost, and come back."""
        ...

    async def rest_by_hand(self, client_id: str) -> None:
        """Somebody else, in the same account, lets a buy of ``spot`` rest at half the price."""
        ...


class MemoryStage:
    """The stage in memory."""

    spot = Terms(SPOT, Decimal("0.01"), Decimal("0.1"))
    perpetual = Terms(PERPETUAL, Decimal("0.05"), Decimal("0.1"))

    def __init__(self) -> None:
        self.clock = SteppingClock()
        self.books = MemoryBooks(
            clock=self.clock,
            instruments=[
                Instrument(symbol=SPOT, tick=Decimal("0.1"), lot=Decimal("0.0001")),
                Instrument(
                    symbol=PERPETUAL,
                    tick=Decimal("0.1"),
                    lot=Decimal("0.001"),
                    kind="perpetual",
                    contract_size=Decimal("0.01"),
                    leverage_max=Decimal(100),
                ),
            ],
            balances={"USDT": Decimal(100_000), "BTC": Decimal(1)},
        )
        self.connection = MemoryVenue(self.books)
        self.venue: Venue = self.connection
        for symbol in (SPOT, PERPETUAL):
            self.books.set_price(symbol, PRICE)

    async def move(self, symbol: Symbol, price: Decimal) -> None:
        self.clock.advance(0.001)
        self.books.set_price(symbol, price)

    async def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def pay_funding(self) -> None:
        self.books.pay_funding(PERPETUAL, Decimal("0.0001"))

    async def lose_connection(self) -> None:
        self.connection.reconnect()

    async def rest_by_hand(self, client_id: str) -> None:
        symbol, quantity, _ = self.spot
        order = VenueRequest(
            client_id=client_id, symbol=symbol, side="buy", kind="limit", quantity=quantity, limit_price=PRICE / 2,
            expires_at=soon(self.clock.now()),
        )  # fmt: skip
        assert isinstance(self.books.place(order, owner="somebody"), Taken)


class CcxtStage:
    """The stage at the local exchange, over real ccxt."""

    spot = Terms(SPOT, Decimal("0.01"), Decimal("0.1"))
    perpetual = Terms(PERPETUAL, Decimal("0.05"), Decimal("0.1"))

    def __init__(self, exchange: Exchange, venue: Venue) -> None:
        self.venue = venue
        self._admin = exchange.admin
        self._floor = exchange.running.calls.floor

    async def move(self, symbol: Symbol, price: Decimal) -> None:
        await self._admin.price("BTC-USDT-SWAP" if symbol == PERPETUAL else "BTC-USDT", text(price))

    async def wait(self, seconds: float) -> None:
        await self._admin.post("/clock", advance_ms=int(seconds * 1000))

    async def pay_funding(self) -> None:
        market_ms: int = (await self._admin.get("/clock"))["market_ms"]
        await self._admin.post("/clock", advance_ms=FUNDING_MS - market_ms % FUNDING_MS)

    async def lose_connection(self) -> None:
        await self._admin.post("/sockets/kick")

    async def rest_by_hand(self, client_id: str) -> None:
        order = PlaceOrder(
            inst_id="BTC-USDT", trade_mode="cash", side="buy", order_type="limit", size=self.spot.quantity,
            price=PRICE / 2, client_id=client_id,
        )  # fmt: skip
        assert isinstance(await self._floor.act(lambda now: self._floor.exchange.place("demo", order, now)), Placed)


@asynccontextmanager
async def ccxt_stage() -> AsyncIterator[Stage]:
    """A fresh local exchange in this process, and ccxt connected to it in demo mode."""
    with tempfile.TemporaryDirectory() as home:
        async with exchange_inside(Path(home)) as exchange, opened_at(exchange) as venue:
            yield CcxtStage(exchange, venue)


def opened_at(exchange: Exchange, *, timeout_seconds: float = 5.0) -> AbstractAsyncContextManager[Venue]:
    """The demo account of a local exchange."""
    key = key_of(DEMO)
    credentials = VenueCredentials(api_key=Secret(key.key), secret=Secret(key.secret), password=Secret(key.passphrase))
    addresses = VenueAddresses(rest=exchange.rest_url, ws=exchange.ws_url.removesuffix("/ws/v5"))
    return open_ccxt_venue(
        "okx",
        credentials,
        clock=SystemClock(),
        demo=True,
        addresses=addresses,
        timeout_seconds=timeout_seconds,
    )


@asynccontextmanager
async def memory_stage() -> AsyncIterator[Stage]:
    """The stage in memory, fresh."""
    yield MemoryStage()


def soon(now: datetime) -> datetime:
    """When an order that is sent now expires."""
    return now + timedelta(seconds=10)
