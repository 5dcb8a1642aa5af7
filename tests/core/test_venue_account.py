"""The account's decider: claims, arming, what only the newest incarnation may say, and the kill switch."""

from datetime import timedelta
from decimal import Decimal

import pytest

from events.account import (
    AccountArmed,
    AccountClaimed,
    AccountDisarmed,
    AccountFact,
    AccountGranted,
    AccountIdentified,
    AccountKeysSet,
    AccountKillDone,
    AccountKillRequested,
    AccountOpened,
    AccountReconciled,
    AccountUnreconciled,
    LeverageConfirmed,
    StrangerKind,
    StrangerSeen,
)
from events.identifiers import HOUSE, AccountName, OwnerId, Symbol, VenueName
from oxbot.core.refused import CommandRefused
from oxbot.core.venue_account import (
    STRANGERS_KEPT,
    AccountState,
    ArmAccount,
    ClaimAccount,
    ConfirmLeverage,
    DisarmAccount,
    GrantAccount,
    OpenAccount,
    RecordIdentity,
    RecordKillDone,
    RecordReconciled,
    RecordStranger,
    RecordUnreconciled,
    RequestKill,
    SetKeys,
    VenueAccountCommand,
    VenueAccountDecider,
)
from tests.core.scenario import START

DECIDER = VenueAccountDecider()
OPENED = AccountOpened(account=AccountName("main"), venue=VenueName("okx"))
CLAIMED = AccountClaimed(epoch=1, holder="a")
LATER = START + timedelta(hours=1)
ETH = Symbol("ETH/USDT:USDT")


def after(*facts: AccountFact) -> AccountState:
    state = DECIDER.initial
    for fact in facts:
        state = DECIDER.evolve(state, fact)
    return state


def decided(command: VenueAccountCommand, *facts: AccountFact) -> list[AccountFact]:
    return DECIDER.decide(command, after(OPENED, *facts))


def test_an_account_is_opened_once_and_never_in_other_terms() -> None:
    command = OpenAccount(OPENED.account, OPENED.venue)
    assert DECIDER.decide(command, DECIDER.initial) == [OPENED]
    assert decided(command) == []
    with pytest.raises(CommandRefused, match="open at okx"):
        decided(OpenAccount(OPENED.account, OPENED.venue, demo=True))


def test_nothing_is_recorded_of_an_account_that_does_not_exist() -> None:
    with pytest.raises(CommandRefused, match="no such account"):
        DECIDER.decide(ClaimAccount("a"), DECIDER.initial)


def test_keys_are_a_fact_only_when_they_are_others() -> None:
    assert decided(SetKeys("abc")) == [AccountKeysSet(fingerprint="abc")]
    assert decided(SetKeys("abc"), AccountKeysSet(fingerprint="abc")) == []


def test_an_account_is_granted_to_one_user_at_a_time_and_taken_back() -> None:
    granted = AccountGranted(owner=OwnerId("anna"))
    assert decided(GrantAccount(OwnerId("anna"))) == [granted]
    assert decided(GrantAccount(OwnerId("anna")), granted) == decided(GrantAccount(HOUSE)) == []
    assert decided(GrantAccount(HOUSE), granted) == [AccountGranted(owner=HOUSE)]
    assert after(OPENED, granted).owner == "anna"
    assert after(OPENED, granted, AccountGranted(owner=HOUSE)).owner == HOUSE


def test_each_claim_has_the_next_epoch_and_begins_without_knowing_what_the_last_one_found_out() -> None:
    assert decided(ClaimAccount("b"), CLAIMED) == [AccountClaimed(epoch=2, holder="b")]
    reconciled = AccountReconciled(at=START, epoch=1, position=3, orders=0)
    confirmed = LeverageConfirmed(at=START, symbol=ETH, leverage=Decimal(3))
    state = after(OPENED, CLAIMED, reconciled, confirmed, AccountClaimed(epoch=2, holder="b"))
    assert (state.epoch, state.reconciled, state.leverages) == (2, False, {})


def test_an_account_is_armed_until_the_moment_that_was_said() -> None:
    assert decided(ArmAccount(LATER)) == [AccountArmed(until=LATER)]
    assert decided(ArmAccount(LATER), AccountArmed(until=LATER)) == []
    state = after(OPENED, AccountArmed(until=LATER))
    assert state.armed_at(LATER - timedelta(seconds=1))
    assert not state.armed_at(LATER)


