"""The books of a bot: nothing appears or vanishes, and a flat position leaves exactly its result."""

from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from events.bot import OrderFilled
from events.values import FeeCurrency, Side
from oxbot.core.ledger import ClosedTrip, Ledger, Position, initial_margin
from oxbot.core.money import ZERO, exact
from tests.core.scenario import BTC, ETH, filled, instrument, moment

COIN = instrument(BTC, lot="0.01")
ETHER = instrument(ETH)
FLOW = {"buy": -1, "sell": 1}


def fill(quantity: str, price: str, fee: str = "0", *, fee_in: FeeCurrency = "quote", at: int = 1) -> OrderFilled:
    return msgspec.structs.replace(filled(1, at=at, quantity=quantity, price=price, fee=fee), fee_in=fee_in)


def after(*trades: tuple[Side, OrderFilled], begin: Ledger | None = None) -> tuple[Ledger, list[ClosedTrip]]:
    """The books after trades in BTC/USDT on a deposit of 1,000, and the round trips that they ended."""
    ledger, trips = begin or Ledger().deposit(Decimal(1000)), []
    with exact():
        for side, each in trades:
            ledger, trip = ledger.book(COIN, side, each, leverage=Decimal(1))
            trips += [trip] if trip is not None else []
            assert ledger.imbalance() == 0
    return ledger, trips


def test_deposits_and_withdrawals_move_cash() -> None:
    ledger = Ledger().deposit(Decimal(100)).withdraw(Decimal("30.5"))
    assert (ledger.deposits, ledger.withdrawals, ledger.cash) == (Decimal(100), Decimal("30.5"), Decimal("69.5"))
    assert ledger.imbalance() == 0


def test_a_round_trip_lasts_from_its_earliest_trade_to_its_latest_in_whatever_order_they_are_booked() -> None:
    _, [trip] = after(
        ("buy", fill("1", "100", at=5)),
        ("buy", fill("1", "100", at=2)),
        ("sell", fill("1", "100", at=9)),
        ("sell", fill("1", "100", at=7)),
    )
    assert (trip.opened_at, trip.closed_at) == (moment(2), moment(9))


def test_a_buy_turns_cash_into_a_position_at_cost() -> None:
    ledger, trips = after(("buy", fill("2", "100", "0.2")))
    held = ledger.positions[BTC]
    assert ledger.cash == ledger.free == Decimal("799.8")
    assert [held.quantity, held.signed_quantity, held.entry_cost, held.cost, held.entry_price] == [2, 2, 200, 200, 100]
    assert [held.fees, held.net_cash, ledger.fees] == [Decimal("0.2"), Decimal("-200.2"), Decimal("0.2")]
    assert (held.opened_at, held.kind, held.side, held.leverage) == (moment(1), "spot", "long", Decimal(1))
    assert [ledger.realised, ledger.locked, len(trips)] == [0, 0, 0]


def test_a_part_sold_stays_in_the_round_trip_and_takes_its_share_of_the_cost_along() -> None:
    ledger, trips = after(("buy", fill("1", "100")), ("buy", fill("1", "130")), ("sell", fill("0.5", "120")))
    held = ledger.positions[BTC]
    assert [held.quantity, held.exit_proceeds, held.net_cash] == [Decimal("1.5"), 60, -170]
    assert [held.cost, held.realised, held.entry_price] == [Decimal("172.5"), Decimal("2.5"), 115]
    assert held.unrealised(Decimal(116)) == Decimal("1.5")
    assert [ledger.cash, ledger.realised, trips] == [830, 0, []]


def test_the_last_lot_is_still_a_position() -> None:
    ledger, trips = after(("buy", fill("2", "100")), ("sell", fill("1.99", "100")))
    assert ledger.positions[BTC].quantity == COIN.lot
    assert (ledger.realised, ledger.dust, trips) == (ZERO, {}, [])


