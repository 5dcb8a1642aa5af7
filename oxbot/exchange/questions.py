"""What can be asked of the exchange; no question changes anything."""

from collections.abc import Sequence
from decimal import Decimal

from oxbot.core import money
from oxbot.exchange import accounts, checks, clockwork, prices, queries
from oxbot.exchange.desk import Desk
from oxbot.exchange.model import AccountConfig, AlgoType, ApiKey, Instrument, InstType, LeverageInfo, MarginMode
from oxbot.exchange.queries import Page, Times, Which
from oxbot.exchange.records import (
    AlgoOrder,
    BalanceView,
    Bar,
    Bill,
    Book,
    BookTop,
    Fill,
    FundingRate,
    Order,
    PositionView,
    PublicTrade,
    Ticker,
)

Between = tuple[str, str]
"""OKX's ``before`` and ``after`` (ids; empty: none): newer than the one, older than the other."""
ALL: Between = ("", "")


class Questions:
    """The reading half of the exchange. Rows are newest first; ``limit`` is at most 100 for an account's rows."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def order(self, account: str, *, order_id: str = "", client_id: str = "", inst_id: str = "") -> Order | None:
        """By either id (``order_id`` wins); of several with one client id the newest."""
        if not order_id and not client_id:
            return None
        return checks.known(self._desk, self._desk.state.accounts[account], inst_id, order_id, client_id)

    def orders_pending(
        self,
        account: str,
        *,
        inst_type: InstType | None = None,
        inst_id: str = "",
        page: Between = ALL,
        limit: int = 100,
    ) -> Sequence[Order]:
        """Those that work."""
        return queries.orders(
            self._desk, account, ended=False, which=Which(inst_type, inst_id), page=Page(*page, limit)
        )

    def orders_history(
        self,
        account: str,
        *,
        inst_type: InstType | None = None,
        inst_id: str = "",
        page: Between = ALL,
        limit: int = 100,
    ) -> Sequence[Order]:
        """Those that have ended."""
        return queries.orders(self._desk, account, ended=True, which=Which(inst_type, inst_id), page=Page(*page, limit))

    def fills(
        self,
        account: str,
        *,
        inst_type: InstType | None = None,
        inst_id: str = "",
        order_id: str = "",
        begin: int | None = None,
        end: int | None = None,
        page: Between = ALL,
        limit: int = 100,
    ) -> Sequence[Fill]:
        """Trades of the account; paged by bill id; ``begin`` and ``end`` are times, both included."""
        return queries.fills(
            self._desk,
            account,
            which=Which(inst_type, inst_id),
            times=Times(begin, end),
            order_id=order_id,
            page=Page(*page, limit),
        )

    def bills(
        self,
        account: str,
        *,
        currency: str = "",
        bill_type: str = "",
        inst_type: InstType | None = None,
        begin: int | None = None,
        end: int | None = None,
        page: Between = ALL,
        limit: int = 100,
    ) -> Sequence[Bill]:
        """Changes of cash; ``bill_type`` "8" is funding."""
        return queries.bills(
            self._desk,
            account,
            currency=currency,
            bill_type=bill_type,
            which=Which(inst_type),
            times=Times(begin, end),
            page=Page(*page, limit),
        )

    def algo(self, account: str, *, algo_id: str = "", algo_client_id: str = "") -> AlgoOrder | None:
        """By either id; of several with one client id the newest."""
        if not algo_id and not algo_client_id:
            return None
        return checks.known_algo(self._desk, self._desk.state.accounts[account], "", algo_id, algo_client_id)

    def algos(
        self,
        account: str,
        *,
        pending: bool,
        algo_types: Sequence[AlgoType] = (),
        inst_type: InstType | None = None,
        inst_id: str = "",
        page: Between = ALL,
        limit: int = 100,
    ) -> Sequence[AlgoOrder]:
        """Those that wait, or those that have ended; of any type if none is named."""
        return queries.algos(
            self._desk,
            account,
            pending=pending,
            types=algo_types,
            which=Which(inst_type, inst_id),
            page=Page(*page, limit),
        )

    def balances(self, account: str) -> Sequence[BalanceView]:
        """Every currency the account has had."""
        with money.exact():
            return accounts.balances(self._desk, account)

    def positions(self, account: str, *, inst_id: str = "") -> Sequence[PositionView]:
        """Those that are not flat."""
        with money.exact():
            return accounts.positions_of(self._desk, account, inst_id=inst_id)

    def config(self, account: str) -> AccountConfig:
        """What the account is set to."""
        return accounts.config(self._desk.state.accounts[account])

    def accounts(self) -> Sequence[str]:
        """The names of all accounts."""
        return tuple(self._desk.state.accounts)

    def leverage(self, account: str, inst_id: str, margin_mode: MarginMode) -> LeverageInfo:
        """What is set, or the account's default."""
        return LeverageInfo(inst_id, margin_mode, accounts.leverage(self._desk, account, inst_id, margin_mode))

    def max_size(
        self, account: str, inst_id: str, trade_mode: str, price: Decimal | None = None
    ) -> tuple[Decimal, Decimal]:
        """How much could be bought and how much sold now."""
        with money.exact():
            return queries.max_size(self._desk, account, inst_id, trade_mode, price)

    def instruments(self, inst_type: InstType | None = None) -> Sequence[Instrument]:
        """All, or those of a type."""
        listed = self._desk.state.instruments.values()
        return tuple(instrument for instrument in listed if inst_type in {None, instrument.inst_type})

    def instrument(self, inst_id: str) -> Instrument | None:
        """One, or None if it is not known."""
        return self._desk.state.instruments.get(inst_id)

    def ticker(self, inst_id: str) -> Ticker | None:
        """None while it has no price."""
        with money.exact():
            return prices.ticker(self._desk, inst_id)

    def mark_price(self, inst_id: str) -> Decimal | None:
        """The last price; None while there is none."""
        market = self._desk.state.markets.get(inst_id)
        return None if market is None else market.last

    def book(self, inst_id: str, levels: int = 400) -> Book | None:
        """A synthetic book of 1 to 400 levels a side; None while there is no price."""
        with money.exact():
            return prices.book(self._desk, inst_id, levels)

    def book_update(self, before: BookTop | None, after: BookTop, levels: int = 400) -> Book:
        """The levels that changed between two tops of a ``BookPushed``; all of them if there was none before."""
        with money.exact():
            return prices.book_changes(self._desk, before, after, levels)

    def bars(
        self,
        inst_id: str,
        duration_ms: int,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = 100,
        offset_ms: int = 0,
    ) -> Sequence[Bar]:
        """Candles, newest first, the forming one included; opened after ``before`` and before ``after``.

        ``offset_ms``: where days or weeks begin after the epoch's multiples of their length.
        """
        with money.exact():
            return prices.bars(
                self._desk, inst_id, duration_ms, between=(before, after), limit=limit, offset_ms=offset_ms
            )

    def bar_at(self, inst_id: str, duration_ms: int, at: int, *, offset_ms: int = 0) -> Bar | None:
        """The candle of that length in which the moment lies, as it is now."""
        start = (at - offset_ms) // duration_ms * duration_ms + offset_ms
        rows = self.bars(inst_id, duration_ms, before=start - 1, after=start + 1, limit=1, offset_ms=offset_ms)
        return rows[0] if rows else None

    def trades(self, inst_id: str, limit: int = 100) -> Sequence[PublicTrade]:
        """The market's trades, newest first."""
        return prices.trades(self._desk, inst_id, limit)

    def funding_rate(self, inst_id: str) -> FundingRate | None:
        """The coming rate of a SWAP."""
        return clockwork.funding_rate(self._desk, inst_id)

    def funding_history(self, inst_id: str, *, limit: int = 100) -> Sequence[FundingRate]:
        """The rates that were paid, newest first."""
        return clockwork.funding_history(self._desk, inst_id)[:limit]

    def api_key(self, key: str) -> tuple[AccountConfig, ApiKey] | None:
        """The account and the secrets that belong to a key."""
        return queries.api_key(self._desk, key)
