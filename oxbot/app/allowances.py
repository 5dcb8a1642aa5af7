"""How often something may be tried: a number of attempts at once, and then one after the other at a steady pace."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from oxbot.core.account import UserId


class Allowance(NamedTuple):
    """``at_once`` attempts, of which one comes back ``every`` so often."""

    name: str
    at_once: int
    every: timedelta

    @property
    def slack(self) -> timedelta:
        """So far ahead of its steady pace may be what uses it up."""
        return self.every * (self.at_once - 1)


class Want(NamedTuple):
    """An attempt that counts against somebody's allowance."""

    allowance: Allowance
    whose: str

    @property
    def key(self) -> bytes:
        """By which it is kept: nothing personal can be read from it at a glance."""
        return hashlib.sha256(f"{self.allowance.name}\x00{self.whose}".encode("utf-8", "surrogatepass")).digest()[:16]


class Allowances(Protocol):
    """What is left of each, for all processes together. Every call may raise ``CredentialsUnavailable``."""

    async def claim(self, wants: Sequence[Want], *, at: datetime) -> timedelta:
        """Count an attempt against all of them and answer zero; or count nothing, and answer how long to wait."""
        ...

    async def give_back(self, wants: Sequence[Want]) -> None:
        """The attempt was an honest one, and does not count."""
        ...

    async def purge(self, *, at: datetime) -> None:
        """Forget what is whole again."""
        ...


class KnownAddresses(Protocol):
    """From where accounts were signed in to. Every call may raise ``CredentialsUnavailable``."""

    async def knows(self, username: str, address: str) -> bool:
        """Whether somebody has signed in to the account of this canonical name from there, and not too long ago."""
        ...

    async def remember(self, user_id: UserId, address: str, *, at: datetime) -> None:
        """Somebody has signed in to the account from there."""
        ...


def address_digest(user_id: UserId, address: str) -> bytes:
    """What is kept of an address: another for each account, so that rows do not tell who shares one."""
    return hashlib.sha256(f"{user_id}\x00{address}".encode()).digest()


KNOWN_MAX = 20
"""So many addresses are kept of each account, those that were used last."""
