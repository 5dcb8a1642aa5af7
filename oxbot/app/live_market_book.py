"""Puts frames together from candles that come in any order, late, twice, or never: plain state without a clock."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from events.identifiers import Symbol
from oxbot.core.candles import Candle, Frame

KEPT = 512
"""So many candles of each symbol that were handed on are kept to tell whether the venue changed its mind."""


class Hole(NamedTuple):
    """Open times of candles that are not here: the first, and the first after them that is or need not be."""

    first: datetime
    beyond: datetime


class Ready(NamedTuple):
    """The next frame, and the symbols whose candle it will never hold."""

    frame: Frame
    missing: tuple[Symbol, ...]


class CandleBook:
    """What is known of the candles after the head, the open time up to which frames were handed on.

    A frame is handed on once each symbol's candle is here or was given up, and what was handed on is final: the first
    version of a candle stands, and one that was given up stays out, whatever comes later.
    """

    def __init__(self, symbols: Sequence[Symbol], step: timedelta, *, head: datetime) -> None:
        self.symbols = tuple(sorted(symbols))
        self.head = head
        self.step = step
        self._here: dict[Symbol, dict[datetime, Candle]] = {symbol: {} for symbol in symbols}
        self._given_up: dict[Symbol, set[datetime]] = {symbol: set() for symbol in symbols}
        self._seen: dict[Symbol, dict[datetime, Candle | None]] = {symbol: {} for symbol in symbols}
        self._last: dict[Symbol, datetime] = dict.fromkeys(symbols, head)

    def take(self, symbol: Symbol, candle: Candle) -> str | None:
        """Take a closed candle; in words how it differs from what was seen of it before, None where it does not."""
        opened = candle.open_time
        if opened <= self.head:
            seen = self._seen[symbol]
            return _difference(seen[opened], candle) if opened in seen else None
        if opened in self._given_up[symbol]:
            return _difference(None, candle)
        known = self._here[symbol].setdefault(opened, candle)
        self._last[symbol] = max(self._last[symbol], opened)
        return None if known is candle else _difference(known, candle)

    def hole(self, symbol: Symbol, *, closed_before: datetime) -> Hole | None:
        """The symbol's first missing candles among those that closed by that moment."""
        end = closed_before - self.step
        first = self.next_missing(symbol)
        if first > end:
            return None
        beyond = first
        while beyond <= end and not self._settled(symbol, beyond):
            beyond += self.step
        return Hole(first, beyond)

    def lacks(self, symbol: Symbol, opened: datetime) -> bool:
        """Whether the candle may still be put in."""
        return opened > self.head and not self._settled(symbol, opened)

    def next_missing(self, symbol: Symbol) -> datetime:
        """The open time of the symbol's first candle that is neither here nor given up."""
        opened = self.head + self.step
        while self._settled(symbol, opened):
            opened += self.step
        return opened

    def waited_for(self, opened: datetime) -> bool:
        """Whether candles that opened then or later are here."""
        return any(last >= opened for last in self._last.values())

    def give_up(self, symbol: Symbol, opened: datetime) -> None:
        """Leave the candle out for good."""
        if opened > self.head and opened not in self._here[symbol]:
            self._given_up[symbol].add(opened)

    def ready(self, limit: int) -> list[Ready]:
        """The frames that can be handed on, in order; they stay until ``handed_on``."""
        frames: list[Ready] = []
        opened = self.head + self.step
        while len(frames) < limit and opened <= max(self._last.values()):
            if not all(self._settled(symbol, opened) for symbol in self.symbols):
                break
            here = tuple(
                (symbol, self._here[symbol][opened]) for symbol in self.symbols if opened in self._here[symbol]
            )
            if here:
                present = {symbol for symbol, _ in here}
                missing = tuple(symbol for symbol in self.symbols if symbol not in present)
                frames.append(Ready(Frame(opened, here), missing))
            opened += self.step
        return frames

    def handed_on(self, head: datetime) -> None:
        """Frames up to there are stored and may be seen: they are final."""
        for symbol in self.symbols:
            opened = self.head + self.step
            while opened <= head:
                self._seen[symbol][opened] = self._here[symbol].pop(opened, None)
                self._given_up[symbol].discard(opened)
                opened += self.step
            seen = self._seen[symbol]
            for old in list(seen)[: max(0, len(seen) - KEPT)]:
                del seen[old]
            self._last[symbol] = max(self._last[symbol], head)
        self.head = head

    def _settled(self, symbol: Symbol, opened: datetime) -> bool:
        return opened in self._here[symbol] or opened in self._given_up[symbol]


def late_faults(
    frames: Sequence[Frame], symbols: Sequence[Symbol], *, step: timedelta, now: datetime, bound: timedelta
) -> Mapping[datetime, Mapping[Symbol, str]]:
    """What is wrong with each frame's candles if they are acted on now: some are missing, or closed long ago."""
    faults: dict[datetime, dict[Symbol, str]] = {}
    for frame in frames:
        late = now - (frame.open_time + step)
        here = {symbol for symbol, _ in frame.candles}
        told = {symbol: "the venue gave no candle" for symbol in symbols if symbol not in here}
        if late > bound:
            told |= {
                symbol: f"the candle closed {late.total_seconds():.0f} s ago" for symbol in symbols if symbol in here
            }
        if told:
            faults[frame.open_time] = told
    return faults


def _difference(seen: Candle | None, candle: Candle) -> str | None:
    if seen is None:
        return f"it came after its frame had gone without it: {_words(candle)}"
    return None if seen == candle else f"seen as {_words(seen)}; now {_words(candle)}"


def _words(candle: Candle) -> str:
    return " ".join(f"{name} {getattr(candle, name):f}" for name in ("open", "high", "low", "close", "volume"))
