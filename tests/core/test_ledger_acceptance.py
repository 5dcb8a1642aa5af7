"""The acceptance tests 1, 4, 11 and 16 of the audited system's defects, on the books and named by their numbers."""

from decimal import Decimal
from itertools import permutations

import msgspec
import pytest

from events.bot import FundingSettled, OrderFilled, PositionLiquidated
from events.identifiers import Symbol
from events.values import Instrument, Side
from oxbot.core.ledger import Ledger
from oxbot.core.money import ZERO, exact, floor_to_step, quantity_for_notional
from tests.core.scenario import filled, instrument, moment

TAKER = Decimal("0.001")
PERP = Instrument(
    symbol=Symbol("BTC/USDT:USDT"),
    tick=Decimal("0.1"),
    lot=Decimal("0.001"),
    kind="perpetual",
    leverage_max=Decimal(125),
    maintenance_fraction=Decimal("0.004"),
    liquidation_fee=Decimal("0.0125"),
)


def fill(quantity: Decimal, price: Decimal, *, in_base: bool = False) -> OrderFilled:
    fee = quantity * TAKER if in_base else quantity * price * TAKER
    whole = filled(1, at=1, quantity=str(quantity), price=str(price), fee=str(fee))
    return msgspec.structs.replace(whole, fee_in="base" if in_base else "quote")


def booked(ledger: Ledger, traded: Instrument, side: Side, each: OrderFilled, leverage: str = "1") -> Ledger:
    return ledger.book(traded, side, each, leverage=Decimal(leverage)).ledger


@pytest.mark.parametrize("leverage", ["1", "5"])
@pytest.mark.parametrize("kind", ["spot", "perpetual"])
@pytest.mark.parametrize(
    ("price", "tick", "lot"),
    [
        pytest.param("0.13201", "0.00001", "1", id="DOGE"),
        pytest.param("0.000021", "0.000001", "1", id="a 0.000021 coin"),
        pytest.param("100000", "0.01", "0.00001", id="a 100,000 coin"),
    ],
)
def test_acceptance_01_a_flat_round_trip_costs_exactly_its_fees(
    price: str, tick: str, lot: str, kind: str, leverage: str
) -> None:
    """And equity right after the entry is cash before it less the entry fee."""
    coin = msgspec.structs.replace(instrument(tick=tick, lot=lot), kind=kind)
    with exact():
        quantity = quantity_for_notional(Decimal(9000), Decimal(price), coin.lot)
        each = fill(quantity, Decimal(price))
        ledger = Ledger().deposit(Decimal(10_000))
        ledger = booked(ledger, coin, "buy", each, leverage)
        assert ledger.equity({coin.symbol: Decimal(price)}) == 10_000 - each.fee
        ledger, trip = ledger.book(coin, "sell", each, leverage=Decimal(leverage))
        assert trip is not None
        assert (ledger.cash, trip.net) == (10_000 - 2 * each.fee, -2 * each.fee)


def test_acceptance_04_a_deposit_during_a_close_is_applied_and_so_is_the_close() -> None:
    """Whatever the order in which the deposit, a withdrawal and the two parts of the close are written."""
    coin = instrument(lot="0.001")
    with exact():
        opened = booked(Ledger().deposit(Decimal(10_000)), coin, "buy", fill(Decimal(2), Decimal(100)))

        def part(ledger: Ledger) -> Ledger:
            return booked(ledger, coin, "sell", fill(Decimal(1), Decimal(110)))

        def deposit(ledger: Ledger) -> Ledger:
            return ledger.deposit(Decimal(10_000))

        def withdraw(ledger: Ledger) -> Ledger:
            return ledger.withdraw(Decimal(5000))

        for order in permutations([part, part, deposit, withdraw]):
            ledger = opened
            for move in order:
                ledger = move(ledger)
                assert ledger.imbalance() == 0
            net = Decimal(20) - Decimal("0.2") - 2 * Decimal("0.11")
            assert [ledger.deposits, ledger.withdrawals, ledger.realised] == [20_000, 5000, net]
            assert ledger.cash == 15_000 + net


