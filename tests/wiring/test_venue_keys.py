"""The key that venue credentials are encrypted under: found, missing, and replaced in the middle of everything."""

import base64
from pathlib import Path

import pytest

from events.identifiers import AccountName, VenueName
from oxbot.adapters.aes_gcm_venue_credentials import FILE_NAME, CredentialsUnreadable, SealedCredentials
from oxbot.adapters.key_file import KeyFileUnusable
from oxbot.adapters.memory_venue_credentials import MemoryCredentialsTable
from oxbot.app.venue_accounts import ApiKeys, KeysNotStored
from oxbot.config import Secret
from oxbot.wiring.venue_keys import NEXT_NAME, SealedKeys, opening_keys, replace_key

pytestmark = pytest.mark.anyio

OKX = VenueName("okx")
ACCOUNTS = [AccountName("a"), AccountName("b"), AccountName("c")]
KEY = Secret(base64.b64encode(bytes(range(32))).decode())
OTHER = Secret(base64.b64encode(bytes(range(1, 33))).decode())


class Dying(MemoryCredentialsTable):
    """A table whose process dies at the second replacement."""

    replaced = 0

    async def replace(self, old: SealedCredentials, new: SealedCredentials) -> bool:
        """Die at the second."""
        self.replaced += 1
        if self.replaced == 2:
            raise ConnectionError("killed")
        return await super().replace(old, new)


def keys_of(account: AccountName) -> ApiKeys:
    return ApiKeys(api_key=f"key of {account}", secret="s", password=None)  # noqa: S106 - planted


async def filled(table: MemoryCredentialsTable, home: Path, given: Secret | None = None) -> None:
    for account in ACCOUNTS:
        await SealedKeys(table, home, given).put(account, OKX, keys_of(account))


async def opened(table: MemoryCredentialsTable, home: Path, given: Secret | None = None) -> list[str]:
    credentials = opening_keys(home, given).over(table)
    return [(await credentials.get(account, OKX)).api_key.reveal() for account in ACCOUNTS]


async def test_a_replaced_file_opens_everything_and_the_old_one_opens_nothing(tmp_path: Path) -> None:
    table = MemoryCredentialsTable()
    await filled(table, tmp_path)
    old = (tmp_path / FILE_NAME).read_bytes()
    assert await replace_key(tmp_path, table, given=None, to=None) == len(ACCOUNTS)
    assert await opened(table, tmp_path) == [f"key of {account}" for account in ACCOUNTS]
    assert not (tmp_path / NEXT_NAME).exists()
    with pytest.raises(CredentialsUnreadable):
        await opened(table, tmp_path, Secret(base64.b64encode(old).decode()))


async def test_a_replacement_that_died_in_the_middle_opens_everything_and_is_finished_by_repeating_it(
    tmp_path: Path,
) -> None:
    table = Dying()
    await filled(table, tmp_path)
    with pytest.raises(ConnectionError):
        await replace_key(tmp_path, table, given=None, to=None)
    everything = [f"key of {account}" for account in ACCOUNTS]
    assert await opened(table, tmp_path) == everything
    await SealedKeys(table, tmp_path, None).put(ACCOUNTS[2], OKX, keys_of(ACCOUNTS[2]))
    assert await replace_key(tmp_path, table, given=None, to=None) == 1
    assert await opened(table, tmp_path) == everything


async def test_a_key_of_the_environment_gives_way_to_the_one_that_it_is_told(tmp_path: Path) -> None:
    table = MemoryCredentialsTable()
    await filled(table, tmp_path, KEY)
    assert await replace_key(tmp_path, table, given=KEY, to=OTHER) == len(ACCOUNTS)
    assert await opened(table, tmp_path, OTHER) == [f"key of {account}" for account in ACCOUNTS]
    assert list(tmp_path.iterdir()) == []


async def test_whoever_opens_credentials_makes_no_key(tmp_path: Path) -> None:
    with pytest.raises(KeyFileUnusable, match="there is no key"):
        opening_keys(tmp_path, None)
    assert list(tmp_path.iterdir()) == []


async def test_keys_that_cannot_be_encrypted_are_not_stored(tmp_path: Path) -> None:
    table = MemoryCredentialsTable()
    with pytest.raises(KeysNotStored, match="not base64"):
        await filled(table, tmp_path, Secret("?"))
    assert await table.accounts() == []
