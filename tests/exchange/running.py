"""The local exchange for tests: inside the process, or as one of its own that can be killed and started again."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from events.identifiers import Symbol
from oxbot.core.candles import Candle, Frame
from oxbot.exchange.engine import Exchange
from oxbot.exchange.feed import Feed
from oxbot.exchange.local import Running, open_exchange
from oxbot.exchange.model import ApiKey, Settings
from oxbot.exchange.plan import Funded, Plan, account, spot, swap

SEED = 7
START_SECONDS = 60.0
STOP_SECONDS = 20.0

DEPOSITS: Mapping[str, Decimal] = {"USDT": Decimal(100_000), "BTC": Decimal(2)}
PRICES: Mapping[str, Decimal] = {
    "BTC-USDT": Decimal("50000"),
    "ETH-USDT": Decimal("2500"),
    "BTC-USDT-SWAP": Decimal("50000"),
    "ETH-USDT-SWAP": Decimal("2500"),
}
DEMO = account("demo", seed=SEED, demo=True, deposits=DEPOSITS)
SECOND = account("second", seed=SEED, demo=True, deposits=DEPOSITS)
LIVE = account("live", seed=SEED, demo=False, deposits=DEPOSITS)
INSTRUMENTS = (
    spot("BTC/USDT", tick=Decimal("0.1"), lot=Decimal("0.00001")),
    spot("ETH/USDT", tick=Decimal("0.01"), lot=Decimal("0.0001")),
    swap("BTC/USDT", tick=Decimal("0.1")),
    swap("ETH/USDT", tick=Decimal("0.01")),
)


def plan(home: Path, **changes: Any) -> Plan:
    """Four instruments at fixed prices, two demo accounts and a live one, in ``home``."""
    given: dict[str, Any] = {
        "home": home,
        "settings": Settings(seed=SEED),
        "instruments": INSTRUMENTS,
        "accounts": (DEMO, SECOND, LIVE),
        "prices": PRICES,
    }
    return Plan(**given | changes)


class Admin:
    """The admin port as a client sees it."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def get(self, path: str) -> Any:
        """The answer to a GET."""
        return await self._ask("GET", path)

    async def post(self, path: str, /, **body: object) -> Any:
        """The answer to a POST."""
        return await self._ask("POST", path, body)

    async def delete(self, path: str) -> Any:
        """The answer to a DELETE."""
        return await self._ask("DELETE", path)

    async def price(self, instrument: str, price: str) -> None:
        """The price is this now."""
        await self.post("/price", instrument=instrument, price=price)

    async def books(self, name: str) -> Any:
        """All that the exchange knows of an account."""
        return await self.get(f"/books?account={name}")

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session,
            session.request(
                method, self._url + path, data=None if body is None else msgspec.json.encode(body)
            ) as answer,
        ):
            content = await answer.read()
            assert answer.status == 200, content
            return msgspec.json.decode(content)


class Venue:
    """An exchange that runs: its addresses, its admin port, and, in this process, its parts."""

    def __init__(self, rest_url: str, ws_url: str, admin_url: str, running: Running | None = None) -> None:
        self.rest_url = rest_url
        self.ws_url = ws_url
        self.admin = Admin(admin_url)
        self._running = running

    @property
    def running(self) -> Running:
        """Its parts."""
        assert self._running is not None
        return self._running


def urls(venue: Venue) -> dict[str, object]:
    """What ccxt's constructor takes as ``urls``; sandbox mode reads ``test``."""
    own = {"rest": venue.rest_url, "ws": venue.ws_url}
    return {"api": own, "test": own}


def key_of(funded: Funded, *, reading: bool = False) -> ApiKey:
    """The key that trades, or the one that only reads."""
    return funded.spec.keys[1 if reading else 0]


class Candles:
    """A market of one-minute candles of BTC/USDT, that spot and swap follow; each (open, high, low, close, volume)."""

    def __init__(self, begins_at: datetime, rows: Sequence[tuple[str, str, str, str, str]]) -> None:
        self._frames = []
        for number, row in enumerate(rows):
            opens_at = begins_at + timedelta(minutes=number)
            candle = Candle(opens_at, *(Decimal(text) for text in row))
            self._frames.append(Frame(opens_at, ((Symbol("BTC/USDT"), candle),)))

    def frames_after(self, open_time: datetime | None) -> Iterator[Frame]:
        """The frames that open later."""
        return iter([frame for frame in self._frames if open_time is None or frame.open_time > open_time])

    def feed(self, exchange: Exchange) -> Feed:
        """What ``open_exchange`` asks for."""
        names = {Symbol("BTC/USDT"): ("BTC-USDT", "BTC-USDT-SWAP")}
        return Feed(exchange, self, timedelta(minutes=1), names)


@asynccontextmanager
async def exchange_inside(
    home: Path, *, candles: Candles | None = None, frozen: bool = False, **changes: Any
) -> AsyncIterator[Venue]:
    """An exchange in this process, on free ports; ``frozen``: its market's clock stands still."""
    if frozen:
        changes = {"speed": 0.0, **changes}
    async with open_exchange(plan(home, **changes), None if candles is None else candles.feed) as running:
        yield Venue(running.rest_url, running.ws_url, running.admin_url, running)


class Apart:
    """An exchange that is a process of its own; after ``kill`` it can ``start`` again on the same ports and home."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._port, self._admin_port = free_port(), free_port()
        self._process: asyncio.subprocess.Process | None = None
        host = "127.0.0.1"
        self.venue = Venue(
            f"http://{host}:{self._port}", f"ws://{host}:{self._port}/ws/v5", f"http://{host}:{self._admin_port}"
        )

    async def start(self) -> None:
        """Return when it listens."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            __file__,
            str(self._home),
            str(self._port),
            str(self._admin_port),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        output = self._process.stdout
        assert output is not None
        async with asyncio.timeout(START_SECONDS):
            assert await output.readline() == b"listening\n"

    async def kill(self) -> None:
        """SIGKILL."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM; its exit status."""
        return await self._end(signal.SIGTERM)

    async def gone(self) -> int:
        """Wait until it has ended by itself; its exit status."""
        assert self._process is not None
        async with asyncio.timeout(STOP_SECONDS):
            return await self._process.wait()

    async def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self._process.returncode is None:
            self._process.send_signal(how)
        return await self.gone()


@asynccontextmanager
async def exchange_apart(home: Path) -> AsyncIterator[Apart]:
    """An exchange in a process of its own, started."""
    apart = Apart(home)
    try:
        await apart.start()
        yield apart
    finally:
        await apart.kill()


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def _main(home: Path, port: int, admin_port: int) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with open_exchange(plan(home, port=port, admin_port=admin_port, may_crash=True)):
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
