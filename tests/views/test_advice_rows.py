"""A bot's advice as rows: every request with what came of it, and totals that add up to them."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from events.advice import AdviceFact, AdviceLapsed, AdviceTaken, Refusal
from events.bot import BotFact, DecisionMade
from events.identifiers import AdviceId
from oxbot.core.candles import Frame
from oxbot.core.money import exact
from oxbot.views.advice_rows import AdviceRow, AdviceTotals, ArenaRow, SpendingRow
from oxbot.views.bot_views import BotBooks, project
from oxbot.views.rows import DecisionRow, OpinionShown, numbered
from tests.core.advised_lives import Advisor, advised, advised_life, answer, parameters
from tests.core.lives import START, candle, creation, spot
from tests.core.scenario import BOT, BTC, ETH, STEP, moment, running
from tests.views.advising import ANSWER, PROMPT, TODAY, abstained, opinion, received, requested
from tests.views.projected import Rows, apply, fields, of, recorded, row, rows_after

FIRST, SECOND = requested(1), requested(2, at=3, symbols=(BTC, ETH))


def taken(number: int = 1, *, at: int = 1, stale: bool = False) -> AdviceTaken:
    return AdviceTaken(advice_id=AdviceId(f"{BOT}-a{number}"), at=moment(at), stale=stale)


def lapsed(number: int = 1, *, at: int = 3) -> AdviceLapsed:
    return AdviceLapsed(advice_id=AdviceId(f"{BOT}-a{number}"), at=moment(at))


def after(*facts: AdviceFact) -> Rows:
    return rows_after([*running(), *facts])


def totals(rows: Rows) -> AdviceTotals:
    found = row(rows, ArenaRow)
    assert isinstance(found, ArenaRow)
    assert found.advice is not None
    return found.advice


def test_a_request_is_a_row_before_anybody_has_answered() -> None:
    rows = after(FIRST)
    names = ("advice_id", "asked_at", "model", "template", "snapshot", "symbols", "outcome", "cost", "answer")
    assert fields(rows, AdviceRow, numbered(1), *names) == (
        "bot-1-a1", moment(0), "deep", "market", "0123456789abcdef", (BTC,), "pending", "0", None,
    )  # fmt: skip
    assert (totals(rows).requests, totals(rows).pending, totals(rows).asked_symbols) == (1, 1, 0)
    assert of(rows, "spending") == []


def test_an_answer_that_counted_stands_with_its_hashes_its_cost_and_plain_numbers() -> None:
    refused = msgspec.structs.replace(received(FIRST, opinion()), refusals=(Refusal(item=1, fault="unknown"),))
    rows = after(FIRST, refused, taken())
    names = ("outcome", "answered_at", "taken_at", "prompt", "answer", "resolved_model", "cost", "latency_ms")
    assert fields(rows, AdviceRow, numbered(1), *names) == (
        "advised", TODAY, moment(1), PROMPT, ANSWER, "deep-3.2", "0.002", 1234,
    )  # fmt: skip
    said = OpinionShown(
        symbol=BTC, action="long", weight=1000, confidence=80, horizon=60, invalidation="0.00000095", reason="it rises"
    )
    assert fields(rows, AdviceRow, numbered(1), "opinions") == ((said,),)
    summed = totals(rows)
    assert (summed.advised, summed.opinions, summed.asked_symbols, summed.refusals) == (1, 1, 1, 1)
    assert (summed.late_ms, summed.resolved, summed.templates) == (1300, (("deep-3.2", 1),), ("market/1",))


def test_what_was_too_late_is_stale_whether_it_was_taken_or_given_up() -> None:
    late = after(FIRST, received(FIRST, opinion()), taken(stale=True), SECOND)
    assert fields(late, AdviceRow, numbered(1), "outcome") == ("stale",)
    given_up = after(FIRST, lapsed(), received(FIRST, opinion()))
    assert fields(given_up, AdviceRow, numbered(1), "outcome", "lapsed_at") == ("stale", moment(3))
    assert fields(after(FIRST, lapsed()), AdviceRow, numbered(1), "outcome") == ("lapsed",)
    assert totals(given_up) == msgspec.structs.replace(totals(late), pending=0, models=totals(given_up).models)
    assert (totals(given_up).stale, totals(given_up).asked_symbols, totals(given_up).cost) == (1, 1, "0.002")


def test_an_abstention_says_why_and_costs_what_was_paid() -> None:
    rows = after(FIRST, abstained(FIRST, "invalid", cost="0.004", attempts=2), taken(), SECOND, abstained(SECOND))
    assert fields(rows, AdviceRow, numbered(1), "outcome", "reason", "cost") == ("abstained", "invalid", "0.004")
    summed = totals(rows)
    assert (summed.abstained, summed.invalid, summed.calls, summed.cost) == (2, 1, 2, "0.004")
    assert summed.late_ms == 20_000  # the one for which nobody was called took no time
    assert (summed.asked_symbols, summed.opinions) == (3, 0)


def test_only_the_first_answer_is_counted_and_none_to_what_nobody_asked() -> None:
    once: list[AdviceFact] = [FIRST, received(FIRST, opinion())]
    again = received(FIRST, opinion(), cost="9")
    stranger = received(requested(7), opinion(), cost="9")
    assert totals(after(*once, again, stranger)) == totals(after(*once))


def test_spending_is_by_day_and_model_and_an_older_day_is_never_begun_anew() -> None:
    other = requested(2, at=3, model="small")
    third = requested(3, at=6)
    rows = after(
        *(FIRST, received(FIRST, opinion()), taken()),
        *(other, received(other, opinion(), cost="0.01", at=TODAY + timedelta(days=1)), taken(2, at=4)),
        *(third, received(third, opinion(), cost="0.1", at=TODAY), taken(3, at=7)),
    )
    found = [(str(each.day), each.model, each.cost) for each in of(rows, "spending") if isinstance(each, SpendingRow)]
    # The third was answered by a clock that had gone back.
    assert found == [("2026-11-20", "deep", "0.002"), ("2026-11-21", "deep", "0.1"), ("2026-11-21", "small", "0.01")]
    names = ("answers", "calls", "input_tokens", "cached_tokens", "output_tokens")
    assert fields(rows, SpendingRow, "2026-11-20 deep", *names) == (1, 1, 1000, 600, 50)


def test_a_bot_that_asks_nobody_has_no_totals() -> None:
    found = row(rows_after(running()), ArenaRow)
    assert isinstance(found, ArenaRow)
    assert (found.advice, found.initial_capital, found.trades) == (None, "10000", 0)


def _lived(seed: int, chosen: dict[str, str]) -> Sequence[BotFact]:
    """A bot's life on a market that goes up and down by chance, advised now, late, twice, badly or never."""
    life = advised_life(advised(creation(spot(), timeframe="5m"), chosen), {BTC: 100_000})
    advisor, chances, price = Advisor(seed), random.Random(seed), 1000  # noqa: S311 - a test's chance
    for number in range(40):
        closed = max(500, price + chances.randint(-15, 15))
        seen = f"{price} {max(price, closed)} {min(price, closed)} {closed}"
        at = START + number * STEP
        life.see(Frame(at, ((BTC, candle(number, seen, step=STEP)),)))
        for said in advisor.speaks(life.facts, life.view):
            answer(life, said)
        price = closed
    return life.facts


