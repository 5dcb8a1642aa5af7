"""The reader of candle files: what it reads, what it refuses and where it says the fault is."""

import csv
import gzip
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from events.identifiers import Symbol
from events.values import Instrument
from oxbot.adapters.recorded_market import InvalidMarketData, RecordedMarket, read_market
from oxbot.core.candles import Candle, check_candle

BITCOIN, ETHER = Symbol("BTC/USDT"), Symbol("ETH/USDT")
HEADER = "open_time,open,high,low,close,volume"
STEP = timedelta(minutes=5)
REPOSITORY = Path(__file__).parents[2]
BAD_TIMES = [
    *("", "yesterday", "1704067200000", "1704067200", "2024-01-01", "2024-01-01T00:05:00", "2024-W01-1T00:05:00Z"),
    *("2024-02-30T00:00:00Z", "0001-01-01T00:00:00+05:00"),
]


@pytest.fixture
def real_market() -> Path:
    """The folder of real candles, where there is one."""
    folder = Path(os.environ.get("OXBOT_TEST_MARKET", REPOSITORY.parent / "shared" / "market"))
    if not folder.is_dir():
        pytest.skip(f"no real candles in {folder}; OXBOT_TEST_MARKET can name another folder")
    return folder


def at(minutes: int) -> datetime:
    """A moment of the first day of 2024."""
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)


def row(minutes: int, numbers: str = "100,102.5,99,101,7.25") -> str:
    """A line of a candle file."""
    return f"{at(minutes).isoformat().replace('+00:00', 'Z')},{numbers}"


def write(folder: Path, *rows: str, header: str = HEADER, name: str = "BTC-USDT_5m.csv") -> Path:
    """A candle file of these lines below the header, compressed if its name says so."""
    content = "".join(f"{line}\n" for line in (header, *rows)).encode()
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def read(
    folder: Path,
    *,
    symbols: Sequence[Symbol] = (BITCOIN,),
    begins_at: datetime | None = None,
    ends_before: datetime | None = None,
    timeframe: str = "5m",
) -> RecordedMarket:
    """The market in the folder."""
    return read_market(folder, timeframe=timeframe, symbols=symbols, begins_at=begins_at, ends_before=ends_before)


def open_times(market: RecordedMarket) -> list[datetime]:
    """The open times of the first symbol."""
    return [candle.open_time for candle in market.candles[0][1]]


def refusal(folder: Path, **request: datetime | str | Sequence[Symbol] | None) -> str:
    """The one line that says why the market cannot be read."""
    with pytest.raises(InvalidMarketData) as caught:
        read(folder, **request)  # type: ignore[arg-type]  # each test passes what it names
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["BTC-USDT_5m.csv", "BTC-USDT_5m.csv.gz"])
def test_candles_are_read_exactly(tmp_path: Path, name: str) -> None:
    write(tmp_path, row(0), row(5, "0.00001230,1.3e-05,1E-5,.000012,0"), name=name)

    market = read(tmp_path)

    first = Candle(at(0), Decimal("100"), Decimal("102.5"), Decimal("99"), Decimal("101"), Decimal("7.25"))
    numbers = ("0.00001230", "1.3E-5", "0.00001", "0.000012", "0")
    assert market.candles == ((BITCOIN, [first, Candle(at(5), *map(Decimal, numbers))]),)
    assert str(market.candles[0][1][1].open) == "0.00001230"
    assert market.timeframe == "5m"
    assert market.notes == ()


@pytest.mark.parametrize(
    "text",
    ["2024-01-01T02:00:00+02:00", "2023-12-31T19:00:00-05:00", "2024-01-01T00:00:00.000Z", "2024-01-01T00:00:00Z"],
)
def test_a_time_with_any_zone_becomes_utc(tmp_path: Path, text: str) -> None:
    write(tmp_path, f"{text},1,1,1,1,1", row(5))

    candle = read(tmp_path).candles[0][1][0]

    assert candle.open_time == at(0)
    assert candle.open_time.tzinfo is UTC


