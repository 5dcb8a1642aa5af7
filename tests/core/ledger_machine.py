"""Any life of a bot's books: a Hypothesis state machine that drives the ledger beside the naive one."""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from events.bot import FundingSettled, OrderFilled, PositionLiquidated
from events.identifiers import FillId, OrderId, Symbol
from events.values import FeeCurrency, Instrument, Side
from oxbot.core.ledger import ClosedTrip, Ledger, Position, initial_margin
from oxbot.core.money import ZERO, ceil_to_step, exact, floor_to_step, prorate
from tests.core.reference_ledger import Books, Move, Trade, books
from tests.core.scenario import moment

UNIT = Decimal("1e-18")
HUNDRED = Decimal(100)


def spot(symbol: str, tick: str, lot: str) -> Instrument:
    return Instrument(symbol=Symbol(symbol), tick=Decimal(tick), lot=Decimal(lot))


def perpetual(symbol: str, tick: str, lot: str, *, maintenance: str, fee: str) -> Instrument:
    return Instrument(
        symbol=Symbol(symbol),
        tick=Decimal(tick),
        lot=Decimal(lot),
        kind="perpetual",
        leverage_max=Decimal(125),
        maintenance_fraction=Decimal(maintenance),
        liquidation_fee=Decimal(fee),
    )


MEME, BITCOIN = spot("MEME/USDT", "1e-9", "1"), spot("BTC/USDT", "0.01", "1e-5")
COINS = {MEME: 21_000, BITCOIN: 10_000_000}
DOGE = perpetual("DOGE/USDT:USDT", "1e-5", "1", maintenance="0.01", fee="0.005")
FUTURE = perpetual("BTC/USDT:USDT", "0.1", "0.001", maintenance="0.004", fee="0.0125")
CONTRACTS = {DOGE: 13_201, FUTURE: 1_000_000}
INSTRUMENTS = COINS | CONTRACTS
"""Each with its usual price in ticks: 0.000021, 100,000, 0.13201 and 100,000."""

AMOUNTS = st.decimals(min_value=UNIT, max_value=10**6, places=18) | st.integers(1, 10**5).map(Decimal)
SHARES = st.sampled_from([5, 10, 20, 33, 50, 100]) | st.integers(1, 100)
LEFT = st.just(100) | SHARES
WITHDRAWN = st.sampled_from([0, 1, 7, 10, 25, 100])
PICKS = st.integers(0, 1)
MOVES = st.integers(-20, 20) | st.integers(-4, 4) | st.integers(-990, 1000)
"""How far the price is from the usual one, in thousandths."""
RATES = st.sampled_from([Decimal(rate) for rate in ("0", "0.001", "0.00075", "0.0004", "-0.0001")])
LEVERAGES = st.sampled_from([Decimal(times) for times in ("1", "1.5", "3", "7", "50", "125")])
FUNDING_RATES = st.decimals(min_value=Decimal("-0.03"), max_value=Decimal("0.03"), places=6)


