"""What a fleet did over a market: one result per bot, from the views and the stored candles."""

from datetime import datetime
from decimal import Decimal
from typing import TypeVar

import msgspec

from events.identifiers import BotId
from oxbot.app.arena import cutoffs_of
from oxbot.app.bots import UnknownBot
from oxbot.app.equity import EquityReader
from oxbot.app.models.known import ModelTable
from oxbot.app.views import ViewReader
from oxbot.core.money import ZERO, exact, text
from oxbot.views.advice_rows import ArenaRow
from oxbot.views.amounts import Amount
from oxbot.views.arena import contaminated
from oxbot.views.equity import deepest_fall, result_at, worth
from oxbot.views.rows import BotRow, HoldingRow, PortfolioRow, PositionRow, Row, TradeRow

ROWS_MAX = 1_000_000
POINTS_MAX = 10_000_000

RowT = TypeVar("RowT", bound=Row)


class TradeResult(msgspec.Struct, frozen=True, kw_only=True):
    """A closed round trip."""

    symbol: str
    side: str
    quantity: Amount
    entry_time: datetime
    entry_price: Amount
    exit_time: datetime
    exit_price: Amount
    fees: Amount
    net: Amount
    reason: str


class OpenResult(msgspec.Struct, frozen=True, kw_only=True):
    """A position still open at the end, at the last close.

    ``unrealised`` is what it would come to there: net of the fees and funding paid so far, with what was sold of it.
    """

    symbol: str
    side: str
    quantity: Amount
    entry_time: datetime
    entry_price: Amount
    mark_price: Amount
    fees: Amount
    unrealised: Amount


class BotResult(msgspec.Struct, frozen=True, kw_only=True):
    """One bot's result; ``max_drawdown`` is a fraction of the highest equity before it, capital flows left out.

    ``contaminated``: it was advised on a candle that the training of a model had seen, null if nobody knows; there only
    where it was advised at all.
    """

    name: str
    strategy: str
    symbols: tuple[str, ...]
    capital: Amount
    cash: Amount
    equity: Amount
    fees: Amount
    max_drawdown: Amount
    trades: tuple[TradeResult, ...]
    open: tuple[OpenResult, ...]
    contaminated: bool | msgspec.UnsetType | None = msgspec.UNSET


class MarketRange(msgspec.Struct, frozen=True, kw_only=True, rename={"begins_at": "from", "ends_before": "to"}):
    """The market that was traded: open times in [from, to), candles of all symbols together."""

    begins_at: datetime
    ends_before: datetime
    candles: int


class FleetResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a run. ``events`` are those of its bots; the rate is candles through the fleet per second."""

    market: MarketRange
    bots: tuple[BotResult, ...]
    events: int
    candles_per_second: float


class FleetReporter:
    """Puts the results of bots together."""

    def __init__(self, views: ViewReader, equity: EquityReader, models: ModelTable | None = None) -> None:
        """``models`` say what their training saw; of one that is not there nobody knows."""
        self._views = views
        self._equity = equity
        self._cutoffs = cutoffs_of(models or ModelTable())

    async def bot(self, bot_id: BotId) -> BotResult:
        """The bot's result at the newest closed candle."""
        bot = await self._one(bot_id, BotRow)
        portfolio = await self._one(bot_id, PortfolioRow)
        fallen = await self._fallen(bot_id)
        marks = await self._equity.marks(bot_id)
        positions = await self._many(bot_id, PositionRow)
        trades = await self._many(bot_id, TradeRow)
        equity = worth(await self._newest_holding(bot_id), marks)
        with exact():
            capital = Decimal(portfolio.deposits) - Decimal(portfolio.withdrawals)
            opened = tuple(_open_result(position, marks[position.symbol]) for position in positions)
        return BotResult(
            name=bot.name,
            strategy=bot.strategy,
            symbols=bot.symbols,
            capital=text(capital),
            cash=portfolio.cash,
            equity=text(equity),
            fees=portfolio.fees,
            max_drawdown=text(fallen),
            trades=tuple(_trade_result(trade) for trade in trades),
            open=opened,
            contaminated=await self._contaminated(bot_id, bot.venue),
        )

    async def _contaminated(self, bot_id: BotId, venue: str) -> bool | msgspec.UnsetType | None:
        body = await self._views.row(ArenaRow.view, bot_id)
        advice = None if body is None else msgspec.json.decode(body, type=ArenaRow).advice
        return msgspec.UNSET if advice is None else contaminated(advice.models, self._cutoffs, venue=venue)

    async def _fallen(self, bot_id: BotId) -> Decimal:
        """The deepest fall of the bot's curve up to the newest closed candle."""
        holdings = await self._equity.holdings(bot_id, self._views)
        if holdings is None:
            return ZERO
        marked = await self._equity.marked(holdings, begins_at=None, ends_before=None, points_max=POINTS_MAX)
        return deepest_fall(holdings.bot, holdings.rows, marked)

    async def _one(self, bot_id: BotId, kind: type[RowT]) -> RowT:
        body = await self._views.row(kind.view, bot_id)
        if body is None:
            raise UnknownBot(f"there is no bot {bot_id} in the views")
        return msgspec.json.decode(body, type=kind)

    async def _newest_holding(self, bot_id: BotId) -> HoldingRow:
        [row] = await self._views.rows("holdings", bot_id, limit=1, descending=True)
        return msgspec.json.decode(row.body, type=HoldingRow)

    async def _many(self, bot_id: BotId, kind: type[RowT]) -> list[RowT]:
        rows = await self._views.rows(kind.view, bot_id, limit=ROWS_MAX)
        return [msgspec.json.decode(row.body, type=kind) for row in rows]


def _trade_result(trade: TradeRow) -> TradeResult:
    return TradeResult(
        symbol=trade.symbol,
        side=trade.side,
        quantity=trade.quantity,
        entry_time=trade.entry_time,
        entry_price=trade.entry_price,
        exit_time=trade.exit_time,
        exit_price=trade.exit_price,
        fees=trade.fees,
        net=trade.net,
        reason=trade.reason,
    )


def _open_result(position: PositionRow, mark: Decimal) -> OpenResult:
    return OpenResult(
        symbol=position.symbol,
        side=position.side,
        quantity=position.quantity,
        entry_time=position.entry_time,
        entry_price=position.entry_price,
        mark_price=text(mark),
        fees=position.fees,
        unrealised=text(result_at(position, mark)),
    )
