"""The channels: where each may be subscribed, what it sends at once, and what each push of the engine becomes."""

from collections.abc import Callable, Mapping, Sequence
from typing import assert_never

from oxbot.exchange.account_rows import (
    account_row,
    algo_row,
    position_row,
    pushed_fill_row,
    pushed_order_row,
)
from oxbot.exchange.engine import Exchange
from oxbot.exchange.pushes import (
    AccountPushed,
    AlgoPushed,
    BarPushed,
    BookPushed,
    FillPushed,
    FundingRatePushed,
    MarkPricePushed,
    OrderPushed,
    PositionsPushed,
    Push,
    TickerPushed,
    TradePushed,
)
from oxbot.exchange.records import BalanceView, Book, PositionView
from oxbot.exchange.rest_public import BARS, bar_length, mark_row
from oxbot.exchange.rows import bar_row, funding_row, level_rows, ticker_row, trade_row
from oxbot.exchange.sessions import Hub, Session, Subscription, Topic
from oxbot.exchange.wire import Row, say

CANDLE = "candle"
DEPTHS: Mapping[str, int] = {"books": 400, "books5": 5, "bbo-tbt": 1}
OF_INSTRUMENT = ("tickers", "trades", "mark-price", "funding-rate", *DEPTHS)
OF_ACCOUNT = ("account", "positions", "orders", "fills", "balance_and_position")
OF_ACCOUNT_BUSINESS = ("orders-algo", "algo-advance")
ADVANCED = ("move_order_stop", "iceberg", "twap")


def path_of(channel: str) -> str | None:
    """Where the channel is; None if there is no such channel."""
    if channel in OF_INSTRUMENT:
        return "public"
    if channel in OF_ACCOUNT:
        return "private"
    if channel in OF_ACCOUNT_BUSINESS:
        return "business"
    if channel.startswith(CANDLE) and channel.removeprefix(CANDLE) in BARS:
        return "business"
    return None


def is_private(channel: str) -> bool:
    """Whether it needs a login."""
    return channel in OF_ACCOUNT or channel in OF_ACCOUNT_BUSINESS


