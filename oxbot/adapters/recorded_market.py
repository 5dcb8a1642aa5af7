"""A market read from candle files, checked from the first row to the last before any of it is used."""

import gzip
import hashlib
import re
import zlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import islice, pairwise
from operator import lt, sub
from pathlib import Path

import msgspec

from events.errors import OxbotError
from events.identifiers import Symbol, VenueName
from events.values import Instrument, Timestamp
from oxbot.core.candles import Candle, InvalidCandle, UnknownTimeframe, aligned, check_candle, timeframe_duration

COLUMNS = ("open_time", "open", "high", "low", "close", "volume")
INSTRUMENTS_FILE = "instruments.json"
LINE_LENGTH_MAX = 200

_SMALLEST_STEP = Decimal("1e-8")
SHOWN_MAX = 40
_PLAIN = b"0123456789.,-:TZ\n"
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")


class InvalidMarketData(OxbotError):
    """A candle file, an instruments file or a request that cannot be used; the text says which line and why."""


class RecordedMarket(msgspec.Struct, frozen=True, kw_only=True):
    """The candles of one timeframe by symbol in alphabetical order; the venue is named by a digest of the content."""

    venue: VenueName
    timeframe: str
    instruments: tuple[Instrument, ...]
    candles: tuple[tuple[Symbol, list[Candle]], ...]
    notes: tuple[str, ...]


class _Range(msgspec.Struct, frozen=True):
    timeframe: str
    step: timedelta
    begins_at: datetime | None
    ends_before: datetime | None


class _Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    tick: Decimal = _SMALLEST_STEP
    lot: Decimal = _SMALLEST_STEP
    minimum_notional: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        for name, value in (("tick", self.tick), ("lot", self.lot)):
            if not value.is_finite() or value <= 0:
                raise ValueError(f"{name} is {value}, but must be a number above 0")
        if not self.minimum_notional.is_finite() or self.minimum_notional < 0:
            raise ValueError(f"minimum_notional is {self.minimum_notional}, but must be a number, at least 0")


def read_market(
    folder: Path,
    *,
    timeframe: str,
    symbols: Sequence[Symbol],
    begins_at: datetime | None,
    ends_before: datetime | None,
) -> RecordedMarket:
    """The candles that opened in [begins_at, ends_before) of each symbol, from ``BTC-USDT_5m.csv`` or ``.csv.gz``.

    ``instruments.json`` beside them is optional; a symbol without an entry has tick and lot 1e-8 and no minimum
    notional. Raises ``InvalidMarketData`` for the first thing that is wrong, and then returns nothing at all.
    """
    wanted = _range(folder, timeframe, begins_at, ends_before)
    _check_symbols(folder, symbols)
    terms = _read_terms(folder / INSTRUMENTS_FILE)
    digest = hashlib.sha256(f"{timeframe}\n".encode())
    instruments: list[Instrument] = []
    candles: list[tuple[Symbol, list[Candle]]] = []
    notes: list[str] = []
    for symbol in sorted(symbols):
        path = _find_file(folder, symbol, timeframe)
        content = _read_content(path)
        instrument = _instrument(symbol, terms)
        series, note = _parse_file(path, content, wanted)
        instruments.append(instrument)
        candles.append((symbol, series))
        notes.extend(f"{symbol}: {text}" for text in note)
        for part in (msgspec.json.encode(instrument), content):
            digest.update(b"%d\n%s" % (len(part), part))
    return RecordedMarket(
        venue=VenueName(f"recorded-{digest.hexdigest()[:12]}"),
        timeframe=timeframe,
        instruments=tuple(instruments),
        candles=tuple(candles),
        notes=tuple(notes),
    )


def _range(folder: Path, timeframe: str, begins_at: datetime | None, ends_before: datetime | None) -> _Range:
    try:
        step = timeframe_duration(timeframe)
    except UnknownTimeframe as error:
        raise InvalidMarketData(f"{folder}: {error}") from error
    for moment in (begins_at, ends_before):
        if moment is not None and moment.tzinfo is None:
            raise InvalidMarketData(f"{folder}: the range has a time without a zone, {moment.isoformat()}")
    if begins_at is not None and ends_before is not None and begins_at >= ends_before:
        raise InvalidMarketData(f"{folder}: the range ends at {_show(ends_before)}, before it begins")
    return _Range(timeframe, step, begins_at, ends_before)


def _check_symbols(folder: Path, symbols: Sequence[Symbol]) -> None:
    if not folder.is_dir():
        raise InvalidMarketData(f"{folder}: no such folder")
    if not symbols:
        raise InvalidMarketData(f"{folder}: no symbol was asked for")
    if len(set(symbols)) != len(symbols):
        raise InvalidMarketData(f"{folder}: a symbol was asked for twice in {', '.join(symbols)}")