class LedgerMachine(RuleBasedStateMachine):
    """Only what can happen is booked: nobody spends more than is free, or leaves at a price beyond bankruptcy."""

    happened: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.moves: list[Move] = []
        self.trips: list[ClosedTrip] = []
        self.happened["sequences"] += 1

    @initialize(amount=AMOUNTS)
    def begin(self, amount: Decimal) -> None:
        self.deposit(amount)

    @rule(amount=AMOUNTS)
    def deposit(self, amount: Decimal) -> None:
        with exact():
            self.ledger = self.ledger.deposit(amount)
        self.moves.append(amount)

    @rule(share=WITHDRAWN)
    def withdraw(self, share: int) -> None:
        with exact():
            amount = self.ledger.free if share == HUNDRED else floor_to_step(self.ledger.free * share / HUNDRED, UNIT)
            self.ledger = self.ledger.withdraw(amount)
            self.moves.append(-amount)

    @rule(coin=st.sampled_from(list(COINS)), move=MOVES, share=SHARES, rate=RATES, base=st.booleans())
    def buy(self, coin: Instrument, move: int, share: int, rate: Decimal, *, base: bool) -> None:
        price = _price(coin, move)
        with exact():
            each = price * (1 + max(rate, ZERO))
            quantity = self.ledger.free * share // (each * HUNDRED * coin.lot) * coin.lot
        self._trade(coin, "buy", _fill(quantity, price, rate, fee_in="base" if base else "quote"))

    @precondition(lambda self: self._held(COINS))
    @rule(pick=PICKS, move=MOVES, share=LEFT, rate=RATES, base=st.booleans())
    def sell(self, pick: int, move: int, share: int, rate: Decimal, *, base: bool) -> None:
        coin, held = self._picked(COINS, pick)
        with exact():
            quantity = ceil_to_step(floor_to_step(held.quantity, coin.lot) * share / HUNDRED, coin.lot)
            in_base = base and quantity * (1 + rate) <= held.quantity
        self._trade(coin, "sell", _fill(quantity, _price(coin, move), rate, fee_in="base" if in_base else "quote"))

    @rule(
        contract=st.sampled_from(list(CONTRACTS)),
        side=st.sampled_from(["buy", "sell"]),
        terms=st.tuples(MOVES, SHARES, RATES, LEVERAGES),
    )
    def enter(self, contract: Instrument, side: Side, terms: tuple[int, int, Decimal, Decimal]) -> None:
        move, share, rate, leverage = terms
        held = self.ledger.positions.get(contract.symbol)
        price = _price(contract, move)
        with exact():
            # What one unit of base locks and costs, times the leverage, so that nothing is rounded here.
            each = price * (1 + max(rate, ZERO) * leverage)
            quantity = self.ledger.free * share * leverage // (each * HUNDRED * contract.lot) * contract.lot
            fill = _fill(quantity, price, rate)
            if initial_margin(quantity * price, leverage) + fill.fee <= self.ledger.free:
                self._trade(contract, side if held is None else _entry_side(held), fill, leverage=leverage)

    @precondition(lambda self: self._held(CONTRACTS))
    @rule(pick=PICKS, move=MOVES, share=LEFT, rate=RATES)
    def leave(self, pick: int, move: int, share: int, rate: Decimal) -> None:
        contract, held = self._picked(CONTRACTS, pick)
        price = _price(contract, move)
        with exact():
            quantity = ceil_to_step(held.quantity * share / HUNDRED, contract.lot)
            fill = _fill(quantity, price, rate)
            margin, cost = (prorate(amount, quantity, held.quantity) for amount in (held.margin, held.cost))
            result = quantity * price - cost if held.side == "long" else cost - quantity * price
            solvent = margin + result - fill.fee > UNIT
        if solvent:
            self._trade(contract, "sell" if held.side == "long" else "buy", fill)

    @precondition(lambda self: self._held(CONTRACTS))
    @rule(pick=PICKS, move=MOVES, rate=FUNDING_RATES)
    def fund(self, pick: int, move: int, rate: Decimal) -> None:
        contract, held = self._picked(CONTRACTS, pick)
        with exact():
            amount = max(-held.signed_quantity * _price(contract, move) * rate, -held.margin)
        self._fund(contract, amount, rate=rate)
        self.happened["funding"] += 1

    @rule(contract=st.sampled_from(list(CONTRACTS)), share=WITHDRAWN)
    def fund_what_was_closed(self, contract: Instrument, share: int) -> None:
        if contract.symbol not in self.ledger.positions:
            with exact():
                amount = floor_to_step(self.ledger.free, UNIT) * -share / HUNDRED / HUNDRED
            self._fund(contract, amount, rate=ZERO)
            self.happened["funding after the close"] += 1

    @precondition(lambda self: self._held(CONTRACTS))
    @rule(pick=PICKS, move=MOVES)
    def liquidate(self, pick: int, move: int) -> None:
        contract, held = self._picked(CONTRACTS, pick)
        price = _price(contract, move)
        with exact():
            fee = held.quantity * price * contract.liquidation_fee
            fact = PositionLiquidated(
                symbol=held.symbol,
                at=moment(1),
                side=held.side,
                quantity=held.quantity,
                price=price,
                fee=fee,
                covered=held.shortfall(price, fee),
            )
            booked = self.ledger.liquidate(fact)
        assert booked.trip is not None
        self.happened["liquidations"] += 1
        self.happened["losses covered by the venue"] += fact.covered > 0
        self.ledger, self.moves = booked.ledger, [*self.moves, fact]
        self.trips.append(booked.trip)

    @precondition(lambda self: self._held(INSTRUMENTS))
    @rule(pick=st.integers(0, 3), lots=st.integers(1, 10**9))
    def leave_with_too_much(self, pick: int, lots: int) -> None:
        """It is found, and since nothing was changed in place, nothing has happened."""
        instrument, held = self._picked(INSTRUMENTS, pick)
        with exact():
            fill = _fill(ceil_to_step(held.quantity, instrument.lot) + lots * instrument.lot, Decimal(10**6), ZERO)
            side: Side = "sell" if held.side == "long" else "buy"
            broken = self.ledger.book(instrument, side, fill, leverage=Decimal(1))
            assert broken.trip is None
            assert broken.ledger.overdrawn("USDT") is not None

    @invariant()
    def the_books_are_sound(self) -> None:
        with exact():
            assert self.ledger.imbalance() == 0
            assert self.ledger.overdrawn("USDT") is None
            assert 0 <= self.ledger.locked <= self.ledger.cash
            assert self.ledger.free == self.ledger.cash - self.ledger.locked
            assert all(amount.is_finite() for amount in _amounts(self.ledger))

    @invariant()
    def the_naive_ledger_says_the_same(self) -> None:
        naive = books(self.moves)
        ledger, happened = self.ledger, {symbol for symbol, account in naive.accounts.items() if account.open}
        assert set(ledger.positions) == happened
        assert ledger.deposits == naive.deposits
        assert ledger.withdrawals == naive.withdrawals
        assert ledger.fees == naive.fees
        assert ledger.funding == naive.funding
        left = {symbol: account.size for symbol, account in naive.accounts.items() if account.size and not account.open}
        assert ledger.dust == left
        self._same_positions(naive)
        rounded = sum(account.rounded for symbol, account in naive.accounts.items() if symbol in ledger.positions)
        assert abs(Fraction(ledger.cash) - naive.cash) <= rounded * Fraction(UNIT)
        self._same_equity(naive, rounded)
        self._same_trips(naive)

    @invariant()
    def a_liquidation_price_is_the_first_tick_that_breaches_maintenance(self) -> None:
        for contract in self._held(CONTRACTS):
            held = self.ledger.positions[contract.symbol]
            price = held.liquidation_price(contract)
            with exact():
                if price is None:
                    assert held.side == "long"
                    assert held.margin >= held.cost
                else:
                    beyond = price + (-contract.tick if held.side == "long" else contract.tick)
                    assert _above_maintenance(held, contract, price) >= 0 > _above_maintenance(held, contract, beyond)

    def _held(self, instruments: Iterable[Instrument]) -> list[Instrument]:
        return [instrument for instrument in instruments if instrument.symbol in self.ledger.positions]

    def _picked(self, instruments: Iterable[Instrument], pick: int) -> tuple[Instrument, Position]:
        held = self._held(instruments)
        instrument = held[pick % len(held)]
        return instrument, self.ledger.positions[instrument.symbol]

    def _same_positions(self, naive: Books) -> None:
        for symbol, held in self.ledger.positions.items():
            account = naive.accounts[symbol]
            tolerance = account.rounded * Fraction(UNIT)
            assert held.signed_quantity == account.size
            assert abs(Fraction(held.cost) - account.cost) <= tolerance
            assert abs(Fraction(held.margin) - account.margin) <= tolerance
            assert abs(Fraction(held.net_cash) - account.net) <= tolerance

    def _same_equity(self, naive: Books, rounded: int) -> None:
        marks = {instrument.symbol: usual * instrument.tick for instrument, usual in INSTRUMENTS.items()}
        worth = naive.cash
        for instrument in INSTRUMENTS:
            account, mark = naive.accounts.get(instrument.symbol), Fraction(marks[instrument.symbol])
            if account is not None:
                worth += account.size * (mark - (account.average if instrument.kind == "perpetual" else 0))
        with exact():
            equity = self.ledger.equity(marks)
        assert abs(Fraction(equity) - worth) <= 2 * rounded * Fraction(UNIT)

    def _same_trips(self, naive: Books) -> None:
        """Round trips are exact to the last unit, whatever was rounded on the way, and so is what they leave."""
        assert [(trip.symbol, Fraction(trip.net)) for trip in self.trips] == [
            (trip.symbol, trip.net) for trip in naive.trips
        ]
        for trip in naive.trips:
            if trip.symbol in {contract.symbol for contract in CONTRACTS}:
                assert -trip.net <= trip.at_risk + trip.rounded * Fraction(UNIT)
        with exact():
            earned = sum((trip.net for trip in self.trips), ZERO)
            assert self.ledger.realised == earned + _decimal(naive.late_funding)
            if not self.ledger.positions:
                assert self.ledger.cash == self.ledger.deposits - self.ledger.withdrawals + self.ledger.realised
                assert self.ledger.cash == naive.cash

    def _fund(self, contract: Instrument, amount: Decimal, *, rate: Decimal) -> None:
        fact = FundingSettled(symbol=contract.symbol, at=moment(1), rate=rate, mark=ZERO, quantity=ZERO, amount=amount)
        with exact():
            self.ledger = self.ledger.fund(fact)
        self.moves.append(fact)

    def _trade(self, instrument: Instrument, side: Side, fill: OrderFilled, *, leverage: Decimal = Decimal(1)) -> None:
        if fill.quantity <= 0:
            return
        with exact():
            booked = self.ledger.book(instrument, side, fill, leverage=leverage)
        self.ledger = booked.ledger
        self.moves.append(Trade(instrument, side, fill, leverage))
        self.happened["fills"] += 1
        self.happened["trips that left dust"] += booked.trip is not None and instrument.symbol in booked.ledger.dust
        if booked.trip is not None:
            self.happened[f"closed {booked.trip.side} {instrument.kind} trips"] += 1
            self.trips.append(booked.trip)


