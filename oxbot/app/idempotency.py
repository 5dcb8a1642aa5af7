"""What is kept of requests that name themselves by a key, so that a repeat is answered and not done again."""

from datetime import timedelta
from typing import NamedTuple, Protocol
from uuid import UUID

KEPT_FOR = timedelta(hours=24)
LEASE = timedelta(seconds=60)
"""So long a request is taken to be under way; whoever repeats it after that goes on where it was left."""


class Answered(NamedTuple):
    """A request that has been done, and its answer; ``body`` holds headers and all, sealed, where there is a secret.

    It is None where an older program kept nothing of such an answer.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


class Claim(NamedTuple):
    """A request that is the claimer's to do. ``deed`` names it; ``resumed`` says that it was begun before."""

    deed: UUID
    resumed: bool


class UnderWay(NamedTuple):
    """A request that somebody else is doing, for so long at most."""

    seconds: float


class OtherContent(NamedTuple):
    """The key is that of another request."""


class IdempotencyStore(Protocol):
    """Requests by user and key. Safe from any number of processes; every call may raise ``StoreUnavailable``."""

    async def claim(self, user_id: str, key: str, digest: bytes) -> Claim | Answered | UnderWay | OtherContent:
        """Take the request with this digest on, unless it is done or under way; it is on record before this returns."""
        ...

    async def keep(self, user_id: str, key: str, deed: UUID, answered: Answered) -> None:
        """The request is done; its first answer stays."""
        ...

    async def release(self, user_id: str, key: str, deed: UUID) -> None:
        """It failed, with nobody knowing what of it was done: whoever comes next goes on with it at once."""
        ...


class AnswerSeal(Protocol):
    """What the answer to one request is kept under."""

    fingerprint: bytes
    """Knows the request again, and says nothing of its content."""

    def close(self, answer: bytes) -> bytes:
        """The answer, for the store."""
        ...

    def open(self, sealed: bytes) -> bytes | None:
        """What was closed, None if the server has forgotten the secret that it was closed under."""
        ...


class AnswerSeals(Protocol):
    """Seals for answers that hold secrets: it takes the whole request, made again, and the server to open one."""

    async def of(self, user_id: str, key: str, content: str, *, guessable: bool) -> AnswerSeal:
        """The seal of a request of this content; ``guessable`` if people have chosen what is secret in it.

        Raises ``PasswordsBusy``.
        """
        ...
