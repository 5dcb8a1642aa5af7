"""The facts of an account: who may use the API. Credentials themselves are never facts."""

from typing import Literal

from events.values import EncryptedText, Value

Role = Literal["viewer", "trader", "admin"]

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
    """The account's password was set; the fact says when, never what."""


class SignInSucceeded(Value, frozen=True, kw_only=True, tag="user.sign_in_succeeded"):
    """A session began."""


class SignInFailed(Value, frozen=True, kw_only=True, tag="user.sign_in_failed"):
    """A wrong password was given for a known account."""


UserFact = UserCreated | CredentialChanged | SignInSucceeded | SignInFailed
