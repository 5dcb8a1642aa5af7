"""Events per second of a projection built anew in Postgres, beside the same fold with nothing stored."""

import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice

from benchmarks import Result, Round, result, temporary_database, throughput
from events.bot import (
    BotCreated,
    BotFact,
    BotStarted,
    CapitalDeposited,
    DecisionMade,
    OrderCancelled,
    OrderFilled,
    OrderRequested,
)
from events.codec import Codec
from events.envelope import Metadata, NewEvent
from events.identifiers import (
    BotId,
    DecisionId,
    FillId,
    FleetName,
    OrderId,
    Symbol,
    VenueName,
    bot_stream,
    new_event_id,
)
from events.log import ANY_VERSION, AppendCommand
from events.postgres import PostgresEventLog
from events.values import (
    FeeSchedule,
    Instrument,
    MarketReference,
    Measurement,
    Parameter,
    RiskLimits,
    StrategyReference,
)
from oxbot.adapters.database import open_pool
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.app.clock import SystemClock
from oxbot.app.follower import read_page
from oxbot.app.rebuild import REBUILD_BATCH, Rebuild
from oxbot.app.views import Target
from oxbot.views.bot_views import BOTS
from oxbot.wiring.projector import collect_garbage_seldom

FLEET = 50
EVENTS_EACH = 2000
ROUNDS = 5
EVENTS_PER_APPEND = 7
MARKET_BEGINS = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOL = Symbol("BTC/USDT")


async def run() -> AsyncIterator[Result]:
    """A fleet's log of a hundred thousand events, seven to a round trip, rebuilt beside the views that serve."""
    collect_garbage_seldom()
    async with temporary_database() as dsn, await open_pool(dsn, size=3, application_name="rebuild") as pool:
        log, views = PostgresEventLog(pool, Codec()), PostgresViews(pool)
        await _fill(log)
        await pool.execute("VACUUM ANALYZE log.events")
        ours: list[Round] = []
        theirs: list[Round] = []
        for number in range(ROUNDS + 1):
            for measure, rounds in ((_rebuild, ours), (_bare_fold, theirs)):
                measured = await measure(log, views)
                if number > 0:
                    rounds.append(measured)
        yield result(
            "rebuild",
            f"{FLEET * EVENTS_EACH} events of {FLEET} bots into {len(BOTS.views)} views, until they serve",
            ours=throughput(ours),
            reference=throughput(theirs),
            reference_name="the same log read, decoded and folded, nothing stored",
            unit="events/s",
        )


async def _rebuild(log: PostgresEventLog, views: PostgresViews) -> Round:
    began = time.perf_counter()
    await Rebuild(BOTS, log=log, store=views, clock=SystemClock()).run(waits_for_skips=False)
    seconds = time.perf_counter() - began
    served = await views.checkpoint(Target(BOTS.name))
    assert served is not None
    return Round(served.position / seconds, [])


async def _bare_fold(log: PostgresEventLog, _: PostgresViews) -> Round:
    began = time.perf_counter()
    fold, position = BOTS.fold(), 0
    while not (page := await read_page(log, after=position, limit=REBUILD_BATCH)).empty:
        fold.apply(page.events)
        position = page.events[-1].position
    return Round(position / (time.perf_counter() - began), [])