def test_a_position_sold_out_is_realised_and_gone() -> None:
    ledger, trips = after(
        ("buy", fill("2", "100", "0.2")),
        ("sell", fill("0.5", "120", "0.06")),
        ("sell", fill("1.5", "90", "0.135", at=7)),
    )
    net = Decimal("60") + Decimal("135") - 200 - Decimal("0.395")
    assert (ledger.positions, ledger.dust) == ({}, {})
    assert [ledger.realised, ledger.fees, ledger.cash] == [net, Decimal("0.395"), 1000 + net]
    assert trips == [
        ClosedTrip(
            symbol=BTC,
            side="long",
            opened_at=moment(1),
            closed_at=moment(7),
            entry_quantity=Decimal(2),
            entry_cost=Decimal(200),
            exit_quantity=Decimal(2),
            exit_proceeds=Decimal(195),
            fees=Decimal("0.395"),
            funding=ZERO,
            covered=ZERO,
            net=net,
        )
    ]


def test_a_fee_in_base_lowers_what_is_held_and_not_the_cash() -> None:
    ledger, _ = after(("buy", fill("2", "100", "0.002", fee_in="base")))
    held = ledger.positions[BTC]
    assert [ledger.cash, ledger.fees, held.net_cash] == [800, Decimal("0.2"), -200]
    assert [held.quantity, held.entry_quantity, held.fees, held.fees_in_base] == [
        Decimal("1.998"), 2, Decimal("0.2"), Decimal("0.002"),
    ]  # fmt: skip
    assert [held.cost, held.unrealised(Decimal(100)), held.entry_price] == [Decimal("199.8"), 0, 100]


def test_a_fee_in_base_on_a_sale_leaves_with_what_was_sold() -> None:
    ledger, trips = after(("buy", fill("2", "100")), ("sell", fill("1", "100", "0.5", fee_in="base")))
    held = ledger.positions[BTC]
    assert [ledger.cash, held.quantity, held.cost, held.realised, held.fees] == [900, Decimal("0.5"), 50, 0, 50]
    ledger, trips = after(("sell", fill("0.5", "100")), begin=ledger)
    assert [trip.net for trip in trips] == [-50] == [ledger.realised]


def test_less_than_a_lot_left_by_an_exit_is_dust_and_the_round_trip_is_over() -> None:
    ledger, trips = after(("buy", fill("2", "100", "0.002", fee_in="base")), ("sell", fill("1.99", "100")))
    assert (ledger.positions, ledger.dust) == ({}, {BTC: Decimal("0.008")})
    assert [trip.net for trip in trips] == [-1] == [ledger.realised]
    assert [trip.fees for trip in trips] == [Decimal("0.2")]
    assert ledger.equity({BTC: Decimal(500)}) == ledger.cash + 4


def test_the_next_round_trip_takes_the_dust_over_at_no_cost() -> None:
    ledger, _ = after(("buy", fill("2", "100", "0.002", fee_in="base")), ("sell", fill("1.99", "100")))
    ledger, _ = after(("buy", fill("1", "100", "0.002", fee_in="base")), begin=ledger)
    held = ledger.positions[BTC]
    assert (ledger.dust, held.carried, held.quantity) == ({}, Decimal("0.008"), Decimal("1.006"))
    assert [held.cost, held.unrealised(Decimal(100))] == [Decimal("99.8"), Decimal("0.8")]
    ledger, trips = after(("sell", fill("1", "100")), begin=ledger)
    assert [trip.net for trip in trips] == [0]
    assert ledger.dust == {BTC: Decimal("0.006")}
    assert ledger.cash == 999


def test_less_than_a_lot_left_by_an_entry_is_a_position() -> None:
    """More of it may follow."""
    ledger, trips = after(("buy", fill("0.01", "100", "0.00001", fee_in="base")))
    assert (ledger.positions[BTC].quantity, ledger.dust, trips) == (Decimal("0.00999"), {}, [])


def test_dust_may_be_sold_by_itself() -> None:
    ledger, _ = after(("buy", fill("2", "100", "0.002", fee_in="base")), ("sell", fill("1.99", "100")))
    ledger, trips = after(("sell", fill("0.008", "100")), begin=ledger)
    assert [(trip.entry_cost, trip.net) for trip in trips] == [(ZERO, Decimal("0.8"))]
    assert (ledger.positions, ledger.dust, ledger.cash) == ({}, {}, Decimal("999.8"))


