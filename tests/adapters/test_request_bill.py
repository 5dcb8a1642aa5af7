"""What a venue is asked for: as much for a thousand bots as for one, and in a burst never more than it allows."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from events.account import AccountArmed, AccountOpened
from events.bot import BotArmed, BotStarted, CapitalDeposited, OrderRequested
from events.codec import Codec
from events.envelope import Fact, NewEvent
from events.identifiers import (
    AccountName,
    BotId,
    DecisionId,
    OrderId,
    StreamId,
    Symbol,
    VenueName,
    account_stream,
    bot_stream,
    new_event_id,
)
from events.log import ANY_VERSION
from events.memory import MemoryEventLog
from events.values import Instrument, MarketReference
from oxbot.adapters.ccxt_candles import open_candles
from oxbot.adapters.ccxt_urls import VenueAddresses
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.app.clock import SystemClock
from oxbot.app.execution import ExecutionRunner, Pace
from oxbot.app.handle import fold_stream
from oxbot.app.host_runner import HostRunner
from oxbot.app.live_market import LiveVenueMarket
from oxbot.app.live_market_time import LiveTiming
from oxbot.app.venue import Refused, VenueRequest
from oxbot.core.candles import Candle, Frame
from oxbot.exchange.engine import Exchange
from oxbot.exchange.feed import Feed
from oxbot.exchange.plan import spot
from tests.app.fakes import at_work
from tests.contracts.venue_stages import opened_at
from tests.core.scenario import DECIDER, created
from tests.exchange.running import Candles, Venue, exchange_inside
from tests.simulation.execution_world import decision

pytestmark = pytest.mark.anyio

OKX, ACCOUNT = VenueName("okx"), AccountName("demo")
MINUTE = timedelta(minutes=1)
START = datetime(2026, 3, 2, tzinfo=UTC)
SYMBOLS = [Symbol(f"{coin}/USDT") for coin in ("ADA", "BTC", "DOGE", "ETH", "SOL")]
LISTED = [spot(symbol, tick=Decimal("0.1"), lot=Decimal("0.0001")) for symbol in SYMBOLS]
CLOSES = [1000, 1000, 1000, 1000, 1000, 1010, 1005, 995, 990, 1000, 1010]
LIVED = 5
"""So many of the candles are in the past when the market begins."""

ASKED_AFTER = timedelta(seconds=LiveTiming().ask_after)
"""The market begins so long after a candle's close: nothing has to be waited for before that one is asked for."""

HOSTS = 4
WAIT_SECONDS = 60.0


class FiveSymbols(Candles):
    """One price path for five symbols."""

    def __init__(self) -> None:
        self._frames = []
        for number, (before, close) in enumerate(zip([CLOSES[0], *CLOSES], CLOSES, strict=False)):
            high, low = Decimal(max(before, close) + 1), Decimal(min(before, close) - 1)
            each = Candle(START + number * MINUTE, Decimal(before), high, low, Decimal(close), Decimal(100))
            self._frames.append(Frame(each.open_time, tuple((symbol, each) for symbol in SYMBOLS)))

    def feed(self, exchange: Exchange) -> Feed:
        """Each symbol moves its pair."""
        return Feed(exchange, self, MINUTE, {symbol: (symbol.replace("/", "-"),) for symbol in SYMBOLS})


