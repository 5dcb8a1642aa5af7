"""The decider of an account."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from events.user import (
    ApiTokenIssued,
    ApiTokenRevoked,
    CredentialChanged,
    Role,
    SessionEnded,
    SignInFailed,
    SignInSucceeded,
    UserCreated,
    UserDisabled,
    UserEnabled,
    UserFact,
    UserRoleChanged,
)
from events.values import EncryptedText, SubjectId
from oxbot.core.account import (
    API_TOKENS_MAX,
    SESSIONS_MAX,
    AccountCommand,
    AccountDecider,
    AccountRefused,
    AccountState,
    CreateUser,
    EndAllSessions,
    EndSession,
    InvalidUsername,
    IssueApiToken,
    RecordSignIn,
    RevokeApiToken,
    Settle,
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
A, B = SignInSucceeded(session_id="a"), SignInSucceeded(session_id="b")
NOW, LATER = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)
T = ApiTokenIssued(token_id="t", scopes=("read",), expires_at=LATER)  # noqa: S106


def settle(generation: int, *, role: Role = "trader", disabled: bool = False, password: int = 0) -> Settle:
    """The log is to say this of the account."""
    return Settle(role=role, disabled=disabled, generation=generation, password_generation=password)


def issue(token_id: str, *, at: datetime = NOW) -> IssueApiToken:
    """A token to read with is to be good until ``LATER``."""
    return IssueApiToken(token_id=token_id, scopes=("read",), expires_at=LATER, at=at)


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
        ((CREATED,), RecordSignIn(succeeded=True), [SignInSucceeded()]),
        ((CREATED,), RecordSignIn(succeeded=True, session_id="a"), [A]),
        ((CREATED,), RecordSignIn(succeeded=False), [SignInFailed()]),
        ((CREATED, UserDisabled()), RecordSignIn(succeeded=False), [SignInFailed()]),
        ((CREATED, A), EndSession("a", "signed_out"), [SessionEnded(session_id="a", why="signed_out")]),
        ((CREATED, A), EndSession("b", "signed_out"), []),
        ((CREATED, A, SessionEnded(session_id="a", why="ended")), EndSession("a", "ended"), []),
        ((CREATED, A, B), EndAllSessions(), [SessionEnded(session_id=one, why="ended") for one in ("a", "b")]),
        ((CREATED,), settle(1, password=1), [CredentialChanged(generation=1)]),
        ((CREATED,), settle(1, role="admin"), [UserRoleChanged(role="admin", generation=1)]),
        ((CREATED,), settle(1, disabled=True), [UserDisabled(generation=1)]),
        ((CREATED, UserDisabled(generation=1)), settle(2), [UserEnabled(generation=2)]),
        ((CREATED,), settle(0), []),
        ((CREATED, UserRoleChanged(role="viewer", generation=2)), settle(1, role="admin"), []),
        ((CREATED, UserRoleChanged(role="viewer", generation=2)), settle(2, role="viewer"), []),
        (
            (CREATED, CredentialChanged(generation=1)),
            settle(2, role="admin", password=1),
            [
                UserRoleChanged(role="admin", generation=2),
            ],
        ),
        (
            (CREATED,),
            settle(3, role="admin", disabled=True, password=2),
            [
                CredentialChanged(generation=2),
                UserRoleChanged(role="admin", generation=3),
                UserDisabled(generation=3),
            ],
        ),
        ((CREATED,), issue("t"), [T]),
        ((CREATED, T), issue("t"), []),
        (
            (CREATED, T),
            issue("u", at=LATER),
            [ApiTokenRevoked(token_id="t", why="expired"), msgspec.structs.replace(T, token_id="u")],  # noqa: S106
        ),
        ((CREATED, T), RevokeApiToken("t"), [ApiTokenRevoked(token_id="t")]),  # noqa: S106
        ((CREATED,), RevokeApiToken("t"), []),
    ],
)
def test_a_command_leads_to_its_facts(
    facts: tuple[UserFact, ...], command: AccountCommand, expected: list[UserFact]
) -> None:
    assert DECIDER.decide(command, folded(*facts)) == expected


@pytest.mark.parametrize(
    "command", [Settle(role="admin", disabled=False, generation=1, password_generation=1), RecordSignIn(succeeded=True)]
)
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


@pytest.mark.parametrize("ending", [CredentialChanged(generation=1), CredentialChanged(), UserDisabled(generation=1)])
def test_another_password_and_a_disabling_end_every_session_and_api_token(ending: UserFact) -> None:
    state = folded(CREATED, A, T, B, ending)

    assert (state.sessions, state.grants) == ((), ())
    assert folded(CREATED, A, T, UserRoleChanged(role="viewer", generation=1)).sessions == ("a",)


def test_a_sign_in_by_a_password_that_was_changed_meanwhile_is_refused() -> None:
    state = folded(CREATED, CredentialChanged(generation=4))

    with pytest.raises(AccountRefused):
        DECIDER.decide(RecordSignIn(succeeded=True, session_id="a", password_generation=3), state)
    assert DECIDER.decide(RecordSignIn(succeeded=True, session_id="a", password_generation=4), state) == [A]


def test_a_disabled_account_is_not_signed_in_to_and_gets_no_token() -> None:
    for command in (RecordSignIn(succeeded=True, session_id="a"), issue("t")):
        with pytest.raises(AccountRefused):
            DECIDER.decide(command, folded(CREATED, UserDisabled(generation=1)))


def test_the_oldest_session_makes_room_for_one_too_many() -> None:
    begun = [SignInSucceeded(session_id=str(number)) for number in range(SESSIONS_MAX)]

    assert DECIDER.decide(RecordSignIn(succeeded=True, session_id="a"), folded(CREATED, *begun)) == [
        SessionEnded(session_id="0", why="replaced"),
        A,
    ]


def test_an_account_has_so_many_api_tokens_and_no_more_of_which_the_expired_do_not_count() -> None:
    issued = [msgspec.structs.replace(T, token_id=str(number)) for number in range(API_TOKENS_MAX)]

    with pytest.raises(AccountRefused, match="revoke one"):
        DECIDER.decide(issue("t"), folded(CREATED, *issued))
    assert len(DECIDER.decide(issue("t", at=LATER), folded(CREATED, *issued))) == API_TOKENS_MAX + 1