async def _fill(log: PostgresEventLog) -> None:
    """The bots' lives, a few events of each in turn, as a fleet appends them."""
    lives = {BotId(f"bot-{number}"): _life(BotId(f"bot-{number}")) for number in range(FLEET)}
    for _ in range(EVENTS_EACH // EVENTS_PER_APPEND):
        commands = []
        for bot_id, life in lives.items():
            events = [_event(fact) for fact in islice(life, EVENTS_PER_APPEND)]
            commands.append(AppendCommand(bot_stream(bot_id), ANY_VERSION, events))
        await log.append_batch(commands)


def _event(fact: BotFact) -> NewEvent:
    moment = getattr(fact, "at", None) or MARKET_BEGINS
    return NewEvent(event_id=new_event_id(), occurred_at=moment, fact=fact, metadata=Metadata(actor="bot"))


def _life(bot_id: BotId) -> Iterator[BotFact]:
    """Creation, then one round trip after the other: decided, bought, bracketed, stopped out."""
    yield _created(bot_id)
    yield CapitalDeposited(amount=Decimal(10_000))
    yield BotStarted()
    number, at = 0, MARKET_BEGINS
    while True:
        at += timedelta(minutes=25)
        yield from _round_trip(bot_id, number, at)
        number += 1


def _round_trip(bot_id: BotId, number: int, at: datetime) -> Iterator[BotFact]:
    entry, stop, target = (OrderId(f"{bot_id}-{3 * number + place}") for place in (1, 2, 3))
    decision, price = DecisionId(f"{bot_id}-d{number + 1}"), Decimal("42000.10") + number % 10
    yield _decision(decision, at, price)
    yield OrderRequested(
        order_id=entry,
        at=at,
        symbol=SYMBOL,
        side="buy",
        kind="market",
        reason="entry",
        notional=Decimal(500),
        decision_id=decision,
    )
    later = at + timedelta(minutes=5)
    quantity = Decimal("0.01190")
    yield _fill_of(entry, later, quantity, price)
    for order, kind, reason, trigger in (
        (stop, "stop", "stop_loss", price * Decimal("0.98")),
        (target, "take_profit", "take_profit", price * Decimal("1.04")),
    ):
        yield OrderRequested(
            order_id=order,
            at=later,
            symbol=SYMBOL,
            side="sell",
            kind=kind,  # type: ignore[arg-type]  # mypy widens what a loop takes out of a tuple
            reason=reason,  # type: ignore[arg-type]  # as above
            quantity=quantity,
            trigger_price=trigger,
            reduce_only=True,
            parent_id=entry,
        )
    end = at + timedelta(minutes=15)
    yield _fill_of(stop, end, quantity, price * Decimal("0.98"))
    yield OrderCancelled(order_id=target, at=end, reason="the position is closed")


def _fill_of(order: OrderId, at: datetime, quantity: Decimal, price: Decimal) -> OrderFilled:
    return OrderFilled(
        order_id=order,
        fill_id=FillId(f"{order}-1"),
        at=at,
        quantity=quantity,
        price=price,
        fee=quantity * price * Decimal("0.001"),
        liquidity="taker",
        complete=True,
    )


def _decision(decision: DecisionId, at: datetime, price: Decimal) -> DecisionMade:
    return DecisionMade(
        decision_id=decision,
        at=at,
        venue=VenueName("synthetic"),
        symbol=SYMBOL,
        timeframe="5m",
        window=251,
        window_digest="c0ffee" * 10,
        strategy="ema_cross",
        strategy_version=1,
        parameters=(Parameter(name="fast", value="20"), Parameter(name="slow", value="50")),
        measurements=(Measurement(name="fast", value=41990.5), Measurement(name="slow", value=41980.25)),
        intent="enter_long",
        mark=price,
        equity=Decimal("10000.25"),
    )


def _created(bot_id: BotId) -> BotCreated:
    instrument = Instrument(symbol=SYMBOL, tick=Decimal("0.01"), lot=Decimal("0.00001"))
    return BotCreated(
        bot_id=bot_id,
        fleet=FleetName("main"),
        name=str(bot_id),
        strategy=StrategyReference(name="ema_cross", version=1, parameters=()),
        market=MarketReference(
            venue=VenueName("synthetic"), timeframe="5m", begins_at=MARKET_BEGINS, instruments=(instrument,)
        ),
        limits=RiskLimits(),
        fees=FeeSchedule(maker=Decimal("0.001"), taker=Decimal("0.001")),
        quote="USDT",
    )
