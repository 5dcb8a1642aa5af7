"""What OKX sends, in the form that its documents show, becomes what we mean by it; nonsense is refused in words."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from oxbot.adapters import okx_rows
from oxbot.adapters.candle_profiles import candle_profile
from oxbot.adapters.ccxt_errors import outcome, verdict_of
from oxbot.adapters.okx_markets import OkxMarkets
from oxbot.adapters.okx_rows import AlgoRow, BalanceRow, BillRow, DetailRow, FillRow, OrderRow, PositionRow, rows_of
from oxbot.adapters.venue_profiles import profile_of
from oxbot.app.venue import (
    Refused,
    Unknown,
    VenueBalance,
    VenueFill,
    VenueFunding,
    VenueOrder,
    VenuePosition,
    VenueUnavailable,
    VenueUnfit,
)
from oxbot.core.candles import Candle

SAMPLES = Path(__file__).parent / "samples"

MARKETS = OkxMarkets(
    [
        {"symbol": "BTC/USDT", "spot": True, "info": {"instId": "BTC-USDT", "lotSz": "0.0001", "tickSz": "0.1"}},
        {
            "symbol": "BTC/USDT:USDT",
            "swap": True,
            "linear": True,
            "info": {"instId": "BTC-USDT-SWAP", "ctVal": "0.01", "ctMult": "1", "lotSz": "0.1", "tickSz": "0.1"},
        },
    ]
)


class Kind(NamedTuple):
    """A sample's rows, what each is read as, and what that means to us."""

    row: type[msgspec.Struct]
    meaning: type[msgspec.Struct]
    read: Callable[[Any], object]


KINDS = {
    "orders": Kind(OrderRow, VenueOrder, lambda row: okx_rows.order(row, MARKETS)),
    "algo_orders": Kind(AlgoRow, VenueOrder, lambda row: okx_rows.algo(row, [], MARKETS)),
    "fills": Kind(FillRow, VenueFill, lambda row: okx_rows.fill(row, row.cl_ord_id, MARKETS)),
    "account": Kind(DetailRow, VenueBalance, okx_rows.balance),
    "positions": Kind(PositionRow, VenuePosition, lambda row: okx_rows.position(row, MARKETS)),
    "funding": Kind(BillRow, VenueFunding, lambda row: okx_rows.funding(row, MARKETS)),
}


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


def rows_in(name: str) -> list[dict[str, object]]:
    """The rows of a sample; those of an account are its currencies."""
    rows: list[dict[str, object]] = sample(name)["wire"]["data"]
    return rows[0]["details"] if name == "account" else rows  # type: ignore[return-value]  # as the sample has it


def read(name: str, rows: Sequence[object]) -> list[object]:
    """What rows of that kind mean."""
    kind = KINDS[name]
    return [kind.read(row) for row in rows_of(kind.row, rows)]  # type: ignore[arg-type]  # what is no row is tried too


@pytest.mark.parametrize("name", KINDS)
def test_every_row_means_what_its_sample_says(name: str) -> None:
    meaning = KINDS[name].meaning
    expected = [each and msgspec.convert(each, meaning, strict=False) for each in sample(name)["expected"]]
    assert read(name, rows_in(name)) == expected


def test_the_push_of_an_account_is_read_whole() -> None:
    [row] = rows_of(BalanceRow, sample("account")["wire"]["data"])
    assert [detail.ccy for detail in row.details] == ["USDT", "BTC", "ETH"]


def test_a_pushed_trigger_and_the_order_that_it_made_are_one() -> None:
    children = [row for row in rows_of(OrderRow, rows_in("orders")) if row.algo_id]
    [reached] = [row for row in rows_of(AlgoRow, rows_in("algo_orders")) if row.ord_id_list]
    assert reached.children == [child.ord_id for child in children]
    whole = okx_rows.algo(reached, children, MARKETS)
    assert (whole.status, whole.filled, whole.leg, whole.client_id) == (
        "filled",
        Decimal("0.039"),
        "stop",
        okx_rows.order(children[0], MARKETS).client_id,
    )


@pytest.mark.parametrize("name", KINDS)
def test_fields_that_are_new_and_optional_ones_that_are_missing_break_nothing(name: str) -> None:
    """OKX adds fields at any time, and leaves out of its pushes some of what its answers have."""
    row, news = rows_in(name)[0], {"aNewField": {"deep": [None, 1.5, True]}, "another": None}
    assert read(name, [row | news]) == read(name, [row])
    known = KINDS[name].row
    required = {field.encode_name for field in msgspec.structs.fields(known) if field.required}
    for field in row.keys() - required:
        [found] = read(name, [{key: value for key, value in row.items() if key != field}])
        assert found is None or isinstance(found, KINDS[name].meaning)
    bare = {key: value for key, value in row.items() if key in required}
    assert len(read(name, [bare])) == 1