class Fleet:
    """Bots on paper in a few hosts, which all follow one live market of the exchange."""

    def __init__(self, market: LiveVenueMarket, candles: MemoryCandleStore, log: MemoryEventLog) -> None:
        self.log = log
        self._market = market
        self._hosts = [
            HostRunner(f"host-{n}", log=log, decider=DECIDER, feed=market, candles=candles, clock=SystemClock())
            for n in range(HOSTS)
        ]

    async def place(self, bots: Mapping[BotId, Sequence[Symbol]]) -> None:
        """Create them and spread them over the hosts."""
        for bot_id, symbols in bots.items():
            listed = tuple(_instrument(symbol) for symbol in symbols)
            market = MarketReference(
                venue=OKX, timeframe="1m", begins_at=START + LIVED * MINUTE - 5 * MINUTE, instruments=listed
            )
            creation = replace(created(), bot_id=bot_id, market=market)
            await append(self.log, bot_stream(bot_id), creation, CapitalDeposited(amount=Decimal(10_000)), BotStarted())
        for number, host in enumerate(self._hosts):
            await host.place(list(bots)[number::HOSTS])

    def seen(self, moment: datetime) -> bool:
        """Whether every bot has lived through the candle that opened then."""
        return all(bot.cursor >= moment for host in self._hosts for bot in host.status(0).bots)

    async def run(self) -> None:
        """The market and the hosts."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._market.run())
            for host in self._hosts:
                group.create_task(host.run())


def _instrument(symbol: Symbol) -> Instrument:
    return Instrument(symbol=symbol, tick=Decimal("0.1"), lot=Decimal("0.0001"))


async def append(log: MemoryEventLog, stream: StreamId, *facts: Fact) -> None:
    now = datetime.now(UTC)
    events = [NewEvent(event_id=new_event_id(), occurred_at=now, fact=fact) for fact in facts]
    await log.append(stream, events, expected=ANY_VERSION)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not await condition():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def market_of(exchange: Venue) -> AsyncIterator[Fleet]:
    """A fleet without bots over the exchange's own candles."""
    addresses = VenueAddresses(rest=exchange.rest_url, ws=exchange.ws_url.removesuffix("/ws/v5"))
    log, candles = MemoryEventLog(Codec()), MemoryCandleStore()
    async with open_candles(
        "okx", symbols=SYMBOLS, timeframe="1m", clock=SystemClock(), addresses=addresses, clock_of="ticker"
    ) as source:
        market = LiveVenueMarket(
            source,
            venue=OKX,
            timeframe="1m",
            symbols=SYMBOLS,
            begins_at=START,
            store=candles,
            log=log,
            clock=SystemClock(),
        )
        yield Fleet(market, candles, log)


async def asked_for(home: Path, bots: Mapping[BotId, Sequence[Symbol]]) -> tuple[dict[str, int], list[str], int]:
    """What the exchange was asked for while these bots lived; the subscriptions; and how many orders were filled."""
    start = START + LIVED * MINUTE + ASKED_AFTER
    async with (
        exchange_inside(
            home,
            candles=FiveSymbols(),
            frozen=True,
            start_ms=int(start.timestamp() * 1000),
            instruments=LISTED,
            prices={},
        ) as exchange,
        market_of(exchange) as fleet,
    ):
        await fleet.place(bots)
        async with at_work(fleet.run()):
            for number in range(LIVED - 1, len(CLOSES)):
                moment = START + number * MINUTE
                if number >= LIVED:
                    await exchange.admin.post("/clock", advance_ms=60_000)

                async def seen(moment: datetime = moment) -> bool:
                    return fleet.seen(moment)

                await until(seen)
            report = await exchange.admin.get("/requests")
            sockets = await exchange.admin.get("/sockets")
    subscribed = [f"{each['channel']} {each['instId']}" for socket in sockets for each in socket["subscriptions"]]
    filled = await fleet.log.read_all(limit=100_000, types=("order.filled",))
    return report["requests"], sorted(subscribed), len(filled)


async def test_a_thousand_bots_on_five_symbols_ask_the_venue_for_what_one_does(tmp_path: Path) -> None:
    thousand = {BotId(f"bot-{n}"): [SYMBOLS[n % 5]] for n in range(1000)}
    one = await asked_for(tmp_path / "one", {BotId("bot"): SYMBOLS})
    many = await asked_for(tmp_path / "many", thousand)
    assert many[0] == one[0]
    assert many[1] == one[1] == [f"candle1m {symbol.replace('/', '-')}" for symbol in SYMBOLS]
    assert many[2] == 200 * one[2] > 0


BURST = 300
PAIRS = SYMBOLS[:4]
PRICE = Decimal(1000)
"""A quarter of the burst is on each pair: 75 orders at once, where a venue takes 60 of a pair in two seconds."""

CROWDED = 3
"""On so many of the pairs alone are orders that nothing but a limiter slows down."""


def burst_exchange(home: Path) -> AbstractAsyncContextManager[Venue]:
    """An exchange of these pairs, each at that price."""
    prices = {str(pair).replace("/", "-"): PRICE for pair in PAIRS}
    return exchange_inside(home, instruments=LISTED[: len(PAIRS)], prices=prices)


