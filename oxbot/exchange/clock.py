"""The exchange's two clocks: the server's, which clients are checked against, and the market's, which prices follow."""

import asyncio
import time
from pathlib import Path

import msgspec

from oxbot.exchange.durable import write_whole


class MarketTime(msgspec.Struct, frozen=True, kw_only=True):
    """Market time is ``market_ms`` when the machine's clock says ``machine_ms``, and goes ``speed`` times as fast."""

    machine_ms: int
    market_ms: int
    speed: float = 1.0
    frozen: bool = False

    def at(self, machine_ms: int) -> int:
        """The market's time at that time of the machine."""
        if self.frozen:
            return self.market_ms
        return self.market_ms + int((machine_ms - self.machine_ms) * self.speed)


class Clocks:
    """Both in Unix milliseconds. How the market's goes is kept in ``path``, so that a restart goes on with it."""

    def __init__(self, *, start_ms: int | None = None, speed: float = 1.0, path: Path | None = None) -> None:
        self._path = path
        self.skew_ms = 0
        self.changed = asyncio.Event()
        machine = machine_ms()
        if path is not None and path.exists():
            self._market = msgspec.json.decode(path.read_bytes(), type=MarketTime)
        else:
            self._market = MarketTime(
                machine_ms=machine, market_ms=machine if start_ms is None else start_ms, speed=speed
            )
            self._keep()

    def server_ms(self) -> int:
        """What signatures, ``expTime`` and /public/time go by: the machine's clock and a test's skew."""
        return machine_ms() + self.skew_ms

    def market_ms(self) -> int:
        """What orders, fills, candles and cancel-all-after go by."""
        return self._market.at(machine_ms())

    def machine_delay(self, market_ms: int) -> float | None:
        """In how many seconds the market will be there; None while its clock stands still."""
        if self._market.frozen or not self._market.speed:
            return None
        return max(0.0, (market_ms - self.market_ms()) / self._market.speed / 1000)

    def freeze(self) -> None:
        """Let the market's clock stand still."""
        self._set(self.market_ms(), frozen=True)

    def resume(self, *, speed: float | None = None) -> None:
        """Let it go on from where it is, at this speed."""
        self._set(self.market_ms(), speed=speed, frozen=False)

    def advance(self, milliseconds: int) -> None:
        """Put it forward; frozen or not it stays."""
        self._set(self.market_ms() + milliseconds, frozen=self._market.frozen)

    def _set(self, market_ms: int, *, frozen: bool, speed: float | None = None) -> None:
        self._market = MarketTime(
            machine_ms=machine_ms(),
            market_ms=market_ms,
            speed=self._market.speed if speed is None else speed,
            frozen=frozen,
        )
        self._keep()
        self.changed.set()

    def _keep(self) -> None:
        if self._path is not None:
            write_whole(self._path, msgspec.json.encode(self._market))


def machine_ms() -> int:
    """The machine's clock."""
    return time.time_ns() // 1_000_000
