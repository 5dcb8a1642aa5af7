"""The fold of the models' stream into rows: which models were called on which day, and what that cost."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import assert_never

import msgspec

from events.envelope import RecordedEvent
from events.identifiers import MODELS_STREAM, CallId, ModelName, StreamId
from events.models import (
    ModelCallBegun,
    ModelCallEnded,
    ModelFact,
    ModelRouteClosed,
    ModelRouteOpened,
    ModelsClaimed,
)
from oxbot.core.money import ZERO, exact, text
from oxbot.views.advice_rows import ClosedRoute, ModelDayRow, ModelRow
from oxbot.views.fold import Draft, Projection
from oxbot.views.rows import MODEL_VIEWS
from oxbot.views.tallies import late, named, took

_replace = msgspec.structs.replace


class OpenCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that has not ended: it counts for the day on which it was begun."""

    model: ModelName
    day: date
    reserved: Decimal


class ModelDay(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of a model that were begun on a day, so far."""

    calls: int = 0
    outcomes: dict[str, int] = {}
    reserved: Decimal = ZERO
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal = ZERO
    took: dict[int, int] = {}
    resolved: dict[str, int] = {}
    price_versions: dict[str, int] = {}


class KnownCalls(msgspec.Struct, frozen=True, kw_only=True):
    """A model: all its calls together, why it is not asked, and the days of which more may be heard."""

    calls: int = 0
    open_calls: int = 0
    cost: Decimal = ZERO
    last_called_at: datetime | None = None
    closed: dict[str, ClosedRoute] = {}
    days: dict[date, ModelDay] = {}


class ModelBooks(msgspec.Struct, frozen=True, kw_only=True):
    """All that the fold must remember of the models between two events."""

    open: dict[CallId, OpenCall] = {}
    models: dict[ModelName, KnownCalls] = {}


Step = tuple[ModelBooks, list[Draft]]
"""The books after an event, and the rows that it changes."""


def project(books: ModelBooks, event: RecordedEvent) -> Step:
    """The books after the event, and the rows that it changes."""
    fact: ModelFact = event.fact  # type: ignore[assignment]  # the models' stream holds their facts
    with exact():
        match fact:
            case ModelsClaimed():
                return books, []
            case ModelCallBegun():
                return _begun(books, fact)
            case ModelCallEnded():
                return _ended(books, fact)
            case ModelRouteClosed():
                known = books.models.get(fact.model, KnownCalls())
                route = ClosedRoute(
                    template=fact.template, cause=fact.cause, detail=fact.detail, at=fact.at, until=fact.until
                )
                return _kept(books, fact.model, _replace(known, closed={**known.closed, fact.template: route}))
            case ModelRouteOpened():
                known = books.models.get(fact.model, KnownCalls())
                rest = {template: route for template, route in known.closed.items() if template != fact.template}
                return _kept(books, fact.model, _replace(known, closed=rest))
            case _:
                assert_never(fact)


def _begun(books: ModelBooks, fact: ModelCallBegun) -> Step:
    known = books.models.get(fact.model, KnownCalls())
    # A day never comes again once another has begun, whatever a clock says, so that no row is begun anew.
    day = max([*known.days, fact.at.date()])
    today = known.days.get(day, ModelDay())
    today = _replace(
        today,
        calls=today.calls + 1,
        reserved=today.reserved + fact.reserved,
        price_versions=named(today.price_versions, fact.price_version),
    )
    known = _replace(
        known,
        calls=known.calls + 1,
        open_calls=known.open_calls + 1,
        last_called_at=fact.at,
        days={**known.days, day: today},
    )
    opened = OpenCall(model=fact.model, day=day, reserved=fact.reserved)
    return _kept(_replace(books, open={**books.open, fact.call_id: opened}), fact.model, known, day)


def _ended(books: ModelBooks, fact: ModelCallEnded) -> Step:
    call = books.open[fact.call_id]
    known = books.models[call.model]
    then = known.days[call.day]
    then = _replace(
        then,
        outcomes={**then.outcomes, fact.outcome: then.outcomes.get(fact.outcome, 0) + 1},
        reserved=then.reserved - call.reserved,
        input_tokens=then.input_tokens + fact.usage.input,
        cached_tokens=then.cached_tokens + fact.usage.cached,
        output_tokens=then.output_tokens + fact.usage.output,
        cost=then.cost + fact.cost,
        took=took(then.took, fact.latency_ms),
        resolved=named(then.resolved, fact.resolved_model),
    )
    known = _replace(
        known,
        open_calls=known.open_calls - 1,
        cost=known.cost + fact.cost,
        days={**known.days, call.day: then},
    )
    rest = {call_id: other for call_id, other in books.open.items() if call_id != fact.call_id}
    return _kept(_replace(books, open=rest), call.model, known, call.day)


def _kept(books: ModelBooks, model: ModelName, known: KnownCalls, day: date | None = None) -> Step:
    """The books with the model as it is now; of its days the newest stays in them, and those with open calls."""
    drafts = [Draft("models", model, "", partial(_model_row, model, known))]
    if day is not None:
        drafts.append(Draft("model_days", model, day.isoformat(), partial(_day_row, model, day, known.days[day])))
    wanted = {call.day for call in books.open.values() if call.model == model} | {max(known.days, default=None)}
    known = _replace(known, days={each: calls for each, calls in known.days.items() if each in wanted})
    return _replace(books, models={**books.models, model: known}), drafts


def _model_row(model: ModelName, known: KnownCalls) -> ModelRow:
    return ModelRow(
        model=model,
        calls=known.calls,
        open_calls=known.open_calls,
        cost=text(known.cost),
        last_called_at=known.last_called_at,
        closed=tuple(known.closed[template] for template in sorted(known.closed)),
    )


def _day_row(model: ModelName, day: date, calls: ModelDay) -> ModelDayRow:
    return ModelDayRow(
        model=model,
        day=day,
        calls=calls.calls,
        outcomes=_sorted(calls.outcomes),
        reserved=text(calls.reserved),
        input_tokens=calls.input_tokens,
        cached_tokens=calls.cached_tokens,
        output_tokens=calls.output_tokens,
        cost=text(calls.cost),
        late_ms=late(calls.took),
        resolved=_sorted(calls.resolved),
        price_versions=tuple(sorted(calls.price_versions)),
    )


def _sorted(counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items()))


def _owner(stream: StreamId) -> str | None:
    return "models" if stream == MODELS_STREAM else None


MODELS = Projection("models", 1, MODEL_VIEWS, _owner, ModelBooks, project)
"""What was asked of language models, and what it cost."""