def test_disarming_counts_at_once() -> None:
    assert decided(DisarmAccount("lunch"), AccountArmed(until=LATER)) == [AccountDisarmed(reason="lunch")]
    assert decided(DisarmAccount("lunch")) == []
    assert not after(OPENED, AccountArmed(until=LATER), AccountDisarmed()).armed_at(START)


def test_only_the_newest_incarnation_is_heard() -> None:
    said: list[VenueAccountCommand] = [
        RecordReconciled(epoch=1, at=START, position=1, orders=0),
        RecordUnreconciled(epoch=1, at=START, reason="x"),
        RecordStranger(epoch=1, at=START, kind="order", reference="1"),
        ConfirmLeverage(epoch=1, at=START, symbol=ETH, leverage=Decimal(3)),
        RecordIdentity(epoch=1, at=START, identity="one"),
        RecordKillDone(epoch=1, at=START, policy="freeze", cancelled=0, closed=0),
    ]
    killed = AccountKillRequested(at=START, policy="freeze")
    for command in said:
        assert decided(command, CLAIMED, killed)
        assert decided(command, CLAIMED, killed, AccountClaimed(epoch=2, holder="b")) == []


def test_agreement_is_said_when_it_is_news() -> None:
    agreed = AccountReconciled(at=START, epoch=1, position=5, orders=2)
    command = RecordReconciled(epoch=1, at=START, position=5, orders=2)
    assert decided(command, CLAIMED) == [agreed]
    assert decided(command, CLAIMED, agreed) == []
    adopted = RecordReconciled(epoch=1, at=START, position=5, orders=2, fills_adopted=1)
    assert len(decided(adopted, CLAIMED, agreed)) == 1


def test_another_reason_takes_the_place_of_one_that_holds_no_more() -> None:
    unreconciled = AccountUnreconciled(at=START, epoch=1, reason="x")
    for reason, said in (("x", 0), ("y", 1)):
        command = RecordUnreconciled(epoch=1, at=START, reason=reason, instead=True)
        assert len(decided(command, CLAIMED, unreconciled)) == said


def test_disagreement_is_said_once_until_they_agree_again() -> None:
    agreed = AccountReconciled(at=START, epoch=1, position=5, orders=2)
    unreconciled = AccountUnreconciled(at=START, epoch=1, reason="x")
    command = RecordUnreconciled(epoch=1, at=START, reason="x")
    assert decided(command, CLAIMED, agreed) == [unreconciled]
    assert decided(command, CLAIMED, unreconciled) == []
    assert decided(RecordUnreconciled(epoch=1, at=START, reason="y"), CLAIMED, unreconciled) == []
    assert decided(command, CLAIMED, unreconciled, agreed) == [unreconciled]
    assert not after(OPENED, CLAIMED, agreed, unreconciled).reconciled


def test_that_money_is_lacking_is_said_though_something_else_was_said_before_and_forgotten_once_they_agree() -> None:
    agreed = AccountReconciled(at=START, epoch=1, position=5, orders=2)
    before = AccountUnreconciled(at=START, epoch=1, reason="x")
    lacking = AccountUnreconciled(at=START, epoch=1, reason="y", lacks="5 USDT")
    command = RecordUnreconciled(epoch=1, at=START, reason="y", lacks="5 USDT")
    assert decided(command, CLAIMED, before) == [lacking]
    assert decided(command, CLAIMED, before, lacking) == []
    assert after(OPENED, CLAIMED, lacking).lacks == "5 USDT"
    assert after(OPENED, CLAIMED, lacking, agreed).lacks == ""
    assert after(OPENED, CLAIMED, lacking, AccountClaimed(epoch=2, holder="b")).lacks == ""


def test_a_stranger_is_reported_once_for_each_reference() -> None:
    seen = StrangerSeen(at=START, kind="order", reference="1")
    assert decided(RecordStranger(epoch=1, at=START, kind="order", reference="1"), CLAIMED) == [seen]
    assert decided(RecordStranger(epoch=1, at=LATER, kind="order", reference="1"), CLAIMED, seen) == []
    assert len(decided(RecordStranger(epoch=1, at=START, kind="fill", reference="1"), CLAIMED, seen)) == 1


