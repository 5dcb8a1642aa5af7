"""Puts together what reports of earnings are made of, for one bot or for all that somebody may read."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import msgspec

from events.identifiers import BotId, Symbol
from oxbot.app.bots import UnknownBot
from oxbot.app.equity import EquityReader
from oxbot.app.views import RowReader, StoredRow
from oxbot.core.money import ZERO, exact
from oxbot.views.advice_rows import ArenaRow
from oxbot.views.reports import Held, Material, Traded
from oxbot.views.rows import BotLine, BotRow, PortfolioRow, PositionRow, Row, ViewName, numbered

PAGE = 500
TRADES_KEPT_MAX = 200_000
"""Of so many trades at most, all bots together, this process keeps what reports need of them."""

POSITIONS_MAX = 5
ROWS_MAX = 1_000_000

RowT = TypeVar("RowT", bound=Row)
_Market = tuple[str, str, tuple[Symbol, ...]]


class _Bot(BotLine, frozen=True, kw_only=True):
    """A bot, and of its limits what reports need."""

    limits: "_Limits | None" = None


class _Limits(msgspec.Struct, frozen=True):
    positions_max: int = POSITIONS_MAX


class Marks(NamedTuple):
    """The newest closes of a market's symbols, and when the newest of them was."""

    closes: Mapping[Symbol, Decimal]
    until: datetime | None


class ReportReader:
    """Reads trades and open positions. A trade never changes, so those that were read once are not read again."""

    def __init__(self, equity: EquityReader) -> None:
        self._equity = equity
        self._trades: dict[BotId, list[Traded]] = {}

    async def of_bot(
        self, bot_id: BotId, rows: RowReader, *, cursor: datetime | None = None, trades: bool = True
    ) -> Material:
        """One bot's, at its market's newest close; of the past with these rows, at the close of the cursor's candle.

        Without ``trades`` those are left out.
        """
        bot = await _one(rows, bot_id, BotRow)
        known = await _one(rows, bot_id, ArenaRow)
        portfolio = await _one(rows, bot_id, PortfolioRow)
        held = [
            msgspec.json.decode(row.body, type=PositionRow) for row in await rows.rows("positions", bot_id, limit=PAGE)
        ]
        marks = await self._marks(bot, cursor)
        return Material(
            quote=bot.quote,
            capital=_capital(portfolio),
            trades=await self._trades_of(bot_id, rows, known.trades) if trades else (),
            held=_marked(held, marks),
            begun_at=bot.created_at,
            begins_at=bot.begins_at,
            until=marks.until or bot.begins_at,
            positions_max=bot.limits.positions_max if bot.limits else POSITIONS_MAX,
        )

    async def of_all(
        self,
        rows: RowReader,
        *,
        quote: str = "",
        fleet: str | None = None,
        cursors: Mapping[BotId, datetime] = MappingProxyType({}),
    ) -> Material | None:
        """Those of all bots that the reader shows with one quote currency, unless it is given that of most of them.

        Of the past, each at the close of its cursor's candle. None if there is no such bot.
        """
        bots = [bot for bot in await _all(rows, "bots", _Bot) if fleet in (None, bot.fleet)]
        quotes = Counter(bot.quote for bot in bots)
        quote = quote or next((name for name, _ in quotes.most_common(1)), "")
        chosen = [bot for bot in bots if bot.quote == quote]
        if not chosen:
            return None
        portfolios = {row.bot_id: row for row in await _all(rows, "portfolios", PortfolioRow)}
        arena = {row.bot_id: row for row in await _all(rows, "arena", ArenaRow)}
        marks: dict[tuple[_Market, datetime | None], Marks] = {}
        trades: list[Sequence[Traded]] = []
        held: list[Held] = []
        for bot in chosen:
            known, cursor = arena.get(bot.bot_id), cursors.get(bot.bot_id)
            market = _market(bot), cursor
            trades.append(await self._trades_of(bot.bot_id, rows, known.trades if known else ROWS_MAX))
            if market not in marks:
                marks[market] = await self._marks(bot, cursor)
            if known is None or known.positions:
                found = await rows.rows("positions", bot.bot_id, limit=PAGE)
                held += _marked((msgspec.json.decode(row.body, type=PositionRow) for row in found), marks[market])
        with exact():
            capital = sum((_capital(portfolios[bot.bot_id]) for bot in chosen if bot.bot_id in portfolios), ZERO)
        ends = [market.until for market in marks.values() if market.until is not None]
        return Material(
            quote=quote,
            capital=capital,
            trades=list(chain.from_iterable(trades)),
            held=held,
            begun_at=min(bot.created_at for bot in chosen),
            begins_at=min(bot.begins_at for bot in chosen),
            until=max(ends, default=max(bot.begins_at for bot in chosen)),
            positions_max=sum(bot.limits.positions_max if bot.limits else POSITIONS_MAX for bot in chosen),
            bots=len(chosen),
            left_out=len(bots) - len(chosen),
        )

    async def _trades_of(self, bot_id: BotId, rows: RowReader, number: int) -> Sequence[Traded]:
        """The first trades of the bot, so many of them."""
        known = self._trades.get(bot_id, [])
        if len(known) < number:
            after = numbered(len(known)) if known else ""
            found = await rows.rows("trades", bot_id, after_key=after, limit=ROWS_MAX)
            known = known + await asyncio.to_thread(_traded, found)
            if sum(map(len, self._trades.values())) + len(known) <= TRADES_KEPT_MAX:
                self._trades[bot_id] = known
        return known[:number]

    async def _marks(self, bot: BotLine, cursor: datetime | None) -> Marks:
        found = await self._equity.newest(bot, last=cursor)
        until = max((candle.open_time for candle in found.values()), default=None)
        return Marks({symbol: candle.close for symbol, candle in found.items()}, until)


def _traded(rows: Iterable[StoredRow]) -> list[Traded]:
    # A long life is a tenth of a second of work, and others are waiting for their answers.
    decode = msgspec.json.Decoder(Traded).decode
    return [decode(row.body) for row in rows]


def _marked(positions: Iterable[PositionRow], marks: Marks) -> list[Held]:
    """Each at its symbol's newest close; one whose symbol's candles are not in the store, at its entry's price."""
    return [Held(position, marks.closes.get(position.symbol, Decimal(position.entry_price))) for position in positions]


def _capital(portfolio: PortfolioRow) -> Decimal:
    with exact():
        return Decimal(portfolio.deposits) - Decimal(portfolio.withdrawals)


def _market(bot: BotLine) -> _Market:
    return bot.venue, bot.timeframe, tuple(sorted(bot.symbols))


async def _one(rows: RowReader, bot_id: BotId, kind: type[RowT]) -> RowT:
    body = await rows.row(kind.view, bot_id)
    if body is None:
        raise UnknownBot("there is no such bot")
    return msgspec.json.decode(body, type=kind)


async def _all(rows: RowReader, view: ViewName, kind: type[RowT]) -> list[RowT]:
    found: list[RowT] = []
    after = ""
    while page := await rows.across(view, after_bot=after, limit=PAGE):
        found.extend(msgspec.json.decode(row.body, type=kind) for row in page)
        after = page[-1].owner
    return found
