"""Real money: a live bot enters while it is armed and its data are sound, and leaves whatever holds."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from events.bot import BotArmed, BotDisarmed, BotFact, DecisionMade, OrderDenied, OrderRequested
from events.identifiers import AccountName, Symbol
from events.values import PaperModel
from oxbot.core.bot import ArmBot, CommandRefused, DisarmBot, ObserveFrame, StopBot
from oxbot.core.candles import Frame
from oxbot.core.creation import InvalidCommand
from oxbot.core.strategy import Strategies
from tests.core.live import FOUR_HOURS, armed, bought, live, said, see
from tests.core.lives import (
    BTC,
    BTC_PERPETUAL,
    START,
    Life,
    Plan,
    Scripted,
    Wish,
    Wishes,
    at,
    candle,
    creation,
    denials,
    perpetual,
    requests,
    spot,
)

CLOSE = START + FOUR_HOURS
"""When candle 0 has closed."""
ALWAYS: Plan = {(BTC, START + number * FOUR_HOURS): Wishes(Wish(), Wish("exit")) for number in range(40)}
LATE = "its candle came late"
SHUT = "the account is not armed"


def unarmed(plan: Plan = ALWAYS) -> Life:
    return Life(live(), Strategies(Scripted(plan)))


def told(life: Life, number: int, faults: Mapping[Symbol, str], account: str = "") -> list[BotFact]:
    """What the bot makes of a flat candle of which, and of whose account, it is told that."""
    shown = Frame(START + number * FOUR_HOURS, ((BTC, candle(number, "100")),))
    life.view.push(shown)
    return life.tell(ObserveFrame(life.state.epoch, shown, life.view, data_faults=faults, account_fault=account))


def kinds(facts: Sequence[BotFact]) -> list[str]:
    return [type(fact).__name__ for fact in facts]


# Arming.


def test_a_live_bot_that_nobody_armed_enters_nothing() -> None:
    denial = denials(see(unarmed(), 0, "100"))[0]
    assert said(denial.rule, denial.limit, denial.value) == ("live_arming", 0, 1)


@pytest.mark.parametrize(
    ("until", "enters"),
    [(CLOSE - timedelta(microseconds=1), False), (CLOSE, False), (CLOSE + timedelta(seconds=1), True)],
)
def test_it_must_be_armed_until_after_the_candles_close(until: datetime, enters: bool) -> None:
    life = unarmed()
    assert life.tell(ArmBot(until)) == [BotArmed(until=until)]
    assert life.state.armed_until == until
    assert bool(requests(see(life, 0, "100"))) is enters


def test_a_bot_is_armed_again_for_longer_and_the_same_word_twice_is_nothing() -> None:
    life = unarmed()
    life.tell(ArmBot(CLOSE))
    assert life.tell(ArmBot(CLOSE)) == []
    assert life.tell(ArmBot(CLOSE + FOUR_HOURS)) == [BotArmed(until=CLOSE + FOUR_HOURS)]
    assert life.tell(DisarmBot("the week is over")) == [BotDisarmed(reason="the week is over")]
    assert life.state.armed_until is None
    assert life.tell(DisarmBot()) == []
    assert denials(see(life, 0, "100"))[0].rule == "live_arming"


def test_a_disarmed_bot_leaves_what_it_holds() -> None:
    life = bought(plan=ALWAYS)
    life.tell(DisarmBot())
    assert [request.reason for request in requests(see(life, 1, "100"))] == ["exit_signal"]


def test_a_bot_on_paper_is_not_armed_and_needs_not_be() -> None:
    life = Life.of(creation(), ALWAYS)
    for command in (ArmBot(CLOSE), DisarmBot()):
        with pytest.raises(CommandRefused, match="trades on paper; only a bot with an account is armed"):
            life.tell(command)
    assert requests(see(life, 0, "100"))


def test_a_bot_that_was_stopped_is_not_armed() -> None:
    life = unarmed()
    life.tell(StopBot())
    with pytest.raises(CommandRefused, match="stopped for good"):
        life.tell(ArmBot(CLOSE))


def test_a_live_bot_has_an_account_and_no_paper_model() -> None:
    assert unarmed().state.configuration.account == "okx-main"
    for wrong, match in (
        (replace(live(), paper=PaperModel()), "a bot with an account has none"),
        (replace(live(), account=AccountName("OKX main")), "account 'OKX main' must be 1 to 64"),
    ):
        with pytest.raises(InvalidCommand, match=match):
            Life(wrong, Strategies(Scripted({})))


def test_where_the_market_has_a_clock_of_its_own_no_candle_says_that_the_arming_has_run_out() -> None:
    life = unarmed()
    assert life.tell(ArmBot(CLOSE - timedelta(days=900), apart=True)) == [
        BotArmed(until=CLOSE - timedelta(days=900), apart=True)
    ]
    assert requests(see(life, 0, "100"))
    life.tell(ArmBot(CLOSE))
    assert not life.state.clock_apart


# An account that lets nothing enter.


def test_an_entry_is_refused_in_the_words_of_what_keeps_the_account_shut() -> None:
    decision, denial = told(armed(plan=ALWAYS), 0, {}, SHUT)
    assert isinstance(decision, DecisionMade)
    assert isinstance(denial, OrderDenied)
    assert (decision.account_fault, denial.reason) == (SHUT, SHUT)
    assert said(denial.rule, denial.limit, denial.value) == ("live_arming", 0, 1)


def test_what_keeps_the_account_shut_is_said_once_a_day_and_again_when_it_is_something_else() -> None:
    life = armed(plan=ALWAYS)
    refused = ["DecisionMade", "OrderDenied"]
    told_so = [SHUT, SHUT, "the bot is not armed", "the bot is not armed", SHUT, SHUT, SHUT]
    facts = [kinds(told(life, number, {}, words)) for number, words in enumerate(told_so)]
    assert facts == [refused, [], refused, [], refused, [], refused]
    assert kinds(told(life, 7, {})) == ["DecisionMade", "OrderRequested"]


def test_an_account_that_is_open_again_is_on_record_also_where_the_entry_is_refused_for_something_else() -> None:
    """Else nobody could tell for which reason the entries after it were refused."""
    life = armed(plan=ALWAYS)
    told(life, 0, {}, SHUT)
    life.tell(DisarmBot())
    decision, denial = told(life, 1, {})
    assert isinstance(decision, DecisionMade)
    assert isinstance(denial, OrderDenied)
    assert (decision.account_fault, denial.reason, life.state.account_fault) == ("", "", "")
    assert told(life, 2, {}) == []


def test_no_shut_account_keeps_a_bot_from_leaving_and_none_concerns_a_bot_on_paper() -> None:
    decision, request = told(bought(plan=ALWAYS), 1, {}, SHUT)
    assert isinstance(decision, DecisionMade)
    assert isinstance(request, OrderRequested)
    assert (request.reason, decision.account_fault) == ("exit_signal", "")
    assert kinds(told(Life.of(creation(), ALWAYS), 0, {}, SHUT)) == ["DecisionMade", "OrderRequested"]


def test_an_entry_that_no_venue_would_take_once_it_is_in_whole_contracts_is_refused_once_a_day() -> None:
    contract = replace(perpetual(), contract_size=Decimal(20))
    plan = {(BTC_PERPETUAL, moment): wishes for (_, moment), wishes in ALWAYS.items()}
    life = armed(creation(contract, leverage="2"), plan)
    facts = [see(life, number, "100", symbol=BTC_PERPETUAL) for number in (0, 1)]
    [denial] = denials(facts[0])
    words = "buys less than the smallest quantity, 20, at 100"
    assert (denial.rule, denial.reason.partition(" ")[2]) == ("order_validity", words)
    assert facts[1] == []
    least = armed(creation(spot(minimum="1001")), ALWAYS)
    assert denials(see(least, 0, "100"))[0].rule == "minimum_notional"


# Faulty data.


def test_an_entry_on_faulty_data_is_refused_in_the_words_in_which_the_bot_was_told() -> None:
    decision, denial = told(armed(plan=ALWAYS), 0, {BTC: LATE})
    assert isinstance(decision, DecisionMade)
    assert isinstance(denial, OrderDenied)
    assert (decision.data_fault, denial.reason) == (LATE, LATE)
    assert said(denial.rule, denial.limit, denial.value) == ("data_quality", 0, 1)


def test_a_fault_that_the_bot_was_told_of_is_recorded_every_time() -> None:
    """Nobody could derive it again."""
    for life in (armed(plan=ALWAYS), Life.of(creation(), ALWAYS)):
        assert [kinds(told(life, number, {BTC: LATE})) for number in (0, 1)] == [["DecisionMade", "OrderDenied"]] * 2
        assert kinds(told(life, 2, {})) == ["DecisionMade", "OrderRequested"]


def test_another_symbols_fault_is_no_concern() -> None:
    assert kinds(told(armed(plan=ALWAYS), 0, {Symbol("ETH/USDT"): LATE})) == ["DecisionMade", "OrderRequested"]


def test_no_fault_keeps_a_bot_from_leaving() -> None:
    decision, request = told(bought(plan=ALWAYS), 1, {BTC: LATE})
    assert isinstance(decision, DecisionMade)
    assert isinstance(request, OrderRequested)
    assert (request.reason, decision.data_fault) == ("exit_signal", "")


def test_a_gap_anywhere_in_what_a_live_bot_sees_is_a_fault_with_a_name() -> None:
    """On paper only one right before the newest candle is."""
    words = "the candles of its window have a gap: 2024-01-01T04:00:00Z to 2024-01-01T08:00:00Z"
    plan = at(4, Wish())
    on_paper = Life.of(creation(), plan)
    for number in (0, 3):
        see(on_paper, number, "100")
    assert kinds(see(on_paper, 4, "100")) == ["DecisionMade", "OrderRequested"]
    alive = armed(plan=plan)
    for number in (0, 3):
        see(alive, number, "100")
    decision, denial = see(alive, 4, "100")
    assert isinstance(decision, DecisionMade)
    assert isinstance(denial, OrderDenied)
    assert (denial.rule, denial.reason, decision.data_fault) == ("data_quality", words, words)


def test_a_gap_is_refused_once_a_day_and_forgotten_once_it_is_out_of_sight() -> None:
    """The window is of three candles."""
    life = armed(plan={**ALWAYS, **at(0, Wish("reduce"))})
    facts = [kinds(see(life, number, "100")) for number in (0, 2, 3, 4)]
    assert facts == [[], ["DecisionMade", "OrderDenied"], [], ["DecisionMade", "OrderRequested"]]
    assert life.state.ledger.cash == Decimal(10_000)
