"""How often somebody may try to sign in or refresh: by address, account and altogether, locking nobody out."""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from oxbot.api.problems import Problem
from oxbot.app.allowances import Allowance, Allowances, KnownAddresses, Want
from oxbot.core.account import InvalidUsername, UserId, canonical_username

PAIR = Allowance("pair", 10, timedelta(seconds=6))
"""One name from one address."""

ADDRESS = Allowance("address", 40, timedelta(seconds=6))
"""Any names from one address that has signed in to none of them."""

ACCOUNT = Allowance("account", 20, timedelta(seconds=15))
"""One name from all addresses together that have not signed in to it."""

STRANGERS = Allowance("strangers", 200, timedelta(seconds=1))
"""Any names from all addresses together that have not signed in to them: what a list of stolen passwords needs most."""

PASSWORD = Allowance("password", 5, timedelta(seconds=60))
"""Old passwords that whoever is signed in gives wrongly when setting another."""

REFRESH_ADDRESS = Allowance("refresh address", 60, timedelta(seconds=1))
"""Refreshes from one address that come to nothing."""

REFRESH = Allowance("refresh", 20, timedelta(seconds=6))
"""Refreshes of one session, honest ones as well."""

REFUSED_MAX = 10_000


class Claim(NamedTuple):
    """An attempt that may be made, and what it counts against unless it succeeds."""

    wants: Sequence[Want]
    address: str


class TooMany(Problem):
    """An attempt that comes too soon after others."""

    def __init__(self, wait: timedelta) -> None:
        retry = {"Retry-After": str(max(1, math.ceil(wait.total_seconds())))}
        super().__init__(429, "too many attempts; wait before the next", headers=retry)


class SignInLimit:
    """Allowances that all processes share; an attempt counts from its start until it succeeds.

    Nothing is ever locked: what is used up comes back at a steady pace. An address from which somebody has signed in to
    an account has an allowance of its own for it, which no stranger can use up, so whoever guesses passwords from
    elsewhere slows down strangers and nobody else. What was refused is remembered here until it may be tried again, so
    that a flood of attempts costs the database nothing.
    """

    def __init__(self, allowances: Allowances, known: KnownAddresses, *, now: Callable[[], datetime]) -> None:
        self._allowances = allowances
        self._known = known
        self._now = now
        self._refused: OrderedDict[tuple[bytes, ...], datetime] = OrderedDict()

    async def sign_in(self, username: str, host: str) -> Claim:
        """Count a sign-in. Raises ``TooMany``."""
        address, name = network(host), username.lower()
        pair = Want(PAIR, f"{name} {address}")
        strange = [pair, Want(ADDRESS, address), Want(ACCOUNT, name), Want(STRANGERS, "")]
        self._check(strange)
        wants = [pair] if await self._is_known(name, address) else strange
        return await self._claim(wants, address)

    async def old_password(self, user_id: UserId, host: str) -> Claim:
        """Count an old password that is given. Raises ``TooMany``."""
        return await self._claim([Want(PASSWORD, user_id)], network(host))

    async def refresh(self, host: str) -> Claim:
        """Count a refresh from an address. Raises ``TooMany``."""
        address = network(host)
        return await self._claim([Want(REFRESH_ADDRESS, address)], address)

    async def refreshed(self, claim: Claim, session_id: str) -> None:
        """It was of that session. Raises ``TooMany`` if the session is refreshed too often."""
        await self._allowances.give_back(claim.wants)
        await self._claim([Want(REFRESH, session_id)], claim.address)

    async def signed_in(self, claim: Claim, user_id: UserId) -> None:
        """The attempt succeeded: it does not count, and the address is known from now on."""
        await self._allowances.give_back(claim.wants)
        await self._known.remember(user_id, claim.address, at=self._now())

    async def give_back(self, claim: Claim) -> None:
        """The attempt was honest, and does not count."""
        await self._allowances.give_back(claim.wants)

    async def purge(self) -> None:
        """Forget what is whole again."""
        await self._allowances.purge(at=self._now())

    async def _is_known(self, name: str, address: str) -> bool:
        try:
            return await self._known.knows(canonical_username(name), address)
        except InvalidUsername:
            return False

    async def _claim(self, wants: Sequence[Want], address: str) -> Claim:
        self._check(wants)
        now = self._now()
        wait = await self._allowances.claim(wants, at=now)
        if wait:
            self._refused[_keys(wants)] = now + wait
            if len(self._refused) > REFUSED_MAX:
                self._refused.popitem(last=False)
            raise TooMany(wait)
        return Claim(wants, address)

    def _check(self, wants: Sequence[Want]) -> None:
        keys = _keys(wants)
        until = self._refused.get(keys)
        if until is None:
            return
        wait = until - self._now()
        if wait > timedelta(0):
            raise TooMany(wait)
        del self._refused[keys]


def network(host: str) -> str:
    """What counts as one address: an IPv4 address, or the network of 2^64 addresses that anybody has in IPv6."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _keys(wants: Sequence[Want]) -> tuple[bytes, ...]:
    return tuple(want.key for want in wants)
