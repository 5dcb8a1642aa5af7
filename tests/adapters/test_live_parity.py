"""One strategy twice on the same candles: on paper, and live through real ccxt at the local exchange."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import time
from typing import Any

import pytest
from msgspec.structs import replace

from events.account import AccountArmed, AccountOpened, AccountUnreconciled
from events.bot import BotArmed, BotCreated, BotFact, BotStarted, CapitalDeposited, FundingSettled
from events.codec import Codec
from events.envelope import Fact, NewEvent
from events.identifiers import (
    AccountName,
    BotId,
    StreamId,
    Symbol,
    VenueName,
    account_stream,
    bot_stream,
    new_event_id,
)
from events.log import ANY_VERSION
from events.memory import MemoryEventLog
from events.values import FeeSchedule, MarketReference
from oxbot.adapters.ccxt_candles import CcxtCandleSource, open_candles
from oxbot.adapters.ccxt_instruments import instruments
from oxbot.adapters.ccxt_urls import VenueAddresses
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.app.bot_runner import BotRunner
from oxbot.app.clock import SystemClock
from oxbot.app.execution import ExecutionRunner, Pace
from oxbot.app.handle import fold_stream
from oxbot.app.parity import OrderDifference, Parity, compare_bots
from oxbot.core.bot_state import BotState
from oxbot.core.candles import Candle, Frame, Series
from oxbot.core.money import exact
from oxbot.exchange.model import Settings
from tests.app.fakes import at_work
from tests.contracts.venue_stages import opened_at
from tests.core.scenario import DECIDER, LIMITS, created
from tests.exchange.running import DEPOSITS, SEED, Candles, Venue, exchange_inside

pytestmark = pytest.mark.anyio

SPOT, SWAP = Symbol("BTC/USDT"), Symbol("BTC/USDT:USDT")
OKX, ACCOUNT = VenueName("okx"), AccountName("demo")
LIVE, PAPER = BotId("real"), BotId("paper")
MINUTE = timedelta(minutes=1)
PAST = 5
FEES = FeeSchedule(maker=Decimal("0.0008"), taker=Decimal("0.001"), buys_pay_in="base")
PARAMETERS = {
    "fast": "2", "slow": "3", "lookback": "3",
    "size_fraction": "0.2", "stop_fraction": "0.01", "target_fraction": "0.015",
}  # fmt: skip
WAIT_SECONDS = 30.0
LATE_MS = 250
"""How long after each close the market's clock stands still, so that what is asked for at the close trades then."""

TICK = Decimal("0.1")

CLOSES = [
    *[50000] * PAST,
    50300, 50400, 50350, 50000, 49900, 49800,  # in, and out by the signal
    50100, 50200, 51200, 51100, 50900, 50600,  # in, and out at the target
    50900, 51000, 50950, 50300, 50000, 49900,  # in, and out at the stop
    50200, 50300, 50350, 50300, 50290,  # in over the funding's mark, and out by the signal
]  # fmt: skip


def rows() -> list[tuple[str, str, str, str, str]]:
    """Candles that follow each other, with a wick of 20 on either side."""
    found, before = [], CLOSES[0]
    for close in CLOSES:
        high, low = max(before, close) + 20, min(before, close) - 20
        found.append((f"{before}", f"{high}", f"{low}", f"{close}", "1000"))
        before = close
    return found


