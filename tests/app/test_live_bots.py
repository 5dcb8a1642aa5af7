"""Live bots over a log: created for an account, armed for a while, deciding on what others report, decided again."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from events.account import AccountClaimed, AccountOpened, AccountReconciled, AccountUnreconciled
from events.bot import (
    BotArmed,
    BotCreated,
    BotDisarmed,
    BotFact,
    DecisionMade,
    OrderCancelled,
    OrderCancelRequested,
    OrderDenied,
    OrderFilled,
    OrderRequested,
    OrderSubmitted,
)
from events.codec import Codec
from events.identifiers import AccountName, FillId, Symbol, VenueName, bot_stream
from events.memory import MemoryEventLog
from oxbot.app.bots import NewBot, UnknownBot
from oxbot.app.redecide import Redecided, redecide
from oxbot.core.bot import CommandRefused, DisarmBot, ObserveFrame, PauseBot, RecordProgress, StopBot
from oxbot.core.candles import Frame
from oxbot.core.live import of_cycle
from oxbot.core.market_view import MarketView
from oxbot.core.money import quantity_for_notional
from oxbot.core.state import BotState, fold
from tests.app.accounts import happened, open_account
from tests.app.fakes import claimed, facts_in, market, state_in, stored, tell, written
from tests.app.test_bots import NOW, A, GivenMarket, commands
from tests.core.scenario import BOT, BTC, DECIDER, ETH, START, STEP, instrument, moment, running

pytestmark = pytest.mark.anyio

ACCOUNT = AccountName("okx-main")
FRAMES = market(160, seed=7)
LIVE: list[BotFact] = [
    *(replace(fact, account=ACCOUNT) if isinstance(fact, BotCreated) else fact for fact in running()),
    BotArmed(until=START + timedelta(days=30)),
]


def traded(state: BotState, at: datetime, price: Decimal) -> RecordProgress | None:
    """The bot's oldest market order as a venue would trade it at once; None if there is none."""
    waiting = [order for order in state.orders.values() if order.kind == "market"]
    if not waiting:
        return None
    order = waiting[0]
    lot = state.instrument(order.symbol).lot
    quantity = order.quantity or quantity_for_notional(order.notional or Decimal(0), price, lot)
    sent = OrderSubmitted(
        order_id=order.order_id, at=at, client_id="c", expires_at=at + timedelta(seconds=5), quantity=quantity
    )
    sold = OrderFilled(
        order_id=order.order_id,
        fill_id=FillId(f"t{order.order_id}"),
        at=at,
        quantity=quantity,
        price=price,
        fee=Decimal(0),
        liquidity="taker",
        complete=True,
    )
    return RecordProgress((sent, sold))


def life(frames: Sequence[Frame] = FRAMES, *, disarmed: range = range(0), faulty: range = range(0)) -> list[BotFact]:
    """What a live bot did whose venue trades only what goes at the market; in some candles it may not enter."""
    facts, state = list(LIVE), fold(LIVE)
    view = MarketView.of(state.configuration.market, capacity=DECIDER.window(state))

    def keep(more: Sequence[BotFact]) -> None:
        nonlocal state
        facts.extend(more)
        state = fold(more, state)

    for number, frame in enumerate(frames):
        if number in disarmed:
            keep(DECIDER.decide(DisarmBot(), state))
        elif state.armed_until is None:
            keep([BotArmed(until=START + timedelta(days=30))])
        view.push(frame)
        faults = {BTC: "its candle came late"} if number in faulty else {}
        keep(DECIDER.decide(ObserveFrame(state.epoch, frame, view, data_faults=faults), state))
        report = traded(state, frame.open_time + STEP + timedelta(seconds=0.3), frame.candles[0][1].close)
        if report is not None:
            keep(DECIDER.decide(report, state))
        gone = [order.order_id for order in state.orders.values() if order.cancel_requested_at is not None]
        at = frame.open_time + STEP + timedelta(seconds=1)
        ends = tuple(OrderCancelled(order_id=order_id, at=at, reason="as asked") for order_id in gone)
        keep(DECIDER.decide(RecordProgress(ends), state))
    return facts


