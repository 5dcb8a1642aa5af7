"""What every store of views promises, held against the one in memory and the one in Postgres."""

from typing import Protocol

import pytest

from events.identifiers import BotId
from oxbot.adapters.memory_views import MemoryViews
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.app.views import CheckpointMoved, RowChange, StoredRow, ViewReader, ViewStore
from oxbot.views.rows import VIEWS

pytestmark = pytest.mark.anyio

A, B, C = BotId("bot-a"), BotId("bot-b"), BotId("bot-c")


class Views(ViewStore, ViewReader, Protocol):
    """Both ports in one."""


@pytest.fixture(params=["memory", "postgres"])
def views(request: pytest.FixtureRequest) -> Views:
    """Each implementation in turn, empty."""
    if request.param == "memory":
        return MemoryViews()
    return PostgresViews(request.getfixturevalue("pool"))


def trade(bot_id: BotId, key: str, body: bytes | None = b'{"n": "1.50"}') -> RowChange:
    """A change of a row of trades."""
    return RowChange("trades", bot_id, key, body)


async def test_an_empty_store_has_nothing(views: Views) -> None:
    assert await views.checkpoint() == 0
    assert await views.row("bots", A) is None
    assert await views.rows("trades", A, limit=10) == []
    assert await views.across("bots", limit=10) == []
    assert await views.books([A]) == {}
    assert await views.everything() == (0, {view: [] for view in VIEWS})


async def test_rows_books_and_checkpoint_are_written_together(views: Views) -> None:
    body = '{ "name" : "ö\\u0000", "cash":"1.500" }'.encode()
    await views.commit([RowChange("bots", A, "", body)], {A: b"\x00\xff"}, after=0, position=7)

    assert await views.checkpoint() == 7
    assert await views.row("bots", A) == body
    assert await views.books([A, B]) == {A: b"\x00\xff"}


async def test_a_commit_from_a_checkpoint_that_has_moved_writes_nothing(views: Views) -> None:
    await views.commit([trade(A, "1")], {A: b"first"}, after=0, position=5)

    with pytest.raises(CheckpointMoved):
        await views.commit([trade(A, "1", None), trade(A, "2")], {A: b"second"}, after=0, position=6)
    assert await views.checkpoint() == 5
    assert await views.rows("trades", A, limit=10) == [StoredRow(A, "1", b'{"n": "1.50"}')]
    assert await views.books([A]) == {A: b"first"}


async def test_a_row_is_replaced_and_removed(views: Views) -> None:
    await views.commit([trade(A, "1"), trade(A, "2")], {}, after=0, position=1)
    await views.commit([trade(A, "1", b"2"), trade(A, "2", None), trade(A, "3", None)], {}, after=1, position=2)

    assert await views.rows("trades", A, limit=10) == [StoredRow(A, "1", b"2")]


@pytest.mark.parametrize(
    ("after_key", "limit", "descending", "keys"),
    [
        ("", 10, False, ["1", "2", "3", "B", "a"]),
        ("", 2, False, ["1", "2"]),
        ("2", 2, False, ["3", "B"]),
        ("a", 2, False, []),
        ("", 10, True, ["a", "B", "3", "2", "1"]),
        ("3", 10, True, ["2", "1"]),
        ("3", 1, True, ["2"]),
        ("1", 10, True, []),
        ("25", 10, False, ["3", "B", "a"]),
    ],
)
async def test_a_bots_rows_come_in_order_of_key_from_either_end(
    views: Views, after_key: str, limit: int, descending: bool, keys: list[str]
) -> None:
    changes = [trade(A, key) for key in ("2", "a", "B", "1", "3")]
    await views.commit([*changes, trade(B, "4"), RowChange("orders", A, "5", b"0")], {}, after=0, position=1)

    rows = await views.rows("trades", A, after_key=after_key, limit=limit, descending=descending)

    assert [row.key for row in rows] == keys


async def test_single_rows_come_in_order_of_bot(views: Views) -> None:
    changes = [RowChange("portfolios", bot_id, "", b'"%s"' % bot_id.encode()) for bot_id in (C, A, B)]
    await views.commit([*changes, RowChange("bots", A, "", b"0")], {}, after=0, position=1)

    assert await views.across("portfolios", limit=2) == [StoredRow(A, "", b'"bot-a"'), StoredRow(B, "", b'"bot-b"')]
    assert await views.across("portfolios", after_bot=B, limit=2) == [StoredRow(C, "", b'"bot-c"')]


async def test_everything_is_every_row_in_order_of_bot_and_key(views: Views) -> None:
    await views.commit([trade(B, "1"), trade(A, "2"), trade(A, "1")], {}, after=0, position=3)

    position, rows = await views.everything()

    assert position == 3
    assert set(rows) == set(VIEWS)
    assert [(row.bot_id, row.key) for row in rows["trades"]] == [(A, "1"), (A, "2"), (B, "1")]
