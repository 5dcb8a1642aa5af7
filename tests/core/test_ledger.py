"""The books of a bot: nothing appears or vanishes, and a flat position leaves exactly its result."""

from decimal import Decimal

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from events.bot import OrderFilled
from oxbot.core.ledger import Ledger
from oxbot.core.money import ZERO, exact
from tests.core.scenario import BTC, ETH, filled, moment


def fill(quantity: str, price: str, fee: str = "0") -> OrderFilled:
    return filled(1, at=1, quantity=quantity, price=price, fee=fee)


def test_deposits_and_withdrawals_move_cash() -> None:
    ledger = Ledger().deposit(Decimal(100)).withdraw(Decimal("30.5"))
    assert (ledger.deposits, ledger.withdrawals, ledger.cash) == (Decimal(100), Decimal("30.5"), Decimal("69.5"))
    assert ledger.imbalance() == 0


def test_a_buy_turns_cash_into_a_position_at_cost() -> None:
    ledger = Ledger().deposit(Decimal(1000)).book(BTC, "buy", fill("2", "100", "0.2"))
    held = ledger.positions[BTC]
    assert ledger.cash == Decimal("799.8")
    assert [held.quantity, held.entry_cost, held.fees] == [2, 200, Decimal("0.2")]
    assert held.opened_at == moment(1)
    assert [ledger.realised, ledger.fees] == [0, Decimal("0.2")]
    assert ledger.imbalance() == 0


def test_a_part_sold_stays_in_the_round_trip() -> None:
    ledger = Ledger().deposit(Decimal(1000)).book(BTC, "buy", fill("2", "100")).book(BTC, "sell", fill("0.5", "120"))
    held = ledger.positions[BTC]
    assert [held.quantity, held.exit_proceeds, held.net_cash] == [Decimal("1.5"), 60, -140]
    assert [ledger.cash, ledger.realised] == [860, 0]
    assert ledger.imbalance() == 0


def test_the_last_lot_is_still_a_position() -> None:
    ledger = (
        Ledger().deposit(Decimal(1000)).book(BTC, "buy", fill("2", "100")).book(BTC, "sell", fill("1.99999999", "100"))
    )
    assert ledger.positions[BTC].quantity == Decimal("1e-8")
    assert ledger.realised == 0


def test_a_position_sold_out_is_realised_and_gone() -> None:
    ledger = Ledger().deposit(Decimal(1000)).book(BTC, "buy", fill("2", "100", "0.2"))
    ledger = ledger.book(BTC, "sell", fill("0.5", "120", "0.06")).book(BTC, "sell", fill("1.5", "90", "0.135"))
    assert ledger.positions == {}
    assert ledger.realised == Decimal("60") + Decimal("135") - 200 - Decimal("0.395")
    assert (ledger.fees, ledger.cash) == (Decimal("0.395"), 1000 + ledger.realised)
    assert ledger.imbalance() == 0


@pytest.mark.parametrize(
    ("quantity", "price"),
    [
        pytest.param("23809523.80952380", "0.000021", id="a coin of 0.000021"),
        pytest.param("7014.59034792", "0.071280", id="a coin of 7 cents"),
        pytest.param("0.01182501", "42283.58", id="a coin of 42,283.58"),
    ],
)
def test_a_round_trip_at_one_price_costs_exactly_its_fees(quantity: str, price: str) -> None:
    with exact():
        fee = Decimal(quantity) * Decimal(price) * Decimal("0.001")
        ledger = Ledger().deposit(Decimal(10_000))
        ledger = ledger.book(BTC, "buy", fill(quantity, price, str(fee)))
        ledger = ledger.book(BTC, "sell", fill(quantity, price, str(fee)))
        assert ledger.cash == 10_000 - 2 * fee
        assert ledger.realised == -2 * fee
        assert ledger.imbalance() == 0


def test_positions_of_two_symbols_do_not_mix() -> None:
    ledger = Ledger().deposit(Decimal(1000)).book(BTC, "buy", fill("1", "100")).book(ETH, "buy", fill("3", "10"))
    ledger = ledger.book(BTC, "sell", fill("1", "110"))
    assert set(ledger.positions) == {ETH}
    assert [ledger.realised, ledger.cash] == [10, 980]


MOVES = st.tuples(
    st.sampled_from(["deposit", "withdraw", "buy", "sell"]),
    st.sampled_from([BTC, ETH]),
    st.decimals(min_value=Decimal("1e-8"), max_value=10**6, places=8),
    st.decimals(min_value=Decimal("1e-8"), max_value=10**6, places=8),
)


@forall(moves=st.lists(MOVES, max_size=30))
def test_whatever_is_booked_the_books_balance(moves: list[tuple[str, str, Decimal, Decimal]]) -> None:
    """Also when more is sold than held, and whatever the order of it all."""
    ledger, flow = Ledger(), ZERO
    with exact():
        for move, name, quantity, price in moves:
            fee = quantity * price * Decimal("0.00075")
            symbol = BTC if name == BTC else ETH
            if move == "deposit":
                ledger, flow = ledger.deposit(price), flow + price
            elif move == "withdraw":
                ledger, flow = ledger.withdraw(price), flow - price
            else:
                booked = fill(str(quantity), str(price), str(fee))
                ledger = ledger.book(symbol, "buy" if move == "buy" else "sell", booked)
                flow += (-quantity if move == "buy" else quantity) * price - fee
            assert ledger.cash == flow
            assert ledger.imbalance() == 0