def next_hour() -> datetime:
    """Where the market's clock begins: ahead of the machine's, so that no entry comes late and funding is due in it."""
    return datetime.fromtimestamp(int(time()) // 3600 * 3600 + 3600, UTC)


class Pair:
    """The two bots, the execution of the live one, and the exchange whose time the test drives."""

    def __init__(self, venue: Venue, source: CcxtCandleSource, begins_at: datetime) -> None:
        self.log = MemoryEventLog(Codec())
        self.candles = MemoryCandleStore()
        self.exchange = venue
        self._source = source
        self._market = MarketReference(
            venue=OKX, timeframe="1m", begins_at=begins_at, instruments=instruments(source.markets(), [SPOT, SWAP])
        )
        self._runners = [self._runner(LIVE), self._runner(PAPER)]
        self._moment = begins_at

    async def begin(self) -> None:
        """Both are created alike and claimed; the account and the live one are armed."""
        until = self._moment + timedelta(days=1)
        account = AccountOpened(account=ACCOUNT, venue=OKX, demo=True)
        await self._append(account_stream(ACCOUNT), account, AccountArmed(until=until))
        for bot_id, name in ((LIVE, ACCOUNT), (PAPER, None)):
            facts: list[Fact] = [self._creation(bot_id, name), CapitalDeposited(amount=Decimal(10_000)), BotStarted()]
            await self._append(bot_stream(bot_id), *facts, *([BotArmed(until=until)] if name else []))
        for runner in self._runners:
            await runner.claim()

    async def candle(self, runner: ExecutionRunner) -> None:
        """The next candle: both see it as the exchange tells it over ccxt, once all that happened in it is booked."""
        await self._settled(runner)
        found: list[tuple[Symbol, Candle]] = []
        for symbol in (SPOT, SWAP):
            [seen] = await self._source.history(symbol, begins_at=self._moment, ends_before=self._moment + MINUTE)
            found.append((symbol, seen))
        await self.candles.add([(Series(OKX, symbol, "1m"), [seen]) for symbol, seen in found])
        for each in self._runners:
            await each.observe([Frame(self._moment, tuple(found))])
        await self._settled(runner)
        self._moment += MINUTE

    async def facts(self, bot_id: BotId) -> Sequence[BotFact]:
        return [event.fact for event in await self.log.read_stream(bot_stream(bot_id))]  # type: ignore[misc]  # a bot's stream

    async def state(self, bot_id: BotId) -> BotState:
        return (await fold_stream(self.log, DECIDER, bot_stream(bot_id))).state

    async def _settled(self, runner: ExecutionRunner) -> None:
        """All that was asked for is at the exchange, and all that the exchange has done is in the log."""

        async def booked() -> bool:
            live = await self.state(LIVE)
            return runner.idle and _at_rest(live) and await self._agrees(live)

        async with asyncio.timeout(WAIT_SECONDS):
            while not await booked():
                await asyncio.sleep(0.02)

    async def _agrees(self, live: BotState) -> bool:
        books = await self.exchange.admin.books("demo")
        orders = [*live.ended.values(), *live.orders.values()]
        ours = Counter(name for order in orders for name in order.fill_ids)
        theirs = Counter(f"{row['instId']}:{row['tradeId']}:{row['ordId']}" for row in books["fills"])
        paid = [fact.amount for fact in await self.facts(LIVE) if isinstance(fact, FundingSettled)]
        return ours == theirs and sum(paid) == sum(Decimal(row["pnl"]) for row in books["bills"] if row["type"] == "8")

    def _runner(self, bot_id: BotId) -> BotRunner:
        return BotRunner(
            bot_id, log=self.log, decider=DECIDER, candles=self.candles, clock=SystemClock(), holder="host"
        )

    def _creation(self, bot_id: BotId, account: AccountName | None) -> BotCreated:
        limits = replace(LIMITS, leverage_max=Decimal(2))
        known = created(parameters=PARAMETERS, limits=limits, fees=FEES)
        return replace(known, bot_id=bot_id, market=self._market, account=account, leverage=Decimal(2))

    async def _append(self, stream: StreamId, *facts: Fact) -> None:
        now = datetime.now(UTC)
        events = [NewEvent(event_id=new_event_id(), occurred_at=now, fact=fact) for fact in facts]
        await self.log.append(stream, events, expected=ANY_VERSION)


def _at_rest(live: BotState) -> bool:
    """Whether nothing is under way: what works are the exits of what is held."""
    orders = live.orders.values()
    asked = [order for order in orders if order.accepted_at is None or order.cancel_requested_at or order.amending]
    return not asked and all(order.symbol in live.ledger.positions for order in orders)


@asynccontextmanager
async def pair(home: Path) -> AsyncIterator[tuple[Pair, ExecutionRunner]]:
    """Everything opened, five quiet candles seen."""
    start = next_hour()
    beginning = start - PAST * MINUTE
    market = Settings(seed=SEED, funding_interval_ms=600_000)
    async with (
        exchange_inside(
            home,
            candles=Candles(beginning, rows()),
            frozen=True,
            start_ms=int(start.timestamp() * 1000),
            settings=market,
        ) as exchange,
        open_candles(
            "okx",
            symbols=(SPOT, SWAP),
            timeframe="1m",
            clock=SystemClock(),
            addresses=VenueAddresses(rest=exchange.rest_url, ws=exchange.ws_url.removesuffix("/ws/v5")),
            clock_of="ticker",
        ) as source,
        opened_at(exchange) as venue,
    ):
        await source.load()
        both = Pair(exchange, source, beginning)
        await both.begin()
        runner = ExecutionRunner(
            ACCOUNT,
            venue=venue,
            log=both.log,
            decider=DECIDER,
            clock=SystemClock(),
            holder="execution",
            pace=Pace(sweep=0.5, sweep_least=0.1, heartbeat=3600.0),
        )
        async with at_work(runner.run()):
            for _ in range(PAST):
                await both.candle(runner)
            yield both, runner


async def test_a_live_bot_decides_as_on_paper_and_every_unit_of_difference_has_a_cause(tmp_path: Path) -> None:
    async with pair(tmp_path) as (both, runner):
        for number in range(len(CLOSES) - PAST):
            await both.exchange.admin.post("/clock", advance_ms=60_000 + (0 if number else LATE_MS))
            await both.candle(runner)
        found = await compare_bots(LIVE, PAPER, log=both.log, candles=both.candles)
        books = await both.exchange.admin.books("demo")
        facts = [event.fact for event in await both.log.read_stream(account_stream(ACCOUNT))]
    assert not found.decision_differences
    assert not found.setup
    assert found.unexplained == 0
    assert found.decisions == 2 * 6
    ways = Counter((row.symbol, *_reasons(row)) for row in found.orders)
    assert ways == {
        (symbol, reason, reason): times
        for symbol in (SPOT, SWAP)
        for reason, times in {"entry": 4, "exit_signal": 2, "take_profit": 1, "stop_loss": 1}.items()
    }
    _check_causes(found)
    assert found.live_result == _earned(books, found.marks[SPOT])
    assert not [fact for fact in facts if isinstance(fact, AccountUnreconciled)]


def _reasons(row: OrderDifference) -> tuple[str, str]:
    assert row.live is not None
    assert row.paper is not None
    return row.live.reasons[0], row.paper.reasons[0]


def _check_causes(found: Parity) -> None:
    """Each cause is there, but that everything traded on both sides; and they add up."""
    with exact():
        assert sum(found.causes.values()) == found.difference == found.live_result - found.paper_result
    assert {cause for cause, amount in found.causes.items() if amount} == {"price", "quantity", "fee", "funding"}
    assert found.latency is not None
    assert (found.latency.orders, found.latency.median_ms, found.latency.most_ms) == (12, LATE_MS, LATE_MS)
    entries = [row for row in found.orders if row.live and row.paper and row.live.reasons == ("entry",)]
    assert [row.live.price - row.paper.price for row in entries if row.live and row.paper] == [TICK] * 8


def _earned(books: Mapping[str, Any], mark: Decimal) -> Decimal:
    """What the exchange's own account has gained, flat as it is; what is left of coins counts at the mark."""
    balances = {row["ccy"]: Decimal(row["cashBal"]) for row in books["balances"]}
    assert not [row for row in books["positions"] if Decimal(row["pos"])]
    return balances["USDT"] - DEPOSITS["USDT"] + (balances["BTC"] - DEPOSITS["BTC"]) * mark
