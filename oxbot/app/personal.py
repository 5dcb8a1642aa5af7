"""What the log may hold about people: fields sealed under a key per person, readable while that key lasts."""

from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import Final, Protocol

from events.envelope import Fact
from events.errors import OxbotError
from events.user import USERNAME_FIELD, UserCreated
from events.values import EncryptedText, SubjectId
from oxbot.core.account import USER_STREAM_PREFIX, UserId


class Erased(Enum):
    """The type of ``ERASED`` alone."""

    ERASED = "erased"

    def __str__(self) -> str:
        return self.value


ERASED: Final = Erased.ERASED
"""What a personal field reads as once its key is gone."""


class SubjectGone(OxbotError):
    """The person was erased; nothing more can be sealed about them."""


class PersonalKeyChanged(OxbotError):
    """The person's key is wrapped under another installation's key; the operator must put the right file back."""


class SealBroken(OxbotError):
    """A sealed value is not what was sealed: changed since, or read as another field or another person's."""


class SubjectKeys(Protocol):
    """One secret key per person, outside the log so that it can be destroyed.

    Every call may raise ``StoreUnavailable``.
    """

    async def seal(self, subject: SubjectId, field: str, text: str) -> EncryptedText:
        """The text under the person's key, which is made if there is none yet; bound to the person and the field.

        Raises ``SubjectGone``, or ``PersonalKeyChanged`` if there is a key that cannot be used.
        """
        ...

    async def open(self, sealed: EncryptedText, field: str) -> str | Erased:
        """The text, or ``ERASED`` if its key is destroyed, lost, or wrapped under a key that this process lacks.

        Raises ``SealBroken`` for a value that the key is there for and that is not what was sealed.
        """
        ...

    async def destroy(self, subject: SubjectId, *, at: datetime) -> None:
        """Destroy the person's key, if there is one, and never make another; again changes nothing."""
        ...

    async def erased_through(self) -> int:
        """The position up to which every erasure in the log is known to be carried out."""
        ...

    async def note_erased_through(self, position: int) -> None:
        """Every erasure in the log up to there has been carried out."""
        ...


def subject_of(user_id: UserId) -> SubjectId:
    """The person behind an account."""
    return SubjectId(f"{USER_STREAM_PREFIX}{user_id}")


def personal_fields(fact: Fact) -> Iterator[tuple[str, str | EncryptedText]]:
    """The fact's personal fields by name, sealed, or in the plain text in which older programs recorded them."""
    if isinstance(fact, UserCreated):
        if fact.sealed_username is not None:
            yield USERNAME_FIELD, fact.sealed_username
        elif fact.username:
            yield USERNAME_FIELD, fact.username