def _read_terms(path: Path) -> Mapping[str, _Terms]:
    if not path.exists():
        return {}
    try:
        entries = msgspec.json.decode(_read_bytes(path), type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidMarketData(f"{path}: {error}") from error
    return {symbol: _decode_terms(path, symbol, entry) for symbol, entry in entries.items()}


def _decode_terms(path: Path, symbol: str, entry: msgspec.Raw) -> _Terms:
    try:
        return msgspec.json.decode(entry, type=_Terms)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidMarketData(f"{path}: {symbol}: {error}") from error


def _instrument(symbol: Symbol, terms: Mapping[str, _Terms]) -> Instrument:
    found = terms.get(symbol, _Terms())
    return Instrument(symbol=symbol, tick=found.tick, lot=found.lot, minimum_notional=found.minimum_notional)


def _find_file(folder: Path, symbol: Symbol, timeframe: str) -> Path:
    stem = f"{symbol.replace('/', '-')}_{timeframe}"
    found = [path for path in (folder / f"{stem}.csv", folder / f"{stem}.csv.gz") if path.is_file()]
    if len(found) > 1:
        raise InvalidMarketData(f"{found[0]}: there is {found[1].name} too; keep one of them")
    if not found:
        endings = (f"_{timeframe}.csv", f"_{timeframe}.csv.gz")
        names = sorted(path.name for path in folder.iterdir() if path.name.endswith(endings))
        known = ", ".join(name.rpartition("_")[0].replace("-", "/", 1) for name in names) or "none"
        raise InvalidMarketData(f"{folder}: no {timeframe} candles of {symbol}; symbols with a file: {known}")
    return found[0]


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidMarketData(f"{path}: cannot be read: {error.strerror}") from error


def _read_content(path: Path) -> bytes:
    content = _read_bytes(path)
    if path.suffix != ".gz" or not content:
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise InvalidMarketData(f"{path}: damaged or cut-off gzip file: {error}") from error


def _parse_file(path: Path, content: bytes, wanted: _Range) -> tuple[list[Candle], list[str]]:
    lines = _lines(path, content)
    _check_header(path, lines[0])
    del lines[0]
    times = _open_times(path, lines)
    first, beyond = _select(path, times, wanted)
    _check_steps(path, times, first, beyond, wanted)
    candles = _parse_rows(path, lines[first:beyond], times[first:beyond], first_line=first + 2)
    covered = f"{path.name} covers {_show(times[0])} to {_show(times[-1])}, which is only part of the range"
    begins_late = wanted.begins_at is not None and times[0] - wanted.begins_at >= wanted.step
    ends_early = wanted.ends_before is not None and wanted.ends_before - times[-1] > wanted.step
    return candles, [covered] if begins_late or ends_early else []


def _lines(path: Path, content: bytes) -> list[str]:
    try:
        lines = content.decode("ascii").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _invalid(path, line, f"byte 0x{content[error.start]:02x} is not ASCII text") from error
    if not lines[-1]:
        del lines[-1]
    if not lines:
        raise _invalid(path, 1, "the file is empty")
    if len(lines) == 1:
        _check_header(path, lines[0])
        raise _invalid(path, 1, "there is no candle below the header")
    return lines


def _check_header(path: Path, header: str) -> None:
    names = header.split(",")
    if tuple(names) == COLUMNS:
        return
    missing = [name for name in COLUMNS if name not in names]
    extra = [name for name in names if name not in COLUMNS]
    faults = [f"lacks {', '.join(missing)}"] if missing else []
    faults += [f"has {', '.join(map(_quote, extra))}"] if extra else []
    why = " and ".join(faults) or "names the columns in another order or twice"
    raise _invalid(path, 1, f"the header {why}; it must be {','.join(COLUMNS)}")


def _open_times(path: Path, lines: Sequence[str]) -> list[datetime]:
    texts = [line.partition(",")[0] for line in lines]
    try:
        times = msgspec.convert(texts, list[Timestamp])
        if not all(moment.tzinfo is UTC for moment in times):
            times = [moment.astimezone(UTC) for moment in times]
    except (msgspec.ValidationError, OverflowError) as error:
        line = next(number for number, text in enumerate(texts) if not _is_time(text))
        message = f"open_time {_quote(texts[line])} is not a time like 2024-01-31T23:55:00Z"
        raise _invalid(path, line + 2, message) from error
    if not all(map(lt, times, islice(times, 1, None))):
        raise _disorder(path, times)
    return times


def _is_time(text: str) -> bool:
    try:
        msgspec.convert(text, Timestamp).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        return False
    return True


def _disorder(path: Path, times: Sequence[datetime]) -> InvalidMarketData:
    row = next(row for row, (earlier, later) in enumerate(pairwise(times), start=1) if later <= earlier)
    if times[row] == times[row - 1]:
        return _invalid(path, row + 2, f"open_time {_show(times[row])} is on the line before too")
    return _invalid(
        path, row + 2, f"open_time {_show(times[row])} is earlier than {_show(times[row - 1])} on the line before"
    )


def _select(path: Path, times: Sequence[datetime], wanted: _Range) -> tuple[int, int]:
    first = 0 if wanted.begins_at is None else bisect_left(times, wanted.begins_at)
    beyond = len(times) if wanted.ends_before is None else bisect_left(times, wanted.ends_before)
    if first >= beyond:
        covered = f"the file covers {_show(times[0])} to {_show(times[-1])}"
        raise InvalidMarketData(f"{path}: no candle opens in the range; {covered}")
    return first, beyond


def _check_steps(path: Path, times: Sequence[datetime], first: int, beyond: int, wanted: _Range) -> None:
    """Refuse a selected time off the grid, and a missing candle whose place lies in the range, its edges included."""
    if not aligned(times[first], wanted.timeframe):
        raise _invalid(path, first + 2, f"open_time {_show(times[first])} is no multiple of {wanted.timeframe}")
    if first > 0 and wanted.begins_at is not None and times[first] - wanted.begins_at >= wanted.step:
        raise _gap(path, times, first, wanted)
    selected = times[first:beyond]
    if set(map(sub, islice(selected, 1, None), selected)) - {wanted.step}:
        steps = enumerate(pairwise(selected), start=first + 1)
        raise _gap(path, times, next(row for row, (a, b) in steps if b - a != wanted.step), wanted)
    ended = wanted.ends_before is None or wanted.ends_before - times[beyond - 1] <= wanted.step
    if beyond < len(times) and not ended:
        raise _gap(path, times, beyond, wanted)


def _gap(path: Path, times: Sequence[datetime], row: int, wanted: _Range) -> InvalidMarketData:
    earlier, later = times[row - 1], times[row]
    if not aligned(later, wanted.timeframe):
        return _invalid(path, row + 2, f"open_time {_show(later)} is no multiple of {wanted.timeframe}")
    missing = (later - earlier) // wanted.step - 1
    which = f"the candle of {_show(earlier + wanted.step)} is missing"
    return _invalid(path, row + 2, which if missing == 1 else f"{which}, {missing} in all before {_show(later)}")


def _parse_rows(path: Path, lines: list[str], times: Sequence[datetime], *, first_line: int) -> list[Candle]:
    if "\n".join(lines).encode().translate(None, _PLAIN) or max(map(len, lines)) > LINE_LENGTH_MAX:
        _check_texts(path, lines, first_line)
    candles: list[Candle] = []
    try:
        for moment, line in zip(times, lines, strict=True):
            _, opening, high, low, closing, volume = line.split(",")
            candle = Candle(moment, Decimal(opening), Decimal(high), Decimal(low), Decimal(closing), Decimal(volume))
            if not (0 < candle.low <= candle.open <= candle.high >= candle.close >= candle.low and candle.volume >= 0):
                check_candle(candle)
            candles.append(candle)
    except (ValueError, InvalidOperation, InvalidCandle) as error:
        row = len(candles)
        raise _invalid(path, first_line + row, _text_fault(lines[row]) or str(error)) from error
    return candles


def _check_texts(path: Path, lines: Sequence[str], first_line: int) -> None:
    """Refuse what ``Decimal`` would read but no candle file should hold: NaN, Infinity, spaces, endless digits."""
    for number, line in enumerate(lines, start=first_line):
        fault = _text_fault(line)
        if fault:
            raise _invalid(path, number, fault)


def _text_fault(line: str) -> str | None:
    if len(line) > LINE_LENGTH_MAX:
        return f"the line has {len(line)} characters, more than {LINE_LENGTH_MAX}"
    fields = line.split(",")
    if len(fields) != len(COLUMNS):
        return f"{len(fields)} columns, but the header has {len(COLUMNS)}"
    for name, text in zip(COLUMNS[1:], fields[1:], strict=True):
        if not _NUMBER.fullmatch(text):
            return f"{name} {_quote(text)} is not a number"
    return None


def _invalid(path: Path, line: int, message: str) -> InvalidMarketData:
    return InvalidMarketData(f"{path}:{line}: {message}")


def _quote(text: str) -> str:
    return repr(text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}...")


def _show(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
