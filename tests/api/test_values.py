"""What answers are made of: times in UTC, amounts as text, and no number that could have lost a digit."""

import re
from collections.abc import Iterator
from datetime import datetime

import msgspec
import msgspec.inspect as shape
import pytest

from oxbot.api.routes import OPERATIONS
from tests.api.populated import populated, readable
from tests.api.stage import running

pytestmark = pytest.mark.anyio

MEASURES = {
    "age_seconds", "lag_seconds", "avg_duration_seconds", "draws", "losses", "wins",
    "expectancy_ratio", "profit_factor", "sqn", "sharpe", "sortino", "calmar", "cagr", "value",
}  # fmt: skip
"""Fields that may be floats: seconds, ratios and indicators. Money, prices and quantities never are."""

TIME_FIELD = re.compile(r"(?:^|_)(?:at|time|until|since)$")
UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")
ANY_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


def inside(kind: shape.Type, path: str, seen: set[type]) -> Iterator[tuple[str, shape.Type]]:
    """Every type inside of an answer's, with the way to it."""
    yield path, kind
    if isinstance(kind, shape.StructType):
        if kind.cls not in seen:
            for field in kind.fields:
                yield from inside(field.type, f"{path}.{field.encode_name}", seen | {kind.cls})
        return
    inner: list[shape.Type] = []
    for name in ("types", "item_types"):
        inner += getattr(kind, name, ())
    inner += [getattr(kind, name) for name in ("type", "item_type", "key_type", "value_type") if hasattr(kind, name)]
    for one in inner:
        yield from inside(one, path, seen)


def in_all_answers() -> Iterator[tuple[str, shape.Type]]:
    for one in OPERATIONS:
        yield from inside(shape.type_info(one.answer), one.name, set())


def test_the_walk_sees_into_every_answer() -> None:
    assert {path.partition(".")[0] for path, _ in in_all_answers()} == {one.name for one in OPERATIONS}
    assert "list_bots.items.created_at" in {path for path, _ in in_all_answers()}


def test_no_money_is_a_float_in_any_answer() -> None:
    floats = {path for path, kind in in_all_answers() if isinstance(kind, shape.FloatType)}

    assert {path.rpartition(".")[2] for path in floats} <= MEASURES


def test_no_time_is_a_number_or_any_text_in_any_answer() -> None:
    allowed = (shape.DateTimeType, shape.NoneType, shape.UnionType, shape.Metadata)
    wrong = {
        path
        for path, kind in in_all_answers()
        if TIME_FIELD.search(path.rpartition(".")[2]) and not isinstance(kind, allowed)
    }
    assert wrong == set()


def walked(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Every value inside, with the way to it."""
    yield path, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from walked(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from walked(inner, path)


async def test_every_answer_has_its_times_in_utc_and_its_amounts_as_text() -> None:
    times = 0
    async with running(await populated()) as stage, stage.client("admin") as client:
        for target in readable():
            response = await client.get(target)
            if response.headers["content-type"] != "application/json" or target == "/openapi.json":
                continue
            for path, value in walked(msgspec.json.decode(response.content), target):
                # A parameter's JSON schema has numbers, as any does.
                if isinstance(value, float) and ".schema." not in path:
                    assert path.rpartition(".")[2] in MEASURES, path
                if isinstance(value, str) and ANY_TIME.match(value):
                    assert UTC_TIME.fullmatch(value), (path, value)
                    assert datetime.fromisoformat(value).tzinfo is not None
                    times += 1
    assert times > 20
