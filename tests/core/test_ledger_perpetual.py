"""A linear perpetual's books: margin inside cash, results of exits, funding, liquidation."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from events.bot import FundingSettled, OrderFilled, PositionLiquidated
from events.identifiers import Symbol
from events.values import FeeCurrency, FeeSchedule, Instrument, PaperModel, PositionSide, Side
from oxbot.core.ledger import ClosedTrip, Ledger, Position, UnknownPosition
from oxbot.core.money import ZERO, exact, text
from oxbot.core.paper_margin import Held, liquidation
from oxbot.core.paper_prices import Terms
from tests.core.scenario import candle, filled, moment

PERP = Symbol("BTC/USDT:USDT")
CONTRACT = Instrument(
    symbol=PERP,
    tick=Decimal("0.1"),
    lot=Decimal("0.001"),
    kind="perpetual",
    leverage_max=Decimal(50),
    maintenance_fraction=Decimal("0.01"),
    liquidation_fee=Decimal("0.005"),
)


def fill(quantity: str, price: str, fee: str = "0", *, fee_in: FeeCurrency = "quote") -> OrderFilled:
    return msgspec.structs.replace(filled(1, at=1, quantity=quantity, price=price, fee=fee), fee_in=fee_in)


@dataclass
class Books:
    """The books on a deposit of 1,000, changed by one call each."""

    ledger: Ledger = field(default_factory=lambda: Ledger().deposit(Decimal(1000)))
    trip: ClosedTrip | None = None

    @property
    def held(self) -> Position:
        return self.ledger.positions[PERP]

    def book(self, side: Side, traded: OrderFilled, leverage: str = "10") -> "Books":
        with exact():
            self.ledger, self.trip = self.ledger.book(CONTRACT, side, traded, leverage=Decimal(leverage))
            assert self.ledger.imbalance() == 0
        return self

    def fund(self, amount: str) -> "Books":
        fact = FundingSettled(
            symbol=PERP, at=moment(2), rate=ZERO, mark=Decimal(100), quantity=ZERO, amount=Decimal(amount)
        )
        with exact():
            self.ledger = self.ledger.fund(fact)
            assert self.ledger.imbalance() == 0
        return self

    def liquidate(self, side: PositionSide, quantity: str, price: str, fee: str, covered: str = "0") -> "Books":
        fact = PositionLiquidated(
            symbol=PERP,
            at=moment(3),
            side=side,
            quantity=Decimal(quantity),
            price=Decimal(price),
            fee=Decimal(fee),
            covered=Decimal(covered),
        )
        with exact():
            self.ledger, self.trip = self.ledger.liquidate(fact)
            assert self.ledger.imbalance() == 0
        return self


def test_an_entry_locks_margin_and_takes_only_its_fee_from_cash() -> None:
    books = Books().book("buy", fill("2", "100", "0.2"))
    ledger, held = books.ledger, books.held
    assert [ledger.cash, ledger.locked, ledger.free] == [Decimal("999.8"), 20, Decimal("979.8")]
    assert (held.side, held.kind) == ("long", "perpetual")
    assert [held.leverage, held.quantity, held.margin] == [10, 2, 20]
    assert [held.cost, held.net_cash, ledger.equity({PERP: Decimal(110)})] == [200, Decimal("-0.2"), Decimal("1019.8")]


def test_a_sale_opens_a_short_which_earns_when_the_price_falls() -> None:
    books = Books().book("sell", fill("2", "100", "0.2"))
    held = books.held
    assert held.side == "short"
    assert [held.quantity, held.signed_quantity, held.margin] == [2, -2, 20]
    assert [held.unrealised(Decimal(90)), held.unrealised(Decimal(110))] == [20, -20]
    assert books.ledger.equity({PERP: Decimal(90)}) == Decimal("1019.8")


@pytest.mark.parametrize(("entry", "leaving", "net"), [("buy", "sell", "19.58"), ("sell", "buy", "-20.42")])
def test_a_round_trip_adds_its_net_result_to_cash_and_frees_its_margin(entry: Side, leaving: Side, net: str) -> None:
    books = Books().book(entry, fill("2", "100", "0.2")).book(leaving, fill("2", "110", "0.22"))
    assert books.trip is not None
    assert books.trip.net == books.ledger.realised == books.ledger.cash - 1000 == Decimal(net)
    assert books.ledger.positions == {}
    assert [books.ledger.locked, books.trip.exit_proceeds] == [0, 220]


def test_a_partial_exit_books_its_result_and_releases_its_share_of_the_margin() -> None:
    books = Books().book("buy", fill("2", "100")).book("sell", fill("0.5", "120", "0.06"))
    held = books.held
    assert [held.realised, held.cost, held.margin, held.quantity] == [10, 150, 15, Decimal("1.5")]
    assert [books.ledger.cash, books.ledger.realised, books.trip] == [Decimal("1009.94"), 0, None]
    assert held.net_cash == Decimal("9.94")


def test_parts_that_do_not_come_out_even_add_up_to_the_last_unit() -> None:
    books = Books().book("buy", fill("0.003", "100.1"), "7")
    for _ in range(2):
        books.book("sell", fill("0.001", "100.7"))
    assert books.held.margin > 0
    books.book("sell", fill("0.001", "100.7"))
    assert books.trip is not None
    assert books.trip.net == Decimal("0.0018") == books.ledger.cash - 1000
    assert books.ledger.locked == 0


@pytest.mark.parametrize("left", ["7e-19", "1e-30", "0.00000000000000000149"])
def test_a_part_releases_no_more_margin_than_there_is(left: str) -> None:
    """Funding leaves digits in the margin that its parts are not rounded to; nine tenths of 7e-19 are no unit."""
    paid = text(Decimal(left) - 20)
    books = Books().book("buy", fill("2", "100")).fund(paid).book("sell", fill("1.999", "100"))
    assert books.ledger.overdrawn("USDT") is None
    assert 0 <= books.held.margin <= Decimal(left)


def test_results_smaller_than_what_is_ever_rounded_are_booked_whole() -> None:
    books = Books().book("buy", fill("1e-10", "3e-10")).book("sell", fill("1e-10", "5e-10"))
    assert books.trip is not None
    assert books.trip.net == books.ledger.cash - 1000 == Decimal("2e-20")


def test_a_remainder_below_one_lot_is_still_a_position() -> None:
    books = Books().book("buy", fill("2", "100")).book("sell", fill("1.9999", "100"))
    assert [books.held.quantity, books.held.margin, books.trip] == [Decimal("0.0001"), Decimal("0.001"), None]


def test_an_entry_in_parts_locks_no_more_than_the_whole_would() -> None:
    whole = Books().book("buy", fill("0.003", "100"), "3")
    parts = Books()
    for _ in range(3):
        parts.book("buy", fill("0.001", "100"), "3")
    assert parts.ledger.locked == whole.ledger.locked == Decimal("0.1")
    parts.book("buy", fill("0.001", "100"), "7")
    assert parts.held.margin == Decimal("0.1") + Decimal("0.014285714285714285")
    assert parts.held.leverage == 7


def test_more_entries_average_the_cost() -> None:
    books = Books().book("sell", fill("1", "100")).book("sell", fill("3", "120"))
    assert [books.held.entry_price, books.held.cost, books.held.margin] == [115, 460, 46]
    books.book("buy", fill("1", "110"))
    assert [books.held.realised, books.held.cost, books.held.entry_price] == [5, 345, 115]


@pytest.mark.parametrize(
    ("entry", "leaving", "words"),
    [("buy", "sell", "sold than were held"), ("sell", "buy", "bought back than were owed")],
)
def test_a_fill_cannot_turn_a_position_over(entry: Side, leaving: Side, words: str) -> None:
    books = Books().book(entry, fill("1", "100")).book(leaving, fill("1.5", "100"))
    assert books.ledger.overdrawn("USDT") == f"0.5 {PERP} more were {words}"


def test_margin_beyond_cash_is_overdrawn() -> None:
    books = Books().book("buy", fill("100", "100"))
    assert books.ledger.overdrawn("USDT") is None
    assert books.book("buy", fill("0.001", "100")).ledger.overdrawn("USDT") == (
        "0.01 USDT more are locked as margin than there are"
    )


def test_money_that_is_margin_cannot_be_withdrawn() -> None:
    ledger = Books().book("buy", fill("2", "100")).ledger
    assert ledger.withdraw(Decimal(980)).overdrawn("USDT") is None
    assert ledger.withdraw(Decimal(981)).overdrawn("USDT") == "1 USDT more are locked as margin than there are"


@pytest.mark.parametrize("amount", ["3", "-3"])
def test_funding_changes_cash_and_margin_alike_and_belongs_to_the_round_trip(amount: str) -> None:
    books = Books().book("buy", fill("2", "100")).fund(amount)
    assert [books.ledger.cash, books.held.margin] == [1000 + int(amount), 20 + int(amount)]
    assert [books.ledger.free, books.ledger.funding, books.held.net_cash] == [980, int(amount), int(amount)]
    books.book("sell", fill("2", "110"))
    assert books.trip is not None
    assert [books.trip.net, books.trip.funding, books.ledger.locked] == [20 + int(amount), int(amount), 0]


def test_more_funding_than_the_margin_is_overdrawn() -> None:
    books = Books().book("buy", fill("2", "100")).fund("-21")
    assert books.ledger.overdrawn("USDT") == f"1 USDT more funding was paid for {PERP} than its margin held"


def test_funding_after_the_close_is_realised_at_once() -> None:
    books = Books().fund("-2")
    assert [books.ledger.cash, books.ledger.realised, books.ledger.funding] == [998, -2, -2]


def test_a_perpetuals_fee_in_base_is_paid_at_its_value() -> None:
    books = Books().book("buy", fill("2", "100", "0.01", fee_in="base"))
    assert [books.ledger.cash, books.held.quantity, books.held.fees] == [999, 2, 1]


@pytest.mark.parametrize(
    ("entry", "price"),
    [
        # (200 - 20) / (2 * 0.985) = 91.370..., (200 + 20) / (2 * 1.015) = 108.374...
        ("buy", "91.4"),
        ("sell", "108.3"),
    ],
)
def test_the_liquidation_price_is_the_tick_met_first(entry: Side, price: str) -> None:
    held = Books().book(entry, fill("2", "100")).held
    assert held.liquidation_price(CONTRACT) == Decimal(price)


def test_a_long_without_leverage_is_never_liquidated_but_a_short_is() -> None:
    held = Books().book("buy", fill("2", "100"), "1").held
    assert held.liquidation_price(CONTRACT) is None
    held = Books().book("sell", fill("2", "100"), "1").held
    assert held.liquidation_price(CONTRACT) == Decimal("197")


def test_funding_paid_brings_the_liquidation_nearer() -> None:
    assert Books().book("buy", fill("2", "100")).fund("-10").held.liquidation_price(CONTRACT) == Decimal("96.5")


def test_a_liquidation_closes_all_and_costs_the_result_and_the_fee() -> None:
    books = Books().book("buy", fill("2", "100", "0.2")).liquidate("long", "2", "91.4", "0.914")
    assert books.trip is not None
    assert books.trip.net == books.ledger.realised == Decimal("-0.2") - Decimal("17.2") - Decimal("0.914")
    assert [books.ledger.locked, books.ledger.cash] == [0, 1000 + books.trip.net]
    assert books.trip.fees == books.ledger.fees == Decimal("1.114")
    assert [books.trip.exit_quantity, books.trip.exit_proceeds, books.trip.closed_at] == [
        2,
        Decimal("182.8"),
        moment(3),
    ]


@pytest.mark.parametrize(("entry", "side", "price"), [("buy", "long", "50"), ("sell", "short", "150")])
def test_a_gap_beyond_the_margin_costs_the_margin_and_not_more(entry: Side, side: PositionSide, price: str) -> None:
    books = Books().book(entry, fill("2", "100", "0.2")).fund("-5")
    covered = books.held.shortfall(Decimal(price), Decimal(1))
    assert covered == 100 + 1 - 15
    books.liquidate(side, "2", price, "1", str(covered))
    assert books.trip is not None
    assert [books.trip.covered, books.trip.net] == [86, -20 - Decimal("0.2")]
    assert books.ledger.cash == 1000 - 20 - Decimal("0.2")


def test_nothing_is_covered_while_the_margin_suffices() -> None:
    assert Books().book("buy", fill("2", "100")).held.shortfall(Decimal("91.4"), Decimal(1)) == 0


@pytest.mark.parametrize(("entry", "price"), [("buy", "50"), ("buy", "91.4"), ("sell", "150"), ("sell", "108.3")])
def test_the_paper_venue_bears_what_these_books_are_short_of(entry: Side, price: str) -> None:
    books = Books().book(entry, fill("2", "100")).fund("-5")
    held, model = books.held, PaperModel()
    terms = Terms(CONTRACT, FeeSchedule(maker=ZERO, taker=ZERO), model, timedelta(minutes=5))
    with exact():
        shown = Held(held.side, held.quantity, held.cost, held.margin)
        fact = liquidation(shown, candle(3, price), Decimal(price), terms)
        assert fact.covered == held.shortfall(fact.price, fact.fee)
        booked = books.ledger.liquidate(fact)
    assert booked.trip is not None
    assert booked.trip.net >= -20
    assert (booked.trip.net == -20) == (fact.covered > 0)


@pytest.mark.parametrize(("side", "quantity"), [("short", "2"), ("long", "1.999")])
def test_only_what_is_held_can_be_liquidated(side: PositionSide, quantity: str) -> None:
    books = Books().book("buy", fill("2", "100"))
    with pytest.raises(UnknownPosition, match="but a perpetual long of 2 is held"):
        books.liquidate(side, quantity, "91", "0")
    with pytest.raises(UnknownPosition, match="but nothing is held"):
        Books().liquidate("long", "1", "91", "0")
