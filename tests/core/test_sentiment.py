"""What news say of a symbol: never more than one source, one hour or all of them may, and nothing where nothing is."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.identifiers import BodyHash, Symbol
from events.news import NewsExtracted, NewsReceived
from oxbot.core.sentiment import HOUR_CAP, SCORE_MAX, SOURCE_CAP, WINDOW, Heard, heard, sentiment, sentiments

BTC, ETH = Symbol("BTC/USDT"), Symbol("ETH/USDT")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BODY = BodyHash("0" * 64)


def item(
    tone: int = 2,
    *,
    source: str = "a",
    minutes: int = 0,
    told: int | None = None,
    novelty: int = 3,
    symbol: Symbol = BTC,
) -> Heard:
    """An item of so many minutes ago."""
    known_at = NOW - timedelta(minutes=minutes)
    told_at = known_at if told is None else NOW - timedelta(minutes=told)
    return Heard(source, known_at, told_at, frozenset({symbol}), tone, novelty)


def score(items: Sequence[Heard], at: datetime = NOW) -> Decimal:
    """What they come to; 0 for nothing, which only these tests may say."""
    found = sentiment(items, BTC, at)
    return Decimal(0) if found is None else found.score


def items(source: st.SearchStrategy[str], *, minutes_max: int = 900) -> st.SearchStrategy[list[Heard]]:
    """Any items of these sources."""
    one = st.builds(
        lambda tone, name, minutes, later, novelty: item(
            tone, source=name, minutes=minutes, told=minutes + later, novelty=novelty
        ),
        st.integers(-2, 2),
        source,
        st.integers(-60, minutes_max),
        st.integers(0, 600),
        st.integers(0, 3),
    )
    return st.lists(one, max_size=30)


HONEST = items(st.sampled_from(["a", "b", "c"]))
NOISE = Decimal("0.01")
"""A score is told to a hundredth."""


def test_without_news_nothing_is_known() -> None:
    assert sentiment([], BTC, NOW) is None
    assert sentiments([item(symbol=ETH)], [BTC], NOW) == {}


def test_news_that_say_neither_are_a_score_of_nothing_and_not_nothing() -> None:
    found = sentiment([item(0, minutes=30)], BTC, NOW)
    assert found is not None
    assert (found.score, found.items, found.age_minutes) == (Decimal(0), 1, 30)


@pytest.mark.parametrize("gone", [item(minutes=-1), item(minutes=0, told=12 * 60), item(novelty=0)])
def test_what_is_not_known_yet_or_old_or_a_copy_is_nothing(gone: Heard) -> None:
    assert sentiment([gone], BTC, NOW) is None


def test_the_newest_and_strongest_item_moves_a_score_by_what_its_source_may() -> None:
    assert score([item(2)]) == SOURCE_CAP
    assert score([item(-2)]) == -SOURCE_CAP
    assert score([item(2)] * 100) == SOURCE_CAP


def test_an_item_loses_weight_evenly_with_its_age_and_novelty_and_strength() -> None:
    assert score([item(2, minutes=6 * 60)]) == Decimal("0.37") == score([item(2, told=6 * 60)])
    assert score([item(2, novelty=1)]) == Decimal("0.25") == SOURCE_CAP / 3
    assert score([item(1)]) == Decimal("0.37")


def test_ages_are_the_same_in_every_time_zone() -> None:
    """The audited system took local times for UTC: an hour's news was 'fresh' or long over, as the machine stood."""
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    received = NewsReceived(
        item_id="1", source="a", body=BODY, received_at=tokyo, published_at=NOW - timedelta(hours=1)
    )
    extracted = NewsExtracted(
        item_id="1", at=NOW, symbols=(BTC,), sentiment=1, event="other", novelty=3, extractor="words/1"
    )
    for at in (NOW, tokyo, NOW.astimezone(timezone(timedelta(hours=-8)))):
        found = sentiment([heard(received, extracted)], BTC, at)
        assert found is not None
        assert found.age_minutes == 60


def test_an_item_from_the_future_is_as_old_as_its_receipt_and_counts_once_it_was_read() -> None:
    received = NewsReceived(item_id="1", source="a", body=BODY, received_at=NOW, published_at=NOW + timedelta(days=30))
    extracted = NewsExtracted(
        item_id="1", at=NOW + timedelta(minutes=2), symbols=(BTC,), sentiment=1, event="other", novelty=3, extractor="m"
    )
    one = heard(received, extracted)
    assert sentiment([one], BTC, NOW + timedelta(minutes=1)) is None
    found = sentiment([one], BTC, NOW + timedelta(minutes=10))
    assert found is not None
    assert found.age_minutes == 10


def test_many_sources_that_agree_for_hours_come_to_the_most_there_is() -> None:
    agreed = [item(2, source=f"s{number}", minutes=minutes) for number in range(9) for minutes in (1, 90, 150, 200)]
    assert score(agreed) == SCORE_MAX
    assert score([each for each in agreed if each.known_at > NOW - timedelta(hours=1)]) == HOUR_CAP


def test_what_was_held_back_counts_an_hour_later() -> None:
    flood = [item(2, source=f"s{number}") for number in range(40)]
    hours = [score(flood, NOW + timedelta(hours=hour)) for hour in range(4)]
    assert hours == [HOUR_CAP, SCORE_MAX, SCORE_MAX, SCORE_MAX]


@given(HONEST)
def test_a_score_is_in_its_bounds_and_knows_no_order(known: list[Heard]) -> None:
    found = score(known)
    assert -SCORE_MAX <= found <= SCORE_MAX
    assert score(known[::-1]) == found


@given(HONEST, items(st.just("evil"), minutes_max=720))
def test_whatever_one_source_publishes_moves_a_score_by_its_cap_at_most(
    honest: list[Heard], injected: list[Heard]
) -> None:
    assert abs(score(honest + injected) - score(honest)) <= SOURCE_CAP + NOISE


@given(HONEST, items(st.sampled_from([f"evil{number}" for number in range(40)]), minutes_max=180))
def test_whatever_forty_sources_publish_together_moves_a_score_by_its_cap_for_each_hour_at_most(
    honest: list[Heard], injected: list[Heard]
) -> None:
    began = min((each.known_at for each in injected), default=NOW)
    hours = 1 + max(0, int((NOW - began) / timedelta(hours=1)))
    assert abs(score(honest + injected) - score(honest)) <= HOUR_CAP * hours + NOISE


@given(HONEST, st.integers(0, 900))
def test_what_comes_later_changes_nothing_of_what_was_said_before(known: list[Heard], minutes: int) -> None:
    at = NOW - timedelta(minutes=minutes)
    then = [each for each in known if each.known_at <= at]
    assert sentiment(known, BTC, at) == sentiment(then, BTC, at)


@given(HONEST)
def test_after_the_window_nothing_is_left(known: list[Heard]) -> None:
    assert sentiment(known, BTC, NOW + WINDOW + timedelta(minutes=61)) is None
