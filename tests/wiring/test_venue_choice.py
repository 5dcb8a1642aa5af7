"""Which market the main fleet trades, as it is kept for the other commands."""

from decimal import Decimal
from pathlib import Path

import pytest

from events.identifiers import Symbol
from oxbot.wiring.venue_choice import FILE_NAME, ChoiceUnreadable, KeptChoice, VenueChoice, keep_choice, kept_choice
from tests.core.scenario import BTC, START, instrument

CHOICE = VenueChoice(venue="okx", symbols=(BTC, Symbol("ETH/USDT:USDT")), timeframe="5m")
KEPT = KeptChoice(choice=CHOICE, begins_at=START, instruments=(instrument(BTC, tick="0.1"),))


def test_what_was_kept_is_found_until_the_synthetic_market_is_chosen(tmp_path: Path) -> None:
    assert kept_choice(tmp_path) is None
    keep_choice(tmp_path, KEPT)
    assert kept_choice(tmp_path) == KEPT
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    keep_choice(tmp_path, None)
    keep_choice(tmp_path, None)
    assert kept_choice(tmp_path) is None
    assert KEPT.instruments[0].tick == Decimal("0.1")


def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("{")
    with pytest.raises(ChoiceUnreadable, match=FILE_NAME):
        kept_choice(tmp_path)


def test_a_venue_is_followed_by_its_own_clock_and_a_local_exchange_by_its_markets() -> None:
    assert (CHOICE.market, CHOICE.plan(START).clock_of, CHOICE.plan(START).addresses) == ("okx", "server", None)
    there = VenueChoice(
        venue="okx", symbols=(BTC,), timeframe="1m", rest="http://127.0.0.1:1", ws="ws://127.0.0.1:1", speed=20.0
    )
    plan = there.plan(START)
    assert (plan.stored_as, plan.clock_of, plan.timing.speed) == ("okx-local", "ticker", 20.0)
    assert plan.addresses == ("http://127.0.0.1:1", "ws://127.0.0.1:1")