def test_windows_line_ends_and_a_missing_last_one_are_read(tmp_path: Path) -> None:
    path = tmp_path / "BTC-USDT_5m.csv"
    path.write_bytes("\r\n".join([HEADER, row(0), row(5)]).encode())

    assert open_times(read(tmp_path)) == [at(0), at(5)]


def test_symbols_come_in_alphabetical_order_each_with_its_own_end(tmp_path: Path) -> None:
    write(tmp_path, row(0), row(5), row(10), name="ETH-USDT_5m.csv")
    write(tmp_path, row(0), row(5))

    market = read(tmp_path, symbols=[ETHER, BITCOIN])

    assert [(symbol, len(candles)) for symbol, candles in market.candles] == [(BITCOIN, 2), (ETHER, 3)]
    assert [instrument.symbol for instrument in market.instruments] == [BITCOIN, ETHER]


@pytest.mark.parametrize(
    ("begins_at", "ends_before", "expected"),
    [
        (None, None, [0, 5, 10, 15, 20]),
        (at(5), at(15), [5, 10]),
        (at(6), at(16), [10, 15]),
        (None, at(5), [0]),
        (at(20), None, [20]),
    ],
)
def test_a_range_includes_its_beginning_and_not_its_end(
    tmp_path: Path, begins_at: datetime | None, ends_before: datetime | None, expected: list[int]
) -> None:
    write(tmp_path, *map(row, range(0, 25, 5)))

    market = read(tmp_path, begins_at=begins_at, ends_before=ends_before)

    assert open_times(market) == [at(minutes) for minutes in expected]
    assert market.notes == ()


@pytest.mark.parametrize(("begins_at", "ends_before"), [(at(-5), None), (None, at(16)), (at(-60), at(60))])
def test_a_range_that_is_covered_in_part_is_noted(
    tmp_path: Path, begins_at: datetime | None, ends_before: datetime | None
) -> None:
    write(tmp_path, row(0), row(5), row(10))

    market = read(tmp_path, begins_at=begins_at, ends_before=ends_before)

    assert len(open_times(market)) == 3
    covered = "2024-01-01T00:00:00Z to 2024-01-01T00:10:00Z"
    assert market.notes == (f"BTC/USDT: BTC-USDT_5m.csv covers {covered}, which is only part of the range",)


def test_gaps_and_bad_numbers_outside_the_range_do_not_matter(tmp_path: Path) -> None:
    write(tmp_path, row(-60, "x,y"), row(0), row(5), row(10), row(60, "NaN,1,1,1,1"))

    assert open_times(read(tmp_path, begins_at=at(0), ends_before=at(15))) == [at(0), at(5), at(10)]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ("1,2,1,1.5", "5 columns, but the header has 6"),
        ("1,2,1,1.5,7,8", "7 columns, but the header has 6"),
        ("abc,2,1,1.5,7", "open 'abc' is not a number"),
        ("1,,1,1.5,7", "high '' is not a number"),
        ("1,2,1 ,1.5,7", "low '1 ' is not a number"),
        ("1,2,1,1_5,7", "close '1_5' is not a number"),
        ("1,2,1,1.5,--7", "volume '--7' is not a number"),
        ("1,2,1,1.5.0,7", "close '1.5.0' is not a number"),
        ('"1",2,1,1.5,7', "open '\"1\"' is not a number"),
        ("NaN,2,1,1.5,7", "open 'NaN' is not a number"),
        ("1,Infinity,1,1.5,7", "high 'Infinity' is not a number"),
        ("1,2,1,1.5,-inf", "volume '-inf' is not a number"),
        ("1,1e999999999,1,1.5,7", "high '1e999999999' is not a number"),
        ("1,2,1,1.5,7" + "0" * 300, "the line has 332 characters, more than 200"),
        ("-1,2,1,1.5,7", "open is -1, but must be above 0"),
        ("1,2,0,1.5,7", "low is 0, but must be above 0"),
        ("1,2,1,1.5,-7", "volume is -7, but must be at least 0"),
        ("1,2,3,1.5,7", "low 3 is above the open or the close"),
        ("1,2,1.2,1.5,7", "low 1.2 is above the open or the close"),
        ("1,1.4,1,1.5,7", "high 1.4 is below the open or the close"),
    ],
)
def test_a_bad_row_is_refused_with_its_file_and_line(tmp_path: Path, numbers: str, message: str) -> None:
    path = write(tmp_path, row(0), row(5), row(10, numbers), row(15))

    assert refusal(tmp_path) == f"{path}:4: {message}"


