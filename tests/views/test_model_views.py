"""The models' stream as rows: what was called on which day, how it ended, what it cost, and what is not asked."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from events.envelope import Metadata, RecordedEvent
from events.identifiers import MODELS_STREAM, ModelName, bot_stream, new_event_id
from events.models import ModelCallBegun, ModelFact, ModelRouteClosed, ModelRouteOpened, ModelsClaimed
from oxbot.core.models_stream import interrupted
from oxbot.core.money import exact
from oxbot.views.advice_rows import ModelDayRow, ModelRow
from oxbot.views.model_views import MODELS, ModelBooks, project
from oxbot.views.rows import Row
from tests.core.scenario import BOT
from tests.views.advising import TODAY, begun, ended

Rows = dict[tuple[str, str, str], Row]
DAY = timedelta(days=1)


def events(facts: Sequence[ModelFact]) -> list[RecordedEvent]:
    return [
        RecordedEvent(
            position=number,
            stream=MODELS_STREAM,
            version=number,
            event_id=new_event_id(),
            event_type="",
            occurred_at=TODAY,
            recorded_at=TODAY,
            fact=fact,
            metadata=Metadata(),
        )
        for number, fact in enumerate(facts, start=1)
    ]


def rows_after(facts: Sequence[ModelFact]) -> Rows:
    """All rows; between any two events the books go through their bytes."""
    books, rows = ModelBooks(), Rows()
    for event in events(facts):
        books, drafts = project(msgspec.msgpack.decode(msgspec.msgpack.encode(books), type=ModelBooks), event)
        for draft in drafts:
            assert draft.render is not None
            with exact():
                row = draft.render()
            assert (row.view, row.owner, row.key) == (draft.view, draft.owner, draft.key)
            rows[draft.view, draft.owner, draft.key] = row
    return rows


def day(rows: Rows, of: date, model: str = "deep") -> ModelDayRow:
    found = rows["model_days", model, of.isoformat()]
    assert isinstance(found, ModelDayRow)
    return found


def model(rows: Rows, name: str = "deep") -> ModelRow:
    found = rows["models", name, ""]
    assert isinstance(found, ModelRow)
    return found


def test_a_call_is_reserved_while_it_is_open_and_settled_when_it_has_ended() -> None:
    claimed = ModelsClaimed(epoch=1, holder="gateway")
    rows = rows_after([claimed, begun()])
    assert (day(rows, TODAY.date()).reserved, day(rows, TODAY.date()).cost, model(rows).open_calls) == ("0.01", "0", 1)
    rows = rows_after([claimed, begun(), ended(begun())])
    assert day(rows, TODAY.date()) == ModelDayRow(
        model=ModelName("deep"),
        day=TODAY.date(),
        calls=1,
        outcomes=(("answered", 1),),
        reserved="0",
        input_tokens=1000,
        cached_tokens=600,
        output_tokens=50,
        cost="0.002",
        late_ms=1300,
        resolved=(("deep-3.2", 1),),
        price_versions=("2026-11",),
    )
    assert (model(rows).calls, model(rows).open_calls, model(rows).cost) == (1, 0, "0.002")


def test_a_call_over_midnight_counts_for_the_day_on_which_it_was_begun() -> None:
    over, later = begun(1), begun(2, at=TODAY + DAY)
    rows = rows_after([over, later, ended(later, cost="1"), ended(over, at=TODAY + DAY, cost="2")])
    assert (day(rows, TODAY.date()).cost, day(rows, TODAY.date() + DAY).cost) == ("2", "1")


def test_a_call_that_was_interrupted_has_cost_all_that_was_reserved() -> None:
    rows = rows_after([begun(), interrupted(begun(), TODAY)])
    assert (day(rows, TODAY.date()).outcomes, day(rows, TODAY.date()).cost) == ((("interrupted", 1),), "0.01")


def test_a_model_says_why_it_is_not_asked_until_it_is_again() -> None:
    closed = ModelRouteClosed(model=ModelName("deep"), at=TODAY, cause="settings", detail="401")
    worse = ModelRouteClosed(model=ModelName("deep"), at=TODAY, cause="quality", detail="bad", template="market/1")
    both = model(rows_after([closed, worse])).closed
    assert [(route.template, route.cause, route.until) for route in both] == [
        ("", "settings", None),
        ("market/1", "quality", None),
    ]
    opened = ModelRouteOpened(model=ModelName("deep"), at=TODAY)
    assert [route.template for route in model(rows_after([closed, worse, opened])).closed] == ["market/1"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["deep", "small"]), st.integers(-1, 3), st.booleans(), st.integers(1, 999)),
        min_size=1,
        max_size=30,
    )
)
def test_days_and_models_add_up_to_the_calls_whatever_the_clock_does(calls: list[tuple[str, int, bool, int]]) -> None:
    facts: list[ModelFact] = []
    waiting: list[ModelCallBegun] = []
    spent = Decimal(0)
    for number, (name, days, at_once, cost) in enumerate(calls, start=1):
        call = begun(number, at=TODAY + days * DAY, model=name)
        facts.append(call)
        waiting.append(call)
        if at_once:
            facts.append(ended(waiting.pop(cost % len(waiting)), at=TODAY + days * DAY, cost=f"0.{cost:04}"))
            spent += Decimal(f"0.{cost:04}")
    rows = rows_after(facts)
    found = [row for row in rows.values() if isinstance(row, ModelDayRow)]
    models = [row for row in rows.values() if isinstance(row, ModelRow)]
    assert sum(row.calls for row in found) == sum(row.calls for row in models) == len(calls)
    assert sum(Decimal(row.cost) for row in found) == sum(Decimal(row.cost) for row in models) == spent
    assert sum(row.open_calls for row in models) == len(waiting)
    assert sum(Decimal(row.reserved) for row in found) == Decimal("0.01") * len(waiting)
    assert all(sum(count for _, count in row.outcomes) <= row.calls for row in found)


def test_only_the_models_stream_is_of_interest() -> None:
    assert (MODELS.owner(MODELS_STREAM), MODELS.owner(bot_stream(BOT))) == ("models", None)