async def opened() -> tuple[MemoryEventLog, list[BotId]]:
    """An armed account with 300 armed bots, a quarter of them on each of four symbols."""
    log, until = MemoryEventLog(Codec()), datetime.now(UTC) + timedelta(days=1)
    account = AccountOpened(account=ACCOUNT, venue=OKX, demo=True)
    await append(log, account_stream(ACCOUNT), account, AccountArmed(until=until))
    bots = [BotId(f"bot-{n}") for n in range(BURST)]
    for number, bot_id in enumerate(bots):
        instrument = Instrument(symbol=_pair(number), tick=Decimal("0.1"), lot=Decimal("0.0001"))
        creation = replace(created(instrument), bot_id=bot_id, account=ACCOUNT)
        armed = (CapitalDeposited(amount=Decimal(300)), BotStarted(), BotArmed(until=until))
        await append(log, bot_stream(bot_id), creation, *armed)
    return log, bots


def _pair(number: int) -> Symbol:
    return PAIRS[number % len(PAIRS)]


async def enter(log: MemoryEventLog, number: int, bot_id: BotId) -> None:
    symbol, at = _pair(number), datetime.now(UTC) - timedelta(minutes=5)
    decided = DecisionId(f"{bot_id}-d1")
    entry = OrderRequested(
        order_id=OrderId(f"{bot_id}-1"),
        at=at,
        symbol=symbol,
        side="buy",
        kind="market",
        reason="entry",
        notional=Decimal(100),
        decision_id=decided,
        at_close=True,
    )
    await append(log, bot_stream(bot_id), decision(decided, symbol, PRICE, at), entry)


async def test_a_burst_of_three_hundred_orders_of_many_bots_stays_within_the_venues_limits(tmp_path: Path) -> None:
    log, bots = await opened()
    async with burst_exchange(tmp_path) as exchange, opened_at(exchange) as venue:
        runner = ExecutionRunner(
            ACCOUNT, venue=venue, log=log, decider=DECIDER, clock=SystemClock(), holder="execution", pace=Pace()
        )

        async def reconciled() -> bool:
            return runner.account.state.reconciled

        async def all_hold() -> bool:
            for bot_id in bots if runner.idle else bots[-1:]:
                state = (await fold_stream(log, DECIDER, bot_stream(bot_id))).state
                if state.orders or not state.ledger.positions:
                    return False
            return runner.idle

        async with at_work(runner.run()):
            await until(reconciled)
            for number, bot_id in enumerate(bots):
                await enter(log, number, bot_id)
            await until(all_hold)
        report = await exchange.admin.get("/requests")
        books = await exchange.admin.books("demo")
    assert report["too_many_requests"] == 0
    assert set(report["code_totals"]) == {"0"}
    assert report["requests"]["POST trade/order"] == BURST == len(books["orders"]) == len(books["fills"])
    assert Counter(row["clOrdId"] for row in books["orders"]).most_common(1)[0][1] == 1


@pytest.mark.parametrize("connections", [1, 3])
async def test_three_hundred_orders_at_once_need_one_limiter_for_the_account(tmp_path: Path, connections: int) -> None:
    """Three connections that do not share one are refused: the exchange counts, and nothing else slows them down."""
    async with burst_exchange(tmp_path) as exchange, AsyncExitStack() as stack:
        venues = [await stack.enter_async_context(opened_at(exchange)) for _ in range(connections)]
        await exchange.admin.delete("/requests")
        expires_at = await venues[0].now() + timedelta(minutes=2)
        requests = [
            VenueRequest(
                client_id=f"burst{number}",
                symbol=PAIRS[number % CROWDED],
                side="buy",
                kind="market",
                quantity=Decimal("0.001"),
                expires_at=expires_at,
            )
            for number in range(BURST)
        ]
        answers = await asyncio.gather(
            *(venues[number // CROWDED % connections].place(request) for number, request in enumerate(requests))
        )
        report = await exchange.admin.get("/requests")
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert {answer.code for answer in refused} == (set() if connections == 1 else {"50011"})
    assert report["too_many_requests"] == len(refused)
