"""The life of a bot: what each command leads to, and every refusal with its words."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import pytest
from msgspec.structs import replace

from events.bot import (
    BotClaimed,
    BotFact,
    BotHalted,
    BotNoticed,
    BotPaused,
    BotStarted,
    BotStopped,
    CapitalDeposited,
    CapitalWithdrawn,
    OrderRequested,
)
from events.errors import OxbotError
from events.identifiers import BotId, FleetName
from events.values import FeeSchedule, RiskLimits
from oxbot.core.bot import (
    BotCommand,
    ClaimBot,
    CommandRefused,
    DepositCapital,
    Lived,
    NoticeStatus,
    PauseBot,
    StartBot,
    StopBot,
    WithdrawCapital,
)
from oxbot.core.candles import UnknownTimeframe
from oxbot.core.creation import CreateBot, InvalidCommand
from oxbot.core.risk import InvalidLimits
from oxbot.core.strategy import InvalidParameter, UnknownStrategy
from tests.core.scenario import (
    BTC,
    CROSS_UP,
    DECIDER,
    ETH,
    FEES,
    LIMITS,
    SMALL,
    Life,
    bought,
    created,
    deposited,
    flat_candles,
    given,
    instrument,
    moment,
    observe,
    order_id,
    running,
)

CREATE = CreateBot(
    bot_id=BotId("bot-1"),
    fleet=FleetName("fleet-1"),
    name="Bot 1",
    strategy="ema_cross",
    parameters=SMALL,
    market=created().market,
    capital=Decimal(10_000),
    quote="USDT",
    fees=FEES,
    limits=LIMITS,
)
NEW: list[BotFact] = [created(), deposited()]
RUNNING: list[BotFact] = [*NEW, BotStarted()]
PAUSED: list[BotFact] = [*RUNNING, BotPaused()]
STOPPED: list[BotFact] = [*RUNNING, BotStopped()]
HALTED: list[BotFact] = [*RUNNING, BotHalted(rule="drawdown", reason="too much")]
LIVES = {"created": NEW, "running": RUNNING, "paused": PAUSED, "stopped": STOPPED, "halted": HALTED}


def test_a_bot_is_created_with_its_first_capital() -> None:
    given().when(CREATE).then([created(), CapitalDeposited(amount=Decimal(10_000), reference="initial capital")])


def test_a_bot_is_created_once() -> None:
    given(NEW).when(CREATE).then_refused(CommandRefused, match="^bot bot-1 exists already$")


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"bot_id": "Bot 1"}, InvalidCommand, "bot_id 'Bot 1' must be"),
        ({"bot_id": "a" * 65}, InvalidCommand, "bot_id"),
        ({"fleet": ""}, InvalidCommand, "fleet '' must be"),
        ({"name": " x"}, InvalidCommand, "name ' x' must be"),
        ({"name": "x\n"}, InvalidCommand, "name"),
        ({"capital": Decimal(0)}, InvalidCommand, "capital must be above 0, not 0"),
        ({"capital": Decimal(-1)}, InvalidCommand, "capital must be above 0, not -1"),
        ({"capital": Decimal("NaN")}, InvalidCommand, "capital must be above 0, not NaN"),
        ({"capital": Decimal("sNaN")}, InvalidCommand, "capital"),
        ({"fees": FeeSchedule(maker=Decimal(0), taker=Decimal("0.1"))}, InvalidCommand, "fee taker .*, not 0.1"),
        ({"fees": FeeSchedule(maker=Decimal("-0.001"), taker=Decimal(0))}, InvalidCommand, "fee maker .*, not -0.001"),
        ({"limits": replace(LIMITS, positions_max=0)}, InvalidLimits, "positions_max"),
        ({"strategy": "grid"}, UnknownStrategy, "'grid' is not known"),
        ({"parameters": {"fast": "0"}}, InvalidParameter, "fast"),
        ({"market": replace(CREATE.market, timeframe="5x")}, UnknownTimeframe, "5x"),
        ({"market": replace(CREATE.market, instruments=())}, InvalidCommand, "one or more symbols"),
        (
            {"market": replace(CREATE.market, instruments=(instrument(), instrument()))},
            InvalidCommand,
            "each once, not .*BTC/USDT.*BTC/USDT",
        ),
        ({"market": created(instrument(tick="0")).market}, InvalidCommand, "BTC/USDT: tick and lot must be above 0"),
        ({"market": created(instrument(lot="-1")).market}, InvalidCommand, "BTC/USDT: tick and lot"),
        ({"market": created(instrument(minimum="-1")).market}, InvalidCommand, "minimum notional at least 0"),
    ],
)
def test_a_bot_that_cannot_be_is_refused_by_field(
    change: Mapping[str, object], error: type[OxbotError], match: str
) -> None:
    given().when(replace(CREATE, **change)).then_refused(error, match=match)


def test_a_strategy_may_ask_for_exactly_the_position_limit_and_no_more() -> None:
    at_limit = replace(CREATE, limits=RiskLimits(position_fraction_max=Decimal("0.05")))
    assert len(given().when(at_limit).facts) == 2
    beyond = replace(CREATE, limits=RiskLimits(position_fraction_max=Decimal("0.0499")))
    given().when(beyond).then_refused(
        InvalidCommand,
        match=r"^bot Bot 1: size_fraction 0\.05 is more of its capital than the limit position_fraction_max 0\.0499 ",
    )


@pytest.mark.parametrize(
    "command",
    [StartBot(), PauseBot(), StopBot(), DepositCapital(Decimal(1)), WithdrawCapital(Decimal(1)), ClaimBot("x")],
    ids=lambda command: type(command).__name__,
)
def test_a_bot_that_does_not_exist_follows_no_command(command: BotCommand) -> None:
    given().when(command).then_refused(CommandRefused, match="^there is no such bot$")


def test_a_bot_that_does_not_exist_decides_nothing() -> None:
    given().when(observe(flat_candles(CROSS_UP))).then([])


ANSWERS: dict[tuple[str, str], list[BotFact] | str] = {
    ("created", "start"): [BotStarted()],
    ("running", "start"): [],
    ("paused", "start"): [BotStarted()],
    ("stopped", "start"): "bot bot-1 was stopped for good; create another",
    ("halted", "start"): [BotStarted()],
    ("created", "pause"): "bot bot-1 is created; only a running bot can be paused",
    ("running", "pause"): [BotPaused(reason="lunch")],
    ("paused", "pause"): [],
    ("stopped", "pause"): "bot bot-1 is stopped; only a running bot can be paused",
    ("halted", "pause"): "bot bot-1 is halted; only a running bot can be paused",
    ("created", "stop"): [BotStopped(reason="enough")],
    ("running", "stop"): [BotStopped(reason="enough")],
    ("paused", "stop"): [BotStopped(reason="enough")],
    ("stopped", "stop"): [],
    ("halted", "stop"): [BotStopped(reason="enough")],
}
COMMANDS: dict[str, BotCommand] = {"start": StartBot(), "pause": PauseBot("lunch"), "stop": StopBot("enough")}


@pytest.mark.parametrize(("status", "order"), ANSWERS)
def test_what_a_bot_answers_to_being_started_paused_and_stopped(status: str, order: str) -> None:
    answer = ANSWERS[status, order]
    outcome = given(LIVES[status]).when(COMMANDS[order])
    if isinstance(answer, str):
        outcome.then_refused(CommandRefused, match=f"^{answer}$")
    else:
        outcome.then(answer)


def test_the_answers_cover_every_status_and_command() -> None:
    assert set(ANSWERS) == {(status, order) for status in LIVES for order in COMMANDS}


@pytest.mark.parametrize(
    ("life", "command", "fact"),
    [
        (NEW, StartBot(effective_at=moment(7)), BotStarted(effective_at=moment(7))),
        (RUNNING, PauseBot("lunch", moment(7)), BotPaused(reason="lunch", effective_at=moment(7))),
        (RUNNING, StopBot("enough", moment(7)), BotStopped(reason="enough", effective_at=moment(7))),
    ],
)
def test_a_status_is_recorded_with_the_candle_it_counts_from(
    life: list[BotFact], command: BotCommand, fact: BotFact
) -> None:
    given(life).when(command).then([fact])


def test_a_command_is_judged_by_the_newest_status_though_it_does_not_count_yet() -> None:
    facts: list[BotFact] = [*RUNNING, BotPaused(effective_at=moment(50))]
    given(facts).when(PauseBot(effective_at=moment(40))).then([])
    given(facts).when(StartBot(moment(50))).then([BotStarted(effective_at=moment(50))])
    stopped: list[BotFact] = [*RUNNING, BotStopped(effective_at=moment(50))]
    given(stopped).when(StartBot()).then_refused(CommandRefused, match="stopped for good")


@pytest.mark.parametrize(
    ("told", "noticed"),
    [
        ([], False),
        ([DepositCapital(Decimal(1))], False),
        ([PauseBot(effective_at=moment(31))], False),
        ([PauseBot(effective_at=moment(30))], True),
        ([PauseBot(effective_at=moment(12))], True),
        ([PauseBot()], True),
        ([PauseBot(), StartBot()], False),
        ([PauseBot(effective_at=moment(12)), StartBot(moment(12))], False),
        ([PauseBot(effective_at=moment(12)), StartBot(moment(20))], True),
        ([PauseBot(effective_at=moment(40)), StartBot(moment(40))], False),
        ([StopBot(effective_at=moment(20))], True),
    ],
)
def test_a_status_is_noticed_if_it_would_have_counted_for_a_candle_already_lived(
    told: list[BotCommand], noticed: bool
) -> None:
    """The incarnation has lived candles 11 to 30 without the words; candle 10 left a fact."""
    life = Life([*RUNNING, BotNoticed(at=moment(10))])
    lived = Lived(moment(30), life.state.standings)
    for command in told:
        life.order(command)

    facts: list[BotFact] = [BotNoticed(at=moment(30))] if noticed else []
    given(life.facts).when(NoticeStatus(0, lived)).then(facts)
    given(life.facts).when(NoticeStatus(1, lived)).then([])
    given([*life.facts, *facts]).when(NoticeStatus(0, lived)).then([])


def test_before_its_first_candle_a_bot_has_nothing_to_notice() -> None:
    lived = Lived(moment(-1), given(NEW).state.standings)
    given([*NEW, BotStarted()]).when(NoticeStatus(0, lived)).then([])
    later = Lived(moment(0), given(NEW).state.standings)
    given([*NEW, BotStarted()]).when(NoticeStatus(0, later)).then([BotNoticed(at=moment(0))])


def test_what_a_bot_learns_with_a_frame_is_noticed_before_it_decides_on_it() -> None:
    """Without candles that it has lived there is nothing to notice; with them the notice comes first."""
    knew = given(NEW).state.standings
    frame = observe(flat_candles(CROSS_UP))
    started: list[BotFact] = [*NEW, BotStarted(effective_at=moment(1))]
    decided = given(started).when(frame).facts
    assert len(decided) == 2
    given(started).when(replace(frame, lived=Lived(moment(0), knew))).then(decided)
    given(started).when(replace(frame, lived=Lived(moment(2), knew))).then([BotNoticed(at=moment(2)), *decided])


@pytest.mark.parametrize("status", LIVES)
def test_a_claim_raises_the_epoch_whatever_the_status(status: str) -> None:
    claimed: list[BotFact] = [*LIVES[status], BotClaimed(epoch=1, holder="one")]
    given(claimed).when(ClaimBot("two")).then([BotClaimed(epoch=2, holder="two")])
    assert given(claimed).state.status == status


@pytest.mark.parametrize("status", LIVES)
def test_capital_moves_whatever_the_status(status: str) -> None:
    given(LIVES[status]).when(DepositCapital(Decimal("5.5"), "gift")).then(
        [CapitalDeposited(amount=Decimal("5.5"), reference="gift")]
    )
    given(LIVES[status]).when(WithdrawCapital(Decimal(10_000), "all")).then(
        [CapitalWithdrawn(amount=Decimal(10_000), reference="all")]
    )


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "sNaN", "Infinity"])
@pytest.mark.parametrize("kind", [DepositCapital, WithdrawCapital])
def test_an_amount_that_is_none_is_refused(kind: type[DepositCapital | WithdrawCapital], amount: str) -> None:
    given(RUNNING).when(kind(Decimal(amount))).then_refused(
        InvalidCommand, match=f"amount must be above 0, not {amount}"
    )


def test_no_more_than_the_cash_can_be_withdrawn() -> None:
    given(RUNNING).when(WithdrawCapital(Decimal("10000.00000001"))).then_refused(
        CommandRefused, match=r"^bot bot-1 has 10000 free, less than 10000\.00000001$"
    )


def test_what_a_position_cost_cannot_be_withdrawn() -> None:
    facts = [*RUNNING, *bought(BTC, 1, quantity="10", price="100", fee="1")]
    given(facts).when(WithdrawCapital(Decimal(8999))).then([CapitalWithdrawn(amount=Decimal(8999))])
    given(facts).when(WithdrawCapital(Decimal("8999.01"))).then_refused(CommandRefused, match="has 8999 free")


def test_what_an_order_at_work_needs_cannot_be_withdrawn() -> None:
    """500 to enter with, and half a unit for the fee."""
    facts = [*RUNNING, *given(RUNNING).when(observe(flat_candles(CROSS_UP))).facts]
    given(facts).when(WithdrawCapital(Decimal("9499.5"))).then([CapitalWithdrawn(amount=Decimal("9499.5"))])
    given(facts).when(WithdrawCapital(Decimal("9499.51"))).then_refused(
        CommandRefused, match=r"^bot bot-1 has 9499\.5 free, less than 9499\.51$"
    )


@pytest.mark.parametrize("amount", ["1e-19", "1e15", "1e200"])
def test_an_amount_that_could_not_be_folded_is_refused(amount: str) -> None:
    given(RUNNING).when(DepositCapital(Decimal(amount))).then_refused(InvalidCommand, match="^amount is ")


@pytest.mark.parametrize("amount", ["1e-18", "999999999999999"])
def test_an_amount_within_the_bounds_can_be_folded(amount: str) -> None:
    outcome = given(RUNNING).when(DepositCapital(Decimal(amount)))
    given([*RUNNING, *outcome.facts])


def test_a_stale_epoch_decides_nothing() -> None:
    facts: Sequence[BotFact] = [*RUNNING, BotClaimed(epoch=1, holder="one"), BotClaimed(epoch=2, holder="two")]
    for epoch in (0, 1, 3):
        given(facts).when(observe(flat_candles(CROSS_UP), epoch=epoch)).then([])
    assert len(given(facts).when(observe(flat_candles(CROSS_UP), epoch=2)).facts) == 2


@pytest.mark.parametrize(("first", "decided"), [(0, 0), (1, 2)], ids=["at the cursor", "after the cursor"])
def test_a_frame_at_or_before_the_cursor_decides_nothing(first: int, decided: int) -> None:
    """The last fact is of candle 3; the frame is of candle 3, or of candle 4."""
    left = OrderRequested(
        order_id=order_id(1), at=moment(3), symbol=ETH, side="buy", kind="limit", reason="entry", notional=Decimal(1)
    )
    facts = [*running(instrument(BTC), instrument(ETH)), left]
    assert len(given(facts).when(observe(flat_candles(CROSS_UP, first=first))).facts) == decided


def test_a_frame_that_was_decided_on_decides_nothing_again() -> None:
    frame = observe(flat_candles(CROSS_UP))
    facts = given(RUNNING).when(frame).facts
    given([*RUNNING, *facts]).when(frame).then([])


def test_a_bot_that_was_never_started_decides_nothing() -> None:
    given(NEW).when(observe(flat_candles(CROSS_UP))).then([])


def test_the_window_is_what_the_strategy_must_be_shown() -> None:
    assert DECIDER.window(given(RUNNING).state) == 4
    assert DECIDER.window(given([created(parameters={})]).state) == 251
