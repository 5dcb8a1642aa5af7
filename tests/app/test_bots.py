"""What people do to bots: each command is facts in the bot's stream, or one clear refusal and nothing."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import get_args

import asyncpg
import msgspec
import pytest

from events.bot import BotCreated, BotPaused, BotStarted, BotStopped, CapitalDeposited, TradingState, TradingStateSet
from events.codec import Codec
from events.errors import OxbotError
from events.identifiers import BotId, FleetName, Symbol, VenueName, bot_stream
from events.log import EventLog
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from events.values import Instrument, MarketReference, PaperModel, RiskLimits, Sizing
from oxbot.app.bots import BotCommands, CommandResult, NewBot, PaperTerms, UnknownBot, UnknownSymbol, creation
from oxbot.app.handle import fold_stream
from oxbot.core.bot import CommandRefused
from oxbot.core.creation import InvalidCommand
from oxbot.core.risk import InvalidLimits
from oxbot.core.sizing import InvalidSizing
from oxbot.core.strategies import built_in
from oxbot.core.strategy import InvalidParameter, UnknownStrategy
from tests.app.fakes import facts_in, written
from tests.core.scenario import BOT, BTC, DECIDER, ETH, FEES, START, bought, instrument, moment, running

pytestmark = pytest.mark.anyio

A = BotId("a")
FLEET = FleetName("fleet-1")
NOW = START + timedelta(days=400)


class GivenMarket:
    """``MarketTerms`` of a market that stands at candle 12 until a test moves it."""

    def __init__(self) -> None:
        self.venue = VenueName("test")
        self.timeframe = "5m"
        self.stands_at = 12
        self.instruments: Sequence[Instrument] = (instrument(ETH), instrument(BTC), instrument(Symbol("BTC/EUR")))

    async def next_open(self) -> datetime:
        """Where it stands."""
        return moment(self.stands_at)


def commands(log: EventLog, market: GivenMarket | None = None) -> BotCommands:
    """The commands as one process has them."""
    terms = market or GivenMarket()
    return BotCommands(log, DECIDER, fleet=FLEET, market=terms, fees=FEES, now=lambda: NOW, actor="operator")


@pytest.fixture
def log() -> MemoryEventLog:
    """An empty log."""
    return MemoryEventLog(Codec())


async def test_a_bot_is_created_with_everything_it_will_decide_by(log: MemoryEventLog) -> None:
    request = NewBot(
        name="My bot",
        symbols=(ETH, BTC),
        parameters={"fast": "5"},
        capital=Decimal("250.5"),
        limits=RiskLimits(positions_max=2),
    )

    result = await commands(log).create(request, bot_id=A)

    assert result == CommandResult(A, 2, "created")
    events = await log.read_stream(bot_stream(A))
    assert [event.fact for event in events] == [
        BotCreated(
            bot_id=A,
            fleet=FLEET,
            name="My bot",
            strategy=built_in().refer("ema_cross", {"fast": "5"}),
            market=MarketReference(
                venue=VenueName("test"),
                timeframe="5m",
                begins_at=moment(12),
                instruments=(instrument(BTC), instrument(ETH)),
            ),
            limits=RiskLimits(positions_max=2),
            fees=FEES,
            quote="USDT",
        ),
        CapitalDeposited(amount=Decimal("250.5"), reference="initial capital"),
    ]
    assert {(event.occurred_at, event.metadata.actor) for event in events} == {(NOW, "operator")}


async def test_a_bot_on_margin_is_created_with_its_terms_and_the_markets_own_steps(log: MemoryEventLog) -> None:
    terms = PaperTerms(kind="perpetual", leverage_max=Decimal(10), maintenance_fraction=Decimal("0.01"))
    request = NewBot(
        name="Margin",
        symbols=(BTC, ETH),
        limits=RiskLimits(leverage_max=Decimal(5)),
        sizing=Sizing(method="risk", risk_fraction=Decimal("0.02")),
        paper=PaperModel(half_spread=Decimal("0.0001"), seed=7),
        leverage=Decimal(3),
        instruments={BTC: terms},
    )

    await commands(log).create(request, bot_id=A)

    [created_, _] = await facts_in(log, bot_stream(A))
    assert isinstance(created_, BotCreated)
    assert (created_.sizing, created_.paper, created_.leverage) == (request.sizing, request.paper, Decimal(3))
    perpetual, spot = created_.market.instruments
    assert spot == instrument(ETH)
    assert perpetual == msgspec.structs.replace(
        instrument(BTC), kind="perpetual", leverage_max=Decimal(10), maintenance_fraction=Decimal("0.01")
    )


async def test_without_an_id_every_bot_gets_one_of_its_own(log: MemoryEventLog) -> None:
    request = NewBot(name="Twin", symbols=(BTC,))
    results = [await commands(log).create(request) for _ in range(3)]
    assert len({result.bot_id for result in results}) == 3
    assert [result.version for result in results] == [2, 2, 2]
    assert NewBot(name="Twin", symbols=(BTC,)).capital == Decimal(10000)


@pytest.mark.parametrize(
    ("request_", "error", "text"),
    [
        (
            NewBot(name="b", symbols=(BTC, Symbol("XRP/USDT"))),
            UnknownSymbol,
            "symbol 'XRP/USDT' is not traded on test; there is BTC/EUR, BTC/USDT, ETH/USDT",
        ),
        (NewBot(name="b", symbols=(BTC, Symbol("BTC/EUR"))), UnknownSymbol, "one quote currency, not EUR, USDT"),
        (NewBot(name="b", symbols=()), UnknownSymbol, "symbols must name at least one symbol"),
        (NewBot(name="b", symbols=(BTC, BTC)), InvalidCommand, "each once"),
        (NewBot(name="b", symbols=(BTC,), strategy="luck"), UnknownStrategy, "strategy 'luck' is not known"),
        (NewBot(name="b", symbols=(BTC,), parameters={"fats": "3"}), InvalidParameter, "fats"),
        (NewBot(name="b", symbols=(BTC,), capital=Decimal(0)), InvalidCommand, "capital must be above 0"),
        (NewBot(name="", symbols=(BTC,)), InvalidCommand, "name ''"),
        (
            NewBot(name="b", symbols=(BTC,), parameters={"size_fraction": "0.3"}),
            InvalidCommand,
            "size_fraction 0.3 is more of its capital than the limit position_fraction_max 0.25 allows",
        ),
        (NewBot(name="b", symbols=(BTC,), limits=RiskLimits(positions_max=0)), InvalidLimits, "positions_max"),
        (NewBot(name="b", symbols=(BTC,), leverage=Decimal(2)), InvalidCommand, "the limit leverage_max 1"),
        (NewBot(name="b", symbols=(BTC,), sizing=Sizing(risk_fraction=Decimal(0))), InvalidSizing, "risk_fraction"),
        (NewBot(name="b", symbols=(BTC,), paper=PaperModel(latency_candles=-1)), InvalidCommand, "latency_candles"),
        (
            NewBot(name="b", symbols=(BTC,), instruments={ETH: PaperTerms()}),
            UnknownSymbol,
            "instruments names 'ETH/USDT', which is not one of the bot's symbols BTC/USDT",
        ),
    ],
)
async def test_a_bot_that_cannot_be_is_refused_and_leaves_nothing(
    log: MemoryEventLog, request_: NewBot, error: type[OxbotError], text: str
) -> None:
    with pytest.raises(error) as refused:
        await commands(log).create(request_, bot_id=A)
    assert text in str(refused.value)
    assert await log.head() == 0


async def test_a_bot_is_started_paused_resumed_and_stopped(log: MemoryEventLog) -> None:
    bots = commands(log)
    await bots.create(NewBot(name="b", symbols=(BTC,)), bot_id=A)

    results = [
        await bots.start(A),
        await bots.pause(A, "lunch", by="somebody"),
        await bots.start(A),
        await bots.stop(A, "enough"),
    ]

    assert results == [
        CommandResult(A, 3, "running"),
        CommandResult(A, 4, "paused"),
        CommandResult(A, 5, "running"),
        CommandResult(A, 6, "stopped"),
    ]
    assert (await facts_in(log, bot_stream(A)))[2:] == [
        BotStarted(effective_at=moment(12)),
        BotPaused(reason="lunch", effective_at=moment(12)),
        BotStarted(effective_at=moment(12)),
        BotStopped(reason="enough", effective_at=moment(12)),
    ]
    actors = [event.metadata.actor for event in await log.read_stream(bot_stream(A), after_version=2)]
    assert actors == ["operator", "somebody", "operator", "operator"]


async def test_a_status_counts_from_the_next_candle_at_the_time_of_the_command(log: MemoryEventLog) -> None:
    market = GivenMarket()
    bots = commands(log, market)
    await bots.create(NewBot(name="b", symbols=(BTC,)), bot_id=A)
    market.stands_at = 40
    await bots.start(A)
    market.stands_at = 50
    await bots.stop(A)

    [creation_, _, started, stopped] = await facts_in(log, bot_stream(A))
    assert isinstance(creation_, BotCreated)
    assert creation_.market.begins_at == moment(12)
    assert (started, stopped) == (BotStarted(effective_at=moment(40)), BotStopped(effective_at=moment(50)))


async def test_a_bot_that_is_started_before_its_market_begins_sees_the_first_candle(log: MemoryEventLog) -> None:
    bots = commands(log)
    await bots.create(NewBot(name="b", symbols=(BTC,)), bot_id=A)
    await bots.start(A)

    state = (await fold_stream(log, DECIDER, bot_stream(A))).state
    assert state.standing_at(state.configuration.market.begins_at).status == "running"


@pytest.mark.parametrize(("venue", "timeframe"), [("elsewhere", "5m"), ("test", "1h")])
async def test_of_another_market_the_time_is_not_known(log: MemoryEventLog, venue: str, timeframe: str) -> None:
    """Its bot is told at once, rather than by a clock that is not its own."""
    elsewhere = GivenMarket()
    elsewhere.venue, elsewhere.timeframe = VenueName(venue), timeframe
    await commands(log, elsewhere).create(NewBot(name="b", symbols=(BTC,)), bot_id=A)

    await commands(log).start(A)

    assert (await facts_in(log, bot_stream(A)))[2] == BotStarted()


async def test_saying_it_twice_changes_nothing(log: MemoryEventLog) -> None:
    bots = commands(log)
    await bots.create(NewBot(name="b", symbols=(BTC,)), bot_id=A)
    assert await bots.start(A) == await bots.start(A) == CommandResult(A, 3, "running")
    assert await bots.stop(A) == await bots.stop(A) == CommandResult(A, 4, "stopped")
    assert await log.head() == 4


async def test_what_the_bot_cannot_follow_is_refused(log: MemoryEventLog) -> None:
    bots = commands(log)
    await bots.create(NewBot(name="b", symbols=(BTC,)), bot_id=A)
    with pytest.raises(CommandRefused, match="exists already"):
        await bots.create(NewBot(name="b", symbols=(BTC,)), bot_id=A)
    with pytest.raises(CommandRefused, match="only a running bot can be paused"):
        await bots.pause(A)
    await bots.stop(A)
    with pytest.raises(CommandRefused, match="stopped for good"):
        await bots.start(A)
    assert await log.head() == 3


async def test_what_a_bot_may_do_is_said_from_the_next_candle_on(log: MemoryEventLog) -> None:
    bots = commands(log)
    await bots.create(NewBot(name="b", symbols=(BTC,)), bot_id=A)

    results = [
        await bots.set_trading(A, "halted", "news", by="somebody"),
        await bots.set_trading(A, "halted", "again"),
        await bots.set_trading(A, "active"),
    ]

    assert results == [
        CommandResult(A, 3, "created", "halted"),
        CommandResult(A, 3, "created", "halted"),
        CommandResult(A, 4, "created", "active"),
    ]
    assert (await facts_in(log, bot_stream(A)))[2:] == [
        TradingStateSet(state="halted", reason="news", effective_at=moment(12)),
        TradingStateSet(state="active", effective_at=moment(12)),
    ]
    assert (await log.read_stream(bot_stream(A)))[2].metadata.actor == "somebody"


async def test_a_bot_that_has_ended_is_not_told_what_it_may_do(log: MemoryEventLog) -> None:
    bots = commands(log)
    await bots.create(NewBot(name="b", symbols=(BTC,)), bot_id=A)
    await bots.stop(A)
    for state in get_args(TradingState):
        with pytest.raises(CommandRefused, match="bot a was stopped for good; create another"):
            await bots.set_trading(A, state)
    assert await log.head() == 3


async def test_who_stops_a_bot_is_told_what_becomes_of_what_it_holds() -> None:
    log = await written([*running(instrument(BTC), instrument(ETH)), *bought(ETH, 1, quantity="2", price="100")])
    bots = commands(log)
    told = await bots.stop(BOT)
    assert (told.status, told.note) == ("stopped", "ETH/USDT is sold at the next open")
    assert await bots.stop(BOT) == told


async def test_a_short_is_bought_back_when_its_bot_is_stopped() -> None:
    perpetual = msgspec.structs.replace(
        instrument(BTC), kind="perpetual", leverage_max=Decimal(5), maintenance_fraction=Decimal("0.01")
    )
    request, fill = bought(BTC, 1, quantity="2", price="100")
    log = await written([*running(perpetual), msgspec.structs.replace(request, side="sell"), fill])
    assert (await commands(log).stop(BOT)).note == "BTC/USDT is bought back at the next open"


async def test_a_bot_that_is_not_there_is_unknown(log: MemoryEventLog) -> None:
    bots = commands(log)
    for command in (bots.start(A), bots.pause(A), bots.stop(A), bots.set_trading(A, "halted")):
        with pytest.raises(UnknownBot, match="there is no bot a"):
            await command
    assert await log.head() == 0


async def test_the_command_that_creates_a_bot_can_be_made_without_giving_it() -> None:
    command = creation(
        NewBot(name="b", symbols=(BTC,)),
        bot_id=A,
        fleet=FLEET,
        market=GivenMarket(),
        fees=FEES,
        begins_at=moment(3),
    )
    assert (command.bot_id, command.fleet, command.quote, command.fees) == (A, FLEET, "USDT", FEES)
    assert (command.market.begins_at, command.market.instruments) == (moment(3), (instrument(BTC),))


async def test_two_processes_that_start_pause_and_stop_one_bot_leave_one_consistent_life(pool: asyncpg.Pool) -> None:
    """However the commands interleave, none is lost and none is recorded twice."""
    logs = [PostgresEventLog(pool, Codec()) for _ in range(2)]
    first, second = (commands(log) for log in logs)
    await first.create(NewBot(name="b", symbols=(BTC,)), bot_id=A)

    started = await asyncio.gather(*(bots.start(A) for bots in (first, second) for _ in range(3)))
    await asyncio.gather(first.pause(A), second.pause(A))
    stopped = await asyncio.gather(first.stop(A), second.stop(A))

    assert set(started) == {CommandResult(A, 3, "running")}
    assert set(stopped) == {CommandResult(A, 5, "stopped")}
    assert [type(fact) for fact in (await facts_in(logs[0], bot_stream(A)))[2:]] == [BotStarted, BotPaused, BotStopped]