@pytest.mark.parametrize("number", [0, 1, 3])
def test_the_line_is_counted_in_the_file_whatever_the_range(tmp_path: Path, number: int) -> None:
    rows = [row(5 * place, "1,2,3,4" if place == number else "1,2,1,2,9") for place in range(5)]
    path = write(tmp_path, *rows)

    assert refusal(tmp_path, begins_at=at(5 * number)).startswith(f"{path}:{number + 2}: 5 columns")


@pytest.mark.parametrize("text", BAD_TIMES)
def test_a_time_that_is_not_rfc_3339_with_a_zone_is_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, row(0), f"{text},1,2,1,1.5,7", row(10))

    assert refusal(tmp_path) == f"{path}:3: open_time {text!r} is not a time like 2024-01-31T23:55:00Z"


@pytest.mark.parametrize(
    ("minutes", "line", "message"),
    [
        ([0, 10, 5], 4, "open_time 2024-01-01T00:05:00Z is earlier than 2024-01-01T00:10:00Z on the line before"),
        ([0, 5, 5, 10], 4, "open_time 2024-01-01T00:05:00Z is on the line before too"),
        ([0, 5, 15], 4, "the candle of 2024-01-01T00:10:00Z is missing"),
        ([0, 20], 3, "the candle of 2024-01-01T00:05:00Z is missing, 3 in all before 2024-01-01T00:20:00Z"),
        ([1, 6], 2, "open_time 2024-01-01T00:01:00Z is no multiple of 5m"),
        ([0, 5, 7, 10], 4, "open_time 2024-01-01T00:07:00Z is no multiple of 5m"),
    ],
)
def test_times_out_of_step_are_refused(tmp_path: Path, minutes: list[int], line: int, message: str) -> None:
    path = write(tmp_path, *map(row, minutes))

    assert refusal(tmp_path) == f"{path}:{line}: {message}"


def test_disorder_outside_the_range_is_refused_too(tmp_path: Path) -> None:
    path = write(tmp_path, row(0), row(5), row(20), row(15))

    assert refusal(tmp_path, ends_before=at(10)).startswith(f"{path}:5: open_time 2024-01-01T00:15:00Z is earlier")


@pytest.mark.parametrize(
    ("begins_at", "ends_before", "line"), [(at(5), None, 3), (None, at(10), 3), (at(-5), at(6), 3), (at(11), at(30), 3)]
)
def test_a_gap_at_the_edge_of_the_range_is_a_gap(
    tmp_path: Path, begins_at: datetime | None, ends_before: datetime | None, line: int
) -> None:
    path = write(tmp_path, row(0), row(20), row(25))

    message = f"{path}:{line}: the candle of 2024-01-01T00:05:00Z is missing, 3 in all before 2024-01-01T00:20:00Z"
    assert refusal(tmp_path, begins_at=begins_at, ends_before=ends_before) == message


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("open_time,open,high,low,close", "lacks volume"),
        (f"{HEADER},trades", "has 'trades'"),
        ("time,open,high,low,close,volume", "lacks open_time and has 'time'"),
        ("open_time,open,high,low,volume,close", "names the columns in another order or twice"),
        (
            row(0),
            "lacks open_time, open, high, low, close, volume and has '2024-01-01T00:00:00Z', '100', '102.5', '99',",
        ),
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, header: str, fault: str) -> None:
    path = write(tmp_path, row(0), header=header)

    message = refusal(tmp_path)

    assert message.startswith(f"{path}:1: the header {fault}")
    assert message.endswith(f"; it must be {HEADER}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("BTC-USDT_5m.csv", b"", ":1: the file is empty"),
        ("BTC-USDT_5m.csv.gz", b"", ":1: the file is empty"),
        ("BTC-USDT_5m.csv", HEADER.encode(), ":1: there is no candle below the header"),
        ("BTC-USDT_5m.csv", f"{HEADER}\n{row(0)}\n".encode() + b"\xff\n", ":3: byte 0xff is not ASCII text"),
        ("BTC-USDT_5m.csv.gz", gzip.compress(row(0).encode() * 99, mtime=0)[:-9], ": damaged or cut-off gzip file: "),
        ("BTC-USDT_5m.csv.gz", b"not gzip at all", ": damaged or cut-off gzip file: "),
        ("BTC-USDT_5m.csv.gz", b"\x1f\x8b\x08" + bytes(7) + b"\xff nonsense", ": damaged or cut-off gzip file: "),
    ],
)
def test_a_file_without_readable_rows_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    assert refusal(tmp_path).startswith(f"{path}{message}")


