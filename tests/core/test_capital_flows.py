"""Deposits and withdrawals are no gain and no loss: what drawdown and daily loss are measured from moves with them."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import assume
from hypothesis import given as forall
from hypothesis import strategies as st
from msgspec.structs import replace

from events.bot import (
    BotFact,
    CapitalDeposited,
    CapitalWithdrawn,
    DayOpened,
    HighWaterRaised,
    TradingStateTripped,
)
from oxbot.core.bot import DepositCapital, WithdrawCapital
from oxbot.core.money import ZERO, exact
from oxbot.core.state import BotState, fold
from tests.core.lives import LOOSE, Life, Wish, at, candle, creation
from tests.core.scenario import BTC, bought, created, deposited, moment

SMALLEST = Decimal("0.01")
NEARLY = Fraction(1, 10**12)
AMOUNTS = st.decimals(SMALLEST, Decimal(10**7), places=2)
FLOWS = st.lists(
    st.builds(lambda amount: CapitalDeposited(amount=amount), AMOUNTS)
    | st.builds(lambda amount: CapitalWithdrawn(amount=amount), AMOUNTS),
    min_size=1,
    max_size=6,
)


def worth(state: BotState) -> Decimal:
    """Cash and what is held at its cost."""
    return state.ledger.cash + sum((held.cost for held in state.ledger.positions.values()), ZERO)


def shares(state: BotState) -> tuple[Fraction, Fraction]:
    """What the bot is worth, as a share of its highest equity and of that of the day's beginning."""
    assert state.high_water is not None
    with exact():
        now = Fraction(worth(state))
    return now / Fraction(state.high_water), now / Fraction(state.day_equity)


@forall(flows=FLOWS, capital=AMOUNTS, highest=AMOUNTS, opened=AMOUNTS, held=st.booleans())
def test_the_share_that_is_lost_stays_the_same_whatever_comes_or_goes(
    flows: list[CapitalDeposited | CapitalWithdrawn], capital: Decimal, highest: Decimal, opened: Decimal, held: bool
) -> None:
    facts: list[BotFact] = [created(), deposited(str(capital))]
    if held:
        facts += bought(BTC, 1, quantity=str(capital / 2), price="1")
    facts += [HighWaterRaised(at=moment(0), equity=highest), DayOpened(at=moment(0), equity=opened)]
    state = fold(facts)
    before = shares(state)
    for flow in flows:
        if isinstance(flow, CapitalWithdrawn):
            assume(flow.amount <= state.ledger.cash - SMALLEST)
        state = fold([flow], state)
    assert all(abs(now / was - 1) < NEARLY for was, now in zip(before, shares(state), strict=True))


def test_a_withdrawal_after_a_loss_trips_nothing() -> None:
    """A loss of 9 % is not one of a third because three quarters were taken out."""
    wishes = {**at(0, Wish(size_fraction=Decimal("0.9"))), **at(2, None, Wish("exit"))}
    life = Life.of(creation(limits=replace(LOOSE, drawdown_max=Decimal("0.3"))), wishes)
    life.see_candles([candle(0, "100"), candle(1, "100"), candle(2, "90"), candle(3, "90")])
    assert life.state.ledger.positions == {}
    life.tell(WithdrawCapital(Decimal(7500)))
    assert life.see_candles([candle(4, "90")])[0].facts == []


def test_a_deposit_after_a_loss_does_not_hide_it() -> None:
    """A loss of 8 %, nine times as much comes in, and 4 % more of all that is lost: together more than a tenth."""
    large = Wish(size_fraction=Decimal("0.9"))
    wishes = {**at(0, large), **at(2, None, Wish("exit")), **at(4, large)}
    life = Life.of(creation(limits=replace(LOOSE, drawdown_max=Decimal("0.1"))), wishes)
    life.see_candles([candle(0, "100"), candle(1, "100"), candle(2, "91"), candle(3, "91")])
    life.tell(DepositCapital(Decimal(90_000)))
    *_, last = life.see_candles([candle(4, "91"), candle(5, "91"), candle(6, "87")])
    assert [type(fact) for fact in last.facts] == [TradingStateTripped]


def test_a_bot_whose_capital_is_gone_records_no_new_height() -> None:
    life = Life.of(creation(limits=replace(LOOSE, drawdown_max=Decimal("0.1"))), {})
    [first] = life.see_candles([candle(0, "100")])
    assert [type(fact) for fact in first.facts] == [HighWaterRaised]
    life.tell(WithdrawCapital(life.state.free))
    for step in life.see_candles([candle(number, "100") for number in range(1, 5)]):
        assert step.facts == []


def test_a_bot_whose_capital_comes_back_is_measured_from_what_came() -> None:
    life = Life.of(creation(limits=replace(LOOSE, drawdown_max=Decimal("0.1"))), {})
    life.see_candles([candle(0, "100")])
    life.tell(WithdrawCapital(life.state.free))
    life.tell(DepositCapital(Decimal(500)))
    assert life.see_candles([candle(1, "100")])[0].facts == []
    assert life.state.high_water == 500
