"""What must be true of the rows after any trading of spot and perpetuals, long and short, funded and liquidated."""

from collections.abc import Mapping
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from events.bot import BotFact, CapitalDeposited, FundingSettled, PositionLiquidated
from events.identifiers import Symbol
from oxbot.core.candles import Candle, Frame
from oxbot.core.ledger import Position
from oxbot.core.money import exact
from oxbot.core.state import BotState, fold
from oxbot.views.equity import equity_curve, result_at, worth
from oxbot.views.remembered import remembered
from oxbot.views.rows import HoldingRow, PositionRow, TradeRow
from tests.core.scenario import BTC, ETH, moment
from tests.views.projected import Rows, of, rows_after
from tests.views.trading import asked, fill, trader

MARKS: Mapping[Symbol, Decimal] = {BTC: Decimal("1013.37"), ETH: Decimal("497.2")}
LOTS: Mapping[Symbol, Decimal] = {BTC: Decimal("0.001"), ETH: Decimal("0.01")}


class Trading:
    """A life under way: the facts so far, what they come to, and the next candle and order."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self.facts: list[BotFact] = trader()
        self.state: BotState = fold(self.facts)
        self._candle = 0

    def step(self) -> None:
        """One more thing that can happen now."""
        self._candle += 1
        symbol = self._draw(st.sampled_from((BTC, ETH)))
        held = self.state.ledger.positions.get(symbol)
        if held is None:
            self._enter(symbol, "buy" if symbol == ETH else self._draw(st.sampled_from(("buy", "sell"))))
            return
        word = self._draw(st.sampled_from(("add", "part", "all", "all", "fund", "liquidate", "deposit")))
        if word == "add":
            self._enter(symbol, "buy" if held.side == "long" else "sell")
        elif word in ("part", "all"):
            self._leave(held, whole=word == "all")
        elif word == "deposit":
            self._keep(CapitalDeposited(amount=Decimal(self._draw(st.integers(1, 999))) / 7))
        elif held.kind == "perpetual":
            self._keep(self._funding(held) if word == "fund" else self._liquidation(held))

    def _enter(self, symbol: Symbol, side: str) -> None:
        quantity = LOTS[symbol] * self._draw(st.integers(1, 90))
        self._trade(symbol, side, quantity, reduces=False)

    def _leave(self, held: Position, *, whole: bool) -> None:
        lots = held.quantity // LOTS[held.symbol]
        quantity = LOTS[held.symbol] * (lots if whole else self._draw(st.integers(1, int(lots))))
        self._trade(held.symbol, "sell" if held.side == "long" else "buy", quantity, reduces=True)

    def _trade(self, symbol: Symbol, side: str, quantity: Decimal, *, reduces: bool) -> None:
        price = self._price(symbol)
        in_base = symbol == ETH and side == "buy" and quantity > Decimal("0.05") and self._draw(st.booleans())
        fee = quantity * Decimal("0.001") * (1 if in_base else price)
        number = self.state.orders_requested + 1
        leverage = str(self._draw(st.sampled_from((1, 3, 7))))
        self._keep(
            asked(number, side, str(quantity), at=self._candle, symbol=symbol, reduces=reduces, leverage=leverage),  # type: ignore[arg-type]  # buy or sell
            fill(
                number,
                str(quantity),
                str(price),
                at=self._candle,
                fee=str(fee),
                fee_in="base" if in_base else "quote",
            ),
        )

    def _price(self, symbol: Symbol) -> Decimal:
        return (MARKS[symbol] * self._draw(st.integers(900, 1100)) / 1000).quantize(Decimal("0.01"))

    def _funding(self, held: Position) -> FundingSettled:
        amount = max(-held.margin, held.signed_quantity * Decimal(self._draw(st.integers(-9, 9))))
        mark = MARKS[held.symbol]
        return FundingSettled(
            symbol=held.symbol,
            at=moment(self._candle),
            rate=Decimal("0.001"),
            mark=mark,
            quantity=held.signed_quantity,
            amount=amount,
        )

    def _liquidation(self, held: Position) -> PositionLiquidated:
        price = self._price(held.symbol)
        fee = held.quantity * price * Decimal("0.005")
        return PositionLiquidated(
            symbol=held.symbol,
            at=moment(self._candle),
            side=held.side,
            quantity=held.quantity,
            price=price,
            fee=fee,
            covered=held.shortfall(price, fee),
        )

    def _keep(self, *facts: BotFact) -> None:
        with exact():
            self.state = fold(facts, self.state)
        self.facts.extend(facts)


@st.composite
def lives(draw: st.DrawFn) -> Trading:
    """Up to twenty steps."""
    trading = Trading(draw)
    for _ in range(draw(st.integers(1, 20))):
        trading.step()
    return trading


def holdings(rows: Rows) -> list[HoldingRow]:
    """In order of time."""
    return [row for row in of(rows, "holdings") if isinstance(row, HoldingRow)]


@given(life=lives())
@settings(max_examples=40, deadline=None)
def test_what_is_held_at_any_marks_is_worth_what_the_books_say(life: Trading) -> None:
    rows = holdings(rows_after(life.facts))
    with exact():
        equity = life.state.ledger.equity(MARKS)
    assert worth(rows[-1], MARKS) == equity

    at = moment(10_000)
    candles = tuple((symbol, Candle(at, mark, mark, mark, mark, Decimal(1))) for symbol, mark in MARKS.items())
    assert equity_curve(rows, [Frame(at, candles)])[-1].equity == equity


@given(life=lives())
@settings(max_examples=40, deadline=None)
def test_closed_trades_and_open_results_explain_the_equity_to_the_last_unit(life: Trading) -> None:
    """What is left over is the dust, which cost nothing any more."""
    rows, ledger = rows_after(life.facts), life.state.ledger
    trades = [row for row in of(rows, "trades") if isinstance(row, TradeRow)]
    positions = [row for row in of(rows, "positions") if isinstance(row, PositionRow)]

    with exact():
        explained = ledger.deposits - ledger.withdrawals
        explained += sum(Decimal(trade.net) for trade in trades)
        explained += sum(result_at(position, MARKS[position.symbol]) for position in positions)
        dust = sum(quantity * MARKS[symbol] for symbol, quantity in ledger.dust.items())
        assert ledger.equity(MARKS) == explained + dust
        for trade in trades:
            assert trade.symbol == ETH or abs(_explained(trade) - Decimal(trade.net)) < Decimal("1e-9")
    assert {position.symbol: position.side for position in positions} == {
        symbol: held.side for symbol, held in ledger.positions.items()
    }


def _explained(trade: TradeRow) -> Decimal:
    """The net that the trade's other amounts say; a price is shown to 12 decimals."""
    kept = Decimal(trade.fees) - Decimal(trade.funding) - Decimal(trade.covered)
    earned = Decimal(trade.exit_price) * Decimal(trade.quantity) - Decimal(trade.entry_cost)
    return (earned if trade.side == "long" else -earned) - kept


@given(life=lives())
@settings(max_examples=40, deadline=None)
def test_what_the_trades_rows_say_is_what_the_bot_remembers(life: Trading) -> None:
    trades = [row for row in of(rows_after(life.facts), "trades") if isinstance(row, TradeRow)]
    assert remembered(trades) == life.state.memory