def test_a_symbol_without_a_file_is_refused_and_those_with_one_are_listed(tmp_path: Path) -> None:
    write(tmp_path, row(0))
    write(tmp_path, row(0), name="SOL-USDT_5m.csv.gz")
    write(tmp_path, row(0), name="XRP-USDT_1h.csv.gz")

    message = refusal(tmp_path, symbols=[BITCOIN, ETHER])

    assert message == f"{tmp_path}: no 5m candles of ETH/USDT; symbols with a file: BTC/USDT, SOL/USDT"


def test_a_symbol_with_two_files_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, row(0))
    write(tmp_path, row(0), name="BTC-USDT_5m.csv.gz")

    assert refusal(tmp_path) == f"{path}: there is BTC-USDT_5m.csv.gz too; keep one of them"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"timeframe": "5x"}, "timeframe '5x' is not a number followed by s, m, h, d or w, such as 5m"),
        ({"symbols": []}, "no symbol was asked for"),
        ({"symbols": [BITCOIN, BITCOIN]}, "a symbol was asked for twice in BTC/USDT, BTC/USDT"),
        ({"begins_at": datetime(2024, 1, 1)}, "the range has a time without a zone, 2024-01-01T00:00:00"),  # noqa: DTZ001
        ({"begins_at": at(5), "ends_before": at(5)}, "the range ends at 2024-01-01T00:05:00Z, before it begins"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    tmp_path: Path, request_: dict[str, datetime | str | Sequence[Symbol]], message: str
) -> None:
    write(tmp_path, row(0), row(5))

    assert refusal(tmp_path, **request_) == f"{tmp_path}: {message}"


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere") == f"{tmp_path / 'nowhere'}: no such folder"


@pytest.mark.parametrize(("begins_at", "ends_before"), [(at(10), None), (None, at(0)), (at(1), at(4))])
def test_a_range_without_a_candle_is_refused_with_what_there_is(
    tmp_path: Path, begins_at: datetime | None, ends_before: datetime | None
) -> None:
    path = write(tmp_path, row(0), row(5))

    message = refusal(tmp_path, begins_at=begins_at, ends_before=ends_before)

    covered = "the file covers 2024-01-01T00:00:00Z to 2024-01-01T00:05:00Z"
    assert message == f"{path}: no candle opens in the range; {covered}"


def test_a_fault_in_the_last_file_refuses_the_whole_market(tmp_path: Path) -> None:
    write(tmp_path, row(0), row(5))
    path = write(tmp_path, row(0), row(5, "1,2,3"), name="ETH-USDT_5m.csv")

    assert refusal(tmp_path, symbols=[BITCOIN, ETHER]).startswith(f"{path}:3: ")


def test_without_an_instruments_file_the_steps_are_tiny(tmp_path: Path) -> None:
    write(tmp_path, row(0))

    tiny = Instrument(symbol=BITCOIN, tick=Decimal("1e-8"), lot=Decimal("1e-8"), minimum_notional=Decimal(0))
    assert read(tmp_path).instruments == (tiny,)


