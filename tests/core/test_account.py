"""The decider of an account."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from events.user import CredentialChanged, SignInFailed, SignInSucceeded, UserCreated, UserFact
from events.values import EncryptedText, SubjectId
from oxbot.core.account import (
    AccountCommand,
    AccountDecider,
    AccountRefused,
    AccountState,
    ChangeCredential,
    CreateUser,
    InvalidUsername,
    RecordSignIn,
    UserId,
    canonical_username,
    user_stream,
)

DECIDER = AccountDecider()
SEALED, AGAIN = (
    EncryptedText(subject=SubjectId("user-7"), key_id="k", nonce=bytes(12), ciphertext=text) for text in (b"x", b"y")
)
CREATED = UserCreated(username="", role="trader", sealed_username=SEALED)
OLD = UserCreated(username="ann", role="trader")


def folded(*facts: UserFact) -> AccountState:
    """The account after these facts."""
    state = DECIDER.initial
    for fact in facts:
        state = DECIDER.evolve(state, fact)
    return state


@pytest.mark.parametrize(
    ("facts", "command", "expected"),
    [
        ((), CreateUser(sealed_username=SEALED, role="trader"), [CREATED]),
        ((CREATED,), CreateUser(sealed_username=AGAIN, role="trader"), []),
        ((OLD,), CreateUser(sealed_username=SEALED, role="trader"), []),
        ((CREATED,), ChangeCredential(), [CredentialChanged()]),
        ((CREATED,), RecordSignIn(succeeded=True), [SignInSucceeded()]),
        ((CREATED,), RecordSignIn(succeeded=False), [SignInFailed()]),
    ],
)
def test_a_command_leads_to_its_facts(
    facts: tuple[UserFact, ...], command: AccountCommand, expected: list[UserFact]
) -> None:
    assert DECIDER.decide(command, folded(*facts)) == expected


@pytest.mark.parametrize("command", [ChangeCredential(), RecordSignIn(succeeded=True), RecordSignIn(succeeded=False)])
def test_nothing_happens_to_an_account_that_does_not_exist(command: AccountCommand) -> None:
    with pytest.raises(AccountRefused):
        DECIDER.decide(command, DECIDER.initial)


@pytest.mark.parametrize("before", [CREATED, OLD])
def test_an_account_is_not_created_over_one_of_another_role(before: UserCreated) -> None:
    with pytest.raises(AccountRefused):
        DECIDER.decide(CreateUser(sealed_username=SEALED, role="admin"), folded(before))


def test_an_account_whose_name_an_older_program_recorded_is_the_same_account() -> None:
    assert folded(OLD) == folded(CREATED)
    assert "ann" not in repr(folded(OLD))


def test_failures_count_until_a_success_or_another_password() -> None:
    assert folded(CREATED, SignInFailed(), SignInFailed()).failures == 2
    assert folded(CREATED, SignInFailed(), SignInSucceeded()).failures == 0
    assert folded(CREATED, SignInFailed(), CredentialChanged(), SignInFailed()).failures == 1


@pytest.mark.parametrize("name", ["", "a b", "é", "-ann", "a" * 33, "ann\n", "a\x00", "ann@example"])
def test_a_name_that_no_account_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidUsername):
        canonical_username(name)


@given(some.text())
def test_a_canonical_name_is_its_own_canonical_name(text: str) -> None:
    try:
        name = canonical_username(text)
    except InvalidUsername:
        return
    assert canonical_username(name) == name == text.lower()


def test_each_account_has_its_stream() -> None:
    assert user_stream(UserId("7")) == "user-7"
