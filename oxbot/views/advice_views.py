"""The fold of a bot's advice into its rows: what it asked, what came of it, what it cost and what it led to."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import partial
from typing import assert_never

import msgspec

from events.advice import (
    AdviceAbstained,
    AdviceFact,
    AdviceLapsed,
    AdviceReceived,
    AdviceRequested,
    AdviceTaken,
    Opinion,
    Usage,
)
from events.bot import DecisionMade
from events.identifiers import AdviceId, BotId, ModelName, Symbol
from oxbot.core.advice import AdviceBook
from oxbot.core.money import ZERO, exact, text
from oxbot.views.advice_rows import (
    AdviceRow,
    AdviceTotals,
    ModelAsked,
    Outcome,
    SentimentShown,
    SpendingRow,
)
from oxbot.views.fold import Draft
from oxbot.views.rows import DecisionAdvice, OpinionShown
from oxbot.views.tallies import late, named, took

NO_ANSWER = frozenset({"invalid", "empty", "truncated"})
"""Why there is no advice although a model answered."""

_replace = msgspec.structs.replace


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a bot's share in the calls to one model has come to on one day."""

    answers: int = 0
    calls: int = 0
    usage: Usage = Usage()
    cost: Decimal = ZERO


class AdviceBooks(msgspec.Struct, frozen=True, kw_only=True):
    """All that the fold must remember of a bot's advice between two events.

    ``open`` are the rows that may still change: what is pending, what was given up and may be answered all the same,
    and what opinions come from. ``spent`` is that of the newest day.
    """

    open: dict[AdviceId, AdviceRow] = {}
    totals: AdviceTotals = AdviceTotals()
    cost: Decimal = ZERO
    took: dict[int, int] = {}
    models: dict[ModelName, ModelAsked] = {}
    resolved: dict[str, int] = {}
    templates: dict[str, int] = {}
    day: date | None = None
    spent: dict[ModelName, Spent] = {}

    @property
    def shown(self) -> AdviceTotals | None:
        """The totals as they are shown; None for a bot that never asked."""
        if not self.models:
            return None
        return _replace(
            self.totals,
            cost=text(self.cost),
            late_ms=late(self.took),
            models=tuple(self.models[name] for name in sorted(self.models)),
            resolved=tuple(sorted(self.resolved.items())),
            templates=tuple(sorted(self.templates)),
        )


Step = tuple[AdviceBooks, list[Draft]]
"""The books after a fact, and the rows that it changes."""


def advised(books: AdviceBooks, bot_id: BotId, fact: AdviceFact, after: AdviceBook) -> Step:
    """The step of a fact of advice; ``after`` is the bot's own book of it with the fact in it."""
    with exact():
        stepped, drafts = _step(books, bot_id, fact)
    return _replace(stepped, open=_kept(stepped.open, after)), drafts


def decided(books: AdviceBooks, fact: DecisionMade) -> Step:
    """The step of a decision, which the advice before it is told of."""
    row = books.open.get(fact.advice_id) if fact.advice_id is not None else None
    if row is None:
        return books, []
    return _with_row(books, _replace(row, decisions=(*row.decisions, fact.decision_id)))


def advice_of(books: AdviceBooks, fact: DecisionMade) -> DecisionAdvice | None:
    """The advice that a decision had before it."""
    if fact.advice_id is None:
        return None
    row = books.open.get(fact.advice_id)
    if row is None:
        return DecisionAdvice(advice_id=fact.advice_id)
    return DecisionAdvice(
        advice_id=fact.advice_id,
        model=row.model,
        resolved_model=row.resolved_model,
        template=f"{row.template}/{row.template_version}",
        snapshot=row.snapshot,
        prompt=row.prompt,
        answer=row.answer,
        opinion=_of(row.opinions, fact.symbol),
    )


def _step(books: AdviceBooks, bot_id: BotId, fact: AdviceFact) -> Step:
    if isinstance(fact, AdviceRequested):
        return _requested(books, bot_id, fact)
    row = books.open.get(fact.advice_id)
    if row is None:
        return books, []
    match fact:
        case AdviceReceived() | AdviceAbstained():
            # Only the first answer counts, as for the bot.
            return (books, []) if row.answered_at else _answered(books, row, fact)
        case AdviceTaken():
            outcome = row.outcome
            if outcome == "answered":
                outcome = "stale" if fact.stale else "advised"
            return _turned(books, row, _replace(row, taken_at=fact.at, outcome=outcome))
        case AdviceLapsed():
            lapsed: Outcome = "lapsed" if row.outcome == "pending" else row.outcome
            return _turned(_asked_about(books, row), row, _replace(row, lapsed_at=fact.at, outcome=lapsed))
        case _:
            assert_never(fact)


def _requested(books: AdviceBooks, bot_id: BotId, fact: AdviceRequested) -> Step:
    earlier = books.models.get(fact.model)
    asked = ModelAsked(
        model=fact.model,
        requests=1 if earlier is None else earlier.requests + 1,
        first_at=fact.at if earlier is None else min(fact.at, earlier.first_at),
        last_at=fact.at if earlier is None else max(fact.at, earlier.last_at),
    )
    row = AdviceRow(
        bot_id=bot_id,
        advice_id=fact.advice_id,
        number=books.totals.requests + 1,
        asked_at=fact.at,
        model=fact.model,
        template=fact.template,
        template_version=fact.template_version,
        snapshot=fact.snapshot,
        symbols=fact.symbols,
        advice_class=fact.advice_class,
        expires_at=fact.expires_at,
        parameters=fact.parameters,
        sentiments=tuple(
            SentimentShown(symbol=each.symbol, score=text(each.score), items=each.items, age_minutes=each.age_minutes)
            for each in fact.sentiments
        ),
    )
    books = _replace(
        books,
        models={**books.models, fact.model: asked},
        templates=named(books.templates, f"{fact.template}/{fact.template_version}"),
        totals=_replace(books.totals, pending=books.totals.pending + 1),
    )
    return _with_row(books, row)


