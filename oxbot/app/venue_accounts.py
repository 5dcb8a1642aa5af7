"""What people do to accounts at venues: open them, set their keys, arm, disarm, kill. All through ``handle``."""

import copy
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

import msgspec

from events.account import KillPolicy
from events.envelope import Metadata
from events.errors import OxbotError
from events.identifiers import AccountName, OwnerId, VenueName, account_stream
from events.log import EventLog
from oxbot.app.account_directory import AccountDirectory
from oxbot.app.handle import Folded, fold_stream, handle
from oxbot.core.refused import CommandRefused
from oxbot.core.venue_account import (
    AccountState,
    ArmAccount,
    DisarmAccount,
    GrantAccount,
    OpenAccount,
    RequestKill,
    SetKeys,
    VenueAccountCommand,
    VenueAccountDecider,
)

ARMED_DAYS_MAX = 30
"""So long ahead an account may be armed, at most."""

KEY_CHARACTERS_MAX = 4096

DEMO_DOMAINS = {"okx": "okx.com"}
"""Where else a venue's demo may be reached, such as under its address for another region."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class UnknownAccount(OxbotError):
    """There is no account of that name."""


class InvalidAccount(OxbotError):
    """No account can be like that; the text says what is wrong."""


class KeysNotStored(OxbotError):
    """The key that they should be encrypted under cannot be used; the operator must look."""


class ApiKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An API key as its venue gave it, with the password that some ask for; it never shows itself."""

    api_key: str
    secret: str
    password: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("api_key", self.api_key), ("secret", self.secret), ("password", self.password)):
            if value is not None and (value != value.strip() or not 0 < len(value) <= KEY_CHARACTERS_MAX):
                raise ValueError(f"{name} must be 1 to {KEY_CHARACTERS_MAX} characters without spaces around them")

    def __repr__(self) -> str:
        return "ApiKeys(***)"


class KeyStore(Protocol):
    """Keeps the keys of accounts; whoever has this can set them and not read them. Raises ``StoreUnavailable``.

    ``KeysNotStored`` if there is nothing to encrypt them under.
    """

    def fingerprint(self, keys: ApiKeys) -> str:
        """What names them."""
        ...

    async def put(self, account: AccountName, venue: VenueName, keys: ApiKeys) -> str:
        """Store or replace the account's keys, encrypted, and answer the fingerprint that names them."""
        ...


