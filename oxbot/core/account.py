"""The decider of an account: which facts a person's sign-up, sessions and tokens lead to."""

import re
from datetime import datetime
from typing import NewType, assert_never

import msgspec

from events.errors import OxbotError
from events.identifiers import StreamId
from events.user import (
    ApiTokenIssued,
    ApiTokenRevoked,
    CredentialChanged,
    Role,
    Scope,
    SessionEnd,
    SessionEnded,
    SignInFailed,
    SignInSucceeded,
    UserCreated,
    UserDisabled,
    UserEnabled,
    UserFact,
    UserRoleChanged,
)
from events.values import EncryptedText

UserId = NewType("UserId", str)

USER_STREAM_PREFIX = "user-"
SESSIONS_MAX = 50
"""So many sessions an account has at once; the oldest makes room for the next."""

API_TOKENS_MAX = 50

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


class AccountRefused(OxbotError):
    """A command that the account, as it is, cannot follow; nothing was recorded."""


class InvalidUsername(OxbotError):
    """A name that no account can have."""


class CreateUser(msgspec.Struct, frozen=True, kw_only=True):
    """Bring an account into being; again with the same role changes nothing, whatever the name is sealed as."""

    sealed_username: EncryptedText
    role: Role


class Settle(msgspec.Struct, frozen=True, kw_only=True):
    """The log is to say what the account's credential says, unless it has heard of a later change of it already."""

    role: Role
    disabled: bool
    generation: int
    password_generation: int


class RecordSignIn(msgspec.Struct, frozen=True):
    """Somebody gave a password for this account; with the right one, of this generation, this session begins."""

    succeeded: bool
    session_id: str = ""
    password_generation: int = 0
    attempts: int = 1


class EndSession(msgspec.Struct, frozen=True):
    """A session is to be over; one that is over already changes nothing."""

    session_id: str
    why: SessionEnd


class EndAllSessions(msgspec.Struct, frozen=True):
    """Every session is to be over."""


class IssueApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token for scripts is to be good from ``at`` on."""

    token_id: str
    scopes: tuple[Scope, ...]
    expires_at: datetime
    at: datetime


class RevokeApiToken(msgspec.Struct, frozen=True):
    """A token for scripts is to be good no longer; one that is not changes nothing."""

    token_id: str


AccountCommand = CreateUser | Settle | RecordSignIn | EndSession | EndAllSessions | IssueApiToken | RevokeApiToken


class Grant(msgspec.Struct, frozen=True):
    """An API token that is not revoked, which may have expired."""

    token_id: str
    scopes: tuple[Scope, ...]
    expires_at: datetime


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """An account, without its name; ``failures`` counts the wrong passwords since the last right one.

    ``sessions``, the oldest first, may still be refreshed as far as the log knows; when they expire is kept beside it.
    """

    role: Role | None = None
    failures: int = 0
    disabled: bool = False
    generation: int = 0
    password_generation: int = 0
    sessions: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()

    def grant(self, token_id: str) -> Grant | None:
        """The API token of that id, unless it is revoked."""
        return next((grant for grant in self.grants if grant.token_id == token_id), None)


class AccountDecider:
    """Decides for one account. Pure: it never sees a password or a token, nor the name in plain text."""

    initial = AccountState()

    def evolve(self, state: AccountState, fact: UserFact) -> AccountState:
        """The account after the fact."""
        replace = msgspec.structs.replace
        match fact:
            case UserCreated(role=role):
                return AccountState(role=role)
            case CredentialChanged():
                return _after_password(state, fact)
            case SignInSucceeded(session_id=session_id):
                begun = (session_id,) if session_id else ()
                return replace(state, failures=0, sessions=state.sessions + begun)
            case SignInFailed(attempts=attempts):
                return replace(state, failures=state.failures + attempts)
            case SessionEnded(session_id=session_id):
                return replace(state, sessions=tuple(known for known in state.sessions if known != session_id))
            case UserRoleChanged() | UserDisabled() | UserEnabled():
                return _after_change(state, fact)
            case ApiTokenIssued(token_id=token_id, scopes=scopes, expires_at=expires_at):
                return replace(state, grants=(*state.grants, Grant(token_id, scopes, expires_at)))
            case ApiTokenRevoked(token_id=token_id):
                return replace(state, grants=tuple(known for known in state.grants if known.token_id != token_id))
            case _:
                assert_never(fact)

    def decide(self, command: AccountCommand, state: AccountState) -> list[UserFact]:
        """The facts that follow. Raises ``AccountRefused``."""
        if isinstance(command, CreateUser):
            return _create(command, state)
        if state.role is None:
            raise AccountRefused("there is no such account")
        match command:
            case Settle():
                return _settle(command, state)
            case RecordSignIn():
                return _sign_in(command, state)
            case EndSession(session_id=session_id, why=why):
                return [SessionEnded(session_id=session_id, why=why)] if session_id in state.sessions else []
            case EndAllSessions():
                return [SessionEnded(session_id=session_id, why="ended") for session_id in state.sessions]
            case IssueApiToken():
                return _issue(command, state)
            case RevokeApiToken(token_id=token_id):
                return [ApiTokenRevoked(token_id=token_id)] if state.grant(token_id) else []
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


def _after_password(state: AccountState, fact: CredentialChanged) -> AccountState:
    return msgspec.structs.replace(
        state,
        failures=0,
        sessions=(),
        grants=(),
        generation=max(state.generation, fact.generation),
        password_generation=max(state.password_generation, fact.generation),
    )


def _after_change(state: AccountState, fact: UserRoleChanged | UserDisabled | UserEnabled) -> AccountState:
    after = msgspec.structs.replace(state, generation=max(state.generation, fact.generation))
    match fact:
        case UserRoleChanged(role=role):
            return msgspec.structs.replace(after, role=role)
        case UserDisabled():
            return msgspec.structs.replace(after, disabled=True, sessions=(), grants=())
        case UserEnabled():
            return msgspec.structs.replace(after, disabled=False)
        case _:
            assert_never(fact)


def _settle(command: Settle, state: AccountState) -> list[UserFact]:
    """Whoever has an older credential in hand than the log has heard of changes nothing by it."""
    if command.generation <= state.generation:
        return []
    facts: list[UserFact] = []
    if command.password_generation > state.password_generation:
        facts.append(CredentialChanged(generation=command.password_generation))
    if command.role != state.role:
        facts.append(UserRoleChanged(role=command.role, generation=command.generation))
    if command.disabled != state.disabled:
        changed = UserDisabled if command.disabled else UserEnabled
        facts.append(changed(generation=command.generation))
    return facts


def _sign_in(command: RecordSignIn, state: AccountState) -> list[UserFact]:
    if not command.succeeded:
        return [SignInFailed(attempts=command.attempts)]
    if state.disabled:
        raise AccountRefused("the account is disabled")
    if command.password_generation < state.password_generation:
        raise AccountRefused("the password was changed meanwhile")
    if not command.session_id:
        return [SignInSucceeded()]
    beyond = state.sessions[: max(0, len(state.sessions) + 1 - SESSIONS_MAX)]
    ended: list[UserFact] = [SessionEnded(session_id=oldest, why="replaced") for oldest in beyond]
    return [*ended, SignInSucceeded(session_id=command.session_id)]


def _issue(command: IssueApiToken, state: AccountState) -> list[UserFact]:
    if state.disabled:
        raise AccountRefused("the account is disabled")
    if state.grant(command.token_id) is not None:
        return []
    expired = [grant.token_id for grant in state.grants if grant.expires_at <= command.at]
    if len(state.grants) - len(expired) >= API_TOKENS_MAX:
        raise AccountRefused(f"an account has at most {API_TOKENS_MAX} API tokens; revoke one first")
    revoked: list[UserFact] = [ApiTokenRevoked(token_id=token_id, why="expired") for token_id in expired]
    issued = ApiTokenIssued(token_id=command.token_id, scopes=command.scopes, expires_at=command.expires_at)
    return [*revoked, issued]
