"""Passwords by argon2id, hashed in a few threads beside the event loop."""

import base64
import secrets
from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION, Type, hash_secret_raw

from oxbot.app.accounts import PasswordsBusy

THREADS = 2
STRETCHED_BYTES = 32

Answer = TypeVar("Answer")


class Argon2Passwords:
    """``Passwords`` with the parameters of RFC 9106's low-memory profile: 64 MiB and some 50 ms for each hash.

    At most ``THREADS`` are computed at once and ``waiting_max`` wait; further calls raise ``PasswordsBusy``.
    """

    def __init__(self, *, waiting_max: int = 32) -> None:
        self._hasher = PasswordHasher()
        self._nobodys_hash = _nobodys_hash(self._hasher)
        self._limiter = CapacityLimiter(THREADS)
        self._waiting_max = waiting_max

    async def hash(self, password: str) -> str:
        """The password's salted hash."""
        return await self._run(lambda: self._hasher.hash(_encoded(password)))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the hash is the password's; None is compared with a hash that is nobody's."""
        matches = await self._run(lambda: self._matches(password_hash or self._nobodys_hash, password))
        return matches and password_hash is not None

    async def stretch(self, password: str, *, salt: bytes) -> bytes:
        """32 bytes that only the password and the salt make, at the cost of a hash."""
        hasher = self._hasher

        def work() -> bytes:
            costs = (hasher.time_cost, hasher.memory_cost, hasher.parallelism)
            return hash_secret_raw(_encoded(password), salt, *costs, STRETCHED_BYTES, Type.ID)

        return await self._run(work)

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, _encoded(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], Answer]) -> Answer:
        if self._limiter.statistics().tasks_waiting >= self._waiting_max:
            raise PasswordsBusy("too many sign-ins at once; try again in a moment")
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


def _nobodys_hash(hasher: PasswordHasher) -> str:
    """A hash that no password is known for, which takes exactly as long to check as this hasher's own."""
    salt, digest = (_base64(secrets.token_bytes(length)) for length in (hasher.salt_len, hasher.hash_len))
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${costs}${salt}${digest}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).rstrip(b"=").decode()


def _encoded(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