class VenueAccounts:
    """Commands to accounts at venues. Safe from any number of processes at once.

    ``check_venue`` raises for a venue at which nothing can be traded, in a demo or at all. ``by`` says on whose behalf,
    for the envelope of the facts; without it, it is the process's own name.
    """

    def __init__(
        self,
        log: EventLog,
        keys: KeyStore,
        *,
        check_venue: Callable[[str, bool], None],
        now: Callable[[], datetime],
        actor: str,
    ) -> None:
        self._log = log
        self._keys = keys
        self._check_venue = check_venue
        self._now = now
        self._actor = actor
        self._decider = VenueAccountDecider()
        self._directory = AccountDirectory(log)

    def over(self, log: Callable[[EventLog], EventLog]) -> "VenueAccounts":
        """The same commands over what is made of their log, for one request."""
        other = copy.copy(self)
        vars(other).update(_log=log(self._log))
        return other

    async def open(self, wanted: OpenAccount, *, by: str | None = None) -> None:
        """Make the account known; again in the same terms changes nothing.

        Raises ``InvalidAccount``, ``VenueUnfit`` or ``CommandRefused``.
        """
        if _NAME.fullmatch(wanted.account) is None:
            raise InvalidAccount(f"account {wanted.account!r} must be 1 to 64 lower-case letters, digits and -")
        self._check_venue(wanted.venue, wanted.demo)
        check_addresses(wanted.venue, demo=wanted.demo, rest=wanted.rest, ws=wanted.ws)
        await self._handle(wanted.account, wanted, by=by)

    async def set_keys(self, account: AccountName, keys: ApiKeys, *, by: str | None = None) -> str:
        """Store the keys, then record that they were; the fingerprint that names them. Raises ``UnknownAccount``.

        Raises ``CommandRefused`` for the key of another account: two executions would each take the other's orders and
        positions for a stranger's, and its money for their own.
        If the process dies between the two, they are stored and not told of: doing it again tells.
        """
        known = await self._known(account)
        opened = known.state.opened
        if opened is None:
            raise UnknownAccount(f"there is no account {account}")
        fingerprint = self._keys.fingerprint(keys)
        for other in (await self._directory.refresh()).values():
            there = (other.opened.venue, other.opened.rest) == (opened.venue, opened.rest)
            if other.name != account and there and other.state.fingerprint == fingerprint:
                raise CommandRefused(f"account {other.name} has the key {fingerprint}; give {account} one of its own")
        await self._keys.put(account, opened.venue, keys)
        await self._handle(account, SetKeys(fingerprint), by=by)
        return fingerprint

    async def grant(self, account: AccountName, owner: OwnerId, *, by: str | None = None) -> None:
        """Let that user's bots name the account, and no other user's; to the house, no user's. ``UnknownAccount``."""
        await self._known(account)
        await self._handle(account, GrantAccount(owner), by=by)

    async def arm(self, account: AccountName, until: datetime, *, by: str | None = None) -> None:
        """Let entries through until then, 30 days ahead at most. Raises ``UnknownAccount`` or ``CommandRefused``."""
        now = self._now()
        if not now < until <= now + timedelta(days=ARMED_DAYS_MAX):
            raise CommandRefused(
                f"an account is armed until a moment within the next {ARMED_DAYS_MAX} days, which {until} is not"
            )
        known = await self._known(account)
        if not known.state.fingerprint:
            raise CommandRefused(f"account {account} has no keys; set them first")
        await self._handle(account, ArmAccount(until), by=by)

    async def disarm(self, account: AccountName, reason: str = "", *, by: str | None = None) -> None:
        """Let no entry through any more; exits and cancels go on. Raises ``UnknownAccount``."""
        await self._known(account)
        await self._handle(account, DisarmAccount(reason), by=by)

    async def kill(self, account: AccountName, policy: KillPolicy, reason: str = "", *, by: str | None = None) -> None:
        """Throw the kill switch: disarmed at once, the rest is the execution's to do. Raises ``UnknownAccount``."""
        await self._known(account)
        await self._handle(account, RequestKill(at=self._now(), policy=policy, reason=reason), by=by)

    async def _known(self, account: AccountName) -> Folded[AccountState]:
        known = await fold_stream(self._log, self._decider, account_stream(account))
        if known.state.opened is None:
            raise UnknownAccount(f"there is no account {account}")
        return known

    async def _handle(self, account: AccountName, command: VenueAccountCommand, *, by: str | None) -> None:
        await handle(
            self._log,
            self._decider,
            account_stream(account),
            command,
            at=self._now(),
            metadata=Metadata(actor=by or self._actor),
        )


def check_addresses(venue: str, *, demo: bool, rest: str, ws: str) -> None:
    """Raise ``InvalidAccount`` for addresses that keys must not be sent to.

    They are either both on this machine, or both of the venue's own domain, encrypted, and for its demo.
    """
    if not rest and not ws:
        return
    if not rest or not ws:
        raise InvalidAccount("give both addresses, of HTTP and of WebSockets, or neither")
    for address, plain, encrypted in ((rest, "http", "https"), (ws, "ws", "wss")):
        parts = _parts(address)
        if parts.scheme == plain and _is_this_machine(parts.hostname or ""):
            continue
        domain = DEMO_DOMAINS.get(venue)
        host = parts.hostname or ""
        if demo and parts.scheme == encrypted and domain and (host == domain or host.endswith(f".{domain}")):
            continue
        raise InvalidAccount(
            f"{address} is neither {plain}:// on this machine nor, for a demo account, {encrypted}:// of the venue"
        )
    if (urlsplit(rest).scheme == "http") != (urlsplit(ws).scheme == "ws"):
        raise InvalidAccount("both addresses must be on this machine, or both the venue's")


def _parts(address: str) -> SplitResult:
    """Scheme, host and port, and nothing else. Raises ``InvalidAccount``."""
    try:
        parts = urlsplit(address)
        bare = not (parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc)
        _ = parts.port
    except ValueError as error:
        raise InvalidAccount(f"{address!r} is no address") from error
    if not bare:
        raise InvalidAccount(f"{address!r} must be a scheme, a host and a port, such as http://127.0.0.1:8030")
    return parts


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