def test_an_instruments_file_says_the_steps_of_the_symbols_it_names(tmp_path: Path) -> None:
    write(tmp_path, row(0))
    write(tmp_path, row(0), name="ETH-USDT_5m.csv")
    (tmp_path / "instruments.json").write_text('{"BTC/USDT": {"tick": "0.01", "lot": "0.1", "minimum_notional": "5"}}')

    bitcoin, ether = read(tmp_path, symbols=[BITCOIN, ETHER]).instruments

    assert (bitcoin.tick, bitcoin.lot, bitcoin.minimum_notional) == (Decimal("0.01"), Decimal("0.1"), Decimal(5))
    assert (ether.tick, ether.lot, ether.minimum_notional) == (Decimal("1e-8"), Decimal("1e-8"), Decimal(0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Input data was truncated"),
        ("[]", "Expected `object`, got `array`"),
        ('{"BTC/USDT": 5}', "BTC/USDT: Expected `object`, got `int`"),
        ('{"BTC/USDT": {"tik": "1"}}', "BTC/USDT: Object contains unknown field `tik`"),
        ('{"BTC/USDT": {"tick": "abc"}}', "BTC/USDT: Invalid decimal string - at `$.tick`"),
        ('{"BTC/USDT": {"tick": "0"}}', "BTC/USDT: tick is 0, but must be a number above 0"),
        ('{"BTC/USDT": {"lot": "-1"}}', "BTC/USDT: lot is -1, but must be a number above 0"),
        (
            '{"BTC/USDT": {"minimum_notional": "-5"}}',
            "BTC/USDT: minimum_notional is -5, but must be a number, at least 0",
        ),
        ('{"BTC/USDT": {"lot": "NaN"}}', "BTC/USDT: lot is NaN, but must be a number above 0"),
        (
            '{"BTC/USDT": {"minimum_notional": "NaN"}}',
            "BTC/USDT: minimum_notional is NaN, but must be a number, at least 0",
        ),
        ('{"ZZZ/USDT": {"lot": "Infinity"}}', "ZZZ/USDT: lot is Infinity, but must be a number above 0"),
    ],
)
def test_a_bad_instruments_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, row(0))
    path = tmp_path / "instruments.json"
    path.write_text(text)

    assert refusal(tmp_path) == f"{path}: {message}"


def test_the_venue_names_the_content_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path, row(0), row(5))
    write(tmp_path, row(0), name="ETH-USDT_5m.csv")
    venue = read(tmp_path).venue
    assert re.fullmatch(r"recorded-[0-9a-f]{12}", venue)

    assert read(tmp_path, begins_at=at(5)).venue == venue
    assert read(tmp_path, symbols=[BITCOIN, ETHER]).venue == read(tmp_path, symbols=[ETHER, BITCOIN]).venue
    path.rename(tmp_path / "away")
    write(tmp_path, row(0), row(5), name="BTC-USDT_5m.csv.gz")
    assert read(tmp_path).venue == venue


def test_another_content_is_another_venue(tmp_path: Path) -> None:
    write(tmp_path, row(0), row(5))
    write(tmp_path, row(0), row(5), name="ETH-USDT_5m.csv")
    venues = [read(tmp_path).venue, read(tmp_path, symbols=[ETHER]).venue]
    venues += [read(tmp_path, symbols=[BITCOIN, ETHER]).venue]
    (tmp_path / "instruments.json").write_text('{"BTC/USDT": {"tick": "0.01"}}')
    venues += [read(tmp_path).venue]
    write(tmp_path, row(0), row(5, "100,102.5,99,101,7.26"))
    venues += [read(tmp_path).venue]

    assert len(set(venues)) == 5


def test_real_candles_are_what_a_plain_csv_reader_reads(real_market: Path) -> None:
    symbols = [Symbol(f"{base}/USDT") for base in ("BTC", "DOGE", "ETH", "SOL", "XRP")]
    begins_at, ends_before = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)

    market = read(real_market, symbols=symbols, begins_at=begins_at, ends_before=ends_before)

    assert [symbol for symbol, _ in market.candles] == symbols
    assert market.notes == ()
    for symbol, candles in market.candles:
        assert len(candles) == 60 * 288
        with gzip.open(real_market / f"{symbol.replace('/', '-')}_5m.csv.gz", "rt") as file:
            for candle, plain in zip(candles, csv.DictReader(file), strict=False):
                check_candle(candle)
                assert candle.open_time == datetime.fromisoformat(plain.pop("open_time"))
                assert [str(getattr(candle, name)) for name in plain] == list(plain.values())
