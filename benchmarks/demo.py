"""The main job: candles per second through Ray and Postgres, beside the same decisions in one bare process."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median

from benchmarks import Result, result
from events.identifiers import BotId, FleetName, Symbol
from oxbot.adapters import embedded_postgres
from oxbot.app.bots import NewBot, creation
from oxbot.cli.demo import DemoMarket, DemoOptions, load_market
from oxbot.cli.installation import FEES
from oxbot.core.bot import BotDecider, ClaimBot, ObserveFrame, StartBot
from oxbot.core.candles import Candle, Frame
from oxbot.core.market_view import MarketView
from oxbot.core.state import evolve, fold
from oxbot.wiring.strategies import installed_strategies

ROUNDS = 3
DAYS = 60
SYMBOLS = tuple(Symbol(f"{base}/USDT") for base in ("BTC", "ETH", "SOL", "XRP", "DOGE"))
BEGINS_AT = datetime(2024, 1, 1, tzinfo=UTC)


async def run() -> AsyncIterator[Result]:
    """Five ``ema_cross`` bots over sixty days of five symbols at five minutes, a fresh database each round."""
    market = load_market(_options())
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(ROUNDS):
        ours.append(_through_the_fleet())
        theirs.append(_in_one_process(market))
    yield result(
        "demo",
        f"{len(SYMBOLS)} bots, {market.size} candles, --speed max",
        ours=median(ours),
        reference=median(theirs),
        reference_name="the same decider in one process, nothing recorded",
        unit="candles/s",
    )


def _through_the_fleet() -> float:
    with tempfile.TemporaryDirectory(prefix="oxbot-benchmark-", ignore_cleanup_errors=True) as directory:
        home = Path(directory) / "home"
        command = [str(Path(sys.executable).parent / "oxbot"), "demo", "--exit", "--json", "--days", str(DAYS)]
        command += ["--symbols", ",".join(SYMBOLS), "--bots", str(len(SYMBOLS))]
        environment = os.environ | {"OXBOT_HOME": str(home)}
        try:
            finished = subprocess.run(command, capture_output=True, check=True, env=environment, timeout=300)  # noqa: S603
        finally:
            embedded_postgres.stop(home / "postgres")
        rate: float = json.loads(finished.stdout)["candles_per_second"]
        return rate


def _in_one_process(market: DemoMarket) -> float:
    begun = time.perf_counter()
    for symbol, candles in market.candles:
        _live(market, symbol, candles)
    return market.size / (time.perf_counter() - begun)


def _live(market: DemoMarket, symbol: Symbol, candles: list[Candle]) -> None:
    decider = BotDecider(installed_strategies())
    create = creation(
        NewBot(name="bare", symbols=(symbol,)),
        bot_id=BotId("bare"),
        fleet=FleetName("bare"),
        market=market,
        fees=FEES,
        begins_at=market.begins_at,
    )
    state = fold(decider.decide(create, decider.initial))
    for command in (StartBot(), ClaimBot("bare")):
        state = fold(decider.decide(command, state), state)
    view = MarketView([symbol], capacity=decider.window(state))
    for candle in candles:
        frame = Frame(candle.open_time, ((symbol, candle),))
        view.push(frame)
        for fact in decider.decide(ObserveFrame(1, frame, view), state):
            state = evolve(state, fact)


def _options() -> DemoOptions:
    return DemoOptions(
        market=None,
        timeframe="5m",
        symbols=SYMBOLS,
        bots=len(SYMBOLS),
        begins_at=BEGINS_AT,
        ends_before=BEGINS_AT + timedelta(days=DAYS),
        days=DAYS,
        seed=1,
        speed=None,
        strategy="ema_cross",
        parameters={},
        capital=Decimal(10000),
        fleet=None,
        kills=(),
    )