@given(seed=st.integers(0, 10**6), chosen=parameters(shorts=False))
@settings(max_examples=25, deadline=None)
def test_totals_and_spending_are_the_rows_added_up_whatever_comes_when(seed: int, chosen: dict[str, str]) -> None:
    facts = _lived(seed, chosen)
    rows = rows_after(facts)
    requests = [found for found in of(rows, "advice") if isinstance(found, AdviceRow)]
    if not requests:
        return
    summed = totals(rows)
    counts = Counter(found.outcome for found in requests)
    names = ("pending", "answered", "advised", "abstained", "stale", "lapsed")
    assert {name: getattr(summed, name) for name in names} == {name: counts[name] for name in names}  # type: ignore[index]  # all of them
    with exact():
        assert Decimal(summed.cost) == sum(Decimal(found.cost) for found in requests)
        spent = [found for found in of(rows, "spending") if isinstance(found, SpendingRow)]
        assert Decimal(summed.cost) == sum(Decimal(found.cost) for found in spent)
    assert summed.opinions == sum(len(found.opinions) for found in requests)
    assert summed.asked_symbols == sum(len(found.symbols) for found in requests if found.outcome != "pending")
    assert summed.calls == sum(found.attempts for found in requests) == sum(found.calls for found in spent)
    decisions = {fact.decision_id: fact for fact in facts if isinstance(fact, DecisionMade)}
    for found in of(rows, "decisions"):
        assert isinstance(found, DecisionRow)
        asked = decisions[found.decision_id].advice_id
        assert (found.advice.advice_id if found.advice else None) == asked
        if found.advice is not None:
            assert found.advice.answer is not None
            assert found.advice.opinion is not None
            assert found.advice.opinion.symbol == found.symbol
            assert any(found.decision_id in each.decisions for each in requests if each.advice_id == asked)


@given(seed=st.integers(0, 10**6), chosen=parameters(shorts=False))
@settings(max_examples=10, deadline=None)
def test_the_books_go_through_their_bytes_between_any_two_events(seed: int, chosen: dict[str, str]) -> None:
    facts = _lived(seed, chosen)
    books, rows = BotBooks(), Rows()
    for event in recorded(facts):
        books, changes = project(msgspec.msgpack.decode(msgspec.msgpack.encode(books), type=BotBooks), event)
        apply(rows, changes)
        assert len(books.advice.open) <= 20
    assert rows == rows_after(facts)
