"""Whatever the market does and people say, a bot's facts fold, balance and replay."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec
import pytest
from hypothesis import Phase, settings
from hypothesis import given as forall
from hypothesis import strategies as st

from events.bot import (
    BotFact,
    BotHalted,
    BotNoticed,
    BotPaused,
    BotStarted,
    BotStopped,
    CapitalDeposited,
    CapitalWithdrawn,
    DecisionMade,
    OrderAccepted,
    OrderDenied,
    OrderFilled,
    OrderRequested,
)
from events.codec import Codec
from events.identifiers import OrderId, Symbol
from oxbot.core.bot import BotCommand
from oxbot.core.candles import Frame
from oxbot.core.money import ZERO, exact
from oxbot.core.orders import IllegalTransition
from oxbot.core.state import INITIAL, BotState, BrokenStream, Standing, evolve, fold
from tests.core.market_strategies import bots, frames, scripts
from tests.core.scenario import (
    BTC,
    ETH,
    Life,
    bought,
    created,
    filled,
    given,
    instrument,
    moment,
    order_id,
    running,
)

CODEC = Codec()
DECODER = msgspec.msgpack.Decoder(BotFact)
LIVES = st.tuples(bots(), scripts())
Script = tuple[list[BotFact], list[Frame | BotCommand]]
some = settings(max_examples=100)


def live(facts: Sequence[BotFact], script: Iterable[Frame | BotCommand]) -> Life:
    life = Life(facts)
    for step in script:
        if isinstance(step, Frame):
            life.see(step)
        else:
            life.order(step)
    return life


def encoded(state: BotState) -> bytes:
    return msgspec.json.encode(state)


def stored(fact: BotFact) -> BotFact:
    """The fact after a way through the log."""
    _, _, payload = CODEC.encode(fact)
    decoded: BotFact = DECODER.decode(payload)
    return decoded


@some
@forall(script=LIVES)
def test_the_books_balance_after_every_fact(script: Script) -> None:
    for state in live(*script).states:
        with exact():
            assert state.ledger.imbalance() == 0


@some
@forall(script=LIVES)
def test_neither_cash_nor_free_cash_is_ever_below_zero(script: Script) -> None:
    for state in live(*script).states:
        with exact():
            assert state.ledger.cash >= 0
            assert state.ledger.cash - state.reserved >= 0


@some
@forall(script=LIVES)
def test_every_prefix_folds_to_what_the_bot_was_byte_for_byte(script: Script) -> None:
    """From facts that went through the codec, as after any crash."""
    life = live(*script)
    state = INITIAL
    for fact, lived in zip(life.facts, life.states[1:], strict=True):
        state = evolve(state, stored(fact))
        assert encoded(state) == encoded(lived)
    assert encoded(fold([stored(fact) for fact in life.facts])) == encoded(life.state)


@some
@forall(script=LIVES)
def test_no_more_is_filled_than_was_ordered(script: Script) -> None:
    ordered: dict[OrderId, OrderRequested] = {}
    traded: dict[OrderId, tuple[Decimal, Decimal]] = {}
    with exact():
        for fact in live(*script).facts:
            if isinstance(fact, OrderRequested):
                ordered[fact.order_id] = fact
            if isinstance(fact, OrderFilled):
                quantity, notional = traded.get(fact.order_id, (ZERO, ZERO))
                traded[fact.order_id] = (quantity + fact.quantity, notional + fact.quantity * fact.price)
    for order, (quantity, notional) in traded.items():
        assert quantity <= (ordered[order].quantity or quantity)
        assert notional <= (ordered[order].notional or notional)


@some
@forall(script=LIVES)
def test_the_results_of_round_trips_are_the_change_in_cash_when_flat(script: Script) -> None:
    """Counted from the fills alone, to the last unit, at every moment at which the bot is flat."""
    life = live(*script)
    sides: dict[OrderId, str] = {}
    net = flow = ZERO
    with exact():
        for fact, state in zip(life.facts, life.states[1:], strict=True):
            if isinstance(fact, CapitalDeposited):
                flow += fact.amount
            elif isinstance(fact, CapitalWithdrawn):
                flow -= fact.amount
            elif isinstance(fact, OrderRequested):
                sides[fact.order_id] = fact.side
            elif isinstance(fact, OrderFilled):
                notional = fact.quantity * fact.price
                net += (notional if sides[fact.order_id] == "sell" else -notional) - fact.fee
            if not state.ledger.positions:
                assert state.ledger.cash - flow == net == state.ledger.realised


@some
@forall(facts=bots(), market=frames(), data=st.data())
def test_later_candles_change_no_earlier_fact(facts: list[BotFact], market: list[Frame], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(market)))
    short, long = live(facts, market[:cut]), live(facts, market)
    assert long.facts[: len(short.facts)] == short.facts
    later = long.states[len(short.states) :]
    assert all(state.cursor is not None and state.cursor >= market[cut].open_time for state in later)


@some
@forall(script=LIVES)
def test_no_entry_is_decided_in_the_candle_in_which_its_position_closed(script: Script) -> None:
    life = live(*script)
    closed: set[tuple[Symbol, object]] = set()
    for fact, before, after in zip(life.facts, life.states, life.states[1:], strict=False):
        if isinstance(fact, OrderFilled):
            gone = set(before.ledger.positions) - set(after.ledger.positions)
            closed |= {(symbol, fact.at) for symbol in gone}
        if isinstance(fact, DecisionMade) and fact.intent == "enter_long":
            assert (fact.symbol, fact.at) not in closed


@some
@forall(script=LIVES)
def test_entries_are_decided_only_while_running_and_within_the_number_of_positions(script: Script) -> None:
    life = live(*script)
    for fact, before, after in zip(life.facts, life.states, life.states[1:], strict=False):
        if isinstance(fact, DecisionMade) and fact.intent == "enter_long":
            assert before.standing_at(fact.at).status == "running"
        if after.exists:
            buying = {order.symbol for order in after.orders.values() if order.side == "buy"}
            assert len(buying | set(after.ledger.positions)) <= after.configuration.limits.positions_max


@some
@forall(script=LIVES)
def test_the_cursor_never_goes_back(script: Script) -> None:
    cursors = [state.cursor for state in live(*script).states if state.cursor is not None]
    assert cursors == sorted(cursors)


@some
@forall(script=LIVES, data=st.data())
def test_a_bot_that_recovers_from_its_facts_goes_on_as_if_it_had_lived(script: Script, data: st.DataObject) -> None:
    """Forgotten after any step and folded again, it ends in the same bytes."""
    facts, steps = script
    cut = data.draw(st.integers(0, len(steps)))
    whole = live(facts, steps)
    recovered = Life(live(facts, steps[:cut]).facts)
    for step in steps[:cut]:
        if isinstance(step, Frame):
            recovered.look_back(step)
    for step in steps[cut:]:
        if isinstance(step, Frame):
            recovered.see(step)
        else:
            recovered.order(step)
    assert encoded(recovered.state) == encoded(whole.state)


def test_the_random_lives_reach_every_exit_and_every_refusal() -> None:
    """Or the properties above would hold of nothing."""
    seen: set[str] = set()

    @settings(max_examples=600, derandomize=True, database=None, phases=[Phase.generate])
    @forall(script=LIVES)
    def collect(script: Script) -> None:
        seen.update(_happenings(live(*script).facts))

    collect()
    exits = {"exit_signal", "stop_loss", "take_profit", "bot_stopped"}
    refusals = {"positions_max", "exposure_fraction_max", "free_cash", "OrderExpired"}
    assert seen >= exits | refusals | {"entry", "CapitalWithdrawn", "BotPaused", "BotStopped"}


def _happenings(facts: Sequence[BotFact]) -> set[str]:
    """The types of the facts, the rules that refused, and the reasons of the orders that traded."""
    reasons = {fact.order_id: fact.reason for fact in facts if isinstance(fact, OrderRequested)}
    rules = {fact.rule for fact in facts if isinstance(fact, OrderDenied)}
    traded = {reasons[fact.order_id] for fact in facts if isinstance(fact, OrderFilled)}
    return {type(fact).__name__ for fact in facts} | rules | traded


@pytest.mark.parametrize("fact", [BotStarted(), BotStopped(), filled(1, at=0, quantity="1", price="1", fee="0")])
def test_a_stream_begins_with_the_creation_of_the_bot(fact: BotFact) -> None:
    with pytest.raises(BrokenStream, match=f"a bot's first fact is its creation, not {type(fact).__name__}"):
        fold([fact])


def test_a_fact_about_an_unknown_order_breaks_the_stream() -> None:
    with pytest.raises(BrokenStream, match="OrderFilled names order bot-1-9, which is not at work"):
        fold([*running(), filled(9, at=0, quantity="1", price="1", fee="0")])


def test_an_order_that_ended_is_no_longer_at_work() -> None:
    facts = [*running(), *bought(BTC, 1, quantity="1", price="1")]
    assert given(facts).state.orders == {}
    with pytest.raises(IllegalTransition, match="it has traded in full"):
        fold([*facts, filled(1, at=0, quantity="1", price="1", fee="0")])


def test_a_bot_that_was_not_created_has_no_configuration() -> None:
    assert not INITIAL.exists
    with pytest.raises(BrokenStream, match="the bot does not exist"):
        _ = INITIAL.configuration


def waiting(number: int, symbol: Symbol, notional: str) -> OrderRequested:
    return OrderRequested(
        order_id=order_id(number),
        at=moment(number),
        symbol=symbol,
        side="buy",
        kind="limit",
        reason="entry",
        notional=Decimal(notional),
    )


TWO_WAITING: list[BotFact] = [
    *running(instrument(BTC), instrument(ETH)),
    waiting(1, BTC, "100"),
    waiting(2, ETH, "10"),
    waiting(3, BTC, "50"),
]


def test_what_is_reserved_is_the_sum_over_the_orders_at_work() -> None:
    state = given(TWO_WAITING).state
    assert state.reserved == Decimal("160.16")
    assert (state.orders_requested, state.cursor) == (3, moment(3))


def test_the_orders_of_a_symbol_are_listed_oldest_first() -> None:
    assert [order.order_id for order in given(TWO_WAITING).state.working(BTC)] == [order_id(1), order_id(3)]


def test_an_order_that_was_accepted_keeps_its_place() -> None:
    facts = [*TWO_WAITING, OrderAccepted(order_id=order_id(1), at=moment(4))]
    assert [order.order_id for order in given(facts).state.working(BTC)] == [order_id(1), order_id(3)]


def started(at: int | None) -> BotStarted:
    return BotStarted(effective_at=None if at is None else moment(at))


def paused(at: int | None) -> BotPaused:
    return BotPaused(effective_at=None if at is None else moment(at))


def stopped(at: int | None) -> BotStopped:
    return BotStopped(effective_at=None if at is None else moment(at))


def noticed(at: int) -> BotNoticed:
    return BotNoticed(at=moment(at))


HALTED = BotHalted(rule="drawdown", reason="too much")


@pytest.mark.parametrize(
    ("facts", "counting", "newest"),
    [
        ([], "cccccc", "created"),
        ([started(None)], "rrrrrr", "running"),
        ([started(2)], "ccrrrr", "running"),
        ([started(9)], "cccccc", "running"),
        ([started(1), paused(3), started(5)], "crrppr", "running"),
        ([started(1), stopped(4)], "crrrss", "stopped"),
        ([started(4), paused(2)], "ccpppp", "paused"),
        ([started(1), paused(3), started(3)], "crrrrr", "running"),
        ([started(1), paused(4), started(2), paused(3)], "crrppp", "paused"),
        ([started(1), paused(3), HALTED], "hhhhhh", "halted"),
        ([started(3), paused(None)], "pppppp", "paused"),
    ],
)
def test_a_status_counts_from_its_candle_on_and_a_later_word_goes_before_an_earlier(
    facts: list[BotFact], counting: str, newest: str
) -> None:
    state = given([created(), *facts]).state
    assert "".join(state.standing_at(moment(number)).status[0] for number in range(6)) == counting
    assert state.status == newest


WORDS = st.lists(
    st.builds(lambda word, at: word(at), st.sampled_from([started, paused, stopped]), st.none() | st.integers(0, 12))
    | st.builds(noticed, st.integers(0, 12)),
    max_size=12,
)


@forall(facts=WORDS)
def test_for_every_candle_to_come_the_last_word_that_names_no_later_one_counts(facts: list[BotFact]) -> None:
    """The fold forgets words; what it answers is what all of them together say."""
    facts = [fact for number, fact in enumerate(facts) if not _goes_back(fact, facts[:number])]
    state = given([created(), *facts]).state
    names = {BotStarted: "running", BotPaused: "paused", BotStopped: "stopped"}
    for number in range(14):
        counting = "created"
        for fact in facts:
            if isinstance(fact, BotStarted | BotPaused | BotStopped):
                counts = fact.effective_at is None or fact.effective_at <= moment(number)
                counting = names[type(fact)] if counts else counting
        if state.cursor is None or state.cursor < moment(number):
            assert state.standing_at(moment(number)).status == counting


def _goes_back(fact: BotFact, earlier: Sequence[BotFact]) -> bool:
    """Whether it is a notice of a candle before one that was noticed already, which no bot records."""
    return isinstance(fact, BotNoticed) and any(isinstance(told, BotNoticed) and told.at > fact.at for told in earlier)


def test_words_that_can_count_for_no_candle_to_come_are_forgotten() -> None:
    facts: list[BotFact] = [created()]
    for number in range(50):
        facts += [started(2 * number), noticed(2 * number), paused(2 * number + 1), noticed(2 * number + 1)]
    assert given(facts).state.standings == (Standing("running", moment(98)), Standing("paused", moment(99)))


def test_a_word_that_changes_nothing_is_not_kept() -> None:
    assert given([created(), started(1), paused(5), started(5)]).state.standings == (
        Standing("created"),
        Standing("running", moment(1)),
    )


@pytest.mark.parametrize(("number", "idle"), [(3, False), (4, True), (9, True)])
def test_a_flat_bot_is_idle_from_the_candle_on_for_which_its_stop_counts(number: int, idle: bool) -> None:
    assert given([created(), started(0), stopped(4)]).state.idle_at(moment(number)) is idle


def test_a_stopped_bot_that_holds_or_waits_is_not_idle() -> None:
    held = [*running(), *bought(BTC, 1, quantity="1", price="1"), stopped(1)]
    assert not given(held).state.idle_at(moment(5))
    assert not given([*running(), waiting(1, BTC, "10"), stopped(1)]).state.idle_at(moment(5))


def test_a_withdrawal_of_more_than_there_is_cannot_be_folded() -> None:
    """V14: the error names the currency and how much is missing."""
    state = fold(running())
    assert evolve(state, CapitalWithdrawn(amount=Decimal(10000))).ledger.cash == 0
    with pytest.raises(BrokenStream, match="1 USDT more were spent than there were"):
        evolve(state, CapitalWithdrawn(amount=Decimal(10001)))


def test_a_sale_of_more_than_is_held_cannot_be_folded() -> None:
    """V14: the error names the symbol and how much is missing."""
    sale = msgspec.structs.replace(bought(BTC, 2, quantity="3", price="10")[0], side="sell", reason="exit_signal")
    state = fold([*running(), *bought(BTC, 1, quantity="2", price="10"), sale])
    with pytest.raises(BrokenStream, match="1 BTC/USDT more were sold than were held"):
        evolve(state, filled(2, at=1, quantity="3", price="10", fee="0"))
