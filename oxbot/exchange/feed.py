"""Prices for the exchange: candles of a market, fed a little before their time, to the instruments that follow them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from events.identifiers import Symbol
from oxbot.core.candles import Candle, Frame
from oxbot.exchange.engine import Exchange

AHEAD = 2
"""How many candles the exchange has before they are due."""


class CandleSource(Protocol):
    """Any market whose candles are known: the synthetic one, or files."""

    def frames_after(self, open_time: datetime | None) -> Iterator[Frame]:
        """Every frame that opens after the moment; from the beginning for None."""


class Feed:
    """Each symbol's candles go to its instruments. A restart goes on where the exchange has stopped."""

    def __init__(
        self, exchange: Exchange, source: CandleSource, duration: timedelta, instruments: Mapping[Symbol, Sequence[str]]
    ) -> None:
        self._exchange = exchange
        self._source = source
        self._duration_ms = int(duration.total_seconds() * 1000)
        self._instruments = instruments
        self._frames: Iterator[Frame] | None = None
        self._next: Frame | None = None

    def begin(self, start_ms: int) -> None:
        """On its first day the exchange gets what was before ``start_ms`` as history."""
        past: dict[Symbol, list[Candle]] = {}
        for frame in self._source.frames_after(None):
            if _ms(frame.open_time) + self._duration_ms > start_ms:
                break
            for symbol, candle in frame.candles:
                past.setdefault(symbol, []).append(candle)
        for symbol, candles in past.items():
            for name in self._instruments.get(symbol, ()):
                if self._exchange.ticker(name) is None:
                    _accept(self._exchange.backfill(name, candles, self._duration_ms, self._exchange.now))

    def fill(self, until_ms: int) -> None:
        """Feed until there are candles beyond that time, as long as the source has any."""
        wanted = until_ms + AHEAD * self._duration_ms
        while True:
            frame = self._peek()
            if frame is None or _ms(frame.open_time) >= wanted:
                return
            self._next = None
            self._feed(frame)

    def _feed(self, frame: Frame) -> None:
        at = _ms(frame.open_time)
        for symbol, candle in frame.candles:
            for name in self._instruments.get(symbol, ()):
                fed = self._exchange.fed_until(name)
                # The engine plays up to a command's time first, so candles that are late are fed in the past.
                now = self._exchange.now
                if at + self._duration_ms > now and (fed is None or at >= fed):
                    _accept(self._exchange.feed(name, candle, self._duration_ms, now))

    def _peek(self) -> Frame | None:
        if self._next is None:
            if self._frames is None:
                self._frames = self._source.frames_after(self._resume_after())
            self._next = next(self._frames, None)
        return self._next

    def _resume_after(self) -> datetime | None:
        """The open time of the last candle that every instrument has."""
        ends = [self._exchange.fed_until(name) for listed in self._instruments.values() for name in listed]
        known = [end for end in ends if end is not None]
        if not known or len(known) < len(ends):
            return None
        return datetime.fromtimestamp((min(known) - self._duration_ms) / 1000, UTC)


class NoFeed:
    """Prices only move when they are set."""

    def fill(self, until_ms: int) -> None:
        """Nothing."""


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _accept(refused: object) -> None:
    if refused is not None:
        raise ValueError(f"the exchange does not take the market's candle: {refused}")