async def again(facts: Sequence[BotFact], frames: Sequence[Frame] = FRAMES) -> Redecided:
    return await redecide(BOT, log=await written(facts), candles=await stored(frames), decider=DECIDER)


# Replay.


async def test_every_recorded_cycle_of_a_live_bot_is_decided_again_and_no_other_candle_is_claimed() -> None:
    facts = life(disarmed=range(60, 90), faulty=range(100, 130))
    cycles = [fact for fact in facts if of_cycle(fact)]
    result = await again(facts)

    assert (result.difference, result.live) == (None, True)
    assert (result.facts, result.frames) == (len(cycles), len({fact.at for fact in cycles}))  # type: ignore[union-attr]  # a cycle's facts have it
    assert result.decisions == sum(isinstance(fact, DecisionMade) for fact in facts) > 5
    assert result.frames < len(FRAMES) / 2
    assert {fact.rule for fact in facts if isinstance(fact, OrderDenied)} == {"live_arming", "data_quality"}
    assert sum(isinstance(fact, OrderFilled) for fact in facts) > 3


@pytest.mark.parametrize("kind", [DecisionMade, OrderRequested, OrderDenied])
async def test_a_change_of_what_a_live_bot_decided_is_found(kind: type[BotFact]) -> None:
    facts = life(faulty=range(100, 130))
    number = next(place for place, fact in enumerate(facts) if isinstance(fact, kind) and of_cycle(fact))
    changed: dict[type[BotFact], dict[str, object]] = {
        DecisionMade: {"equity": Decimal(1)},
        OrderRequested: {"notional": Decimal(1)},
        OrderDenied: {"reason": "another"},
    }
    planted = replace(facts[number], **changed[kind])
    result = await again([*facts[:number], planted, *facts[number + 1 :]])
    assert result.difference is not None
    assert planted in result.difference.recorded


async def test_a_cycle_of_nothing_but_a_cancel_is_decided_again() -> None:
    """An entry that waits at a limit is taken back by a pause."""
    entry = OrderRequested(
        order_id=next(fact.order_id for fact in life() if isinstance(fact, OrderRequested)),
        at=moment(3),
        symbol=BTC,
        side="buy",
        kind="limit",
        reason="entry",
        notional=Decimal(10),
        limit_price=Decimal(1),
        at_close=True,
    )
    state = fold([*LIVE, entry])
    paused = DECIDER.decide(PauseBot(effective_at=moment(5)), state)
    view = MarketView.of(state.configuration.market, capacity=DECIDER.window(state))
    for frame in FRAMES[:6]:
        view.push(frame)
    cancelled = DECIDER.decide(ObserveFrame(0, FRAMES[5], view), fold(paused, state))
    assert [type(fact) for fact in cancelled] == [OrderCancelRequested]
    result = await redecide(
        BOT, log=await written([*LIVE, *paused, *cancelled]), candles=await stored(FRAMES), decider=DECIDER
    )
    assert result.difference is not None, "without the entry there is nothing to cancel"
    assert fold([*LIVE, entry, *paused, *cancelled]).cursor == moment(5)


# Its runner.


async def test_a_live_bot_decides_on_what_others_reported_since_its_last_candle() -> None:
    """It is told of nothing: a fill, and then an exit to be made at the very next candle."""
    log, candles = await written(LIVE), await stored(FRAMES)
    bot = await claimed(log, candles)
    number = 0
    while not bot.state.orders:
        await bot.observe([FRAMES[number]])
        number += 1
    report = traded(await state_in(log), FRAMES[number].open_time, FRAMES[number].candles[0][1].open)
    assert report is not None
    await tell(log, report)
    await tell(log, StopBot())
    assert bot.state.status == "running"
    await bot.observe([FRAMES[number]])
    asked = [fact for fact in await facts_in(log) if isinstance(fact, OrderRequested) and fact.reason == "bot_stopped"]
    assert len(asked) == 1


# Commands.


@pytest.fixture
async def log() -> MemoryEventLog:
    """A log in which the account is open, at the venue whose market the bots follow."""
    log = MemoryEventLog(Codec())
    await open_account(log, ACCOUNT, "test")
    return log


def bot(account: str | None = "okx-main") -> NewBot:
    return NewBot(name="Live", symbols=(BTC,), account=AccountName(account) if account else None)