@pytest.mark.parametrize("kind", ["position", "balance"])
def test_a_strangers_position_or_balance_is_told_again_when_it_is_another_by_much_or_came_back(
    kind: StrangerKind,
) -> None:
    def said(quantity: str, *before: AccountFact) -> bool:
        command = RecordStranger(epoch=1, at=START, kind=kind, reference="X", quantity=Decimal(quantity))
        return bool(decided(command, CLAIMED, *before))

    ten = StrangerSeen(at=START, kind=kind, reference="X", quantity=Decimal(10))
    gone = StrangerSeen(at=LATER, kind=kind, reference="X", quantity=Decimal(0))
    assert [said(quantity, ten) for quantity in ("9", "11", "8.9", "11.1", "0")] == [False, False, True, True, True]
    assert after(OPENED, CLAIMED, ten, gone).strangers == {}
    assert said("10", ten, gone)
    assert not said("0", ten, gone)
    assert not said("0")


def test_only_the_newest_orders_and_trades_of_strangers_are_remembered() -> None:
    seen: list[AccountFact] = [
        StrangerSeen(at=START, kind="fill", reference=str(number)) for number in range(STRANGERS_KEPT + 2)
    ]
    lasting = StrangerSeen(at=START, kind="position", reference="X", quantity=Decimal(1))
    known = after(OPENED, CLAIMED, lasting, *seen[:5]).strangers
    assert len(known) == 6
    state = AccountState(strangers={("fill", str(number)): None for number in range(STRANGERS_KEPT)})
    kept = VenueAccountDecider().evolve(state, seen[-1]).strangers
    assert (len(kept), ("fill", "0") in kept) == (STRANGERS_KEPT, False)


def test_which_account_it_is_at_the_venue_is_told_when_it_is_another() -> None:
    one = AccountIdentified(at=START, epoch=1, identity="one")
    command = RecordIdentity(epoch=1, at=START, identity="one")
    assert decided(command, CLAIMED) == [one]
    assert decided(command, CLAIMED, one) == []
    assert len(decided(RecordIdentity(epoch=1, at=START, identity="two"), CLAIMED, one)) == 1


def test_a_leverage_is_confirmed_once_by_each_incarnation() -> None:
    confirmed = LeverageConfirmed(at=START, symbol=ETH, leverage=Decimal(3))
    command = ConfirmLeverage(epoch=1, at=START, symbol=ETH, leverage=Decimal(3))
    assert decided(command, CLAIMED) == [confirmed]
    assert decided(command, CLAIMED, confirmed) == []


def test_the_kill_switch_disarms_in_the_same_moment_and_keeps_the_account_disarmed_while_it_works() -> None:
    requested = AccountKillRequested(at=START, policy="freeze", reason="fire")
    facts = decided(RequestKill(at=START, policy="freeze", reason="fire"), AccountArmed(until=LATER))
    assert facts == [requested, AccountDisarmed(reason="the kill switch was thrown")]
    with pytest.raises(CommandRefused, match="still at work"):
        decided(ArmAccount(LATER), requested)


def test_a_kill_switch_at_work_can_only_be_thrown_further() -> None:
    freeze, close = (AccountKillRequested(at=START, policy=policy) for policy in ("freeze", "close"))
    assert decided(RequestKill(at=START, policy="close"), freeze) == [close]
    assert decided(RequestKill(at=START, policy="freeze"), close) == []


def test_what_the_kill_switch_did_is_recorded_once_and_only_of_what_was_asked() -> None:
    requested = AccountKillRequested(at=START, policy="close")
    done = AccountKillDone(at=LATER, policy="close", cancelled=1, closed=2, left=("x",))
    command = RecordKillDone(epoch=1, at=LATER, policy="close", cancelled=1, closed=2, left=("x",))
    assert decided(command, CLAIMED, requested) == [done]
    assert decided(command, CLAIMED, requested, done) == []
    assert decided(command, CLAIMED, AccountKillRequested(at=START, policy="freeze")) == []
    assert after(OPENED, requested, done).kill is None
