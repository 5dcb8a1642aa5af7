"""All bots at a glance, at the newest closes: made once for everybody who asks, and anew after a while."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeVar

import msgspec
import structlog

from events.bot import TradingState
from events.errors import OxbotError
from events.identifiers import HOUSE, BotId, OwnerId, Symbol
from oxbot.app.equity import EquityReader
from oxbot.app.failing import FailingBot, FailingBots
from oxbot.app.fleet_falls import FleetFalls, Market, market_of
from oxbot.app.views import Snapshot, ViewReader
from oxbot.core.candles import Candle
from oxbot.core.money import ZERO, exact, ratio, text
from oxbot.core.state import BotStatus
from oxbot.views.amounts import Amount
from oxbot.views.falls import Fall
from oxbot.views.rows import ViewName

PAGE = 500
FRESH_SECONDS = 1.0
"""So old an overview is given away as it is; an older one too, while a newer is made, up to ``STALE_SECONDS``."""

STALE_SECONDS = 10.0
FALL_DIGITS = Decimal("1e-8")

RowT = TypeVar("RowT", bound=msgspec.Struct)

logger = structlog.get_logger(__name__)


class OverviewBot(msgspec.Struct, frozen=True, kw_only=True):
    """What the overview needs of a bot's row."""

    bot_id: BotId
    name: str
    fleet: str
    owner: OwnerId = HOUSE
    status: BotStatus
    trading: TradingState = "active"
    halted: str = ""
    strategy: str
    strategy_version: int
    venue: str
    timeframe: str
    symbols: tuple[Symbol, ...]
    begins_at: datetime
    quote: str
    account: str | None = None
    archived: bool = False


class OverviewMoney(msgspec.Struct, frozen=True, kw_only=True):
    """What the overview needs of what a bot is compared by."""

    bot_id: BotId
    initial_capital: str
    capital: str
    since: datetime
    cash: str
    owed: str
    quantities: tuple[tuple[Symbol, str], ...]
    trades: int
    positions: int = 0


