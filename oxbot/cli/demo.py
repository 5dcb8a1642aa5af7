"""The demo: a fleet of its own trades a market on paper, through Ray and Postgres, and reports what it did."""

import asyncio
import os
import sys
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack, redirect_stdout
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from actors.environment import prepare_embedded
from events.errors import OxbotError
from events.identifiers import BotId, FleetName, Symbol, VenueName, bot_stream
from events.values import Instrument
from oxbot.adapters.model_table import read_model_table
from oxbot.adapters.recorded_market import read_market
from oxbot.adapters.synthetic_market import SyntheticMarket
from oxbot.app.bots import BotCommands
from oxbot.app.equity import EquityReader
from oxbot.app.fleet_report import BotResult, FleetReporter, FleetResult, MarketRange
from oxbot.app.new_bot import NewBot, creation
from oxbot.cli.inputs import (
    InvalidInput,
    Kill,
    parse_amount,
    parse_kills,
    parse_moment,
    parse_parameters,
    parse_speed,
    parse_symbols,
)
from oxbot.cli.installation import FEES
from oxbot.cli.progress import DemoProgress
from oxbot.cli.up import serve_beside
from oxbot.config import Settings, load_settings
from oxbot.core.bot import BotDecider
from oxbot.core.candles import Candle, Series, timeframe_duration
from oxbot.core.strategy import advice_terms
from oxbot.logs import configure_logs
from oxbot.views.rows import BotLine
from oxbot.wiring.api import ApiPlan, exposure, serve_api
from oxbot.wiring.connections import FIXED
from oxbot.wiring.database import open_database
from oxbot.wiring.market import PlayedMarket, Speed
from oxbot.wiring.models import ModelsPlan, models_plan, paced, take_keys
from oxbot.wiring.stores import Database, Stores, open_stores
from oxbot.wiring.strategies import installed_strategies

if TYPE_CHECKING:
    from actors.fleet import Fleet, FleetProgress

POLL_SECONDS = 0.1
SYNTHETIC_BEGINS_AT = datetime(2024, 1, 1, tzinfo=UTC)
LOST_SECONDS_MAX = 90.0
CRASHES_MAX = 3
"""Whoever crashes so often on a market that stands still crashes for good."""

DEFAULT_SYMBOLS = "BTC/USDT,ETH/USDT,SOL/USDT,XRP/USDT,DOGE/USDT,ADA/USDT"

app = typer.Typer()