def _absurd(name: str) -> Iterable[tuple[str, object]]:
    """Rows that cannot be, and a word of what is said of each."""
    row = rows_in(name)[0]
    for field in msgspec.structs.fields(KINDS[name].row):
        if field.required:
            yield field.encode_name, {key: value for key, value in row.items() if key != field.encode_name}
        yield field.encode_name, row | {field.encode_name: {"an": "object"}}
    for column, value, word in _ABSURD[name]:
        yield word, row | {column: value}
    for nothing in (None, 1, "row", [row]):
        yield "cannot be read", nothing


_NUMBER = "should be a number and is none"
_ABSURD: dict[str, list[tuple[str, object, str]]] = {
    "orders": [
        ("sz", "NaN", _NUMBER),
        ("sz", "Infinity", _NUMBER),
        ("sz", 1.5, "sz"),
        ("accFillSz", "much", _NUMBER),
        ("side", "hold", "side|hold"),
        ("state", "flying", "flying"),
        ("uTime", "soon", _NUMBER),
    ],
    "algo_orders": [
        ("sz", "-", _NUMBER),
        ("state", "", "state"),
        ("side", "", "side|enum"),
        ("uTime", "0x10", _NUMBER),
    ],
    "fills": [
        ("fillPx", "nan", _NUMBER),
        ("fillSz", "1,5", _NUMBER),
        ("fee", "-inf", _NUMBER),
        ("side", "net", "side|net"),
    ],
    "account": [("cashBal", "a lot", _NUMBER), ("availBal", "sNaN", _NUMBER)],
    "positions": [("pos", "long", _NUMBER), ("avgPx", "?", _NUMBER), ("lever", "3x", _NUMBER)],
    "funding": [("pnl", "--1", _NUMBER), ("ts", "today", _NUMBER)],
}


@pytest.mark.parametrize("name", KINDS)
def test_what_cannot_be_is_no_answer_and_says_why(name: str) -> None:
    for word, row in _absurd(name):
        with pytest.raises(VenueUnavailable, match=word):
            read(name, [row])


def test_a_position_in_long_short_mode_is_unfit_for_us() -> None:
    with pytest.raises(VenueUnfit, match="set its position mode to net"):
        read("positions", [rows_in("positions")[0] | {"posSide": "long"}])


@pytest.mark.parametrize("number", range(len(sample("errors"))))
def test_an_answers_code_is_a_definite_no_only_where_okx_means_one(number: int) -> None:
    each = sample("errors")[number]
    verdict = verdict_of(each["reply"])
    if each["code"] is None:
        assert verdict is None
        return
    assert verdict is not None
    assert verdict.code == each["code"]
    answer = outcome(verdict, profile_of("okx"))
    assert isinstance(answer, Refused if each["refused"] else Unknown)
    assert verdict.words in answer.reason


def test_pushed_candles_say_whether_they_are_final_and_count_coins() -> None:
    said = sample("candles")
    opened = datetime(2026, 3, 2, 8, 15, tzinfo=UTC)
    opening, high, low, close = (Decimal(price) for price in ("50290.1", "50310", "50280", "50300.5"))
    found = [pushed for name in ("spot", "swap") for pushed in candle_profile("okx").read(said[name], "")]
    assert [(each.closed, each.candle) for each in found] == [
        (closed, Candle(opened, opening, high, low, close, Decimal(volume))) for closed, volume in said["expected"]
    ]
    assert [each.venue_id for each in found] == ["BTC-USDT", "BTC-USDT", "BTC-USDT-SWAP"]


@pytest.mark.parametrize(
    "row",
    [
        ["1772439300000", "1", "0.5", "2", "1", "1", "1", "1", "1"],
        ["1772439300000", "1", "1", "1", "NaN", "1", "1", "1", "1"],
        ["1772439300000", "1", "1", "1", "0", "1", "1", "1", "1"],
        ["1772439300000", 1.5, "2", "1", "1", "1", "1", "1", "1"],
    ],
    ids=["its high is its low", "no number", "a price of nothing", "an inexact number"],
)
def test_a_candle_that_cannot_be_is_none(row: list[object]) -> None:
    [pushed] = candle_profile("okx").read({"arg": {"channel": "candle1m", "instId": "BTC-USDT"}, "data": [row]}, "")
    assert pushed.candle is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"sz": "-1"},
        {"sz": "1e400"},
        {"sz": "1e-400"},
        {"accFillSz": "-0.5"},
        {"uTime": ""},
        {"uTime": "x"},
        {"uTime": "99999999999999999"},
        {"uTime": "1e400"},
        {"instId": ""},
    ],
    ids=str,
)
def test_an_order_that_cannot_be_is_no_answer(wrong: dict[str, str]) -> None:
    row: dict[str, object] = {
        "instId": "BTC-USDT",
        "ordId": "1",
        "side": "buy",
        "sz": "1",
        "state": "live",
        "cTime": "1000",
        "uTime": "9",
    }
    [read_row] = okx_rows.rows_of(okx_rows.OrderRow, [row | wrong])
    with pytest.raises(VenueUnavailable, match="okx answered with"):
        okx_rows.order(read_row, OkxMarkets([]))
