"""Which bot somebody means."""

import msgspec
import pytest

from events.identifiers import BotId
from oxbot.app.views import StoredRow
from oxbot.cli.bots_named import AmbiguousBot, bot_meant
from oxbot.views.rows import BotRow
from tests.core.scenario import START


def row(bot_id: str, name: str) -> StoredRow:
    """A stored bot."""
    bot = BotRow(
        bot_id=BotId(bot_id),
        fleet="main",
        name=name,
        status="running",
        strategy="ema_cross",
        strategy_version=1,
        parameters=(),
        venue="test",
        timeframe="5m",
        symbols=(),
        begins_at=START,
        quote="USDT",
        created_at=START,
    )
    return StoredRow(bot_id, "", msgspec.json.encode(bot))


ROWS = [row("1", "one"), row("2", "two"), row("3", "two"), row("4", "1")]


@pytest.mark.parametrize(("text", "meant"), [("2", "2"), ("one", "1"), ("1", "1"), ("unknown", "unknown")])
def test_an_id_comes_first_then_a_name_and_what_is_neither_is_left_as_it_is(text: str, meant: str) -> None:
    assert bot_meant(text, ROWS) == meant


def test_a_name_that_two_bots_have_is_refused_with_their_ids() -> None:
    with pytest.raises(AmbiguousBot, match=r"2 bots have the name two; .*: 2 \(main, running\), 3 \(main, running\)"):
        bot_meant("two", ROWS)
