"""Keeps the credentials of venue accounts encrypted with AES-256-GCM, under a key that is never in the database."""

import base64
import binascii
import hashlib
import secrets
from pathlib import Path
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from events.errors import OxbotError
from events.identifiers import AccountName, VenueName
from oxbot.adapters import key_file
from oxbot.adapters.venue_credentials import VenueCredentials
from oxbot.config import Secret

FILE_NAME = "venue.key"
NONCE_BYTES = 12
PADDED_BYTES = 256


class CredentialsUnreadable(OxbotError):
    """An account's credentials do not open: another key, another account's, or not what was stored."""


class NoCredentials(OxbotError):
    """The account has no credentials; somebody must set them first."""


class VenueKeyUnusable(OxbotError):
    """What should be the key to the credentials is none."""


class SealedCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """An account's credentials as they are stored; ``sealed_by`` is the fingerprint of the key."""

    account: AccountName
    venue: VenueName
    fingerprint: str
    sealed: bytes
    sealed_by: str


class CredentialsTable(Protocol):
    """Sealed credentials by account. Raises ``StoreUnavailable``."""

    async def put(self, sealed: SealedCredentials) -> None:
        """Store or replace an account's."""
        ...

    async def replace(self, old: SealedCredentials, new: SealedCredentials) -> bool:
        """Replace an account's if they are still the old ones; answer whether they were."""
        ...

    async def find(self, account: AccountName) -> SealedCredentials | None:
        """An account's, None if there are none."""
        ...

    async def fingerprint(self, account: AccountName) -> str | None:
        """Which API key an account has, None if it has none; for those who may not read it."""
        ...

    async def accounts(self) -> list[AccountName]:
        """The accounts that have any, in alphabetical order."""
        ...

    async def remove(self, account: AccountName) -> None:
        """Forget an account's; again changes nothing."""
        ...


class AesGcmVenueCredentials:
    """Credentials over a table. Plain text is held by whoever asked, for as long as that one needs it.

    Each is bound to its account and venue, so a row moved to another account does not open. To rotate the key, open
    this with the new one and the old ones behind it: what is read opens under any of them, and ``rewrap`` seals
    everything under the first.
    """

    def __init__(self, table: CredentialsTable, key: bytes, *, older: tuple[bytes, ...] = ()) -> None:
        self._table = table
        self._current = _fingerprint(key)
        self._keys = {_fingerprint(each): AESGCM(each) for each in (*older, key)}

    def __repr__(self) -> str:
        """The key's fingerprint, never a key."""
        return f"AesGcmVenueCredentials(key={self._current!r})"

    async def put(self, account: AccountName, venue: VenueName, credentials: VenueCredentials) -> str:
        """Store or replace the account's credentials and answer their fingerprint, by which facts name them."""
        await self._table.put(self._sealed(account, venue, credentials))
        return credentials.fingerprint

    async def get(self, account: AccountName, venue: VenueName) -> VenueCredentials:
        """The account's credentials. Raises ``NoCredentials`` or ``CredentialsUnreadable``."""
        stored = await self._table.find(account)
        if stored is None or stored.venue != venue:
            raise NoCredentials(f"account {account} has no credentials for {venue}")
        return self._opened(stored)

    async def fingerprint(self, account: AccountName) -> str | None:
        """Which API key the account has, None if it has none."""
        return await self._table.fingerprint(account)

    async def remove(self, account: AccountName) -> None:
        """Forget the account's credentials; again changes nothing."""
        await self._table.remove(account)

    async def rewrap(self) -> int:
        """Seal everything under the current key and answer how many were not; credentials set meanwhile stay."""
        count = 0
        for account in await self._table.accounts():
            stored = await self._table.find(account)
            if stored is None or stored.sealed_by == self._current:
                continue
            sealed = self._sealed(account, stored.venue, self._opened(stored))
            count += await self._table.replace(stored, sealed)
        return count

    def _sealed(self, account: AccountName, venue: VenueName, credentials: VenueCredentials) -> SealedCredentials:
        texts = [credentials.api_key, credentials.secret, credentials.password]
        content = msgspec.msgpack.encode([None if each is None else each.reveal() for each in texts])
        padded = content + b"\x80" + bytes(-(len(content) + 1) % PADDED_BYTES)
        nonce = secrets.token_bytes(NONCE_BYTES)
        bound = _bound(account, venue, credentials.fingerprint)
        return SealedCredentials(
            account=account,
            venue=venue,
            fingerprint=credentials.fingerprint,
            sealed=nonce + self._keys[self._current].encrypt(nonce, padded, bound),
            sealed_by=self._current,
        )

    def _opened(self, stored: SealedCredentials) -> VenueCredentials:
        cipher = self._keys.get(stored.sealed_by)
        if cipher is None:
            raise CredentialsUnreadable(
                f"the credentials of account {stored.account} are sealed under the key {stored.sealed_by}, and the key"
                f" here is {self._current}"
            )
        nonce, sealed = stored.sealed[:NONCE_BYTES], stored.sealed[NONCE_BYTES:]
        bound = _bound(stored.account, stored.venue, stored.fingerprint)
        try:
            content = cipher.decrypt(nonce, sealed, bound).rstrip(b"\x00")[:-1]
            api_key, secret, password = msgspec.msgpack.decode(content, type=tuple[str, str, str | None])
        except (InvalidTag, ValueError, msgspec.MsgspecError):
            # The cause is left behind, since it may tell of what was decrypted.
            raise CredentialsUnreadable(f"the stored credentials of account {stored.account} were altered") from None
        return VenueCredentials(
            api_key=Secret(api_key), secret=Secret(secret), password=None if password is None else Secret(password)
        )


def venue_key(home: Path, given: Secret | None = None) -> bytes:
    """The key to the credentials: the one given (32 bytes in base64), else the file in ``home``, made if need be.

    Raises ``VenueKeyUnusable`` or ``KeyFileUnusable``.
    """
    if given is None:
        return key_file.load_or_create(home / FILE_NAME)
    try:
        key = base64.b64decode(given.reveal(), validate=True)
    except (binascii.Error, ValueError):
        raise VenueKeyUnusable("OXBOT_VENUE_KEY is not base64") from None
    if len(key) != key_file.KEY_BYTES:
        raise VenueKeyUnusable(f"OXBOT_VENUE_KEY holds {len(key)} bytes, but must hold {key_file.KEY_BYTES}")
    return key


def _fingerprint(key: bytes) -> str:
    return hashlib.sha256(b"oxbot venue key id:" + key).hexdigest()[:12]


def _bound(account: AccountName, venue: VenueName, fingerprint: str) -> bytes:
    """The associated data: credentials moved to another account, or named as others, do not open."""
    return msgspec.msgpack.encode(("oxbot venue credentials 1", account, venue, fingerprint))