@app.command()
def demo(
    market: Annotated[
        Path | None, typer.Option(help="A folder of candle files; without it, a synthetic market.")
    ] = None,
    timeframe: Annotated[str, typer.Option(help="Length of a candle, such as 5m or 1h.")] = "5m",
    symbols: Annotated[str, typer.Option(help="Symbols, separated by commas.")] = DEFAULT_SYMBOLS,
    bots: Annotated[int | None, typer.Option(min=1, max=1000, help="How many bots; bot i trades symbol i.")] = None,
    begins: Annotated[str | None, typer.Option("--from", help="First moment, inclusive, by candle open time.")] = None,
    ends: Annotated[str | None, typer.Option("--to", help="Last moment, exclusive.")] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Length of the synthetic market without --to.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the synthetic market.")] = 1,
    speed: Annotated[str, typer.Option(help="max, or how many times as fast as the clock, such as 60x.")] = "max",
    strategy: Annotated[str, typer.Option(help="What the bots decide by.")] = "ema_cross",
    param: Annotated[list[str] | None, typer.Option(help="A strategy parameter, name=value; may come again.")] = None,
    capital: Annotated[str, typer.Option(help="Quote capital of each bot.")] = "10000",
    fleet: Annotated[str | None, typer.Option(help="Name of the fleet; a fresh one unless given.")] = None,
    kill: Annotated[list[str] | None, typer.Option(help="Kill -9 a process on the way, such as bot@30%.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    stop: Annotated[bool, typer.Option("--exit", help="Exit at the end instead of serving the API.")] = False,
) -> None:
    """Let a fleet of its own trade a market on paper, end to end, then serve the API."""
    chosen = parse_symbols(symbols)
    options = DemoOptions(
        market=market,
        timeframe=timeframe,
        symbols=chosen,
        bots=bots or len(chosen),
        begins_at=parse_moment(begins, "--from"),
        ends_before=parse_moment(ends, "--to"),
        days=days,
        seed=seed,
        speed=parse_speed(speed),
        strategy=strategy,
        parameters=parse_parameters(param or []),
        capital=parse_amount(capital, "--capital"),
        fleet=None if fleet is None else FleetName(fleet),
        kills=tuple(parse_kills(kill or [])),
    )
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)
    progress = DemoProgress(as_json=as_json)
    try:
        asyncio.run(Demo(options, settings, progress).run(then_serve=not stop))
    finally:
        progress.close()


class DemoFailed(OxbotError):
    """The fleet did not come to the end of its market."""


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the demo is to run."""

    market: Path | None
    timeframe: str
    symbols: tuple[Symbol, ...]
    bots: int
    begins_at: datetime | None
    ends_before: datetime | None
    days: int
    seed: int
    speed: float | None
    strategy: str
    parameters: dict[str, str]
    capital: Decimal
    fleet: FleetName | None
    kills: tuple[Kill, ...]


class DemoMarket(msgspec.Struct, frozen=True, kw_only=True):
    """The candles to be traded; implements ``MarketTerms`` for the bots of the demo."""

    venue: VenueName
    timeframe: str
    instruments: tuple[Instrument, ...]
    candles: tuple[tuple[Symbol, list[Candle]], ...]
    begins_at: datetime
    ends_before: datetime
    notes: tuple[str, ...] = ()

    async def next_open(self) -> datetime:
        """Every bot sees the market from its first candle, and every command counts from it on."""
        return self.begins_at

    async def closed_before(self, venue: str) -> datetime:
        """The whole market has closed when results are read."""
        del venue
        return self.ends_before

    @property
    def size(self) -> int:
        """How many candles, all symbols together."""
        return sum(len(candles) for _, candles in self.candles)


def load_market(options: DemoOptions) -> DemoMarket:
    """Read or make the whole market, and check every candle, before anything is written."""
    if options.market is None:
        return _synthetic(options)
    recorded = read_market(
        options.market,
        timeframe=options.timeframe,
        symbols=options.symbols,
        begins_at=options.begins_at,
        ends_before=options.ends_before,
    )
    candle = timeframe_duration(options.timeframe)
    first = min(candles[0].open_time for _, candles in recorded.candles)
    last = max(candles[-1].open_time for _, candles in recorded.candles)
    return DemoMarket(
        venue=recorded.venue,
        timeframe=recorded.timeframe,
        instruments=recorded.instruments,
        candles=recorded.candles,
        begins_at=first,
        ends_before=last + candle,
        notes=recorded.notes,
    )


class Demo:
    """One run of the demo."""

    def __init__(self, options: DemoOptions, settings: Settings, progress: DemoProgress) -> None:
        self._options = options
        self._settings = settings
        self._progress = progress
        self._market = load_market(options)
        self._fleet = options.fleet or FleetName(f"demo-{uuid.uuid4().hex[:8]}")
        self._check_bots()

    async def run(self, *, then_serve: bool) -> FleetResult:
        """Run to the end of the market and answer the result; then serve the API if asked to, until interrupted."""
        self._progress.begin(self._market.begins_at, self._market.ends_before)
        for note in self._market.notes:
            self._progress.note(note)
        async with AsyncExitStack() as stack:
            # Standard output is for the result alone; Ray prints what it has to say there too.
            stack.enter_context(redirect_stdout(sys.stderr))
            self._progress.stage("starting Postgres")
            database = await stack.enter_async_context(open_database(self._settings))
            operator = open_stores(database, "oxbot_operator", name="demo", connections=FIXED["starter"])
            stores = await stack.enter_async_context(operator)
            bot_ids = await self._create_bots(stores)
            await self._store_market(stores)
            self._progress.stage("starting Ray")
            plan = self._plan(len(bot_ids))
            models = self._models()
            prepare_embedded(self._settings.home)
            from actors.cluster import start_ray, stop_ray  # noqa: PLC0415 - Ray reads its environment on import

            start_ray(self._settings)
            stack.callback(stop_ray)
            from actors.fleet import Fleet  # noqa: PLC0415 - imports Ray

            fleet = Fleet(self._fleet, database, self._settings, plan, models=models and paced(models, plan))
            stack.push_async_callback(fleet.seal)
            rate = await self._trade(fleet, stores)
            result = await self._report(stores, bot_ids, rate)
            self._progress.result(result)
            if then_serve:
                await serve_beside(serve_api(self._api(database)), fleet.tend())
        return result

    async def _create_bots(self, stores: Stores) -> list[BotId]:
        """Create and start the bots at the market's first moment: bot i trades symbol i alone."""
        self._progress.stage("creating bots")
        commands = bot_commands(stores, self._market, self._fleet)
        bot_ids: list[BotId] = []
        for number in range(self._options.bots):
            bot_id = self._bot_id(number)
            await commands.create(self._new_bot(number), bot_id=bot_id)
            await commands.start(bot_id)
            bot_ids.append(bot_id)
        return bot_ids

    def _check_bots(self) -> None:
        """Refuse a bot that could not be created before anything is started or written."""
        market, decider = self._market, BotDecider(installed_strategies())
        for number in range(self._options.bots):
            command = creation(
                self._new_bot(number),
                bot_id=self._bot_id(number),
                fleet=self._fleet,
                market=market,
                fees=FEES,
                begins_at=market.begins_at,
            )
            decider.decide(command, decider.initial)

    def _bot_id(self, number: int) -> BotId:
        return BotId(f"{self._fleet}-{number + 1}")

    def _new_bot(self, number: int) -> NewBot:
        symbols = self._options.symbols
        return NewBot(
            name=f"bot-{number + 1}",
            symbols=(symbols[number % len(symbols)],),
            strategy=self._options.strategy,
            parameters=self._options.parameters,
            capital=self._options.capital,
        )

    async def _store_market(self, stores: Stores) -> None:
        market = self._market
        self._progress.stage(f"storing {market.size:,} candles")
        await stores.candles.add(
            [(Series(market.venue, symbol, market.timeframe), candles) for symbol, candles in market.candles]
        )

    async def _trade(self, fleet: "Fleet", stores: Stores) -> float:
        """Let the fleet live through the market; candles per second, from the first one to the last projected fact."""
        self._progress.stage("starting the fleet")
        watch = Watch(fleet, stores, self._progress, list(self._options.kills), self._market)
        begun_at = await watch.until_done()
        seconds = (datetime.now(UTC) - begun_at).total_seconds()
        return round(self._market.size / seconds, 1)

    def _plan(self, bots: int) -> PlayedMarket:
        market = self._market
        speed = self._options.speed
        now = datetime.now(UTC)
        return PlayedMarket(
            venue=market.venue,
            timeframe=market.timeframe,
            symbols=tuple(symbol for symbol, _ in market.candles),
            begins_at=market.begins_at,
            ends_before=market.ends_before,
            followers=-(-bots // self._settings.bots_per_actor),
            speed=None if speed is None else Speed(factor=speed, started_at=now, market_at=market.begins_at),
        )

    def _models(self) -> ModelsPlan | None:
        """Whom the bots are advised by, if they are. The keys leave the environment before Ray inherits it."""
        strategies = installed_strategies()
        reference = strategies.refer(self._options.strategy, self._options.parameters)
        if advice_terms(strategies.bind(reference)) is None:
            if any(kill.victim == "models" for kill in self._options.kills):
                raise InvalidInput(f"--kill models: {self._options.strategy} asks no model")
            return None
        models = models_plan(self._settings, os.environ)
        take_keys(models)
        return models

    def _api(self, database: Database) -> ApiPlan:
        return ApiPlan(
            host=self._settings.api_host,
            port=self._settings.api_port,
            home=self._settings.home,
            database=database,
            commands=lambda stores: bot_commands(stores, self._market, self._fleet),
            market_time=self._market,
            announce=self._progress.announce,
            models=read_model_table(self._settings.models),
            **exposure(self._settings),
        )

    async def _report(self, stores: Stores, bot_ids: Sequence[BotId], rate: float) -> FleetResult:
        equity = EquityReader(stores.views, stores.candles, self._market)
        reporter = FleetReporter(stores.views, equity, read_model_table(self._settings.models))
        for bot_id in bot_ids:
            body = await stores.views.row("bots", bot_id)
            if body is not None and (halted := msgspec.json.decode(body, type=BotLine).halted):
                raise DemoFailed(f"bot {bot_id} was halted by {halted}")
        bots: list[BotResult] = [await reporter.bot(bot_id) for bot_id in bot_ids]
        market = MarketRange(
            begins_at=self._options.begins_at or self._market.begins_at,
            ends_before=self._options.ends_before or self._market.ends_before,
            candles=self._market.size,
        )
        events = sum([await _events(stores, bot_id) for bot_id in bot_ids])
        return FleetResult(market=market, bots=tuple(bots), events=events, candles_per_second=rate)


class Watch:
    """Looks at a fleet until it has traded its whole market, and kills what it was told to kill on the way."""

    def __init__(
        self, fleet: "Fleet", stores: Stores, progress: DemoProgress, kills: list[Kill], market: DemoMarket
    ) -> None:
        self._fleet = fleet
        self._stores = stores
        self._progress = progress
        self._kills = kills
        self._market = market
        self._seen_at = datetime.now(UTC)

    async def until_done(self) -> datetime:
        """Return when every bot has seen the last candle and every fact is projected; when market time began to pass.

        Raises ``DemoFailed`` if the fleet is lost for longer than it takes to restart anything, or if a bot crashes
        again and again: the market would wait for it for ever.
        """
        while True:
            progress = await self._look()
            if progress is not None:
                _refuse_hopeless(progress)
                await self._kill_when_due(progress)
                head = await self._stores.log.head()
                self._progress.moved(progress, head)
                begun_at = progress.market.begun_at
                if progress.market.finished and progress.projected >= head and begun_at is not None:
                    return begun_at
            await asyncio.sleep(POLL_SECONDS)

    async def _look(self) -> "FleetProgress | None":
        from actors.calls import ActorUnavailable  # noqa: PLC0415 - imports Ray

        try:
            progress = await self._fleet.progress()
        except ActorUnavailable as error:
            if datetime.now(UTC) - self._seen_at > timedelta(seconds=LOST_SECONDS_MAX):
                raise DemoFailed(f"the fleet does not answer: {error}") from error
            return None
        self._seen_at = datetime.now(UTC)
        return progress

    async def _kill_when_due(self, progress: "FleetProgress") -> None:
        slowest = progress.market.slowest
        if slowest is None or not self._kills:
            return
        span = self._market.ends_before - self._market.begins_at
        passed = (slowest - self._market.begins_at) / span
        while self._kills and passed >= self._kills[0].fraction:
            victim = self._kills.pop(0).victim
            process_id = await self._fleet.kill(victim)
            self._progress.note(f"killed the {victim} process {process_id} after {passed:.0%} of the market")


def bot_commands(stores: Stores, market: DemoMarket, fleet: FleetName) -> BotCommands:
    """Commands to the demo's bots; their time is the market's, so that two runs record the same."""
    return BotCommands(
        stores.log,
        BotDecider(installed_strategies()),
        fleet=fleet,
        market=market,
        fees=FEES,
        now=lambda: market.begins_at,
        actor="demo",
    )


def _refuse_hopeless(progress: "FleetProgress") -> None:
    for report in progress.hosts:
        for end in report.status.ended if report.status is not None else ():
            if end.outcome == "crashed" and end.number >= CRASHES_MAX and end.bot_id not in progress.bots:
                raise DemoFailed(f"bot {end.bot_id} has crashed {end.number} times: {end.error}")


async def _events(stores: Stores, bot_id: BotId) -> int:
    events = await stores.log.read_stream(bot_stream(bot_id))
    return len(events)


def _synthetic(options: DemoOptions) -> DemoMarket:
    candle = timeframe_duration(options.timeframe)
    begins_at = options.begins_at or SYNTHETIC_BEGINS_AT
    ends_before = options.ends_before or begins_at + timedelta(days=options.days)
    if ends_before <= begins_at:
        raise InvalidInput("--to must be after --from")
    generator = SyntheticMarket(options.seed, options.symbols, options.timeframe, begins_at)
    by_symbol: dict[Symbol, list[Candle]] = {symbol: [] for symbol in sorted(options.symbols)}
    for frame in islice(generator.frames_after(None), (ends_before - begins_at) // candle):
        for symbol, series_candle in frame.candles:
            by_symbol[symbol].append(series_candle)
    return DemoMarket(
        venue=generator.venue,
        timeframe=options.timeframe,
        instruments=generator.instruments,
        candles=tuple(by_symbol.items()),
        begins_at=begins_at,
        ends_before=ends_before,
    )