def test_positions_of_two_symbols_do_not_mix() -> None:
    with exact():
        ledger, _ = after(("buy", fill("1", "100")))
        ledger, _ = ledger.book(ETHER, "buy", fill("3", "10"), leverage=Decimal(1))
        assert ledger.equity({BTC: Decimal(120), ETH: Decimal(20)}) == 1050
        ledger, _ = after(("sell", fill("1", "110")), begin=ledger)
    assert set(ledger.positions) == {ETH}
    assert [ledger.realised, ledger.cash] == [10, 980]


def test_a_mark_is_needed_for_whatever_is_held() -> None:
    ledger, _ = after(("buy", fill("1", "100")))
    with pytest.raises(KeyError):
        ledger.equity({ETH: Decimal(1)})


@pytest.mark.parametrize(
    ("trades", "reason"),
    [
        ([("buy", fill("11", "100"))], "100 USDT more were spent than there were"),
        ([("buy", fill("1", "100")), ("sell", fill("1.5", "100"))], "0.5 BTC/USDT more were sold than were held"),
        ([("sell", fill("0.001", "100"))], "0.001 BTC/USDT more were sold than were held"),
        ([("buy", fill("1", "100")), ("sell", fill("1", "100"))], None),
    ],
)
def test_books_that_cannot_be_say_what_there_is_too_little_of(
    trades: list[tuple[Side, OrderFilled]], reason: str | None
) -> None:
    ledger, _ = after(*trades)
    assert ledger.overdrawn("USDT") == reason


def test_a_spot_position_has_no_margin_and_is_never_liquidated() -> None:
    held = after(("buy", fill("1", "100")))[0].positions[BTC]
    assert (held.margin, held.liquidation_price(COIN)) == (ZERO, None)


def test_leverage_means_nothing_to_spot() -> None:
    with exact():
        ledger, _ = Ledger().deposit(Decimal(1000)).book(COIN, "buy", fill("1", "100"), leverage=Decimal(50))
    assert [ledger.cash, ledger.locked, ledger.positions[BTC].leverage] == [900, 0, 1]


@forall(
    notional=st.decimals(min_value=0, max_value=10**15, places=18),
    leverage=st.decimals(min_value=1, max_value=125, places=2),
)
def test_margin_is_rounded_up_by_less_than_its_last_unit(notional: Decimal, leverage: Decimal) -> None:
    with exact():
        margin = initial_margin(notional, leverage)
    assert 0 <= Fraction(margin) - Fraction(notional) / Fraction(leverage) < Fraction(1, 10**18)


def test_a_position_described_by_its_entry_alone_is_long_spot_and_whole() -> None:
    held = Position(
        symbol=BTC, opened_at=moment(0), traded_at=moment(0), entry_quantity=Decimal(2), entry_cost=Decimal(200)
    )
    assert (held.kind, held.side) == ("spot", "long")
    assert [held.quantity, held.cost, held.net_cash] == [2, 200, -200]


TRADES = st.tuples(
    st.sampled_from(["deposit", "withdraw", "buy", "sell"]),
    st.sampled_from([COIN, ETHER]),
    st.decimals(min_value=Decimal("1e-8"), max_value=10**6, places=8),
    st.decimals(min_value=Decimal("1e-8"), max_value=10**6, places=8),
)


@forall(moves=st.lists(TRADES, max_size=30))
def test_whatever_is_booked_the_books_balance(moves: list[tuple[str, object, Decimal, Decimal]]) -> None:
    """Also when more is sold than held, and whatever the order of it all."""
    ledger, flow = Ledger(), ZERO
    with exact():
        for move, traded, quantity, price in moves:
            fee = quantity * price * Decimal("0.00075")
            if move == "deposit":
                ledger, flow = ledger.deposit(price), flow + price
            elif move == "withdraw":
                ledger, flow = ledger.withdraw(price), flow - price
            else:
                booked = fill(str(quantity), str(price), str(fee))
                side: Side = "buy" if move == "buy" else "sell"
                coin = COIN if traded == COIN else ETHER
                ledger, _ = ledger.book(coin, side, booked, leverage=Decimal(1))
                flow += FLOW[side] * quantity * price - fee
            assert ledger.cash == flow
            assert ledger.imbalance() == 0