async def test_a_bot_is_created_for_an_account(log: MemoryEventLog) -> None:
    await commands(log).create(bot(), bot_id=A)
    created = (await log.read_stream(bot_stream(A)))[0].fact
    assert isinstance(created, BotCreated)
    assert (created.account, created.paper) == ("okx-main", None)
    with pytest.raises(CommandRefused, match="there is no account Not a name"):
        await commands(log).create(bot("Not a name"))


async def test_a_bot_of_perpetuals_reckons_in_the_currency_that_they_settle_in(log: MemoryEventLog) -> None:
    swap = Symbol("BTC/USDT:USDT")
    terms = GivenMarket()
    terms.instruments = (instrument(swap), instrument(ETH))
    await commands(log, terms).create(NewBot(name="Live", symbols=(swap, ETH), account=ACCOUNT), bot_id=A)
    created = (await log.read_stream(bot_stream(A)))[0].fact
    assert isinstance(created, BotCreated)
    assert created.quote == "USDT"


async def test_a_live_bot_is_armed_and_disarmed_on_somebodys_behalf(log: MemoryEventLog) -> None:
    people, until = commands(log), NOW + timedelta(days=30)
    await people.create(bot(), bot_id=A)
    assert (await people.arm(A, until, by="anna")).version == 3
    assert (await people.arm(A, until, by="anna")).version == 3
    assert (await people.disarm(A, "done", by="boris")).version == 4
    said = (await log.read_stream(bot_stream(A)))[2:]
    assert [(event.fact, event.metadata.actor) for event in said] == [
        (BotArmed(until=until), "anna"),
        (BotDisarmed(reason="done"), "boris"),
    ]


async def test_no_bot_is_armed_while_its_account_is_known_to_have_less_than_its_bots(log: MemoryEventLog) -> None:
    reason = "USDT: the bots have 20000, the venue says 10000"
    await commands(log).create(bot(), bot_id=A)
    await happened(
        log,
        ACCOUNT,
        [AccountClaimed(epoch=1, holder="one"), AccountUnreconciled(at=START, epoch=1, reason=reason, lacks=reason)],
    )
    with pytest.raises(CommandRefused, match=f"account {ACCOUNT} has too little: {reason}"):
        await commands(log).arm(A, NOW + timedelta(days=1))
    await happened(log, ACCOUNT, [AccountReconciled(at=START, epoch=1, position=1, orders=0)])
    await commands(log).arm(A, NOW + timedelta(days=1))
    assert (await state_in(log, bot_stream(A))).armed_until is not None


async def test_a_bot_at_a_local_exchange_is_armed_by_peoples_clock_and_not_by_its_candles() -> None:
    log, terms, until = MemoryEventLog(Codec()), GivenMarket(), NOW + timedelta(days=1)
    terms.venue = VenueName("okx-local")
    here = AccountOpened(
        account=ACCOUNT, venue=VenueName("okx"), rest="http://127.0.0.1:8030", ws="ws://127.0.0.1:8030"
    )
    await happened(log, ACCOUNT, [here])
    people = commands(log, terms)
    await people.create(bot(), bot_id=A)
    await people.arm(A, until)
    assert (await log.read_stream(bot_stream(A)))[-1].fact == BotArmed(until=until, apart=True)


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(days=-1), timedelta(days=30, microseconds=1)])
async def test_a_bot_is_armed_for_thirty_days_at_most_and_never_for_the_past(
    log: MemoryEventLog, ahead: timedelta
) -> None:
    await commands(log).create(bot(), bot_id=A)
    with pytest.raises(CommandRefused, match="within the next 30 days"):
        await commands(log).arm(A, NOW + ahead)
    assert await log.head() == 3


async def test_neither_a_paper_bot_nor_one_that_is_not_there_is_armed(log: MemoryEventLog) -> None:
    with pytest.raises(UnknownBot):
        await commands(log).arm(A, NOW + timedelta(days=1))
    await commands(log).create(bot(None), bot_id=A)
    for ask in (commands(log).arm(A, NOW + timedelta(days=1)), commands(log).disarm(A)):
        with pytest.raises(CommandRefused, match="trades on paper"):
            await ask
