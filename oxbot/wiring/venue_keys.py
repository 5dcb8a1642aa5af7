"""The key that venue credentials are encrypted under, as a process finds it, and how another takes its place."""

from pathlib import Path
from typing import NamedTuple

from events.identifiers import AccountName, VenueName
from oxbot.adapters import key_file
from oxbot.adapters.aes_gcm_venue_credentials import (
    FILE_NAME,
    AesGcmVenueCredentials,
    CredentialsTable,
    VenueKeyUnusable,
    venue_key,
)
from oxbot.adapters.venue_credentials import VenueCredentials
from oxbot.app.venue_accounts import ApiKeys, KeysNotStored
from oxbot.config import Secret

NEXT_NAME = f"{FILE_NAME}.next"
"""While the key is being replaced, some credentials are under this one already."""


class VenueKeys(NamedTuple):
    """The key to seal under, and those that may open as well."""

    current: bytes
    older: tuple[bytes, ...] = ()

    def over(self, table: CredentialsTable) -> AesGcmVenueCredentials:
        """The credentials of the table under these keys."""
        return AesGcmVenueCredentials(table, self.current, older=self.older)


def sealing_keys(home: Path, given: Secret | None) -> VenueKeys:
    """For whoever sets credentials: a key is made if there is none. Raises ``VenueKeyUnusable``, ``KeyFileUnusable``.

    While the key is being replaced, the next one is sealed under, so that nothing is left behind under the old one.
    """
    following = key_file.load(home / NEXT_NAME) if given is None else None
    current = venue_key(home, given)
    return VenueKeys(current) if following is None else VenueKeys(following, (current,))


def opening_keys(home: Path, given: Secret | None) -> VenueKeys:
    """For whoever opens credentials: no key is made, since none would open anything. Raises as ``sealing_keys``."""
    if given is None and key_file.load(home / FILE_NAME) is None:
        raise key_file.KeyFileUnusable(f"there is no key {home / FILE_NAME}, and OXBOT_VENUE_KEY is not set")
    return sealing_keys(home, given)


async def replace_key(home: Path, table: CredentialsTable, *, given: Secret | None, to: Secret | None) -> int:
    """Seal all credentials under another key and answer how many were not yet; safe to repeat after any interruption.

    Without ``to`` the file's key is replaced by a fresh one, which takes its place when all is sealed under it. With
    it, what is sealed under the one given, or in the file, is sealed under that one, which the caller must then set.
    """
    old = opening_keys(home, given)
    if to is not None:
        return await VenueKeys(venue_key(home, to), (old.current, *old.older)).over(table).rewrap()
    following = key_file.load_or_create(home / NEXT_NAME)
    count = await VenueKeys(following, (old.current, *old.older)).over(table).rewrap()
    (home / NEXT_NAME).replace(home / FILE_NAME)
    return count


class SealedKeys:
    """A ``KeyStore`` over a table; the key is looked for anew each time, since it may have been replaced."""

    def __init__(self, table: CredentialsTable, home: Path, given: Secret | None) -> None:
        self._table = table
        self._home = home
        self._given = given

    def fingerprint(self, keys: ApiKeys) -> str:
        """See ``KeyStore.fingerprint``."""
        return _credentials(keys).fingerprint

    async def put(self, account: AccountName, venue: VenueName, keys: ApiKeys) -> str:
        """See ``KeyStore.put``."""
        try:
            sealing = sealing_keys(self._home, self._given)
        except (VenueKeyUnusable, key_file.KeyFileUnusable) as error:
            raise KeysNotStored(str(error)) from error
        return await sealing.over(self._table).put(account, venue, _credentials(keys))


def _credentials(keys: ApiKeys) -> VenueCredentials:
    password = None if keys.password is None else Secret(keys.password)
    return VenueCredentials(api_key=Secret(keys.api_key), secret=Secret(keys.secret), password=password)