def _price(instrument: Instrument, move: int) -> Decimal:
    return max(1, INSTRUMENTS[instrument] * (1000 + move) // 1000) * instrument.tick


def _fill(quantity: Decimal, price: Decimal, rate: Decimal, *, fee_in: FeeCurrency = "quote") -> OrderFilled:
    with exact():
        fee = quantity * rate if fee_in == "base" else quantity * price * rate
    return OrderFilled(
        order_id=OrderId("1"),
        fill_id=FillId("1"),
        at=moment(1),
        quantity=quantity,
        price=price,
        fee=fee,
        liquidity="taker",
        complete=True,
        fee_in=fee_in,
    )


def _entry_side(held: Position) -> Side:
    return "buy" if held.side == "long" else "sell"


def _above_maintenance(held: Position, contract: Instrument, price: Decimal) -> Decimal:
    """How much more the position is worth at the price than the venue wants of it."""
    taken = contract.maintenance_fraction + contract.liquidation_fee
    return held.margin + held.unrealised(price) - held.quantity * price * taken


def _amounts(ledger: Ledger) -> list[Decimal]:
    held = ledger.positions.values()
    return [ledger.cash, ledger.realised, ledger.fees, ledger.funding, *(each.cost for each in held)]


def _decimal(amount: Fraction) -> Decimal:
    return Decimal(amount.numerator) / Decimal(amount.denominator)
