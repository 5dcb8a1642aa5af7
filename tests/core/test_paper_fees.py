"""What a trade costs its bot: the maker rate where its order rested in the book, else the taker rate."""

from decimal import Decimal

import pytest

from events.bot import OrderFilled
from events.values import Bracket, FeeSchedule, Instrument
from oxbot.core.money import ZERO
from tests.core.lives import Life, Wish, at, candle, creation, fills, perpetual, spot

MAKER, TAKER = Decimal("0.0003"), Decimal("0.0011")
TARGET = Bracket(stop_fraction=ZERO, target_fraction=Decimal("0.04"))


def traded(
    instrument: Instrument, *, limit: str | None, in_base: bool = False
) -> tuple[Life, OrderFilled, OrderFilled]:
    """A bot that buys at 98, by a limit that rests there or at the open, and sells at a target 4 % above."""
    fees = FeeSchedule(maker=MAKER, taker=TAKER, buys_pay_in="base" if in_base else "quote")
    wish = Wish(limit=None if limit is None else Decimal(limit), bracket=TARGET)
    life = Life.of(creation(instrument, fees=fees), at(0, wish, symbol=instrument.symbol))
    entry = "100 101 97 100" if limit else "98 99 97 98"
    life.see_candles([candle(0, "100"), candle(1, entry), candle(2, "100 102 99 101")], instrument.symbol)
    bought, sold = fills(life.facts)
    assert (bought.price, sold.price) == (Decimal(98), Decimal("101.92"))
    return life, bought, sold


@pytest.mark.parametrize(("limit", "liquidity", "rate"), [("0.98", "maker", MAKER), (None, "taker", TAKER)])
@pytest.mark.parametrize("instrument", [spot(), perpetual(tick="0.01")], ids=["spot", "perpetual"])
def test_an_entry_costs_the_maker_rate_where_it_rested_and_the_taker_rate_at_the_open(
    instrument: Instrument, limit: str | None, liquidity: str, rate: Decimal
) -> None:
    life, bought, sold = traded(instrument, limit=limit)
    assert (bought.liquidity, bought.fee) == (liquidity, bought.quantity * 98 * rate)
    assert (sold.liquidity, sold.fee) == ("taker", sold.quantity * sold.price * TAKER)
    gained = sold.quantity * (sold.price - bought.price)
    assert life.state.ledger.cash == 10_000 + gained - bought.fee - sold.fee
    assert [trade.net for trade in life.state.trades] == [gained - bought.fee - sold.fee]


@pytest.mark.parametrize(("limit", "rate"), [("0.98", MAKER), (None, TAKER)])
def test_a_fee_in_base_is_taken_at_the_same_rates_from_what_is_bought(limit: str | None, rate: Decimal) -> None:
    _, bought, sold = traded(spot(), limit=limit, in_base=True)
    assert (bought.fee, bought.fee_in) == (bought.quantity * rate, "base")
    assert (sold.fee, sold.fee_in) == (sold.quantity * sold.price * TAKER, "quote")
