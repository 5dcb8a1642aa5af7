"""The decider of an account: which facts a person's sign-up and sign-ins lead to."""

import re
from typing import NewType, assert_never

import msgspec

from events.errors import OxbotError
from events.identifiers import StreamId
from events.user import CredentialChanged, Role, SignInFailed, SignInSucceeded, UserCreated, UserFact
from events.values import EncryptedText

UserId = NewType("UserId", str)

USER_STREAM_PREFIX = "user-"

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


class AccountRefused(OxbotError):
    """A command that the account, as it is, cannot follow; nothing was recorded."""


class InvalidUsername(OxbotError):
    """A name that no account can have."""


class CreateUser(msgspec.Struct, frozen=True, kw_only=True):
    """Bring an account into being; again with the same role changes nothing, whatever the name is sealed as."""

    sealed_username: EncryptedText
    role: Role


class ChangeCredential(msgspec.Struct, frozen=True):
    """The password is about to be set."""


class RecordSignIn(msgspec.Struct, frozen=True):
    """Somebody gave a password for this account."""

    succeeded: bool


AccountCommand = CreateUser | ChangeCredential | RecordSignIn


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """An account, without its name; ``failures`` counts the wrong passwords since the last right one."""

    role: Role | None = None
    failures: int = 0


class AccountDecider:
    """Decides for one account. Pure: it never sees a password, nor the name in plain text."""

    initial = AccountState()

    def evolve(self, state: AccountState, fact: UserFact) -> AccountState:
        """The account after the fact."""
        match fact:
            case UserCreated(role=role):
                return AccountState(role=role)
            case CredentialChanged() | SignInSucceeded():
                return msgspec.structs.replace(state, failures=0)
            case SignInFailed():
                return msgspec.structs.replace(state, failures=state.failures + 1)
            case _:
                assert_never(fact)

    def decide(self, command: AccountCommand, state: AccountState) -> list[UserFact]:
        """The facts that follow. Raises ``AccountRefused``."""
        if isinstance(command, CreateUser):
            return _create(command, state)
        if state.role is None:
            raise AccountRefused("there is no such account")
        match command:
            case ChangeCredential():
                return [CredentialChanged()]
            case RecordSignIn(succeeded=succeeded):
                return [SignInSucceeded() if succeeded else SignInFailed()]
            case _:
                assert_never(command)


def user_stream(user_id: UserId) -> StreamId:
    """The one stream that holds everything about an account."""
    return StreamId(f"{USER_STREAM_PREFIX}{user_id}")


def canonical_username(text: str) -> str:
    """The name in the form in which it is unique: lower case.

    Raises ``InvalidUsername`` for one that is not 1 to 32 letters, digits, dots, dashes and underscores.
    """
    username = text.lower()
    if _USERNAME.fullmatch(username) is None:
        raise InvalidUsername(f"a username matches {_USERNAME.pattern}, which {text!r} does not")
    return username


def _create(command: CreateUser, state: AccountState) -> list[UserFact]:
    if state.role is None:
        return [UserCreated(username="", role=command.role, sealed_username=command.sealed_username)]
    if state.role != command.role:
        raise AccountRefused(f"the account is a {state.role} already")
    return []
