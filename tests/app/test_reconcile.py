"""Whose what happened at a venue is, by the log of the account's bots."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from oxbot.app.reconcile import payee
from oxbot.app.venue import VenueFunding
from tests.core.live import armed, bought, clock, fill, report, submitted
from tests.core.lives import BOT, BRACKET, BTC, Life, Wish, at, candle


def left_out_of_order() -> Life:
    """Bought in candle 1; of two exits, the one of candle 9 was told before that of candle 5."""
    life = bought("10")
    report(life, fill(3, "t3", "4", "100", when=clock(9)))
    report(life, fill(2, "t2", "6", "100", when=clock(5), complete=True))
    return life


def entered_out_of_order() -> Life:
    """Bought in candles 1 and 4, of which the later was told first; left in candle 9."""
    life = armed(plan=at(0, Wish(bracket=BRACKET)))
    life.see_candles([candle(0, "100")])
    report(life, submitted(1, "10", when=clock(1, 0.1)))
    report(life, fill(1, "t2", "6", "100", when=clock(4)))
    report(life, fill(1, "t1", "4", "100", when=clock(1), complete=True))
    report(life, fill(2, "t3", "10", "100", when=clock(9), complete=True))
    return life


@pytest.mark.parametrize("lived", [left_out_of_order, entered_out_of_order])
def test_funding_is_of_whoever_held_the_position_however_its_trades_were_told(lived: Callable[[], Life]) -> None:
    life = lived()
    assert life.state.ledger.positions == {}

    def paid(number: int) -> str | None:
        moment = clock(number)
        return payee(VenueFunding(funding_id="f", symbol=BTC, amount=Decimal(-1), at=moment), {BOT: life.state})

    assert [paid(number) for number in (0, 2, 3, 6, 8, 11)] == [None, BOT, BOT, BOT, BOT, None]
