"""A local exchange on the command line: its market, its accounts, and what it says when it listens."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec

from events.identifiers import Symbol
from events.values import Instrument as Terms
from oxbot.adapters.recorded_market import RecordedMarket, read_market
from oxbot.adapters.synthetic_market import SyntheticMarket
from oxbot.cli.inputs import InvalidInput
from oxbot.core.candles import Candle, Frame, timeframe_duration
from oxbot.exchange.durable import write_whole
from oxbot.exchange.engine import Exchange
from oxbot.exchange.feed import CandleSource, Feed
from oxbot.exchange.local import Running, open_exchange
from oxbot.exchange.model import Instrument, Settings
from oxbot.exchange.plan import Funded, Plan, account, spot, swap

HISTORY = timedelta(days=2)
HISTORY_CANDLES = 300
"""Of recorded candles, so many are history when the market begins."""
DEPOSITS = {"USDT": Decimal(100_000), "BTC": Decimal(1)}
MARKET_FILE = "market.json"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command was given; without a folder of candles the market is synthetic."""

    home: Path
    port: int
    admin_port: int
    seed: int
    symbols: tuple[Symbol, ...]
    folder: Path | None
    timeframe: str
    speed: float
    start: datetime | None


class MarketIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What a home's market is made of; it stays the same over its restarts."""

    market: str
    seed: int
    symbols: tuple[Symbol, ...]
    timeframe: str
    begins_at: datetime
    starts_at: datetime


class RecordedFrames:
    """Recorded candles as frames."""

    def __init__(self, market: RecordedMarket) -> None:
        by_time: dict[datetime, list[tuple[Symbol, Candle]]] = {}
        for symbol, candles in market.candles:
            for candle in candles:
                by_time.setdefault(candle.open_time, []).append((symbol, candle))
        self._frames = [Frame(at, tuple(by_time[at])) for at in sorted(by_time)]

    def frames_after(self, open_time: datetime | None) -> Iterator[Frame]:
        """The frames that open later; all for None."""
        return iter([frame for frame in self._frames if open_time is None or frame.open_time > open_time])

    def starts_at(self) -> datetime:
        """Where a market begins that has some history."""
        return self._frames[min(HISTORY_CANDLES, len(self._frames) - 1)].open_time


async def run_exchange(options: Options) -> None:
    """Serve until cancelled."""
    options.home.mkdir(parents=True, exist_ok=True)
    source, terms, identity = _synthetic(options) if options.folder is None else _recorded(options, options.folder)
    seed = options.seed
    plan = Plan(
        home=options.home,
        settings=Settings(seed=seed),
        instruments=_instruments(terms),
        accounts=(
            account("demo", seed=seed, demo=True, deposits=DEPOSITS),
            account("live", seed=seed, demo=False, deposits=DEPOSITS),
        ),
        port=options.port,
        admin_port=options.admin_port,
        start_ms=int(identity.starts_at.timestamp() * 1000),
        speed=options.speed,
        may_crash=True,
    )
    names = {
        symbol: [row.inst_id for row in plan.instruments if f"{row.base}/{row.quote}" == symbol]
        for symbol in identity.symbols
    }

    def make_feed(engine: Exchange) -> Feed:
        return Feed(engine, source, timeframe_duration(identity.timeframe), names)

    async with open_exchange(plan, make_feed) as running:
        sys.stdout.write(_words(plan, running))
        sys.stdout.flush()
        await asyncio.Event().wait()


def _synthetic(options: Options) -> tuple[CandleSource, Sequence[Terms], MarketIdentity]:
    starts_at = options.start or datetime.now(UTC)
    midnight = starts_at.replace(hour=0, minute=0, second=0, microsecond=0)
    kept = _kept(options, market="synthetic", timeframe="1m", begins_at=midnight - HISTORY, starts_at=starts_at)
    market = SyntheticMarket(options.seed, options.symbols, kept.timeframe, kept.begins_at)
    return market, market.instruments, kept


def _recorded(options: Options, folder: Path) -> tuple[CandleSource, Sequence[Terms], MarketIdentity]:
    market = read_market(folder, timeframe=options.timeframe, symbols=options.symbols, begins_at=None, ends_before=None)
    frames = RecordedFrames(market)
    kept = _kept(
        options,
        market=str(market.venue),
        timeframe=options.timeframe,
        begins_at=next(frames.frames_after(None)).open_time,
        starts_at=options.start or frames.starts_at(),
    )
    return frames, market.instruments, kept


def _kept(options: Options, *, market: str, timeframe: str, begins_at: datetime, starts_at: datetime) -> MarketIdentity:
    """The market of this home, which has to be the one that is asked for; begun now if there was none."""
    wanted = MarketIdentity(
        market=market,
        seed=options.seed,
        symbols=options.symbols,
        timeframe=timeframe,
        begins_at=begins_at,
        starts_at=starts_at,
    )
    path = options.home / MARKET_FILE
    if not path.exists():
        write_whole(path, msgspec.json.encode(wanted))
        return wanted
    known = msgspec.json.decode(path.read_bytes(), type=MarketIdentity)
    again = msgspec.structs.replace(wanted, begins_at=known.begins_at, starts_at=known.starts_at)
    if again != known or options.start not in {None, known.starts_at}:
        raise InvalidInput(
            f"{options.home} holds an exchange with the market {known.market}, seed {known.seed}, symbols "
            f"{','.join(known.symbols)}, begun at {known.starts_at.isoformat()}; give another --home for another one"
        )
    return known


def _instruments(terms: Sequence[Terms]) -> Sequence[Instrument]:
    return [
        listed
        for one in terms
        for listed in (spot(one.symbol, tick=one.tick, lot=one.lot), swap(one.symbol, tick=one.tick))
    ]


def _words(plan: Plan, running: Running) -> str:
    """Where it is, the keys, and how ccxt is pointed at it."""
    pointed = f"{{'rest': '{running.rest_url}', 'ws': '{running.ws_url}'}}"
    return "\n".join(
        [
            f"REST       {running.rest_url}/api/v5",
            f"WebSocket  {running.ws_url}/public | /private | /business",
            f"admin      {running.admin_url}",
            f"state      {plan.home}",
            "",
            *[line for funded in plan.accounts for line in _keys(funded)],
            "ccxt: okx({'apiKey': .., 'secret': .., 'password': ..,",
            f"           'urls': {{'api': U, 'test': U}}}}) with U = {pointed}",
            "      set_sandbox_mode(True) for the demo account; no key is worth anything anywhere else",
            "",
        ]
    )


def _keys(funded: Funded) -> Sequence[str]:
    kind = "demo (x-simulated-trading: 1)" if funded.spec.demo else "live"
    return [
        f"account {funded.spec.name}: {kind}",
        *(
            f"  {'+'.join(key.permissions):<16} key {key.key}  secret {key.secret}  passphrase {key.passphrase}"
            for key in funded.spec.keys
        ),
        "",
    ]