def _answered(books: AdviceBooks, row: AdviceRow, fact: AdviceReceived | AdviceAbstained) -> Step:
    if row.outcome == "pending":
        books = _asked_about(books, row)
    told = _replace(
        row,
        answered_at=fact.at,
        prompt=fact.prompt,
        answer=fact.answer,
        resolved_model=fact.resolved_model,
        usage=fact.usage,
        cost=text(fact.cost),
        latency_ms=fact.latency_ms,
        attempts=fact.attempts,
        shared_by=fact.shared_by,
    )
    if isinstance(fact, AdviceReceived):
        outcome: Outcome = "stale" if row.outcome == "lapsed" else "answered"
        opinions = tuple(map(_shown, fact.opinions))
        told = _replace(told, outcome=outcome, opinions=opinions, refusals=fact.refusals, repaired=fact.repaired)
    else:
        told = _replace(told, outcome="abstained", reason=fact.reason, detail=fact.detail)
    books, drafts = _turned(_counted(books, fact), row, told)
    books, spending = _spent(books, told, fact)
    return books, [*drafts, spending]


def _counted(books: AdviceBooks, fact: AdviceReceived | AdviceAbstained) -> AdviceBooks:
    totals = books.totals
    if isinstance(fact, AdviceReceived):
        totals = _replace(
            totals,
            repaired=totals.repaired + fact.repaired,
            refusals=totals.refusals + len(fact.refusals),
            opinions=totals.opinions + len(fact.opinions),
        )
    elif fact.reason in NO_ANSWER:
        totals = _replace(totals, invalid=totals.invalid + 1)
    totals = _replace(
        totals,
        calls=totals.calls + fact.attempts,
        input_tokens=totals.input_tokens + fact.usage.input,
        cached_tokens=totals.cached_tokens + fact.usage.cached,
        output_tokens=totals.output_tokens + fact.usage.output,
    )
    return _replace(
        books,
        totals=totals,
        cost=books.cost + fact.cost,
        took=took(books.took, fact.latency_ms) if fact.attempts else books.took,
        resolved=named(books.resolved, fact.resolved_model),
    )


def _spent(books: AdviceBooks, row: AdviceRow, fact: AdviceReceived | AdviceAbstained) -> tuple[AdviceBooks, Draft]:
    """A day never comes again once another has begun, whatever a clock says, so that no row is begun anew."""
    day = fact.at.date() if books.day is None else max(books.day, fact.at.date())
    spent = books.spent if day == books.day else {}
    known = spent.get(row.model, Spent())
    now = Spent(
        answers=known.answers + 1,
        calls=known.calls + fact.attempts,
        usage=Usage(
            input=known.usage.input + fact.usage.input,
            output=known.usage.output + fact.usage.output,
            cached=known.usage.cached + fact.usage.cached,
        ),
        cost=known.cost + fact.cost,
    )
    shown = SpendingRow(
        bot_id=row.bot_id,
        day=day,
        model=row.model,
        answers=now.answers,
        calls=now.calls,
        input_tokens=now.usage.input,
        cached_tokens=now.usage.cached,
        output_tokens=now.usage.output,
        cost=text(now.cost),
    )
    drafted = Draft("spending", row.bot_id, shown.key, lambda: shown)
    return _replace(books, day=day, spent={**spent, row.model: now}), drafted


def _asked_about(books: AdviceBooks, row: AdviceRow) -> AdviceBooks:
    """The symbols of a request that is pending no more."""
    if row.outcome != "pending":
        return books
    totals = books.totals
    return _replace(books, totals=_replace(totals, asked_symbols=totals.asked_symbols + len(row.symbols)))


def _turned(books: AdviceBooks, before: AdviceRow, row: AdviceRow) -> Step:
    """The step of a row that may have another outcome now."""
    if before.outcome != row.outcome:
        counts: dict[str, int] = {
            before.outcome: getattr(books.totals, before.outcome) - 1,
            row.outcome: getattr(books.totals, row.outcome) + 1,
        }
        books = _replace(books, totals=_replace(books.totals, **counts))
    return _with_row(books, row)


def _with_row(books: AdviceBooks, row: AdviceRow) -> Step:
    drafted = Draft("advice", row.bot_id, row.key, partial(_itself, row))
    return _replace(books, open={**books.open, row.advice_id: row}), [drafted]


def _itself(row: AdviceRow) -> AdviceRow:
    return row


def _kept(rows: Mapping[AdviceId, AdviceRow], book: AdviceBook) -> dict[AdviceId, AdviceRow]:
    """The rows of which more may be heard."""
    counting = {taken.advice_id for taken in book.opinions.values()}
    counting.update(book.lapsed)
    if book.pending is not None:
        counting.add(book.pending.advice_id)
    return {advice_id: row for advice_id, row in rows.items() if advice_id in counting}


def _of(opinions: tuple[OpinionShown, ...], symbol: Symbol) -> OpinionShown | None:
    return next((opinion for opinion in opinions if opinion.symbol == symbol), None)


def _shown(opinion: Opinion) -> OpinionShown:
    return OpinionShown(
        symbol=opinion.symbol,
        action=opinion.action,
        weight=opinion.weight,
        confidence=opinion.confidence,
        horizon=opinion.horizon,
        invalidation=None if opinion.invalidation is None else text(opinion.invalidation),
        reason=opinion.reason,
    )