class OverviewLine(msgspec.Struct, frozen=True, kw_only=True):
    """A bot in the overview.

    ``total_return`` is its result as a fraction of its ``capital``, which is what was deposited less what was
    withdrawn; null if that is nothing or less.
    The drawdowns are fractions of the highest equity before, capital flows left out; null for a bot whose curve has not
    begun, and of the past also where it is too long. ``error`` says why a failing bot does not live, since
    ``failing_since``; of the past, neither is known. ``candle`` is the open time of the
    newest candle that the equity is of.
    """

    bot_id: BotId
    name: str
    fleet: str
    owner: OwnerId
    status: BotStatus
    trading: TradingState
    halted: str
    strategy: str
    strategy_version: int
    venue: str
    timeframe: str
    symbols: tuple[Symbol, ...]
    quote: str
    live: bool
    capital: Amount | None
    equity: Amount | None
    pnl: Amount | None
    total_return: Amount | None
    open_positions: int
    trades: int
    max_drawdown: Amount | None
    current_drawdown: Amount | None
    candle: datetime | None
    archived: bool
    failing_since: datetime | None = None
    error: str | None = None


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Every bot that one may read, in order of id, all as of one position, ``lag_events`` behind the log.

    Archived ones are left out unless they are asked for; ``bots`` counts those that are in it. Of the past it is a
    page, and ``next`` the cursor of the one that follows; of now it is all of it.
    """

    position: int
    lag_events: int
    bots: int
    items: list[OverviewLine]
    next: str | None = None


class _Written(NamedTuple):
    """A line as JSON, and what decides who is given it."""

    owner: OwnerId
    archived: bool
    body: bytes


class _Made(NamedTuple):
    """The newest overview: its lines, and what those were given of it who may read so much and asked for as much."""

    position: int
    at: float
    lines: Sequence[_Written]
    given: dict[tuple[frozenset[OwnerId] | None, bool], tuple[int, bytes]]


class FleetOverview:
    """Keeps one overview of all bots. Whoever asks is given a part of it, and starts a newer one where that is due."""

    def __init__(self, views: ViewReader, equity: EquityReader, failing: FailingBots, falls: FleetFalls) -> None:
        self._views = views
        self._equity = equity
        self._failing = failing
        self._falls = falls
        self._made: _Made | None = None
        self._making: asyncio.Task[_Made] | None = None

    async def of(
        self, owners: Collection[OwnerId] | None, *, head: int, min_position: int = 0, archived: bool = False
    ) -> tuple[int, bytes]:
        """The position, and the overview of these owners' bots (None: of all) as JSON, not before ``min_position``.

        Of those that are archived only if it says so.
        """
        made = self._made
        age = float("inf") if made is None else time.monotonic() - made.at
        if made is None or age > STALE_SECONDS:
            made = await asyncio.shield(self._make())
        elif age > FRESH_SECONDS:
            self._make()
        while made.position < min_position:
            # What is being made may have been begun before the views had come to there.
            made = await asyncio.shield(self._make())
        wanted = None if owners is None else frozenset(owners)
        if (wanted, archived) not in made.given:
            lines = [line for line in made.lines if archived or not line.archived]
            bodies = [line.body for line in lines if wanted is None or line.owner in wanted]
            made.given[wanted, archived] = len(bodies), b",".join(bodies)
        count, items = made.given[wanted, archived]
        lag = max(0, head - made.position)
        begin = b'{"position":%d,"lag_events":%d,"bots":%d,"items":[' % (made.position, lag, count)
        return made.position, begin + items + b'],"next":null}'

    async def refresh(self) -> None:
        """Return once a new overview is made."""
        await self.settle()
        await asyncio.shield(self._make())

    async def settle(self) -> None:
        """Return once nothing is being made any more."""
        if self._making is not None:
            await asyncio.wait([self._making])

    def _make(self) -> asyncio.Task[_Made]:
        """The making under way, or a new one; only one is at a time."""
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(self._fresh(), name="fleet overview")
            self._making.add_done_callback(_told)
        return self._making

    async def _fresh(self) -> _Made:
        async with self._views.snapshot() as views:
            bots = await _all(views, "bots", OverviewBot)
            money = {row.bot_id: row for row in await _all(views, "arena", OverviewMoney)}
            position = views.position
        by_market: dict[Market, list[OverviewBot]] = defaultdict(list)
        for bot in bots:
            by_market[market_of(bot)].append(bot)
        closes = {market: await self._equity.newest(members[0]) for market, members in by_market.items()}
        ends = {market: max(candle.open_time for candle in found.values()) for market, found in closes.items() if found}
        falls = await self._falls.of(by_market, money, ends)
        failing = await self._failing.all()
        lines: list[_Written] = []
        for bot in bots:
            line = overview_line(bot, money.get(bot.bot_id), closes[market_of(bot)], falls.get(bot.bot_id))
            body = msgspec.json.encode(_with_failure(line, failing.get(bot.bot_id)))
            lines.append(_Written(bot.owner, bot.archived, body))
        self._made = _Made(position, time.monotonic(), lines, {})
        return self._made


def _told(making: asyncio.Task[_Made]) -> None:
    """Say why an overview could not be made: it may be that nobody waits for it who would be told."""
    error = None if making.cancelled() else making.exception()
    if isinstance(error, OxbotError):
        logger.warning("overview_not_made", reason=str(error))
    elif error is not None:
        logger.error("overview_failed", exc_info=error)


def overview_line(
    bot: OverviewBot, money: OverviewMoney | None, closes: Mapping[Symbol, Candle], fall: Fall | None
) -> OverviewLine:
    """The bot at these closes."""
    equity = _equity(money, closes)
    pnl = gain = None
    if money is not None and equity is not None:
        with exact():
            capital = Decimal(money.capital)
            pnl = equity - capital
        gain = ratio(pnl, capital) if capital > 0 else None
    return OverviewLine(
        bot_id=bot.bot_id,
        name=bot.name,
        fleet=bot.fleet,
        owner=bot.owner,
        status=bot.status,
        trading=bot.trading,
        halted=bot.halted,
        strategy=bot.strategy,
        strategy_version=bot.strategy_version,
        venue=bot.venue,
        timeframe=bot.timeframe,
        symbols=bot.symbols,
        quote=bot.quote,
        live=bot.account is not None,
        capital=None if money is None else money.capital,
        equity=_shown(equity),
        pnl=_shown(pnl),
        total_return=_shown(gain),
        open_positions=money.positions if money else 0,
        trades=money.trades if money else 0,
        max_drawdown=None if fall is None else _fraction(fall.deepest),
        current_drawdown=None if fall is None else _fraction(fall.current),
        candle=max((candle.open_time for candle in closes.values()), default=None),
        archived=bot.archived,
    )


def _equity(money: OverviewMoney | None, closes: Mapping[Symbol, Candle]) -> Decimal | None:
    """What the bot's cash and holdings come to; None where a symbol that it holds has no close."""
    if money is None or any(symbol not in closes for symbol, _ in money.quantities):
        return None
    with exact():
        held = sum((Decimal(quantity) * closes[symbol].close for symbol, quantity in money.quantities), ZERO)
        return Decimal(money.cash) - Decimal(money.owed) + held


def _with_failure(line: OverviewLine, failing: FailingBot | None) -> OverviewLine:
    if failing is None:
        return line
    return msgspec.structs.replace(line, failing_since=failing.failing_since, error=failing.error)


def _shown(amount: Decimal | None) -> Amount | None:
    return None if amount is None else text(amount)


def _fraction(share: float) -> Amount:
    return text(Decimal(share).quantize(FALL_DIGITS))


async def _all(views: Snapshot, view: ViewName, kind: type[RowT]) -> list[RowT]:
    found: list[RowT] = []
    decoder = msgspec.json.Decoder(kind)
    after = ""
    while page := await views.across(view, after_bot=after, limit=PAGE):
        found.extend(decoder.decode(row.body) for row in page)
        after = page[-1].owner
        # A page takes some milliseconds, and others are waiting for their answers.
        await asyncio.sleep(0)
    return found