@pytest.mark.parametrize(("entry_side", "gap"), [("buy", "90"), ("sell", "110")], ids=["a long", "a short"])
def test_acceptance_11_at_50_times_a_move_of_a_tenth_is_liquidated_and_loses_the_margin_at_most(
    entry_side: Side, gap: str
) -> None:
    """Funding is charged on the way; the audited system went to -2,737.50 here."""
    with exact():
        ledger = Ledger().deposit(Decimal(10_000))
        entry = fill(Decimal(1000), Decimal(100))
        ledger = booked(ledger, PERP, entry_side, entry, "50")
        held = ledger.positions[PERP.symbol]
        assert [held.margin, ledger.cash] == [2000, 9900]
        amount = -Decimal(1000) * 100 * Decimal("0.0001")
        ledger = ledger.fund(
            FundingSettled(
                symbol=PERP.symbol,
                at=moment(2),
                rate=Decimal("0.0001") * (1 if entry_side == "buy" else -1),
                mark=Decimal(100),
                quantity=held.signed_quantity,
                amount=amount,
            )
        )
        held = ledger.positions[PERP.symbol]
        at_price = held.liquidation_price(PERP)
        assert at_price is not None
        for price in (at_price, Decimal(gap)):
            fee = held.quantity * price * PERP.liquidation_fee
            fact = PositionLiquidated(
                symbol=PERP.symbol,
                at=moment(3),
                side=held.side,
                quantity=held.quantity,
                price=price,
                fee=fee,
                covered=held.shortfall(price, fee),
            )
            after, trip = ledger.liquidate(fact)
            assert trip is not None
            assert (trip.funding, after.positions, after.locked) == (amount, {}, ZERO)
            lost = Decimal(10_000) - after.cash
            assert lost == -trip.net
            if price == at_price:
                # What maintenance asks for, but for the tick, is left and comes back.
                assert fact.covered == 0
                assert 0 <= 2000 + entry.fee - lost - held.quantity * price * PERP.maintenance_fraction <= 100
            else:
                assert fact.covered > 0
                assert lost == 2000 + entry.fee


@pytest.mark.parametrize("in_base", [False, True], ids=["fees in quote", "fees in base"])
def test_acceptance_16_what_trades_earned_and_deposits_are_equity_to_the_last_unit_when_flat(*, in_base: bool) -> None:
    """Spot and perpetual, in parts, at prices and leverage whose quotients do not come out even."""
    coin = instrument(Symbol("MEME/USDT"), tick="1e-9", lot="1")
    ledger, trips = Ledger().deposit(Decimal(1000)), []
    with exact():
        for number in range(7):
            price = Decimal("0.000021") + number * coin.tick
            ledger = booked(ledger, coin, "buy", fill(Decimal(1_000_003 + number), price, in_base=in_base))
            lots = floor_to_step(ledger.positions[coin.symbol].quantity, coin.lot)
            ledger = booked(ledger, coin, "sell", fill(lots // 3, Decimal("0.000023333")))
            last = ledger.book(coin, "sell", fill(lots - lots // 3, Decimal("0.000019999")), leverage=Decimal(1))
            ledger = booked(last.ledger, PERP, "sell", fill(Decimal("0.003"), Decimal("99999.7") + number), "7")
            for _ in range(2):
                ledger = booked(ledger, PERP, "buy", fill(Decimal("0.001"), Decimal("99000.1")), "7")
            final = ledger.book(PERP, "buy", fill(Decimal("0.001"), Decimal("99000.1")), leverage=Decimal(7))
            ledger = final.ledger
            trips += [trip for trip in (last.trip, final.trip) if trip is not None]
        assert (len(trips), ledger.positions, bool(ledger.dust)) == (14, {}, in_base)
        earned = sum((trip.net for trip in trips), ZERO)
        assert earned == ledger.realised != 0
        assert ledger.deposits + earned == ledger.cash
        worth = sum((left * Decimal("0.00002") for left in ledger.dust.values()), ZERO)
        assert ledger.equity({coin.symbol: Decimal("0.00002")}) == ledger.cash + worth
        assert ledger.imbalance() == 0