class Channels:
    """What the engine tells, as messages to those who listen."""

    def __init__(self, exchange: Exchange, hub: Hub) -> None:
        self._exchange = exchange
        self._hub = hub

    def begin(self, session: Session, subscription: Subscription) -> None:
        """What a new subscription is sent at once. Of orders, fills and trades nothing is."""
        channel, name = subscription.topic
        match channel:
            case "account":
                self._balances(session, subscription, self._exchange.balances(name), whole=True)
            case "positions":
                self._positions(session, subscription, self._exchange.positions(name))
            case "balance_and_position":
                both = _both(
                    self._exchange.balances(name), self._exchange.positions(name), "snapshot", self._exchange.now
                )
                session.push(subscription, [both])
            case "orders" | "fills" | "orders-algo" | "algo-advance" | "trades":
                pass
            case _:
                self._begin_market(session, subscription, channel, name)

    def tell(self, pushes: Sequence[Push]) -> None:
        """All of them, in order."""
        for push in pushes:
            self._tell(push)

    def _begin_market(self, session: Session, subscription: Subscription, channel: str, name: str) -> None:
        if channel in DEPTHS:
            book = self._exchange.book(name, DEPTHS[channel])
            if book is not None:
                action = "snapshot" if channel == "books" else None
                session.push(subscription, [_book_row(book, channel, previous=-1)], action=action)
        elif channel == "tickers":
            ticker = self._exchange.ticker(name)
            if ticker is not None:
                session.push(subscription, [ticker_row(ticker)])
        elif channel == "funding-rate":
            rate = self._exchange.funding_rate(name)
            if rate is not None:
                session.push(subscription, [funding_row(rate)])
        elif channel == "mark-price":
            self._mark(name, self._exchange.now, only=(session, subscription))
        else:
            length, offset = bar_length(channel.removeprefix(CANDLE))
            instrument = self._exchange.instrument(name)
            for bar in self._exchange.bars(name, length, limit=1, offset_ms=offset):
                if instrument is not None:
                    session.push(subscription, [bar_row(bar, instrument)])

    def _tell(self, push: Push) -> None:
        match push:
            case OrderPushed() | AlgoPushed() | AccountPushed() | PositionsPushed() | FillPushed():
                self._tell_account(push)
            case TickerPushed(ticker=ticker):
                self._send("tickers", ticker.inst_id, lambda: ticker_row(ticker))
            case TradePushed(trade=trade):
                self._send("trades", trade.inst_id, lambda: trade_row(trade))
            case BookPushed():
                self._book(push)
            case BarPushed():
                self._bar(push)
            case FundingRatePushed(rate=rate):
                self._send("funding-rate", rate.inst_id, lambda: funding_row(rate))
            case MarkPricePushed(inst_id=inst_id, at=at):
                self._mark(inst_id, at)
            case _:
                assert_never(push)

    def _tell_account(self, push: OrderPushed | AlgoPushed | AccountPushed | PositionsPushed | FillPushed) -> None:
        match push:
            case OrderPushed():
                self._order(push)
            case AlgoPushed():
                self._algo(push)
            case AccountPushed(account=name, balances=balances, at=at):
                for session, subscription in self._hub.listeners(("account", name)):
                    self._balances(session, subscription, balances)
                both = _both(balances, (), "delivered", at)
                self._send("balance_and_position", name, lambda: both)
            case PositionsPushed(account=name, positions=positions, at=at):
                for session, subscription in self._hub.listeners(("positions", name)):
                    self._positions(session, subscription, positions)
                both = _both((), positions, "filled", at)
                self._send("balance_and_position", name, lambda: both)
            case FillPushed(account=name, fill=fill):
                for session, subscription in self._hub.listeners(("fills", name)):
                    if subscription.wants(fill.inst_type, fill.inst_id):
                        session.push(subscription, [pushed_fill_row(fill)])
            case _:
                assert_never(push)

    def _send(self, channel: str, name: str, row: Callable[[], object]) -> None:
        topic: Topic = (channel, name)
        for session, subscription in self._hub.listeners(topic):
            session.push(subscription, [row()])

    def _order(self, push: OrderPushed) -> None:
        order = push.order
        for session, subscription in self._hub.listeners(("orders", push.account)):
            if subscription.wants(order.inst_type, order.inst_id):
                last = self._exchange.mark_price(order.inst_id)
                row = pushed_order_row(
                    order, fill=push.fill, amended=push.amended, request_id=push.request_id, last=last
                )
                session.push(subscription, [row])

    def _algo(self, push: AlgoPushed) -> None:
        algo = push.algo
        channel = "algo-advance" if algo.request.algo_type in ADVANCED else "orders-algo"
        for session, subscription in self._hub.listeners((channel, push.account)):
            if subscription.wants(algo.inst_type, algo.request.inst_id):
                row = algo_row(algo, last=self._exchange.mark_price(algo.request.inst_id))
                session.push(subscription, [row])

    def _balances(
        self, session: Session, subscription: Subscription, balances: Sequence[BalanceView], *, whole: bool = False
    ) -> None:
        wanted = subscription.arg.get("ccy", "")
        found = [balance for balance in balances if wanted in ("", balance.currency)]
        if found or whole:
            session.push(subscription, [account_row(found, at=self._exchange.now)])

    def _positions(self, session: Session, subscription: Subscription, positions: Sequence[PositionView]) -> None:
        found = [row for row in positions if subscription.wants("SWAP", row.inst_id)]
        if found or not positions:
            session.push(subscription, [position_row(row) for row in found])

    def _book(self, push: BookPushed) -> None:
        name = push.after.inst_id
        for channel, levels in DEPTHS.items():
            listeners = self._hub.listeners((channel, name))
            if not listeners:
                continue
            if channel == "books":
                before = push.before
                change = self._exchange.book_update(before, push.after, levels)
                previous = -1 if before is None else before.sequence
                row, action = _book_row(change, channel, previous=previous), "update" if before else "snapshot"
            else:
                row, action = _book_row(self._exchange.book_update(None, push.after, levels), channel), None
            for session, subscription in listeners:
                session.push(subscription, [row], action=action)

    def _bar(self, push: BarPushed) -> None:
        instrument = self._exchange.instrument(push.inst_id)
        for channel in self._hub.heard(push.inst_id, CANDLE):
            length, offset = bar_length(channel.removeprefix(CANDLE))
            bar = push.bar
            if channel != "candle1m":
                longer = self._exchange.bar_at(push.inst_id, length, push.bar.at, offset_ms=offset)
                bar = push.bar if longer is None else longer
            if instrument is not None:
                row = bar_row(bar, instrument)
                for session, subscription in self._hub.listeners((channel, push.inst_id)):
                    session.push(subscription, [row])

    def _mark(self, name: str, at: int, *, only: tuple[Session, Subscription] | None = None) -> None:
        instrument = self._exchange.instrument(name)
        price = self._exchange.mark_price(name)
        if instrument is None or price is None:
            return
        for session, subscription in self._hub.listeners(("mark-price", name)) if only is None else [only]:
            session.push(subscription, [mark_row(instrument, say(price), at)])


def _book_row(book: Book, channel: str, *, previous: int = -1) -> Row:
    row: dict[str, object] = {
        "asks": level_rows(book.asks),
        "bids": level_rows(book.bids),
        "ts": str(book.at),
        "seqId": book.sequence,
    }
    if channel == "books":
        return {**row, "checksum": 0, "prevSeqId": previous}
    return {**row, "instId": book.inst_id}


def _both(balances: Sequence[BalanceView], positions: Sequence[PositionView], event: str, at: int) -> Row:
    return {
        "pTime": str(at),
        "eventType": event,
        "balData": [{"ccy": row.currency, "cashBal": say(row.cash), "uTime": str(row.updated_at)} for row in balances],
        "posData": [position_row(row) for row in positions],
        "trades": [{"instId": row.inst_id, "tradeId": row.last_trade_id} for row in positions if row.last_trade_id],
    }
