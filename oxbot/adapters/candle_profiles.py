"""What is known of each venue's candles: its timeframes, its pages, its limits, and how it says that one has closed."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import msgspec

from oxbot.adapters.rate_limiter import Limit
from oxbot.app.live_market_source import SourceRefused
from oxbot.core.candles import Candle, InvalidCandle, check_candle

_MILLISECONDS = 1000


class PushedCandle(NamedTuple):
    """A candle as it came over the WebSocket; ``spot`` tells apart symbols of one id, where a venue has such.

    ``candle`` is None where the venue pushes numbers that are not exact, or one that cannot be.
    """

    venue_id: str
    spot: bool | None
    open_time: datetime
    candle: Candle | None
    closed: bool


class CandleProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table.

    ``timeframes``: those whose candles open at multiples of their length since the epoch, as ours do. ``renamed``: how
    the venue writes some of them, where ccxt would ask for candles that open at other times.
    ``flagged``: whether a push says of a candle that it is final. Where it does not, and of what was asked for, a
    candle has closed once a later one is there or ``settles_seconds`` of the venue's clock have passed.
    ``flag_place``: where the flag is in a row of what was asked for, or None. ``page``: candles in one answer.
    ``read``: the candles of a message of its WebSocket, which came over that address.
    """

    timeframes: tuple[str, ...]
    page: int
    limit: Limit
    read: Callable[[Mapping[str, object], str], Iterable[PushedCandle]]
    flagged: bool = True
    flag_place: int | None = None
    settles_seconds: float = 1.0
    renamed: Mapping[str, str] = {}
    ccxt_options: Mapping[str, object] = {}

    def check(self, timeframe: str, venue: str) -> None:
        """Raise ``SourceRefused``, naming those that there are, for a timeframe that is not among them."""
        if timeframe not in self.timeframes:
            raise SourceRefused(f"{venue} has no candles of {timeframe}; there is {', '.join(self.timeframes)}")


def candle_profile(venue: str) -> CandleProfile:
    """The venue's row. Raises ``SourceRefused`` for one that is not in the table."""
    profile = _PROFILES.get(venue)
    if profile is None:
        raise SourceRefused(f"the candles of {venue} are not known; there is {', '.join(_PROFILES)}")
    return profile


def moment_of(milliseconds: object) -> datetime | None:
    """The moment so many milliseconds after the epoch; None for what is no whole number of them."""
    try:
        return datetime.fromtimestamp(int(str(milliseconds)) / _MILLISECONDS, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def candle_of(open_time: datetime | None, values: Iterable[object]) -> Candle | None:
    """The candle of open, high, low, close and volume as texts; None if that cannot be one."""
    if open_time is None:
        return None
    try:
        candle = Candle(open_time, *(Decimal(value) for value in values if isinstance(value, str)))
        check_candle(candle)
    except (InvalidCandle, InvalidOperation, TypeError):
        return None
    return candle


def _okx(message: Mapping[str, object], _: str) -> Iterable[PushedCandle]:
    argument, rows = message.get("arg"), message.get("data")
    if not isinstance(argument, Mapping) or not isinstance(rows, list):
        return
    name = str(argument.get("instId"))
    # Volume is in contracts at place 5 of a derivative, and in base currency at place 6; a spot pair's is at place 5.
    volume = 5 if name.count("-") == 1 else 6
    for row in rows:
        opened = moment_of(row[0])
        if opened is not None:
            yield PushedCandle(name, None, opened, candle_of(opened, [*row[1:5], row[volume]]), row[-1] == "1")


def _binance(message: Mapping[str, object], address: str) -> Iterable[PushedCandle]:
    row = message.get("k")
    if not isinstance(row, Mapping):
        return
    opened = moment_of(row.get("t"))
    if opened is not None:
        # As ccxt tells them apart.
        spot = "/stream" in address or "demo-stream" in address
        candle = candle_of(opened, [row.get(name) for name in "ohlcv"])
        yield PushedCandle(str(row.get("s")), spot, opened, candle, row.get("x") is True)


def _bybit(message: Mapping[str, object], address: str) -> Iterable[PushedCandle]:
    name, rows = str(message.get("topic", "")).rpartition(".")[2], message.get("data")
    for row in rows if isinstance(rows, list) else []:
        opened = moment_of(row.get("start"))
        if opened is not None:
            values = [row.get(column) for column in ("open", "high", "low", "close", "volume")]
            yield PushedCandle(
                name, "spot" in address, opened, candle_of(opened, values), closed=row.get("confirm") is True
            )


def _kraken(message: Mapping[str, object], _: str) -> Iterable[PushedCandle]:
    rows = message.get("data")
    for row in rows if isinstance(rows, list) else []:
        begun = str(row.get("interval_begin", ""))
        try:
            opened = datetime.fromisoformat(f"{begun[:19]}+00:00")
        except ValueError:
            continue
        # Its numbers come as floats, so a candle of which these pushes say that it is over is asked for.
        yield PushedCandle(str(row.get("symbol")), None, opened, None, closed=False)


_MINUTES = ("1m", "3m", "5m", "15m", "30m")

_PROFILES = {
    "okx": CandleProfile(
        timeframes=(*_MINUTES, "1h", "2h", "4h", "6h", "12h", "1d"),
        page=300,
        # What is older than 1,439 candles comes from an endpoint that allows half of what the other one does.
        limit=Limit(20, 2),
        read=_okx,
        flag_place=-1,
        # By themselves these open in the time zone of Hong Kong. With that zone ccxt adds nothing to the names.
        renamed={"6h": "6Hutc", "12h": "12Hutc", "1d": "1Dutc"},
        ccxt_options={"fetchOHLCV": {"timezone": "HK"}},
    ),
    "binance": CandleProfile(
        timeframes=(*_MINUTES, "1h", "2h", "4h", "6h", "8h", "12h", "1d"), page=1000, limit=Limit(20, 2), read=_binance
    ),
    "bybit": CandleProfile(
        timeframes=(*_MINUTES, "1h", "2h", "4h", "6h", "12h", "1d"), page=1000, limit=Limit(20, 2), read=_bybit
    ),
    "kraken": CandleProfile(
        # It has the newest 720 candles of each timeframe and no older ones.
        timeframes=("1m", "5m", "15m", "30m", "1h", "4h", "1d"),
        page=720,
        limit=Limit(1, 1),
        read=_kraken,
        flagged=False,
        settles_seconds=3.0,
    ),
}
