"""The facts of an account: who may use the API. Credentials themselves are never facts."""

from typing import Literal

from events.values import EncryptedText, Timestamp, Value

Role = Literal["viewer", "trader", "admin"]

Scope = Literal["read", "trade", "admin", "metrics"]
"""What an API token may be used for, each no further than its account's role goes at the time."""

SessionEnd = Literal["signed_out", "ended", "replaced", "refresh_reused"]
"""Why a session ended; ``refresh_reused``: a refresh token came back that had been exchanged: it was stolen."""

ApiTokenEnd = Literal["revoked", "expired"]

USERNAME_FIELD = "user.username"
"""What a sealed username is bound to, beside its subject; never renamed."""


class UserCreated(Value, frozen=True, kw_only=True, tag="user.created"):
    """An account came to be; the credential lives outside the log, where it can be changed and destroyed.

    The name is personal and only in ``sealed_username``. Older programs wrote it into ``username``, now always empty.
    """

    username: str
    role: Role
    sealed_username: EncryptedText | None = None


class CredentialChanged(Value, frozen=True, kw_only=True, tag="user.credential_changed"):
    """The account's password was set; the fact says when, never what. All its sessions and API tokens are over.

    ``generation``, here and in the facts below: which change of the account's credential this is, counted beside the
    log, so that no reader of an older credential takes a change back.
    """

    generation: int = 0


class SignInSucceeded(Value, frozen=True, kw_only=True, tag="user.sign_in_succeeded"):
    """A session began; older programs did not name it, and its tokens could not be called back."""

    session_id: str = ""


class SignInFailed(Value, frozen=True, kw_only=True, tag="user.sign_in_failed"):
    """A wrong password was given for a known account, so many times since the last such fact of the same process."""

    attempts: int = 1


class SessionEnded(Value, frozen=True, kw_only=True, tag="user.session_ended"):
    """A session is over: none of its tokens is good any more."""

    session_id: str
    why: SessionEnd


class UserRoleChanged(Value, frozen=True, kw_only=True, tag="user.role_changed"):
    """The account may do more or less from now on; tokens that name its old role are no longer good."""

    role: Role
    generation: int = 0


class UserDisabled(Value, frozen=True, kw_only=True, tag="user.disabled"):
    """Nobody signs in to the account any more; its sessions and API tokens are over."""

    generation: int = 0


class UserEnabled(Value, frozen=True, kw_only=True, tag="user.enabled"):
    """The account may be signed in to again."""

    generation: int = 0


class ApiTokenIssued(Value, frozen=True, kw_only=True, tag="user.api_token_issued"):
    """A token for scripts came to be. What it is called is the person's own and not in the log, nor is the token."""

    token_id: str
    scopes: tuple[Scope, ...]
    expires_at: Timestamp


class ApiTokenRevoked(Value, frozen=True, kw_only=True, tag="user.api_token_revoked"):
    """A token for scripts is no longer good."""

    token_id: str
    why: ApiTokenEnd = "revoked"


UserFact = (
    UserCreated
    | CredentialChanged
    | SignInSucceeded
    | SignInFailed
    | SessionEnded
    | UserRoleChanged
    | UserDisabled
    | UserEnabled
    | ApiTokenIssued
    | ApiTokenRevoked
)
